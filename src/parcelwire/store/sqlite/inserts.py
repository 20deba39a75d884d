"""Many rows in one statement: half the cost of a statement for each."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

ROWS_MAX = 40  # of a statement: as many as a call of the API has items


def next_id(c: sqlite3.Connection, table: str) -> int:
    """What AUTOINCREMENT would give. Nobody else writes meanwhile: rows may be numbered from here on."""
    last = c.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", (table,))
    before: int = last.fetchone()[0]
    return before + 1


def insert(
    c: sqlite3.Connection,
    into: str,
    values: str,
    shared: Sequence[Any],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Insert ``rows``. ``into``: the statement without its values; ``values``: those of one row, first ?1, ?2
    and so on for the ``shared`` ones, then ? for each of its own."""
    for start in range(0, len(rows), ROWS_MAX):
        part = rows[start : start + ROWS_MAX]
        c.execute(f"{into} VALUES {', '.join([values] * len(part))}", (*shared, *chain.from_iterable(part)))
