"""Ask now, or answer from what is stored: getRealTimeTrackInfo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from parcelwire.domain import quota
from parcelwire.domain.account import Account
from parcelwire.domain.detect import Context as Clues
from parcelwire.domain.errors import (
    CallerError,
    CarrierError,
    NotRealTime,
    NotTaken,
    NotYet,
    Refused,
    Throttled,
    Unavailable,
)
from parcelwire.domain.lane import Lane, take
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import Pace, next_refresh
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.domain.times import EPOCH
from parcelwire.flows.context import Context
from parcelwire.flows.identify import addresses, clues, code_given, number_of
from parcelwire.flows.refresh import ask_about, pace_of, result_of, save
from parcelwire.flows.register import want
from parcelwire.flows.showing import Seen, see
from parcelwire.ports import Carrier, Charge, Shown, Told, Wanted
from parcelwire.wire.v22 import (
    BadItem,
    RealTimeItem,
    Rejected,
    answer,
    instant,
    named,
    read_items,
    rejected,
)
from parcelwire.wire.versions import V2_2, Version

PATIENCE_S = 4.0  # how long a call waits for its lane: clients give up after 5 s


@dataclass(slots=True)
class _Slot:
    """One item on its way: what is known of it, and in the end its answer."""

    item: RealTimeItem | BadItem
    version: Version
    number: str | None = None
    now_please: bool = False
    seen: Seen | None = None  # what is stored of it, or
    wanted: Wanted | None = None  # that nobody has asked about it before
    asks: bool = False
    shipment: Shipment | None = None  # only of one that asks
    charge: Charge | None = None
    result: msgspec.Raw | CallerError | None = None

    @property
    def code(self) -> int:
        """The carrier's code: the one that was given, or else of what was found."""
        found = self.seen.shown if self.seen else self.shipment
        return named(self.item)[1] or (found.code if found else 0)


async def real_time(context: Context, account: Account, body: bytes, version: Version = V2_2) -> bytes:
    """The answer to POST /getRealTimeTrackInfo. A failed question costs nothing."""
    slots = [_Slot(item, version) for item in read_items(body, RealTimeItem)]
    await _recognise(context, account, slots)
    await _charge(context, account, slots)
    waiting = [slot for slot in slots if slot.result is None]
    await context.together([_ask_and_settle(context, account, slot) for slot in waiting if slot.asks])
    for slot in waiting:
        if not slot.asks and slot.seen is not None and slot.seen.item is not None:
            slot.result = msgspec.Raw(slot.seen.item)
    accepted: list[msgspec.Raw] = []
    refused: list[Rejected] = []
    for slot in slots:
        if isinstance(slot.result, msgspec.Raw):
            accepted.append(slot.result)
        else:
            error = slot.result or CallerError("realtime_internal")
            refused.append(rejected(named(slot.item)[0], slot.code, error))
    return answer(accepted, refused)


async def _recognise(context: Context, account: Account, slots: Sequence[_Slot]) -> None:
    """Which shipments are meant, which of them must be asked about, and what each item costs."""
    for slot in slots:
        try:
            if isinstance(slot.item, BadItem):
                raise slot.item.error
            slot.number = number_of(slot.item)
        except CallerError as error:
            slot.result = error
    now = context.clock.now()
    numbers = {slot.number: None for slot in slots if slot.number is not None}
    known = await see(context, account, numbers, slots[0].version, now)
    beside = await clues(context, account.id)
    for slot in slots:
        if slot.number is not None:
            _mean(context, slot, known.get(slot.number, ()), beside, now)
    asked = [slot.seen.shown.number for slot in slots if slot.asks and slot.seen]
    whole = {row.id: row for row, _ in await context.store.find(account.id, asked)} if asked else {}
    call = context.new_id()
    for place, slot in enumerate(slots):
        if slot.result is None:
            slot.shipment = whole.get(slot.seen.shown.id) if slot.seen else None
            slot.result = _refusal(context, slot)
        if slot.result is None:
            amount = quota.REAL_TIME if slot.now_please else quota.REAL_TIME_CACHED
            slot.charge = Charge(f"{call}.{place}", amount, held=slot.asks)


