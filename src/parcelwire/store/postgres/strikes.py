"""Strikes against work that harms the process: noted, forgotten, and what they park."""

from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain.poison import PARKED_AT, TROUBLE, Piece, Strike
from parcelwire.domain.push import PushState
from parcelwire.domain.queue import alone
from parcelwire.ports import Parked
from parcelwire.store.postgres import endpoints
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.postgres.pushes import let_next_go
from parcelwire.store.rows import micros, moment

_STRIKE = """
INSERT INTO strike AS k (shipment, endpoint, version, weight, at, why) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (shipment, endpoint, version)
DO UPDATE SET weight = k.weight + excluded.weight, at = excluded.at, why = excluded.why
RETURNING weight
"""
_PARK_PUSH = f"""
WITH dead AS (
  UPDATE push SET state = '{PushState.DEAD.value}', send_at = NULL, lease = NULL, attempts = attempts + 1,
    done_at = $1
  WHERE shipment = $2 AND endpoint = $3 AND version = $4 AND state = 'pending' RETURNING account, attempts
)
INSERT INTO push_attempt (shipment, endpoint, version, n, account, at, ms, detail, body_start)
SELECT $2, $3, $4, attempts, account, $1, 0, $5, '' FROM dead RETURNING account
"""
_FORGET = """
DELETE FROM strike WHERE (shipment, endpoint, version) IN (
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
)
"""
# One that its owner stopped, or let be tracked anew, is not parked any more.
_PARKED = f"""
SELECT s.id, s.number, s.carrier, k.at, k.why FROM strike AS k JOIN shipment AS s ON s.id = k.shipment
WHERE k.endpoint = 0 AND k.weight >= {PARKED_AT} AND s.phase = 'tracking' AND s.refresh_at IS NULL
  AND ($1::bigint IS NULL OR s.account = $1) ORDER BY s.id
"""


async def add(c: Connection, work: Sequence[Piece], strike: Strike, why: str, now: datetime) -> list[Piece]:
    """Note a strike; answers what is parked by it. Several: each is asked about alone from now on."""
    if len(work) > 1:
        for one in sorted(work):  # the same order for all, so that nobody waits in a circle
            await _ask_alone(c, one.shipment)
        return []
    parked = []
    for one in work:
        weight = await c.fetchval(_STRIKE, *one, strike.value, micros(now), why)
        if weight >= PARKED_AT:
            await (_park_push if one.endpoint else _park_shipment)(c, one, why, now)
            parked.append(one)
    return parked


async def _park_shipment(c: Connection, one: Piece, _why: str, _now: datetime) -> None:
    await c.execute(
        """UPDATE shipment SET lease = NULL, refresh_at = NULL, trouble = $1
        WHERE id = $2 AND phase = 'tracking'""",
        TROUBLE, one.shipment,
    )  # fmt: skip


async def _park_push(c: Connection, one: Piece, why: str, now: datetime) -> None:
    """Given up, like one whose schedule is used up; the next version of the shipment may go."""
    await endpoints.hold(c, [one.endpoint])
    account = await c.fetchval(
        _PARK_PUSH, micros(now), one.shipment, one.endpoint, one.version, f"parked: {why}"
    )
    if account is not None:
        await let_next_go(c, [(one.shipment, one.endpoint, account)])
    await forget(c, [one])  # it can be sent again like any other that was given up


async def _ask_alone(c: Connection, shipment: int) -> None:
    lane = await c.fetchval("SELECT lane FROM shipment WHERE id = $1 FOR NO KEY UPDATE", shipment)
    if lane is not None:
        await c.execute("UPDATE shipment SET lane = $1 WHERE id = $2", alone(lane), shipment)


async def forget(c: Connection, work: Sequence[Piece]) -> None:
    """Nothing is noted against these any more."""
    await c.execute(
        _FORGET, [one.shipment for one in work], [one.endpoint for one in work], [one.version for one in work]
    )


async def suspects(c: Connection) -> set[Piece]:
    """Everything that something is noted against, and that is not parked."""
    rows = await c.fetch("SELECT shipment, endpoint, version FROM strike WHERE weight < $1", PARKED_AT)
    return {Piece(*row) for row in rows}


async def parked(c: Connection, account: int | None) -> list[Parked]:
    """Parked shipments of an account, or of all."""
    rows = await c.fetch(_PARKED, account)
    return [Parked(row[0], row[1], row[2], moment(row[3]), row[4]) for row in rows]


async def release(c: Connection, account: int, shipments: Sequence[int], now: datetime) -> int:
    """Parked ones of these are due now, with nothing noted against them; answers how many."""
    known = sorted({one.shipment for one in await parked(c, account)}.intersection(shipments))
    await c.execute(
        "UPDATE shipment SET refresh_at = $1, trouble = NULL WHERE id = ANY($2) AND account = $3",
        micros(now), known, account,
    )  # fmt: skip
    await forget(c, [Piece(shipment) for shipment in known])
    return len(known)
