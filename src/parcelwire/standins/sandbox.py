"""The sandbox: a carrier of our own whose numbers say what happens to the parcel.

An answer depends on the question and the time alone, nothing is kept: the question carries the moment at
which a number was registered (``since``), and one step of a journey passes every ``step_s`` seconds. The same
event has the same time in every answer.

    POST /v1/shipments  {"shipments": [{"number": "SANDBOXJOURNEY7", "since": "2026-03-01T08:00:00+00:00"}]}
    200                 {"shipments": [{"number", "result", "service", "from", "to", "current", "events"}]}

``events`` is newest first: ``{"code", "time", "text", "place": {"city", "region", "postal_code", "country"},
"reason"}``, ``time`` is local with its offset; ``current`` (a code) and ``reason`` may be missing. ``result``
is an HTTP status for one number: 404 not known, 429 with ``retry_after``, 5xx. When every number of a call
fails, the call fails. At most 20 numbers a call; 400 for anything that is not such a question.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import json_reply
from parcelwire.standins._journey import Journeys

PATH = "/v1/shipments"
STEP_S = 2.0
NUMBERS_MAX = 20
FAULT_STEPS = 3  # a fault passes after so many steps; a refused credential does not
SLOW_S = 3.0  # long for a reader, short for every time limit of ours
LONG_AGO = 31  # steps, each a day of the rules: one more than makes a shipment Expired
MANY = 200
PAST_GAP = timedelta(seconds=1)  # events that came before the registration differ at least by this


class Place(NamedTuple):
    """A town and its time zone."""

    city: str
    region: str
    postal_code: str
    country: str
    zone: str


class Stop(NamedTuple):
    """Something that happens to a parcel somewhere."""

    code: str
    place: Place
    text: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """A stop and its step: 0 is the registration, what is negative happened before it."""

    at: int
    stop: Stop


SHENZHEN = Place("Shenzhen", "Guangdong", "518000", "CN", "Asia/Shanghai")
GUANGZHOU = Place("Guangzhou", "Guangdong", "510000", "CN", "Asia/Shanghai")
CARSON = Place("Carson", "CA", "90745", "US", "America/Los_Angeles")
PORTLAND = Place("Portland", "OR", "97218", "US", "America/Los_Angeles")
HUBS = (
    Place("Reno", "NV", "89502", "US", "America/Los_Angeles"),
    Place("Denver", "CO", "80216", "US", "America/Denver"),
    Place("Omaha", "NE", "68110", "US", "America/Chicago"),
    Place("Columbus", "OH", "43217", "US", "America/New_York"),
)

ROUTE = (
    Stop("IR", SHENZHEN, "Shipment data received"),
    Stop("PU", SHENZHEN, "Handed over by the sender"),
    Stop("DP", GUANGZHOU, "On board, leaving the country"),
    Stop("AR", CARSON, "Unloaded in the destination country"),
    Stop("CU", CARSON, "Presented to customs"),
    Stop("TR", PORTLAND, "Sorted for the delivery area"),
    Stop("OD", PORTLAND, "On the delivery vehicle"),
    Stop("DL", PORTLAND, "Left at the front door"),
)
SORTED, OUT, DELIVERED = ROUTE[:6], ROUTE[:7], ROUTE
READY = Stop("PK", PORTLAND, "Ready at the counter, bring an identity card")
HELD = Stop("CH", CARSON, "Held by customs", "Commercial invoice is missing")
MISSED = Stop("FA", PORTLAND, "Nobody was in", "No access to the building")
REFUSED = Stop("FR", PORTLAND, "Refused at the door", "Not ordered")
GOES_BACK = Stop("RT", PORTLAND, "On the way back to the sender")
CAME_BACK = Stop("RD", SHENZHEN, "Handed back to the sender")
# Other scripts, and control and direction marks that must not get through.
FOREIGN = (
    Stop("IR", SHENZHEN, "已收到\u0007寄件信息 \u202e(电子)\u202c"),
    Stop("PU", SHENZHEN, "快件已揽收\u0000，深圳"),
    Stop("DP", GUANGZHOU, "Отправлено\tиз\r\nстраны"),
    Stop("AR", CARSON, "\ufeffوصلت الشحنة إلى\u200f بلد المقصد"),
    Stop("TR", PORTLAND, "Straße, Œuvre, İstanbul, 배송 중 📦"),
)


def _from_now(stops: Sequence[Stop]) -> tuple[Scan, ...]:
    """The first at the registration, one every step."""
    return tuple(Scan(at, stop) for at, stop in enumerate(stops))


def _until(stops: Sequence[Stop], last: int = 0) -> tuple[Scan, ...]:
    """One every step, the last at step ``last``."""
    return tuple(Scan(last - left, stop) for left, stop in enumerate(reversed(stops)))[::-1]


def _many() -> tuple[Stop, ...]:
    hubs = (
        Stop("TR", HUBS[at % len(HUBS)], f"Sorted, round {at // len(HUBS) + 1}") for at in range(MANY - 5)
    )
    return (*ROUTE[:5], *hubs)


JOURNEY = _from_now([stop for stop in ROUTE if stop.code != "TR"])
MOVING = _until(SORTED)
JOURNEYS: Mapping[str, tuple[Scan, ...]] = {
    "JOURNEY": JOURNEY,
    "DELIVERED": _until(DELIVERED),
    "INTRANSIT": MOVING,
    "OUTFORDELIVERY": _until(OUT),
    "PICKUP": _until([*SORTED, READY]),
    "INFORECEIVED": _until(ROUTE[:1]),
    "FAILED": _until([*OUT, MISSED]),
    "RETURN": (*_until([*OUT, REFUSED, GOES_BACK]), Scan(1, CAME_BACK)),
    "CUSTOMSHOLD": _until([*ROUTE[:5], HELD]),
    "EXPIRED": _until(SORTED, -LONG_AGO),
    "FLAP": JOURNEY,
    "OUTOFORDER": _until(OUT),
    "DUPLICATE": _until(OUT),
    "MANY": _until(_many()),
    "UNICODE": _until(FOREIGN),
    "SLOW": MOVING,
    "TIMEOUT": MOVING,
    "429": MOVING,
    "500": MOVING,
    "BADJSON": MOVING,
}
AUTH = "AUTH"
FAULTS = {"TIMEOUT": 504, "429": 429, "500": 500, "BADJSON": 200, AUTH: 401}  # kind -> HTTP status
UNREADABLE = b'{"shipments":[{"number":"SANDBOX'

_NUMBER = re.compile(rf"SANDBOX({'|'.join([*JOURNEYS, AUTH])})\d*")

Events = list[dict[str, Any]]


def _flap(events: Events, position: int) -> Events:
    """All there, the newest two gone, all gone, all there ..."""
    return (events, events[2:], [])[position % 3]


def _shuffle(events: Events, _: int) -> Events:
    return sorted(events, key=lambda event: (events.index(event) * 3) % len(events))


def _double(events: Events, _: int) -> Events:
    """Every event once more, as another system of the carrier writes it."""
    return [copy for event in events for copy in (event, _retold(event))]


def _retold(event: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromisoformat(event["time"]).astimezone(UTC)
    return {**event, "time": at.isoformat(), "text": event["text"].upper().replace(" ", "  ")}


TWISTS: Mapping[str, Callable[[Events, int], Events]] = {
    "FLAP": _flap,
    "OUTOFORDER": _shuffle,
    "DUPLICATE": _double,
}


class Asked(msgspec.Struct):
    """One number of a question."""

    number: str
    since: Annotated[datetime, msgspec.Meta(tz=True)]


class Question(msgspec.Struct):
    """The body of a question."""

    shipments: Annotated[list[Asked], msgspec.Meta(min_length=1, max_length=NUMBERS_MAX)]


_question = msgspec.json.Decoder(Question)


class SandboxStandIn:
    """Plays journeys; ``step_s`` seconds are one step."""

    slug = "sandbox"

    def __init__(self, step_s: float = STEP_S) -> None:
        self.journeys = Journeys(step_s)

    @property
    def _step(self) -> timedelta:
        return timedelta(seconds=self.journeys.step_s or STEP_S)

    def _retry_after_s(self) -> int:
        return max(1, ceil(self._step.total_seconds()))

    def answer(self, request: Request, now: datetime) -> Reply:
        """See ports.StandIn."""
        if (request.method, request.path) != ("POST", PATH):
            return json_reply(404, {"error": "no such path"})
        try:
            asked = _question.decode(request.body or b"").shipments
        except msgspec.DecodeError as error:
            return json_reply(400, {"error": str(error)})
        kinds = [_kind(item.number) for item in asked]
        positions = [max(0, (now - item.since) // self._step) for item in asked]
        failing = [_fails(kind, position) for kind, position in zip(kinds, positions, strict=True)]
        if all(failing):
            return self._failed(kinds[0])
        reply = json_reply(
            200,
            {
                "shipments": [
                    self._unanswered(item, kind) if fails else self._answered(item, kind, position)
                    for item, kind, position, fails in zip(asked, kinds, positions, failing, strict=True)
                ]
            },
        )
        if "SLOW" in kinds:
            return replace(reply, headers={**reply.headers, "x-delay-s": str(SLOW_S)})
        return reply

    def _failed(self, kind: str) -> Reply:
        """The whole call fails."""
        if kind == "BADJSON":
            return Reply(200, {"content-type": "application/json"}, UNREADABLE)
        reply = json_reply(FAULTS[kind], {"error": f"sandbox fault {kind}"})
        if kind == "TIMEOUT":
            return replace(reply, headers={**reply.headers, "x-fault": "timeout"})
        if kind == "429":
            return replace(reply, headers={**reply.headers, "retry-after": str(self._retry_after_s())})
        return reply

    def _unanswered(self, asked: Asked, kind: str) -> dict[str, Any]:
        """One number fails among others that do not."""
        item: dict[str, Any] = {"number": asked.number, "result": FAULTS[kind]}
        if kind == "429":
            item["retry_after"] = self._retry_after_s()
        return item

    def _answered(self, asked: Asked, kind: str, position: int) -> dict[str, Any]:
        journey = JOURNEYS.get(kind)
        if journey is None:
            return {"number": asked.number, "result": 404}
        events = [self._event(scan, asked.since) for scan in reversed(journey) if scan.at <= position]
        item: dict[str, Any] = {
            "number": asked.number,
            "result": 200,
            "service": "Sandbox Economy",
            "from": {"country": SHENZHEN.country},
            "to": {"country": PORTLAND.country},
            "events": TWISTS[kind](events, position) if kind in TWISTS else events,
        }
        if kind != "FLAP":  # who forgets events forgets this too
            item["current"] = events[0]["code"]
        return item

    def _event(self, scan: Scan, since: datetime) -> dict[str, Any]:
        gap = self._step if scan.at >= 0 else max(self._step, PAST_GAP)
        stop, place = scan.stop, scan.stop.place
        event: dict[str, Any] = {
            "code": stop.code,
            "time": (since + scan.at * gap).astimezone(ZoneInfo(place.zone)).isoformat(timespec="seconds"),
            "text": stop.text,
            "place": {
                "city": place.city,
                "region": place.region,
                "postal_code": place.postal_code,
                "country": place.country,
            },
        }
        return event | ({"reason": stop.reason} if stop.reason else {})


def _kind(number: str) -> str:
    """What the number asks for; empty when it is none of ours."""
    found = _NUMBER.fullmatch(number.replace("-", ""))
    return found[1] if found else ""


def _fails(kind: str, position: int) -> bool:
    return kind == AUTH or (kind in FAULTS and position < FAULT_STEPS)


STAND_IN = SandboxStandIn
