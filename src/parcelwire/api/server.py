"""The HTTP server. Whatever bytes arrive, the answer is the envelope, or a bare 4xx of the HTTP layer.

Order of checks: size and encoding as the head tells them, login key and rate, the body (bounded in size and
time), items. Who is refused is answered at once; a body that comes all the same is dropped for a few seconds,
then the connection ends (sockets.py).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiohttp import web

from parcelwire import __version__
from parcelwire.api.callers import UnknownProxies, caller_of, trusted
from parcelwire.api.feed import Feed
from parcelwire.api.inbound import PREFIX as INBOUND
from parcelwire.api.keys import Keys, TooFast
from parcelwire.api.pages import Pages
from parcelwire.api.sockets import PATIENT
from parcelwire.domain.account import Account, Network
from parcelwire.domain.errors import CallerError, StoreBroken, StoreUnavailable
from parcelwire.flows.amend import change_carrier, change_info, delete
from parcelwire.flows.context import Context
from parcelwire.flows.metrics import CONTENT_TYPE
from parcelwire.flows.push import push_again
from parcelwire.flows.read import quota, track_info
from parcelwire.flows.realtime import real_time
from parcelwire.flows.register import register
from parcelwire.flows.repeats import answer_once, keyed
from parcelwire.flows.stop import retrack, stop
from parcelwire.flows.tracklist import track_list
from parcelwire.wire.codes import ERRORS
from parcelwire.wire.v22 import failure
from parcelwire.wire.versions import VERSIONS, Version

BODY_MAX = 1024 * 1024  # 40 of the fullest items are about 100 KB
BODY_S = 15.0  # to receive a body: a dripping socket holds nothing for longer
REQUEST_S = 30.0  # for a whole request; a carrier that is asked meanwhile has less (REAL_TIME_S in app.py)
RETRY_AFTER_S = 5  # told to callers while the database cannot write
IN_FLIGHT_S = 2  # told to who repeats a call that is under way
JSON = "application/json"
PREFIX = "/track/"

Endpoint = Callable[[Context, Account, bytes, Version], Awaitable[bytes]]
Unversioned = Callable[[Context, Account, bytes], Awaitable[bytes]]
Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


async def _quota(context: Context, account: Account, _body: bytes) -> bytes:
    return await quota(context, account)


def _alike(flow: Unversioned) -> Endpoint:
    """An endpoint whose answer is the same in every version."""

    async def answer(context: Context, account: Account, body: bytes, _version: Version) -> bytes:
        return await flow(context, account, body)

    return answer


ENDPOINTS: dict[str, Endpoint] = {
    "register": _alike(register),
    "gettrackinfo": track_info,
    "getrealtimetrackinfo": real_time,
    "gettracklist": track_list,
    "stoptrack": _alike(stop),
    "retrack": _alike(retrack),
    "deletetrack": _alike(delete),
    "changecarrier": _alike(change_carrier),
    "changeinfo": _alike(change_info),
    "getquota": _alike(_quota),
    "push": _alike(push_again),
}
READS = ("gettrackinfo", "gettracklist", "getquota")  # a repeat changes nothing: no key is needed


class Api:
    """One handler for all requests. ``owner`` answers what is below /owner/ (api/owner.py), ``inbound`` what
    is below /inbound/ (api/inbound.py), ``feed`` what is below /api/ (api/feed.py). ``proxies``: who is
    believed about where a call comes from. ``monitors``: who may read /metrics."""

    def __init__(
        self,
        context: Context,
        rate: float,
        owner: Handler,
        inbound: Handler,
        proxies: Sequence[Network] = (),
        monitors: Sequence[Network] = (),
    ) -> None:
        self._context = context
        self._monitors = monitors
        self._keys = Keys(context, rate)
        self.feed = Feed(context, self._keys, proxies)
        self._pages = Pages(context)
        self._proxies = proxies
        self._unknown_proxies = UnknownProxies(proxies)
        self._owner = owner
        self._inbound = inbound
        self._log = structlog.get_logger("parcelwire")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, and count it."""
        began = self._context.clock.monotonic()
        self._unknown_proxies.look(request)
        try:
            async with asyncio.timeout(None if request.path.startswith(PATIENT) else REQUEST_S):
                response, code = await self._answer(request), 0
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  the caller gets the envelope, the log the reason
            failed, retry_after_s = self._failure(request, error)
            response, code = _failed(failed, retry_after_s), ERRORS[failed.reason].code
        endpoint = _kind(request.path)
        meters = self._context.meters
        meters.count("requests_total", endpoint, str(response.status), str(code))
        meters.count("request_seconds_total", endpoint, by=self._context.clock.monotonic() - began)
        return response

    def _may_monitor(self, request: web.BaseRequest) -> bool:
        """Behind a proxy that we do not know everybody seems to be a neighbour."""
        unknown_proxy = "X-Forwarded-For" in request.headers and not self._proxies
        return not unknown_proxy and trusted(caller_of(request, self._proxies), self._monitors)

    async def _metrics(self) -> web.Response:
        context, bought = self._context, self._context.routes.upstream
        upstream = bought.source.slug if bought else None
        body = await context.meters.exposition(context.store, upstream, context.clock.now())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    def _failure(self, request: web.BaseRequest, error: Exception) -> tuple[CallerError, int | None]:
        """What the caller is told, and after how many seconds to come again."""
        if isinstance(error, TimeoutError):
            self._log.error("request_too_long", path=request.path)
            return CallerError("unavailable"), RETRY_AFTER_S
        if isinstance(error, TooFast):
            return error, math.ceil(error.wait_s)
        if isinstance(error, CallerError):
            return error, IN_FLIGHT_S if error.reason == "key_in_flight" else None
        if isinstance(error, StoreUnavailable):
            if not isinstance(error, StoreBroken):  # that is told once (loops/telemetry.py)
                self._log.error("store_unavailable", error=str(error))
            return CallerError("unavailable"), RETRY_AFTER_S
        self._log.exception("request_failed", path=request.path, error=type(error).__name__)
        return CallerError("internal"), None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path == "/healthz":
            return web.json_response({"status": "ok", "version": __version__})
        if path == "/readyz":
            await self._context.store.ready()
            return web.json_response({"status": "ready"})
        if path == "/metrics" and self._may_monitor(request):
            return await self._metrics()
        if path.startswith("/owner/"):
            return await self._owner(request)
        if path.startswith("/api/"):
            return await self.feed.handle(request)
        if path.startswith(INBOUND):
            return await self._inbound(request)
        page = self._pages.page(request.method, path)
        if page is not None:
            return page
        name, version = _route(request.method, path)
        check_head(request)
        account = await self._keys.enter(request.headers.get("17token"), caller_of(request, self._proxies))
        body = await read_body(request)
        key = request.headers.get("Idempotency-Key")
        answer = await _call(self._context, account, name, version, body, key)
        return web.Response(body=answer, content_type=JSON)


