"""What the numbers of an account turned out to be, inside one transaction."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from parcelwire.ports import LEARNED_MAX, Count
from parcelwire.store.rows import micros

_MORE = """
INSERT INTO learned (account, shape, carrier, count, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count, at = excluded.at RETURNING count
"""
_LESS = "UPDATE learned SET count = count + ? WHERE account = ? AND shape = ? AND carrier = ?"
_NONE = "DELETE FROM learned WHERE account = ? AND shape = ? AND carrier = ? AND count <= 0"
_SIZE = "SELECT count(*) FROM learned WHERE account = ?"
_FORGET = """
DELETE FROM learned WHERE account = ?1 AND (shape, carrier) IN (
  SELECT shape, carrier FROM learned WHERE account = ?1 AND NOT (shape = ?2 AND carrier = ?3)
  ORDER BY count, at LIMIT ?4
)
"""


def learned(c: sqlite3.Connection, account: int) -> dict[str, dict[str, int]]:
    """Counts by shape and carrier."""
    counts: dict[str, dict[str, int]] = {}
    rows = c.execute("SELECT shape, carrier, count FROM learned WHERE account = ?", (account,))
    for shape, carrier, count in rows:
        counts.setdefault(shape, {})[carrier] = count
    return counts


def learn(c: sqlite3.Connection, account: int, counts: Sequence[Count], now: datetime) -> None:
    """Add to the counts."""
    for key, count in counts:
        if count < 0:
            c.execute(_LESS, (count, account, *key))
            c.execute(_NONE, (account, *key))
            continue
        (total,) = c.execute(_MORE, (account, *key, count, micros(now))).fetchone()
        if total == count:  # a new one
            (size,) = c.execute(_SIZE, (account,)).fetchone()
            if size > LEARNED_MAX:
                c.execute(_FORGET, (account, *key, size - LEARNED_MAX))
