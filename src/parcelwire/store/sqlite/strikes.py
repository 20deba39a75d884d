"""Strikes against work that harms the process: noted, forgotten, and what they park."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain.poison import PARKED_AT, TROUBLE, Piece, Strike
from parcelwire.domain.push import PushState
from parcelwire.domain.queue import alone
from parcelwire.ports import Parked
from parcelwire.store.rows import micros, moment
from parcelwire.store.sqlite import endpoints, pushes

_STRIKE = """
INSERT INTO strike (shipment, endpoint, version, weight, at, why) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET weight = weight + excluded.weight, at = excluded.at, why = excluded.why
RETURNING weight
"""
_PARK_PUSH = f"""
UPDATE push SET state = '{PushState.DEAD.value}', send_at = NULL, lease = NULL, attempts = attempts + 1,
  done_at = ?
WHERE endpoint = ? AND shipment = ? AND version = ? AND state = 'pending' RETURNING seq, attempts
"""
_LOG_PUSH = "INSERT INTO push_attempt (push, n, at, ms, detail, body_start) VALUES (?, ?, ?, 0, ?, x'')"
_FORGET = """
DELETE FROM strike WHERE (shipment, endpoint, version) IN (
  SELECT value->>0, value->>1, value->>2 FROM json_each(?)
)
"""
# One that its owner stopped, or let be tracked anew, is not parked any more.
_PARKED = f"""
SELECT s.id, s.number, s.carrier, k.at, k.why FROM strike k JOIN shipment s ON s.id = k.shipment
WHERE k.endpoint = 0 AND k.weight >= {PARKED_AT} AND s.phase = 'tracking' AND s.refresh_at IS NULL
  AND (?1 IS NULL OR s.account = ?1) ORDER BY s.id
"""


def add(c: sqlite3.Connection, work: Sequence[Piece], strike: Strike, why: str, now: datetime) -> list[Piece]:
    """Note a strike; answers what is parked by it. Several: each is asked about alone from now on."""
    if len(work) > 1:
        for one in work:
            _ask_alone(c, one.shipment)
        return []
    parked = []
    for one in work:
        (weight,) = c.execute(_STRIKE, (*one, strike.value, micros(now), why)).fetchone()
        if weight >= PARKED_AT:
            (_park_push if one.endpoint else _park_shipment)(c, one, why, now)
            parked.append(one)
    return parked


def _park_shipment(c: sqlite3.Connection, one: Piece, _why: str, _now: datetime) -> None:
    c.execute(
        """UPDATE shipment SET lease = NULL, refresh_at = NULL, trouble = ?
        WHERE id = ? AND phase = 'tracking'""",
        (TROUBLE, one.shipment),
    )


def _park_push(c: sqlite3.Connection, one: Piece, why: str, now: datetime) -> None:
    """Given up, like one whose schedule is used up; the next version of the shipment may go."""
    row = c.execute(_PARK_PUSH, (micros(now), one.endpoint, one.shipment, one.version)).fetchone()
    if row:
        c.execute(_LOG_PUSH, (*row, micros(now), f"parked: {why}"))
        pushes.let_next_go(c, [(one.endpoint, one.shipment)])
        endpoints.plan(c, [one.endpoint], now)
    forget(c, [one])  # it can be sent again like any other that was given up


def _ask_alone(c: sqlite3.Connection, shipment: int) -> None:
    row = c.execute("SELECT lane FROM shipment WHERE id = ?", (shipment,)).fetchone()
    if row:
        c.execute("UPDATE shipment SET lane = ? WHERE id = ?", (alone(row[0]), shipment))


def forget(c: sqlite3.Connection, work: Sequence[Piece]) -> None:
    """Nothing is noted against these any more."""
    c.execute(_FORGET, (json.dumps(work),))


def suspects(c: sqlite3.Connection) -> set[Piece]:
    """Everything that something is noted against, and that is not parked."""
    rows = c.execute("SELECT shipment, endpoint, version FROM strike WHERE weight < ?", (PARKED_AT,))
    return {Piece(*row) for row in rows}


def parked(c: sqlite3.Connection, account: int | None) -> list[Parked]:
    """Parked shipments of an account, or of all."""
    rows = c.execute(_PARKED, (account,)).fetchall()
    return [Parked(row[0], row[1], row[2], moment(row[3]), row[4]) for row in rows]


def release(c: sqlite3.Connection, account: int, shipments: Sequence[int], now: datetime) -> int:
    """Parked ones of these are due now, with nothing noted against them; answers how many."""
    known = {one.shipment for one in parked(c, account)}.intersection(shipments)
    for shipment in known:
        c.execute("UPDATE shipment SET refresh_at = ?, trouble = NULL WHERE id = ?", (micros(now), shipment))
    forget(c, [Piece(shipment) for shipment in known])
    return len(known)
