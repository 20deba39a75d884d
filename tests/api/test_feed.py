"""The pull feed over HTTP: pages, server-sent events, problem documents."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from .conftest import KEY, Client, Starter

EVENTS = "/api/v1/events"
HEADERS = {"17token": KEY}


async def get(client: Client, query: str = "", headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """HTTP status and the decoded answer; errors must be problem documents."""
    given = HEADERS if headers is None else headers
    async with client.session.get(f"{client.url}{EVENTS}{query}", headers=given) as response:
        kind = "application/json" if response.status == 200 else "application/problem+json"
        assert response.content_type == kind
        answer = await response.json(content_type=None)
        if response.status != 200:
            assert answer["status"] == response.status
            assert answer.keys() == {"type", "title", "status", "detail"}
        return response.status, answer


async def journeys(client: Client, count: int = 1) -> None:
    """Sandbox journeys that make several changes each."""
    await client.call("register", [{"number": f"SANDBOXJOURNEY{index}"} for index in range(count)])


async def wait_for_events(client: Client, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while True:
            _, answer = await get(client, "?limit=500")
            if len(answer["events"]) >= count:
                events: list[dict[str, Any]] = answer["events"]
                return events
            await asyncio.sleep(0.05)


class Stream:
    """Reads server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0

    async def next(self) -> dict[str, str]:
        """The next event's fields; comments are counted."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            while True:
                line = (await self.response.content.readuntil(b"\n")).decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    return fields
                else:
                    fields = {}


async def test_pages_follow_one_another_without_gap_or_repetition(client: Client) -> None:
    """Each event is the body of the webhook with a cursor; no endpoint is needed."""
    await journeys(client, 2)
    events = await wait_for_events(client, 6)
    seen: list[dict[str, Any]] = []
    cursor, more = "0", True
    while more and len(seen) < len(events):
        _, page = await get(client, f"?after={cursor}&limit=2")
        assert len(page["events"]) <= 2
        seen += page["events"]
        cursor, more = page["cursor"], page["more"]
    assert seen[: len(events)] == events
    first = events[0]
    assert first.keys() == {"cursor", "at", "event", "data"}
    assert first["event"] == "TRACKING_UPDATED"
    assert first["data"]["track_info"]["latest_status"]["status"]


async def test_at_the_end_a_page_is_empty_and_keeps_the_cursor(client: Client) -> None:
    _, page = await get(client)
    assert page == {"events": [], "cursor": "0", "more": False}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?after=x", 400), ("?after=-1", 400), ("?after=%D9%A1", 400), ("?limit=0", 400),
        ("?limit=501", 400), ("?after=99999", 400), ("?after=" + "9" * 40, 400), ("/nothing", 404),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_as_a_problem(client: Client, query: str, status: int) -> None:
    assert (await get(client, query))[0] == status


@pytest.mark.parametrize("headers", [{}, {"17token": "wrong-key-000"}])
@pytest.mark.parametrize("path", ["", "/stream"])
async def test_without_a_login_key_there_is_nothing(
    client: Client, headers: dict[str, str], path: str
) -> None:
    assert (await get(client, path, headers))[0] == 401


async def test_only_get_is_possible(client: Client) -> None:
    async with client.session.post(f"{client.url}{EVENTS}", headers=HEADERS) as response:
        assert response.status == 405


async def test_the_rate_of_a_key_holds_here_too(start: Starter) -> None:
    client = await start(PARCELWIRE_RATE_LIMIT="1")
    statuses = [(await get(client))[0] for _ in range(12)]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses


async def test_a_stream_tells_what_happens_and_goes_on_where_it_broke_off(client: Client) -> None:
    """First only what is new; with Last-Event-ID all that came since."""
    url = f"{client.url}{EVENTS}/stream"
    async with client.session.get(url, headers=HEADERS) as response:
        assert response.content_type == "text/event-stream"
        await journeys(client)
        stream = Stream(response)
        first, second = await stream.next(), await stream.next()
    async with client.session.get(url, headers=HEADERS | {"Last-Event-ID": first["id"]}) as response:
        stream = Stream(response)
        assert await stream.next() == second
        third = await stream.next()
    events = await wait_for_events(client, 3)
    assert [item["cursor"] for item in events[:3]] == [first["id"], second["id"], third["id"]]
    for item, told in zip(events, (first, second, third), strict=False):
        assert json.loads(told["data"]) == {"event": item["event"], "data": item["data"]}
        assert told["event"] == item["event"]


async def test_a_silent_stream_has_a_heart_beat(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parcelwire.api.feed.BEAT_S", 0.2)
    monkeypatch.setattr("parcelwire.api.feed.LOOK_S", 0.1)
    async with client.session.get(f"{client.url}{EVENTS}/stream", headers=HEADERS) as response:
        async with asyncio.timeout(5):
            while await response.content.readuntil(b"\n") != b": beat\n":
                pass


async def test_a_stream_whose_reader_hangs_up_gives_its_place_back_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account has a few only; the next one need not wait for a heart beat that nobody takes."""
    monkeypatch.setattr("parcelwire.api.feed.STREAMS_OF_ACCOUNT", 1)
    monkeypatch.setattr("parcelwire.api.feed.LOOK_S", 3_600)
    url = f"{client.url}{EVENTS}/stream"
    async with client.session.get(url, headers=HEADERS) as response:
        assert response.status == 200
        await response.content.readuntil(b"\n\n")
        await asyncio.sleep(0.3)  # it waits for news
        assert (await get(client, "/stream"))[0] == 429
    async with asyncio.timeout(5):
        while True:
            async with client.session.get(url, headers=HEADERS) as again:
                if again.status == 200:
                    break
            await asyncio.sleep(0.01)


async def test_a_stop_ends_streams_at_once(client: Client) -> None:
    async with client.session.get(f"{client.url}{EVENTS}/stream", headers=HEADERS) as response:
        await response.content.readuntil(b"\n")
        began = time.perf_counter()
        await client.service.stop()
        assert time.perf_counter() - began < 5
        rest = await response.content.read()
        assert b"data" not in rest
