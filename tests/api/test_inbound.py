"""POST /inbound/seventeentrack over real HTTP: verified, kept, answered; then processed."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.api.conftest import Client

from parcelwire.ports import InboxState
from parcelwire.standins._journey import US, scans
from parcelwire.standins.seventeentrack import track_info
from parcelwire.wire.signature import sign

TOKEN = "UPSTREAM-TOKEN-1"
NUMBER = "700000000300"
PATH = "/inbound/seventeentrack"
Starter = Callable[..., Awaitable[Client]]


@pytest.fixture
async def client(start: Starter) -> Client:
    """With a token, and an upstream that nobody answers at."""
    return await start(
        PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN=TOKEN,
        PARCELWIRE_CARRIER_SEVENTEENTRACK_URL="inprocess:nobody",
    )


def push(number: str = NUMBER) -> bytes:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    journey = scans(number, at, datetime(2026, 3, 9, tzinfo=UTC), US)
    data = {"number": number, "carrier": 100003, "track_info": track_info(number, 100003, journey, at)}
    return json.dumps({"event": "TRACKING_UPDATED", "data": data}).encode()


async def post(client: Client, body: bytes, **headers: str) -> tuple[int, bytes]:
    async with client.session.post(client.url + PATH, data=io.BytesIO(body), headers=headers) as response:
        return response.status, await response.read()


async def inbox(client: Client) -> dict[InboxState, int]:
    return await client.service.context.store.inbox()


async def shown(client: Client) -> dict[str, Any]:
    """gettrackinfo as soon as there is something."""
    for _ in range(500):
        data: dict[str, Any] = (await client.call("gettrackinfo", [{"number": NUMBER}]))["data"]
        if data["accepted"]:
            item: dict[str, Any] = data["accepted"][0]
            return item
        await asyncio.sleep(0.02)
    raise AssertionError("nothing is shown")


async def test_a_signed_push_is_answered_200_and_shown_to_the_caller(client: Client) -> None:
    await client.call("register", [{"number": NUMBER, "carrier": 100003}])
    body = push()
    assert await post(client, body, sign=sign(body, TOKEN)) == (200, b"")
    item = await shown(client)
    assert item["track_info"]["latest_status"]["status"] == "Delivered"


async def test_the_same_push_again_is_answered_200_and_kept_once(client: Client) -> None:
    body = push()
    for _ in range(3):
        assert (await post(client, body, sign=sign(body, TOKEN)))[0] == 200
    assert sum((await inbox(client)).values()) == 1


FORGED: dict[str, dict[str, str]] = {
    "no header": {},
    "empty": {"sign": ""},
    "zeros": {"sign": "0" * 64},
    "another key": {"sign": sign(push(), "OTHER-KEY")},
    "another header": {"signature": sign(push(), TOKEN)},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=list(FORGED))
async def test_a_forged_push_leaves_nothing(client: Client, headers: dict[str, str]) -> None:
    """And learns nothing: 401 and no body, whatever was wrong."""
    assert await post(client, push(), **headers) == (401, b"")
    assert await inbox(client) == {}


async def test_while_the_token_is_replaced_both_are_believed_and_no_third(start: Starter) -> None:
    client = await start(
        PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN=TOKEN,
        PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN_BEFORE="TOKEN-OF-YESTERDAY",
        PARCELWIRE_CARRIER_SEVENTEENTRACK_URL="inprocess:nobody",
    )
    body = push()
    for key, status in ((TOKEN, 200), ("TOKEN-OF-YESTERDAY", 200), ("TOKEN-OF-TOMORROW", 401)):
        assert (await post(client, body, sign=sign(body, key)))[0] == status


async def test_forged_pushes_are_counted_for_the_address_that_a_proxy_names(start: Starter) -> None:
    client = await start(
        PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN=TOKEN,
        PARCELWIRE_CARRIER_SEVENTEENTRACK_URL="inprocess:nobody",
        PARCELWIRE_PROXIES="127.0.0.1/32",
    )
    with structlog.testing.capture_logs() as lines:
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            await post(client, push(), **{"X-Forwarded-For": address})
    refused = [(line["address"], line["count"]) for line in lines if line["event"] == "inbound_refused"]
    assert refused == [("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.1", 2)]


async def test_one_changed_byte_breaks_the_signature(client: Client) -> None:
    body = push()
    assert (await post(client, body.replace(b"Delivered", b"delivered", 1), sign=sign(body, TOKEN)))[0] == 401


async def test_a_signed_push_that_is_not_readable_is_taken_and_parked(client: Client) -> None:
    """Never an error to the sender, who would only try again a few times."""
    for body in (b"", b"{}", b"[1]", b"\xff\xfe", b"<html>", b"[" * 100_000):
        assert (await post(client, body, sign=sign(body, TOKEN)))[0] == 200
    for _ in range(500):
        if (await inbox(client)).get(InboxState.PARKED) == 6:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"not parked: {await inbox(client)}")


async def test_more_than_two_megabytes_are_refused_before_they_are_read(client: Client) -> None:
    body = b"x" * (2 * 1024 * 1024 + 1)
    assert (await post(client, body, sign=sign(body, TOKEN)))[0] == 413
    whole = b'{"a":"' + b"x" * (2 * 1024 * 1024 - 8) + b'"}'
    assert (await post(client, whole, sign=sign(whole, TOKEN)))[0] == 200


async def test_without_a_token_there_is_no_such_address(start: Starter) -> None:
    client = await start()
    body = push()
    assert (await post(client, body, sign=sign(body, "")))[0] == 404


async def test_other_methods_and_sources_are_not_there(client: Client) -> None:
    for method, path in (("GET", PATH), ("POST", "/inbound/fedex"), ("POST", "/inbound/")):
        status, _ = await client.raw(path, b"{}", method=method)
        assert status == 404


async def test_what_was_acknowledged_is_processed_after_a_crash(start: Starter, tmp_path: Path) -> None:
    """The push is in the file when 200 is answered; a start processes what waits."""
    settings = {
        "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN": TOKEN,
        "PARCELWIRE_CARRIER_SEVENTEENTRACK_URL": "inprocess:nobody",
    }
    client = await start(**settings)
    await client.call("register", [{"number": NUMBER, "carrier": 100003}])
    for task in client.service._tasks:
        task.cancel()
    body = push()
    assert (await post(client, body, sign=sign(body, TOKEN)))[0] == 200
    assert await inbox(client) == {InboxState.WAITING: 1}
    await client.service.stop()
    again = await start(**settings)
    item = await shown(again)
    assert item["track_info"]["latest_status"]["status"] == "Delivered"
