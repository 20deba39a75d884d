"""Silent, dripping and greedy connections are closed; honest calls do not notice. Times are short here."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web

from parcelwire.api import server
from parcelwire.api.server import check_head, read_body
from parcelwire.api.sockets import SocketLimits, SocketServer
from parcelwire.domain.errors import CallerError
from parcelwire.net.clock import SystemClock

SHORT = SocketLimits(head_s=0.4, request_s=0.8, idle_s=1.2)
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = bytes(32 * 1024 * 1024)
Reads = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[..., Awaitable[Reads]]


async def answer(request: web.BaseRequest) -> web.Response:
    """What Api does, without the rest of it."""
    if request.path == "/big":
        return web.Response(body=BIG)
    try:
        check_head(request)
        body = await read_body(request)
    except CallerError as error:
        return web.Response(status=408 if error.reason == "too_slow" else 413)
    return web.Response(body=body or b"fine")


@asynccontextmanager
async def listening(limits: SocketLimits, **more: object) -> AsyncIterator[tuple[Open, SocketServer]]:
    """A server with these limits; a function that opens a connection from a loopback address."""
    made = SocketServer(answer, logging.getLogger("quiet"), limits, **more)  # type: ignore[arg-type]
    runner = web.ServerRunner(made, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    writers: list[asyncio.StreamWriter] = []

    async def connect(source: str = "127.0.0.1") -> Reads:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        writers.append(writer)
        return reader, writer

    try:
        yield connect, made
    finally:
        for writer in writers:
            writer.close()
        await runner.cleanup()


async def closed_after(reader: asyncio.StreamReader) -> tuple[float, bytes]:
    """Seconds until the other end closed, and what came until then."""
    clock = SystemClock()
    begun, got = clock.monotonic(), b""
    try:
        async with asyncio.timeout(10):
            while chunk := await reader.read(65536):
                got += chunk
    except ConnectionError:
        pass
    return clock.monotonic() - begun, got


async def drip(writer: asyncio.StreamWriter, data: bytes, gap_s: float) -> None:
    """One byte after the other, until somebody closes."""
    try:
        for place in range(len(data)):
            writer.write(data[place : place + 1])
            await writer.drain()
            await asyncio.sleep(gap_s)
    except ConnectionError:
        pass


async def test_who_says_nothing_is_closed() -> None:
    async with listening(SHORT) as (connect, made):
        reader, _ = await connect()
        after, got = await closed_after(reader)
        assert 0.3 < after < 1
        assert got == b""
        assert not made._open
        assert not made._waiting


@pytest.mark.parametrize("begun", [b"POST /", b"GET /x HTTP/1.1\r\nHost: a\r\nX: "])
async def test_a_head_that_never_ends_is_closed_also_while_it_drips(begun: bytes) -> None:
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        writer.write(begun)
        dripping = asyncio.create_task(drip(writer, b"y" * 200, 0.05))
        after, got = await closed_after(reader)
        assert after < 1
        assert got.startswith(b"HTTP/1.1 408 ") or got == b""
        dripping.cancel()


async def test_a_body_that_drips_is_answered_in_time_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_S", 0.3)
    monkeypatch.setattr("parcelwire.api.sockets.LINGER_S", 0.2)
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        writer.write(POST % 100)
        dripping = asyncio.create_task(drip(writer, b"y" * 100, 0.05))
        after, got = await closed_after(reader)
        assert after < 1
        assert got.startswith(b"HTTP/1.1 408 ")
        dripping.cancel()


async def test_an_answer_that_nobody_reads_is_dropped() -> None:
    """Bytes that cannot leave hold neither the request nor the connection."""
    async with listening(SHORT) as (connect, made):
        _, writer = await connect()
        sock = writer.get_extra_info("socket")
        assert sock is not None
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET.replace(b"/x", b"/big"))
        await asyncio.sleep(0.3)
        assert len(made._open) == 1
        await asyncio.sleep(2)
        assert not made._open
        assert not made.connections


async def test_between_two_requests_there_is_time_and_then_the_connection_ends() -> None:
    """Later requests have their own time: one is sent after more than the time of a head."""
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        for _ in range(2):
            writer.write(POST % 5 + b"hello")
            await reader.readuntil(b"hello")
            await asyncio.sleep(0.7)
        after, _ = await closed_after(reader)
        assert after < 1
        reader, writer = await connect()
        writer.write(GET)
        await reader.readuntil(b"fine")
        writer.write(b"GET /x")  # the next head begins and does not end
        after, got = await closed_after(reader)
        assert 0.3 < after < 1
        assert got.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"u" * 9000), b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"v" * 9000), b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %b\r\n" % (b"v" * 1000) * 17 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %b\r\n" % (b"v" * 1000) * 40, b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_request_of_ours_gets_a_bare_status(head: bytes, status: bytes) -> None:
    """Nothing of the caller's bytes comes back, and the connection ends."""
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        writer.write(head)
        _, got = await closed_after(reader)
        top, _, body = got.partition(b"\r\n\r\n")
        assert top.split()[1] == status
        assert body in (b"", b"%b: Bad Request" % status)


