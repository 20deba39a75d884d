"""Registrations inside one transaction: made, and changed by their owner."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from parcelwire.domain.account import Usage
from parcelwire.domain.errors import CallerError
from parcelwire.domain.quota import REGISTER
from parcelwire.domain.shipment import LIFE_CYCLE, Action, Phase, Shipment
from parcelwire.ports import Changed, Wanted
from parcelwire.store.rows import (
    MUTABLE,
    SHIPMENT,
    micros,
    mutable_values,
    shipment_of,
    wish_text,
)
from parcelwire.store.sqlite import pushes, quota
from parcelwire.store.sqlite.inserts import insert
from parcelwire.store.sqlite.learned import learn

COLUMNS = ", ".join(SHIPMENT)


def update(names: Sequence[str]) -> str:
    """The beginning of a statement that sets columns, and lets go of the shipment."""
    return f"UPDATE shipment SET {', '.join(f'{name} = ?' for name in names)}, lease = NULL"


_REASON_FULL = "the plan has {total} a period"
_UNCHANGED = tuple(name for name in MUTABLE if name != "refresh_at")  # a claim moves refresh_at
_CHANGE = f"{update(MUTABLE)} WHERE id = ? AND {' AND '.join(f'{name} IS ?' for name in _UNCHANGED)}"
_KNOWN = """
SELECT number, carrier, id, phase FROM shipment
WHERE account = ? AND number IN (SELECT value FROM json_each(?))
"""
_ONE = f"SELECT {COLUMNS} FROM shipment WHERE account = ? AND number = ? AND carrier = ?"
_INSERT = """
INSERT INTO shipment (account, phase, since, registered_at, changed_at, refresh_at, number, carrier, code,
  origin, wish, lane)
"""
_VALUES = "(?1, ?2, ?3, ?4, ?4, ?4, ?, ?, ?, ?, ?, ?)"
_PROMOTE = """
UPDATE shipment SET phase = 'tracking', code = ?1, origin = ?2, wish = ?3, lane = ?4, registered_at = ?5,
  changed_at = ?5, refresh_at = ?5, digest = NULL, lease = NULL WHERE id = ?6
