"""A carrier's server in a process of its own, which knows when each request arrived.

As the kernel stamped its first bytes: however late this process came to read them, and with nothing forgiven.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from faults.figure import Missing

from parcelwire.domain.exchange import Request
from parcelwire.domain.limits import Limits

SO_TIMESTAMPNS = 35  # of Linux; the socket module has no name for it
ROUNDING = 1e-6  # of seconds since the epoch in a float

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter, float], Awaitable[None]]


def beyond(times: Sequence[float], limits: Limits) -> int:
    """Calls that the bucket of these limits would not have let through."""
    rate = limits.per_s or 0.0
    tokens, last, refused = float(limits.burst), None, 0
    for at in sorted(times):
        tokens = min(limits.burst, tokens + (0 if last is None else (at - last) * rate))
        last = at
        if tokens < 1 - ROUNDING * max(1.0, rate):
            refused += 1
        else:
            tokens -= 1
    return refused


@asynccontextmanager
async def stamping(handle: Handle) -> AsyncIterator[str]:
    """Serves one request on each connection, with the time of its arrival; answers the address."""
    loop = asyncio.get_running_loop()
    door = socket.socket()
    try:
        door.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # whatever it accepts stamps, too
    except OSError as error:
        raise Missing("a kernel that stamps what it receives: run it on Linux") from error
    door.bind(("127.0.0.1", 0))
    door.listen(1024)
    door.setblocking(False)
    tasks: set[asyncio.Task[None]] = set()

    async def accept() -> None:
        while True:
            connection, _ = await loop.sock_accept(door)
            task = asyncio.create_task(_serve(connection, handle))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    accepting = asyncio.create_task(accept())
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        for task in (accepting, *tasks):
            task.cancel()
        await asyncio.gather(accepting, *tasks, return_exceptions=True)
        door.close()


async def _serve(connection: socket.socket, handle: Handle) -> None:
    connection.setblocking(False)
    try:
        at = await _arrival(connection)
        reader, writer = await asyncio.open_connection(sock=connection)
    except OSError:  # it went away again
        connection.close()
        return
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await handle(reader, writer, at)
        await writer.drain()
    writer.close()


async def _arrival(connection: socket.socket) -> float:
    """When the first bytes came, in seconds since the epoch."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    _, notes, *_ = connection.recvmsg(1, 64, socket.MSG_PEEK)
    for _, kind, data in notes:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data)
            return float(seconds + nanoseconds / 1e9)
    raise ConnectionAbortedError("closed without a byte")


async def request_of(reader: asyncio.StreamReader) -> Request:
    """What is asked; header names in lower case."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    asked = urlsplit(target)
    return Request(method, unquote(asked.path), headers, dict(parse_qsl(asked.query)), body or None)


async def obey(pipe: Connection, answer: Callable[[Any], Any]) -> None:
    """Answer what comes through the pipe, until the other side closes it."""
    with suppress(EOFError):
        while True:
            pipe.send(answer(await asyncio.to_thread(pipe.recv)))