def _mean(context: Context, slot: _Slot, known: Sequence[Seen], beside: Clues, now: datetime) -> None:
    """Find the shipment, and decide whether the carrier must be asked."""
    try:
        assert isinstance(slot.item, RealTimeItem)  # noqa: S101
        slot.now_please = instant(slot.item.cacheLevel)
        meant = _meant(context, slot.item, known, beside)
        if isinstance(meant, Wanted):
            slot.wanted, slot.asks = meant, True
        else:
            slot.seen = meant
            slot.asks = slot.now_please or meant.item is None or not _is_fresh(context, meant.shown, now)
    except CallerError as error:
        slot.result = error


def _refusal(context: Context, slot: _Slot) -> CallerError | None:
    """Why a slot that asks cannot, when nothing that is stored will do."""
    if not slot.asks:
        return None
    if slot.shipment is not None:
        carrier, source = slot.shipment.carrier, _source(context, slot.shipment)
    elif slot.wanted is not None:
        carrier, source = slot.wanted.carrier, context.routes.named(slot.wanted.lane)
    else:  # deleted between two reads
        return CallerError("realtime_internal")
    stored = slot.seen is not None and slot.seen.item is not None
    if source is not None or (stored and not slot.now_please):
        return None
    return CallerError("no_realtime", detail=str(context.routes.trouble(carrier)))


def _meant(context: Context, item: RealTimeItem, known: Sequence[Seen], beside: Clues) -> Seen | Wanted:
    """What an item means: a registered shipment, one looked up before, or a new one."""
    code = code_given(item)
    for seen in known:
        if addresses(context, seen.shown, code):
            return seen
    wanted = want(context, beside, item)
    return next((seen for seen in known if seen.shown.carrier == wanted.carrier), wanted)


def _is_fresh(context: Context, shown: Shown, now: datetime) -> bool:
    """Whether the stored answer is younger than the normal refresh interval of its status."""
    if shown.answered_us is None:
        return False
    pace = context.pace_of(shown.carrier)
    return now < _stale_at(shown.sub_status, shown.since_us, shown.answered_us, pace)


@lru_cache(4096)
def _stale_at(sub_status: str | None, since_us: int, answered_us: int, pace: Pace) -> datetime:
    status = SubStatus(sub_status) if sub_status else None
    since, answered_at = (EPOCH + timedelta(microseconds=us) for us in (since_us, answered_us))
    return next_refresh(status, since, answered_at, pace).at


async def _charge(context: Context, account: Account, slots: Sequence[_Slot]) -> None:
    charged = [slot for slot in slots if slot.charge is not None]
    charges = [slot.charge for slot in charged if slot.charge is not None]
    if not charges:
        return
    made = await context.store.charge(account.id, charges, context.clock.now())
    for slot, paid in zip(charged, made, strict=True):
        if not paid:
            slot.result = CallerError(
                "quota", detail=f"this question costs {slot.charge and slot.charge.amount}"
            )


async def _ask_and_settle(context: Context, account: Account, slot: _Slot) -> None:
    """Ask about one item, and settle what it costs by what came of it."""
    assert slot.charge is not None  # noqa: S101
    try:
        await _ask_now(context, account, slot)
    finally:
        paid = slot.charge.amount if isinstance(slot.result, msgspec.Raw) else 0
        await context.store.settle(account.id, slot.charge.reference, paid, context.clock.now())


