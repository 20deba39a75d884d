"""What is old is forgotten, in short transactions that wait for nobody: rows that somebody holds are left to
the next round (docs/why/0011-old-rows-go-in-small-batches.md)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from parcelwire.ports import Old, Pruned
from parcelwire.store.postgres import registrations
from parcelwire.store.postgres.pool import Connection, Pool
from parcelwire.store.rows import micros, moment

_NEXT = timedelta(microseconds=1)


class Kind(NamedTuple):
    """Where rows of a kind are. ``which``: of the old ones; ``goes``: whether one (t) can be forgotten."""

    table: str
    key: str
    at: str
    which: str = "true"
    goes: str = "true"
    then: str = ""  # further parts of the statement, after ``gone``


_ATTEMPTS = """, attempts AS (
  DELETE FROM push_attempt AS a USING gone
  WHERE a.shipment = gone.shipment AND a.endpoint = gone.endpoint AND a.version = gone.version
    AND a.account = gone.account
)"""
_UNUSED = """NOT EXISTS (
  SELECT FROM push AS p WHERE p.shipment = t.shipment AND p.version = t.version AND p.account = t.account
)"""
_FORGOTTEN = """, forgotten AS (
  UPDATE feed AS f SET forgotten = greatest(f.forgotten, newest.id)
  FROM (SELECT account, max(id) AS id FROM gone GROUP BY account) AS newest WHERE f.account = newest.account
)"""
# The sum of a month has the month as its reference.
_SUMMED = """, summed AS (
  INSERT INTO quota_entry (account, period, at, kind, amount, reference)
  SELECT account, period, max(at), kind, sum(amount), period FROM gone
  GROUP BY account, period, kind ORDER BY account, kind, period
  ON CONFLICT (account, kind, reference) DO UPDATE
    SET amount = quota_entry.amount + excluded.amount, at = greatest(quota_entry.at, excluded.at)
)"""
_KINDS = {
    Old.REFRESH: Kind("refresh_log", "shipment, id, account", "at"),
    Old.PUSH: Kind("push", "shipment, endpoint, version, account", "done_at", then=_ATTEMPTS),
    Old.CHANGE: Kind("change", "account, id", "at", goes=_UNUSED, then=_FORGOTTEN),
    Old.REPLY: Kind("raw_reply", "account, hash", "at"),
    Old.ANSWER: Kind("kept_answer", "account, endpoint, key", "at"),
    Old.INBOX: Kind("inbox", "id", "at", "state IN ('done', 'unknown')"),
    Old.LEDGER: Kind(
        "quota_entry", "account, kind, reference", "at", "reference <> period AND kind <> 'translate'",
        then=_SUMMED,
    ),
}  # fmt: skip
_REGISTRATIONS = {
    Old.STOPPED: ("stopped_at", "stopped_at IS NOT NULL"),
    Old.LOOKED_UP: ("since", "phase = 'looked_up'"),
}


def _forget(kind: Kind) -> str:
    same = " AND ".join(f"t.{name} = old.{name}" for name in kind.key.split(", "))
    return f"""
WITH old AS MATERIALIZED (
  SELECT {kind.key}, {kind.at} AS old_at FROM {kind.table}
  WHERE {kind.at} >= $1 AND {kind.at} < $2 AND {kind.which} ORDER BY {kind.at} LIMIT $3
  FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM {kind.table} AS t USING old WHERE {same} AND {kind.goes} RETURNING t.*
){kind.then}
SELECT (SELECT count(*) FROM gone), count(*), min(old_at), max(old_at) FROM old
"""


_FORGET = {old: _forget(kind) for old, kind in _KINDS.items()}
_OLD_REGISTRATIONS = {
    old: f"""SELECT id, account, {at} FROM shipment
    WHERE {at} >= $1 AND {at} < $2 AND {which} ORDER BY {at} LIMIT $3"""
    for old, (at, which) in _REGISTRATIONS.items()
}
_TAKE_DUTY = """
INSERT INTO meta VALUES ('duty/' || $1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value
WHERE meta.value::bigint <= excluded.value::bigint - $3 OR meta.value::bigint > excluded.value::bigint
"""


async def prune(pool: Pool, old: Old, before: datetime, most: int, after: datetime | None) -> Pruned:
    """Forget some; see ports.Store."""
    asked = micros(after) if after else 0, micros(before), most
    if old in _REGISTRATIONS:
        return await _remove(pool, old, asked)
    count, seen, first, last = await pool.statement(lambda c, _: c.fetchrow(_FORGET[old], *asked))
    return Pruned(count, _upto(count, first, last) if seen == most else None)


async def _remove(pool: Pool, old: Old, asked: tuple[int, int, int]) -> Pruned:
    rows = await pool.statement(lambda c, _: c.fetch(_OLD_REGISTRATIONS[old], *asked))
    owned: dict[int, list[int]] = {}
    for shipment, account, _ in rows:
        owned.setdefault(account, []).append(shipment)
    count = sum([await _remove_of(pool, account, ids) for account, ids in owned.items()])
    return Pruned(count, _upto(count, rows[0][2], rows[-1][2]) if len(rows) == asked[2] else None)


async def _remove_of(pool: Pool, account: int, shipments: Sequence[int]) -> int:
    gone = await pool.transaction(lambda c, _: registrations.delete(c, account, shipments))
    return gone.count(True)


def _upto(count: int, first: int, last: int) -> datetime:
    """Where to go on. Where all are of one moment and cannot go, the next look is past it."""
    return moment(last) if count or first < last else moment(last) + _NEXT


async def take_duty(c: Connection, duty: str, every: timedelta, now: datetime) -> bool:
    """Whether it is ours for this time. A clock that went back does not put it off."""
    done: str = await c.execute(_TAKE_DUTY, duty, str(micros(now)), every // _NEXT)
    return done.endswith(" 1")
