"""Registrations inside one transaction: made, and changed by their owner."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from parcelwire.domain.errors import CallerError
from parcelwire.domain.quota import REGISTER
from parcelwire.domain.shipment import Action, Phase, Shipment, step
from parcelwire.ports import Changed, Wanted
from parcelwire.store.rows import (
    MUTABLE,
    SHIPMENT,
    micros,
    micros_or_none,
    mutable_values,
    shipment_of,
    wish_text,
)
from parcelwire.store.sqlite import pushes, quota

COLUMNS = ", ".join(SHIPMENT)
UPDATE = f"UPDATE shipment SET {', '.join(f'{name} = ?' for name in MUTABLE)}, lease = NULL"

_REASON_FULL = "the plan has {total} a period"
_UNCHANGED = tuple(name for name in MUTABLE if name != "refresh_at")  # a claim moves refresh_at
_CHANGE = f"{UPDATE} WHERE id = ? AND {' AND '.join(f'{name} IS ?' for name in _UNCHANGED)}"
_INSERT = """
INSERT INTO shipment (account, number, carrier, code, origin, phase, since, wish, registered_at, changed_at,
  refresh_at, lane)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def register(
    c: sqlite3.Connection, account: int, wanted: Sequence[Wanted], now: datetime
) -> list[Shipment | CallerError]:
    """Insert and charge in the order given."""
    usage = quota.usage(c, account, now)
    left = usage.total - usage.used
    left_today = usage.max_daily - usage.today if usage.max_daily else len(wanted)
    answers: list[Shipment | CallerError] = []
    charged: list[int] = []
    for item in wanted:
        found = _by_identity(c, account, item)
        try:
            step(found.phase if found else None, Action.REGISTER)
        except CallerError as error:
            answers.append(CallerError(error.reason, number=item.number))
            continue
        if len(charged) >= left_today:
            answers.append(CallerError("daily_limit", limit=str(usage.max_daily)))
        elif len(charged) * REGISTER + REGISTER > left:
            answers.append(CallerError("quota", detail=_REASON_FULL.format(total=usage.total)))
        else:
            shipment = (
                _promote(c, found, item, now) if found else _insert(c, account, item, Phase.TRACKING, now)
            )
            charged.append(shipment.id)
            answers.append(shipment)
    if charged:
        quota.book_registrations(c, account, charged, now)
    return answers


def _by_identity(c: sqlite3.Connection, account: int, wanted: Wanted) -> Shipment | None:
    row = c.execute(
        f"SELECT {COLUMNS} FROM shipment WHERE account = ? AND number = ? AND carrier = ?",
        (account, wanted.number, wanted.carrier),
    ).fetchone()
    return shipment_of(row) if row else None


def _insert(c: sqlite3.Connection, account: int, wanted: Wanted, phase: Phase, now: datetime) -> Shipment:
    tracking = phase is Phase.TRACKING
    at = now if tracking else None
    cursor = c.execute(
        _INSERT,
        (
            account, wanted.number, wanted.carrier, wanted.code, wanted.origin, phase.value, micros(now),
            wish_text(wanted.wish), micros_or_none(at), micros_or_none(at), micros_or_none(at), wanted.lane,
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # noqa: S101
    return Shipment(
        cursor.lastrowid, account, wanted.number, wanted.carrier, wanted.code, wanted.origin, phase, now,
        wanted.wish, registered_at=at, changed_at=at, refresh_at=at, lane=wanted.lane,
    )  # fmt: skip


def _promote(c: sqlite3.Connection, found: Shipment, wanted: Wanted, now: datetime) -> Shipment:
    """A number that was only looked up becomes a registration."""
    shipment = replace(
        found, phase=Phase.TRACKING, code=wanted.code, origin=wanted.origin, wish=wanted.wish,
        lane=wanted.lane, registered_at=now, changed_at=now, refresh_at=now,
    )  # fmt: skip
    c.execute(f"{UPDATE} WHERE id = ?", (*mutable_values(shipment), shipment.id))
    return shipment


def look_up(c: sqlite3.Connection, account: int, wanted: Wanted, now: datetime) -> Shipment:
    """What is there, or a new row in phase looked_up."""
    return _by_identity(c, account, wanted) or _insert(c, account, wanted, Phase.LOOKED_UP, now)


def change(c: sqlite3.Connection, instance: str, change: Changed, now: datetime) -> bool:
    """Save it with its pushes; False when the shipment was another by now."""
    shipment = change.shipment
    before = dict(zip(MUTABLE, mutable_values(change.before), strict=True))
    changed = c.execute(
        _CHANGE,
        (*mutable_values(shipment), shipment.id, *(before[name] for name in _UNCHANGED)),
    ).rowcount
    if changed:
        pushes.enqueue(c, instance, shipment, change.pushes, now)
    return bool(changed)
