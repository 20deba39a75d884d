"""Fifty and more ways in which a carrier's server goes wrong, over real sockets.

A mode gets the connection, the good answer (bytes of JSON) and the parcels asked about, and writes whatever
it likes. The connection is closed afterwards.
"""

import asyncio
import gzip
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

Writer = asyncio.StreamWriter
Items = list[dict[str, Any]]
Mode = Callable[[Writer, Items], Awaitable[None]]

CHUNK = b"x" * 65_536
BOMB_CHUNKS = 800  # 50 MiB
DRIP_S = 0.5


def head(status: int, length: int | None, *lines: str) -> bytes:
    """The head of an answer."""
    given = [f"HTTP/1.1 {status} Because", "Content-Type: application/json", "Connection: close", *lines]
    if length is not None:
        given.append(f"Content-Length: {length}")
    return ("\r\n".join(given) + "\r\n\r\n").encode()


def body_of(items: Items) -> bytes:
    """The good answer."""
    return json.dumps({"shipments": items}).encode()


def status(code: int, *lines: str, body: bytes = b'{"error": "no"}') -> Mode:
    """Another status."""

    async def mode(writer: Writer, _: Items) -> None:
        writer.write(head(code, len(body), *lines) + body)

    return mode


def said(body: bytes, *lines: str) -> Mode:
    """200 with another body."""
    return status(200, *lines, body=body)


def changed(change: Callable[[Items], object]) -> Mode:
    """A good answer about something else."""

    async def mode(writer: Writer, items: Items) -> None:
        body = json.dumps(change(items)).encode()
        writer.write(head(200, len(body)) + body)

    return mode


def events(change: Callable[[Items], Items], **others: object) -> Mode:
    """A good answer whose events are other ones."""
    return changed(
        lambda items: {
            "shipments": [{**item, "events": change(item.get("events", [])), **others} for item in items]
        }
    )


def raw(data: bytes) -> Mode:
    """These bytes, and the end."""

    async def mode(writer: Writer, _: Items) -> None:
        writer.write(data)

    return mode


async def hang(writer: Writer, _: Items) -> None:
    """Not a byte."""
    await writer.drain()
    await asyncio.sleep(60)


async def hang_after_head(writer: Writer, items: Items) -> None:
    """The head, then nothing."""
    writer.write(head(200, len(body_of(items))))
    await writer.drain()
    await asyncio.sleep(60)


async def slow(writer: Writer, items: Items) -> None:
    """Right, after three seconds."""
    await asyncio.sleep(3)
    writer.write(head(200, len(body_of(items))) + body_of(items))


async def drip(writer: Writer, items: Items) -> None:
    """A byte now and then."""
    for byte in head(200, len(body_of(items))) + body_of(items):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(DRIP_S)


