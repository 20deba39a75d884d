"""Refreshes: claimed, completed, forgotten after a while."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from parcelwire.domain.lane import Grant, Lane, take
from parcelwire.domain.limits import Limits
from parcelwire.domain.merge import History, earlier
from parcelwire.domain.queue import home
from parcelwire.domain.status import SubStatus
from parcelwire.ports import Due, Refreshed, Taking
from parcelwire.store.postgres import pushes
from parcelwire.store.postgres.learned import learn
from parcelwire.store.postgres.pool import Connection, TryAgain
from parcelwire.store.postgres.registrations import SET, columns, hold, make_room, typed
from parcelwire.store.rows import (
    LANE,
    MUTABLE,
    SHIPMENT,
    Routing,
    history_bytes,
    history_of,
    lane_of,
    lane_values,
    micros,
    mutable_values,
    packed,
    raw_hash,
    routing_state,
    routing_text,
    shipment_of,
)

_MICROSECOND = timedelta(microseconds=1)
AHEAD_PART = 4  # of its interval may be left when a shipment is asked about ahead of its time
HEAD_GOOD = timedelta(seconds=10)  # a due shipment before the head waits for so long at most
CENSUS_ROWS = 500_000  # about so many are counted: a fraction of a second
# A reply that is kept is marked as used again when it is older than this: pruning keeps months, not days.
_RAW_FRESH = timedelta(days=1) // _MICROSECOND

_RETURNED = ", ".join(f"s.{name}" for name in SHIPMENT)
# Of shipments with the same number one; rows that somebody else holds are left to him. ``most`` stands in the
# text: of a limit that is a parameter the planner expects a tenth of the table, and reads and joins all of it
# once there are hundreds of thousands.
_CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT id, account, number FROM shipment WHERE lane = $3 AND refresh_at <= $4
  ORDER BY refresh_at LIMIT {{most:d}} FOR UPDATE SKIP LOCKED
), one AS (
  SELECT DISTINCT ON (number) id, account FROM due ORDER BY number, id
)
UPDATE shipment AS s SET lease = $1, refresh_at = $2 FROM one
WHERE s.id = one.id AND s.account = one.account RETURNING {_RETURNED}
"""
# Once something is due, the call is filled up with what will be soon; a call for nothing is not spent.
_TAKE_TURN = f"""
WITH due AS MATERIALIZED (
  SELECT id, account, number FROM shipment WHERE lane = $3 AND refresh_at <= $5 AND refresh_at >= $6
    AND (refresh_at <= $4 OR (lease IS NULL AND (refresh_at - $4) * {AHEAD_PART} <= refresh_at - asked_at))
  ORDER BY refresh_at LIMIT {{most:d}} FOR UPDATE SKIP LOCKED
), one AS (
  SELECT DISTINCT ON (number) id, account FROM due ORDER BY number, id
), claimed AS (
  UPDATE shipment AS s SET lease = $1, refresh_at = $2 FROM one
  WHERE s.id = one.id AND s.account = one.account RETURNING {_RETURNED}
), spent AS (
  UPDATE lane SET {", ".join(f"{name} = ${number}" for number, name in enumerate(LANE[1:], 8))}
  WHERE name = $7 AND EXISTS (SELECT FROM claimed)
)
SELECT * FROM claimed
"""
# Not whether there is one that is due: the planner would look for it from the beginning of the table.
_LANE = f"""
SELECT {", ".join(LANE)}, (SELECT min(refresh_at) FROM shipment WHERE lane = $2 AND refresh_at >= $3)
FROM lane WHERE name = $1 FOR UPDATE
"""
_HELD_LANE = f"SELECT {', '.join(LANE)} FROM lane WHERE name = $1 FOR UPDATE"
_SPEND = f"""
UPDATE lane SET {", ".join(f"{name} = ${number}" for number, name in enumerate(LANE[1:], 2))} WHERE name = $1
"""
_NEW_LANE = f"""
INSERT INTO lane ({", ".join(LANE)}) VALUES ({", ".join(f"${number}" for number in range(1, len(LANE) + 1))})
ON CONFLICT DO NOTHING
"""
# A look-up in the index for each lane, not for each shipment.
LANE_NAMES = """RECURSIVE names (name) AS (
  SELECT (SELECT min(lane) FROM shipment WHERE refresh_at IS NOT NULL)
  UNION ALL
  SELECT (SELECT min(lane) FROM shipment WHERE refresh_at IS NOT NULL AND lane > name)
  FROM names WHERE name IS NOT NULL
)"""
_SIZE = "SELECT reltuples FROM pg_class WHERE oid = 'shipment'::regclass"  # as of the last vacuum
_CENSUS = """
SELECT sub_status, count(*) FROM shipment TABLESAMPLE SYSTEM ($2)
WHERE (lane = $1 OR lane > $1 || '/' AND lane < $1 || '0') AND refresh_at IS NOT NULL GROUP BY sub_status
"""
_ROUTING = "SELECT value FROM meta WHERE key = 'routing' FOR UPDATE"
_KEEP_ROUTING = "UPDATE meta SET value = $1 WHERE key = 'routing'"
_NEXT_ROUTED = "SELECT id, account, carrier, lane FROM shipment WHERE id > $1 ORDER BY id LIMIT $2"
_REROUTE = """
UPDATE shipment AS s SET lane = new.lane, lease = NULL,
  refresh_at = CASE WHEN refresh_at IS NULL THEN NULL ELSE $1::bigint END
FROM (
  SELECT s.id, s.account, given.lane
  FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS given (id, account, before, lane)
  JOIN shipment AS s ON s.id = given.id AND s.account = given.account AND s.lane = given.before
  ORDER BY s.id FOR NO KEY UPDATE OF s
) AS new
WHERE s.id = new.id AND s.account = new.account
"""
_CLAIM_ONE = f"""
UPDATE shipment AS s SET lease = $1, refresh_at = CASE WHEN refresh_at IS NULL THEN NULL ELSE $2::bigint END
WHERE id = $3 RETURNING {_RETURNED}
"""
_HISTORIES = "SELECT shipment, history FROM source_report WHERE shipment = ANY($1) ORDER BY source"

