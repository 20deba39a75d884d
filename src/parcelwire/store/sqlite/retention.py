"""What is old is forgotten, a few rows in one transaction: other work goes in between."""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from parcelwire.ports import Old, Pruned
from parcelwire.store.rows import micros, moment
from parcelwire.store.sqlite import refreshes, registrations

_NEXT = timedelta(microseconds=1)
Row = tuple[Any, ...]  # its time comes last

# From a time on, before a time, at most so many; the oldest first.
_OLD = {
    Old.REFRESH: "SELECT id, at FROM refresh_log WHERE at >= ? AND at < ? ORDER BY at, id LIMIT ?",
    Old.PUSH: """SELECT seq, done_at FROM push WHERE done_at IS NOT NULL AND done_at >= ? AND done_at < ?
      ORDER BY done_at LIMIT ?""",
    Old.CHANGE: "SELECT id, account, at FROM change WHERE at >= ? AND at < ? ORDER BY at, id LIMIT ?",
    Old.REPLY: "SELECT hash, at FROM raw_reply WHERE at >= ? AND at < ? ORDER BY at LIMIT ?",
    Old.ANSWER: """SELECT account, endpoint, key, at FROM kept_answer WHERE at >= ? AND at < ?
      ORDER BY at LIMIT ?""",
    Old.INBOX: """SELECT id, at FROM inbox WHERE at >= ? AND at < ? AND state IN ('done', 'unknown')
      ORDER BY at LIMIT ?""",
    Old.LEDGER: """SELECT account, period, kind, id, at FROM quota_entry
      WHERE at >= ? AND at < ? AND reference <> period AND kind <> 'translate' ORDER BY at LIMIT ?""",
    Old.STOPPED: """SELECT account, id, stopped_at FROM shipment
      WHERE stopped_at IS NOT NULL AND stopped_at >= ? AND stopped_at < ? ORDER BY stopped_at LIMIT ?""",
    Old.LOOKED_UP: """SELECT account, id, since FROM shipment
      WHERE phase = 'looked_up' AND since >= ? AND since < ? ORDER BY since LIMIT ?""",
}
# A chain goes from its oldest row on: one that stays (for its push, or because the clock was ahead)
# would not be found any more when a newer one had gone.
_FIRST = "NOT EXISTS (SELECT 1 FROM {0} older WHERE older.id = {0}.before)"
_FORGET_REFRESH = f"DELETE FROM refresh_log WHERE id = ? AND {_FIRST.format('refresh_log')} RETURNING raw"
_FORGET_CHANGE = f"""
DELETE FROM change WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM push WHERE change = ?1)
  AND {_FIRST.format("change")}
"""
# The sum of a month has the month as its reference.
_SUM = """
INSERT INTO quota_entry (account, period, at, kind, amount, reference) VALUES (?1, ?2, ?3, ?4, ?5, ?2)
ON CONFLICT (account, kind, reference) DO UPDATE
  SET amount = amount + excluded.amount, at = max(at, excluded.at)
"""


def prune(c: sqlite3.Connection, old: Old, before: datetime, most: int, after: datetime | None) -> Pruned:
    """Forget some; see ports.Store. Where all are of one moment and cannot go, the next look is past it."""
    rows = c.execute(_OLD[old], (micros(after) if after else 0, micros(before), most)).fetchall()
    count = _FORGET[old](c, rows)
    if len(rows) < most:
        return Pruned(count, None)
    first, last = rows[0][-1], moment(rows[-1][-1])
    return Pruned(count, last if count or moment(first) < last else last + _NEXT)


def _deleted(statement: str) -> Callable[[sqlite3.Connection, list[Row]], int]:
    def forget(c: sqlite3.Connection, rows: list[Row]) -> int:
        c.executemany(statement, [row[:-1] for row in rows])
        return len(rows)

    return forget


def _forget_refreshes(c: sqlite3.Connection, rows: list[Row]) -> int:
    gone = [raw for row in rows for (raw,) in c.execute(_FORGET_REFRESH, row[:1]).fetchall()]
    for raw in {*gone} - {None}:
        refreshes.forget_raw(c, raw)
    return len(gone)


def _forget_changes(c: sqlite3.Connection, rows: list[Row]) -> int:
    """Those that no push refers to."""
    newest: dict[int, int] = {}
    count = 0
    for change, account, _ in rows:
        if c.execute(_FORGET_CHANGE, (change,)).rowcount:
            newest[account] = max(change, newest.get(account, 0))
            count += 1
    c.executemany(
        "UPDATE account SET forgotten = max(forgotten, ?) WHERE id = ?",
        [(change, account) for account, change in newest.items()],
    )
    return count


def _sum_up(c: sqlite3.Connection, rows: list[Row]) -> int:
    for account, period, kind, entry, at in rows:
        amount = c.execute("DELETE FROM quota_entry WHERE id = ? RETURNING amount", (entry,)).fetchall()[0][0]
        c.execute(_SUM, (account, period, at, kind, amount))
    return len(rows)


def _remove(c: sqlite3.Connection, rows: list[Row]) -> int:
    return sum(registrations.delete(c, account, shipment) for account, shipment, _ in rows)


_FORGET = {
    Old.REFRESH: _forget_refreshes,
    Old.PUSH: _deleted("DELETE FROM push WHERE seq = ?"),
    Old.CHANGE: _forget_changes,
    Old.REPLY: _deleted("DELETE FROM raw_reply WHERE hash = ?"),
    Old.ANSWER: _deleted("DELETE FROM kept_answer WHERE account = ? AND endpoint = ? AND key = ?"),
    Old.INBOX: _deleted("DELETE FROM inbox WHERE id = ?"),
    Old.LEDGER: _sum_up,
    Old.STOPPED: _remove,
    Old.LOOKED_UP: _remove,
}


def take_duty(c: sqlite3.Connection, duty: str, every: timedelta, now: datetime) -> bool:
    """Whether it is ours for this time. A clock that went back does not put it off."""
    done = c.execute(
        """INSERT INTO meta VALUES ('duty/' || ?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2
        WHERE CAST(value AS INTEGER) <= ?2 - ?3 OR CAST(value AS INTEGER) > ?2""",
        (duty, micros(now), every // _NEXT),
    )
    return done.rowcount == 1
