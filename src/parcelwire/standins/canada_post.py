"""Answers like Canada Post Track v2: Basic login, XML, local times with an abbreviation, an SLM throttle."""

import re
from collections.abc import Mapping
from datetime import datetime
from xml.sax.saxutils import escape

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header
from parcelwire.standins._journey import Place, Scan, Step
from parcelwire.standins._post import PostStandIn, login

_PATH = re.compile(r"/vis/track/pin/([^/]+)/detail")
SAID: Mapping[Step, tuple[str, str]] = {
    Step.LABEL: ("3000", "Electronic information received"),
    Step.PICKED_UP: ("2300", "Item collected"),
    Step.LEFT: ("0410", "Item departed"),
    Step.ARRIVED: ("0400", "Item arrived"),
    Step.AT_STATION: ("0100", "Item processed"),
    Step.OUT: ("0174", "Item out for delivery"),
    Step.DELIVERED: ("1496", "Delivered"),
}


class CanadaPostStandIn(PostStandIn):
    """``credentials``: user and password. A loaded fragment is the text of a ``tracking-detail`` element."""

    slug = "canada_post"
    places = (
        Place("MONCTON", "NB", "E1C1A1", "CA", "Canada", "America/Moncton"),
        Place("SUDBURY", "ON", "P3A1A1", "CA", "Canada", "America/Toronto"),
        Place("BRANDON", "MB", "R7A1A1", "CA", "Canada", "America/Winnipeg"),
        Place("KAMLOOPS", "BC", "V2C1A1", "CA", "Canada", "America/Vancouver"),
    )

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        super().__init__(Gate(calls=60, seconds=60, per_day=100_000), credentials)

    def refusal(self, request: Request, now: datetime) -> Reply | None:  # noqa: ARG002
        user, _, password = login(request).partition(":")
        if not self.accepts(user, password):
            return _messages(401, "E002", "AAA Authentication Failure")
        if request.method != "GET" or not _PATH.fullmatch(request.path):
            return _messages(404, "9999", "No such resource")
        if "vnd.cpc.track-v2+xml" not in header(request, "accept"):
            return _messages(406, "E007", "Not acceptable")
        return None

    def throttled(self, now: datetime) -> Reply:  # noqa: ARG002
        return _messages(503, "Server", "Rejected by SLM Monitor")

    def tracked(self, request: Request, now: datetime) -> Reply:
        number = request.path.split("/")[4]
        detail = self.loaded(number)
        if detail is None:
            plausible = re.fullmatch(r"\d{16}|[A-Z]{2}\d{9}[A-Z]{2}", number)
            if number in self.unknown or not plausible:
                return _messages(404, "004", "No Pin History")
            detail = _made_up(number, self.journey(number, now))
        return _xml(200, str(detail))


def _made_up(number: str, journey: list[Scan]) -> str:
    events = "".join(
        "<occurrence>"
        f"<event-identifier>{SAID[scan.step][0]}</event-identifier>"
        f"<event-date>{scan.at:%Y-%m-%d}</event-date><event-time>{scan.at:%H:%M:%S}</event-time>"
        f"<event-time-zone>{scan.at:%Z}</event-time-zone>"
        f"<event-description>{SAID[scan.step][1]}</event-description>"
        f"<event-site>{scan.place.city}</event-site><event-province>{scan.place.state}</event-province>"
        "</occurrence>"
        for scan in journey
    )
    return (
        '<tracking-detail xmlns="http://www.canadapost.ca/ws/track-v2">'
        f"<pin>{escape(number)}</pin><service-name>Expedited Parcel</service-name>"
        f"<significant-events>{events}</significant-events></tracking-detail>"
    )


def _messages(status: int, code: str, description: str) -> Reply:
    return _xml(
        status,
        '<messages xmlns="http://www.canadapost.ca/ws/messages"><message>'
        f"<code>{code}</code><description>{description}</description></message></messages>",
    )


def _xml(status: int, body: str) -> Reply:
    kind = {"content-type": "application/vnd.cpc.track-v2+xml"}
    return Reply(status, kind, f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode())


STAND_IN = CanadaPostStandIn