_FIRST_SHIPMENT = pushes.PARAMETERS + 1
_WIDTH = 3 + len(MUTABLE)
_FIRST_LOG = _FIRST_SHIPMENT + _WIDTH
_FIRST_TOLD = _FIRST_LOG + 8
_FIRST_DOCUMENT = _FIRST_TOLD + 5
_FIRST_RAW = _FIRST_DOCUMENT + 4
_FIRST_GIVEN_UP = _FIRST_RAW + 5


def _arrays(types: str, first: int) -> str:
    return ", ".join(f"${number}::{name}[]" for number, name in enumerate(types.split(), first))


_COMPLETE = f"""
WITH held AS (
  UPDATE shipment AS s SET {SET}
  FROM unnest({typed(("id", "account"), _FIRST_SHIPMENT)}, ${_FIRST_SHIPMENT + 2}::text[],
    {typed(MUTABLE, _FIRST_SHIPMENT + 3)}) AS new (id, account, held_lease, {", ".join(MUTABLE)})
  WHERE s.id = new.id AND s.account = new.account AND s.lease = new.held_lease
  RETURNING s.id, s.account, new.held_lease AS lease
), logged AS (
  INSERT INTO refresh_log (shipment, account, at, lane, outcome, ms, text, raw)
  SELECT log.* FROM unnest({_arrays("bigint bigint bigint text text bigint text bytea", _FIRST_LOG)})
    AS log (shipment, account, at, lane, outcome, ms, text, raw) WHERE {pushes.HELD.format("log.shipment")}
), told AS (
  INSERT INTO source_report (shipment, account, source, history, raw)
  SELECT told.* FROM unnest({_arrays("bigint bigint text bytea bytea", _FIRST_TOLD)})
    AS told (shipment, account, source, history, raw) WHERE {pushes.HELD.format("told.shipment")}
  ON CONFLICT (shipment, source, account) DO UPDATE SET history = excluded.history, raw = excluded.raw
), shown AS (
  INSERT INTO document (shipment, account, template, estimate)
  SELECT shown.* FROM unnest({_arrays("bigint bigint bytea bytea", _FIRST_DOCUMENT)})
    AS shown (shipment, account, template, estimate) WHERE {pushes.HELD.format("shown.shipment")}
  ON CONFLICT (shipment, account) DO UPDATE SET template = excluded.template, estimate = excluded.estimate
), kept AS (
  INSERT INTO raw_reply (account, hash, at, http_status, body)
  SELECT raw.account, raw.hash, raw.at, raw.http_status, raw.body
  FROM unnest({_arrays("bigint bytea bigint bigint bytea", _FIRST_RAW)})
    AS raw (account, hash, at, http_status, body)
  WHERE NOT EXISTS (
    SELECT FROM raw_reply AS r WHERE r.account = raw.account AND r.hash = raw.hash
      AND r.at > raw.at - {_RAW_FRESH}
  )
  ORDER BY raw.account, raw.hash  -- the same order for all, so that nobody waits in a circle
  ON CONFLICT (account, hash) DO UPDATE SET at = greatest(raw_reply.at, excluded.at)
), given_up AS (
  INSERT INTO upstream_number (source, number, carrier, given_up)
  SELECT DISTINCT ON (source, number, carrier) source, number, carrier, why
  FROM unnest({_arrays("bigint text text text text", _FIRST_GIVEN_UP)})
    AS one (shipment, source, number, carrier, why) WHERE {pushes.HELD.format("one.shipment")}
  ORDER BY source, number, carrier
  ON CONFLICT (source, number, carrier) DO UPDATE SET given_up = excluded.given_up
), {pushes.ENQUEUE}
SELECT id, lease FROM held
"""
_HASTEN = (
    f"""WITH {LANE_NAMES} UPDATE shipment SET refresh_at = $1
    WHERE lane IN (SELECT name FROM names) AND refresh_at > $2""",
    "UPDATE push SET send_at = $1 WHERE state = 'pending' AND send_at > $2",
    "UPDATE endpoint SET probe_at = $1 WHERE probe_at > $2",
)


