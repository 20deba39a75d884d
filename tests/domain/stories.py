"""Events, histories and timelines in few words."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from parcelwire.domain.merge import History, begin
from parcelwire.domain.report import NOWHERE, Address, Event, Moment, Report
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Timeline, assemble
from parcelwire.domain.times import exact, settle

START = datetime(2026, 5, 1, 8, tzinfo=UTC)
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = {"CN": "Asia/Shanghai", "DE": "Europe/Berlin", "GB": "Europe/London", "NP": "Asia/Kathmandu"}


def zone_of(place: Address) -> tzinfo | None:
    """The zone of a few countries."""
    return ZoneInfo(ZONES[place.country]) if place.country in ZONES else None


def utc(text: str) -> datetime:
    """``05-01 08:00`` of 2026."""
    return datetime.fromisoformat(f"2026-{text.replace(' ', 'T')}+00:00")


def event(when: Moment | datetime, sub: SubStatus | None, text: str = "", **more: Any) -> Event:
    """An event; its text names the sub-status when none is given."""
    moment = exact(when) if isinstance(when, datetime) else when
    country = more.pop("country", None)
    address = Address(country=country) if country else more.pop("address", NOWHERE)
    return Event(moment, text or (sub.value if sub else "unmapped"), sub, address=address, **more)


def history(
    oldest_first: Sequence[Event],
    *,
    asked_at: datetime = NOW,
    source: str = "post",
    now: datetime | None = None,
    **facts: Any,
) -> History:
    """What one answer with these events leaves behind."""
    report = Report("A12345", events=tuple(reversed(oldest_first)), **facts)
    return begin(source, settle(report, zone_of, now or asked_at), asked_at)


def hourly(*subs: SubStatus | Event | None, start: datetime = START) -> list[Event]:
    """One event an hour, oldest first; an Event stands as it is, but for its time."""
    steps: list[Event] = []
    for hours, sub in enumerate(subs):
        when = start + hours * HOUR
        if isinstance(sub, Event):
            steps.append(event(when, sub.sub_status, sub.description, informative=sub.informative))
        else:
            steps.append(event(when, sub))
    return steps


def told(*subs: SubStatus | Event | None, **facts: Any) -> Timeline:
    """The timeline of one source that tells these sub-statuses, one an hour."""
    return assemble([history(hourly(*subs), **facts)], NOW)


def note(sub: SubStatus) -> Event:
    """A message about the shipment: informative."""
    return event(START, sub, informative=True)
