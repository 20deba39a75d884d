"""What is stored of numbers, as a caller gets to see it."""

from collections.abc import Collection
from datetime import datetime

from parcelwire.domain.account import Account
from parcelwire.flows.context import Context
from parcelwire.flows.documents import tracked
from parcelwire.flows.shelf import item_for
from parcelwire.ports import Shown
from parcelwire.wire.v22 import encode
from parcelwire.wire.versions import Version

Seen = tuple[
    Shown, bytes | None
]  # a shipment and its accepted item, encoded; None: no source has said anything


async def see(
    context: Context, account: Account, numbers: Collection[str], version: Version, now: datetime
) -> dict[str, list[Seen]]:
    """What there is of each number, whatever its phase, the oldest first."""
    store, day = context.store, now.toordinal()
    at_hand = context.shelf.of(account.id, version, numbers)
    unknown = [number for number in numbers if number not in at_hand]
    found: dict[str, list[Seen]] = {}
    changed: set[str] = set()
    for shown in await store.shown(account.id, unknown, at_hand):
        kept = at_hand.get(shown.number)
        item = _made(context, account, shown, version, now) if kept is None else item_for(kept, shown, day)
        if item is None and shown.sub_status is not None:
            changed.add(shown.number)
        else:
            found.setdefault(shown.number, []).append((shown, item))
    if changed:
        for number in changed:
            found[number] = []
        for shown in await store.shown(account.id, changed):
            found[shown.number].append((shown, _made(context, account, shown, version, now)))
    return found


def _made(context: Context, account: Account, shown: Shown, version: Version, now: datetime) -> bytes | None:
    if shown.template is None:
        return None
    item = encode(tracked(shown, now, version))
    context.shelf.keep(account.id, version, shown, now.toordinal(), item)
    return item
