"""The merged story of one shipment: events of all sources -> status, milestones, measures.

The walk (reference: statuses, section 2) goes from the oldest event to the newest and keeps one standing:

* informative and unmapped events are shown and change nothing;
* shipment data never undoes a scan; exceptions and failed attempts end with the next scan;
* once a return has begun, movement keeps Exception_Returning and "delivered" means Exception_Returned;
* Delivered, Returned, Destroyed and Cancel are sticky (STICKY says what leaves them);
* of events with the same time the one with the higher rank is the truth.

The order in which the histories are given means nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from itertools import takewhile

from parcelwire.domain.merge import History, visible
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment, Report
from parcelwire.domain.status import RANK, STAGE_OF, STICKY, Stage, Status, SubStatus
from parcelwire.domain.times import EARLIEST
from parcelwire.domain.values import dataclass, replace

AHEAD_MAX = timedelta(hours=36)  # an event further ahead of the clock is shown but decides nothing

_DEPARTURE = re.compile(r"\bdepart|\bleft\b", re.IGNORECASE)
_MOVEMENT = frozenset({Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.AVAILABLE_FOR_PICKUP})


@dataclass(frozen=True, slots=True)
class Scan:
    """One event as the timeline shows it: sub-status and the stage that it starts, after the walk."""

    event: Event
    sub_status: SubStatus | None
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """What one source contributed: the part of the journey that it saw. Scans newest first."""

    source: str
    facts: Report
    scans: tuple[Scan, ...]


# The UTC dates of Marks, in their order, as day numbers (``toordinal``): all that day counters need.
Dates = tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Marks:
    """Stored facts from which day counters are computed at read time. Aware UTC; None = not reached."""

    first: datetime | None = None
    transit: datetime | None = None  # picked up, else the second event, else the first
    done: datetime | None = None  # delivered or returned
    newest: datetime | None = None

    @property
    def dates(self) -> Dates:
        """Their dates."""
        return _date(self.first), _date(self.transit), _date(self.done), _date(self.newest)


def _date(at: datetime | None) -> int | None:
    return at.toordinal() if at else None


NO_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that is shown of a shipment except what depends on the clock."""

    sub_status: SubStatus
    descr: str | None = None
    legs: tuple[Leg, ...] = ()  # newest leg first
    latest: Scan | None = None
    milestones: Mapping[Stage, Moment] = field(default_factory=dict)
    marks: Marks = NO_MARKS
    origin: Address = NOWHERE
    destination: Address = NOWHERE
    estimate: Estimate | None = None


@dataclass(slots=True)
class _Step:
    """One event on the walk. ``leg`` is the place of its history in the input."""

    event: Event
    leg: int
    at: datetime
    sub: SubStatus | None
    counts: bool  # whether it can change the standing
    stage: Stage | None = None

    def scan(self) -> Scan:
        return Scan(self.event, self.sub, self.stage)


def _step(event: Event, leg: int) -> _Step:
    assert event.order_at is not None, "events are settled before they are stored"  # noqa: S101
    sub = event.sub_status
    return _Step(event, leg, event.order_at, sub, sub is not None and not event.informative)


def assemble(histories: Sequence[History], now: datetime) -> Timeline:
    """The timeline of a shipment from the histories of its sources; ``now`` only rules out future scans."""
    histories = sorted(histories, key=lambda history: history.source)
    steps = [_step(event, leg) for leg, history in enumerate(histories) for event in visible(history)]
    steps.sort(key=lambda step: (step.at, step.event.tie))
    ahead = now + AHEAD_MAX
    present = [step for step in steps if step.at <= ahead]
    by_news = sorted(histories, key=_news, reverse=True)
    origin, destination = _ends(by_news, steps)
    _mark_border(present, origin, destination)
    returning = any(history.report.returning for history in histories)
    standing, descr = _walk(present, returning=returning)
    returning = returning or any(step.counts and step.sub is SubStatus.RETURNING for step in present)
    newest = histories[present[-1].leg] if present else max(histories, key=_asked, default=None)
    if newest is not None:
        standing, descr = _cross_check(standing, descr, newest.report, returning=returning)
    reached = _reached(present)
    milestones = _milestones(reached, standing, by_news)
    return Timeline(
        sub_status=standing or _weakest(steps),
        descr=descr,
        legs=_legs(histories, steps),
        latest=present[-1].scan() if present else None,
        milestones=milestones,
        marks=_marks(present, reached, milestones),
        origin=origin,
        destination=destination,
        estimate=next((history.report.estimate for history in by_news if history.report.estimate), None),
    )


