"""All answers of one source about one shipment, merged.

Merging is idempotent, does not depend on the order in which answers arrive, and is monotone: events are only
added. An empty, shorter or older answer never removes anything. A correction (the same scan with its time
moved by a few minutes in a later answer) hides the scan that it corrects, and an event that the carrier
takes back (Report.voided) is hidden for good; the old one stays stored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import field
from datetime import datetime, timedelta
from operator import attrgetter

from parcelwire.domain import times
from parcelwire.domain.report import EVENTS_MAX, Event, Report
from parcelwire.domain.values import dataclass, replace

CORRECTION_MAX = timedelta(minutes=5)

# Facts of the whole shipment: the newest answer that has one decides. The carrier's current status is that of
# the newest answer that said where the shipment stands. The rest of a report is the newest answer's alone.
_FACTS = (
    "delivered", "estimate", "origin", "destination", "service", "weight_raw", "weight_kg", "pieces",
    "dimensions", "customer_number", "reference_number", "local_number", "local_carrier", "lang",
)  # fmt: skip
_STANDING = ("current", "current_authoritative", "current_reason")
_facts_of = attrgetter(*_FACTS)
_EMPTY = _facts_of(Report(""))

EventKey = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """One event and the answers that held it. ``last`` is None while the newest answer still has it."""

    event: Event
    first: datetime
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What one source has said about one shipment, over all its answers.

    ``source`` is the slug of a carrier file, for a carrier behind an upstream with its code: ``slug/code``.
    """

    source: str
    asked_at: datetime  # of the newest answer that held a report
    report: Report  # facts of the newest answers; its events are empty, see ``seen``
    seen: tuple[Seen, ...] = ()  # newest first
    older: dict[str, datetime] = field(default_factory=dict)  # facts that come from an older answer: when


def begin(source: str, report: Report, asked_at: datetime) -> History:
    """The history after a first answer. ``report`` must be settled (domain.times.settle)."""
    return History(source, asked_at, _facts_alone(report), _sorted(_events(report, asked_at)))


def merge(one: History, two: History) -> History:
    """Both histories of the same source as one."""
    return _merged(one, _keyed(one), two, _keyed(two))


def add(history: History | None, source: str, report: Report, asked_at: datetime) -> History:
    """The history with one more answer. A report without events and status adds nothing but its facts."""
    if history is None:
        return begin(source, report, asked_at)
    if _goes_on(history, report, asked_at):
        new = report.events[: len(report.events) - len(history.seen)]
        seen = (*(Seen(event, asked_at) for event in new), *history.seen)
        latest = History(source, asked_at, _facts_alone(report), seen)
        facts, older = _facts(latest, history)
        return History(source, asked_at, facts, seen, older)
    events = _events(report, asked_at)
    latest = History(source, asked_at, _facts_alone(report), tuple(events.values()))
    return _merged(latest, events, history, _keyed(history))


def _goes_on(history: History, report: Report, asked_at: datetime) -> bool:
    """Whether a newer answer is what was known and later scans: nearly all news are. Then there is nothing to
    look for and to sort."""
    seen, more = history.seen, len(report.events) - len(history.seen)
    if not seen or more < 0 or asked_at <= history.asked_at:
        return False
    before = seen[0].event.order_at
    for event in reversed(report.events[:more]):
        if before is None or event.time.utc is None or event.order_at is None or event.order_at <= before:
            return False
        before = event.order_at
    return all(
        item.last is None and item.event == event
        for item, event in zip(seen, report.events[more:], strict=True)
    )


def _facts_alone(report: Report) -> Report:
    voided = report.voided and tuple(sorted(set(report.voided)))
    return replace(report, events=(), voided=voided)


def _events(report: Report, asked_at: datetime) -> dict[EventKey, Seen]:
    return {event_key(event): Seen(event, asked_at) for event in reversed(report.events)}


def _keyed(history: History) -> dict[EventKey, Seen]:
    return {event_key(item.event): item for item in history.seen}


def _merged(
    one: History, in_one: dict[EventKey, Seen], two: History, in_two: dict[EventKey, Seen]
) -> History:
    """Both as one; ``in_one`` and ``in_two`` are their events."""
    if _is_newer(one, two):
        new, seen, old, in_old = one, in_one, two, in_two
    else:
        new, seen, old, in_old = two, in_two, one, in_one
    for key, item in in_old.items():
        known = seen.get(key)
        seen[key] = _both(known, item, new, old) if known else _only_in(item, new, old)
    report, older = _facts(new, old)
    return History(new.source, new.asked_at, report, _sorted(seen), older)


def unchanged(history: History, report: Report) -> bool:
    """Whether a settled report says exactly what is known: no new event, none missing, the same facts."""
    seen = history.seen
    return (
        len(seen) == len(report.events)
        and not history.older
        and all(
            item.last is None and item.event == event for item, event in zip(seen, report.events, strict=True)
        )
        and replace(report, events=(), mark=history.report.mark) == history.report
    )


def earlier(history: History, by: timedelta) -> History:
    """The history of the same journey begun earlier by ``by``: its events move, the answers do not."""
    seen = tuple(
        replace(
            item,
            event=replace(
                item.event,
                time=times.earlier(item.event.time, by),
                order_at=item.event.order_at and item.event.order_at - by,
            ),
        )
        for item in history.seen
    )
    return replace(history, seen=seen)


