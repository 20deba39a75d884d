"""Answers like GLS track-and-trace v1: OAuth2 tokens of four hours, ten numbers a call, 500 calls a day."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import GERMANY, Scan, Step
from parcelwire.standins._post import PostStandIn

BATCH_MAX = 10
TOKEN_LIFE_S = 14_400
_TOKEN_PATH = "/oauth2/v2/token"  # noqa: S105  # an address
_TRACK_PATH = "/track-and-trace-v1/tracking/simple/trackids/"
SAID: Mapping[Step, tuple[str, str, str]] = {
    Step.LABEL: ("PREADVICE", "INTIAL.PREADVICE", "The parcel data are known to GLS."),
    Step.PICKED_UP: ("INTRANSIT", "INTIAL.NORMAL", "GLS has taken over the parcel."),
    Step.LEFT: ("INTRANSIT", "OUTBOD.NORMAL", "The parcel has left the parcel centre."),
    Step.ARRIVED: ("INTRANSIT", "INBOUD.NORMAL", "The parcel is in the parcel centre."),
    Step.AT_STATION: ("INWAREHOUSE", "INBOUD.NORMAL", "The parcel is in the delivering parcel centre."),
    Step.OUT: ("INDELIVERY", "OUTDEL.NORMAL", "The parcel is on the delivery vehicle."),
    Step.DELIVERED: ("DELIVERED", "DELIVD.NORMAL", "The parcel is delivered."),
}


class GlsStandIn(PostStandIn):
    """``credentials``: client id and secret. A loaded fragment is one parcel (or error) of the list."""

    slug = "gls"
    places = GERMANY

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        super().__init__(Gate(calls=100, seconds=1, per_day=500), credentials)
        self._tokens: dict[str, datetime] = {}

    def answer(self, request: Request, now: datetime) -> Reply:
        if (request.method, request.path) == ("POST", _TOKEN_PATH):
            return self._token(request, now)
        return super().answer(request, now)

    def refusal(self, request: Request, now: datetime) -> Reply | None:
        until = self._tokens.get(header(request, "authorization").removeprefix("Bearer "))
        if until is None or until <= now:
            return Reply(
                401, {"content-type": "text/html"}, b"<html><body>Authorization failed</body></html>"
            )
        if request.method != "GET" or not request.path.startswith(_TRACK_PATH):
            return json_reply(404, {"errors": [{"code": "E_404", "message": "No such resource"}]})
        return None

    def throttled(self, now: datetime) -> Reply:  # noqa: ARG002
        return json_reply(429, {"errors": [{"code": "E_429", "message": "Too many requests"}]})

    def tracked(self, request: Request, now: datetime) -> Reply:
        numbers = request.path.removeprefix(_TRACK_PATH).split(",")
        if len(numbers) > BATCH_MAX:
            return json_reply(400, {"errors": [{"code": "E_400", "message": "Too many parcels"}]})
        return json_reply(200, {"parcels": [self._one(number, now) for number in numbers]})

    def _token(self, request: Request, now: datetime) -> Reply:
        form = {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}
        known = self.accepts(form.get("client_id", ""), form.get("client_secret", ""))
        if form.get("grant_type") != "client_credentials" or not known:
            return json_reply(401, {"error": "invalid_client"})
        token = f"stand-in-{len(self._tokens) + 1}"
        self._tokens[token] = now + timedelta(seconds=TOKEN_LIFE_S)
        return json_reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_S})

    def _one(self, number: str, now: datetime) -> object:
        loaded = self.loaded(number)
        if loaded is not None:
            return loaded
        if number in self.unknown or not re.fullmatch(r"[A-Z0-9]{8,14}", number):
            return {"requested": number, "errorCode": "E_404_01", "errorMessage": "Resource Not Found"}
        return _made_up(number, self.journey(number, now))


def _made_up(number: str, journey: list[Scan]) -> Mapping[str, object]:
    return {
        "requested": number,
        "unitno": number[:11],
        "status": SAID[journey[0].step][0],
        "statusDateTime": f"{journey[0].at:%Y-%m-%dT%H:%M:%S%z}",
        "events": [
            {
                "code": SAID[scan.step][1],
                "city": scan.place.city,
                "postalCode": scan.place.postal_code,
                "country": scan.place.country,
                "description": SAID[scan.step][2],
                "eventDateTime": f"{scan.at:%Y-%m-%dT%H:%M:%S%z}",
            }
            for scan in journey
        ],
    }


STAND_IN = GlsStandIn
