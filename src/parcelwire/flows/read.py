"""Read what is stored: free, and never asks a carrier."""

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.documents import tracked
from parcelwire.flows.identify import addresses, code_given, number_of
from parcelwire.ports import Document
from parcelwire.wire.v22 import (
    BadItem,
    NumberItem,
    Quota,
    QuotaEnvelope,
    Rejected,
    Tracked,
    answer,
    encode,
    named,
    read_items,
    rejected,
)
from parcelwire.wire.versions import V2_2, Version


async def track_info(context: Context, account: Account, body: bytes, version: Version = V2_2) -> bytes:
    """The answer to POST /gettrackinfo: one accepted item for each registration that an item addresses."""
    items = read_items(body, NumberItem)
    numbers: list[str | CallerError] = [_number(item) for item in items]
    found = await context.store.find(account.id, [number for number in numbers if isinstance(number, str)])
    by_number: dict[str, list[tuple[Shipment, Document | None]]] = {}
    for shipment, document in found:
        by_number.setdefault(shipment.number, []).append((shipment, document))
    now = context.clock.now()
    accepted: list[Tracked] = []
    refused: list[Rejected] = []
    for item, number in zip(items, numbers, strict=True):
        try:
            if isinstance(number, CallerError):
                raise number
            known = by_number.get(number, [])
            for shipment, document in _addressed(context, known, item, number):
                accepted.append(tracked(shipment, document, now, version))
        except CallerError as error:
            refused.append(rejected(*named(item), error))
    return answer(accepted, refused)


async def quota(context: Context, account: Account) -> bytes:
    """The answer to POST /getquota."""
    usage = await context.store.usage(account.id, context.clock.now())
    return encode(
        QuotaEnvelope(Quota(usage.total, usage.used, usage.total - usage.used, usage.today, usage.max_daily))
    )


def _number(item: NumberItem | BadItem) -> str | CallerError:
    try:
        return number_of(item) if not isinstance(item, BadItem) else item.error
    except CallerError as error:
        return error


def _addressed(
    context: Context,
    known: list[tuple[Shipment, Document | None]],
    item: NumberItem | BadItem,
    number: str,
) -> list[tuple[Shipment, Document]]:
    """The registrations that an item addresses and that can be shown. CallerError when there is none."""
    code = code_given(item) if isinstance(item, NumberItem) else 0
    matches = [one for one in known if addresses(context, one[0], code)]
    if not matches:
        raise CallerError("not_registered", number=number)
    shown = [(shipment, document) for shipment, document in matches if document]
    if not shown:
        trouble = matches[0][0].trouble
        raise CallerError("no_info", detail=f" {trouble[0].upper()}{trouble[1:]}." if trouble else "")
    return shown