"""
_SAME = "SELECT 1 FROM shipment WHERE account = ? AND number = ? AND carrier = ? AND id <> ?"
_FORGET_LOOKED_UP = """
DELETE FROM shipment WHERE account = ? AND number = ? AND carrier = ? AND id <> ? AND phase = 'looked_up'
"""

_Key = tuple[str, str]  # number and carrier: with the account they name a shipment


class _Known(NamedTuple):
    """A shipment that there is."""

    id: int
    phase: Phase


def register(
    c: sqlite3.Connection, account: int, wanted: Sequence[Wanted], now: datetime
) -> list[int | CallerError]:
    """Insert and charge in the order given."""
    known = _known(c, account, wanted)
    refusals = _refusals(quota.usage(c, account, now), known, wanted)
    chosen = [item for item, refused in zip(wanted, refusals, strict=True) if refused is None]
    founds = [known.get(_key(item)) for item in chosen]
    new = [item for item, found in zip(chosen, founds, strict=True) if found is None]
    inserted = iter(_insert(c, account, new, Phase.TRACKING, now))
    ids = [
        next(inserted) if found is None else _promote(c, found.id, item, now)
        for item, found in zip(chosen, founds, strict=True)
    ]
    if ids:
        quota.book_registrations(c, account, ids, now)
    made = iter(ids)
    return [refused or next(made) for refused in refusals]


def _refusals(
    usage: Usage, known: Mapping[_Key, _Known], wanted: Sequence[Wanted]
) -> list[CallerError | None]:
    """Why each is refused; None for those to register. ``known``: what is stored of their numbers."""
    phases = {key: found.phase for key, found in known.items()}
    left = (usage.total - usage.used) // REGISTER
    left_today = usage.max_daily - usage.today if usage.max_daily else len(wanted)
    refusals: list[CallerError | None] = []
    made = 0
    for item in wanted:
        key = _key(item)
        after = LIFE_CYCLE[phases.get(key), Action.REGISTER]
        if not isinstance(after, Phase):
            refusals.append(CallerError(after, number=item.number))
        elif made >= left_today:
            refusals.append(CallerError("daily_limit", limit=str(usage.max_daily)))
        elif made >= left:
            refusals.append(CallerError("quota", detail=_REASON_FULL.format(total=usage.total)))
        else:
            phases[key] = after
            made += 1
            refusals.append(None)
    return refusals


def _key(item: Wanted) -> _Key:
    return item.number, item.carrier


def _known(c: sqlite3.Connection, account: int, wanted: Sequence[Wanted]) -> dict[_Key, _Known]:
    """The shipments of these numbers that there are."""
    rows = c.execute(_KNOWN, (account, json.dumps([item.number for item in wanted])))
    return {(number, carrier): _Known(found, Phase(phase)) for number, carrier, found, phase in rows}


def _insert(
    c: sqlite3.Connection, account: int, wanted: Sequence[Wanted], phase: Phase, now: datetime
) -> range:
    """The ids of the new rows."""
    if not wanted:
        return range(0)
    begun = micros(now) if phase is Phase.TRACKING else None
    insert(
        c,
        _INSERT,
        _VALUES,
        (account, phase.value, micros(now), begun),
        [
            (item.number, item.carrier, item.code, item.origin, wish_text(item.wish), item.lane)
            for item in wanted
        ],
    )
    # Nobody else writes meanwhile: AUTOINCREMENT has counted on by one for each row.
    last: int = c.execute("SELECT last_insert_rowid()").fetchone()[0]
    return range(last - len(wanted) + 1, last + 1)


def _promote(c: sqlite3.Connection, shipment: int, wanted: Wanted, now: datetime) -> int:
    """A number that was only looked up becomes a registration: nothing of it has been pushed yet."""
    values = wanted.code, wanted.origin, wish_text(wanted.wish), wanted.lane, micros(now), shipment
    c.execute(_PROMOTE, values)
    return shipment


def look_up(c: sqlite3.Connection, account: int, wanted: Wanted, now: datetime) -> Shipment:
    """What is there, or a new row in phase looked_up."""
    one = (account, wanted.number, wanted.carrier)
    row = c.execute(_ONE, one).fetchone()
    if row is None:
        _insert(c, account, [wanted], Phase.LOOKED_UP, now)
        row = c.execute(_ONE, one).fetchone()
    return shipment_of(row)


def change(c: sqlite3.Connection, instance: str, change: Changed, now: datetime) -> bool:
    """Save it with its pushes; False when the shipment was another by now, or has become a second one."""
    shipment = change.shipment
    if change.forgets and not make_room(c, shipment):
        return False
    before = dict(zip(MUTABLE, mutable_values(change.before), strict=True))
    changed = c.execute(
        _CHANGE,
        (*mutable_values(shipment), shipment.id, *(before[name] for name in _UNCHANGED)),
    ).rowcount
    if changed and change.forgets:
        c.execute("DELETE FROM document WHERE shipment = ?", (shipment.id,))
        c.execute("DELETE FROM source_report WHERE shipment = ?", (shipment.id,))
    if changed:
        learn(c, shipment.account, change.counts, now)
        pushes.enqueue(c, instance, [(shipment, push, now) for push in change.pushes])
    return bool(changed)


def make_room(c: sqlite3.Connection, shipment: Shipment) -> bool:
    """For a shipment with another carrier: one that was only looked up goes; False when one is registered."""
    c.execute(_FORGET_LOOKED_UP, (shipment.account, shipment.number, shipment.carrier, shipment.id))
    found = c.execute(_SAME, (shipment.account, shipment.number, shipment.carrier, shipment.id))
    return found.fetchone() is None


def delete(c: sqlite3.Connection, account: int, shipment: int) -> bool:
    """With all that is known of it, and what was still to be pushed: the database sees to that."""
    found = c.execute("DELETE FROM shipment WHERE id = ? AND account = ?", (shipment, account)).rowcount
    return bool(found)
