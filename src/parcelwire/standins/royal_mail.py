"""Answers like Royal Mail Mailpieces v2: client id and secret, 50 calls a day, coded errors."""

import re
from collections.abc import Mapping
from datetime import datetime

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import Place, Scan, Step
from parcelwire.standins._post import PostStandIn

_PATH = re.compile(r"/mailpieces/v2/([^/]+)/events")
_NUMBER = re.compile(r"[A-Z]{2}\d{9}GB|[0-9A-F]{21}")
SAID: Mapping[Step, tuple[str, str]] = {
    Step.LABEL: ("EVAIE", "Sender preparing item"),
    Step.PICKED_UP: ("EVIMC", "Item received"),
    Step.LEFT: ("EVDAC", "Item processed"),
    Step.ARRIVED: ("EVIAV", "Item arrived at mail centre"),
    Step.AT_STATION: ("EVDAV", "Item arrived at delivery office"),
    Step.OUT: ("EVGPD", "Due for delivery today"),
    Step.DELIVERED: ("EVKSP", "Delivered"),
}


def _town(city: str) -> Place:
    return Place(city, "", "", "GB", "United Kingdom", "Europe/London")


class RoyalMailStandIn(PostStandIn):
    """``credentials``: client id and client secret. A loaded fragment is the ``mailPieces`` object."""

    slug = "royal_mail"
    places = (_town("Truro MC"), _town("Preston MC"), _town("Medway MC"), _town("Carlisle DO"))

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        super().__init__(Gate(calls=50, seconds=86_400, per_day=50), credentials)

    def refusal(self, request: Request, now: datetime) -> Reply | None:  # noqa: ARG002
        if not self.accepts(header(request, "x-ibm-client-id"), header(request, "x-ibm-client-secret")):
            return _error(401, "Unauthorized", "", "The client is not registered")
        if header(request, "x-accept-rmg-terms") != "yes":
            return _error(403, "Forbidden", "", "The terms are not accepted")
        if request.method != "GET" or not _PATH.fullmatch(request.path):
            return _error(404, "Not Found", "", "No such resource")
        return None

    def throttled(self, now: datetime) -> Reply:  # noqa: ARG002
        return _error(429, "Too Many Requests", "E0010", "Too many requests")

    def tracked(self, request: Request, now: datetime) -> Reply:
        number = request.path.split("/")[3]
        piece = self.loaded(number)
        if piece is None and (number in self.unknown or not _NUMBER.fullmatch(number)):
            return _error(404, "Not Found", "E1142", "The barcode is not recognised")
        return json_reply(200, {"mailPieces": piece or _made_up(number, self.journey(number, now))})


def _made_up(number: str, journey: list[Scan]) -> Mapping[str, object]:
    events = [
        {
            "eventCode": SAID[scan.step][0],
            "eventName": SAID[scan.step][1],
            "eventDateTime": scan.at.isoformat(),
            "locationName": scan.place.city,
        }
        for scan in journey
    ]
    return {
        "mailPieceId": number,
        "carrierShortName": "RM",
        "summary": {
            "uniqueItemId": number,
            "oneDBarcode": number,
            "productName": "Tracked 48",
            "originCountryCode": "GBR",
            "originCountryName": "United Kingdom",
            "destinationCountryCode": "GBR",
            "destinationCountryName": "United Kingdom",
            "lastEventCode": events[0]["eventCode"],
            "lastEventDateTime": events[0]["eventDateTime"],
        },
        "events": events,
    }


def _error(status: int, message: str, code: str, description: str) -> Reply:
    errors = [{"errorCode": code, "errorDescription": description}] if code else []
    body = {"httpCode": str(status), "httpMessage": message, "moreInformation": description, "errors": errors}
    return json_reply(status, body)


STAND_IN = RoyalMailStandIn
