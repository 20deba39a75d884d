"""The quota firewall in front of an upstream: a number is bought once, and asked about no more than needed.

* What was bought is shared by all accounts and survives restarts; nothing is bought above the cap.
* A shipment is told what another account's shipment was told lately, instead of asking again.
* Nothing is ever deleted there to be registered again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from parcelwire.domain import quota
from parcelwire.domain.errors import (
    InvalidNumber,
    NoRoom,
    NotRealTime,
    NotRegistered,
    NotTaken,
    NotYet,
    QuotaSpent,
    Refused,
    Throttled,
    UnknownNumber,
)
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import next_refresh
from parcelwire.flows.asking import Calls, ask, query_of, said
from parcelwire.flows.context import Context
from parcelwire.flows.routes import Said, Upstream
from parcelwire.ports import BoughtNumber, Carrier, Due, Pair, Told

# What only a registered number is answered with; all other errors leave open what became of it, but for:
_REGISTERED = (Report, UnknownNumber, InvalidNumber, NotYet)
_NOT_BOUGHT = (QuotaSpent, NotTaken)
# Real-time questions that certainly cost nothing; what cannot be told counts as spent.
_FREE = (NotRealTime, QuotaSpent, NotTaken, Refused, Throttled, NoRoom)
_BUY_AGAIN = timedelta(days=1)  # a registration that gets lost there is bought once a day at most
_LOST = NotRegistered("17TRACK has lost the registration; it is made again a day after the last one")
_FRESH_MAX = timedelta(hours=24)  # the longest normal interval: nothing older is fresh


async def ask_upstream(
    context: Context, upstream: Upstream, calls: Calls, due: Sequence[Due], *, instant: bool = False
) -> dict[int, Said]:
    """What the upstream, or the store, says about shipments, by their id."""
    source = upstream.source
    if instant and upstream.real_time:
        (item,) = due
        return {item.shipment.id: await _real_time(context, upstream, calls, item)}
    bought = {row.pair: row for row in await context.store.bought(source.slug, _numbers(due))}
    known = {pair for pair, row in bought.items() if row.registered_at is not None}
    answers = {} if instant else await _told_to_others(context, source, due)
    asking = [item for item in due if item.shipment.id not in answers]
    lost = [item for item in asking if _lost_lately(context, bought.get(_pair(item)))]
    answers |= {item.shipment.id: Said(_LOST) for item in lost}
    asking = [item for item in asking if item not in lost]
    granted = await _reserve(context, upstream, [item for item in asking if _pair(item) not in known])
    await _count_saved(context, source, due, {pair: bought[pair].buyer for pair in known}, len(answers))
    answers |= {item.shipment.id: Said(_capped(upstream)) for item in asking}
    asking = [item for item in asking if _pair(item) in known | granted]
    if not asking:
        return answers
    queries = [query_of(context, source, item, known=_pair(item) in known) for item in asking]
    conversation = await ask(context, source, calls, queries)
    by_pair = {_pair(item): said(conversation, item) for item in asking}
    await _settle(context, source, by_pair, granted)
    return answers | {item.shipment.id: by_pair[_pair(item)] for item in asking}


def _lost_lately(context: Context, row: BoughtNumber | None) -> bool:
    """Whether 17TRACK no longer has what was bought a short time ago: something is wrong there."""
    if row is None or row.registered_at is not None or row.bought_at is None:
        return False
    return context.clock.now() - row.bought_at < _BUY_AGAIN


def _pair(due: Due) -> Pair:
    return due.shipment.number, due.shipment.carrier


def _numbers(due: Sequence[Due]) -> list[str]:
    return [item.shipment.number for item in due]


def _capped(upstream: Upstream) -> QuotaSpent:
    return QuotaSpent(f"the limit of {upstream.cap} units a month that you set for 17TRACK is reached")


async def _reserve(context: Context, upstream: Upstream, new: Sequence[Due]) -> set[Pair]:
    """The pairs that may be registered now."""
    if not new:
        return set()
    wanted = [(_pair(item), item.shipment.id) for item in new]
    return await context.store.reserve(upstream.source.slug, wanted, upstream.cap, context.clock.now())


async def _count_saved(
    context: Context, source: Carrier, due: Sequence[Due], buyers: Mapping[Pair, int | None], fresh: int
) -> None:
    """Each shipment that uses what another one has bought saves one unit, once; and questions not asked."""
    store, now = context.store, context.clock.now()
    shared = [
        (quota.REGISTER, str(item.shipment.id))
        for item in due
        if buyers.get(_pair(item)) not in (None, item.shipment.id) and item.shipment.answered_at is None
    ]
    if shared:
        await store.saved(source.slug, "shared", shared, now)
    if fresh:
        await store.saved(source.slug, "fresh", [(fresh, context.new_id())], now)


async def _settle(
    context: Context, source: Carrier, by_pair: Mapping[Pair, Said], granted: set[Pair]
) -> None:
    """What became of the reserved registrations, and which old ones are gone."""
    store, now = context.store, context.clock.now()
    registered = [pair for pair in granted if isinstance(by_pair[pair].answer, _REGISTERED)]
    refused = [pair for pair in granted if isinstance(by_pair[pair].answer, _NOT_BOUGHT)]
    if registered or refused:
        await store.settle_reserved(source.slug, registered, refused, now)
    gone = [pair for pair, what in by_pair.items() if isinstance(what.answer, NotRegistered)]
    if gone:
        await store.forget_bought(source.slug, gone)


async def _told_to_others(context: Context, source: Carrier, due: Sequence[Due]) -> dict[int, Said]:
    """For shipments that another one with the same number and carrier makes up to date: what it was told.

    Fresh is what is younger than the normal interval of its status, and newer than what the shipment knows.
    """
    now = context.clock.now()
    answers: dict[int, Said] = {}
    for told in await context.store.told(source.slug, _numbers(due), now - _FRESH_MAX):
        other = told.shipment
        for item in due:
            mine = item.shipment
            same = (mine.number, mine.carrier) == (other.number, other.carrier)
            if same and mine.id not in answers and mine.id != other.id and _news(context, told, item, now):
                answers[mine.id] = Said(told)
    return answers


def _news(context: Context, told: Told, due: Due, now: datetime) -> bool:
    at, known_at = told.shipment.answered_at, due.shipment.answered_at
    if at is None or (known_at is not None and at <= known_at):
        return False
    pace = context.pace_of(told.shipment.carrier)
    return now < next_refresh(told.shipment.sub_status, told.shipment.since, at, pace).at


async def _real_time(context: Context, upstream: Upstream, calls: Calls, item: Due) -> Said:
    """Buy one real-time answer. NotRealTime: 17TRACK does not sell it, ask the ordinary way."""
    store, slug = context.store, upstream.source.slug
    reference, now = context.new_id(), context.clock.now()
    if not await store.spend(slug, quota.REAL_TIME, reference, upstream.cap, now):
        return Said(NotRealTime("the limit that you set for 17TRACK leaves no real-time question"))
    query = query_of(context, upstream.source, item, instant=True)
    answer = said(await ask(context, upstream.source, calls, [query]), item)
    if isinstance(answer.answer, _FREE):
        await store.spend(slug, -quota.REAL_TIME, f"{reference}/back", None, context.clock.now())
    if isinstance(answer.answer, QuotaSpent):
        return Said(NotRealTime(str(answer.answer)))
    return answer
