"""What is checked before the body of a call has come, and what becomes of the connection then."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from tests.api.conftest import KEY, Client, Starter

BODY = b'[{"number":"SANDBOXJOURNEY1"}]'


class Wire:
    """A connection on which heads and bodies can be sent piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *headers: str, length: int = len(BODY), body: bytes = b"") -> None:
        lines = (
            "POST /track/v2.2/register HTTP/1.1",
            "Host: a",
            f"Content-Length: {length}",
            *headers,
            "",
            "",
        )
        self.writer.write("\r\n".join(lines).encode() + body)

    async def status(self) -> int:
        """Of the next answer, which is read whole."""
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
            await self.reader.readexactly(int(length.partition(":")[2]))
        return int(head.split()[1])

    async def is_closed(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[Wire]:
    """A connection to the service, and its end."""
    host, _, port = client.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    yield Wire(reader, writer)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


GOOD_KEY, BAD_KEY = f"17token: {KEY}", "17token: nobody's"


@pytest.mark.parametrize(
    ("headers", "length", "status"),
    [
        ((), len(BODY), 401),
        ((BAD_KEY,), 900_000, 401),
        ((BAD_KEY,), 3_000_000, 413),
        ((BAD_KEY, "Content-Encoding: gzip"), len(BODY), 415),
    ],
)
async def test_size_comes_first_then_the_key_and_the_body_is_not_waited_for(
    client: Client, headers: Sequence[str], length: int, status: int
) -> None:
    async with connected(client) as wire:
        wire.send(*headers, length=length)
        assert await wire.status() == status


async def test_the_rate_is_checked_before_the_body_has_come(start: Starter) -> None:
    client = await start(PARCELWIRE_RATE_LIMIT="0.1")
    for _ in range(10):
        assert (await client.raw("/track/v2.2/getquota"))[0] == 200
    async with connected(client) as wire:
        wire.send(GOOD_KEY)
        assert await wire.status() == 429


async def test_who_was_refused_and_sends_his_body_all_the_same_can_go_on(client: Client) -> None:
    """His next call on the connection is answered, and its body is not taken for the one before."""
    async with connected(client) as wire:
        for sent in (0, 7, len(BODY)):
            wire.send(BAD_KEY, body=BODY[:sent])
            assert await wire.status() == 401
            wire.writer.write(BODY[sent:])
            wire.send(GOOD_KEY, body=BODY)
            assert await wire.status() == 200
    assert await client.quota_used() == 1


async def test_who_was_refused_and_never_ends_his_body_is_closed(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parcelwire.api.sockets.LINGER_S", 0.2)
    async with connected(await start()) as wire:
        wire.send(BAD_KEY, body=BODY[:3])
        assert await wire.status() == 401
        assert await wire.is_closed()
