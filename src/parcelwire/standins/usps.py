"""Answers like USPS tracking v3r2: token, batches, partial answers, 60 calls an hour, journeys by time."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import msgspec

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import US, Journeys, Place, Scan, Step, ends

BATCH_MAX = 35
TOKEN_LIFE = timedelta(seconds=28799)
NUMBER = re.compile(r"[A-Z]{2}\d{9}[A-Z]{2}|\d{10,34}")
SAID: Mapping[Step, tuple[str, str, str]] = {  # eventCode, eventType, statusCategory
    Step.LABEL: ("GX", "Shipping Label Created, USPS Awaiting Item", "Pre-Shipment"),
    Step.PICKED_UP: ("03", "USPS in possession of item", "Accepted"),
    Step.LEFT: ("T1", "Departed USPS Regional Facility", "Moving Through Network"),
    Step.ARRIVED: ("A1", "Arrived at USPS Regional Facility", "Moving Through Network"),
    Step.AT_STATION: ("07", "Arrived at Post Office", "Moving Through Network"),
    Step.OUT: ("OF", "Out for Delivery", "Out for Delivery"),
    Step.DELIVERED: ("01", "Delivered, In/At Mailbox", "Delivered"),
}


class UspsStandIn:
    """Knows the numbers it was given (``load``) and makes up a journey for any other plausible one.

    Credentials are free (any) unless named. ``unknown`` holds numbers to deny, ``foreign`` those of mailers
    that allowed nothing, ``next_replies`` what to say instead of the next track answers, ``gate`` the limits.
    """

    slug = "usps"

    def __init__(self, client_id: str | None = None, client_secret: str | None = None) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.gate = Gate(calls=60, seconds=3600, per_day=1440)
        self.unknown: set[str] = set()
        self.foreign: set[str] = set()
        self.next_replies: deque[Reply] = deque()
        self._entries: dict[str, Mapping[str, object]] = {}
        self._tokens: dict[str, datetime] = {}
        self.journeys = Journeys()

    def load(self, number: str, entry: Mapping[str, object]) -> None:
        """What to say about ``number``: its entry in the answer, with events or with an error."""
        self._entries[number] = entry

    def answer(self, request: Request, now: datetime) -> Reply:
        match request.method, request.path:
            case "POST", "/oauth2/v3/token":
                return self._token(request, now)
            case "POST", "/tracking/v3r2/tracking":
                return self._track(request, now)
            case _:
                return _error(404, "There is nothing at this address.")

    def _token(self, request: Request, now: datetime) -> Reply:
        given = _credentials(request.body or b"")
        wanted = (
            "client_credentials",
            self.client_id or given.get("client_id"),
            self.client_secret or given.get("client_secret"),
        )
        if tuple(given.get(name) for name in ("grant_type", "client_id", "client_secret")) != wanted:
            return json_reply(401, {"error": "invalid_client", "error_description": "Not these credentials."})
        token = f"stand-in-token-{len(self._tokens) + 1}"
        self._tokens[token] = now + TOKEN_LIFE
        return json_reply(
            200,
            {
                "access_token": token,
                "token_type": "Bearer",
                "issued_at": int(now.timestamp() * 1000),
                "expires_in": int(TOKEN_LIFE.total_seconds()),
                "status": "approved",
                "scope": "tracking",
            },
        )

    def _track(self, request: Request, now: datetime) -> Reply:
        token = header(request, "authorization").removeprefix("Bearer ")
        if self._tokens.get(token, now) <= now:
            return _error(401, "The client application identifier is invalid.")
        if not self.gate.opens(now):
            refused = _error(429, "Exceeded quota limit.")
            return Reply(429, {**refused.headers, "retry-after": "60"}, refused.body)
        if self.next_replies:
            return self.next_replies.popleft()
        try:
            asked = msgspec.json.decode(request.body or b"", type=list[Question])
        except msgspec.DecodeError:
            return _error(400, "The request cannot be read.")
        if not 0 < len(asked) <= BATCH_MAX:
            return _error(400, f"Ask for 1 to {BATCH_MAX} numbers.")
        entries = [self._entry(item.trackingNumber, now) for item in asked]
        return json_reply(207 if any("error" in entry for entry in entries) else 200, entries)

    def _entry(self, number: str, now: datetime) -> Mapping[str, object]:
        if number in self._entries:
            return self._entries[number]
        if number in self.foreign:
            return _failed(number, 403, "", "The requested contract information is not authorized to access.")
        if number in self.unknown or not NUMBER.fullmatch(number):
            return _failed(number, 400, "150002", "7: This number may be wrong or too new.")
        return _made_up(number, self.journeys.scans(number, now, US))


class Question(msgspec.Struct):
    trackingNumber: str  # noqa: N815  (the carrier's name)


def _credentials(body: bytes) -> Mapping[str, str]:
    """USPS takes JSON and forms."""
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except msgspec.DecodeError:
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _made_up(number: str, journey: Sequence[Scan]) -> Mapping[str, object]:
    origin, target = ends(number, US)
    _, event, category = SAID[journey[0].step]
    return {
        "trackingNumber": number,
        "status": event,
        "statusCategory": category,
        "mailClass": "USPS Ground Advantage<SUP>&#153;</SUP>",
        "mailType": "DM",
        **_end("origin", origin),
        **_end("destination", target),
        "trackingEvents": [_event(scan) for scan in journey],
        "accessControl": "FREE",
    }


def _event(scan: Scan) -> Mapping[str, object]:
    code, event, _ = SAID[scan.step]
    clock = scan.at.astimezone(UTC).time()
    return {
        "eventType": event,
        "eventTimestamp": f"{scan.at:%Y-%m-%dT%H:%M}:00",
        # As the carrier does: the clock is moved to GMT, the date is not.
        "GMTTimestamp": f"{scan.at:%Y-%m-%d}T{clock:%H:%M:%S}Z",
        "GMTOffset": f"{scan.at:%z}"[:3] + ":" + f"{scan.at:%z}"[3:],
        "eventCountry": None,
        "eventCity": scan.place.city,
        "eventState": scan.place.state,
        "eventZIPCode": scan.place.postal_code,
        "eventCode": code,
    }


def _end(end: str, place: Place) -> Mapping[str, str]:
    return {
        f"{end}City": place.city,
        f"{end}State": place.state,
        f"{end}ZIPCode": place.postal_code,
    }


def _failed(number: str, status: int, code: str, message: str) -> Mapping[str, object]:
    return {"trackingNumber": number, "statusCode": str(status), "error": _envelope(status, code, message)}


def _error(status: int, message: str) -> Reply:
    return json_reply(status, {"apiVersion": "/tracking/v3r2", "error": _envelope(status, "", message)})


def _envelope(status: int, code: str, message: str) -> Mapping[str, object]:
    detail = {"title": message, "detail": ""}
    return {
        "code": str(status),
        "message": message,
        "errors": [{**detail, "code": code} if code else detail],
    }


STAND_IN = UspsStandIn