async def claim(c: Connection, lane: str, most: int, now: datetime, until: datetime, lease: str) -> list[Due]:
    """Those of a lane that have been due longest."""
    rows = await c.fetch(_CLAIM.format(most=most), lease, micros(until), lane, micros(now))
    return await with_histories(c, rows)


@dataclass(slots=True)
class Head:
    """Where a queue began in the index of due times when this process looked last.

    With each claim the server reads past all that has moved on since the last vacuum: up to 200,000
    entries of ten million shipments. What is written is due at the time of writing or later, so nothing
    gets before the head. Clocks of processes may differ: it is sought from the beginning now and then,
    and before saying that nothing is due.
    """

    queue: str
    due_at: int = 0  # microseconds
    sought_at: int = 0

    def since(self, at: int) -> int:
        """From where to look; 0: from the beginning."""
        return self.due_at if 0 <= at - self.sought_at < HEAD_GOOD // _MICROSECOND else 0


async def take_turn(
    c: Connection,
    head: Head,
    most: int,
    limits: Limits,
    now: Callable[[], datetime],
    until: datetime,
    lease: str,
    ahead: timedelta,
) -> tuple[Grant | None, list[Any]]:
    """A call and the rows of the shipments for it; nothing changes when one of them is not to be had.

    The lane is held until the commit, so that its limits are exact whatever the processes. Those who waited
    for it, or for the database, all go on at the same moment: counted at the times at which they began, their
    calls would seem to be within the rate.
    """
    queue = head.queue
    at, name = micros(now()), home(queue)
    since = head.since(at)
    row = await c.fetchrow(_LANE, name, queue, since)
    if row is None:
        await c.execute(_NEW_LANE, *lane_values(Lane(name)))
        row = await c.fetchrow(_LANE, name, queue, since)
    if since and not _is_due(row, at):
        since = 0
        row = await c.fetchrow(_LANE, name, queue, since)
    if not _is_due(row, at):
        return None, []
    head.due_at, head.sought_at = row[len(LANE)], head.sought_at if since else at
    got = now()
    grant = take(lane_of(row), limits, got)
    if not grant.granted:
        return grant, []
    rows = await c.fetch(
        _TAKE_TURN.format(most=most),
        lease, micros(until), queue, at, micros(got + ahead), head.due_at, *lane_values(grant.lane),
    )  # fmt: skip
    return (grant, rows) if rows else (None, [])


