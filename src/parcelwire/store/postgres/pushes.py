"""Pushes: for each endpoint the changes of a shipment go one after the other.

A push that has an older one before it waits with ``send_at`` NULL until that one is done. Whoever enqueues
reads the older ones with a lock, and whoever finishes one looks for the next in a statement that begins
after it has the lock: so one of the two sees what the other did, and no push waits for ever. Whoever makes
pushes pending again holds the shipments, as those do who enqueue.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from parcelwire.domain.endpoint import EndpointState, EndpointTurn, Health
from parcelwire.domain.listing import PushStanding
from parcelwire.domain.push import NewPush, PushJob, PushResult
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.times import EPOCH
from parcelwire.store.attempts import Settled, jobs_of, settle
from parcelwire.store.postgres import endpoints
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import micros
from parcelwire.store.vault import Vault, sign_key_place

_FOR_EVER = 2**62  # a time after all times
CLAIMED_MAX = 500  # pushes in one claim

# Whether a row is of a shipment in ``held``. Looked up in a hash: of a join with arrays of which it knows no
# length the planner makes a loop in a loop, whose steps grow with the square of what is written.
HELD = "({} IN (SELECT id FROM held)) IS TRUE"
PARAMETERS = 9  # of ENQUEUE, see parameters()
# The parts of a statement that enqueues for the shipments in ``held (id, account)``, which were locked by a
# statement before it. Cursors come from the account's row of the feed, which is held until the commit.
# ``older`` by the key of the table: where nobody has analysed it the planner takes the index of the account
# for ``=``, and reads all its pushes for each shipment, a millisecond and more.
ENQUEUE = f"""
given AS (
  SELECT given.* FROM unnest(
    $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::boolean[], $7::bigint[], $8::bigint[],
    $9::text[]
  ) WITH ORDINALITY AS given (shipment, account, event, body, by_request, version, at, status, place)
  WHERE {HELD.format("given.shipment")}
),
counted AS (
  INSERT INTO feed AS f (account, newest)
  SELECT account, count(*) FROM given GROUP BY account ORDER BY account
  ON CONFLICT (account) DO UPDATE SET newest = f.newest + excluded.newest
  RETURNING f.account, f.newest
),
numbered AS (
  SELECT given.*, counted.newest + 1 - row_number() OVER (
    PARTITION BY given.account ORDER BY given.place DESC
  ) AS id
  FROM given JOIN counted ON counted.account = given.account
),
noted AS (
  INSERT INTO change (account, id, shipment, version, at, event, body)
  SELECT account, id, shipment, version, at, event, body FROM numbered
),
receiver AS (
  SELECT id, account, stopped_by_request, events, statuses FROM endpoint
  WHERE account = ANY($3) ORDER BY id FOR KEY SHARE
),
older AS (
  SELECT p.shipment, p.endpoint FROM push AS p JOIN held ON held.id = p.shipment
  WHERE p.state IS NOT DISTINCT FROM 'pending' AND p.account IS NOT DISTINCT FROM held.account
    AND p.shipment = ANY($2)
  ORDER BY p.shipment, p.endpoint, p.version FOR UPDATE OF p
),
enqueued AS (
  INSERT INTO push (id, account, shipment, endpoint, version, change, event, state, send_at, created_at)
  SELECT
    'msg_' || lpad(to_hex(given.at / 1000), 11, '0') || substr(encode(sha256(convert_to(
      concat_ws('/', $1::text, e.id, given.shipment, given.version), 'UTF8'
    )), 'hex'), 1, 15),
    given.account, given.shipment, e.id, given.version, given.id, given.event, 'pending',
    CASE WHEN row_number() OVER (PARTITION BY given.shipment, e.id ORDER BY given.place) = 1
      AND NOT EXISTS (
        SELECT FROM older WHERE older.shipment = given.shipment AND older.endpoint = e.id
      ) THEN given.at END,
    given.at
  FROM numbered AS given JOIN receiver AS e ON e.account = given.account
  WHERE (NOT given.by_request OR e.stopped_by_request)
    AND (e.events = '' OR given.event = ANY(string_to_array(e.events, ',')))
    AND (given.event <> 'TRACKING_UPDATED' OR e.statuses = ''
      OR given.status = ANY(string_to_array(e.statuses, ',')))
)
"""
# What an exchange holds: the endpoints of its results, then their pushes, and others that have something to
# send. Whatever the plan, the first come first: which rows the two after them lock is known only from the
# array of all ``mine``. Others are not waited for: who has them may be waiting for ``mine``. Rows that were
# awaited are locked and given as they are now; whatever else changed meanwhile, later statements see.
_HOLD = f"""
{endpoints.PLANNED}, given AS (
  SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
    WITH ORDINALITY AS given (shipment, endpoint, version, lease, place)
), mine AS MATERIALIZED (
  SELECT {", ".join(endpoints.ENDPOINT)} FROM endpoint WHERE id = ANY($4) ORDER BY id FOR NO KEY UPDATE
), others AS MATERIALIZED (
  SELECT {", ".join(f"e.{name}" for name in endpoints.ENDPOINT)} FROM (
    SELECT endpoint FROM planned WHERE due_at <= $1 AND endpoint <> ALL (ARRAY(SELECT id FROM mine))
    ORDER BY due_at, endpoint LIMIT $2
  ) AS chosen JOIN endpoint AS e ON e.id = chosen.endpoint
  ORDER BY e.id FOR NO KEY UPDATE OF e {{skip}}
), held AS MATERIALIZED (
  SELECT p.endpoint, given.place FROM given JOIN push AS p
    ON p.shipment = given.shipment AND p.endpoint = given.endpoint AND p.version = given.version
    AND p.lease = given.lease
  WHERE p.endpoint = ANY (ARRAY(SELECT id FROM mine))
  ORDER BY p.shipment, p.endpoint, p.version FOR UPDATE OF p
)
SELECT e.*, a.sign_key, held.places
FROM (SELECT * FROM mine UNION ALL SELECT * FROM others) AS e
JOIN account AS a ON a.id = e.account
LEFT JOIN (SELECT endpoint, array_agg(place) AS places FROM held GROUP BY endpoint) AS held
  ON held.endpoint = e.id
