"""``track_info``: a timeline in 17TRACK's words (reference: api-v2.2, section 4).

What depends on the clock (day counters, time of the last question) is left open: ``template`` encodes the
rest once, when it changes, and ``fill`` puts in the moving parts at every read. The marks are control
characters, which cannot occur in JSON text.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from operator import attrgetter
from typing import Protocol
from zlib import crc32

import msgspec

from parcelwire.domain import timeline as story
from parcelwire.domain.report import Address, Company, Estimate, Moment
from parcelwire.domain.status import Stage
from parcelwire.domain.times import EPOCH, offset_text


class Coordinates(msgspec.Struct):
    """Never known from a carrier's text; always present."""

    longitude: str | None = None
    latitude: str | None = None


class WireAddress(msgspec.Struct):
    """A place."""

    country: str | None = None
    state: str | None = None
    city: str | None = None
    street: str | None = None
    postal_code: str | None = None
    coordinates: Coordinates = msgspec.field(default_factory=Coordinates)


class TimeRaw(msgspec.Struct):
    """Exactly what the carrier said."""

    date: str | None = None
    time: str | None = None
    timezone: str | None = None


class WireEvent(msgspec.Struct):
    """One event."""

    time_iso: str | None
    time_utc: str | None
    time_raw: TimeRaw
    description: str
    location: str | None
    stage: Stage | None
    sub_status: str | None  # ours, or a newer one of 17TRACK's that an upstream sent
    address: WireAddress


class LatestStatus(msgspec.Struct):
    """Where the shipment stands."""

    status: str
    sub_status: str
    sub_status_descr: str | None


class EstimatedDelivery(msgspec.Struct):
    """The carrier's own estimate."""

    source: str | None = None
    start: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)


class DayCounters(msgspec.Struct):
    """What grows from day to day: never null."""

    days_after_order: int
    days_of_transit: int
    days_of_transit_done: int
    days_after_last_update: int


class TimeMetrics(DayCounters):
    """Day counters, and the carrier's own estimate."""

    estimated_delivery_date: EstimatedDelivery


class Milestone(msgspec.Struct):
    """One of the nine key stages."""

    key_stage: Stage
    time_iso: str | None
    time_utc: str | None
    time_raw: TimeRaw


class MiscInfo(msgspec.Struct):
    """What else the carrier said."""

    risk_factor: int = 0
    service_type: str | None = None
    weight_raw: str | None = None
    weight_kg: str | None = None
    pieces: str | None = None
    dimensions: str | None = None
    customer_number: str | None = None
    reference_number: str | None = None
    local_number: str | None = None
    local_provider: str | None = None
    local_key: int = 0


class Provider(msgspec.Struct):
    """A carrier."""

    key: int
    name: str
    alias: str
    tel: str | None
    homepage: str
    country: str


class Tracking(msgspec.Struct):
    """What one carrier said."""

    provider: Provider
    provider_lang: str | None
    service_type: str | None
    latest_sync_status: str
    latest_sync_time: str
    events_hash: int
    events: list[WireEvent]


class ShippingInfo(msgspec.Struct):
    """From where to where."""

    shipper_address: WireAddress
    recipient_address: WireAddress


class Named(Protocol):
    """A carrier as the directory knows it."""

    @property
    def name(self) -> str: ...
    @property
    def homepage(self) -> str: ...
    @property
    def country(self) -> str: ...


class Naming(Protocol):
    """How a source is shown: its code for this registration, and its directory entry."""

    def code(self, source: str) -> int: ...
    def entry(self, source: str) -> Named | None: ...


_UNKNOWN_COORDINATES = Coordinates()
_METRICS = b"\x01"
_STATUS = b"\x02"
LEGS_MAX = 9
_SYNC = [(bytes([14 + 2 * leg]), bytes([15 + 2 * leg])) for leg in range(LEGS_MAX)]  # status, time
_encode = msgspec.json.Encoder().encode


def template(timeline: story.Timeline, naming: Naming) -> bytes:
    """``track_info`` without its moving parts."""
    times = _Times()
    legs = [_leg(leg, naming, marks, times) for leg, marks in zip(timeline.legs, _SYNC, strict=False)]
    shipping = ShippingInfo(_address(timeline.origin), _address(timeline.destination))
    latest = event_of(timeline.latest, times) if timeline.latest else None
    milestones = [
        Milestone(stage, *times(timeline.milestones[stage])) if stage in timeline.milestones else unreached
        for stage, unreached in _UNREACHED
    ]
    return _encode(
        {
            "shipping_info": shipping,
            "latest_status": msgspec.Raw(_STATUS),
            "latest_event": latest,
            "time_metrics": msgspec.Raw(_METRICS),
            "milestone": milestones,
            "misc_info": _misc(timeline.legs, naming),
            "tracking": {"providers_hash": _hash(b"".join(legs)), "providers": [*map(msgspec.Raw, legs)]},
        }
    )


def estimate(given: Estimate | None) -> bytes:
    """``estimated_delivery_date``, encoded."""
    return _encode(estimate_of(given))


def estimate_of(given: Estimate | None) -> EstimatedDelivery:
    """The carrier's own estimate; nulls when it gave none."""
    if given is None or not (given.start or given.end):
        return EstimatedDelivery()
    return EstimatedDelivery(given.by, _bound(given.start, "00:00:00"), _bound(given.end, "23:59:59"))


