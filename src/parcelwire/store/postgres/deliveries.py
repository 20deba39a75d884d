"""Pushes that were made: sent again, counted, shown. Each endpoint's changes of a shipment stay in order."""

from collections.abc import Sequence
from typing import Any

from parcelwire.domain.push import Chosen, PushEvent, PushRecord, PushState, Try
from parcelwire.store.postgres import endpoints
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.postgres.pushes import Chain, columns_of, let_next_go
from parcelwire.store.rows import micros_or_none, moment, moment_or_none

_CHOSEN = """
FROM push AS p JOIN change AS c ON c.account = p.account AND c.id = p.change
JOIN shipment AS s ON s.id = p.shipment AND s.account = p.account
WHERE c.account = $1 AND {where}
"""
_LOCK = f"""
SELECT id FROM shipment WHERE account = $1 AND id IN (SELECT p.shipment {_CHOSEN} AND p.state <> 'pending')
ORDER BY id FOR NO KEY UPDATE
"""
_AGAIN = f"""
UPDATE push AS u SET state = 'pending', send_at = NULL, done_at = NULL, tries = 0
WHERE (u.shipment, u.endpoint, u.version, u.account) IN (
  SELECT p.shipment, p.endpoint, p.version, p.account {_CHOSEN} AND p.state <> 'pending'
) RETURNING u.shipment, u.endpoint, u.account
"""
# Where nothing is under way: else its end lets the oldest go.
_STOP_HEADS = """
WITH idle AS (
  SELECT given.* FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS given (shipment, endpoint, account)
  WHERE NOT EXISTS (
    SELECT FROM push AS p WHERE p.shipment = given.shipment AND p.endpoint = given.endpoint
      AND p.account = given.account AND p.state = 'pending' AND p.lease IS NOT NULL
  )
), stopped AS (
  UPDATE push AS p SET send_at = NULL FROM idle
  WHERE p.shipment = idle.shipment AND p.endpoint = idle.endpoint AND p.account = idle.account
    AND p.send_at IS NOT NULL
)
SELECT shipment, endpoint, account FROM idle
"""
_NEWEST = """
SELECT DISTINCT ON (p.shipment, p.endpoint) p.id, p.shipment
FROM push AS p JOIN endpoint AS e ON e.id = p.endpoint AND e.account = p.account
WHERE p.account = $1 AND p.shipment = ANY($2) ORDER BY p.shipment, p.endpoint, p.version DESC
"""
_HURRY = """
UPDATE push SET send_at = created_at
WHERE account = $1 AND id = ANY($2) AND send_at IS NOT NULL AND lease IS NULL
"""
_COUNTS = """
SELECT p.endpoint, p.state, count(*) FROM endpoint AS e JOIN push AS p ON p.endpoint = e.id
WHERE e.account = $1 AND p.state = 'pending' GROUP BY p.endpoint, p.state
UNION ALL
SELECT p.endpoint, p.state, count(*) FROM endpoint AS e JOIN push AS p ON p.endpoint = e.id
WHERE e.account = $1 AND p.state = 'dead' GROUP BY p.endpoint, p.state
"""
_LOG = f"""
SELECT p.id, p.endpoint, s.number, s.carrier, p.event, p.version, p.state, p.created_at, p.send_at,
  p.attempts, p.shipment
{_CHOSEN} ORDER BY p.change DESC, p.endpoint DESC LIMIT ${{last}}
"""
_ATTEMPTS = """
SELECT a.shipment, a.endpoint, a.version, a.n, a.at, a.http_status, a.ms, a.detail, a.body_start
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS given (shipment, endpoint, version)
JOIN push_attempt AS a
  ON a.shipment = given.shipment AND a.endpoint = given.endpoint AND a.version = given.version
ORDER BY a.n
"""


async def replay(c: Connection, account: int, chosen: Chosen) -> int:
    """What is done and chosen is pending again."""
    await endpoints.hold_all_of(c, account)
    where, values = _where(chosen)
    await c.fetch(_LOCK.format(where=where), account, *values)
    rows = await c.fetch(_AGAIN.format(where=where), account, *values)
    chains: set[Chain] = {(row[0], row[1], row[2]) for row in rows}
    if chains:
        idle = await c.fetch(_STOP_HEADS, *columns_of(chains))
        await let_next_go(c, [(row[0], row[1], row[2]) for row in idle])
    return len(rows)


async def replay_newest(c: Connection, account: int, shipments: Sequence[int]) -> list[bool]:
    """The newest push of each shipment, for each endpoint that had one, is due again; False: none is kept."""
    await endpoints.hold_all_of(c, account)
    rows = await c.fetch(_NEWEST, account, list(shipments))
    ids = [row[0] for row in rows]
    await replay(c, account, Chosen(ids=tuple(ids)))
    await c.execute(_HURRY, account, ids)
    found = {row[1] for row in rows}
    return [shipment in found for shipment in shipments]


async def counts(c: Connection, account: int) -> dict[int, dict[PushState, int]]:
    """Pending and dead pushes by endpoint."""
    found: dict[int, dict[PushState, int]] = {}
    for endpoint, state, count in await c.fetch(_COUNTS, account):
        found.setdefault(endpoint, {})[PushState(state)] = count
    return found


async def records(c: Connection, account: int, chosen: Chosen, most: int) -> list[PushRecord]:
    """The newest pushes and their attempts."""
    where, values = _where(chosen)
    rows = await c.fetch(_LOG.format(where=where, last=len(values) + 2), account, *values, most)
    attempts: dict[tuple[int, int, int], list[Try]] = {}
    keys = [(row[10], row[1], row[5]) for row in rows]
    for shipment, endpoint, version, n, at, *rest in await c.fetch(_ATTEMPTS, *columns_of(keys)):
        attempts.setdefault((shipment, endpoint, version), []).append(Try(n, moment(at), *rest))
    return [
        PushRecord(
            row[0], row[1], row[2], row[3], PushEvent(row[4]), row[5], PushState(row[6]), moment(row[7]),
            moment_or_none(row[8]), row[9], tuple(attempts.get(key, ())),
        )
        for row, key in zip(rows, keys, strict=True)
    ]  # fmt: skip


def _where(chosen: Chosen) -> tuple[str, list[Any]]:
    """The condition on push p, its change c and its shipment s; its values are those from $2 on."""
    given: dict[str, Any] = {
        "p.id = ANY({})": None if chosen.ids is None else list(chosen.ids),
        "p.endpoint = {}": chosen.endpoint,
        "s.number = {}": chosen.number,
        "p.state = {}": chosen.state.value if chosen.state else None,
        "c.at >= {}": micros_or_none(chosen.since),
        "c.at < {}": micros_or_none(chosen.before),
    }
    asked = {condition: value for condition, value in given.items() if value is not None}
    parts = [text.format(f"${number}") for number, text in enumerate(asked, 2)]
    return " AND ".join(parts) or "true", list(asked.values())