async def _call(
    context: Context, account: Account, name: str, version: Version, body: bytes, key: str | None
) -> bytes:
    """The answer of an endpoint; with a key the same one for every repeat of the call."""
    endpoint = ENDPOINTS[name]
    if key is None or name in READS:
        return await endpoint(context, account, body, version)
    call = keyed(name, key, body)
    if name == "register":
        return await register(context, account, body, call)
    return await answer_once(context, account, call, lambda: endpoint(context, account, body, version))


def _route(method: str, path: str) -> tuple[str, Version]:
    """Endpoint and version. Case does not matter, and one slash at the end is allowed. CallerError: there is
    no such address."""
    prefix, _, rest = path.lower().removeprefix(PREFIX).partition("/")
    version, name = VERSIONS.get(prefix), rest.removesuffix("/")
    if method != "POST" or not path.lower().startswith(PREFIX) or version is None or name not in ENDPOINTS:
        raise CallerError("not_found")
    return name, version


def _kind(path: str) -> str:
    """The endpoint as metrics name it: one of few, whatever is asked for."""
    name = path.lower().removesuffix("/").rpartition("/")[2]
    if path.lower().startswith(PREFIX) and name in ENDPOINTS:
        return name
    first = path.partition("/")[2].partition("/")[0]
    return first if first in ("api", "inbound", "owner") else "other"


def check_head(request: web.BaseRequest) -> None:
    """CallerError when the head tells that the body will not do."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise CallerError("encoded")
    if request.content_length is not None and request.content_length > BODY_MAX:
        raise CallerError("too_large", limit=str(BODY_MAX))


async def read_body(request: web.BaseRequest) -> bytes:
    """The body, bounded in size and time."""
    whole = request.content.is_eof()  # it came with the head: nothing to wait for
    try:
        async with asyncio.timeout(None if whole else BODY_S):
            return await request.read()
    except TimeoutError:
        raise CallerError("too_slow") from None
    except web.HTTPRequestEntityTooLarge:
        raise CallerError("too_large", limit=str(BODY_MAX)) from None


def _failed(error: CallerError, retry_after_s: int | None = None) -> web.Response:
    status, body = failure(error)
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else None
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)
