"""Ask a carrier about shipments, and keep what it said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from parcelwire.domain.errors import CarrierError, InvalidNumber, UnknownNumber
from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import Lane, take
from parcelwire.domain.merge import History, extend, merge
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import NO_SOURCE_INTERVAL, Next, after_failure, ends, expired, next_refresh
from parcelwire.domain.shipment import Action, Phase, Shipment, StopReason
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Timeline, assemble
from parcelwire.domain.times import settle as settle_times
from parcelwire.flows.asking import ask, query_of
from parcelwire.flows.asking import said as said_of
from parcelwire.flows.context import Context
from parcelwire.flows.documents import digest_of, document_of, updated_body
from parcelwire.flows.routes import NO_SOURCE, Said
from parcelwire.flows.stop import stopping
from parcelwire.flows.upstream import ask_upstream
from parcelwire.ports import Attempt, Carrier, Due, Pair, Refreshed, Told

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
    source = context.routes.named(name)
    if source is None:
        due = await context.store.claim(name, NO_SOURCE_BATCH, now, until, lease)
        return await _save(context, await _routed_anew(context, due, now))
    lane = await context.store.lane(name)
    grant = take(lane, source.limits, now)
    if not grant.granted:
        return Round(wait_until=grant.retry_at, why=grant.why)
    if not await context.store.save_lane(grant.lane, lane.revision):
        return Round()  # another process took the turn
    due = await context.store.claim(name, source.batch, now, until, lease)
    if not due:
        return Round()
    said = await ask_about(context, source, grant.lane, due)
    return await _save(
        context,
        [outcome(context, source, item, said[item.shipment.id], name) for item in due],
    )


async def ask_about(
    context: Context, source: Carrier, lane: Lane, due: Sequence[Due], *, instant: bool = False
) -> Mapping[int, Said]:
    """What a source says about shipments, by their id. ``instant``: an upstream is to ask the carrier now."""
    upstream = context.routes.upstream
    if upstream is not None and source is upstream.source:
        return await ask_upstream(context, upstream, lane, due, instant=instant)
    conversation = await ask(context, source, lane, [query_of(context, source, item) for item in due])
    return {item.shipment.id: said_of(conversation, item) for item in due}


async def _save(context: Context, results: Sequence[Refreshed]) -> Round:
    dropped = await context.store.complete(results) if results else 0
    return Round(len(results), dropped, tuple((result.shipment, result.attempt) for result in results))


def outcome(context: Context, source: Carrier, due: Due, said: Said, lane: str) -> Refreshed:
    """What one answer changes about one shipment."""
    answer = said.answer
    if isinstance(answer, Report | Told):
        return _told(context, source, due, said, lane)
    result = (
        _nothing_known(context, due, answer, said, lane)
        if isinstance(answer, UnknownNumber | InvalidNumber)
        else _silent(context, due, answer, said, lane)
    )
    now = context.clock.now()
    why = context.routes.gives_up(source, due, said, now, context.pace_of(due.shipment.carrier).day)
    return _moved(context, result, why) if why and result.shipment.refresh_at else result


def _told(context: Context, source: Carrier, due: Due, said: Said, lane: str) -> Refreshed:
    """A source said something, to this shipment now or to another one lately."""
    now = context.clock.now()
    at, text = now, ""
    changed: list[History] = []
    if isinstance(said.answer, Told):
        at = said.answer.shipment.answered_at or now
        own = {history.source: history for history in due.histories}
        changed = [
            merge(own[told.source], told) if told.source in own else told for told in said.answer.histories
        ]
        text = f" (as told to another registration at {at:%H:%M:%S}Z)"
    elif isinstance(said.answer, Report):
        report = settle_times(said.answer, context.zone_of, now)
        changed = extend(due.histories, source.slug, report, now)
        text = f", unmapped codes {', '.join(report.unmapped)}" if report.unmapped else ""
    attempt = Attempt(now, lane, "report", said.ms, text)
    return shown_as(context, due, changed, attempt, said.raw, told_at=at)


def _nothing_known(
    context: Context, due: Due, answer: UnknownNumber | InvalidNumber, said: Said, lane: str
) -> Refreshed:
    now = context.clock.now()
    before = replace(due.shipment, asked_at=now)
    planned = next_refresh(before.sub_status, before.since, now, context.pace_of(before.carrier))
    attempt = Attempt(now, lane, answer.outcome, said.ms, f"{answer}; {_next_text(planned)}")
    told = replace(before, trouble=None, fails=0, answered_at=now)
    if any(history.seen for history in due.histories):  # carriers forget; we do not
        return _shown(context, told, assemble(due.histories, now), planned, attempt, (), said.raw)
    invalid = isinstance(answer, InvalidNumber)
    nothing = SubStatus.NOT_FOUND_INVALID_CODE if invalid else SubStatus.NOT_FOUND_OTHER
    return _shown(context, told, Timeline(nothing), planned, attempt, (), said.raw)


def _silent(context: Context, due: Due, answer: CarrierError, said: Said, lane: str) -> Refreshed:
    now = context.clock.now()
    pace = context.pace_of(due.shipment.carrier)
    silent = replace(
        due.shipment, asked_at=now, trouble=f"{answer.outcome}: {answer}", fails=due.shipment.fails + 1
    )
    normal = next_refresh(silent.sub_status, silent.since, now, pace)
    planned = after_failure(answer, silent.fails, normal, now, pace)
    attempt = Attempt(now, lane, answer.outcome, said.ms, f"{answer}; {_next_text(planned)}")
    return _kept(context, silent, planned, attempt, said.raw)


def _moved(context: Context, result: Refreshed, why: str) -> Refreshed:
    """The source is given up: the upstream is asked, at once."""
    shipment = result.shipment
    source = context.routes.route(shipment.carrier, shipment.number, given_up=why).source
    if source is None:
        return result
    attempt = replace(result.attempt, text=f"{result.attempt.text}; {why}: from now on {source.slug}")
    moved = replace(
        shipment, lane=source.lane(shipment.number), refresh_at=result.attempt.at, trouble=None, fails=0
    )
    return replace(result, shipment=moved, attempt=attempt, given_up=why)


async def _routed_anew(context: Context, due: Sequence[Due], now: datetime) -> list[Refreshed]:
    """Shipments that have no source: perhaps they have one now."""
    given_up: dict[Pair, str | None] = {}
    if due and context.routes.upstream:
        numbers = [item.shipment.number for item in due]
        rows = await context.store.bought(context.routes.upstream.source.slug, numbers)
        given_up = {row.pair: row.given_up for row in rows}
    return [_routed(context, item, given_up, now) for item in due]


def _routed(context: Context, due: Due, given_up: Mapping[Pair, str | None], now: datetime) -> Refreshed:
    shipment = due.shipment
    pair = shipment.number, shipment.carrier
    route = context.routes.route(shipment.carrier, shipment.number, shipment.wish.param, given_up.get(pair))
    if route.source is not None:
        planned = Next(now, "at once")
        attempt = Attempt(now, NO_SOURCE, "routed", 0, f"from now on {route.source.slug}: {route.why}")
        moved = replace(shipment, lane=route.source.lane(shipment.number), trouble=None)
        return _kept(context, moved, planned, attempt, None)
    planned = Next(now + NO_SOURCE_INTERVAL, "until a source is configured")
    attempt = Attempt(now, NO_SOURCE, "no_source", 0, f"{route.why}; {_next_text(planned)}")
    return _kept(context, replace(shipment, asked_at=now, trouble=route.why), planned, attempt, None)


def shown_as(
    context: Context,
    due: Due,
    changed: Sequence[History],
    attempt: Attempt,
    raw: Reply | None,
    *,
    told_at: datetime,
) -> Refreshed:
    """The shipment with changed histories. ``attempt.text`` is what to add to the summary."""
    now = attempt.at
    others = {history.source: history for history in due.histories}
    timeline = assemble(list((others | {history.source: history for history in changed}).values()), now)
    told = replace(due.shipment, trouble=None, fails=0, asked_at=told_at, answered_at=told_at)
    pace = context.pace_of(told.carrier)
    planned = next_refresh(timeline.sub_status, told.since, told_at, pace, timeline.estimate)
    text = f"{timeline.sub_status.value}, {sum(len(leg.scans) for leg in timeline.legs)} events{attempt.text}"
    attempt = replace(attempt, text=f"{text}; {_next_text(planned)}")
    return _shown(context, told, timeline, planned, attempt, tuple(changed), raw)


def _shown(
    context: Context,
    shipment: Shipment,
    timeline: Timeline,
    planned: Next,
    attempt: Attempt,
    histories: tuple[History, ...],
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
        return _ended(context, Refreshed(_planned(after, planned), attempt, histories, raw=raw))
    if sub_status is not SubStatus.EXPIRED:  # that is our own timer, not news: it must not put off the end
        after = replace(after, changed_at=attempt.at)
    after = replace(after, digest=digest)
    if after.phase is not Phase.TRACKING:
        return Refreshed(_planned(after, planned), attempt, histories, document=document, raw=raw)
    after = replace(after, version=after.version + 1)
    push = NewPush(PushEvent.UPDATED, after.version, updated_body(after, document, attempt.at))
    result = Refreshed(
        _planned(after, planned), attempt, histories, document=document, pushes=(push,), raw=raw
    )
    return _ended(context, result)


def _kept(
    context: Context, shipment: Shipment, planned: Next, attempt: Attempt, raw: Reply | None
) -> Refreshed:
    """Nothing new is known; what is known stays."""
    return _ended(context, Refreshed(_planned(shipment, planned), attempt, raw=raw))


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
    return f"next refresh {planned.at:%Y-%m-%dT%H:%M:%SZ}: {planned.why}"