def days(dates: Dates, today: int) -> tuple[int, int, int, int]:
    """after_order, of_transit, of_transit_done, after_last_update: differences of UTC dates, >= 0."""
    first, transit, done, newest = dates
    end = done or today
    moving = max(0, end - transit) if transit else 0
    return (
        max(0, end - first) if first else 0,
        moving,
        moving if done else 0,
        max(0, today - newest) if newest else 0,
    )


def _walk(steps: Sequence[_Step], *, returning: bool) -> tuple[SubStatus | None, str | None]:
    standing: SubStatus | None = None
    since: datetime | None = None
    descr: str | None = None
    # Rank decides between events of one instant, so it orders them here; the list keeps the carrier's order.
    for step in sorted((s for s in steps if s.counts), key=lambda s: (s.at, RANK[s.sub] if s.sub else 0)):
        assert step.sub is not None  # noqa: S101
        returning = returning or step.sub is SubStatus.RETURNING
        if returning and step.sub is SubStatus.DELIVERED:
            step.sub = SubStatus.RETURNED
        after = _next(standing, step.sub, returning=returning, tied=step.at == since)
        if after is not None:
            standing, since, descr = after, step.at, step.event.reason
    return standing, descr


def _next(
    standing: SubStatus | None, new: SubStatus, *, returning: bool, tied: bool = False
) -> SubStatus | None:
    """The standing after ``new``; None when it changes nothing. ``tied``: of one instant, so rank decides."""
    if new is SubStatus.INFO_RECEIVED:
        return new if standing is None or RANK[standing] < RANK[new] else None
    if standing in STICKY and not tied:
        leaves = {
            SubStatus.DELIVERED: new in (SubStatus.RETURNING, SubStatus.RETURNED, SubStatus.DELIVERED),
            SubStatus.CANCEL: new.status in _MOVEMENT or RANK[new] > RANK[SubStatus.CANCEL],
        }
        if not leaves.get(standing, False):
            return None
    if returning and new.status in _MOVEMENT:
        return SubStatus.RETURNING
    return new


def _cross_check(
    standing: SubStatus | None, descr: str | None, facts: Report, *, returning: bool
) -> tuple[SubStatus | None, str | None]:
    """The carrier's own current status: taken when authoritative, when there is no scan, or when finer.

    It is then read as one more scan: it undoes no end, and on the way back "delivered" means returned.
    """
    current = facts.current
    if current is None:
        return standing, descr
    if returning and current is SubStatus.DELIVERED:
        current = SubStatus.RETURNED
    finer = standing is not None and current.status is standing.status and standing.value.endswith("_Other")
    if not (standing is None or facts.current_authoritative or finer or current is standing):
        return standing, descr
    after = _next(standing, current, returning=returning)
    if after is None:
        return standing, descr
    same = standing is not None and after.status is standing.status
    return after, facts.current_reason or (descr if same else None)


def _weakest(steps: Sequence[_Step]) -> SubStatus:
    """Nothing decides: with events the carrier knows the shipment, and nothing proves that it moves."""
    return SubStatus.INFO_RECEIVED if steps else SubStatus.NOT_FOUND_OTHER


def _mark_border(steps: Sequence[_Step], origin: Address, destination: Address) -> None:
    """Departure and arrival from the countries of the scans, when the carrier does not say them."""
    if origin.country is None or destination.country is None or origin.country == destination.country:
        return
    said = {step.sub for step in steps}
    scans = [
        step
        for step in steps
        if step.counts and step.sub is not SubStatus.INFO_RECEIVED and step.event.address.country
    ]
    home = list(takewhile(lambda step: step.event.address.country == origin.country, scans))
    if len(home) == len(scans):
        return  # nothing proves that it has left
    abroad = scans[len(home)]
    if SubStatus.ARRIVAL not in said and abroad.event.address.country == destination.country:
        _refine(abroad, SubStatus.ARRIVAL)
    if SubStatus.DEPARTURE not in said and home and _DEPARTURE.search(home[-1].event.description):
        _refine(home[-1], SubStatus.DEPARTURE)


