"""Items that were shown lately, ready to be sent again (docs/why/0011-reads-are-narrow.md).

An item follows from its row, its document, the version of the wire and the day (UTC), and the row names its
document. So it may be sent again while its row is the same, whichever process writes: a read always asks the
store for the row, and nothing has to be told when something changes.
"""

from collections import OrderedDict

from parcelwire.ports import Shown
from parcelwire.wire.versions import Version

BYTES_MAX = 32 * 1024 * 1024  # some 4,000 items; a third of what the process needs anyway

_Kept = dict[int, tuple[Shown, int, bytes]]  # by shipment: its row without the document, the day, the item


class Shelf:
    """Items by account, number and version; those that were shown longest ago make room."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, str, str], _Kept] = OrderedDict()

    def has(self, account: int, number: str, version: Version) -> bool:
        """Whether there is an item of a number: while the row is the same its document need not be read."""
        return (account, number, version.name) in self._kept

    def item(self, account: int, bare: Shown, version: Version, day: int) -> bytes | None:
        """The item of a row without its document."""
        key = account, bare.number, version.name
        kept = self._kept.get(key, {}).get(bare.id)
        if kept is None or kept[1] != day or kept[0] != bare:
            return None
        self._kept.move_to_end(key)
        return kept[2]

    def keep(self, account: int, shown: Shown, version: Version, day: int, item: bytes) -> None:
        """Keep an item. Without a digest nothing names its document."""
        if shown.digest is None:
            return
        of_number = self._kept.setdefault((account, shown.number, version.name), {})
        before = of_number.get(shown.id)
        of_number[shown.id] = shown._replace(template=None, estimate=None), day, item
        self._bytes += len(item) - (len(before[2]) if before else 0)
        while self._bytes > self._bytes_max:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= sum(len(item) for _, _, item in gone.values())
