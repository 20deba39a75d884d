"""The HTTP server. Whatever bytes arrive, the answer is the envelope, or a bare 4xx of the HTTP layer.

Order of checks: size and encoding, login key, rate, then the body.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from parcelwire import __version__
from parcelwire.api.feed import Feed
from parcelwire.api.keys import Keys
from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError, StoreUnavailable
from parcelwire.flows.context import Context
from parcelwire.flows.read import quota, track_info
from parcelwire.flows.realtime import real_time
from parcelwire.flows.register import register
from parcelwire.flows.stop import stop
from parcelwire.wire.v22 import failure

BODY_MAX = 1024 * 1024  # 40 of the fullest items are about 100 KB
BODY_S = 15.0  # to receive a body: a dripping socket holds nothing for longer
RETRY_AFTER_S = 5  # told to callers while the database cannot write
JSON = "application/json"
PREFIX = "/track/v2.2/"

Endpoint = Callable[[Context, Account, bytes], Awaitable[bytes]]
Owner = Callable[[web.BaseRequest], Awaitable[web.Response]]


async def _quota(context: Context, account: Account, _body: bytes) -> bytes:
    return await quota(context, account)


ENDPOINTS: dict[str, Endpoint] = {
    "register": register,
    "gettrackinfo": track_info,
    "getrealtimetrackinfo": real_time,
    "stoptrack": stop,
    "getquota": _quota,
}


class Api:
    """One handler for all requests. ``owner`` answers what is below /owner/ (api/owner.py), ``feed`` what is
    below /api/."""

    def __init__(self, context: Context, rate: float, owner: Owner) -> None:
        self._context = context
        self._keys = Keys(context, rate)
        self.feed = Feed(context, self._keys)
        self._rate = rate
        self._owner = owner
        self._log = structlog.get_logger("parcelwire")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._answer(request)
        except CallerError as error:
            return _failed(error)
        except StoreUnavailable as error:
            self._log.error("store_unavailable", error=str(error))
            return _failed(CallerError("unavailable"), RETRY_AFTER_S)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  the caller gets the envelope, the log the reason
            self._log.exception("request_failed", path=request.path, error=type(error).__name__)
            return _failed(CallerError("internal"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path == "/healthz":
            return web.json_response({"status": "ok", "version": __version__})
        if path == "/readyz":
            await self._context.store.accounts()
            return web.json_response({"status": "ready"})
        if path.startswith("/owner/"):
            return await self._owner(request)
        if path.startswith("/api/"):
            return await self.feed.handle(request)
        endpoint = self._endpoint(request.method, path)
        if endpoint is None:
            raise CallerError("not_found")
        body = await read_body(request)
        login_key = request.headers.get("17token")
        account = await self._keys.account(login_key)
        wait_s = self._keys.wait_s(login_key or "")
        if wait_s:
            return _failed(CallerError("too_fast", limit=f"{self._rate:g}"), math.ceil(wait_s))
        answer = await endpoint(self._context, account, body)
        return web.Response(body=answer, content_type=JSON)

    def _endpoint(self, method: str, path: str) -> Endpoint | None:
        """Case does not matter, and one slash at the end is allowed."""
        lower = path.lower()
        if method != "POST" or not lower.startswith(PREFIX):
            return None
        return ENDPOINTS.get(lower[len(PREFIX) :].removesuffix("/"))


async def read_body(request: web.BaseRequest) -> bytes:
    """The body, bounded in size and time."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise CallerError("encoded")
    if request.content_length is not None and request.content_length > BODY_MAX:
        raise CallerError("too_large", limit=str(BODY_MAX))
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise CallerError("too_slow") from None
    except web.HTTPRequestEntityTooLarge:
        raise CallerError("too_large", limit=str(BODY_MAX)) from None


def _failed(error: CallerError, retry_after_s: int | None = None) -> web.Response:
    status, body = failure(error)
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else None
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)