def fill(
    made: bytes,
    *,
    sub_status: str,
    descr: str | None,
    dates: story.Dates,
    estimate: bytes,
    asked_s: int,
    ok: bool,
    now: datetime,
) -> bytes:
    """The whole ``track_info`` at ``now``. Its sources were asked at ``asked_s`` and answered (``ok``)."""
    metrics = b'{%b,"estimated_delivery_date":%b}' % (_counters(dates, now.toordinal()), estimate)
    filled = made.replace(_STATUS, _status(sub_status, descr), 1).replace(_METRICS, metrics, 1)
    answered = b'"Success"' if ok else b'"Failure"'
    at = b'"%b"' % utc_text(EPOCH + timedelta(seconds=asked_s)).encode()
    for status_mark, time_mark in _SYNC:
        if status_mark not in filled:
            break
        filled = filled.replace(status_mark, answered, 1).replace(time_mark, at, 1)
    return filled


@lru_cache(4096)
def _counters(dates: story.Dates, today: int) -> bytes:
    return _encode(DayCounters(*story.days(dates, today)))[1:-1]


@lru_cache(1024)
def _status(sub_status: str, descr: str | None) -> bytes:
    return _encode(LatestStatus(sub_status.partition("_")[0], sub_status, descr))


def utc_text(at: datetime) -> str:
    """``2026-11-24T06:11:08Z`` of an aware UTC time. (``isoformat`` takes six times as long.)"""
    text: str = msgspec.to_builtins(at)
    return f"{text[:19]}Z"


def iso(moment: Moment) -> str | None:
    """Local time with offset, or None while UTC is unknown."""
    if moment.utc is None or moment.offset_min is None:
        return None
    ahead, zone = _ahead(moment.offset_min)
    text: str = msgspec.to_builtins(moment.utc + ahead)
    return text[:19] + zone


@cache
def _ahead(offset_min: int) -> tuple[timedelta, str]:
    ahead = timedelta(minutes=offset_min)
    return ahead, offset_text(ahead)


def _leg(leg: story.Leg, naming: Naming, marks: tuple[bytes, bytes], times: "_Times") -> bytes:
    entry = naming.entry(leg.source) or leg.facts.behind or Company(0, leg.source, "", "")
    events = _encode([event_of(scan, times) for scan in leg.scans])
    return _encode(
        {
            "provider": Provider(
                naming.code(leg.source), entry.name, entry.name, None, entry.homepage, entry.country
            ),
            "provider_lang": leg.facts.lang,
            "service_type": leg.facts.service,
            "latest_sync_status": msgspec.Raw(marks[0]),
            "latest_sync_time": msgspec.Raw(marks[1]),
            "events_hash": _hash(events),
            "events": msgspec.Raw(events),
        }
    )


_FACTS = (
    "service", "weight_raw", "weight_kg", "pieces", "dimensions", "customer_number", "reference_number",
    "local_number", "local_carrier",
)  # fmt: skip
_facts_of = attrgetter(*_FACTS)


def _misc(legs: Sequence[story.Leg], naming: Naming) -> MiscInfo:
    """Of each fact what the newest leg says that knows it."""
    told = [_facts_of(leg.facts) for leg in legs] or [(None,) * len(_FACTS)]
    service, weight_raw, weight_kg, pieces, dimensions, customer_number, reference_number, number, local = (
        next(filter(None, known), None) for known in zip(*told, strict=True)
    )
    entry = naming.entry(local) if local else None
    return MiscInfo(
        0, service, weight_raw, weight_kg, pieces, dimensions, customer_number, reference_number, number,
        entry.name if entry else local, naming.code(local) if local else 0,
    )  # fmt: skip


When = tuple[str | None, str | None, TimeRaw]  # local time with offset, UTC, as the carrier said it
_NEVER: When = (None, None, TimeRaw())


def when(at: Moment) -> When:
    """A moment as it is written."""
    return iso(at), utc_text(at.utc) if at.utc else None, TimeRaw(at.date, at.time, at.zone)


class _Times:
    """``when``, once for each moment: a milestone is nearly always the moment of an event."""

    def __init__(self) -> None:
        self._written: dict[int, When] = {}

    def __call__(self, at: Moment) -> When:
        written = self._written.get(id(at))
        if written is None:
            written = self._written[id(at)] = when(at)
        return written


def event_of(scan: story.Scan, times: Callable[[Moment], When] = when) -> WireEvent:
    """An event of the timeline."""
    event = scan.event
    time_iso, time_utc, time_raw = times(event.time)
    return WireEvent(
        time_iso, time_utc, time_raw, event.description, event.location, scan.stage,
        event.foreign or scan.sub_status, _address(event.address),
    )  # fmt: skip


_UNREACHED = [(stage, Milestone(stage, *_NEVER)) for stage in Stage]


def _address(place: Address) -> WireAddress:
    return WireAddress(
        place.country, place.state, place.city, place.street, place.postal_code, _UNKNOWN_COORDINATES
    )


def _bound(at: Moment | None, time_of_day: str) -> str | None:
    """One end of the estimate: with offset when known, else as the carrier's own local time."""
    if at is None or at.date is None:
        return None
    return iso(at) or f"{at.date}T{at.time or time_of_day}"


def _hash(data: bytes) -> int:
    """A signed 32-bit number that changes with the data (clients declare i32)."""
    value = crc32(data)
    return value - 2**32 if value >= 2**31 else value
