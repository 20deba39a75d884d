"""The entrance for pushes of an upstream or a carrier: POST /inbound/<slug>.

Order: size and time, the door (a signature over the raw bytes, or a credential), inbox (committed), 200.
Nothing is parsed before the door opens, and a forged push learns nothing from the answer.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import structlog
from aiohttp import web

from parcelwire.api.callers import caller_of
from parcelwire.domain.account import Network
from parcelwire.domain.errors import CallerError
from parcelwire.flows.context import Context
from parcelwire.flows.inbound import Door

PREFIX = "/inbound/"
BODY_MAX = 2 * 1024 * 1024  # the fullest track_info is some hundred KB
BODY_S = 10.0
ADDRESSES_MAX = 1_000  # that forged pushes are counted for


class InboundEntrance:
    """``doors``: slug -> whether a push is genuine. ``proxies``: whose word about its sender is believed."""

    def __init__(self, context: Context, doors: Mapping[str, Door], proxies: Sequence[Network] = ()) -> None:
        self._context = context
        self._doors = doors
        self._proxies = proxies
        self._log = structlog.get_logger("parcelwire")
        self.refused: Counter[str] = Counter()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        source = request.path.removeprefix(PREFIX).removesuffix("/").lower()
        door = self._doors.get(source)
        if door is None or request.method != "POST":
            raise CallerError("not_found")
        body = await read_raw(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not door(headers, body):
            self._refuse(source, caller_of(request, self._proxies))
            return web.Response(status=401)
        new = await self._context.store.keep_inbound(source, body, self._context.clock.now())
        self._log.info("inbound_received", source=source, size=len(body), new=new)
        return web.Response(status=200)

    def _refuse(self, source: str, address: str) -> None:
        if len(self.refused) < ADDRESSES_MAX or address in self.refused:
            self.refused[address] += 1
        self._log.warning("inbound_refused", source=source, address=address, count=self.refused[address])


async def read_raw(request: web.BaseRequest) -> bytes:
    """The body exactly as it was sent, bounded in size and time."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise CallerError("encoded")
    if request.content_length is not None and request.content_length > BODY_MAX:
        raise CallerError("too_large", limit=str(BODY_MAX))
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > BODY_MAX:
                    raise CallerError("too_large", limit=str(BODY_MAX))
    except TimeoutError:
        raise CallerError("too_slow") from None
    return bytes(body)
