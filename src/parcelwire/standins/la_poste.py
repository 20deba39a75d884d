"""Answers like La Poste Suivi v2: a key, ten numbers a call, one return code for each of them."""

import re
from collections.abc import Mapping
from datetime import datetime

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import Place, Scan, Step
from parcelwire.standins._post import PostStandIn

BATCH_MAX = 10
_PATH = "/suivi/v2/idships/"
SAID: Mapping[Step, tuple[str, str]] = {
    Step.LABEL: ("DR1", "Your parcel will soon be handed to us."),
    Step.PICKED_UP: ("PC1", "We have taken over your parcel."),
    Step.LEFT: ("ET1", "Your parcel is on its way."),
    Step.ARRIVED: ("ET1", "Your parcel is on its way."),
    Step.AT_STATION: ("MD2", "Your parcel is at the delivery site, we are preparing it."),
    Step.OUT: ("MD2", "Your parcel is out for delivery."),
    Step.DELIVERED: ("DI1", "Your parcel is delivered."),
}


def _town(city: str) -> Place:
    return Place(city, "", "", "FR", "France", "Europe/Paris")


class LaPosteStandIn(PostStandIn):
    """``credentials``: the key. A loaded fragment is one answer: ``returnCode``, ``shipment`` ..."""

    slug = "la_poste"
    places = (_town("Limoges"), _town("Dijon"), _town("Brest"))

    def __init__(self, credentials: tuple[str] | None = None) -> None:
        super().__init__(Gate(calls=100, seconds=60, per_day=10_000), credentials)

    def refusal(self, request: Request, now: datetime) -> Reply | None:  # noqa: ARG002
        if not self.accepts(header(request, "x-okapi-key")):
            return json_reply(401, {"code": "UNAUTHORIZED", "message": "The key is not accepted"})
        if request.method != "GET" or not request.path.startswith(_PATH):
            return json_reply(404, {"code": "RESOURCE_NOT_FOUND", "message": "No such resource"})
        return None

    def throttled(self, now: datetime) -> Reply:  # noqa: ARG002
        return json_reply(429, {"code": "TOO_MANY_REQUESTS", "message": "The quota is used up"})

    def tracked(self, request: Request, now: datetime) -> Reply:
        numbers = request.path.removeprefix(_PATH).split(",")
        if len(numbers) > BATCH_MAX:
            return json_reply(400, {"returnCode": 400, "returnMessage": "Too many numbers"})
        answers = [self._one(number, now) for number in numbers]
        if len(answers) == 1:
            code = answers[0]["returnCode"]
            return json_reply(code if isinstance(code, int) else 200, answers[0])
        return json_reply(207, answers)

    def _one(self, number: str, now: datetime) -> Mapping[str, object]:
        loaded = self.loaded(number)
        if isinstance(loaded, dict):
            return loaded
        if not re.fullmatch(r"[A-Z0-9]{11,15}", number):
            return {"returnCode": 400, "returnMessage": "The number is not valid", "idShip": number}
        if number in self.unknown:
            return {"returnCode": 404, "returnMessage": "The number is not known", "idShip": number}
        return _made_up(number, self.journey(number, now))


def _made_up(number: str, journey: list[Scan]) -> Mapping[str, object]:
    events = [
        {"code": code, "label": label, "date": scan.at.isoformat()}
        for scan in journey
        for code, label in [SAID[scan.step]]
    ]
    shipment: dict[str, object] = {
        "idShip": number,
        "holder": 3,
        "product": "colissimo",
        "isFinal": journey[0].step is Step.DELIVERED,
        "contextData": {"originCountry": "FR", "arrivalCountry": "FR"},
        "event": events,
    }
    if shipment["isFinal"]:
        shipment["deliveryDate"] = events[0]["date"]
    return {"lang": "en_GB", "scope": "open", "returnCode": 200, "shipment": shipment}


STAND_IN = LaPosteStandIn