async def _ask_now(context: Context, account: Account, slot: _Slot) -> None:
    if slot.shipment is None and slot.wanted is not None:
        slot.shipment = await context.store.look_up(account.id, slot.wanted, context.clock.now())
    shipment = slot.shipment
    assert shipment is not None  # noqa: S101
    assert isinstance(slot.item, RealTimeItem)  # noqa: S101
    at_once, param = slot.now_please, slot.item.param
    try:
        key = "realtime", shipment.id, at_once, param
        error = await context.once(key, lambda: _refresh(context, shipment, param, at_once=at_once))
    except TimeoutError:  # it goes on, and what it brings will be stored
        error = CallerError("carrier_timeout")
    except CallerError as failed:
        error = failed
    seen = await see(context, account, [shipment.number], slot.version, context.clock.now())
    items = (item for shown, item in seen.get(shipment.number, ()) if shown.id == shipment.id)
    item = next(items, None)
    if item is not None and (error is None or not at_once):
        slot.result = msgspec.Raw(item)
    else:
        slot.result = error or CallerError("no_info", detail="")


def _source(context: Context, shipment: Shipment) -> Carrier | None:
    """Who is asked: as its refreshes are, else as a new registration would be."""
    given = context.routes.named(shipment.lane)
    return given or context.routes.route(shipment.carrier, shipment.number, shipment.wish.hint).source


async def _refresh(
    context: Context, shipment: Shipment, param: str | None, *, at_once: bool
) -> CallerError | None:
    """Ask the source of one shipment, whatever its schedule says; None when it answered.

    ``param`` of the question, when it has one, goes before the registration's.
    """
    source = _source(context, shipment)
    if source is None:
        return CallerError("no_realtime", detail=str(context.routes.trouble(shipment.carrier)))
    until = context.clock.now() + timedelta(seconds=PATIENCE_S)
    lane = await _granted(context, source, shipment.number, until)
    due = await context.store.claim_one(shipment.id, context.clock.now() + context.lease, context.new_id())
    if due is None:
        return CallerError("realtime_internal")
    asked = [replace(due, shipment=_with_param(due.shipment, param))]
    said = (await ask_about(context, source, lane, asked, instant=at_once))[shipment.id]
    if isinstance(said.answer, NotRealTime):  # an upstream does not sell it: the ordinary way, one more call
        lane = await _granted(context, source, shipment.number, until)
        said = (await ask_about(context, source, lane, asked))[shipment.id]
    pace = await pace_of(context, source, due, lane.name)
    result = await result_of(context, source, due, said, lane.name, pace)
    if await save(context, [result]):  # stopped or asked again meanwhile: the answer is not stored
        return CallerError("realtime_internal")
    return _caller_error(said.answer)


def _with_param(shipment: Shipment, param: str | None) -> Shipment:
    return replace(shipment, wish=replace(shipment.wish, param=param)) if param else shipment


async def _granted(context: Context, source: Carrier, number: str, until: datetime) -> Lane:
    """The lane with one call taken. CallerError when it cannot be had by ``until``."""
    name = source.lane(number)
    while True:
        now = context.clock.now()
        lane = await context.store.lane(name)
        grant = take(lane, source.limits, now, urgent=True)
        if grant.granted and await context.store.save_lane(grant.lane, lane.revision):
            return grant.lane
        if not grant.granted:
            if grant.retry_at is None or grant.retry_at > until:
                raise CallerError("carrier_failed", detail=f"{grant.why}; try again {_when(grant.retry_at)}")
            await context.clock.sleep((grant.retry_at - now).total_seconds())


def _caller_error(said: Report | CarrierError | Told) -> CallerError | None:
    """What a failed question looks like to the caller; "not found" is an answer."""
    if isinstance(said, NotYet):
        return CallerError("no_info", detail=f" {said}.")
    if isinstance(said, Unavailable) and said.timed_out:
        return CallerError("carrier_timeout")
    if isinstance(said, Report | Told) or said.outcome in ("not_found", "invalid_number"):
        return None
    if isinstance(said, NotTaken) and said.lacks:
        return CallerError(said.lacks)
    if isinstance(said, Throttled):
        return CallerError("carrier_failed", detail="the carrier asks to wait")
    if isinstance(said, Refused):
        return CallerError("carrier_failed", detail=f"the carrier does not accept the credential ({said})")
    return CallerError("carrier_failed", detail=str(said))


def _when(at: datetime | None) -> str:
    return f"after {at:%H:%M:%S}Z" if at else "later"