def _is_due(row: Any, at: int) -> bool:
    """Whether _LANE found something."""
    due_at = row[len(LANE)]
    return due_at is not None and due_at <= at


async def take_call(c: Connection, name: str, taking: Taking, now: Callable[[], datetime]) -> Grant:
    """A call from a lane, which is held until the commit."""
    row = await c.fetchrow(_HELD_LANE, name)
    if row is None:
        await c.execute(_NEW_LANE, *lane_values(Lane(name)))
        row = await c.fetchrow(_HELD_LANE, name)
    grant = taking(lane_of(row), now())
    if grant.granted:
        await c.execute(_SPEND, *lane_values(grant.lane))
    return grant


async def census(c: Connection, lane: str) -> dict[SubStatus | None, int]:
    """Shipments of a lane by sub-status; of a large table a part is counted, which need not take long."""
    part = min(1.0, CENSUS_ROWS / max(1.0, await c.fetchval(_SIZE)))
    rows = await c.fetch(_CENSUS, lane, 100 * part)
    return {SubStatus(name) if name else None: round(count / part) for name, count in rows}


async def begin_reroute(c: Connection, routing: str) -> bool:
    """Whether there is something left to look at."""
    await c.execute("INSERT INTO meta VALUES ('routing', '') ON CONFLICT DO NOTHING")
    state = routing_state(await c.fetchval(_ROUTING))
    if state.routing != routing:
        state = Routing(routing, 0)
        await c.execute(_KEEP_ROUTING, routing_text(state))
    return state.seen is not None


async def reroute(
    c: Connection, routing: str, target: Callable[[str, str], str | None], most: int, now: datetime
) -> int | None:
    """Look at the next shipments; answers how many have moved. The place is held meanwhile."""
    state = routing_state(await c.fetchval(_ROUTING))
    if state.routing != routing or state.seen is None:
        return None
    rows = await c.fetch(_NEXT_ROUTED, state.seen, most)
    targets = {pair: target(*pair) for pair in {(row[2], row[3]) for row in rows}}
    moves = [(row[0], row[1], row[3], targets[row[2], row[3]]) for row in rows if targets[row[2], row[3]]]
    done = await c.execute(_REROUTE, micros(now), *columns(moves, 4))
    await c.execute(_KEEP_ROUTING, routing_text(Routing(routing, rows[-1][0] if len(rows) == most else None)))
    return count_of(done)


async def claim_one(c: Connection, shipment: int, until: datetime, lease: str) -> Due | None:
    """One shipment, whoever holds it; None when there is none."""
    dues = await with_histories(c, await c.fetch(_CLAIM_ONE, lease, micros(until), shipment))
    return dues[0] if dues else None


async def with_histories(c: Connection, rows: Sequence[Any]) -> list[Due]:
    """Read after the claim was committed: whoever held the lease before has saved or will be refused."""
    shipments = [shipment_of(row) for row in rows]
    histories: dict[int, list[History]] = {}
    if shipments:
        for shipment, data in await c.fetch(_HISTORIES, [one.id for one in shipments]):
            histories.setdefault(shipment, []).append(history_of(data))
    return [Due(shipment, tuple(histories.get(shipment.id, ()))) for shipment in shipments]


async def complete(c: Connection, instance: str, results: Sequence[Refreshed]) -> list[bool]:
    """Save results; False where a lease had gone. A lease is good once.

    What enqueues or corrects needs a transaction: its shipments are held by a statement before.
    """
    first = {(one.shipment.id, one.shipment.lease): one for one in reversed(results)}
    todo = list(first.values())
    if any(one.pushes or one.corrects or one.counts for one in todo):
        await hold(c, [one.shipment.id for one in todo])
    held: set[tuple[int, str | None]] = set()
    for one in todo:
        if one.corrects and await _is_held(c, one) and await make_room(c, one.shipment):
            held |= await _save(c, instance, [one])
    held |= await _save(c, instance, [one for one in todo if not one.corrects])
    saved = [one for one in todo if (one.shipment.id, one.shipment.lease) in held]
    await learn(c, ((one.shipment.account, count, one.attempt.at) for one in saved for count in one.counts))
    answers = []
    for one in results:  # of two with one lease the first
        answers.append((one.shipment.id, one.shipment.lease) in held)
        held.discard((one.shipment.id, one.shipment.lease))
    return answers


