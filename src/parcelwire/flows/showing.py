"""What is stored of numbers, as a caller gets to see it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from parcelwire.domain.account import Account
from parcelwire.flows.context import Context
from parcelwire.flows.documents import tracked
from parcelwire.ports import Shown
from parcelwire.wire.v22 import encode
from parcelwire.wire.versions import Version


class Seen(NamedTuple):
    """A shipment and its accepted item, encoded; None while no source has said anything."""

    shown: Shown
    item: bytes | None


async def see(
    context: Context, account: Account, numbers: Collection[str], version: Version, now: datetime
) -> dict[str, list[Seen]]:
    """What there is of each number, whatever its phase, the oldest first."""
    shelf = context.shelf
    bare = {number for number in numbers if shelf.has(account.id, number, version)}
    whole = [number for number in numbers if number not in bare]
    seen = await _read(context, account, whole, bare, version, now)
    changed = {shown.number for shown, item in seen if item is None and shown.sub_status is not None}
    if changed:
        seen = [one for one in seen if one.shown.number not in changed]
        seen += await _read(context, account, changed, (), version, now)
    found: dict[str, list[Seen]] = {}
    for one in seen:
        found.setdefault(one.shown.number, []).append(one)
    return found


async def _read(
    context: Context,
    account: Account,
    whole: Collection[str],
    bare: Collection[str],
    version: Version,
    now: datetime,
) -> list[Seen]:
    """The shipments of numbers; those in ``bare`` without an item unless theirs is on the shelf."""
    shelf, day = context.shelf, now.toordinal()
    seen = []
    for shown in await context.store.shown(account.id, whole, bare):
        if shown.template is None:
            item = shelf.item(account.id, shown, version, day)
        else:
            item = encode(tracked(shown, now, version))
            shelf.keep(account.id, shown, version, day, item)
        seen.append(Seen(shown, item))
    return seen
