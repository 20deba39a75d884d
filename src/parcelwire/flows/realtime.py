"""Ask now, or answer from what is stored: getRealTimeTrackInfo."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from parcelwire.domain import quota
from parcelwire.domain.account import Account
from parcelwire.domain.detect import Context as Clues
from parcelwire.domain.errors import CallerError
from parcelwire.domain.schedule import Pace, next_refresh
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.domain.times import EPOCH, second_of
from parcelwire.flows.context import Context
from parcelwire.flows.identify import addresses, clues, code_given, number_of
from parcelwire.flows.question import Question, ask_now, source_of
from parcelwire.flows.register import want
from parcelwire.flows.showing import Seen, see
from parcelwire.ports import Charge, Shown, Wanted
from parcelwire.wire.v22 import (
    BadItem,
    RealTimeItem,
    Rejected,
    answer_of,
    instant,
    named,
    read_items,
    rejected,
)
from parcelwire.wire.versions import V2_2, Version


@dataclass(slots=True)
class _Slot:
    """One item on its way: what is known of it, and in the end its answer."""

    item: RealTimeItem | BadItem
    number: str | None = None
    now_please: bool = False
    seen: Seen | None = None  # what is stored of it, or
    wanted: Wanted | None = None  # that nobody has asked about it before
    asks: bool = False
    shipment: Shipment | None = None  # only of one that asks
    charge: Charge | None = None
    result: bytes | CallerError | None = None

    @property
    def code(self) -> int:
        """The carrier's code: the one that was given, or else of what was found."""
        found = self.seen[0] if self.seen else self.shipment
        return named(self.item)[1] or (found.code if found else 0)

    @property
    def question(self) -> Question:
        """What is asked about its shipment."""
        assert isinstance(self.item, RealTimeItem)  # noqa: S101
        assert self.shipment is not None  # noqa: S101
        return Question(self.shipment, self.now_please, self.item.param)


async def real_time(context: Context, account: Account, body: bytes, version: Version = V2_2) -> bytes:
    """The answer to POST /getRealTimeTrackInfo. A failed question costs nothing."""
    slots = [_Slot(item) for item in read_items(body, RealTimeItem)]
    await _recognise(context, account, slots, version)
    await _charge(context, account, slots)
    waiting = [slot for slot in slots if slot.result is None]
    asking = [slot for slot in waiting if slot.asks]
    if asking:
        await context.together([_ask(context, account, asking, version)])
    for slot in waiting:
        if not slot.asks and slot.seen is not None and slot.seen[1] is not None:
            slot.result = slot.seen[1]
    accepted: list[bytes] = []
    refused: list[Rejected] = []
    for slot in slots:
        if isinstance(slot.result, bytes):
            accepted.append(slot.result)
        else:
            error = slot.result or CallerError("realtime_internal")
            refused.append(rejected(named(slot.item)[0], slot.code, error))
    return answer_of(accepted, refused)


async def _recognise(context: Context, account: Account, slots: Sequence[_Slot], version: Version) -> None:
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
    known = await see(context, account, numbers, version, now)
    beside = await clues(context, account.id)
    for slot in slots:
        if slot.number is not None:
            _mean(context, slot, known.get(slot.number, ()), beside, now)
    asked = [slot.seen[0].number for slot in slots if slot.asks and slot.seen]
    whole = {row.id: row for row, _ in await context.store.find(account.id, asked)} if asked else {}
    call = f"{second_of(now):x}{context.new_id()}"  # in the order of time: side by side in the ledger's index
    for place, slot in enumerate(slots):
        if slot.result is None and slot.asks:
            slot.shipment = whole.get(slot.seen[0].id) if slot.seen else None
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
            shown, item = meant
            slot.asks = slot.now_please or item is None or not _is_fresh(context, shown, now)
    except CallerError as error:
        slot.result = error


def _refusal(context: Context, slot: _Slot) -> CallerError | None:
    """Why a slot that asks cannot, when nothing that is stored will do."""
    if slot.shipment is not None:
        carrier, source = slot.shipment.carrier, source_of(context, slot.shipment)
    elif slot.wanted is not None:
        carrier, source = slot.wanted.carrier, context.routes.named(slot.wanted.lane)
    else:  # deleted between two reads
        return CallerError("realtime_internal")
    stored = slot.seen is not None and slot.seen[1] is not None
    if source is not None or (stored and not slot.now_please):
        return None
    return CallerError("no_realtime", detail=str(context.routes.trouble(carrier)))


def _meant(context: Context, item: RealTimeItem, known: Sequence[Seen], beside: Clues) -> Seen | Wanted:
    """What an item means: a registered shipment, one looked up before, or a new one."""
    code = code_given(item)
    for seen in known:
        if addresses(context, seen[0], code):
            return seen
    wanted = want(context, beside, item)
    return next((seen for seen in known if seen[0].carrier == wanted.carrier), wanted)


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


async def _ask(context: Context, account: Account, slots: Sequence[_Slot], version: Version) -> None:
    """Ask about items, and settle what they cost by what came of it."""
    try:
        await context.together([_look_up(context, account, slot) for slot in slots if slot.wanted])
        asked = [(slot, slot.question) for slot in slots if slot.shipment]
        outcomes = await ask_now(context, [question for _, question in asked])
        numbers = {question.shipment.number: None for _, question in asked}
        known = await see(context, account, numbers, version, context.clock.now())
        items = {shown.id: item for seen in known.values() for shown, item in seen}
        for slot, question in asked:
            if question.key in outcomes:
                slot.result = _result(slot, outcomes[question.key], items.get(question.shipment.id))
    finally:
        await context.together([_settle(context, account, slot) for slot in slots])


async def _look_up(context: Context, account: Account, slot: _Slot) -> None:
    if slot.wanted is not None:
        slot.shipment = await context.store.look_up(account.id, slot.wanted, context.clock.now())


def _result(slot: _Slot, error: CallerError | None, item: bytes | None) -> bytes | CallerError:
    """The answer to an item that was asked about; what was stored before will do unless it shall be new."""
    if item is not None and (error is None or not slot.now_please):
        return item
    return error or CallerError("no_info", detail="")


async def _settle(context: Context, account: Account, slot: _Slot) -> None:
    if slot.charge is not None:
        paid = slot.charge.amount if isinstance(slot.result, bytes) else 0
        await context.store.settle(account.id, slot.charge.reference, paid, context.clock.now())
