"""Quota inside one transaction: the ledger, the counter, and what is held for questions under way."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain import quota
from parcelwire.domain.account import Usage
from parcelwire.ports import Charge
from parcelwire.store.rows import micros, moment
from parcelwire.store.sqlite.inserts import insert


def usage(c: sqlite3.Connection, account: int, now: datetime) -> Usage:
    """Quota of the period and registrations of the day that ``now`` belongs to."""
    row = c.execute(
        """SELECT a.quota_total, coalesce(q.units, 0), iif(a.day = ?, a.registered_today, 0), a.max_daily
        FROM account a LEFT JOIN quota_used q ON q.account = a.id AND q.period = ? WHERE a.id = ?""",
        (now.date().isoformat(), quota.period(now), account),
    ).fetchone()
    return Usage(*row)


def book(
    c: sqlite3.Connection,
    account: int,
    period: str,
    entries: Sequence[tuple[str, int, str]],
    now: datetime,
) -> None:
    """Ledger rows (kind, amount, reference) and the counter of a period, together."""
    insert(
        c,
        "INSERT INTO quota_entry (account, period, at, kind, amount, reference)",
        "(?1, ?2, ?3, ?, ?, ?)",
        (account, period, micros(now)),
        entries,
    )
    c.execute(
        """INSERT INTO quota_used (account, period, units) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET units = units + excluded.units""",
        (account, period, sum(amount for _, amount, _ in entries)),
    )


def book_registrations(c: sqlite3.Connection, account: int, shipments: Sequence[int], now: datetime) -> None:
    """Charge new registrations, and count them against the daily limit."""
    entries = [("register", quota.REGISTER, str(shipment)) for shipment in shipments]
    book(c, account, quota.period(now), entries, now)
    c.execute(
        """UPDATE account SET registered_today = iif(day = ?1, registered_today, 0) + ?2, day = ?1
        WHERE id = ?3""",
        (now.date().isoformat(), len(shipments), account),
    )


def pay_translation(c: sqlite3.Connection, account: int, shipment: int, now: datetime) -> bool:
    """Whether it is paid, now or before."""
    paid = c.execute(
        "SELECT 1 FROM quota_entry WHERE account = ? AND kind = 'translate' AND reference = ?",
        (account, str(shipment)),
    ).fetchone()
    if paid is None:
        before = usage(c, account, now)
        if before.total - before.used < quota.TRANSLATION:
            return False
        book(c, account, quota.period(now), [("translate", quota.TRANSLATION, str(shipment))], now)
    return True


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
    entries = [("realtime", one.amount, one.reference) for one in made]
    book(c, account, quota.period(now), entries, now)
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
    if row is not None and row[0] != amount:
        charged_in = quota.period(moment(row[1]))  # what is given back belongs there
        book(c, account, charged_in, [("refund", amount - row[0], reference)], now)


def release_holds(c: sqlite3.Connection, before: datetime, now: datetime) -> int:
    """Give back everything held since earlier than ``before``, or in the future; answers how many."""
    held = c.execute(
        "SELECT account, reference FROM quota_hold WHERE at < ? OR at > ?",
        (micros(before), micros(now + (now - before))),
    ).fetchall()
    for account, reference in held:
        settle(c, account, reference, 0, now)
    return len(held)
