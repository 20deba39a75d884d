"""Register numbers: one quota unit for each that is new."""

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import Shipment, Wish
from parcelwire.flows.context import Context
from parcelwire.flows.identify import choose, code_given, number_of
from parcelwire.ports import Wanted
from parcelwire.wire.dates import order_time
from parcelwire.wire.v22 import (
    BadItem,
    Registered,
    RegisterItem,
    RegisterRejected,
    answer,
    error_body,
    named,
    read_items,
)


async def register(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /register. CallerError when the whole body is at fault."""
    slots: list[Wanted | RegisterRejected] = []
    for item in read_items(body, RegisterItem):
        try:
            slots.append(want(context, item))
        except CallerError as error:
            tag = None if isinstance(item, BadItem) else item.tag
            slots.append(RegisterRejected(*named(item), error_body(error), tag))
    wanted = [slot for slot in slots if isinstance(slot, Wanted)]
    outcomes = iter(await context.store.register(account.id, wanted, context.clock.now()))
    accepted: list[Registered] = []
    refused: list[RegisterRejected] = []
    for slot in slots:
        outcome = next(outcomes) if isinstance(slot, Wanted) else slot
        if isinstance(outcome, Shipment):
            accepted.append(_registered(outcome))
        elif isinstance(outcome, RegisterRejected):
            refused.append(outcome)
        elif isinstance(slot, Wanted):
            refused.append(RegisterRejected(slot.number, slot.code, error_body(outcome), slot.wish.tag))
    return answer(accepted, refused)


def want(context: Context, item: RegisterItem | BadItem) -> Wanted:
    """What an item of register or getRealTimeTrackInfo asks for. CallerError says what is wrong with it."""
    if isinstance(item, BadItem):
        raise item.error
    number = number_of(item)
    choice = choose(context, number, code_given(item), detects=item.auto_detection is not False)
    lane = context.routes.lane(choice.carrier, number, item.param)
    return Wanted(number, choice.carrier, choice.code, choice.origin, lane, _wish(item))


def _wish(item: RegisterItem) -> Wish:
    return Wish(
        tag=item.tag,
        lang=item.lang,
        param=item.param,
        order_no=None if item.order_no is None else str(item.order_no),
        order_time=order_time(item.order_time) if item.order_time else None,
        email=item.email,
        remark=item.remark,
    )


def _registered(shipment: Shipment) -> Registered:
    wish = shipment.wish
    return Registered(shipment.origin, shipment.number, shipment.code, wish.email, wish.tag, wish.lang)
