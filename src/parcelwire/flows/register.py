"""Register numbers: one quota unit for each that is new."""

from collections.abc import Sequence
from operator import attrgetter

from parcelwire.domain.account import Account
from parcelwire.domain.detect import Context as Clues
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import Extra, Wish
from parcelwire.flows.context import Context
from parcelwire.flows.identify import UNKNOWN_CODE, choose, clues, code_given, number_of, placed
from parcelwire.ports import KeyedCall, Wanted
from parcelwire.wire.dates import order_time
from parcelwire.wire.v22 import (
    MORE_FIELDS,
    BadItem,
    Registered,
    RegisterItem,
    RegisterRejected,
    SpecialTracking,
    answer,
    carrier_code,
    error_body,
    named,
    read_items,
)


async def register(context: Context, account: Account, body: bytes, call: KeyedCall | None = None) -> bytes:
    """The answer to POST /register. CallerError when the whole body is at fault.

    With ``call`` the answer is kept in the transaction that registers: a repeat gets it again.
    """
    slots: list[Wanted | RegisterRejected] = []
    known = await clues(context, account.id)
    for item in read_items(body, RegisterItem):
        try:
            slots.append(want(context, known, item))
        except CallerError as error:
            tag = None if isinstance(item, BadItem) else item.tag
            slots.append(RegisterRejected(*named(item), error_body(error), tag))
    wanted = [slot for slot in slots if isinstance(slot, Wanted)]
    now = context.clock.now()
    if call is None:
        return _answer(slots, await context.store.register(account.id, wanted, now))
    kept = await context.store.register_once(
        account.id, wanted, now, call, lambda outcomes: _answer(slots, outcomes)
    )
    if isinstance(kept, CallerError):
        raise kept
    return kept


def _answer(slots: Sequence[Wanted | RegisterRejected], results: Sequence[int | CallerError]) -> bytes:
    """The envelope: what became of each item, in the order of the call."""
    outcomes = iter(results)
    accepted: list[Registered] = []
    refused: list[RegisterRejected] = []
    for slot in slots:
        if isinstance(slot, RegisterRejected):
            refused.append(slot)
            continue
        outcome, wish = next(outcomes), slot.wish
        if isinstance(outcome, CallerError):
            refused.append(RegisterRejected(slot.number, slot.code, error_body(outcome), wish.tag))
        else:
            accepted.append(Registered(slot.origin, slot.number, slot.code, wish.email, wish.tag, wish.lang))
    return answer(accepted, refused)


def want(context: Context, known: Clues, item: RegisterItem | BadItem) -> Wanted:
    """What an item of register or getRealTimeTrackInfo asks for. CallerError says what is wrong with it.

    ``known``: what is known beside the number.
    """
    if isinstance(item, BadItem):
        raise item.error
    number = number_of(item)
    known = placed(known, item.param, item.origin_country, item.destination_country)
    choice = choose(context, number, code_given(item), known, detects=item.auto_detection is not False)
    final_code = carrier_code(item.final_carrier)
    if final_code:
        check_final_carrier(context, choice.carrier, final_code)
    wish = _wish(item, final_code)
    lane = context.routes.lane(choice.carrier, number, wish.hint)
    return Wanted(number, choice.carrier, choice.code, choice.origin, lane, wish)


def check_final_carrier(context: Context, carrier: str, final_code: int) -> None:
    """CallerError when there is no such last-mile carrier, or when the carrier is no post."""
    if not context.directory.slugs_of(final_code):
        raise CallerError("bad_carrier", carrier=str(final_code), detail=UNKNOWN_CODE)
    entry = context.directory.entry(carrier)
    if entry is None or not entry.postal:
        raise CallerError("not_postal")


_more = attrgetter(*MORE_FIELDS)
_NO_MORE = (None,) * len(MORE_FIELDS)


def _wish(item: RegisterItem, final_code: int) -> Wish:
    return Wish(
        tag=item.tag,
        lang=item.lang,
        param=item.param,
        order_no=None if item.order_no is None else str(item.order_no),
        order_time=order_time(item.order_time) if item.order_time else None,
        email=item.email,
        remark=item.remark,
        final_carrier=final_code or None,
        more=_extras(item),
    )


def _extras(item: RegisterItem) -> dict[str, Extra] | None:
    """What v2.4 has beyond the fields of a wish, as far as it was given."""
    given = _more(item)
    if given == _NO_MORE:
        return None
    return {name: _plain(value) for name, value in zip(MORE_FIELDS, given, strict=True) if value is not None}


def _plain(value: str | list[str] | SpecialTracking) -> Extra:
    if isinstance(value, SpecialTracking):
        return {"number_type": value.number_type or "", "parameter": value.parameter or ""}
    return value
