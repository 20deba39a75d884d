"""Pushes: for each endpoint the changes of a shipment go one after the other.

A push that has an older one before it waits with ``send_at`` NULL until that one is done. Whoever enqueues
reads the older ones with a lock, and whoever finishes one looks for the next in a statement of its own,
after it has the lock: so one of the two sees what the other did, and no push waits for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from parcelwire.domain.push import SUPERSEDE_AFTER, NewPush, PushEvent, PushJob, PushResult, PushState
from parcelwire.domain.shipment import Shipment
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import micros, micros_or_none
from parcelwire.store.vault import Vault, secret_place, sign_key_place

PARAMETERS = 8  # of ENQUEUE, see parameters()
# The parts of a statement that enqueues for the shipments in ``held (id, account)``.
ENQUEUE = """
given AS (
  SELECT given.* FROM unnest(
    $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::boolean[], $7::bigint[], $8::bigint[]
  ) WITH ORDINALITY AS given (shipment, account, event, body, by_request, version, at, place)
  JOIN held ON held.id = given.shipment AND held.account = given.account
),
older AS (
  SELECT p.shipment, p.endpoint FROM push AS p JOIN held ON held.id = p.shipment AND held.account = p.account
  WHERE p.state = 'pending' AND p.shipment = ANY($2) FOR UPDATE OF p
),
enqueued AS (
  INSERT INTO push (id, account, shipment, endpoint, version, event, body, state, send_at, created_at)
  SELECT
    'msg_' || substr(encode(sha256(convert_to(
      concat_ws('/', $1::text, e.id, given.shipment, given.version), 'UTF8'
    )), 'hex'), 1, 26),
    given.account, given.shipment, e.id, given.version, given.event, given.body, 'pending',
    CASE WHEN row_number() OVER (PARTITION BY given.shipment, e.id ORDER BY given.place) = 1
      AND NOT EXISTS (
        SELECT FROM older WHERE older.shipment = given.shipment AND older.endpoint = e.id
      ) THEN given.at END,
    given.at
  FROM given JOIN endpoint AS e ON e.account = given.account
  WHERE NOT given.by_request OR e.stopped_by_request
)
"""
_CLAIM = """
WITH due AS MATERIALIZED (
  SELECT shipment, endpoint, version, account FROM push
  WHERE state = 'pending' AND send_at IS NOT NULL AND send_at <= $3
  ORDER BY send_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE push AS p SET lease = $1, send_at = $2 FROM due
WHERE p.shipment = due.shipment AND p.endpoint = due.endpoint AND p.version = due.version
  AND p.account = due.account
RETURNING p.id, p.account, p.shipment, p.endpoint, p.event, p.version, p.body, p.attempts
"""
_TARGETS = """
SELECT e.id, a.id, e.url, e.secret, a.sign_key
FROM endpoint AS e JOIN account AS a ON a.id = e.account WHERE e.account = ANY($1) AND e.id = ANY($2)
"""
_FINISH = """
WITH given AS (
  SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[]
  ) AS given (
    shipment, endpoint, version, account, lease, state, again_at, attempts, http_status, detail, at, ms
  )
), held AS (
  UPDATE push AS p SET state = given.state, send_at = given.again_at, lease = NULL,
    attempts = given.attempts, http_status = given.http_status, detail = given.detail
  FROM given
  WHERE p.shipment = given.shipment AND p.endpoint = given.endpoint AND p.version = given.version
    AND p.account = given.account AND p.lease = given.lease
  RETURNING p.id, given.*
), attempt AS (
  INSERT INTO push_attempt (shipment, account, push, n, at, http_status, ms, detail)
  SELECT shipment, account, id, attempts, at, http_status, ms, detail FROM held
), standing AS (
  INSERT INTO push_standing (shipment, account, push, push_code, push_at)
  SELECT DISTINCT ON (shipment) shipment, account, CASE WHEN state = 'sent' THEN 1 ELSE 2 END,
    coalesce(http_status, 0), at
  FROM held ORDER BY shipment, at DESC
  ON CONFLICT (shipment, account) DO UPDATE
    SET push = excluded.push, push_code = excluded.push_code, push_at = excluded.push_at
)
SELECT shipment, endpoint, version, lease FROM held
"""
# Where a newer body, which contains the events of this one, waits: this one and those between go.
_SUPERSEDE = """
WITH newest AS (
  SELECT shipment, endpoint, account, max(version) AS version FROM push
  WHERE (shipment, endpoint, account) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]))
    AND state = 'pending' AND event = 'TRACKING_UPDATED'
  GROUP BY shipment, endpoint, account
)
UPDATE push AS p SET state = 'superseded', send_at = NULL FROM newest
WHERE p.shipment = newest.shipment AND p.endpoint = newest.endpoint AND p.account = newest.account
  AND p.state = 'pending' AND p.event = 'TRACKING_UPDATED' AND p.version < newest.version
"""
_LET_NEXT_GO = """
WITH next AS (
  SELECT DISTINCT ON (p.shipment, p.endpoint) p.shipment, p.endpoint, p.account, p.version, given.at
  FROM push AS p
  JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS given (shipment, endpoint, account, at)
    ON p.shipment = given.shipment AND p.endpoint = given.endpoint AND p.account = given.account
  WHERE p.state = 'pending' ORDER BY p.shipment, p.endpoint, p.version
)
UPDATE push AS p SET send_at = next.at FROM next
WHERE p.shipment = next.shipment AND p.endpoint = next.endpoint AND p.account = next.account
  AND p.version = next.version AND p.send_at IS NULL
