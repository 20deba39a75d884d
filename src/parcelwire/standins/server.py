"""Puts a stand-in behind real HTTP on the loopback interface, with faults on request; or any handler."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from parcelwire.domain.exchange import Reply, Request
from parcelwire.ports import Clock, StandIn

BODY_MAX = 1_000_000  # bytes of a question; carriers take a few thousand


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one reply. Faults are used up in order, one a request.

    ``delay_s`` before the first byte; ``status`` and ``body`` instead of the stand-in's own; ``cut_at``: the
    connection breaks after that many bytes of the body; ``drip_s``: pause after every byte of the body.
    """

    delay_s: float = 0.0
    status: int | None = None
    body: bytes | None = None
    cut_at: int | None = None
    drip_s: float | None = None


NO_FAULT = Fault()


@asynccontextmanager
async def listening(handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The base URL on 127.0.0.1, on any free port, where ``handle`` answers every request."""
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve(
    stand_in: StandIn,
    clock: Clock,
    faults: deque[Fault] | None = None,
    port: int = 0,
) -> AsyncIterator[str]:
    """The base URL of ``stand_in`` on 127.0.0.1 while the context lasts; port 0 takes any free one."""
    waiting = deque[Fault]() if faults is None else faults

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = Request(
            request.method,
            request.path,
            {name.lower(): value for name, value in request.headers.items()},
            dict(request.query),
            await request.read() or None,
        )
        fault = waiting.popleft() if waiting else NO_FAULT
        if fault.delay_s:
            await clock.sleep(fault.delay_s)
        return await _send(request, stand_in.answer(asked, clock.now()), fault, clock)

    app = web.Application(client_max_size=BODY_MAX)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _send(request: web.Request, reply: Reply, fault: Fault, clock: Clock) -> web.StreamResponse:
    body = reply.body if fault.body is None else fault.body
    response = web.StreamResponse(status=fault.status or reply.status, headers=dict(reply.headers))
    response.content_length = len(body)
    await response.prepare(request)
    if fault.drip_s is not None:
        for position in range(len(body)):
            await response.write(body[position : position + 1])
            await clock.sleep(fault.drip_s)
    elif fault.cut_at is not None:
        await response.write(body[: fault.cut_at])
        await asyncio.sleep(0)  # let the bytes leave before the connection goes
        if request.transport is not None:
            request.transport.close()
        return response
    else:
        await response.write(body)
    await response.write_eof()
    return response
