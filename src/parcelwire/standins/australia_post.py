"""Answers like Australia Post: Basic login and account number, ten numbers a call, ten calls a minute."""

import re
from collections.abc import Mapping
from datetime import datetime

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import Place, Scan, Step
from parcelwire.standins._post import PostStandIn, login

BATCH_MAX = 10
SAID: Mapping[Step, str] = {
    Step.LABEL: "Shipping information received by Australia Post",
    Step.PICKED_UP: "Received by Australia Post",
    Step.LEFT: "Item processed at facility",
    Step.ARRIVED: "Arrived at facility",
    Step.AT_STATION: "Item processed at facility",
    Step.OUT: "Onboard for delivery",
    Step.DELIVERED: "Delivered",
}


class AustraliaPostStandIn(PostStandIn):
    """``credentials``: API key, password, account number. A loaded fragment is one tracking result."""

    slug = "australia_post"
    places = (
        Place("BENDIGO", "VIC", "", "AU", "Australia", "Australia/Melbourne"),
        Place("TOOWOOMBA", "QLD", "", "AU", "Australia", "Australia/Brisbane"),
        Place("ALBANY", "WA", "", "AU", "Australia", "Australia/Perth"),
    )

    def __init__(self, credentials: tuple[str, str, str] | None = None) -> None:
        super().__init__(Gate(calls=10, seconds=60, per_day=14_400), credentials)

    def refusal(self, request: Request, now: datetime) -> Reply | None:  # noqa: ARG002
        key, _, password = login(request).partition(":")
        if not self.accepts(key, password, header(request, "account-number")):
            return _errors(401, "API_002", "The credentials are not accepted")
        if (request.method, request.path) != ("GET", "/shipping/v1/track"):
            return _errors(404, "API_001", "No such resource")
        return None

    def throttled(self, now: datetime) -> Reply:  # noqa: ARG002
        return _errors(429, "API_429", "Too many requests")

    def tracked(self, request: Request, now: datetime) -> Reply:
        numbers = request.query.get("tracking_ids", "").split(",")
        if len(numbers) > BATCH_MAX:
            return _errors(400, "51101", "At most 10 ids in one request")
        return json_reply(200, {"tracking_results": [self._one(number, now) for number in numbers]})

    def _one(self, number: str, now: datetime) -> object:
        loaded = self.loaded(number)
        if loaded is not None:
            return loaded
        if number in self.unknown or not re.fullmatch(r"[A-Z0-9]{8,23}", number):
            return {"tracking_id": number, "errors": [{"code": "ESB-10001", "name": "Invalid tracking ID"}]}
        return _made_up(number, self.journey(number, now))


def _made_up(number: str, journey: list[Scan]) -> Mapping[str, object]:
    events = [
        {
            "location": f"{scan.place.city} {scan.place.state}",
            "description": SAID[scan.step],
            "date": scan.at.isoformat(),
        }
        for scan in journey
    ]
    status = "Delivered" if journey[0].step is Step.DELIVERED else "In transit"
    article = {"article_id": number, "product_type": "Parcel Post", "events": events, "status": status}
    return {"tracking_id": number, "status": status, "trackable_items": [article]}


def _errors(status: int, code: str, message: str) -> Reply:
    return json_reply(status, {"errors": [{"code": code, "message": message}]})


STAND_IN = AustraliaPostStandIn
