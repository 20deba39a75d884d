"""Quota inside one transaction: the ledger, the counter, and what is held for questions under way.

Who charges an account holds its row until the commit, so that a quota is exact whatever the processes.
"""

from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain import quota
from parcelwire.domain.account import Usage
from parcelwire.ports import Charge
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import micros

_LOCK = "SELECT 1 FROM account WHERE id = $1 FOR NO KEY UPDATE"
_USAGE = """
SELECT a.quota_total, coalesce(q.units, 0), CASE WHEN a.day = $2 THEN a.registered_today ELSE 0 END,
  a.max_daily
FROM account a LEFT JOIN quota_used q ON q.account = a.id AND q.period = $3 WHERE a.id = $1
"""
# The parts of a statement that books ``entry (kind, amount, reference)``: $1 account, $2 period, $3 now.
BOOK = """
ledger AS (
  INSERT INTO quota_entry (account, period, at, kind, amount, reference)
  SELECT $1::bigint, $2::text, $3::bigint, kind, amount, reference FROM entry
),
used AS (
  INSERT INTO quota_used (account, period, units)
  SELECT $1::bigint, $2::text, sum(amount) FROM entry HAVING count(*) > 0
  ON CONFLICT (account, period) DO UPDATE SET units = quota_used.units + excluded.units
)
"""
_CHARGE = f"""
WITH entry AS (
  SELECT 'realtime' AS kind, amount, reference, held
  FROM unnest($4::bigint[], $5::text[], $6::boolean[]) AS given (amount, reference, held)
), {BOOK}
INSERT INTO quota_hold (account, reference, amount, at)
SELECT $1::bigint, reference, amount, $3::bigint FROM entry WHERE held
"""
_TRANSLATION = f"""
WITH entry AS (SELECT 'translate' AS kind, {quota.TRANSLATION} AS amount, $4::text AS reference), {BOOK}
SELECT 1
"""
# The refund belongs to the period of the charge.
_SETTLE = """
WITH gone AS (
  DELETE FROM quota_hold WHERE account = $1 AND reference = $2 RETURNING amount, at
), entry AS (
  SELECT to_char(to_timestamp(at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM') AS period,
    $3::bigint - amount AS amount
  FROM gone WHERE amount <> $3
), ledger AS (
  INSERT INTO quota_entry (account, period, at, kind, amount, reference)
  SELECT $1, period, $4, 'refund', amount, $2 FROM entry
), used AS (
  INSERT INTO quota_used (account, period, units) SELECT $1, period, amount FROM entry
  ON CONFLICT (account, period) DO UPDATE SET units = quota_used.units + excluded.units
)
SELECT count(*) FROM gone
"""


async def usage(c: Connection, account: int, now: datetime) -> Usage:
    """Quota of the period and registrations of the day that ``now`` belongs to."""
    return Usage(*await c.fetchrow(_USAGE, account, now.date().isoformat(), quota.period(now)))


async def locked_usage(c: Connection, account: int, now: datetime) -> Usage:
    """The same, and nobody else charges the account until the end of the transaction."""
    await lock(c, account)
    return await usage(c, account, now)


async def lock(c: Connection, account: int) -> None:
    """A statement by itself: those that follow see what was committed meanwhile."""
    await c.fetchval(_LOCK, account)


async def pay_translation(c: Connection, account: int, shipment: int, now: datetime) -> bool:
    """Whether it is paid, now or before (by an earlier try, too)."""
    before = await locked_usage(c, account, now)
    paid = await c.fetchval(
        "SELECT true FROM quota_entry WHERE account = $1 AND kind = 'translate' AND reference = $2",
        account,
        str(shipment),
    )
    if paid:
        return True
    if before.total - before.used < quota.TRANSLATION:
        return False
    await c.execute(_TRANSLATION, account, quota.period(now), micros(now), str(shipment))
    return True


async def charge(
    c: Connection, account: int, charges: Sequence[Charge], now: datetime, *, again: bool
) -> list[bool]:
    """Charge in the order given, as far as the quota goes. ``again``: some may be charged already."""
    before = await locked_usage(c, account, now)
    left = before.total - before.used
    known = await _charged(c, account, charges) if again else frozenset()
    made: list[Charge] = []
    answers: list[bool] = []
    for one in charges:
        fits = one.reference not in known and one.amount <= left
        answers.append(fits or one.reference in known)
        if fits:
            left -= one.amount
            made.append(one)
    await c.execute(
        _CHARGE,
        account, quota.period(now), micros(now),
        [one.amount for one in made], [one.reference for one in made], [one.held for one in made],
    )  # fmt: skip
    return answers


async def _charged(c: Connection, account: int, charges: Sequence[Charge]) -> frozenset[str]:
    rows = await c.fetch(
        "SELECT reference FROM quota_entry WHERE account = $1 AND kind = 'realtime' AND reference = ANY($2)",
        account,
        [one.reference for one in charges],
    )
    return frozenset(row[0] for row in rows)


async def settle(c: Connection, account: int, reference: str, amount: int, now: datetime) -> int:
    """Keep ``amount`` of what is held and give the rest back; answers how many holds that ended: 1 or 0."""
    ended: int = await c.fetchval(_SETTLE, account, reference, amount, micros(now))
    return ended


async def held_outside(c: Connection, before: datetime, later: datetime) -> list[tuple[int, str]]:
    """Account and reference of what is held since earlier than ``before``, or from later on."""
    rows = await c.fetch(
        "SELECT account, reference FROM quota_hold WHERE at < $1 OR at > $2", micros(before), micros(later)
    )
    return [(row[0], row[1]) for row in rows]