"""


_NEWEST = """
SELECT endpoint, version, id, state, lease FROM push
WHERE shipment = $1 AND account = $2 AND endpoint = (SELECT id FROM endpoint WHERE account = $2)
ORDER BY version DESC LIMIT 1 FOR UPDATE
"""
_AGAIN = """
UPDATE push SET state = 'pending', send_at = $1, attempts = 0
WHERE shipment = $2 AND endpoint = $3 AND version = $4
"""
_HURRY = """
UPDATE push SET send_at = $1 WHERE shipment = $2 AND endpoint = $3 AND version = $4 AND send_at IS NOT NULL
"""


def parameters(instance: str, sending: Sequence[tuple[Shipment, NewPush, datetime]]) -> tuple[Any, ...]:
    """Of ENQUEUE: changes to push, with the time from which on each may go."""
    return (
        instance,
        [shipment.id for shipment, _, _ in sending],
        [shipment.account for shipment, _, _ in sending],
        [push.event.value for _, push, _ in sending],
        [push.body for _, push, _ in sending],
        [push.by_request for _, push, _ in sending],
        [push.version for _, push, _ in sending],
        [micros(at) for _, _, at in sending],
    )


async def claim(
    c: Connection, vault: Vault, most: int, now: datetime, until: datetime, lease: str
) -> list[PushJob]:
    """Due pushes, and all that is needed to send them."""
    rows = await c.fetch(_CLAIM, lease, micros(until), micros(now), most)
    if not rows:
        return []
    found = await c.fetch(
        _TARGETS, list({row["account"] for row in rows}), list({row["endpoint"] for row in rows})
    )
    targets = {
        endpoint: (
            url,
            vault.open(sign_key, sign_key_place(account)),
            (vault.open(secret, secret_place(endpoint)),),
        )
        for endpoint, account, url, secret, sign_key in found
    }
    jobs = []
    for identity, account, shipment, endpoint, event, version, body, attempts in rows:
        url, sign_key, secrets = targets[endpoint]
        jobs.append(
            PushJob(
                identity, account, shipment, endpoint, PushEvent(event), version, url, body, sign_key,
                secrets, attempts, lease,
            )
        )  # fmt: skip
    return jobs


async def finish(c: Connection, results: Sequence[PushResult]) -> list[bool]:
    """Keep attempts, and let the next push go where one is done; False where a lease had gone."""
    first = {_key(result): result for result in reversed(results)}
    rows = await c.fetch(_FINISH, *_finish_parameters(list(first.values())))
    held = {tuple(row) for row in rows}
    kept = [result for key, result in first.items() if key in held]
    await _let_go(c, kept)
    return [result is first[_key(result)] and _key(result) in held for result in results]


async def replay(c: Connection, account: int, shipment: int, now: datetime) -> bool:
    """The newest push of a shipment is due again as it was, or, when it still waits its turn, stays."""
    newest = await c.fetchrow(_NEWEST, shipment, account)
    if newest is None:
        return False
    endpoint, version, identity, state, lease = newest
    if state != PushState.PENDING:
        await c.execute("DELETE FROM push_attempt WHERE shipment = $1 AND push = $2", shipment, identity)
        await c.execute(_AGAIN, micros(now), shipment, endpoint, version)
    elif lease is None:
        await c.execute(_HURRY, micros(now), shipment, endpoint, version)
    return True


def _key(result: PushResult) -> tuple[int, int, int, str]:
    return result.job.shipment, result.job.endpoint, result.job.version, result.job.lease


def _finish_parameters(results: Sequence[PushResult]) -> tuple[list[Any], ...]:
    jobs = [result.job for result in results]
    return (
        [job.shipment for job in jobs], [job.endpoint for job in jobs], [job.version for job in jobs],
        [job.account for job in jobs], [job.lease for job in jobs],
        [_state(result).value for result in results],
        [micros_or_none(result.again_at) for result in results], [job.attempts + 1 for job in jobs],
        [result.http_status for result in results], [result.detail for result in results],
        [micros(result.at) for result in results], [result.ms for result in results],
    )  # fmt: skip


def _state(result: PushResult) -> PushState:
    return PushState.SENT if result.sent else PushState.PENDING if result.again_at else PushState.DEAD


async def _let_go(c: Connection, results: Sequence[PushResult]) -> None:
    """The next push of the shipments whose push is done, or gives way to a newer one."""
    tired = [
        result
        for result in results
        if _state(result) is PushState.PENDING
        and result.job.event is PushEvent.UPDATED
        and result.job.attempts + 1 >= SUPERSEDE_AFTER
    ]
    if tired:
        await c.execute(_SUPERSEDE, *_chains(tired))
    going = [result for result in results if _state(result) is not PushState.PENDING or result in tired]
    if going:
        await c.execute(_LET_NEXT_GO, *_chains(going), [micros(result.at) for result in going])


def _chains(results: Sequence[PushResult]) -> tuple[list[int], list[int], list[int]]:
    jobs = [result.job for result in results]
    return [job.shipment for job in jobs], [job.endpoint for job in jobs], [job.account for job in jobs]