async def cut(writer: Writer, items: Items) -> None:
    """Half of what was announced."""
    body = body_of(items)
    writer.write(head(200, len(body)) + body[: len(body) // 2])


async def cut_chunked(writer: Writer, items: Items) -> None:
    """The last chunk never comes."""
    body = body_of(items)[:30]
    writer.write(head(200, None, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(body), body))


async def reset(writer: Writer, _: Items) -> None:
    """Connection reset instead of an answer."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.sleep(0)


async def reset_inside(writer: Writer, items: Items) -> None:
    """Connection reset in the middle."""
    await cut(writer, items)
    await writer.drain()
    await reset(writer, items)


async def flood(writer: Writer, lines: tuple[str, ...], length: int | None, chunk: bytes) -> None:
    """More than anybody can want."""
    writer.write(head(200, length, *lines))
    for _ in range(BOMB_CHUNKS):
        writer.write(chunk)
        await writer.drain()


async def bomb(writer: Writer, _: Items) -> None:
    """50 MiB."""
    await flood(writer, (), BOMB_CHUNKS * len(CHUNK), CHUNK)


async def endless(writer: Writer, _: Items) -> None:
    """Chunk after chunk."""
    await flood(writer, ("Transfer-Encoding: chunked",), None, b"%x\r\n" % len(CHUNK) + CHUNK + b"\r\n")


def redirect(code: int, target: str) -> Mode:
    """Somewhere else."""
    return status(code, f"Location: {target}")


def _far(items: Items) -> Items:
    return [{**item, "time": "2099-01-01T00:00:00+00:00", "text": "from the future"} for item in items]


def _numbered(items: Items, change: Callable[[str], str]) -> dict[str, Items]:
    return {"shipments": [{**item, "number": change(item["number"])} for item in items]}


@cache
def gzip_bomb() -> bytes:
    """100 MB when unpacked."""
    return gzip.compress(bytes(100_000_000), 9)


@cache
def deflate_bomb() -> bytes:
    """50 MB when unpacked."""
    return zlib.compress(bytes(50_000_000))


def packed(make: Callable[[], bytes], encoding: str) -> Mode:
    """A body that is packed once it is wanted: only the process that serves it has it in its memory."""

    async def mode(writer: Writer, items: Items) -> None:
        await said(make(), f"Content-Encoding: {encoding}")(writer, items)

    return mode


MANY = [{"code": "TR", "time": f"2026-03-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z", "text": f"no {n}"}
        for n in range(20_000)]  # fmt: skip

MODES: dict[str, Mode] = {
    **{f"status {code}": status(code) for code in (
        204, 206, 400, 401, 403, 404, 405, 408, 409, 410, 418, 422, 451, 500, 501, 502, 503, 504, 520, 599
    )},
    "429": status(429),
    "429 with a pause": status(429, "Retry-After: 2"),
    "429 with a date": status(429, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"),
    "503 with a pause": status(503, "Retry-After: 2"),
    "redirect away": redirect(302, "http://127.0.0.1:1/"),
    "redirect to itself": redirect(307, "/v1/shipments"),
    "redirect for ever": redirect(301, ""),
    "hang": hang,
    "hang after the head": hang_after_head,
    "slow": slow,
    "drip": drip,
    "cut": cut,
    "cut, chunked": cut_chunked,
    "reset": reset,
    "reset inside": reset_inside,
    "closed at once": raw(b""),
    "50 MiB": bomb,
    "endless": endless,
    "gzip bomb": packed(gzip_bomb, "gzip"),
    "gzip, not really": said(b"plain", "Content-Encoding: gzip"),
    "gzip, cut": said(gzip.compress(b"{}" * 99)[:-9], "Content-Encoding: gzip"),
    "deflate bomb": packed(deflate_bomb, "deflate"),
    "unknown encoding": said(b"\x1b\x01", "Content-Encoding: br"),
    "huge head": raw(head(200, 0, *(f"X-{n}: {'y' * 8000}" for n in range(40)))),
    "many header lines": raw(head(200, 0, *(f"X-{n}: 1" for n in range(20_000)))),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.7\r\n"),
    "bad chunk size": raw(head(200, None, "Transfer-Encoding: chunked") + b"zz\r\nhello\r\n"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}1234567"),
    "empty body": said(b""),
    "null": said(b"null"),
    "a list": said(b"[]"),
    "a number": said(b"1e999"),
    "HTML": said(b"<html><body>Please verify that you are human</body></html>"),
    "not UTF-8": said(b'{"shipments": "\xff\xfe"}'),
    "UTF-16": said('{"shipments": []}'.encode("utf-16")),
    "NaN": said(b'{"shipments": NaN}'),
    "deep": said(b"[" * 200_000),
    "long number": said(b'{"shipments": ' + b"9" * 100_000 + b"}"),
    "lone surrogate": said(b'{"shipments": [{"number": "\\ud800", "result": 200, "events": []}]}'),
    "wrong types": said(b'{"shipments": [{"number": 5, "result": "x", "events": {"a": 1}}, null, 7]}'),
    "another number": changed(lambda items: _numbered(items, lambda number: number + "9")),
    "numbers shifted": changed(lambda items: {"shipments": [
        {**items[at - 1], "number": f"{item['number']}X"} for at, item in enumerate(items)
    ]}),
    "a number missing": changed(lambda items: {"shipments": items[1:]}),
    "a number too many": changed(lambda items: {"shipments": [*items, {"number": "X", "result": 200}]}),
    "not known any more": changed(lambda items: {"shipments": [
        {"number": item["number"], "result": 404} for item in items
    ]}),
    "events gone": events(lambda _: []),
    "newest events gone": events(lambda known: known[1:], current=None),
    "only the newest": events(lambda known: known[:1]),
    "events in any order": events(lambda known: known[::-1] + known),
    "status goes back": events(lambda known: known, current="IR"),
    "no times": events(lambda known: [{**event, "time": None} for event in known]),
    "events are numbers": events(lambda _: [{"code": 5, "time": 17, "text": ["x"], "place": "here"}]),
    "20,000 events": events(lambda known: [*known, *MANY]),
    "from the future": events(_far),
}  # fmt: skip
