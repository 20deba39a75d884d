"""Read what is stored: free, and never asks a carrier."""

from collections.abc import Sequence

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.flows.context import Context
from parcelwire.flows.identify import addresses, code_given, number_of
from parcelwire.flows.showing import Seen, see
from parcelwire.ports import Shown
from parcelwire.wire.v22 import (
    BadItem,
    NumberItem,
    Quota,
    QuotaEnvelope,
    Rejected,
    answer_of,
    encode,
    named,
    read_items,
    rejected,
)
from parcelwire.wire.versions import V2_2, Version


async def track_info(context: Context, account: Account, body: bytes, version: Version = V2_2) -> bytes:
    """The answer to POST /gettrackinfo: one accepted item for each registration that an item addresses."""
    items = read_items(body, NumberItem)
    numbers = [_number(item) for item in items]
    asked = {number: None for number in numbers if isinstance(number, str)}
    known = await see(context, account, asked, version, context.clock.now())
    accepted: list[bytes] = []
    refused: list[Rejected] = []
    for item, number in zip(items, numbers, strict=True):
        try:
            if isinstance(number, CallerError):
                raise number
            accepted += _addressed(context, known.get(number, ()), item, number)
        except CallerError as error:
            refused.append(rejected(*named(item), error))
    return answer_of(accepted, refused)


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
    context: Context, known: Sequence[Seen], item: NumberItem | BadItem, number: str
) -> list[bytes]:
    """The registrations that an item addresses and that can be shown. CallerError when there is none."""
    code = code_given(item) if isinstance(item, NumberItem) else 0
    first: Shown | None = None
    told: list[bytes] = []
    for shown, encoded in known:
        if addresses(context, shown, code):
            first = first or shown
            if encoded is not None:
                told.append(encoded)
    if told:
        return told
    if first is None:
        raise CallerError("not_registered", number=number)
    trouble = first.trouble
    raise CallerError("no_info", detail=f" {trouble[0].upper()}{trouble[1:]}." if trouble else "")
