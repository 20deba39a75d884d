"""Ask a carrier about shipments, and keep what it said."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from parcelwire.domain.doubt import found
from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    Mistaken,
    StoreUnavailable,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import Reply
from parcelwire.domain.merge import History, extend, merge
from parcelwire.domain.poison import Piece
from parcelwire.domain.push import NewPush, PushEvent
from parcelwire.domain.queue import batch_of, home, queue_after
from parcelwire.domain.report import Repeated, Report
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
from parcelwire.domain.values import dataclass, replace
from parcelwire.flows.again import mark_to_tell, marked, repeats
from parcelwire.flows.asking import Calls, ask, candidate, query_of
from parcelwire.flows.asking import said as said_of
from parcelwire.flows.context import Context
from parcelwire.flows.documents import digest_of, document_of, updated_body
from parcelwire.flows.doubt import confirmed, corrected, doubted, is_free, missed
from parcelwire.flows.routes import NO_SOURCE, Said
from parcelwire.flows.stop import stopping
from parcelwire.flows.translate import with_translation
from parcelwire.flows.upstream import ask_upstream
from parcelwire.ports import Attempt, Carrier, Due, Pair, Refreshed, Told
from parcelwire.wire.trackinfo import utc_text

NO_SOURCE_BATCH = 500
AHEAD = timedelta(minutes=15)  # a call that is made anyway takes shipments along that are due so soon
REPORT = "report"  # the outcome of an answer that is one


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
    errors: tuple[tuple[Shipment, str], ...] = ()  # unexpected ones, of ours


async def refresh_lane(context: Context, name: str) -> Round:
    """One call to the carrier of a lane, for as many due shipments as it takes."""
    now, began = context.clock.now(), context.clock.monotonic()
    lease, until = context.new_id(), now + context.lease
    source = context.routes.named(name)
    if source is None:
        due = await context.store.claim(name, NO_SOURCE_BATCH, now, until, lease)
        return await _save(context, due, await _routed_anew(context, due, now))
    most = batch_of(name, source.batch)
    every = context.paces.get(source.slug, context.pace).every
    ahead = AHEAD if most > 1 and every is None else timedelta()
    turn = await context.store.take_turn(name, most, source.limits, now, until, lease, ahead)
    if turn.grant is None:
        return Round()
    if not turn.grant.granted:
        return Round(wait_until=turn.grant.retry_at, why=turn.grant.why)
    if context.clock.now() >= until:
        return Round()  # we were stopped meanwhile: by now others ask about them, at the rate of the lane
    calls = Calls(context, source.limits, home(name))
    calls.got(turn.grant, now, began)
    work = [Piece(item.shipment.id) for item in turn.due]
    return await context.watch(work, _asked(context, source, calls, turn.due, name))


async def _asked(context: Context, source: Carrier, calls: Calls, due: Sequence[Due], name: str) -> Round:
    said = await ask_about(context, source, calls, due)
    saved = await _save(context, due, await results_of(context, source, due, said, name))
    whole = _whole_error(said)
    return replace(
        saved,
        ms=max(item.ms for item in said.values()),
        overloaded=isinstance(whole, Throttled | Unavailable),
        errors=() if whole and len(due) > 1 else saved.errors,  # nobody knows whose it is
    )


async def results_of(
    context: Context, source: Carrier, due: Sequence[Due], said: Mapping[int, Said], name: str
) -> list[Refreshed]:
    """What the answers change about the shipments: all go to a smaller queue when one may be to blame."""
    queue = queue_after(name, _whole_error(said), [item.shipment.fails for item in due])
    results = []
    for item in due:
        pace = await pace_of(context, source, item, name)
        result = await result_of(context, source, item, said[item.shipment.id], name, pace)
        moves = queue != name and result.shipment.lane == name
        results.append(_narrowed(result, queue) if moves else result)
    return results


def _whole_error(said: Mapping[int, Said]) -> CarrierError | None:
    """The error of a conversation that failed for all shipments."""
    first = next(iter(said.values())).answer
    if isinstance(first, CarrierError) and all(item.whole for item in said.values()):
        return first
    return None


def _narrowed(result: Refreshed, queue: str) -> Refreshed:
    """The same shipment in another queue, to be asked about again at once."""
    at = result.shipment.refresh_at and result.attempt.at
    attempt = replace(result.attempt, text=f"{result.attempt.text}; asked again in smaller calls: {queue}")
    return replace(result, shipment=replace(result.shipment, lane=queue, refresh_at=at), attempt=attempt)


async def pace_of(context: Context, source: Carrier, due: Due, queue: str) -> Pace:
    """How time runs for a shipment, as far as the limits of its source allow."""
    pace = context.pace_of(due.shipment.carrier)
    return await context.loads.pace(pace, context.store, source, queue, context.clock.now())


async def ask_about(
    context: Context, source: Carrier, calls: Calls, due: Sequence[Due], *, instant: bool = False
) -> Mapping[int, Said]:
    """What a source says about shipments, by their id. ``instant``: an upstream is to ask the carrier now."""
    upstream = context.routes.upstream
    if upstream is not None and source is upstream.source:
        return await ask_upstream(context, upstream, calls, due, instant=instant)
    parked = len(due) == 1 and due[0].shipment.lane != home(due[0].shipment.lane)
    queries = [query_of(context, source, item, told=mark_to_tell(context, source, item)) for item in due]
    conversation = await ask(context, source, calls, queries, parked=parked)
    return {item.shipment.id: said_of(conversation, item) for item in due}


async def _save(context: Context, due: Sequence[Due], results: Sequence[Refreshed]) -> Round:
    """All in one transaction; when one of them cannot be saved, each for itself."""
    if not results:
        return Round()
    context.failpoint("complete.before")
    try:
        dropped = await save(context, results)
    except StoreUnavailable:
        raise
    except Exception:  # noqa: BLE001  one of them is to blame: the others must not wait for it
        saved = [await _save_one(context, *pair) for pair in zip(due, results, strict=True)]
        results = [result for result, _ in saved]
        dropped = sum(lost for _, lost in saved)
    context.failpoint("complete.after")
    return Round(
        len(results),
        dropped,
        tuple((result.shipment, result.attempt) for result in results),
        errors=tuple((result.shipment, result.error) for result in results if result.error),
    )


async def save(context: Context, results: Sequence[Refreshed]) -> int:
    """Save results; answers how many were dropped."""
    dropped = await context.store.complete(results)
    context.memory.forget(result.shipment.account for result in results if result.counts)
    return dropped


async def result_of(
    context: Context, source: Carrier, due: Due, said: Said, lane: str, pace: Pace
) -> Refreshed:
    """What one answer changes about one shipment, its carrier too when that was a guess."""
    due = await with_translation(context, due, said)
    carrier = candidate(context, source, due.shipment)
    if carrier is None:
        result = outcome(context, source, due, said, lane, pace)
        return await doubted(context, confirmed(context, due, result))
    if isinstance(said.answer, Report) and await is_free(context, due.shipment, carrier):
        result = outcome(context, source, corrected(context, due, carrier), said, lane, pace)
        if found(result.shipment.sub_status):
            text = f"it is of {carrier}, not of {due.shipment.carrier}: {result.attempt.text}"
            result = replace(result, attempt=replace(result.attempt, text=text), corrects=True)
            return confirmed(context, due, result)
    return await doubted(context, missed(context, due, carrier, said, lane, pace), but=carrier)


async def _save_one(context: Context, due: Due, result: Refreshed) -> tuple[Refreshed, int]:
    """The result, or that it could not be saved: then it is asked about again, later and later."""
    try:
        return result, await save(context, [result])
    except StoreUnavailable:
        raise
    except Exception as bug:  # noqa: BLE001  whatever is in it
        unusable = Mistaken(f"{type(bug).__name__} while saving the answer")
        unusable.__cause__ = bug
        pace = context.pace_of(due.shipment.carrier)
        kept = _silent(context, due, unusable, Said(unusable), result.attempt.lane, pace)
        return kept, await save(context, [kept])


def outcome(context: Context, source: Carrier, due: Due, said: Said, lane: str, pace: Pace) -> Refreshed:
    """What one answer changes about one shipment. Whoever gets an answer goes home from a side queue.

    An answer that we cannot work with is one that we cannot read: it harms its own shipment alone.
    """
    try:
        return _outcome(context, source, due, said, lane, pace)
    except Exception as bug:  # noqa: BLE001  whatever is in one answer, the others of the call go on
        unusable = Mistaken(f"{type(bug).__name__} while taking in the answer of {source.slug}")
        unusable.__cause__ = bug
        return _silent(context, due, unusable, said, lane, pace)


def _outcome(context: Context, source: Carrier, due: Due, said: Said, lane: str, pace: Pace) -> Refreshed:
    answer = said.answer
    if isinstance(answer, Report | Told):
        return _told(context, source, due, said, lane, pace)
    result = (
        _nothing_known(context, due, answer, said, lane, pace)
        if isinstance(answer, UnknownNumber | InvalidNumber)
        else _silent(context, due, answer, said, lane, pace)
    )
    now = context.clock.now()
    why = context.routes.gives_up(source, due, said, now, context.pace_of(due.shipment.carrier).day)
    return _moved(context, result, why) if why and result.shipment.refresh_at else result


def _told(context: Context, source: Carrier, due: Due, said: Said, lane: str, pace: Pace) -> Refreshed:
    """A source said something, to this shipment now or to another one lately."""
    now = context.clock.now()
    if isinstance(said.answer, Repeated):
        return _again(context, due, due.histories[0].report.mark, said, lane, pace)
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
        report = marked(settle_times(said.answer, context.zone_of, now), now)
        if repeats(context, source, due, report):
            return _again(context, due, report.mark, said, lane, pace)
        changed = extend(due.histories, source.slug, report, now)
        text = _unmapped(report)
    attempt = Attempt(now, lane, REPORT, said.ms, text)
    return shown_as(context, due, changed, attempt, said.raw, told_at=at, pace=pace)


def _unmapped(report: Report) -> str:
    return f", unmapped codes {', '.join(report.unmapped)}" if report.unmapped else ""


def _again(context: Context, due: Due, mark: str, said: Said, lane: str, pace: Pace) -> Refreshed:
    """The source said the same again."""
    now, shipment, (own,) = context.clock.now(), due.shipment, due.histories
    assert shipment.sub_status is not None  # noqa: S101
    facts = own.report if mark == own.report.mark else replace(own.report, mark=mark)
    planned = next_refresh(shipment.sub_status, shipment.since, now, pace, facts.estimate)
    summary = f"{shipment.sub_status.value}, {len(own.seen)} events{_unmapped(facts)}, nothing new"
    attempt = Attempt(now, lane, REPORT, said.ms, f"{summary}; {_next_text(planned)}")
    told = _planned(_answered(shipment, now, home(shipment.lane)), planned)
    history = replace(own, asked_at=now, report=facts)
    return _ended(context, Refreshed(told, attempt, (history,), raw=said.raw))


def _answered(shipment: Shipment, at: datetime, lane: str) -> Shipment:
    return replace(shipment, asked_at=at, answered_at=at, trouble=None, fails=0, lane=lane)


def _nothing_known(
    context: Context, due: Due, answer: UnknownNumber | InvalidNumber, said: Said, lane: str, pace: Pace
) -> Refreshed:
    now, before = context.clock.now(), due.shipment
    invalid = isinstance(answer, InvalidNumber)
    planned = next_refresh(before.sub_status, before.since, now, pace)
    attempt = Attempt(now, lane, answer.outcome, said.ms, f"{answer}; {_next_text(planned)}")
    # One that can never be spoils the next call, too: it stays where it is.
    told = _answered(before, now, before.lane if invalid else home(before.lane))
    if due.histories:  # carriers forget; we do not
        return _shown(context, told, assemble(due.histories, now), planned, attempt, (), said.raw)
    nothing = SubStatus.NOT_FOUND_INVALID_CODE if invalid else SubStatus.NOT_FOUND_OTHER
    return _shown(context, told, Timeline(nothing), planned, attempt, (), said.raw)


def _silent(context: Context, due: Due, answer: CarrierError, said: Said, lane: str, pace: Pace) -> Refreshed:
    now = context.clock.now()
    silent = replace(
        due.shipment, asked_at=now, trouble=f"{answer.outcome}: {answer}", fails=due.shipment.fails + 1
    )
    normal = next_refresh(silent.sub_status, silent.since, now, pace)
    planned = after_failure(answer, silent.fails, normal, now, pace)
    attempt = Attempt(now, lane, answer.outcome, said.ms, f"{answer}; {_next_text(planned)}")
    error = _error_text(answer) if isinstance(answer, Mistaken) else None
    return replace(_kept(context, silent, planned, attempt, said.raw), error=error)


def _error_text(mistaken: Mistaken) -> str:
    """For whoever has to mend it."""
    return f"{mistaken}: {mistaken.__cause__}" if mistaken.__cause__ else f"{mistaken}"


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
    return [await doubted(context, _routed(context, item, given_up, now)) for item in due]


def _routed(context: Context, due: Due, given_up: Mapping[Pair, str | None], now: datetime) -> Refreshed:
    shipment = due.shipment
    pair = shipment.number, shipment.carrier
    route = context.routes.route(shipment.carrier, shipment.number, shipment.wish.hint, given_up.get(pair))
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
    pace: Pace | None = None,
) -> Refreshed:
    """The shipment with changed histories. ``attempt.text`` is what to add to the summary."""
    now = attempt.at
    others = {history.source: history for history in due.histories}
    timeline = assemble(list((others | {history.source: history for history in changed}).values()), now)
    told = _answered(due.shipment, told_at, home(due.shipment.lane))
    pace = pace or context.pace_of(told.carrier)
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
    tracking = shipment.phase is Phase.TRACKING
    document = document_of(context, shipment, timeline)
    digest = digest_of(sub_status, timeline.descr, document)
    news = digest != shipment.digest
    # Expired is our own timer, not news: it must not put off the end.
    puts_off_end = news and sub_status is not SubStatus.EXPIRED
    after = replace(
        shipment,
        sub_status=sub_status,
        descr=timeline.descr,
        marks=timeline.marks,
        refresh_at=planned.at if tracking else None,
        digest=digest,
        changed_at=attempt.at if puts_off_end else shipment.changed_at,
        version=shipment.version + (news and tracking),
    )
    if not news:
        return _ended(context, Refreshed(after, attempt, histories, raw=raw))
    if not tracking:
        return Refreshed(after, attempt, histories, document=document, raw=raw)
    push = NewPush(PushEvent.UPDATED, after.version, updated_body(after, document, attempt.at))
    return _ended(context, Refreshed(after, attempt, histories, document=document, pushes=(push,), raw=raw))


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
    invalid = shipment.sub_status is SubStatus.NOT_FOUND_INVALID_CODE
    reason = StopReason.INVALID_CARRIER if invalid else StopReason.EXPIRED
    change = stopping(shipment, Action.END, reason, now)
    return replace(result, shipment=change.shipment, pushes=(*result.pushes, *change.pushes))


def _next_text(planned: Next) -> str:
    return f"next refresh {utc_text(planned.at)}: {planned.why}"
