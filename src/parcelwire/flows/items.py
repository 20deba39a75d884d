"""Calls that do one thing to each item, and the registrations that an item addresses."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.identify import addresses, code_given, number_of
from parcelwire.ports import Changed, Document
from parcelwire.wire.v22 import BadItem, NumberItem, Rejected, answer, named, read_items, rejected

T = TypeVar("T", bound=NumberItem)

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


async def change_each(
    context: Context,
    account: Account,
    item: NumberItem,
    can: Callable[[Shipment], bool],
    change: Callable[[Shipment, datetime], Changed],
) -> list[Shipment]:
    """Change every registration that an item addresses and that ``can`` be changed; answers them.

    When none can, the refusal is that of the first: ``change`` raises it.
    """
    changed: list[Shipment] = []
    while True:
        found = [shipment for shipment, _ in await registrations(context, account, item)]
        able = [shipment for shipment in found if can(shipment)]
        if changed and not able:
            return changed
        now = context.clock.now()
        changes = [change(shipment, now) for shipment in able or found[:1]]
        saved = await context.store.change(changes, now)
        changed += [one.shipment for one, done in zip(changes, saved, strict=True) if done]
        if all(saved):  # else a refresh or another caller was faster: look again
            return changed
