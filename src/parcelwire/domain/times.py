"""From what a carrier wrote to UTC, and from one answer's events to their order.

Rules (reference: statuses, section 4): a time with an offset is exact; a local time gets the zone of its
place, else the carrier's default zone, else stays without UTC. The zone of a neighbouring event orders an
event but never gives it a UTC time. A date alone stays a date. Nothing is invented.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from operator import itemgetter
from zoneinfo import ZoneInfo

from parcelwire.domain.report import EVENTS_MAX, UNKNOWN_TIME, Address, Event, Moment, Report
from parcelwire.domain.values import replace

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # an older time is a carrier's placeholder
LATEST_AHEAD = timedelta(days=7)  # a time further ahead is a carrier's fault
ZONES_APART = timedelta(hours=26)  # between the clocks of UTC+14 and UTC-12
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
ZoneOf = Callable[[Address], tzinfo | None]


def exact(at: datetime, zone: str | None = None, text: str | None = None) -> Moment:
    """A moment from an aware datetime. ``zone`` is the offset as sent; default: the datetime's own.
    ``text``: its ``isoformat``, where that is known."""
    offset = at.utcoffset() or timedelta()
    utc = _utc(at)
    text = text or at.isoformat()
    return Moment(
        utc=utc,
        offset_min=None if utc is None else _minutes(offset),
        date=text[:10],
        time=text[11:19],
        zone=zone or offset_text(offset),
    )


def local(at: datetime) -> Moment:
    """A moment from a naive datetime: date and time as sent, zone not known."""
    text = at.isoformat()
    return Moment(date=text[:10], time=text[11:19])


def day(at: datetime) -> Moment:
    """A moment of which only the date is known."""
    return Moment(date=at.isoformat()[:10])


def from_iso(text: object) -> Moment:
    """ISO 8601 with or without offset or time of day; UNKNOWN_TIME for anything else."""
    if not isinstance(text, str) or not text.isascii() or not 8 <= len(text) <= 40:
        return UNKNOWN_TIME
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return UNKNOWN_TIME
    if len(text) <= 10:
        return day(at)
    if at.tzinfo is None:
        return local(at)
    return exact(at, text=text if _is_usual(text) else None)


def _is_usual(text: str) -> bool:
    """Whether an ISO date and time begins as ``isoformat`` writes it. There are many other forms."""
    return (
        len(text) > 18 and text[4] == text[7] == "-" and text[13] == text[16] == ":" and text[11:13] != "24"
    )


@lru_cache(maxsize=256)
def offset_text(offset: timedelta) -> str:
    """``+HH:MM``."""
    minutes = _minutes(offset)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _minutes(offset: timedelta) -> int:
    return offset // _MINUTE


def naive(moment: Moment) -> datetime | None:
    """Date and time as sent, without a zone; midnight when only the date is known."""
    if moment.date is None:
        return None
    try:
        return datetime.fromisoformat(f"{moment.date}T{moment.time or '00:00:00'}")
    except ValueError:
        return None


def in_zone(moment: Moment, zone: tzinfo) -> Moment:
    """The moment with UTC inferred from ``zone``. A gap at the start of summer time shifts forward, the
    repeated hour at its end means the first occurrence."""
    wall = naive(moment)
    if moment.utc is not None or wall is None or moment.time is None:
        return moment
    utc = _utc(wall.replace(tzinfo=zone))
    return moment if utc is None else replace(moment, utc=utc, offset_min=_offset_min(utc, zone))


def earlier(moment: Moment, by: timedelta) -> Moment:
    """The moment ``by`` before; one without UTC stays as it is."""
    if moment.utc is None or moment.offset_min is None:
        return moment
    utc = (moment.utc - by).replace(microsecond=0)
    wall = utc + timedelta(minutes=moment.offset_min)
    return replace(moment, utc=utc, date=wall.strftime("%Y-%m-%d"), time=wall.strftime("%H:%M:%S"))


def second_of(at: datetime) -> int:
    """Whole seconds since the epoch."""
    return (at - EPOCH) // _SECOND


@cache
def _fixed(offset_min: int) -> timezone:
    """The zone that is always so many minutes, less than a day, ahead of UTC."""
    return timezone(timedelta(minutes=offset_min))


def settle(report: Report, zone_of: ZoneOf, now: datetime) -> Report:
    """The report with UTC times inferred where that is allowed, and its events ordered newest first.

    Expects the events newest first as far as the carrier says so; ties keep that order. Later answers may
    settle the same event again: the result depends on the answer alone.
    """
    default = ZoneInfo(report.default_zone) if report.default_zone else None
    latest = now + LATEST_AHEAD
    events = [_with_time(event, _timed(event, zone_of, default, latest)) for event in report.events]
    ordered = _ordered(events, latest)[:EVENTS_MAX]
    delivered, estimate = report.delivered, report.estimate
    there = (zone_of(report.destination) or default) if delivered or estimate else None
    if there is not None:
        delivered = in_zone(delivered, there) if delivered else None
        if estimate:
            estimate = replace(
                estimate,
                start=in_zone(estimate.start, there) if estimate.start else None,
                end=in_zone(estimate.end, there) if estimate.end else None,
            )
    delivered = _plausible(delivered, latest) if delivered else None
    further = tuple(settle(other, zone_of, now) for other in report.further)
    return replace(report, events=tuple(ordered), delivered=delivered, estimate=estimate, further=further)


def _with_time(event: Event, time: Moment) -> Event:
    return event if time is event.time else replace(event, time=time)


def _timed(event: Event, zone_of: ZoneOf, default: tzinfo | None, latest: datetime) -> Moment:
    moment = event.time
    if moment.utc is None and moment.time is not None:
        zone = zone_of(event.address) or default
        return moment if zone is None else _plausible(in_zone(moment, zone), latest)
    moment = _plausible(moment, latest)
    if moment.utc is not None and moment.zone == "+00:00":  # sent as UTC: show it in the place's own time
        zone = zone_of(event.address)
        if zone is not None:
            moment = replace(moment, offset_min=_offset_min(moment.utc, zone))
    return moment


def _plausible(moment: Moment, latest: datetime) -> Moment:
    """The moment, without UTC when that is a placeholder or a fault."""
    if moment.utc is None or EARLIEST <= moment.utc <= latest:
        return moment
    return replace(moment, utc=None, offset_min=None)


def _ordered(events: Sequence[Event], latest: datetime) -> list[Event]:
    """Newest first, each with ``order_at`` and ``tie``. EARLIEST when no event has a time at all."""
    known = [event.time.utc for event in reversed(events)]
    times = [at for at in known if at is not None]
    if len(times) < len(known):
        times = _estimated(events, latest)
    placed = sorted(zip(times, reversed(events), strict=True), key=itemgetter(0))  # stable: oldest first
    ordered: list[Event] = []
    before: datetime | None = None
    tie = 0
    for at, event in placed:
        tie = tie + 1 if at == before else 0
        ordered.append(_at_place(event, at, tie))
        before = at
    ordered.reverse()
    return ordered


def _estimated(events: Sequence[Event], latest: datetime) -> list[datetime]:
    """Where each event belongs in the order of time, oldest event first, when not all have a UTC time."""
    offsets = _neighbour_offsets(events)
    estimated: list[datetime | None] = []
    previous: datetime | None = None
    known: datetime | None = None  # of the last event with a UTC time
    for event, offset in zip(reversed(events), reversed(offsets), strict=True):
        at = event.time.utc or _placed(event.time, offset, latest)
        if event.time.utc is not None:
            known = at
        elif at is None:
            at = previous  # no time that can be true: keeps its place in the array
        # Local clocks of two places do not compare: the carrier's order does, as far as a zone allows it.
        elif known is not None and event.time.time is not None and at < known <= at + ZONES_APART:
            at = known
        previous = at
        estimated.append(at)
    first = next((at for at in estimated if at is not None), EARLIEST)
    return [at or first for at in estimated]


def _at_place(event: Event, order_at: datetime, tie: int) -> Event:
    """The event with its order. Every event of every answer comes by here; ``replace`` costs more."""
    return Event(
        event.time, event.description, event.sub_status, event.code, event.location, event.address,
        event.informative, event.reason, event.foreign, order_at, tie,
    )  # fmt: skip


def _placed(moment: Moment, offset_min: int, latest: datetime) -> datetime | None:
    """Where an event without UTC belongs, by its local time; None for a time that cannot be true."""
    wall = naive(moment)
    at = wall and _utc(wall.replace(tzinfo=_fixed(offset_min)))
    return at if at is not None and EARLIEST <= at <= latest else None


def _neighbour_offsets(events: Sequence[Event]) -> list[int]:
    """For each event the nearest known offset in minutes: its own, a newer one's, an older one's, else 0."""
    offsets: list[int | None] = [event.time.offset_min for event in events]
    for index in range(1, len(offsets)):
        if offsets[index] is None:
            offsets[index] = offsets[index - 1]
    for index in range(len(offsets) - 2, -1, -1):
        if offsets[index] is None:
            offsets[index] = offsets[index + 1]
    return [offset or 0 for offset in offsets]


def _utc(at: datetime) -> datetime | None:
    """Aware UTC, whole seconds; None when the calendar ends before (placeholders of year 1 or 9999)."""
    try:
        utc = at.astimezone(UTC)
    except OverflowError:
        return None
    return utc.replace(microsecond=0) if utc.microsecond else utc


def _offset_min(utc: datetime, zone: tzinfo) -> int:
    return _minutes(utc.astimezone(zone).utcoffset() or timedelta())
