"""Moving bytes out over HTTP/1.1 and reading answers that may be anything, within limits.

Two users: conversations with carriers (ask.py) and webhooks (push.py). No redirects, no cookies, no
proxy from the environment, TLS verified.
"""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from parcelwire import __version__
from parcelwire.domain.errors import CarrierError, MalformedReply, Unavailable
from parcelwire.domain.exchange import Reply, Request

USER_AGENT = f"parcelwire/{__version__}"
PATH_CHARACTERS = "/%!$&'()*+,;=:@-._~"  # RFC 3986: allowed in a path as they are
LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """How long an answer may take, in seconds, and how large it may be, in bytes."""

    connect_s: float = 5  # name, TCP and TLS; a carrier further away than that is not there
    silence_s: float | None = 10  # until the first byte, and between two; None: the total is enough
    total_s: float = 20  # a third of the lease of a refresh (60 s), so that a token and a retry fit in
    head: int = 64 * 1024
    compressed: int = 1024 * 1024
    body: int = 5 * 1024 * 1024  # decoded: 40 shipments with 100 events each are about 2 MiB


REPLY_LIMITS = ReplyLimits()


def open_session(
    connector: aiohttp.BaseConnector,
    limits: ReplyLimits,
    request_class: type[aiohttp.ClientRequest] = aiohttp.ClientRequest,
) -> aiohttp.ClientSession:
    """A session without any habits of its own. The caller keeps the total time and the size of bodies."""
    return aiohttp.ClientSession(
        connector=connector,
        request_class=request_class,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_s, sock_read=limits.silence_s),
        auto_decompress=False,
        trust_env=False,
        max_line_size=8 * 1024,
        max_field_size=16 * 1024,  # content security policies are long
        headers={"User-Agent": USER_AGENT},
        skip_auto_headers=("Content-Type",),
    )


def target_url(base_url: str, path: str, query: Mapping[str, str]) -> URL:
    """``path`` below ``base_url``. Escapes in the path stay; everything that needs one gets it."""
    if not path.startswith("/"):
        raise ValueError("a request's path begins with a slash")
    below = quote(LONE_PERCENT.sub("%25", path), safe=PATH_CHARACTERS)
    asked = "?" + urlencode(query, quote_via=quote) if query else ""
    return URL(base_url.rstrip("/") + below + asked, encoded=True)


async def at_once() -> None:
    """Nothing has to be waited for."""


_BEFORE: ContextVar[Callable[[], Awaitable[None]]] = ContextVar("_BEFORE")


class _Permitted(aiohttp.ClientRequest):
    """Waits for its permit on an open connection, just before it is written. A kept connection that turns out
    to be closed is replaced by the session, once: the request is written again, with a permit of its own."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if not self.body:
            await _BEFORE.get()()
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """Head and body together, in a task of their own, whose turn a busy loop may put off."""
        if self.body:
            try:
                await _BEFORE.get()()
            except Exception as refused:  # noqa: BLE001  whoever waits for the response gets it
                assert conn.protocol is not None  # noqa: S101
                conn.protocol.set_exception(refused)
                return
        await super().write_bytes(writer, conn, content_length)


class HttpTransport:
    """Sends a carrier's requests over real sockets. Connections are kept until ``close``."""

    def __init__(self, limits: ReplyLimits = REPLY_LIMITS) -> None:
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        base_url: str,
        request: Request,
        total_s: float,
        before: Callable[[], Awaitable[None]] = at_once,
    ) -> Reply:
        """One request, one reply. Raises Unavailable or MalformedReply, and what ``before`` raises, which is
        awaited each time that the request is about to be written."""
        _BEFORE.set(before)
        headers = CIMultiDict(request.headers)
        headers["Accept-Encoding"] = "identity"
        url = target_url(base_url, request.path, request.query)
        try:
            async with (
                asyncio.timeout(min(total_s, self._limits.total_s)),
                self._opened().request(
                    request.method, url, headers=headers, data=request.body, allow_redirects=False
                ) as response,
            ):
                return await self._read(response)
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise carrier_error(error) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # a connector needs the running loop
            # The refresher bounds how many conversations run: a queue here would only eat their time.
            self._session = open_session(aiohttp.TCPConnector(limit=0), self._limits, _Permitted)
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        if sum(len(name) + len(value) + 4 for name, value in response.raw_headers) > self._limits.head:
            raise MalformedReply(f"HTTP {response.status}, head longer than {self._limits.head} bytes")
        if (response.content_length or 0) > self._limits.body:
            raise MalformedReply(f"HTTP {response.status}, body longer than {self._limits.body} bytes")
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
        if encoding == "identity":
            body = await self._read_body(response, self._limits.body)
        elif encoding in ("gzip", "x-gzip", "deflate"):  # some carriers compress though we say not to
            body = inflate(await self._read_body(response, self._limits.compressed), self._limits.body)
        else:
            raise MalformedReply(f"HTTP {response.status}, Content-Encoding is not identity, gzip or deflate")
        return Reply(response.status, _joined(response), body)

    @staticmethod
    async def _read_body(response: aiohttp.ClientResponse, size_max: int) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > size_max:
                response.close()
                raise MalformedReply(f"HTTP {response.status}, body longer than {size_max} bytes")
        return b"".join(chunks)


def _joined(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def inflate(data: bytes, size_max: int) -> bytes:
    """Gzip or zlib data, never unpacking more than one byte beyond ``size_max``. MalformedReply otherwise."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: either header
    try:
        body = unpacker.decompress(data, size_max + 1)
    except zlib.error as error:
        raise MalformedReply("the compressed body is broken") from error
    if len(body) > size_max:
        raise MalformedReply(f"body longer than {size_max} bytes when unpacked")
    if not unpacker.eof:
        raise MalformedReply("the compressed body ends early")
    return body


FAILURES: tuple[tuple[type[Exception], str], ...] = (  # the first that fits
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientConnectorDNSError, "host name not found"),
    (aiohttp.ClientConnectorCertificateError, "TLS certificate not accepted"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.ClientConnectorError, "connection refused"),
    (aiohttp.ClientPayloadError, "the answer was cut"),
    (aiohttp.ClientResponseError, "the answer is not HTTP, or its head is too large"),
    (aiohttp.ServerDisconnectedError, "connection closed without an answer"),
    (OSError, "connection broken"),
    (aiohttp.InvalidURL, "not a URL"),
)


def carrier_error(error: Exception) -> CarrierError:
    """What a failed request means. The text never holds a URL: its query may hold a credential."""
    detail = failure(error)
    if isinstance(error, aiohttp.ClientResponseError):
        return MalformedReply(detail)
    return Unavailable(detail, timed_out=isinstance(error, TimeoutError))


def failure(error: Exception) -> str:
    """A failed request in a few words for people, without URL, headers or addresses."""
    for kind, text in FAILURES:
        if isinstance(error, kind):
            return text
    return type(error).__name__
