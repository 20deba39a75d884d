"""The loopback server: real HTTP, with faults."""

from collections import deque
from datetime import datetime

import aiohttp
import pytest
from tests.clocks import SetClock

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins import stand_ins
from parcelwire.standins.server import Fault, serve


class Echo:
    """Says what it was asked."""

    slug = "echo"

    def answer(self, request: Request, now: datetime) -> Reply:
        words = f"{request.method} {request.path} {dict(request.query)} {request.body!r} {now:%H:%M}"
        headers = {"content-type": "text/plain", "x-key": request.headers.get("x-key", "")}
        return Reply(207, headers, words.encode())


async def test_a_request_arrives_whole_and_the_reply_comes_back() -> None:
    async with serve(Echo(), SetClock()) as base_url, aiohttp.ClientSession() as session:
        asked = session.post(f"{base_url}/a/b", params={"q": "ä 1"}, headers={"X-Key": "7"}, data=b"body")
        async with asked as response:
            assert await response.text() == "POST /a/b {'q': 'ä 1'} b'body' 12:00"
            assert (response.status, response.headers["X-Key"]) == (207, "7")
    assert base_url.startswith("http://127.0.0.1:")


async def test_faults_come_in_order_and_then_all_is_well() -> None:
    faults = deque([Fault(status=503), Fault(body=b"garbage"), Fault(drip_s=0.5), Fault(delay_s=60)])
    clock = SetClock()
    seen = []
    async with serve(Echo(), clock, faults) as base_url, aiohttp.ClientSession() as session:
        for _ in range(5):
            async with session.get(f"{base_url}/") as response:
                seen.append((response.status, (await response.text())[:7], clock.passed_s))
    assert seen == [
        (503, "GET / {", 0),
        (207, "garbage", 0),
        (207, "GET / {", 9.5),  # 19 bytes
        (207, "GET / {", 69.5),
        (207, "GET / {", 69.5),
    ]


async def test_a_cut_body_is_a_broken_connection() -> None:
    """Never an answer that is merely short."""
    faults = deque([Fault(cut_at=5)])
    async with serve(Echo(), SetClock(), faults) as base_url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(f"{base_url}/") as response:
                await response.read()


@pytest.mark.parametrize("slug", stand_ins())
async def test_every_stand_in_refuses_an_unknown_address(slug: str) -> None:
    stand_in = stand_ins()[slug]()
    assert stand_in.slug == slug
    reply = stand_in.answer(Request("GET", "/nowhere"), SetClock().now())
    assert 400 <= reply.status < 500
