"""Webhook receivers inside one transaction: made, steered, and when each has something to send.

Who claims, finishes or replays pushes of an endpoint holds its row until the commit, so that its width and
its health are exact whatever the processes. Who enqueues only keeps it from being removed (FOR KEY SHARE).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from parcelwire.domain.endpoint import Endpoint, EndpointTurn, Health, NewEndpoint, Signal, steered
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import (
    HEALTH,
    health_of,
    health_values,
    micros,
    moment_or_none,
    wants_of,
    wants_values,
)
from parcelwire.store.vault import Vault, secret_before_place, secret_place

ENDPOINT = (
    "id", "account", "url", "secret", "stopped_by_request", "events", "statuses", "compat", "timeout_s",
    "by_setting", "secret_before", "both_until", *HEALTH,
)  # fmt: skip
_HEALTH = slice(len(ENDPOINT) - len(HEALTH), len(ENDPOINT))
_SELECT = f"SELECT {', '.join(ENDPOINT)} FROM endpoint"
_HELD = "FOR NO KEY UPDATE"

# When each endpoint has something to send next: a look-up in an index for each one that has heads. The first
# in the order of the index, not ``min``: where few are expected, that reads all of them.
PLANNED = """
WITH RECURSIVE waiting (endpoint) AS (
  SELECT (
    SELECT endpoint FROM push WHERE state = 'pending' AND send_at IS NOT NULL ORDER BY endpoint LIMIT 1
  )
  UNION ALL
  SELECT (
    SELECT p.endpoint FROM push AS p
    WHERE p.state = 'pending' AND p.send_at IS NOT NULL AND p.endpoint > waiting.endpoint
    ORDER BY p.endpoint LIMIT 1
  ) FROM waiting WHERE waiting.endpoint IS NOT NULL
), planned AS MATERIALIZED (
  SELECT e.id AS endpoint, CASE
    WHEN e.state = 'paused' THEN NULL
    WHEN leased.count >= e.width THEN leased.first
    WHEN e.state = 'failing' THEN coalesce(e.probe_at, 0)
    ELSE (
      SELECT p.send_at FROM push AS p
      WHERE p.endpoint = e.id AND p.state = 'pending' AND p.send_at IS NOT NULL ORDER BY p.send_at LIMIT 1
    )
  END AS due_at
  FROM waiting JOIN endpoint AS e ON e.id = waiting.endpoint CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(p.send_at) AS first FROM push AS p
    WHERE p.endpoint = e.id AND p.lease IS NOT NULL
  ) AS leased
)
"""
_SAVE_HEALTH = f"""
UPDATE endpoint SET {", ".join(f"{name} = ${number}" for number, name in enumerate(HEALTH, 3))}
WHERE id = $1 AND account = $2
"""
_QUEUE_AGAIN = """
UPDATE push SET send_at = created_at
WHERE endpoint = ANY($1) AND state = 'pending' AND lease IS NULL AND send_at > created_at
"""
_REMOVE_PUSHES = """
WITH gone AS (
  DELETE FROM push WHERE endpoint = $1 AND account = $2 RETURNING shipment, endpoint, version, account
)
DELETE FROM push_attempt AS a USING gone
WHERE a.shipment = gone.shipment AND a.endpoint = gone.endpoint AND a.version = gone.version
  AND a.account = gone.account
