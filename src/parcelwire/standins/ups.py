"""Answers like UPS Track API v1: token by HTTP Basic, one number, warnings in 200, journeys by time."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import US, Journeys, Place, Scan, Step, ends

TOKEN_PATH = "/security/v1/oauth/token"  # noqa: S105
DETAILS = re.compile(r"/api/track/v1/details/([^/]+)")
NUMBER = re.compile(r"[0-9A-Z]{7,34}")
TOKEN_LIFE = timedelta(seconds=14399)
SAID: Mapping[Step, tuple[str, str, str, str]] = {  # type, code, statusCode, description
    Step.LABEL: ("M", "MP", "003", "Label made, not yet at UPS."),
    Step.PICKED_UP: ("P", "PU", "038", "Pickup Scan"),
    Step.LEFT: ("I", "DP", "005", "Departed from Facility"),
    Step.ARRIVED: ("I", "AR", "005", "Arrived at Facility"),
    Step.AT_STATION: ("I", "DS", "005", "Destination Scan"),
    Step.OUT: ("I", "OT", "021", "Out For Delivery Today"),
    Step.DELIVERED: ("D", "FS", "011", "DELIVERED"),
}


class UpsStandIn:
    """Knows the numbers it was given (``load``) and makes up a journey for any other plausible one.

    Credentials are free (any) unless named. ``unknown`` holds numbers to deny, ``next_replies`` what to say
    instead of the next track answers, ``gate`` the limits (UPS publishes none: these are made up).
    """

    slug = "ups"

    def __init__(self, client_id: str | None = None, client_secret: str | None = None) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.gate = Gate(calls=10, seconds=1, per_day=500_000)
        self.unknown: set[str] = set()
        self.next_replies: deque[Reply] = deque()
        self._packages: dict[str, list[Mapping[str, object]]] = {}
        self._tokens: dict[str, datetime] = {}
        self.journeys = Journeys()

    def load(self, number: str, packages: Sequence[Mapping[str, object]]) -> None:
        """What to say about ``number``: the ``package`` list of its shipment."""
        self._packages[number] = list(packages)

    def answer(self, request: Request, now: datetime) -> Reply:
        if (request.method, request.path) == ("POST", TOKEN_PATH):
            return self._token(request, now)
        found = DETAILS.fullmatch(request.path)
        if found is None:
            return _error(404, "404", "There is nothing at this address.")
        if request.method != "GET":
            return _error(405, "405", "This method is not allowed.")
        return self._track(request, unquote(found[1]), now)

    def _token(self, request: Request, now: datetime) -> Reply:
        given = _basic(header(request, "authorization"))
        if given is None or request.body != b"grant_type=client_credentials":
            return _error(400, "10400", "The request is not a client credentials grant.")
        wanted = (self.client_id or given[0], self.client_secret or given[1])
        if given != wanted or not all(given):
            return _error(401, "10401", "ClientId is Invalid")
        token = f"stand-in-token-{len(self._tokens) + 1}"
        self._tokens[token] = now + TOKEN_LIFE
        return json_reply(
            200,
            {
                "token_type": "Bearer",
                "issued_at": str(int(now.timestamp() * 1000)),
                "client_id": given[0],
                "access_token": token,
                "expires_in": str(int(TOKEN_LIFE.total_seconds())),  # UPS sends numbers as strings
                "status": "approved",
            },
        )

    def _track(self, request: Request, number: str, now: datetime) -> Reply:
        token = header(request, "authorization").removeprefix("Bearer ")
        if self._tokens.get(token, now) <= now:
            return _error(401, "250002", "Invalid Authentication Information.")
        if not self.gate.opens(now):
            return _error(429, "10429", "Too Many Requests")
        if self.next_replies:
            return self.next_replies.popleft()
        if not header(request, "transid") or not header(request, "transactionsrc"):
            return _error(400, "400", "The headers transId and transactionSrc are needed.")
        if not NUMBER.fullmatch(number):
            return _error(400, "TV1002", "Invalid inquiry number")
        return json_reply(200, {"trackResponse": {"shipment": [self._shipment(number, now)]}})

    def _shipment(self, number: str, now: datetime) -> Mapping[str, object]:
        known = self._packages.get(number)
        if known is None and number not in self.unknown:
            known = [_made_up(number, self.journeys.scans(number, now, US))]
        if not known:
            warning = {"code": "TW0001", "message": "Tracking Information Not Found"}
            return {"inquiryNumber": number, "warnings": [warning]}
        return {"inquiryNumber": number, "package": known}


def _basic(authorization: str) -> tuple[str, str] | None:
    """User and password of an HTTP Basic header."""
    try:
        user, colon, password = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def _made_up(number: str, journey: Sequence[Scan]) -> Mapping[str, object]:
    origin, target = ends(number, US)
    newest = journey[0]
    delivered = newest.step is Step.DELIVERED
    return {
        "trackingNumber": number,
        "deliveryDate": [{"type": "DEL", "date": f"{newest.at:%Y%m%d}"}] if delivered else [],
        "deliveryTime": {"type": "DEL", "startTime": "", "endTime": f"{newest.at:%H%M%S}"}
        if delivered
        else {},
        "activity": [_activity(scan) for scan in journey],
        "currentStatus": {"description": SAID[newest.step][3], "code": SAID[newest.step][2]},
        "packageAddress": [
            {"type": "ORIGIN", "address": _address(origin)},
            {"type": "DESTINATION", "address": _address(target)},
        ],
        "weight": {"unitOfMeasurement": "LBS", "weight": "3.00"},
        "service": {"code": "518", "levelCode": "003", "description": "UPS® Ground"},
        "packageCount": 1,
    }


def _activity(scan: Scan) -> Mapping[str, object]:
    kind, code, status_code, description = SAID[scan.step]
    at = scan.at.astimezone(UTC)
    return {
        "location": {"address": _address(scan.place)},
        "status": {"type": kind, "code": code, "statusCode": status_code, "description": description},
        "date": f"{scan.at:%Y%m%d}",
        "time": f"{scan.at:%H%M%S}",
        "gmtDate": f"{at:%Y%m%d}",
        "gmtTime": f"{at:%H:%M:%S}",
        "gmtOffset": f"{scan.at:%z}"[:3] + ":" + f"{scan.at:%z}"[3:],
    }


def _address(place: Place) -> Mapping[str, str]:
    return {
        "city": place.city,
        "stateProvince": place.state,
        "postalCode": place.postal_code,
        "countryCode": place.country,
        "country": place.country,
    }


def _error(status: int, code: str, message: str) -> Reply:
    return json_reply(status, {"response": {"errors": [{"code": code, "message": message}]}})


STAND_IN = UpsStandIn
