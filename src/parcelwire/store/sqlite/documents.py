"""Documents on pages of their own, so that one that grows moves no other.

SQLite keeps a row that does not fit its page in part: KEPT bytes in the tree, the rest on pages of ROOM bytes
that hold nothing else (file format, "B-tree Cell Format"; pages of 4,096 bytes). With room at its end each
document has such a size, and is written where it was until it has grown by a page. Before, every scan made
the tree move its neighbours, each on a page that had to be read and written.
"""

import sqlite3
from collections.abc import Iterable

from parcelwire.ports import Document

KEPT, ROOM = 489, 4_092
_LEAST = 58  # of the room, which keeps its header at two bytes
_HEADER = 1 + 1 + 2  # of a row: its size, the key, the room
_KEEP = """
INSERT INTO document (shipment, template, estimate, room) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET template = excluded.template, estimate = excluded.estimate, room = excluded.room
"""


def keep(c: sqlite3.Connection, documents: Iterable[tuple[int, Document]]) -> None:
    """In place of those that the shipments had."""
    c.executemany(
        _KEEP,
        [(shipment, one.template, one.estimate, " " * room(one)) for shipment, one in documents],
    )


def room(document: Document) -> int:
    """Bytes that make its row KEPT and some times ROOM bytes long."""
    values = len(document.template), len(document.estimate)
    used = _HEADER + sum(size + _header(size) for size in values) + _LEAST
    return _LEAST + (KEPT - used) % ROOM


def _header(size: int) -> int:
    """Bytes that tell type and size of a value: 12 + 2 x size, seven bits in a byte."""
    return -(-(12 + 2 * size).bit_length() // 7)
