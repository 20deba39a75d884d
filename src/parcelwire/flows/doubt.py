"""Whether a guess was right: who is asked when a carrier does not know a number (docs/why/0008).

While a candidate is asked the shipment waits in the candidate's lane, within what that allows; its carrier,
and what callers see of it, stay as they are until the candidate turns out to be right.
"""

from datetime import timedelta

from parcelwire.domain.detect import Candidate, detect, learned_key
from parcelwire.domain.doubt import NO_DOUBT, found, ripe
from parcelwire.domain.errors import CarrierError, NoRoom, Throttled, Unavailable
from parcelwire.domain.lane import take
from parcelwire.domain.merge import History
from parcelwire.domain.schedule import Pace, next_refresh
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.domain.values import replace
from parcelwire.flows.context import Context, code_behind
from parcelwire.flows.identify import DETECTED, GUESS, clues, placed
from parcelwire.flows.routes import Said
from parcelwire.ports import Attempt, Due, Refreshed

PATIENCE = timedelta(minutes=10)  # a lane that has no room for longer is not asked about candidates
UNKNOWN = ("not_found", "invalid_number", "no_source")  # outcomes that leave a guess in doubt


def corrected(context: Context, due: Due, carrier: str) -> Due:
    """The shipment as one of the carrier that knows it."""
    code = context.directory.code_of(carrier, context.book)
    after = replace(due.shipment, carrier=carrier, code=code, origin=DETECTED, doubt=None)
    return replace(due, shipment=after)


def confirmed(context: Context, due: Due, result: Refreshed) -> Refreshed:
    """Counts the carrier with the first events that it tells itself, or an upstream by its name.

    Once for each shipment: a carrier that the caller has changed to was counted then.
    """
    shipment = result.shipment
    if shipment.carrier_changes or any(_speaks(context, shipment, history) for history in due.histories):
        return result
    if not any(_speaks(context, shipment, history) for history in result.histories):
        return result
    return replace(result, counts=((learned_key(shipment.number, shipment.carrier), 1),))


def missed(context: Context, due: Due, candidate: str, said: Said, lane: str, pace: Pace) -> Refreshed:
    """The candidate did not know the number, or could not answer: back to the first carrier, in its turn."""
    shipment, now, doubt = due.shipment, context.clock.now(), due.shipment.doubt or NO_DOUBT
    failed = isinstance(said.answer, Unavailable | Throttled | NoRoom)  # that is no answer
    tried = doubt.tried if failed else (*doubt.tried, candidate)
    planned = next_refresh(shipment.sub_status, shipment.since, now, pace)
    after = replace(
        shipment,
        doubt=replace(doubt, asks=None, tried=tried),
        lane=doubt.back,
        refresh_at=planned.at if shipment.phase is Phase.TRACKING else None,
    )
    answer = said.answer
    failure = answer if isinstance(answer, CarrierError) else None
    outcome = failure.outcome if failure else "report"
    text = f"as a number of {candidate}: {failure or 'nothing new'}; {shipment.carrier} is asked again"
    return Refreshed(after, Attempt(now, lane, outcome, said.ms, text), raw=said.raw)


async def doubted(context: Context, result: Refreshed, *, but: str | None = None) -> Refreshed:
    """The result; a guess that goes on being unknown goes to the next candidate. ``but``: not to this one."""
    shipment = result.shipment
    if shipment.origin != GUESS or shipment.phase is not Phase.TRACKING:
        return result
    if found(shipment.sub_status):
        return replace(result, shipment=_settled(shipment))
    outcome, doubt, searching = result.attempt.outcome, shipment.doubt or NO_DOUBT, but is not None
    if not searching and outcome not in UNKNOWN:
        return result
    if not searching:
        doubt = replace(doubt, unknown=doubt.unknown + 1)
    result = replace(result, shipment=replace(shipment, doubt=doubt))
    at_once = searching or outcome == "invalid_number"
    age, day = result.attempt.at - shipment.since, context.pace_of(shipment.carrier).day
    if result.given_up or not ripe(doubt, age, day, at_once=at_once):
        return result
    candidate = await _next(context, result.shipment, but)
    return _sent_to(context, result, candidate) if candidate else result


async def is_free(context: Context, shipment: Shipment, carrier: str) -> bool:
    """Whether the account has not registered the number with this carrier, too."""
    rows = await context.store.find(shipment.account, [shipment.number])
    return all(row.carrier != carrier or row.phase is Phase.LOOKED_UP for row, _ in rows)


def _speaks(context: Context, shipment: Shipment, history: History) -> bool:
    """Whether a history has events of the registered carrier."""
    direct = context.routes.sources.get(shipment.carrier)
    entry = context.directory.entry(shipment.carrier)
    own = direct is not None and history.source == direct.slug
    named = entry is not None and code_behind(history.source) == entry.code
    return bool(history.seen) and (own or named)


def _settled(shipment: Shipment) -> Shipment:
    """The first carrier does know it."""
    doubt = shipment.doubt
    if doubt is None:
        return shipment
    return replace(shipment, doubt=None, lane=doubt.back if doubt.asks else shipment.lane)


async def _next(context: Context, shipment: Shipment, but: str | None) -> Candidate | None:
    """The likeliest carrier that was not asked yet, can be asked itself, and has room for a question."""
    sources, wish, more = context.routes.sources, shipment.wish, shipment.wish.more or {}
    known = await clues(context, shipment.account)
    known = placed(known, wish.param, more.get("origin_country"), more.get("destination_country"))
    asked = {shipment.carrier, *(shipment.doubt or NO_DOUBT).tried} | ({but} if but else set())
    heard = {sources[carrier].slug for carrier in asked if carrier in sources}
    open_to_us = [
        candidate
        for candidate in detect(shipment.number, known)
        if candidate.carrier in sources.keys() - asked and candidate.check != "bad"
    ]
    open_to_us.sort(key=lambda candidate: sources[candidate.carrier].slug in heard)  # new sources first
    for candidate in open_to_us:
        carrier = candidate.carrier
        if await _has_room(context, carrier, shipment.number) and await is_free(context, shipment, carrier):
            return candidate
    return None


async def _has_room(context: Context, carrier: str, number: str) -> bool:
    source, now = context.routes.sources[carrier], context.clock.now()
    grant = take(await context.store.lane(source.lane(number)), source.limits, now)
    return grant.granted or (grant.retry_at is not None and grant.retry_at <= now + PATIENCE)


def _sent_to(context: Context, result: Refreshed, candidate: Candidate) -> Refreshed:
    shipment, carrier = result.shipment, candidate.carrier
    doubt = replace(shipment.doubt or NO_DOUBT, asks=carrier, back=shipment.lane)
    lane = context.routes.sources[carrier].lane(shipment.number)
    text = f"{result.attempt.text}; it may be of {carrier} ({candidate.probability:.1%}), which is asked now"
    return replace(
        result,
        shipment=replace(shipment, doubt=doubt, lane=lane, refresh_at=result.attempt.at),
        attempt=replace(result.attempt, text=text),
    )
