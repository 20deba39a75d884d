"""Quota inside one transaction: the ledger, the counter, and what is held for questions under way."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain import quota
from parcelwire.domain.account import Usage
from parcelwire.ports import Charge
from parcelwire.store.rows import micros, moment


def usage(c: sqlite3.Connection, account: int, now: datetime) -> Usage:
    """Quota of the period and registrations of the day that ``now`` belongs to."""
    total, used, period, day, today, max_daily = c.execute(
        """SELECT quota_total, quota_used, period, day, registered_today, max_daily FROM account
        WHERE id = ?""",
        (account,),
    ).fetchone()
    return Usage(
        total,
        used if period == quota.period(now) else 0,
        today if day == now.date().isoformat() else 0,
        max_daily,
    )


def book(
    c: sqlite3.Connection,
    account: int,
    entries: Sequence[tuple[str, int, str]],
    now: datetime,
    registered: int = 0,
) -> None:
    """Ledger rows (kind, amount, reference) and the counter, together."""
    period, day = quota.period(now), now.date().isoformat()
    c.executemany(
        "INSERT INTO quota_entry (account, period, at, kind, amount, reference) VALUES (?, ?, ?, ?, ?, ?)",
        [(account, period, micros(now), kind, amount, reference) for kind, amount, reference in entries],
    )
    c.execute(
        """UPDATE account SET quota_used = iif(period = ?1, quota_used, 0) + ?2, period = ?1,
        registered_today = iif(day = ?3, registered_today, 0) + ?4, day = ?3 WHERE id = ?5""",
        (period, sum(amount for _, amount, _ in entries), day, registered, account),
    )


def charge(c: sqlite3.Connection, account: int, charges: Sequence[Charge], now: datetime) -> list[bool]:
    """Charge in the order given, as far as the quota goes."""
    before = usage(c, account, now)
    left = before.total - before.used
    made: list[Charge] = []
    answers: list[bool] = []
    for one in charges:
        answers.append(one.amount <= left)
        if one.amount <= left:
            left -= one.amount
            made.append(one)
    book(c, account, [("realtime", one.amount, one.reference) for one in made], now)
    c.executemany(
        "INSERT INTO quota_hold (account, reference, amount, at) VALUES (?, ?, ?, ?)",
        [(account, one.reference, one.amount, micros(now)) for one in made if one.held],
    )
    return answers


def settle(c: sqlite3.Connection, account: int, reference: str, amount: int, now: datetime) -> None:
    """Keep ``amount`` of what is held and give the rest back; nothing when nothing is held."""
    row = c.execute(
        "DELETE FROM quota_hold WHERE account = ? AND reference = ? RETURNING amount, at",
        (account, reference),
    ).fetchone()
    if row is None or row[0] == amount:
        return
    # What is given back belongs to the period in which it was charged.
    then = moment(row[1])
    if quota.period(then) == quota.period(now):
        book(c, account, [("refund", amount - row[0], reference)], now)
    else:
        c.execute(
            """INSERT INTO quota_entry (account, period, at, kind, amount, reference)
            VALUES (?, ?, ?, 'refund', ?, ?)""",
            (account, quota.period(then), micros(now), amount - row[0], reference),
        )


def release_holds(c: sqlite3.Connection, before: datetime, now: datetime) -> int:
    """Give back everything held since earlier than ``before``; answers how many."""
    held = c.execute("SELECT account, reference FROM quota_hold WHERE at < ?", (micros(before),)).fetchall()
    for account, reference in held:
        settle(c, account, reference, 0, now)
    return len(held)