"""
_HOLD_AT_HAND, _HOLD_ALL = _HOLD.format(skip="SKIP LOCKED"), _HOLD.format(skip="")
# After the endpoints are held, so that nobody else leases pushes of theirs. The planner is told that they are
# few: of limits that are parameters it expects a tenth of all that waits, and reads all pushes to find them.
# Values that it cannot see (sub-selects) keep it from planning anew each time, which takes as long again.
# Who has a time to probe is sent whatever waits, and has waited since then; of others each push has.
_TAKE = f"""
WITH heads AS (
  SELECT p.* FROM unnest((SELECT $3::bigint[]), (SELECT $4::bigint[]), (SELECT $5::bigint[]))
    AS given (endpoint, width, probe_at)
  CROSS JOIN LATERAL (
    SELECT q.shipment, q.endpoint, q.version, q.account, q.send_at FROM push AS q
    WHERE q.endpoint = given.endpoint AND q.state = 'pending' AND q.send_at IS NOT NULL
      AND q.send_at <= CASE WHEN given.probe_at IS NULL THEN (SELECT $6::bigint) ELSE {_FOR_EVER} END
    ORDER BY q.send_at {{direction}}, q.change {{direction}}
    LIMIT greatest(0, given.width - (
      SELECT count(*) FROM push AS l
      WHERE l.endpoint = given.endpoint AND l.lease IS NOT NULL AND l.send_at > (SELECT $6::bigint)
    ))
    FOR UPDATE SKIP LOCKED
  ) AS p
  ORDER BY coalesce(given.probe_at, p.send_at) LIMIT (SELECT $7::bigint)
), taken AS MATERIALIZED (
  SELECT * FROM heads LIMIT {CLAIMED_MAX}
)
UPDATE push AS p SET lease = $1, send_at = $2
FROM taken, change AS c
WHERE p.shipment = taken.shipment AND p.endpoint = taken.endpoint AND p.version = taken.version
  AND p.account = taken.account AND c.account = p.account AND c.id = p.change
