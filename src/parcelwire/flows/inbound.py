"""Pushes that an upstream or a carrier sends to us: kept first, then processed.

An upstream's push is an answer to a question that nobody asked. A carrier's says less than its answers do, so
it is only a reason to ask now. What is in the inbox was let in by its door (api/doors.py). Polling goes on
beside it: a push that never came is made up for by the next refresh.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from parcelwire.domain.errors import CarrierError, InvalidNumber, MalformedReply, UnknownNumber
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.queue import home
from parcelwire.domain.report import Report
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.refresh import result_of, save
from parcelwire.flows.routes import Said, Upstream
from parcelwire.ports import Alerts, Attempt, Changed, Inbound, InboxState
from parcelwire.wire.upstream import STOPPED, Item, pushed, report_of

LANE = "push"  # what the log of a shipment shows as the lane


class Door(Protocol):
    """Whether a push is genuine: headers with lower-case names and the raw body."""

    def __call__(self, headers: dict[str, str], body: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one push."""

    inbound: Inbound
    state: InboxState
    detail: str
    changed: tuple[tuple[Shipment, Attempt], ...] = ()


async def process(context: Context, inbound: Inbound) -> Done:
    """Apply one push to every shipment that it is about, and say so in the inbox."""
    done = await _applied(context, inbound)
    await context.store.finish_inbound(inbound.id, done.state, done.detail)
    return done


async def _applied(context: Context, inbound: Inbound) -> Done:
    upstream, alerts = context.routes.upstream, context.routes.alerts.get(inbound.source)
    if alerts is not None:
        return await _alerted(context, inbound, alerts)
    if upstream is None or upstream.source.slug != inbound.source:
        return Done(inbound, InboxState.PARKED, f"{inbound.source} is no source any more")
    return await _told(context, inbound, upstream)


async def _alerted(context: Context, inbound: Inbound, alerts: Alerts) -> Done:
    """What a carrier tells of is due now, whatever it says."""
    try:
        numbers = alerts.alerted(inbound.body)
    except MalformedReply as error:
        return Done(inbound, InboxState.PARKED, str(error))
    if not numbers:
        return Done(inbound, InboxState.DONE, "about no shipment")
    found = [s for number in numbers for s in await _tracked(context, number) if s.carrier in alerts.serves]
    if not found:
        return Done(inbound, InboxState.UNKNOWN, "no shipment with this number and carrier")
    routes, now = context.routes, context.clock.now()
    asked = [s for s in found if routes.route(s.carrier, s.number, s.wish.hint).source is not None]
    late = [s for s in asked if s.refresh_at is None or s.refresh_at > now]
    # Who was refreshed at this moment is another by now, and has just been asked.
    due = await context.store.change([Changed(s, replace(s, refresh_at=now)) for s in late], now)
    detail = f"{sum(due)} of {len(found)} shipments are due now"
    if len(asked) < len(found):
        detail += f"; about {len(found) - len(asked)} nobody can be asked: {routes.trouble(found[0].carrier)}"
    return Done(inbound, InboxState.DONE, detail)


async def _told(context: Context, inbound: Inbound, upstream: Upstream) -> Done:
    try:
        push = pushed(inbound.body)
        answer = None if push.event == STOPPED else _answer(push.item)
    except MalformedReply as error:
        return Done(inbound, InboxState.PARKED, str(error))
    meant = await _meant(context, push.item)
    if not meant:
        return Done(inbound, InboxState.UNKNOWN, "no shipment with this number and carrier")
    if answer is None:
        for shipment in meant:
            pair = shipment.number, shipment.carrier
            await context.store.upstream_stopped(inbound.source, pair, context.clock.now())
        return Done(inbound, InboxState.DONE, "17TRACK stopped tracking it")
    changed = []
    for shipment in meant:
        changed += await _refreshed(context, upstream, shipment, answer)
    return Done(inbound, InboxState.DONE, f"{len(changed)} shipments", tuple(changed))


def _answer(item: Item) -> Report | CarrierError:
    """What a push tells; a number that its carrier does not know is an answer too."""
    try:
        return report_of(item.number, item.carrier, item.track_info)
    except (UnknownNumber, InvalidNumber) as error:
        return error


async def _meant(context: Context, item: Item) -> list[Shipment]:
    """The shipments that are tracked with this number, of the pushed carrier when one of them is."""
    found = await _tracked(context, item.number)
    entries = {shipment.id: context.directory.entry(shipment.carrier) for shipment in found}
    exact = [s for s in found if (entry := entries[s.id]) is not None and entry.code == item.carrier]
    upstream = context.routes.upstream
    slug = upstream.source.slug if upstream else ""
    return exact or [
        s for s in found if home(s.lane).partition(":")[0] == slug
    ]  # 17TRACK may correct a carrier


async def _tracked(context: Context, number: str) -> list[Shipment]:
    found = await context.store.shipments_of(identity(normalise(number) or number))
    return [shipment for shipment in found if shipment.phase is Phase.TRACKING]


async def _refreshed(
    context: Context, upstream: Upstream, shipment: Shipment, answer: Report | CarrierError
) -> list[tuple[Shipment, Attempt]]:
    now = context.clock.now()
    due = await context.store.claim_one(shipment.id, now + context.lease, context.new_id())
    if due is None:
        return []
    pace = context.pace_of(shipment.carrier)
    result = await result_of(context, upstream.source, due, Said(answer), LANE, pace)
    dropped = await save(context, [result])
    return [] if dropped else [(result.shipment, result.attempt)]
