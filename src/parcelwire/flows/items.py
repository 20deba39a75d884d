"""Calls that do one thing to each of their items, one by one or together; what an item addresses."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.identify import addresses, code_given, matching, number_of
from parcelwire.ports import Changed, Document
from parcelwire.wire.v22 import BadItem, Numbered, NumberItem, Rejected, answer, named, read_items, rejected

T = TypeVar("T", bound=NumberItem)
D = TypeVar("D")  # what is decided about one registration

Found = tuple[Shipment, Document | None]


async def for_each(body: bytes, item_type: type[T], work: Callable[[T], Awaitable[Sequence[Any]]]) -> bytes:
    """The answer to a call: what ``work`` gives for each item in its order, or why not."""
    accepted: list[Any] = []
    refused: list[Rejected] = []
    for item in read_items(body, item_type):
        try:
            if isinstance(item, BadItem):
                raise item.error
            accepted.extend(await work(item))
        except CallerError as error:
            refused.append(rejected(*named(item), error))
    return answer(accepted, refused)


async def registrations(context: Context, account: Account, item: NumberItem) -> list[Found]:
    """Those that an item addresses; without a carrier all of its number. CallerError when there is none."""
    number, code = number_of(item), code_given(item)
    known = await context.store.find(account.id, [number])
    found = [(shipment, document) for shipment, document in known if addresses(context, shipment, code)]
    if not found:
        raise CallerError("not_registered", number=number)
    return found


Decide = Callable[[list[Shipment]], Sequence[D]]
Save = Callable[[list[D]], Awaitable[list[Shipment | None]]]


@dataclass(slots=True, eq=False)
class _Slot(Generic[D]):
    """One item of a call, what it wants, and what has come of it so far."""

    item: NumberItem | BadItem
    number: str = ""
    code: int = 0
    decide: Decide[D] = lambda _: ()
    changed: list[Shipment] = field(default_factory=list)
    refused: CallerError | None = None


async def change_all(
    context: Context,
    account: Account,
    body: bytes,
    item_type: type[T],
    plan: Callable[[T], Decide[D]],
    save: Save[D],
) -> bytes:
    """The answer to a call that changes the registrations that its items address, in one transaction.

    ``plan`` reads an item and answers how to decide: what shall become of the registrations that it
    addresses, at least one. Both raise CallerError to refuse the item. ``save`` saves all decisions; it
    answers what was changed, None where somebody else was faster: then it is read and decided again. Of
    items with the same number each sees what the one before has changed.
    """
    slots = [_slot(item, plan) for item in read_items(body, item_type)]
    waiting = [slot for slot in slots if slot.refused is None]
    while waiting:
        first: dict[str, _Slot[D]] = {}  # of each number
        for slot in waiting:
            first.setdefault(slot.number, slot)
        again = await _take_turn(context, account, list(first.values()), save)
        waiting = [slot for slot in waiting if slot in again or first[slot.number] is not slot]
    accepted = [Numbered(shipment.number, shipment.code) for slot in slots for shipment in slot.changed]
    refused = [rejected(*named(slot.item), slot.refused) for slot in slots if slot.refused]
    return answer(accepted, refused)


def _slot(item: T | BadItem, plan: Callable[[T], Decide[D]]) -> _Slot[D]:
    if isinstance(item, BadItem):
        return _Slot(item, refused=item.error)
    try:
        decide = plan(item)
        return _Slot(item, number_of(item), code_given(item), decide)
    except CallerError as error:
        return _Slot(item, refused=error)


async def _take_turn(
    context: Context, account: Account, turn: Sequence[_Slot[D]], save: Save[D]
) -> list[_Slot[D]]:
    """Those of the slots for which somebody else was faster."""
    found = await context.store.find(account.id, [slot.number for slot in turn])
    decided = [
        (slot, decision) for slot in turn for decision in _decisions(context, slot, [one for one, _ in found])
    ]
    saved = await save([decision for _, decision in decided]) if decided else []
    again = []
    for (slot, _), shipment in zip(decided, saved, strict=True):
        if shipment is None:
            again.append(slot)
        else:
            slot.changed.append(shipment)
    return again


def _decisions(context: Context, slot: _Slot[D], found: Sequence[Shipment]) -> Sequence[D]:
    """What an item still wants to change; it is refused when that is nothing, and was nothing before."""
    done = [shipment.id for shipment in slot.changed]
    open_ = [one for one in matching(context, found, slot.number, slot.code) if one.id not in done]
    try:
        if not open_:
            raise CallerError("not_registered", number=slot.number)
        return slot.decide(open_)
    except CallerError as error:
        slot.refused = None if done else error
        return ()


async def save_changes(context: Context, changes: list[Changed]) -> list[Shipment | None]:
    """For ``change_all``."""
    saved = await context.store.change(changes, context.clock.now())
    return [change.shipment if done else None for change, done in zip(changes, saved, strict=True)]
