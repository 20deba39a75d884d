"""Answers like FedEx Track API v1: token, batches, limits, errors, and journeys that go on with time."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import msgspec

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import US, Journeys, Place, Scan, Step, ends

BATCH_MAX = 30
TOKEN_LIFE = timedelta(seconds=3599)
SAID: Mapping[Step, tuple[str, str]] = {
    Step.LABEL: ("OC", "Shipment information sent to FedEx"),
    Step.PICKED_UP: ("PU", "Picked up"),
    Step.LEFT: ("DP", "Left FedEx origin facility"),
    Step.ARRIVED: ("AR", "Arrived at FedEx hub"),
    Step.AT_STATION: ("AR", "At local FedEx facility"),
    Step.OUT: ("OD", "On FedEx vehicle for delivery"),
    Step.DELIVERED: ("DL", "Delivered"),
}


class FedexStandIn:
    """Knows the numbers it was given (``load``) and makes up a journey for any other plausible one.

    Credentials are free (any) unless named. ``unknown`` holds numbers to deny, ``next_replies`` what to say
    instead of the next track answers, ``gate`` the limits.
    """

    slug = "fedex"

    def __init__(self, client_id: str | None = None, client_secret: str | None = None) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.gate = Gate(calls=1400, seconds=10, per_day=100_000)
        self.unknown: set[str] = set()
        self.next_replies: deque[Reply] = deque()
        self._results: dict[str, list[object]] = {}
        self._tokens: dict[str, datetime] = {}
        self.journeys = Journeys()

    def load(self, number: str, results: Iterable[object]) -> None:
        """What to say about ``number``: its ``trackResults``."""
        self._results[number] = list(results)

    def answer(self, request: Request, now: datetime) -> Reply:
        match request.method, request.path:
            case "POST", "/oauth/token":
                return self._token(request, now)
            case "POST", "/track/v1/trackingnumbers":
                return self._track(request, now)
            case _:
                return _error(404, "NOT.FOUND.ERROR", "There is nothing at this address.")

    def _token(self, request: Request, now: datetime) -> Reply:
        form = parse_qs((request.body or b"").decode("utf-8", "replace"))
        given = {name: values[0] for name, values in form.items()}
        wanted = {
            "grant_type": "client_credentials",
            "client_id": self.client_id or given.get("client_id", "?"),
            "client_secret": self.client_secret or given.get("client_secret", "?"),
        }
        if given != wanted:
            return _error(401, "NOT.AUTHORIZED.ERROR", "These client credentials are not valid.")
        token = f"stand-in-token-{len(self._tokens) + 1}"
        self._tokens[token] = now + TOKEN_LIFE
        life = int(TOKEN_LIFE.total_seconds())
        return json_reply(
            200, {"access_token": token, "token_type": "bearer", "expires_in": life, "scope": "CXS"}
        )

    def _track(self, request: Request, now: datetime) -> Reply:
        token = header(request, "authorization").removeprefix("Bearer ")
        if self._tokens.get(token, now) <= now:
            return _error(401, "NOT.AUTHORIZED.ERROR", "The access token is expired or unknown.")
        if not self.gate.opens(now):
            return _error(429, "TOO.MANY.REQUESTS", "Too many requests in a short time.")
        if self.next_replies:
            return self.next_replies.popleft()
        try:
            asked = msgspec.json.decode(request.body or b"", type=Question).trackingInfo
        except msgspec.DecodeError:
            return _error(400, "BAD.REQUEST.ERROR", "The request cannot be read.")
        if not 0 < len(asked) <= BATCH_MAX:
            return _error(400, "TRACKING.TRACKINGINFO.COUNT", f"Ask for 1 to {BATCH_MAX} numbers.")
        for item in asked:
            number = item.trackingNumberInfo.trackingNumber
            if not (number.isascii() and number.isalnum() and 10 <= len(number) <= 34):
                which = "INVALID" if number else "EMPTY"
                return _error(400, f"TRACKING.TRACKINGNUMBER.{which}", "A tracking number is not valid.")
        return json_reply(
            200,
            {
                "transactionId": "00000000-0000-4000-8000-000000000000",
                "output": {"completeTrackResults": [self._entry(item, now) for item in asked]},
            },
        )

    def _entry(self, item: "Item", now: datetime) -> object:
        number = item.trackingNumberInfo.trackingNumber
        known = self._results.get(number)
        if known is None and number not in self.unknown:
            known = [_made_up(number, self.journeys.scans(number, now, US))]
        inside = [result for result in known or [] if _shipped_inside(result, item)]
        return {"trackingNumber": number, "trackResults": inside or [_not_found(number)]}


class NumberInfo(msgspec.Struct):
    trackingNumber: str  # noqa: N815  (the carrier's name)


class Item(msgspec.Struct):
    trackingNumberInfo: NumberInfo  # noqa: N815
    shipDateBegin: str = ""  # noqa: N815
    shipDateEnd: str = "9999-12-31"  # noqa: N815


class Question(msgspec.Struct):
    trackingInfo: list[Item]  # noqa: N815


class ShipDate(msgspec.Struct):
    type: str = ""
    dateTime: str = ""  # noqa: N815


class Shipped(msgspec.Struct):
    dateAndTimes: list[ShipDate] = []  # noqa: N815


def _shipped_inside(result: object, item: Item) -> bool:
    """Whether the ship date lies in the window that was asked for; a result without one always does."""
    try:
        dates = msgspec.convert(result, Shipped).dateAndTimes
    except msgspec.ValidationError:
        return True
    shipped = next((entry.dateTime[:10] for entry in dates if entry.type == "SHIP"), None)
    return shipped is None or item.shipDateBegin <= shipped <= item.shipDateEnd


def _made_up(number: str, journey: list[Scan]) -> object:
    origin, target = ends(number, US)
    code, description = SAID[journey[0].step]
    dates = [{"type": "SHIP", "dateTime": f"{journey[-1].at.date()}T00:00:00-06:00"}]
    if code == "DL":
        dates.append({"type": "ACTUAL_DELIVERY", "dateTime": journey[0].at.isoformat()})
    return {
        "trackingNumberInfo": {"trackingNumber": number, "carrierCode": "FDXG"},
        "shipperInformation": {"address": _address(origin)},
        "recipientInformation": {"address": _address(target)},
        "latestStatusDetail": {"code": code, "derivedCode": code, "description": description},
        "dateAndTimes": dates,
        "scanEvents": [_scan(scan) for scan in journey],
        "serviceDetail": {"type": "FEDEX_GROUND", "description": "FedEx Ground"},
    }


def _scan(scan: Scan) -> object:
    code, description = SAID[scan.step]
    return {
        "date": scan.at.isoformat(),
        "eventType": code,
        "eventDescription": description,
        "exceptionCode": "",
        "exceptionDescription": "",
        "scanLocation": {"streetLines": [""], **_address(scan.place)},
        "derivedStatusCode": "IT",
    }


def _address(place: Place) -> dict[str, object]:
    return {
        "city": place.city,
        "stateOrProvinceCode": place.state,
        "postalCode": place.postal_code,
        "countryCode": place.country,
        "countryName": place.country_name,
        "residential": False,
    }


def _not_found(number: str) -> object:
    return {
        "trackingNumberInfo": {"trackingNumber": number, "trackingNumberUniqueId": "", "carrierCode": ""},
        "error": {"code": "TRACKING.TRACKINGNUMBER.NOTFOUND", "message": "This number is not known."},
    }


def _error(status: int, code: str, message: str) -> Reply:
    return json_reply(
        status,
        {
            "transactionId": "00000000-0000-4000-8000-000000000000",
            "errors": [{"code": code, "message": message}],
        },
    )


STAND_IN = FedexStandIn