RETURNING p.id, p.shipment, p.version, p.change, p.event, p.attempts, p.tries, c.body, p.endpoint
"""
_OLDEST, _NEWEST = _TAKE.format(direction="ASC"), _TAKE.format(direction="DESC")
# The oldest pending push of a chain, a row of ``given``. By the key of the table: the planner must not see
# that an index of what is pending would do. That has few rows when it looks, and millions in an outage.
_NEXT = """
CROSS JOIN LATERAL (
  SELECT p.version FROM push AS p
  WHERE p.shipment = given.shipment AND p.endpoint = given.endpoint AND p.account = given.account
    AND p.state IS NOT DISTINCT FROM 'pending' {but}
  ORDER BY p.version LIMIT 1
) AS next
"""
# One statement, which begins after the pushes are held. What ends here is still pending for ``next``.
_FINISH = f"""
WITH given AS (
  SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::text[], $11::bytea[]
  ) WITH ORDINALITY AS given (
    shipment, endpoint, version, state, again_at, tries, at, http_status, ms, detail, body_start, place
  )
), finished AS (
  UPDATE push AS p SET state = given.state, lease = NULL, attempts = p.attempts + 1, tries = given.tries,
    send_at = CASE WHEN given.state = 'pending' THEN coalesce(given.again_at, p.created_at) END,
    done_at = CASE WHEN given.state <> 'pending' THEN given.at + 1000 * given.ms END
  FROM given
  WHERE p.shipment = given.shipment AND p.endpoint = given.endpoint AND p.version = given.version
  RETURNING given.*, p.account, p.attempts
), let_go AS (
  UPDATE push AS p SET send_at = p.created_at FROM (
    SELECT given.shipment, given.endpoint, given.account, next.version
    FROM finished AS given {_NEXT.format(but="AND p.version <> given.version")}
    WHERE given.state <> 'pending'
  ) AS next
  WHERE p.shipment = next.shipment AND p.endpoint = next.endpoint AND p.version = next.version
    AND p.account = next.account AND p.send_at IS NULL
), shown AS (
  INSERT INTO push_standing (shipment, account, push, push_code, push_at)
  SELECT DISTINCT ON (shipment) shipment, account,
    CASE WHEN state = 'sent' THEN {PushStanding.SUCCESS} ELSE {PushStanding.FAILURE} END,
    coalesce(http_status, 0), at
  FROM finished ORDER BY shipment, place DESC
  ON CONFLICT (shipment, account) DO UPDATE
    SET push = excluded.push, push_code = excluded.push_code, push_at = excluded.push_at
)
INSERT INTO push_attempt (
  shipment, endpoint, version, n, account, at, http_status, ms, detail, body_start
)
SELECT shipment, endpoint, version, attempts, account, at, http_status, ms, detail, body_start FROM finished
"""
# Where a newer body, which contains the events of this one, waits: this one and those between go.
_SUPERSEDE = """
WITH given AS (
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS given (shipment, endpoint, account, version, at)
), newest AS (
  SELECT given.*, (
    SELECT max(p.version) FROM push AS p
    WHERE p.shipment = given.shipment AND p.endpoint = given.endpoint AND p.account = given.account
      AND p.state = 'pending' AND p.event = 'TRACKING_UPDATED'
  ) AS newest FROM given
)
UPDATE push AS p SET state = 'superseded', send_at = NULL, done_at = newest.at FROM newest
WHERE p.shipment = newest.shipment AND p.endpoint = newest.endpoint AND p.account = newest.account
  AND p.state = 'pending' AND p.event = 'TRACKING_UPDATED'
  AND p.version < newest.newest AND newest.version < newest.newest
RETURNING p.shipment, p.endpoint, p.account
"""
_LET_NEXT_GO = f"""
UPDATE push AS p SET send_at = p.created_at FROM (
  SELECT given.shipment, given.endpoint, given.account, next.version
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS given (shipment, endpoint, account)
  {_NEXT.format(but="")}
) AS next
WHERE p.shipment = next.shipment AND p.endpoint = next.endpoint AND p.version = next.version
  AND p.account = next.account AND p.send_at IS NULL