async def _save(c: Connection, instance: str, results: Sequence[Refreshed]) -> set[tuple[int, str | None]]:
    if not results:
        return set()
    try:
        rows = await c.fetch(_COMPLETE, *_complete_parameters(instance, results))
    except asyncpg.UniqueViolationError as error:
        raise TryAgain("the same was registered at this moment") from error
    return {(row[0], row[1]) for row in rows}


async def _is_held(c: Connection, result: Refreshed) -> bool:
    statement = "SELECT true FROM shipment WHERE id = $1 AND lease = $2"
    return bool(await c.fetchval(statement, result.shipment.id, result.shipment.lease))


async def hasten(c: Connection, now: datetime, most: timedelta) -> int:
    """What is due later than can be is due now; answers how many rows."""
    late = micros(now), micros(now + most)
    newest = await c.fetchval("SELECT max(at) FROM change")
    if newest is not None and newest > late[1]:  # what waits in a queue is due as of when it came into it
        await c.execute("UPDATE push SET created_at = $1 WHERE state = 'pending' AND created_at > $2", *late)
    return sum([count_of(await c.execute(sql, *late)) for sql in _HASTEN])


def _complete_parameters(instance: str, results: Sequence[Refreshed]) -> list[Any]:
    shipments, logs, told, documents, given_up = [], [], [], [], []
    raws: dict[tuple[int, bytes], tuple[Any, ...]] = {}
    hashes: dict[int, bytes] = {}  # a reply to a call is that of many shipments: it is hashed once
    for result in results:
        shipment, attempt = result.shipment, result.attempt
        key = shipment.id, shipment.account
        shipments.append((*key, shipment.lease, *mutable_values(shipment)))
        raw = hashes.get(id(result.raw)) if result.raw else None
        if result.raw and raw is None:
            raw = hashes[id(result.raw)] = raw_hash(result.raw)
        if result.raw and raw and (shipment.account, raw) not in raws:
            raws[shipment.account, raw] = (
                shipment.account, raw, micros(attempt.at), result.raw.status, packed(result.raw),
            )  # fmt: skip
        logs.append(
            (
                *key, micros(attempt.at), attempt.lane, attempt.outcome, attempt.ms, attempt.text,
                None if result.histories else raw,
            )
        )  # fmt: skip
        told += [(*key, one.source, history_bytes(one), raw) for one in result.histories]
        if result.given_up is not None:
            source = home(shipment.lane).partition(":")[0]
            given_up.append((shipment.id, source, shipment.number, shipment.carrier, result.given_up))
        if result.document is not None:
            documents.append((*key, result.document.template, result.document.estimate))
    sending = [(one.shipment, push, one.attempt.at) for one in results for push in one.pushes]
    return [
        *pushes.parameters(instance, sending),
        *columns(shipments, _WIDTH), *columns(logs, 8), *columns(told, 5), *columns(documents, 4),
        *columns(list(raws.values()), 5), *columns(given_up, 5),
    ]  # fmt: skip


async def rewind(c: Connection, shipment: int, by: timedelta, now: datetime) -> None:
    """Let a journey, with all that is known of it, begin earlier by ``by``."""
    await c.execute(
        """UPDATE shipment SET since = since - $1, lease = NULL,
        refresh_at = CASE WHEN refresh_at IS NULL THEN NULL ELSE $2::bigint END WHERE id = $3""",
        by // _MICROSECOND,
        micros(now),
        shipment,
    )
    told = await c.fetch("SELECT source, history FROM source_report WHERE shipment = $1", shipment)
    await c.executemany(
        "UPDATE source_report SET history = $1 WHERE shipment = $2 AND source = $3",
        [(history_bytes(earlier(history_of(data), by)), shipment, source) for source, data in told],
    )


def count_of(status: str) -> int:
    """Rows, from what the server says of a statement: ``UPDATE 3``."""
    return int(status.rpartition(" ")[2])
