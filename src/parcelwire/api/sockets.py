"""Connections: how many there may be, and for how long each may keep us waiting.

aiohttp closes a connection that is idle between two requests. What else holds one is closed here: a head that
does not end, an answer that nobody reads, and whoever has too many. A body has its own time (server.py).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from logging import Logger
from typing import cast

import structlog
from aiohttp import web

from parcelwire.api.callers import trusted
from parcelwire.domain.account import Network

FLUSH_S = 1.0  # for the last bytes of a connection that is being closed
LINGER_S = 3.0  # that a caller may go on sending a refused body, so that it finds the answer
TOLD_S = 60.0  # at most one line in that time about refused connections
PATIENT = ("/api/",)  # answers that last as long as their reader stays, and no longer

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Reasons: honest clients send a head in one packet and read their answer at once. A URL and a header are
    at most 8,190 bytes (aiohttp's own limit)."""

    head_s: float = 10.0  # from the first byte of a head (or a new connection's beginning) to its end
    request_s: float = 35.0  # from the end of the head until the answer is read; Api answers within 30
    idle_s: float = 75.0  # between two requests
    header_bytes: int = 16 * 1024
    url_bytes: int = 8 * 1024
    connections: int = 2_000
    per_address: int = 1_000


def bare(status: int) -> web.Response:
    """An answer of the HTTP layer; the connection ends with it."""
    answer = web.Response(status=status)
    answer.force_close()
    return answer


class _Phase(Enum):
    NEW = "nothing came yet"
    HEAD = "a head is coming"
    BUSY = "a request is being answered"
    IDLE = "between two requests"


class Connection(web.RequestHandler):
    """One connection. While it waits for a head it can be closed to make room for another."""

    def __init__(self, server: "SocketServer", logger: Logger, limits: SocketLimits) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle_s,
            lingering_time=LINGER_S,
            logger=logger,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp is told to keep none
        )
        self.address = ""
        self._server = server
        self._limits = limits
        self._phase = _Phase.NEW
        self._deadline: asyncio.TimerHandle | None = None
        self._begun = 0  # requests whose handler has begun; _request_count: heads that have come
        self._head_size = 0
        self._reading: asyncio.Task[None] | None = None  # what answers a patient request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and give it time for its first head."""
        super().connection_made(transport)
        # An answer counts as read when its last byte has left: a reader that stops keeps the request open.
        cast("asyncio.WriteTransport", transport).set_write_buffer_limits(high=0)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._enter(_Phase.NEW, self._limits.head_s)
        if not self._server.admit(self):
            self.close_now()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it. An answer that waits for news would notice it only when it next has something to say."""
        self._enter(_Phase.BUSY, None)
        self._server.leave(self)
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Measure heads; aiohttp reads them."""
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD, self._limits.head_s)
        elif self._phase is _Phase.NEW:
            self._phase = _Phase.HEAD
        super().data_received(data)
        if self._phase is _Phase.HEAD and self._request_count == self._begun:
            self._head_size += len(data)
            if self._head_size > self._limits.header_bytes + self._limits.url_bytes:
                self._refuse(b"431 Request Header Fields Too Large")

    def begin(self, *, patient: bool) -> None:
        """A head has come whole and its request is being answered."""
        self._begun += 1
        self._head_size = 0
        self._server.busy(self)
        self._reading = asyncio.current_task() if patient else None
        self._enter(_Phase.BUSY, None if patient else self._limits.request_s)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; the next head has its own time."""
        finished = await super().finish_response(request, resp, start_time)
        if request.content.is_eof():
            self._enter(_Phase.IDLE, None)
            self._server.wait(self)
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """What is not HTTP gets a bare status: neither the caller's bytes nor our reason come back."""
        return bare(status)

    def close_now(self) -> None:
        """Close it, whether its last bytes are read or not."""
        transport = self.transport
        self._server.leave(self)
        self.force_close()
        if transport is not None:
            asyncio.get_running_loop().call_later(FLUSH_S, transport.abort)

    def _enter(self, phase: _Phase, within_s: float | None) -> None:
        """Another phase, which may last so long."""
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if within_s is not None:
            self._deadline = asyncio.get_running_loop().call_later(within_s, self._too_late)

    def _too_late(self) -> None:
        if self._phase is _Phase.HEAD:
            self._refuse(b"408 Request Timeout")
        else:
            self.close_now()

    def _refuse(self, status: bytes) -> None:
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        self.close_now()


class SocketServer(web.Server):
    """aiohttp's server with connections of ours. ``proxies`` may have as many as they like."""

    def __init__(
        self,
        handler: Handler,
        logger: Logger,
        limits: SocketLimits | None = None,
        proxies: Sequence[Network] = (),
    ) -> None:
        super().__init__(self._begin)
        self._logger = logger
        self._answer = handler
        self._limits = limits or SocketLimits()
        self._proxies = proxies
        self._open: set[Connection] = set()
        self._of_address: Counter[str] = Counter()
        self._waiting: dict[Connection, None] = {}  # without a request, those first that wait longest
        self._emptied: asyncio.Event | None = None  # there: every answer is the last of its connection
        self._log = structlog.get_logger("parcelwire")
        self._told_at = -TOLD_S

    def __call__(self) -> web.RequestHandler:
        """The connection that the listening socket has accepted."""
        return Connection(self, self._logger, self._limits)

    def admit(self, connection: Connection) -> bool:
        """Whether there is room; one that only waits is closed to make some."""
        address = connection.address
        limits = self._limits
        if self._of_address[address] >= limits.per_address and not trusted(address, self._proxies):
            victim = next((other for other in self._waiting if other.address == address), None)
        elif len(self._open) >= limits.connections:
            victim = next(iter(self._waiting), None)
        else:
            return self._take(connection)
        if victim is None:
            self._tell(address)
            return False
        victim.close_now()
        return self._take(connection)

    async def drain(self, seconds: float) -> None:
        """Until all connections have ended, but no longer: each ends with its next answer, which says so."""
        self._emptied = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._emptied.clear()
                    await self._emptied.wait()

    def wait(self, connection: Connection) -> None:
        """It has no request now."""
        if connection in self._open:
            self._waiting[connection] = None

    def busy(self, connection: Connection) -> None:
        """It has a request."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It no longer counts."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._open.remove(connection)
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]
        if self._emptied is not None:
            self._emptied.set()

    def _take(self, connection: Connection) -> bool:
        self._open.add(connection)
        self._of_address[connection.address] += 1
        self._waiting[connection] = None
        return True

    def _tell(self, address: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= TOLD_S:
            self._told_at = now
            self._log.warning(
                "connections_refused", address=address, open=len(self._open), of_it=self._of_address[address]
            )

    async def _begin(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101
        connection.begin(patient=request.path.startswith(PATIENT))
        if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > self._limits.header_bytes:
            return bare(431)
        answer = await self._answer(request)
        if self._emptied is not None and not answer.prepared:
            answer.force_close()
        return answer