async def test_a_large_body_in_many_packets_is_no_large_head() -> None:
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        for _ in range(2):
            writer.write(POST % 900_000)
            for _ in range(9):
                writer.write(b"z" * 100_000)
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(900_000) == b"z" * 900_000


async def test_pipelined_requests_are_all_answered() -> None:
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        writer.write((POST % 50_000 + b"z" * 50_000) * 8)
        for _ in range(8):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(50_000)


async def test_a_refused_body_that_is_still_being_sent_does_not_hide_the_answer() -> None:
    async with listening(SHORT) as (connect, _):
        reader, writer = await connect()
        writer.write(POST % 3_000_000)
        sending = asyncio.create_task(drip(writer, b"z" * 30, 0.01))
        got = await reader.readuntil(b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 413 ")
        await sending


async def test_an_address_that_has_too_many_loses_those_that_wait_longest() -> None:
    """Its newest call is served, other addresses lose nothing; it is refused when all have requests."""
    limits = SocketLimits(per_address=3)
    async with listening(limits) as (connect, made):
        stranger, _ = await connect("127.0.0.2")
        waiting = [await connect() for _ in range(3)]
        await asyncio.sleep(0.05)
        reader, writer = await connect()
        writer.write(GET)
        await reader.readuntil(b"fine")
        after, _ = await closed_after(waiting[0][0])
        assert after < 0.5
        assert not stranger.at_eof()
        assert len(made._open) == 4
        for _, one in [*waiting[1:], (reader, writer)]:
            one.write(POST % 10)  # all have a request under way now
        await asyncio.sleep(0.05)
        refused, _ = await connect()
        after, got = await closed_after(refused)
        assert after < 0.5
        assert got == b""


async def test_the_whole_number_is_bounded_too_and_a_proxy_of_ours_may_have_many() -> None:
    limits = SocketLimits(connections=5, per_address=2)
    async with listening(limits, proxies=(ip_network("127.0.0.3"),)) as (connect, made):
        oldest, _ = await connect("127.0.0.2")
        for _ in range(4):
            await connect("127.0.0.3")
        await asyncio.sleep(0.05)
        assert len(made._open) == 5
        reader, writer = await connect("127.0.0.3")
        writer.write(GET)
        await reader.readuntil(b"fine")
        after, _ = await closed_after(oldest)
        assert after < 0.5
        assert len(made._open) == 5


async def test_who_resets_the_connection_in_the_middle_is_forgotten() -> None:
    async with listening(SocketLimits()) as (connect, made):
        for begun in (b"", b"POST /x", POST % 100 + b"abc", GET.replace(b"/x", b"/big")):
            _, writer = await connect()
            writer.write(begun)
            await writer.drain()
            await asyncio.sleep(0.02)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # linger 0: RST
            writer.transport.abort()
        await asyncio.sleep(0.2)
        assert not made._open
        assert not made._waiting
        assert not made._of_address


async def test_silent_and_dripping_sockets_do_not_slow_an_honest_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The small version of bench/sockets.py: 60 of them, all closed, no call above a second."""
    monkeypatch.setattr(server, "BODY_S", 0.5)
    monkeypatch.setattr("parcelwire.api.sockets.LINGER_S", 0.2)
    clock = SystemClock()
    async with listening(SHORT) as (connect, made):
        bad = [await connect() for _ in range(60)]
        drips = []
        for place, (_, writer) in enumerate(bad):
            if place % 3 == 1:
                drips.append(asyncio.create_task(drip(writer, GET * 9, 0.1)))
            elif place % 3 == 2:
                writer.write(POST % 1000)
                drips.append(asyncio.create_task(drip(writer, b"y" * 1000, 0.1)))
        slowest = 0.0
        for _ in range(20):
            begun = clock.monotonic()
            reader, writer = await connect()
            writer.write(GET)
            await reader.readuntil(b"fine")
            writer.close()
            slowest = max(slowest, clock.monotonic() - begun)
            await asyncio.sleep(0.05)
        await asyncio.gather(*(closed_after(reader) for reader, _ in bad))
        for task in drips:
            task.cancel()
        assert slowest < 1
        assert not made._open