def _refine(step: _Step, sub: SubStatus) -> None:
    step.stage = STAGE_OF[sub]
    if step.sub is SubStatus.IN_TRANSIT:
        step.sub = sub


def _reached(steps: Sequence[_Step]) -> dict[Stage, _Step]:
    """The event that first reached each stage (Delivered: the last one). It is marked with the stage."""
    reached: dict[Stage, _Step] = {}
    for step in steps:
        if not step.counts or step.sub is None:
            continue
        for stage in (STAGE_OF.get(step.sub), step.stage):
            if stage is not None and (stage is Stage.DELIVERED or stage not in reached):
                reached[stage] = step
    if Stage.PICKED_UP not in reached:
        first = next((s for s in steps if s.counts and s.sub and s.sub.status is Status.IN_TRANSIT), None)
        if first is not None:
            reached[Stage.PICKED_UP] = first
    _mark_stages(steps, reached)
    return reached


def _milestones(
    reached: Mapping[Stage, _Step], standing: SubStatus | None, by_news: Sequence[History]
) -> dict[Stage, Moment]:
    """When each stage was reached. A delivery whose event has no UTC time, or no event at all, takes the time
    that the carrier gives apart."""
    moments = {stage: step.event.time for stage, step in reached.items()}
    told = moments.get(Stage.DELIVERED)
    if told.utc is None if told else standing is SubStatus.DELIVERED:
        given = (history.report.delivered for history in by_news)
        apart = next((moment for moment in given if moment and (moment.utc or not told)), None)
        if apart is not None:
            moments[Stage.DELIVERED] = apart
    return moments


def _mark_stages(steps: Sequence[_Step], reached: Mapping[Stage, _Step]) -> None:
    """Each event shows the stage that it starts; of two, the one that its own sub-status names."""
    for step in steps:
        step.stage = None
    for stage, step in reached.items():
        own = STAGE_OF.get(step.sub) if step.sub else None
        if step.stage is None or stage is own:
            step.stage = stage


def _marks(
    steps: Sequence[_Step], reached: Mapping[Stage, _Step], milestones: Mapping[Stage, Moment]
) -> Marks:
    times = [step.at for step in steps if step.at > EARLIEST]  # EARLIEST: no event of that source has a time
    if not times:
        return NO_MARKS
    picked_up = reached.get(Stage.PICKED_UP)
    end = Stage.RETURNED if Stage.RETURNED in milestones else Stage.DELIVERED
    done = milestones[end].utc if end in milestones else None
    return Marks(
        first=times[0],
        transit=picked_up.at if picked_up else times[min(1, len(times) - 1)],
        done=done or (reached[end].at if end in reached else None),
        newest=times[-1],
    )


def _legs(histories: Sequence[History], steps: Sequence[_Step]) -> tuple[Leg, ...]:
    shown: dict[int, list[Scan]] = {leg: [] for leg in range(len(histories))}
    for step in reversed(steps):
        shown[step.leg].append(step.scan())
    legs = [
        (_news(histories[leg]), leg, Leg(histories[leg].source, histories[leg].report, tuple(shown[leg])))
        for leg in shown
    ]
    legs.sort(key=lambda item: (item[0], -item[1]), reverse=True)
    return tuple(leg for _, _, leg in legs)


def _ends(by_news: Sequence[History], steps: Sequence[_Step]) -> tuple[Address, Address]:
    """Origin and destination, as the newest answers know them; the country of the first of ``steps`` that has
    one stands for a missing origin country."""
    origin = next((h.report.origin for h in by_news if h.report.origin != NOWHERE), NOWHERE)
    destination = next((h.report.destination for h in by_news if h.report.destination != NOWHERE), NOWHERE)
    if origin.country is None:
        first = next((step.event.address.country for step in steps if step.event.address.country), None)
        origin = replace(origin, country=first)
    return origin, destination


def _news(history: History) -> tuple[bool, datetime]:
    """Orders sources by their newest event; those without any are the oldest."""
    at = history.seen[0].event.order_at if history.seen else None
    return at is not None, at or history.asked_at


def _asked(history: History) -> datetime:
    return history.asked_at