"""

Chain = tuple[int, int, int]  # shipment, endpoint, account


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
        [shipment.sub_status.status.value if shipment.sub_status else None for shipment, _, _ in sending],
    )


# --- exchanging -------------------------------------------------------------------------------------------


async def exchange(
    c: Connection,
    vault: Vault,
    results: Sequence[PushResult],
    most: int,
    now: datetime,
    until: datetime,
    lease: str,
) -> tuple[list[bool], list[EndpointTurn], list[PushJob]]:
    """``finish``, and due pushes of the endpoints that have waited longest, as many as each has room for."""
    rows = await _hold(c, _HOLD_AT_HAND, results, now, most)
    if not rows and not results:  # who holds some must not wait for others: they might wait for these
        rows = await _hold(c, _HOLD_ALL, results, now, most)
    answers, turns, healths = await _finish(c, results, rows)
    jobs: list[PushJob] = []
    for newest_first, statement in ((False, _OLDEST), (True, _NEWEST)):
        some = {key: one for key, one in healths.items() if _probes_newest(one) is newest_first}
        taken = await _take(c, statement, some, most - len(jobs), now, until, lease)
        for row in rows:
            if row["id"] in taken:
                endpoint = replace(endpoints.endpoint_of(vault, row), health=healths[row["id"]])
                sign_key = vault.open(row["sign_key"], sign_key_place(endpoint.account))
                jobs += jobs_of(endpoint, taken[endpoint.id], sign_key, now, lease)
    return answers, turns, jobs


async def finish(c: Connection, results: Sequence[PushResult]) -> tuple[list[bool], list[EndpointTurn]]:
    """Keep attempts; False where a lease had gone. Also the endpoints that came into another state."""
    rows = await _hold(c, _HOLD_AT_HAND, results, EPOCH, 0)
    answers, turns, _ = await _finish(c, results, rows)
    return answers, turns


async def _hold(
    c: Connection, statement: str, results: Sequence[PushResult], now: datetime, most: int
) -> list[Any]:
    """Endpoints, which nobody else changes until the end, each with the places of results that are good."""
    leases = [result.job.lease for result in results]
    rows: list[Any] = await c.fetch(statement, micros(now), most, *_pushes(results), leases)
    return rows


# --- claiming ---------------------------------------------------------------------------------------------


def _probes_newest(health: Health) -> bool:
    return health.state is EndpointState.FAILING and health.newest_first


async def _take(
    c: Connection,
    statement: str,
    some: Mapping[int, Health],
    most: int,
    now: datetime,
    until: datetime,
    lease: str,
) -> dict[int, list[Any]]:
    """Lease what the endpoints, which are held, may be sent now; by endpoint."""
    open_ = {endpoint: health for endpoint, health in some.items() if _may_be_sent(health, now)}
    if not open_ or most <= 0:
        return {}
    rows = await c.fetch(
        statement,
        lease, micros(until), list(open_), [health.width for health in open_.values()],
        [_probe_at(health) for health in open_.values()], micros(now), most,
    )  # fmt: skip
    taken: dict[int, list[Any]] = {}
    for *row, endpoint in rows:
        taken.setdefault(endpoint, []).append(row)
    return taken


def _probe_at(health: Health) -> int | None:
    """When a failing endpoint may be sent something; None: it is healthy."""
    if health.state is not EndpointState.FAILING:
        return None
    return micros(health.probe_at) if health.probe_at else 0


def _may_be_sent(health: Health, now: datetime) -> bool:
    if health.state is EndpointState.PAUSED:
        return False
    return health.state is EndpointState.HEALTHY or health.probe_at is None or health.probe_at <= now


# --- finishing --------------------------------------------------------------------------------------------


async def _finish(
    c: Connection, results: Sequence[PushResult], rows: Sequence[Any]
) -> tuple[list[bool], list[EndpointTurn], dict[int, Health]]:
    """Also the health of every endpoint that is held."""
    before = {row["id"]: endpoints.health_in(row) for row in rows}
    healths = dict(before)
    good = {place for row in rows for place in row["places"] or ()}
    kept: dict[str, Settled] = {}
    answers = []
    for place, result in enumerate(results, 1):
        answers.append(place in good and result.job.id not in kept)  # a lease is good once
        if answers[-1]:
            kept[result.job.id] = settle(result, healths)
    await _write(c, list(kept.values()))
    turns = [
        EndpointTurn(row["id"], row["account"], before[row["id"]].state, healths[row["id"]])
        for row in rows
        if healths[row["id"]] is not before[row["id"]]
    ]
    await endpoints.save(c, turns)
    return answers, [turn for turn in turns if turn.health.state is not turn.before], healths


async def _write(c: Connection, kept: Sequence[Settled]) -> None:
    """Pushes, their log, and the next versions that may go now."""
    if not kept:
        return
    results = [one.result for one in kept]
    await c.execute(
        _FINISH,
        *_pushes(results), [one.state for one in kept], [one.again_at for one in kept],
        [one.tries for one in kept], [micros(result.at) for result in results],
        [result.http_status for result in results], [result.ms for result in results],
        [result.detail for result in results], [result.body_start for result in results],
    )  # fmt: skip
    if tired := [one.result for one in kept if one.tired]:
        await _supersede(c, tired)


async def _supersede(c: Connection, tired: Sequence[PushResult]) -> None:
    """Where a newer body waits, it takes the place of one that failed too often: it contains its events."""
    rows = await c.fetch(
        _SUPERSEDE,
        *columns_of([_chain(result) for result in tired]), [result.job.version for result in tired],
        [micros(result.ended_at) for result in tired],
    )  # fmt: skip
    await let_next_go(c, {(shipment, endpoint, account) for shipment, endpoint, account in rows})


async def let_next_go(c: Connection, chains: Collection[Chain]) -> None:
    """The oldest pending push of each, unless one has a send time."""
    if chains:
        await c.execute(_LET_NEXT_GO, *columns_of(chains))


def _pushes(results: Sequence[PushResult]) -> tuple[list[int], list[int], list[int]]:
    jobs = [result.job for result in results]
    return [job.shipment for job in jobs], [job.endpoint for job in jobs], [job.version for job in jobs]


def _chain(result: PushResult) -> Chain:
    return result.job.shipment, result.job.endpoint, result.job.account


def columns_of(chains: Collection[Chain]) -> tuple[list[int], list[int], list[int]]:
    """Three columns of rows."""
    return [one[0] for one in chains], [one[1] for one in chains], [one[2] for one in chains]
