"""Ask a carrier about shipments, and keep what it said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    MissingCredential,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import Conversation, Query, Reply
from parcelwire.domain.lane import BREAKER_AFTER, Lane, charge, settle
from parcelwire.domain.merge import History, add, unchanged
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.queue import batch_of, home, queue_after
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import (
    NO_SOURCE_INTERVAL,
    Next,
    Pace,
    after_failure,
    ends,
    expired,
    next_refresh,
)
from parcelwire.domain.shipment import Action, Phase, Shipment, StopReason
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Timeline, assemble
from parcelwire.domain.times import settle as settle_times
from parcelwire.flows.context import NO_SOURCE, Context
from parcelwire.flows.documents import digest_of, document_of, updated_body
from parcelwire.flows.stop import stopping
from parcelwire.ports import Attempt, Carrier, Due, Refreshed

NO_SOURCE_BATCH = 500
REPORT = "report"  # the outcome of an answer that is one
AHEAD = timedelta(minutes=15)  # a call that is made anyway takes shipments along that are due so soon


@dataclass(frozen=True, slots=True)
class Round:
    """What one turn of a lane did. ``wait_until``: the lane may not be asked before."""

    shipments: int = 0
    dropped: int = 0
    outcomes: tuple[tuple[Shipment, Attempt], ...] = ()
    wait_until: datetime | None = None
    why: str | None = None
    ms: int | None = None  # how long the conversation took; None: there was none
    overloaded: bool = False  # the carrier did not keep up


async def refresh_lane(context: Context, name: str) -> Round:
    """One call to the carrier of a lane, for as many due shipments as it takes."""
    now = context.clock.now()
    lease, until = context.new_id(), now + context.lease
    source = source_of_lane(context, name)
    if source is None:
        due = await context.store.claim(name, NO_SOURCE_BATCH, now, until, lease)
        return await _save(context, [_without_source(context, item, now) for item in due])
    most = batch_of(name, source.batch)
    every = context.paces.get(source.slug, context.pace).every
    ahead = AHEAD if most > 1 and every is None else timedelta()
    turn = await context.store.take_turn(name, most, source.limits, now, until, lease, ahead)
    if turn.grant is None:
        return Round()
    if not turn.grant.granted:
        return Round(wait_until=turn.grant.retry_at, why=turn.grant.why)
    conversation = await ask(context, source, turn.grant.lane, turn.due)
    results = await _results(context, source, turn.due, conversation, name)
    return replace(
        await _save(context, results),
        ms=conversation.ms,
        overloaded=isinstance(conversation.error, Throttled | Unavailable),
    )


async def ask(context: Context, source: Carrier, lane: Lane, due: Sequence[Due]) -> Conversation:
    """One conversation about shipments (of one lane), and what it means for the lane."""
    queries = {
        item.shipment.number: Query(
            item.shipment.number, item.shipment.carrier, item.shipment.since, item.shipment.wish.param
        )
        for item in due
    }
    conversation = await context.fetcher.ask(source, list(queries.values()))
    while True:
        now = context.clock.now()
        after = charge(lane, source.limits, len(conversation.replies) - 1, now)
        if lane.fails >= BREAKER_AFTER or not _parked(due, conversation.error):
            after = settle(after, conversation.error, now)
        if after is lane or await context.store.save_lane(after, lane.revision):
            return conversation
        lane = await context.store.lane(lane.name)


def _parked(due: Sequence[Due], error: CarrierError | None) -> bool:
    """A number that is known to spoil calls spoiled its own: that says nothing about the lane."""
    return (
        isinstance(error, MalformedReply)
        and len(due) == 1
        and due[0].shipment.lane != home(due[0].shipment.lane)
    )


def source_of_lane(context: Context, name: str) -> Carrier | None:
    """The carrier file that a queue asks; a lane is named ``slug`` or ``slug:credential``."""
    slug = home(name).partition(":")[0]
    return next((source for source in context.routes.sources.values() if source.slug == slug), None)


async def _save(context: Context, results: Sequence[Refreshed]) -> Round:
    dropped = await context.store.complete(results) if results else 0
    return Round(len(results), dropped, tuple((result.shipment, result.attempt) for result in results))


async def _results(
    context: Context, source: Carrier, due: Sequence[Due], conversation: Conversation, name: str
) -> list[Refreshed]:
    """What a conversation changes about its shipments: all go to a smaller queue when one may be to blame."""
    raw = conversation.replies[-1] if conversation.replies else None
    queue = queue_after(name, conversation.error, [item.shipment.fails for item in due])
    results = []
    for item in due:
        answer = conversation.answers[item.shipment.number]
        pace = await pace_of(context, source, item, name)
        result = outcome(context, source, item, answer, pace=pace, lane=name, ms=conversation.ms, raw=raw)
        results.append(result if queue == name else _moved(result, queue))
    return results


def _moved(result: Refreshed, queue: str) -> Refreshed:
    """The same shipment in another queue, to be asked about again at once."""
    at = result.shipment.refresh_at and result.attempt.at
    attempt = replace(result.attempt, text=f"{result.attempt.text}; asked again in smaller calls: {queue}")
    return replace(result, shipment=replace(result.shipment, lane=queue, refresh_at=at), attempt=attempt)


async def pace_of(context: Context, source: Carrier, due: Due, queue: str) -> Pace:
    """How time runs for a shipment, as far as the limits of its source allow."""
    pace = context.pace_of(due.shipment.carrier)
    return await context.loads.pace(pace, context.store, source, queue, context.clock.now())


def outcome(
    context: Context,
    source: Carrier,
    due: Due,
    answer: Report | CarrierError,
    *,
    pace: Pace,
    lane: str,
    ms: int,
    raw: Reply | None,
) -> Refreshed:
    """What one answer changes about one shipment. Whoever gets an answer goes home from a side queue."""
    now, before = context.clock.now(), due.shipment
    if isinstance(answer, Report):
        report = settle_times(answer, context.zone_of, now)
        own = next((item for item in due.histories if item.source == source.slug), None)
        if own is not None and _same(context, due, own, report):
            return _again(context, due.shipment, own, report, Attempt(now, lane, REPORT, ms, ""), pace, raw)
        history = add(own, source.slug, report, now)
        others = [item for item in due.histories if item.source != source.slug]
        timeline = assemble([history, *others], now)
        told = _told(before, now, home(before.lane))
        planned = next_refresh(timeline.sub_status, before.since, now, pace, timeline.estimate)
        text = _text(timeline.sub_status, sum(len(leg.scans) for leg in timeline.legs), report)
        attempt = Attempt(now, lane, REPORT, ms, f"{text}; {_next_text(planned)}")
        return _shown(context, told, timeline, planned, attempt, history, raw)
    if isinstance(answer, UnknownNumber | InvalidNumber):
        invalid = isinstance(answer, InvalidNumber)
        planned = next_refresh(before.sub_status, before.since, now, pace)
        attempt = Attempt(now, lane, answer.outcome, ms, f"{answer}; {_next_text(planned)}")
        # One that can never be spoils the next call, too: it stays where it is.
        told = _told(before, now, before.lane if invalid else home(before.lane))
        if any(history.seen for history in due.histories):  # carriers forget; we do not
            return _shown(context, told, assemble(due.histories, now), planned, attempt, None, raw)
        nothing = SubStatus.NOT_FOUND_INVALID_CODE if invalid else SubStatus.NOT_FOUND_OTHER
        return _shown(context, told, Timeline(nothing), planned, attempt, None, raw)
    silent = replace(before, asked_at=now, trouble=f"{answer.outcome}: {answer}", fails=before.fails + 1)
    normal = next_refresh(before.sub_status, before.since, now, pace)
    planned = after_failure(answer, silent.fails, normal, now, pace)
    attempt = Attempt(now, lane, answer.outcome, ms, f"{answer}; {_next_text(planned)}")
    return _kept(context, silent, planned, attempt, raw)


def _told(shipment: Shipment, now: datetime, lane: str) -> Shipment:
    """The carrier has said something about it."""
    return replace(shipment, asked_at=now, answered_at=now, trouble=None, fails=0, lane=lane)


def _text(sub_status: SubStatus, events: int, report: Report) -> str:
    """What the log says about an answer; it begins with the sub-status."""
    unmapped = f", unmapped codes {', '.join(report.unmapped)}" if report.unmapped else ""
    return f"{sub_status.value}, {events} events{unmapped}"


def _same(context: Context, due: Due, own: History, report: Report) -> bool:
    """Whether an answer repeats what is known, so that nothing is to be made anew. Nearly all answers do."""
    shipment, now = due.shipment, context.clock.now()
    newest = shipment.marks.newest
    return (
        len(due.histories) == 1
        and shipment.digest is not None
        and shipment.sub_status is not SubStatus.EXPIRED
        and shipment.sub_status is not None
        and (newest is None or newest <= own.asked_at)  # a scan ahead of the clock may count only now
        and not expired(shipment.sub_status, newest, now, context.pace_of(shipment.carrier))
        and unchanged(own, report)
    )


def _again(
    context: Context,
    shipment: Shipment,
    own: History,
    report: Report,
    attempt: Attempt,
    pace: Pace,
    raw: Reply | None,
) -> Refreshed:
    """The carrier said the same again."""
    now = attempt.at
    assert shipment.sub_status is not None  # noqa: S101
    planned = next_refresh(shipment.sub_status, shipment.since, now, pace, report.estimate)
    text = f"{_text(shipment.sub_status, len(own.seen), report)}, nothing new; {_next_text(planned)}"
    told = _planned(_told(shipment, now, home(shipment.lane)), planned)
    history = History(own.source, now, own.report, own.seen, own.older)
    return _ended(context, Refreshed(told, replace(attempt, text=text), history, None, (), raw))


def _without_source(context: Context, due: Due, now: datetime) -> Refreshed:
    missing = context.routes.missing.get(due.shipment.carrier, ())
    trouble = str(MissingCredential(due.shipment.carrier, missing))
    planned = Next(now + NO_SOURCE_INTERVAL, "until a source is configured")
    attempt = Attempt(now, NO_SOURCE, "no_source", 0, f"{trouble}; {_next_text(planned)}")
    return _kept(context, replace(due.shipment, asked_at=now, trouble=trouble), planned, attempt, None)


def _shown(
    context: Context,
    shipment: Shipment,
    timeline: Timeline,
    planned: Next,
    attempt: Attempt,
    history: History | None,
    raw: Reply | None,
) -> Refreshed:
    """A timeline is known: the document is made, and a push when it differs from what was last told."""
    sub_status = timeline.sub_status
    if expired(sub_status, timeline.marks.newest, attempt.at, context.pace_of(shipment.carrier)):
        sub_status = SubStatus.EXPIRED
    tracking = shipment.phase is Phase.TRACKING
    after = replace(
        shipment,
        sub_status=sub_status,
        descr=timeline.descr,
        marks=timeline.marks,
        refresh_at=planned.at if tracking else None,
    )
    document = document_of(context, after, timeline)
    digest = digest_of(after, document)
    if digest == shipment.digest:
        return _ended(context, Refreshed(after, attempt, history, None, (), raw))
    after = replace(
        after,
        digest=digest,
        # Expired is our own timer, not news: it must not put off the end.
        changed_at=after.changed_at if sub_status is SubStatus.EXPIRED else attempt.at,
        version=after.version + tracking,
    )
    if not tracking:
        return Refreshed(after, attempt, history, document, (), raw)
    push = NewPush(PushEvent.UPDATED, after.version, updated_body(after, document, attempt.at))
    return _ended(context, Refreshed(after, attempt, history, document, (push,), raw))


def _kept(
    context: Context, shipment: Shipment, planned: Next, attempt: Attempt, raw: Reply | None
) -> Refreshed:
    """Nothing new is known; what is known stays."""
    return _ended(context, Refreshed(_planned(shipment, planned), attempt, None, None, (), raw))


def _planned(shipment: Shipment, planned: Next) -> Shipment:
    return replace(shipment, refresh_at=planned.at if shipment.phase is Phase.TRACKING else None)


def _ended(context: Context, result: Refreshed) -> Refreshed:
    """Tracking ends by rule when nothing has changed for long enough."""
    shipment, now = result.shipment, result.attempt.at
    since = shipment.changed_at or shipment.since
    over = ends(shipment.sub_status, since, now, context.pace_of(shipment.carrier))
    if shipment.phase is not Phase.TRACKING or not over:
        return result
    change = stopping(shipment, Action.END, StopReason.EXPIRED, now)
    return replace(result, shipment=change.shipment, pushes=(*result.pushes, *change.pushes))


def _next_text(planned: Next) -> str:
    return f"next refresh {planned.at:%Y-%m-%d %H:%M:%S}Z: {planned.why}"