"""


def endpoint_of(vault: Vault, row: Sequence[Any]) -> Endpoint:
    """An endpoint from the columns ENDPOINT."""
    before = vault.open(row[10], secret_before_place(row[0])) if row[10] else None
    return Endpoint(
        row[0], row[1], row[2], vault.open(row[3], secret_place(row[0])), row[4],
        wants_of(row[5], row[6]), row[7], row[8], row[9], before, moment_or_none(row[11]),
        health_in(row),
    )  # fmt: skip


def health_in(row: Sequence[Any]) -> Health:
    """The health from the columns ENDPOINT."""
    return health_of(row[_HEALTH])


async def all_of(c: Connection, vault: Vault, account: int) -> list[Endpoint]:
    """In the order in which they were added."""
    rows = await c.fetch(f"{_SELECT} WHERE account = $1 ORDER BY id", account)
    return [endpoint_of(vault, row) for row in rows]


async def by_setting(c: Connection, vault: Vault, account: int) -> Endpoint | None:
    """The receiver that a setting names."""
    row = await c.fetchrow(f"{_SELECT} WHERE account = $1 AND by_setting", account)
    return endpoint_of(vault, row) if row else None


async def add(c: Connection, vault: Vault, account: int, new: NewEndpoint) -> Endpoint:
    """One more receiver."""
    made = await c.fetchval(
        """INSERT INTO endpoint
          (account, url, secret, stopped_by_request, events, statuses, compat, timeout_s)
        VALUES ($1, $2, '', $3, $4, $5, $6, $7) RETURNING id""",
        account, new.url, new.stopped_by_request, *wants_values(new.wants), new.compat, new.timeout_s,
    )  # fmt: skip
    sealed = vault.seal(new.secret, secret_place(made))
    await c.execute("UPDATE endpoint SET secret = $1 WHERE id = $2", sealed, made)
    return Endpoint(
        made, account, new.url, new.secret, new.stopped_by_request, new.wants, new.compat, new.timeout_s
    )


async def set_by_setting(c: Connection, vault: Vault, account: int, new: NewEndpoint) -> None:
    """The receiver that a setting names: made, or given this URL and secret."""
    endpoint = await c.fetchval(
        """INSERT INTO endpoint (account, url, secret, stopped_by_request, by_setting)
        VALUES ($1, $2, '', $3, true) ON CONFLICT (account) WHERE by_setting DO UPDATE
        SET url = excluded.url, stopped_by_request = excluded.stopped_by_request, secret_before = NULL,
          both_until = NULL
        RETURNING id""",
        account, new.url, new.stopped_by_request,
    )  # fmt: skip
    sealed = vault.seal(new.secret, secret_place(endpoint))
    await c.execute("UPDATE endpoint SET secret = $1 WHERE id = $2", sealed, endpoint)


async def remove(c: Connection, account: int, endpoint: int) -> bool:
    """With its pushes; whoever enqueues at this moment has done so before, or does not find it any more."""
    gone = await c.fetchval(
        "SELECT true FROM endpoint WHERE id = $1 AND account = $2 FOR UPDATE", endpoint, account
    )
    if gone:
        await c.execute(_REMOVE_PUSHES, endpoint, account)
        await c.execute("DELETE FROM endpoint WHERE id = $1 AND account = $2", endpoint, account)
    return bool(gone)


async def rotate(
    c: Connection, vault: Vault, account: int, endpoint: int, secret: str, both_until: datetime
) -> bool:
    """A new secret beside the one before; False when there is no such endpoint."""
    sealed = await c.fetchval(
        f"SELECT secret FROM endpoint WHERE id = $1 AND account = $2 {_HELD}", endpoint, account
    )
    if sealed is None:
        return False
    known = vault.open(sealed, secret_place(endpoint))
    if known == secret:  # by an earlier try whose answer got lost
        return True
    await c.execute(
        "UPDATE endpoint SET secret = $1, secret_before = $2, both_until = $3 WHERE id = $4",
        vault.seal(secret, secret_place(endpoint)), vault.seal(known, secret_before_place(endpoint)),
        micros(both_until), endpoint,
    )  # fmt: skip
    return True


async def steer(
    c: Connection, account: int, endpoint: int, signal: Signal, now: datetime
) -> tuple[bool, list[EndpointTurn]]:
    """Pause or resume; False when there is no such endpoint."""
    found = await hold(c, [endpoint])
    owner, before = found.get(endpoint, (None, Health()))
    if owner != account:
        return False, []
    health = steered(before, signal, "by the operator", now)
    if health is before:
        return True, []
    if signal is Signal.RESUME:
        await c.execute(
            "UPDATE push SET tries = 0 WHERE endpoint = $1 AND state = 'pending' AND tries > 0", endpoint
        )
    turn = EndpointTurn(endpoint, account, before.state, health)
    await save(c, [turn])
    return True, [turn]


async def hold(c: Connection, ids: Collection[int]) -> dict[int, tuple[int, Health]]:
    """Account and health by endpoint, of those that there are; nobody else changes them until the end."""
    rows = await c.fetch(
        f"SELECT id, account, {', '.join(HEALTH)} FROM endpoint WHERE id = ANY($1) ORDER BY id {_HELD}",
        list(ids),
    )
    return {row[0]: (row[1], health_of(row[2:])) for row in rows}


async def hold_all_of(c: Connection, account: int) -> None:
    """The same for all of an account."""
    await c.fetch(f"SELECT id FROM endpoint WHERE account = $1 ORDER BY id {_HELD}", account)


async def save(c: Connection, turns: Sequence[EndpointTurn]) -> None:
    """Keep the healths; in another state all heads stand in the queue as they came into it."""
    if not turns:  # mostly: what costs a trip to the server would do nothing
        return
    values = [(turn.endpoint, turn.account, *health_values(turn.health)) for turn in turns]
    await c.executemany(_SAVE_HEALTH, values)
    turned = [turn.endpoint for turn in turns if turn.health.state is not turn.before]
    if turned:
        await c.execute(_QUEUE_AGAIN, turned)


async def due(c: Connection) -> int | None:
    """When the first endpoint has something to send."""
    at: int | None = await c.fetchval(f"{PLANNED} SELECT min(due_at) FROM planned")
    return at
