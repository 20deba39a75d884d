"""The owner's entrance: the command line talks to the running service through it.

Only for whoever can read the data folder: a random token of this start lies there in service.json (mode
0600).
"""

import hmac

import msgspec
from aiohttp import web

from parcelwire.domain.errors import CallerError
from parcelwire.flows.context import Context
from parcelwire.flows.manage import OwnerError
from parcelwire.flows.verbs import VERBS

HEADER = "parcelwire-owner"
PREFIX = "/owner/"
BODY_MAX = 64 * 1024

_values = msgspec.json.Decoder(dict[str, str])


class OwnerEntrance:
    """POST /owner/<verb> with a JSON object of texts."""

    def __init__(self, context: Context, token: str) -> None:
        self._context = context
        self._token = token

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request. The same 404 whether the token is wrong or the verb is not there."""
        given = request.headers.get(HEADER, "")
        verb = VERBS.get(request.path.removeprefix(PREFIX))
        if (
            not hmac.compare_digest(given.encode(errors="surrogatepass"), self._token.encode())
            or verb is None
        ):
            raise CallerError("not_found")
        try:
            answer = await verb(self._context, _values.decode(await request.read() or b"{}"))
        except (OwnerError, msgspec.DecodeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(answer)
