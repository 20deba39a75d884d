"""Ask a carrier about shipments, and keep what it said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from parcelwire.domain.errors import CarrierError, InvalidNumber, MissingCredential, UnknownNumber
from parcelwire.domain.exchange import Conversation, Query, Reply
from parcelwire.domain.lane import Lane, charge, settle, take
from parcelwire.domain.merge import History, add
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import NO_SOURCE_INTERVAL, Next, after_failure, ends, expired, next_refresh
from parcelwire.domain.shipment import Action, Phase, Shipment, StopReason
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Timeline, assemble
from parcelwire.domain.times import settle as settle_times
from parcelwire.flows.context import NO_SOURCE, Context
from parcelwire.flows.documents import digest_of, document_of, updated_body
from parcelwire.flows.stop import stopping
from parcelwire.ports import Attempt, Carrier, Due, Refreshed

NO_SOURCE_BATCH = 500


@dataclass(frozen=True, slots=True)
class Round:
    """What one turn of a lane did. ``wait_until``: the lane may not be asked before."""

    shipments: int = 0
    dropped: int = 0
    outcomes: tuple[tuple[Shipment, Attempt], ...] = ()
    wait_until: datetime | None = None
    why: str | None = None


async def refresh_lane(context: Context, name: str) -> Round:
    """One call to the carrier of a lane, for as many due shipments as it takes."""
    now = context.clock.now()
    lease, until = context.new_id(), now + context.lease
    source = source_of_lane(context, name)
    if source is None:
        due = await context.store.claim(name, NO_SOURCE_BATCH, now, until, lease)
        return await _save(context, [_without_source(context, item, now) for item in due])
    lane = await context.store.lane(name)
    grant = take(lane, source.limits, now)
    if not grant.granted:
        return Round(wait_until=grant.retry_at, why=grant.why)
    if not await context.store.save_lane(grant.lane, lane.revision):
        return Round()  # another process took the turn
    due = await context.store.claim(name, source.batch, now, until, lease)
    if not due:
        return Round()
    conversation = await ask(context, source, grant.lane, due)
    return await _save(context, [_after(context, source, item, conversation, name) for item in due])


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
        after = settle(
            charge(lane, source.limits, len(conversation.replies) - 1, now), conversation.error, now
        )
        if after is lane or await context.store.save_lane(after, lane.revision):
            return conversation
        lane = await context.store.lane(lane.name)


def source_of_lane(context: Context, name: str) -> Carrier | None:
    """The carrier file that a lane asks; a lane is named ``slug`` or ``slug:credential``."""
    slug = name.partition(":")[0]
    return next((source for source in context.routes.sources.values() if source.slug == slug), None)


async def _save(context: Context, results: Sequence[Refreshed]) -> Round:
    dropped = await context.store.complete(results) if results else 0
    return Round(len(results), dropped, tuple((result.shipment, result.attempt) for result in results))


def _after(context: Context, source: Carrier, due: Due, conversation: Conversation, lane: str) -> Refreshed:
    answer = conversation.answers[due.shipment.number]
    raw = conversation.replies[-1] if conversation.replies else None
    return outcome(context, source, due, answer, lane=lane, ms=conversation.ms, raw=raw)


def outcome(
    context: Context,
    source: Carrier,
    due: Due,
    answer: Report | CarrierError,
    *,
    lane: str,
    ms: int,
    raw: Reply | None,
) -> Refreshed:
    """What one answer changes about one shipment."""
    now = context.clock.now()
    pace = context.pace_of(due.shipment.carrier)
    before = replace(due.shipment, asked_at=now)
    if isinstance(answer, Report):
        report = settle_times(answer, context.zone_of, now)
        own = next((item for item in due.histories if item.source == source.slug), None)
        history = add(own, source.slug, report, now)
        others = [item for item in due.histories if item.source != source.slug]
        timeline = assemble([history, *others], now)
        told = replace(before, trouble=None, fails=0, answered_at=now)
        planned = next_refresh(timeline.sub_status, before.since, now, pace, timeline.estimate)
        text = f"{timeline.sub_status.value}, {sum(len(leg.scans) for leg in timeline.legs)} events"
        if report.unmapped:
            text += f", unmapped codes {', '.join(report.unmapped)}"
        attempt = Attempt(now, lane, "report", ms, f"{text}; {_next_text(planned)}")
        return _shown(context, told, timeline, planned, attempt, history, raw)
    if isinstance(answer, UnknownNumber | InvalidNumber):
        planned = next_refresh(before.sub_status, before.since, now, pace)
        attempt = Attempt(now, lane, answer.outcome, ms, f"{answer}; {_next_text(planned)}")
        told = replace(before, trouble=None, fails=0, answered_at=now)
        if any(history.seen for history in due.histories):  # carriers forget; we do not
            return _shown(context, told, assemble(due.histories, now), planned, attempt, None, raw)
        invalid = isinstance(answer, InvalidNumber)
        nothing = SubStatus.NOT_FOUND_INVALID_CODE if invalid else SubStatus.NOT_FOUND_OTHER
        return _shown(context, told, Timeline(nothing), planned, attempt, None, raw)
    silent = replace(before, trouble=f"{answer.outcome}: {answer}", fails=before.fails + 1)
    normal = next_refresh(before.sub_status, before.since, now, pace)
    planned = after_failure(answer, silent.fails, normal, now, pace)
    attempt = Attempt(now, lane, answer.outcome, ms, f"{answer}; {_next_text(planned)}")
    return _kept(context, silent, planned, attempt, raw)


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
    after = replace(shipment, sub_status=sub_status, descr=timeline.descr, marks=timeline.marks)
    document = document_of(context, after, timeline)
    digest = digest_of(after, document)
    if digest == shipment.digest:
        return _ended(context, Refreshed(_planned(after, planned), attempt, history, None, (), raw))
    if sub_status is not SubStatus.EXPIRED:  # that is our own timer, not news: it must not put off the end
        after = replace(after, changed_at=attempt.at)
    after = replace(after, digest=digest)
    if after.phase is not Phase.TRACKING:
        return Refreshed(_planned(after, planned), attempt, history, document, (), raw)
    after = replace(after, version=after.version + 1)
    push = NewPush(PushEvent.UPDATED, after.version, updated_body(after, document, attempt.at))
    return _ended(context, Refreshed(_planned(after, planned), attempt, history, document, (push,), raw))


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
