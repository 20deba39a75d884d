"""The pull feed: what webhooks tell, for those who rather ask.

    GET /api/v1/events?after=CURSOR&limit=N     one page, oldest first
    GET /api/v1/events/stream                   server-sent events; Last-Event-ID goes on where it broke off

Login key in the header ``17token``. A cursor stands for "everything up to here is known"; cursors grow with
every change of the account. Errors are problem documents (RFC 9457), never the envelope of the wire API.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog
from aiohttp import web

from parcelwire.api.callers import caller_of
from parcelwire.api.keys import Keys, TooFast
from parcelwire.domain.account import Account, Network
from parcelwire.domain.errors import CallerError, StoreBroken, StoreUnavailable
from parcelwire.domain.push import FeedItem
from parcelwire.flows.context import Context

PATH = "/api/v1/events"
STREAM = f"{PATH}/stream"
PROBLEM = "application/problem+json"
LIMIT, LIMIT_MAX = 100, 500  # changes a page
CURSOR_MAX = 2**62
BEAT_S = 15.0  # proxies close what is silent for 30 to 60 s
GAP_S = 0.1  # between two looks of a stream, however much is written meanwhile
LOOK_S = 2.0  # a stream looks again at the latest after this: another process may have written
WRITE_S = 30.0  # a reader that takes nothing for so long is gone
STREAMS_MAX = 1_000
STREAMS_OF_ACCOUNT = 10
RECONNECT_MS = 2_000
RETRY_AFTER_S = 5  # told while the database does not work
_REFUSALS = {
    "account_disabled": "this account is disabled",
    "ip_not_allowed": "your address is not on the allow-list of this account",
}


class Problem(Exception):
    """An answer that is an error. ``title`` is the same for the same status, ``detail`` says what to do."""

    def __init__(self, status: int, title: str, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        """As application/problem+json."""
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else None
        return web.Response(
            status=self.status, body=msgspec.json.encode(body), content_type=PROBLEM, headers=headers
        )


class Feed:
    """Answers what is below /api/. ``wake`` it after commits, ``close`` it before the server stops."""

    def __init__(self, context: Context, keys: Keys, proxies: Sequence[Network] = ()) -> None:
        self._context = context
        self._keys = keys
        self._proxies = proxies
        self._news = asyncio.Event()
        self._closing = False
        self._log = structlog.get_logger("parcelwire")
        self._streams: Counter[int] = Counter()

    def wake(self) -> None:
        """Streams look for news."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    def close(self) -> None:
        """Streams end."""
        self._closing = True
        self.wake()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            if request.path.removesuffix("/") not in (PATH, STREAM):
                raise Problem(404, "Not Found", f"there are {PATH} and {STREAM}")
            if request.method != "GET":
                raise Problem(405, "Method Not Allowed", "only GET is possible")
            account = await self._account(request)
            if request.path.removesuffix("/") == PATH:
                return await self._page(request, account)
            return await self._stream(request, account)
        except Problem as problem:
            return problem.response()
        except StoreUnavailable as error:
            if not isinstance(error, StoreBroken):  # that is told once (loops/telemetry.py)
                self._log.error("store_unavailable", error=str(error))
            return Problem(
                503, "Service Unavailable", "the database does not work now", RETRY_AFTER_S
            ).response()

    async def _account(self, request: web.BaseRequest) -> Account:
        login_key = request.headers.get("17token")
        try:
            return await self._keys.enter(login_key, caller_of(request, self._proxies))
        except TooFast as error:
            raise Problem(429, "Too Many Requests", "slower, please", math.ceil(error.wait_s)) from None
        except CallerError as error:
            why = _REFUSALS.get(error.reason, "no such key")
            raise Problem(401, "Unauthorized", f"{why}: give a login key in the header 17token") from None

    async def _page(self, request: web.BaseRequest, account: Account) -> web.Response:
        after = _whole(request, "after", 0, CURSOR_MAX)
        limit = _whole(request, "limit", LIMIT, LIMIT_MAX, least=1)
        forgotten, newest = await self._context.store.feed_ends(account.id)
        _check_known(after, forgotten, newest)
        items = await self._context.store.feed(account.id, after, limit)
        cursor = items[-1].cursor if items else after
        body = b'{"events":[%b],"cursor":"%d","more":%b}' % (
            b",".join(map(_item, items)),
            cursor,
            b"true" if cursor < newest else b"false",
        )
        return web.Response(body=body, content_type="application/json")

    async def _stream(self, request: web.BaseRequest, account: Account) -> web.StreamResponse:
        forgotten, newest = await self._context.store.feed_ends(account.id)
        after = _whole(request, "after", newest, CURSOR_MAX)
        last = request.headers.get("Last-Event-ID")
        if last is not None:
            after = _number("Last-Event-ID", last, CURSOR_MAX, 0)
        _check_known(after, forgotten, newest)
        if self._streams[account.id] >= STREAMS_OF_ACCOUNT or self._streams.total() >= STREAMS_MAX:
            raise Problem(429, "Too Many Requests", "too many open streams", RETRY_AFTER_S)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
            }
        )  # fmt: skip
        self._streams[account.id] += 1
        try:
            await response.prepare(request)
            await _write(response, b"retry: %d\n\n" % RECONNECT_MS)
            caller = request.headers.get("17token"), caller_of(request, self._proxies)
            await self._follow(response, caller, account, after)
        except (ConnectionError, TimeoutError, CallerError, StoreUnavailable):
            return response  # the reader or its key is gone, or it shall come again
        finally:
            self._streams[account.id] -= 1
        return response

    async def _follow(
        self, response: web.StreamResponse, caller: tuple[str | None, str], account: Account, after: int
    ) -> None:
        """Send what comes until the service stops. ``caller``: login key and address."""
        clock = self._context.clock
        beat_at = clock.monotonic() + BEAT_S
        while not self._closing:
            news = self._news
            await self._keys.account(*caller)  # still one of ours
            items = await self._context.store.feed(account.id, after, LIMIT)
            if items:
                await _write(response, b"".join(map(_event, items)))
                after = items[-1].cursor
            elif clock.monotonic() >= beat_at:
                await _write(response, b": beat\n\n")
            else:
                await _wait(news)
                continue
            beat_at = clock.monotonic() + BEAT_S


async def _wait(news: asyncio.Event) -> None:
    await asyncio.sleep(GAP_S)
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await news.wait()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(data)


def _whole(request: web.BaseRequest, name: str, default: int, most: int, least: int = 0) -> int:
    text = request.query.get(name)
    return default if text is None else _number(name, text, most, least)


def _number(name: str, text: str, most: int, least: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most:
        return int(text)
    raise Problem(400, "Bad Request", f"{name} must be a whole number from {least} to {most}")


def _check_known(after: int, forgotten: int, newest: int) -> None:
    """A reader that would miss something is told so; 0 means: from the oldest that is kept."""
    if 0 < after < forgotten:
        raise Problem(
            410, "Gone", f"changes after {after} were forgotten: read the numbers you follow, then go on "
            "with after=0"
        )  # fmt: skip
    if after > newest:
        raise Problem(400, "Bad Request", f"there is no cursor {after} yet")


def _item(item: FeedItem) -> bytes:
    """The body of the webhook with two more keys in front."""
    return b'{"cursor":"%d","at":"%b",%b' % (item.cursor, _time(item.at), item.body[1:])


def _event(item: FeedItem) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (item.cursor, item.event.value.encode(), item.body)


def _time(at: datetime) -> bytes:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}".encode()
