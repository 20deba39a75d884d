"""What its owner changes about a registration: its carrier, its texts, or that it exists at all."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from parcelwire.domain.account import Account
from parcelwire.domain.detect import learned_key
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import CARRIER_CHANGES_MAX, Action, Phase, Shipment, Wish, step
from parcelwire.domain.timeline import NO_MARKS
from parcelwire.flows.context import Context
from parcelwire.flows.identify import AS_GIVEN, number_of
from parcelwire.flows.items import Decide, Found, change_all, for_each, registrations, save_changes
from parcelwire.flows.register import check_final_carrier
from parcelwire.flows.routes import NO_SOURCE
from parcelwire.ports import Changed, Count
from parcelwire.wire.dates import order_time
from parcelwire.wire.v22 import (
    CarrierChanged,
    ChangeCarrierItem,
    ChangeInfoItem,
    Info,
    NumberItem,
    carrier_code,
)


async def delete(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /deletetrack: at once and for good; registering again costs again."""

    async def save(shipments: list[Shipment]) -> list[Shipment | None]:
        gone = await context.store.delete(account.id, [shipment.id for shipment in shipments])
        return [shipment if done else None for shipment, done in zip(shipments, gone, strict=True)]

    def decide(found: list[Shipment]) -> list[Shipment]:
        return found

    return await change_all(context, account, body, NumberItem, lambda _: decide, save)


async def change_info(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /changeinfo."""

    def plan(item: ChangeInfoItem) -> Decide[Changed]:
        given = _given(item.items)

        def decide(found: list[Shipment]) -> list[Changed]:
            if len(found) > 1:
                raise CallerError("several_registrations")
            (shipment,) = found
            after = replace(shipment, wish=replace(shipment.wish, **given))
            if after.wish.hint != shipment.wish.hint and after.phase is Phase.TRACKING:
                after = replace(after, refresh_at=context.clock.now())  # the carrier may tell more now
            return [Changed(shipment, after)]

        return decide

    return await change_all(context, account, body, ChangeInfoItem, plan, partial(save_changes, context))


async def change_carrier(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /changecarrier: the old carrier's events go, the new one is asked at once."""

    async def work(item: ChangeCarrierItem) -> list[CarrierChanged]:
        item.carrier = item.carrier_old or item.carrier
        new_code, final_code = _new_codes(context, item)
        while True:
            found = await _of_old_carrier(context, account, item)
            shipment = _changeable(found)
            now = context.clock.now()
            change = _with_carrier(context, shipment, new_code, final_code, now)
            everywhere = await context.store.find(account.id, [shipment.number])
            _refuse_second(change.shipment, everywhere)
            if all(await context.store.change([change], now)):
                context.memory.forget([account.id])
                return [_carrier_changed(shipment, change.shipment)]

    return await for_each(body, ChangeCarrierItem, work)


def _given(info: Info | None) -> dict[str, Any]:
    """The fields that are to change. CallerError when there is none."""
    given: dict[str, Any] = {
        name: str(value)
        for name in Info.__struct_fields__
        if info is not None and (value := getattr(info, name)) is not None
    }
    if given.get("order_time"):
        given["order_time"] = order_time(given["order_time"])
    if not given:
        raise CallerError("nothing_to_change")
    return given


def _new_codes(context: Context, item: ChangeCarrierItem) -> tuple[int, int]:
    """The codes of the new carrier and the new last-mile carrier; 0 for none."""
    codes = []
    for given in (item.carrier_new, item.final_carrier_new):
        try:
            code = carrier_code(given)
        except CallerError as error:
            raise CallerError("bad_new_carrier", **error.values) from None
        if code and not context.directory.slugs_of(code):
            raise CallerError("bad_new_carrier", carrier=str(code))
        codes.append(code)
    new_code, final_code = codes
    if not new_code and not final_code:
        raise CallerError("no_new_carrier")
    return new_code, final_code


async def _of_old_carrier(context: Context, account: Account, item: NumberItem) -> list[Found]:
    try:
        return await registrations(context, account, item)
    except CallerError as error:
        if error.reason == "not_registered":
            raise CallerError("not_of_old_carrier", number=number_of(item)) from None
        raise


def _changeable(found: list[Found]) -> Shipment:
    if len(found) > 1:
        raise CallerError("several_carriers")
    ((shipment, _),) = found
    step(shipment.phase, Action.CHANGE_CARRIER)
    return shipment


def _with_carrier(
    context: Context, shipment: Shipment, new_code: int, final_code: int, now: datetime
) -> Changed:
    """The registration with its new carrier, as if nothing were known of it yet."""
    directory = context.directory
    carrier = (directory.resolve(new_code, shipment.number) if new_code else None) or shipment.carrier
    final = final_code or shipment.wish.final_carrier
    if carrier == shipment.carrier and final == shipment.wish.final_carrier:
        raise CallerError("same_carrier")
    if shipment.carrier_changes >= CARRIER_CHANGES_MAX:
        raise CallerError("carrier_changes", limit=str(CARRIER_CHANGES_MAX))
    if shipment.answered_at is None and shipment.lane != NO_SOURCE:  # there no result will ever come
        raise CallerError("no_result_yet")
    if final_code:
        check_final_carrier(context, carrier, final_code)
    after = replace(
        shipment,
        carrier=carrier,
        code=new_code or shipment.code,
        wish=replace(shipment.wish, final_carrier=final),
        origin=AS_GIVEN,
        doubt=None,
        carrier_changes=shipment.carrier_changes + 1,
        sub_status=None,
        descr=None,
        digest=None,
        marks=NO_MARKS,
        asked_at=None,
        answered_at=None,
        changed_at=now,
        trouble=None,
        fails=0,
        refresh_at=now,
        lane=context.routes.lane(carrier, shipment.number, shipment.wish.hint),
    )
    return Changed(shipment, after, forgets=True, counts=_counts(shipment, after))


def _counts(before: Shipment, after: Shipment) -> tuple[Count, ...]:
    """The new carrier counts at once; the old one, if it was counted, no longer does."""
    if before.carrier == after.carrier:
        return ()
    new = learned_key(after.number, after.carrier), 1
    old = learned_key(before.number, before.carrier), -1
    return (new, old) if before.marks.newest or before.carrier_changes else (new,)


def _refuse_second(after: Shipment, everywhere: list[Found]) -> None:
    """CallerError when the number is registered with the new carrier already."""
    for other, _ in everywhere:
        if other.carrier == after.carrier and other.id != after.id and other.phase is not Phase.LOOKED_UP:
            raise CallerError("new_carrier_registered", number=after.number)


def _carrier_changed(before: Shipment, after: Shipment) -> CarrierChanged:
    old: Wish = before.wish
    return CarrierChanged(
        after.number, before.code, after.code, old.final_carrier or 0, after.wish.final_carrier or 0
    )