def extend(histories: Iterable[History], source: str, report: Report, now: datetime) -> list[History]:
    """The histories that one answer changes: one, or one for each carrier that an upstream speaks for.

    An upstream says when it learned what it tells: an answer that comes late cannot pass for the newest.
    """
    known = {history.source: history for history in histories}
    changed: dict[str, History] = {}
    own = replace(report, further=()) if report.further else report
    for part in (own, *report.further):
        name = f"{source}/{part.behind.code}" if part.behind else source
        at = min(part.as_of or now, now)
        changed[name] = add(changed.get(name) or known.get(name), name, part, at)
    return list(changed.values())


def event_key(event: Event) -> EventKey:
    """Identity of an event: its time as given, code, text without case and spacing, place."""
    moment = event.time
    if moment.zone is not None and moment.utc is not None:
        when = moment.utc.isoformat()
    else:
        when = f"{moment.date} {moment.time}"
    return (when, *_scan(event))


def visible(history: History) -> Iterator[Event]:
    """The events to show, newest first: all but those that a later answer corrected or took back."""
    voided = frozenset(history.report.voided)
    if not voided and all(item.last is None for item in history.seen):  # the newest answer holds all of them
        yield from (item.event for item in history.seen)
        return
    by_scan: dict[tuple[str, str, str], list[Seen]] = {}
    for item in history.seen:
        by_scan.setdefault(_scan(item.event), []).append(item)
    for item in history.seen:
        if event_key(item.event) in voided:
            continue
        if item.last is None or not any(_corrects(other, item) for other in by_scan[_scan(item.event)]):
            yield item.event


def _scan(event: Event) -> tuple[str, str, str]:
    return event.code, event.description.casefold(), (event.location or "").casefold()


def _corrects(new: Seen, old: Seen) -> bool:
    """The later answer that brought ``new`` no longer held ``old``, and only the minutes differ."""
    if new is old or old.last is None or new.first <= old.last:  # itself: when the clock went back
        return False
    if new.event.time.time is None or old.event.time.time is None:
        return False
    apart = (new.event.order_at or new.first) - (old.event.order_at or old.first)
    return abs(apart) <= CORRECTION_MAX


def _last(item: Seen, history: History) -> datetime:
    return item.last or history.asked_at


def _only_in(item: Seen, new: History, old: History) -> Seen:
    """An event that the newer history lacks."""
    last = _last(item, old)
    return replace(item, last=None if last == new.asked_at else last)


def _both(newer: Seen, older: Seen, new: History, old: History) -> Seen:
    first = min(newer.first, older.first)
    if newer.last is None:  # in the newest answer, after which there is none
        return newer if first == newer.first else Seen(newer.event, first)
    last = max(_last(newer, new), _last(older, old))
    latest = newer if _last(newer, new) >= _last(older, old) else older
    return Seen(latest.event, first, None if last == new.asked_at else last)


def _facts(new: History, old: History) -> tuple[Report, dict[str, datetime]]:
    changes: dict[str, object] = {}
    older: dict[str, datetime] = {}
    aged = new.older.keys() | old.older.keys()
    facts, known = _facts_of(new.report), _facts_of(old.report)
    differ = facts != known or aged  # else there is nothing to choose
    for name, ours, theirs, empty in zip(_FACTS, facts, known, _EMPTY, strict=True) if differ else ():
        has_new, has_old = ours != empty, theirs != empty
        if name not in aged and (has_new or not has_old):
            continue  # nearly always: the newer answer has it, or neither
        when_new = new.older.get(name, new.asked_at)
        when_old = old.older.get(name, old.asked_at)
        if has_old and (not has_new or when_old > when_new):
            changes[name] = theirs
            when_new = when_old
        if (has_new or has_old) and when_new != new.asked_at:
            older[name] = when_new
    said, said_old = _said(new), _said(old)
    if said_old is not None and (said is None or said_old > said):
        changes.update((name, getattr(old.report, name)) for name in _STANDING)
        said = said_old
    if said is not None and said != new.asked_at:
        older["current"] = said
    if old.report.returning and not new.report.returning:
        changes["returning"] = True
    if old.report.voided:
        changes["voided"] = tuple(sorted({*new.report.voided, *old.report.voided}))
    return replace(new.report, **changes) if changes else new.report, older  # type: ignore[arg-type]


def _said(history: History) -> datetime | None:
    """When the source last said where the shipment stands, with events or with a current status."""
    spoke = history.report.current is not None or any(item.last is None for item in history.seen)
    return history.older.get("current", history.asked_at if spoke else None)


def _is_newer(one: History, two: History) -> bool:
    if one.asked_at != two.asked_at:
        return one.asked_at > two.asked_at
    # Two answers of one instant: any fixed choice will do, as long as it does not depend on the order.
    return repr(one.report) >= repr(two.report)


def _sorted(seen: dict[EventKey, Seen]) -> tuple[Seen, ...]:
    def key(pair: tuple[EventKey, Seen]) -> tuple[datetime, int, EventKey]:
        event = pair[1].event
        return event.order_at or pair[1].first, event.tie, pair[0]

    return tuple(item for _, item in sorted(seen.items(), key=key, reverse=True)[:EVENTS_MAX])
