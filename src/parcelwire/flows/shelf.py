"""Items that were shown lately, ready to be sent again (docs/why/0014-reads-are-narrow.md).

An item follows from its row, its document, the version of the wire and the day (UTC), and the row names its
document. So it may be sent again while its row is the same, whichever process writes: a read always asks the
store for the row, and nothing has to be told when something changes.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping

from parcelwire.ports import Shown
from parcelwire.wire.versions import Version

BYTES_MAX = 32 * 1024 * 1024  # some 4,000 items; a third of what the process needs anyway

Kept = dict[int, tuple[Shown, int, bytes]]  # by shipment: its row without the document, the day, the item


class Shelf:
    """Items by account, version and number; those that were shown longest ago make room."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, str, str], Kept] = OrderedDict()

    def of(self, account: int, version: Version, numbers: Collection[str]) -> Mapping[str, Kept]:
        """What is kept of those numbers that something is kept of."""
        found: dict[str, Kept] = {}
        for number in numbers:
            key = account, version.name, number
            kept = self._kept.get(key)
            if kept is not None:
                found[number] = kept
                self._kept.move_to_end(key)
        return found

    def keep(self, account: int, version: Version, shown: Shown, day: int, item: bytes) -> None:
        """Keep an item. Without a digest nothing names its document."""
        if shown.digest is None:
            return
        of_number = self._kept.setdefault((account, version.name, shown.number), {})
        before = of_number.get(shown.id)
        of_number[shown.id] = shown._replace(template=None, estimate=None), day, item
        self._bytes += len(item) - (len(before[2]) if before else 0)
        while self._bytes > self._bytes_max:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= sum(len(item) for _, _, item in gone.values())


def item_for(kept: Kept, bare: Shown, day: int) -> bytes | None:
    """The item of a row without its document, if it is the row that the item was made of."""
    row, made_on, item = kept.get(bare.id, (None, 0, b""))
    return item if row == bare and made_on == day else None
