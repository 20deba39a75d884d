"""Answers like DHL Shipment Tracking - Unified: key, one a second, 250 a day, services, problem bodies."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import GERMANY, Journeys, Place, Scan, Step, ends

SAID: Mapping[str, Mapping[Step, tuple[str, str]]] = {
    "express": {
        Step.LABEL: ("pre-transit", "Shipment information received"),
        Step.PICKED_UP: ("transit", "Shipment picked up"),
        Step.LEFT: ("transit", "Shipment has departed from a DHL facility"),
        Step.ARRIVED: ("transit", "Arrived at DHL Sort Facility"),
        Step.AT_STATION: ("transit", "Arrived at DHL Delivery Facility"),
        Step.OUT: ("transit", "Shipment is out with courier for delivery"),
        Step.DELIVERED: ("delivered", "Delivered"),
    },
    "parcel-de": {
        Step.LABEL: ("pre-transit", "The instruction data for this shipment have been provided"),
        Step.PICKED_UP: ("transit", "The shipment has been posted by the sender at the retail outlet"),
        Step.LEFT: ("transit", "The shipment has been processed in the parcel center of origin"),
        Step.ARRIVED: ("transit", "The shipment has been processed in the parcel center"),
        Step.AT_STATION: ("transit", "The shipment has been processed in the destination parcel center"),
        Step.OUT: ("transit", "The shipment has been loaded onto the delivery vehicle"),
        Step.DELIVERED: ("delivered", "The shipment has been successfully delivered"),
    },
    "ecommerce": {
        Step.LABEL: ("pre-transit", "EN ROUTE TO DHL ECOMMERCE"),
        Step.PICKED_UP: ("transit", "ARRIVAL AT DHL ECOMMERCE DISTRIBUTION CENTER"),
        Step.LEFT: ("transit", "DEPARTURE ORIGIN DHL ECOMMERCE FACILITY"),
        Step.ARRIVED: ("transit", "ARRIVAL DESTINATION DHL ECOMMERCE FACILITY"),
        Step.AT_STATION: ("transit", "TENDERED TO DELIVERY SERVICE PROVIDER"),
        Step.OUT: ("transit", "OUT FOR DELIVERY"),
        Step.DELIVERED: ("delivered", "DELIVERED"),
    },
}
WITHOUT_OFFSET = frozenset({"express", "parcel-de"})  # write local times


class DhlStandIn:
    """Knows the numbers it was given (``load``) and makes up a journey for any other plausible one.

    Any key is right unless one is named. ``unknown`` holds numbers to deny, ``next_replies`` what to say
    instead of the next answers, ``gate`` the limits.
    """

    slug = "dhl"

    def __init__(self, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.gate = Gate(calls=1, seconds=1, per_day=250)
        self.unknown: set[str] = set()
        self.next_replies: deque[Reply] = deque()
        self._shipments: dict[str, list[Mapping[str, object]]] = {}
        self.journeys = Journeys()

    def load(self, number: str, shipments: Sequence[Mapping[str, object]]) -> None:
        """What to say about ``number``: the ``shipments`` of its answer, over all services."""
        self._shipments[number] = list(shipments)

    def answer(self, request: Request, now: datetime) -> Reply:
        if (request.method, request.path) != ("GET", "/track/shipments"):
            return _problem(404, "Not Found", "There is nothing at this address.")
        key = header(request, "dhl-api-key")
        if not key or key != (self.api_key or key):
            return _problem(401, "Unauthorized", "This key is not accepted.")
        if not self.gate.opens(now):
            return _problem(429, "Too Many Requests", "Too many requests, try again later.")
        if self.next_replies:
            return self.next_replies.popleft()
        number, language = request.query.get("trackingNumber", ""), request.query.get("language", "en")
        if not 4 <= len(number) <= 39 or not number.isascii():
            return _problem(400, "Invalid input", "The tracking number is not valid.")
        if len(language) != 2:
            return _problem(400, "Invalid input", f"The language code '{language}' is not ISO 639-1.")
        found = self._find(number, request.query.get("service"), now)
        if not found:
            return _problem(404, "No result found", "No shipment with this tracking number.")
        return json_reply(200, {"shipments": found})

    def _find(self, number: str, service: str | None, now: datetime) -> list[Mapping[str, object]]:
        known = self._shipments.get(number)
        if known is None and number not in self.unknown:
            known = [_made_up(number, _division(number), self.journeys.scans(number, now, GERMANY))]
        return [item for item in known or [] if service in (None, item.get("service"))]


def _division(number: str) -> str:
    """The division a made-up number belongs to."""
    if number.isdigit() and len(number) == 10:
        return "express"
    return "parcel-de" if number.isdigit() and len(number) in (12, 20) else "ecommerce"


def _made_up(number: str, service: str, journey: Sequence[Scan]) -> Mapping[str, object]:
    origin, target = ends(number, GERMANY)
    events = [_event(service, scan) for scan in journey]
    return {
        "id": number,
        "service": service,
        "origin": {"address": _address(service, origin)},
        "destination": {"address": _address(service, target)},
        "status": events[0],
        "details": {"totalNumberOfPieces": 1, "weight": {"value": 1.5, "unitText": "kg"}},
        "events": events,
    }


def _event(service: str, scan: Scan) -> Mapping[str, object]:
    status_code, words = SAID[service][scan.step]
    at = scan.at.replace(tzinfo=None) if service in WITHOUT_OFFSET else scan.at
    texts = {"status": words} if service == "ecommerce" else {"status": status_code, "description": words}
    return {
        "timestamp": at.isoformat(),
        "location": {"address": _address(service, scan.place)},
        "statusCode": status_code,
        **texts,
    }


def _address(service: str, place: Place) -> Mapping[str, str]:
    locality = f"{place.city}, {place.country_name}"
    if service == "express":
        locality = f"{place.city} - {place.country_name}".upper()
    return {"countryCode": place.country, "postalCode": place.postal_code, "addressLocality": locality}


def _problem(status: int, title: str, detail: str) -> Reply:
    return json_reply(status, {"status": status, "title": title, "detail": detail})


STAND_IN = DhlStandIn
