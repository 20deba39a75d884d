"""What one answer of a carrier comes to, in short: for people who write carrier files."""

from collections.abc import Mapping

import msgspec

from parcelwire.domain.report import Moment
from parcelwire.domain.status import Stage, SubStatus
from parcelwire.domain.timeline import Timeline
from parcelwire.wire.trackinfo import (
    EstimatedDelivery,
    TimeRaw,
    WireEvent,
    estimate_of,
    event_of,
    utc_text,
    when,
)


class OutlineEvent(msgspec.Struct):
    """One event as ``track_info`` shows it, without its address."""

    time_utc: str | None
    time_iso: str | None
    time_raw: TimeRaw
    description: str
    location: str | None
    stage: Stage | None
    sub_status: str | None


class Reached(msgspec.Struct):
    """When a key stage was reached; nulls while it is not."""

    time_utc: str | None = None
    time_iso: str | None = None
    time_raw: TimeRaw = msgspec.field(default_factory=TimeRaw)


class Outline(msgspec.Struct):
    """Events newest first. ``outcome`` is ``report`` or the outcome of a CarrierError; an error that says
    nothing about the number leaves the status null."""

    number: str
    carrier: str
    status: str | None
    sub_status: str | None
    sub_status_descr: str | None
    events: list[OutlineEvent]
    latest_event_utc: str | None
    delivered_utc: str | None
    milestone: Mapping[Stage, Reached]
    estimated_delivery: EstimatedDelivery
    outcome: str


def outline(number: str, carrier: str, outcome: str, timeline: Timeline | None) -> Outline:
    """The outline of a timeline; None when the answer says nothing about the number."""
    line = timeline or Timeline(SubStatus.NOT_FOUND_OTHER)
    sub_status = timeline.sub_status if timeline else None
    return Outline(
        number=number,
        carrier=carrier,
        status=sub_status.status.value if sub_status else None,
        sub_status=sub_status.value if sub_status else None,
        sub_status_descr=line.descr,
        events=[_event(event_of(scan)) for leg in line.legs for scan in leg.scans],
        latest_event_utc=_utc(line.latest.event.time) if line.latest else None,
        delivered_utc=_utc(line.milestones.get(Stage.DELIVERED)),
        milestone={stage: _reached(line.milestones.get(stage)) for stage in Stage},
        estimated_delivery=estimate_of(line.estimate),
        outcome=outcome,
    )


def _event(shown: WireEvent) -> OutlineEvent:
    return OutlineEvent(
        shown.time_utc, shown.time_iso, shown.time_raw, shown.description, shown.location, shown.stage,
        shown.sub_status,
    )  # fmt: skip


def _reached(at: Moment | None) -> Reached:
    if at is None:
        return Reached()
    time_iso, time_utc, time_raw = when(at)
    return Reached(time_utc, time_iso, time_raw)


def _utc(at: Moment | None) -> str | None:
    return utc_text(at.utc) if at and at.utc else None
