"""Sends one signed webhook message to a URL given by a user."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial

import aiohttp
from aiohttp.abc import AbstractResolver

from parcelwire.domain.errors import PushError, UrlRefused
from parcelwire.net.client import ReplyLimits, failure, open_session
from parcelwire.net.egress import AddressRefused, Guard, GuardedResolver, Network, ParsedTarget, check_url
from parcelwire.ports import Clock

TOTAL_S = 10.0
PUSH_LIMITS = ReplyLimits(connect_s=3, silence_s=None, total_s=TOTAL_S)
KEEP_ALIVE_S = 4.0  # below the 5 s after which Node.js closes: a message must not meet a closing connection
URLS_KNOWN = 1024
BODY_READ_MAX = 64 * 1024  # read so that the connection can be used again
BODY_KEPT = 2 * 1024
RETRY_AFTER_S = (1.0, 86_400.0)
SLOW_DOWN = (429, 503)  # the answers whose Retry-After counts


@dataclass(frozen=True, slots=True)
class PushReply:
    """The endpoint took the message. ``body_start`` is at most the first 2 KiB of what it said."""

    http_status: int
    ms: int
    body_start: bytes = field(repr=False)


class PushSender:
    """Own connections, apart from the carriers', guarded at every connect. Kept until ``close``.

    ``allow``: networks that the operator allowed; ``tls``: verifies certificates, the system's by default.
    """

    def __init__(
        self,
        clock: Clock,
        allow: Iterable[Network] = (),
        *,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._allow = tuple(allow)
        self._resolver = resolver
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        # Only the text is judged here, for networks that stay the same; addresses are at every connect.
        self._target = lru_cache(URLS_KNOWN)(partial(check_url, allow=self._allow))

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def check(self, url: str) -> None:
        """UrlRefused, with the reason, for a URL that would never be called."""
        self._target(url)

    async def send(
        self, url: str, body: bytes, headers: Mapping[str, str], total_s: float = TOTAL_S
    ) -> PushReply:
        """One attempt. It succeeds with the head of a 2xx answer; raises PushError for everything else."""
        began = self._clock.monotonic()
        try:
            target = self._target(url)
        except UrlRefused as refused:
            raise PushError(f"URL refused: {refused}") from refused
        status, retry_after, start = await self._post(target, body, headers, total_s)
        if not 200 <= status < 300:
            raise PushError(
                f"HTTP {status}, redirects are not followed" if 300 <= status < 400 else f"HTTP {status}",
                http_status=status,
                retry_after_s=retry_after_s(retry_after, self._clock.now()) if retry_after else None,
                body_start=start,
            )
        return PushReply(status, round((self._clock.monotonic() - began) * 1000), start)

    async def _post(
        self, target: ParsedTarget, body: bytes, headers: Mapping[str, str], total_s: float
    ) -> tuple[int, str, bytes]:
        start = bytearray()
        status, retry_after = 0, ""
        try:
            async with self._session(target.plain).post(
                target.url, data=body, headers=headers, allow_redirects=False, timeout=_timeout(total_s)
            ) as response:
                status = response.status
                if status in SLOW_DOWN:
                    retry_after = response.headers.get("Retry-After", "")
                if not response.content.at_eof():  # most say nothing
                    await _read_start(response, start)
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            if not status:  # with a head, the message has arrived: the rest of the answer does not matter
                raise PushError(_detail(error)) from error
        return status, retry_after, bytes(start)

    def _session(self, plain: bool) -> aiohttp.ClientSession:
        """One for https, one for http: they are guarded differently."""
        if plain not in self._sessions:
            guard = Guard(self._allow, plain=plain)
            connector = aiohttp.TCPConnector(
                limit=0,  # the pusher bounds how many run; a queue here would let one endpoint delay another
                keepalive_timeout=KEEP_ALIVE_S,
                resolver=GuardedResolver(guard, self._resolver or aiohttp.ThreadedResolver()),
                use_dns_cache=False,  # every connect asks anew
                socket_factory=guard.open_socket,
                ssl=self._tls or True,
            )
            self._sessions[plain] = open_session(connector, PUSH_LIMITS)
        return self._sessions[plain]


@lru_cache(URLS_KNOWN)
def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    """Exact: the library rounds long ones up to whole seconds unless told not to."""
    return aiohttp.ClientTimeout(
        total=total_s, connect=PUSH_LIMITS.connect_s, ceil_threshold=2 * total_s + 60
    )


async def _read_start(response: aiohttp.ClientResponse, start: bytearray) -> None:
    read = 0
    async for chunk in response.content.iter_any():
        start += chunk[: BODY_KEPT - len(start)]
        read += len(chunk)
        if read > BODY_READ_MAX:
            response.close()
            return


def _detail(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return str(cause) if isinstance(cause, AddressRefused) else failure(error)


def retry_after_s(text: str, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, either form, kept to 1 s .. 24 h. None: it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        wait_s = float(text[:12])
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        wait_s = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(wait_s, RETRY_AFTER_S[0]), RETRY_AFTER_S[1])
