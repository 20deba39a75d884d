"""Pushes inside one transaction: for each endpoint the changes of a shipment go one after the other."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from parcelwire.domain.endpoint import Endpoint, EndpointState, EndpointTurn, Wants
from parcelwire.domain.push import (
    Chosen,
    NewPush,
    PushEvent,
    PushJob,
    PushRecord,
    PushResult,
    PushState,
    Try,
    push_id,
)
from parcelwire.domain.shipment import Shipment
from parcelwire.store.attempts import Settled, jobs_of, settle, standings
from parcelwire.store.rows import json_of, micros, micros_or_none, moment, moment_or_none, wants_of
from parcelwire.store.sqlite import endpoints
from parcelwire.store.sqlite.inserts import next_id
from parcelwire.store.vault import Vault, sign_key_place

_FOR_EVER = 2**62  # a time after all times

_NEWEST_CHANGES = """
SELECT id, newest_change FROM shipment WHERE id IN (SELECT value FROM json_each(?))
"""
_CHANGE = """
INSERT INTO change (id, account, shipment, version, at, event, before, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
# The changes of a shipment have no index, which would be a page in a random place for each refresh with news:
# each row tells the one before, as in its log.
_NEWEST_PUSHES = """
WITH RECURSIVE told (id, before) AS (
  SELECT c.id, c.before FROM shipment s JOIN change c ON c.id = s.newest_change
  WHERE s.id = ? AND s.account = ?
  UNION ALL
  SELECT c.id, c.before FROM told JOIN change c ON c.id = told.before
)
SELECT p.id, p.endpoint, max(p.version) FROM told JOIN push p ON p.change = told.id GROUP BY p.endpoint
"""
_HINT = """
UPDATE endpoint SET due_at = max(?1, coalesce(probe_at, 0))
WHERE id = ?2 AND state <> 'paused' AND (due_at IS NULL OR due_at > max(?1, coalesce(probe_at, 0)))
"""
_PENDING = """
SELECT p.endpoint, p.shipment FROM json_each(?) CROSS JOIN push p
ON p.endpoint = value->>0 AND p.shipment = value->>1 AND p.state = 'pending'
"""
_QUEUE = """
INSERT INTO push (id, endpoint, shipment, version, change, event, state, send_at, created_at)
VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?)
"""
_DUE = f"""
SELECT {", ".join(f"e.{name}" for name in endpoints.ENDPOINT)}, a.sign_key
FROM endpoint e JOIN account a ON a.id = e.account WHERE e.due_at <= ? ORDER BY e.due_at LIMIT ?
"""
# Every row that is fetched hands the interpreter to and fro with the event loop: all pushes are one row, both
# of its columns in the same order. An endpoint has room for what its width leaves beside what is under way.
_SENDABLE = """
SELECT json_group_array(json_array(id, shipment, version, change, event, attempts, tries, seq, length(body))),
  CAST(group_concat(CAST(body AS TEXT), '') AS BLOB)
FROM (
  SELECT p.id, p.shipment, p.version, p.change, p.event, p.attempts, p.tries, p.seq, c.body
  FROM push p JOIN change c ON c.id = p.change
  WHERE p.endpoint = ?1 AND p.state = 'pending' AND p.send_at IS NOT NULL AND p.send_at <= ?2
  ORDER BY p.send_at {direction}
  LIMIT max(0, min(?3, ?4 - (
    SELECT count(*) FROM push WHERE endpoint = ?1 AND lease IS NOT NULL AND send_at > ?5
  )))
)
"""
_OLDEST, _NEWEST = _SENDABLE.format(direction="ASC"), _SENDABLE.format(direction="DESC")
_LEASE = "UPDATE push SET lease = ?, send_at = ? WHERE seq IN (SELECT value FROM json_each(?))"
_FINISH = """
WITH r AS (SELECT value->>0 AS seq, value->>1 AS state, value->>2 AS again_at, value->>3 AS queued,
  value->>4 AS attempts, value->>5 AS tries, value->>6 AS done_at FROM json_each(?))
UPDATE push SET state = r.state, send_at = coalesce(r.again_at, iif(r.queued, created_at, NULL)),
  lease = NULL, attempts = r.attempts, tries = r.tries, done_at = r.done_at
FROM r WHERE push.seq = r.seq
"""
_STANDINGS = """(
  SELECT value->>0 AS shipment, value->>2 AS push, value->>3 AS code, value->>4 AS at FROM json_each(?)
) AS r"""
# Mostly the same came of it as the last time; what is not set need not be moved in the indexes of the list.
_LIST_SAME = f"""
UPDATE listing SET push_at = r.at FROM {_STANDINGS}
WHERE listing.shipment = r.shipment AND (listing.push, listing.push_code) = (r.push, r.code)
"""
_LIST_OTHER = f"""
UPDATE listing SET push = r.push, push_code = r.code, push_at = r.at FROM {_STANDINGS}
WHERE listing.shipment = r.shipment AND (listing.push, listing.push_code) <> (r.push, r.code)
"""
_LOG_ATTEMPTS = "INSERT INTO push_attempt (push, n, at, http_status, ms, detail, body_start) VALUES "
_ACTIVATE_NEXT = """
UPDATE push SET send_at = created_at WHERE send_at IS NULL AND seq IN (
  SELECT (
    SELECT p.seq FROM push p WHERE p.endpoint = value->>0 AND p.shipment = value->>1 AND p.state = 'pending'
    ORDER BY p.version LIMIT 1
  ) FROM json_each(?)
)
"""
_LOG = """
SELECT p.id, p.endpoint, s.number, s.carrier, p.event, p.version, p.state, p.created_at, p.send_at, p.attempts
FROM push p JOIN change c ON c.id = p.change JOIN shipment s ON s.id = p.shipment WHERE {where}
ORDER BY p.change DESC, p.endpoint DESC LIMIT ?
"""


def enqueue(
    c: sqlite3.Connection, instance: str, sending: Sequence[tuple[Shipment, NewPush, datetime]]
) -> None:
    """A change for the feed, and a push for every endpoint that wants it."""
    if not sending:
        return
    receivers = {
        account: _receivers(c, account) for account in {shipment.account for shipment, _, _ in sending}
    }
    wanted: list[tuple[int, int, NewPush, int, datetime]] = []
    for change, (shipment, push, at) in enumerate(sending, _keep(c, sending)):
        status = shipment.sub_status.status if shipment.sub_status else None
        for endpoint, by_request, wants in receivers[shipment.account]:
            if wants.hears(push.event, status) and (by_request or not push.by_request):
                wanted.append((endpoint, shipment.id, push, change, at))
    _queue(c, instance, wanted)


def _keep(c: sqlite3.Connection, sending: Sequence[tuple[Shipment, NewPush, datetime]]) -> int:
    """Each change behind the one before of its shipment; answers the id of the first, on which the others
    follow."""
    shipments = json_of([shipment.id for shipment, _, _ in sending])
    newest: dict[int, int | None] = dict(c.execute(_NEWEST_CHANGES, (shipments,)))
    first = next_id(c, "change")
    rows = []
    for change, (shipment, push, at) in enumerate(sending, first):
        before, newest[shipment.id] = newest[shipment.id], change
        rows.append(
            (
                change, shipment.account, shipment.id, push.version, micros(at), push.event.value, before,
                push.body,
            )
        )  # fmt: skip
    c.executemany(_CHANGE, rows)
    c.executemany(
        "UPDATE shipment SET newest_change = ? WHERE id = ?",
        [(change, shipment) for shipment, change in newest.items()],
    )
    return first


def _queue(
    c: sqlite3.Connection, instance: str, wanted: Sequence[tuple[int, int, NewPush, int, datetime]]
) -> None:
    """Pushes by endpoint, shipment, change and time. One waits while an older one of its shipment is not done
    at the endpoint."""
    pairs = json_of([(endpoint, shipment) for endpoint, shipment, _, _, _ in wanted])
    pending: set[tuple[int, int]] = set(c.execute(_PENDING, (pairs,)))
    rows: list[tuple[Any, ...]] = []
    hints: dict[int, int] = {}
    for endpoint, shipment, push, change, at in wanted:
        now = micros(at)
        waits = (endpoint, shipment) in pending
        pending.add((endpoint, shipment))
        if not waits:
            hints[endpoint] = min(now, hints.get(endpoint, now))
        rows.append(
            (
                push_id(instance, endpoint, shipment, push.version, at), endpoint, shipment, push.version,
                change, push.event.value, None if waits else now, now,
            )
        )  # fmt: skip
    c.executemany(_QUEUE, rows)
    c.executemany(_HINT, [(at, endpoint) for endpoint, at in hints.items()])


def _receivers(c: sqlite3.Connection, account: int) -> list[tuple[int, bool, Wants]]:
    """The endpoints of an account: whether it wants to hear of stops by request, and what else."""
    rows = c.execute(
        "SELECT id, stopped_by_request, events, statuses FROM endpoint WHERE account = ?", (account,)
    )
    return [(row[0], bool(row[1]), wants_of(row[2], row[3])) for row in rows]


def claim(
    c: sqlite3.Connection, vault: Vault, most: int, now: datetime, until: datetime, lease: str
) -> list[PushJob]:
    """Due pushes of the endpoints that have waited longest, as many as each has room for."""
    due = c.execute(_DUE, (micros(now), most)).fetchall()
    jobs: list[PushJob] = []
    looked_at = []
    for row in due:
        if len(jobs) == most:
            break
        endpoint = endpoints.endpoint_of(vault, row)
        taken = _take(c, endpoint, most - len(jobs), now, until, lease)
        sign_key = vault.open(row[-1], sign_key_place(endpoint.account)) if taken else ""
        jobs += jobs_of(endpoint, taken, sign_key, now, lease)
        looked_at.append(endpoint.id)
    if looked_at:
        endpoints.plan(c, looked_at, now)
    return jobs


def _take(
    c: sqlite3.Connection, endpoint: Endpoint, most: int, now: datetime, until: datetime, lease: str
) -> list[list[Any]]:
    """Lease what the endpoint may be sent now; rows as for ``jobs_of``."""
    health = endpoint.health
    failing = health.state is EndpointState.FAILING
    if health.state is EndpointState.PAUSED or (failing and health.probe_at and health.probe_at > now):
        return []
    last = _FOR_EVER if failing else micros(now)
    statement = _NEWEST if failing and health.newest_first else _OLDEST
    told, bodies = c.execute(statement, (endpoint.id, last, most, health.width, micros(now))).fetchone()
    taken: list[list[Any]] = json.loads(told)
    if not taken:
        return []
    c.execute(_LEASE, (lease, micros(until), json_of([row[7] for row in taken])))
    start = 0
    for row in taken:
        end = start + row[8]
        row[7:] = [bodies[start:end]]
        start = end
    return taken


def finish(c: sqlite3.Connection, results: Sequence[PushResult]) -> tuple[int, list[EndpointTurn]]:
    """Keep attempts; answers how many were dropped, and which endpoints came into another state."""
    if not results:
        return 0, []
    known = endpoints.at_work(c, {result.job.endpoint for result in results})
    held = {(identity, lease): seq for one in known.values() for identity, lease, seq in one.leased}
    healths = {endpoint: one.health for endpoint, one in known.items()}
    kept: list[tuple[int, Settled]] = []
    for result in results:
        seq = held.pop((result.job.id, result.job.lease), None)
        if seq is not None:
            kept.append((seq, settle(result, healths)))
    _write(c, kept)
    turns = []
    for endpoint, (account, before, _) in known.items():
        if healths[endpoint] is not before:
            turn = EndpointTurn(endpoint, account, before.state, healths[endpoint])
            endpoints.save(c, turn)
            turns.append(turn)
    endpoints.plan(c, known, max(result.ended_at for result in results))
    return len(results) - len(kept), [turn for turn in turns if turn.health.state is not turn.before]


def _write(c: sqlite3.Connection, kept: Sequence[tuple[int, Settled]]) -> None:
    """Pushes, their log, and the next versions that may go now."""
    if not kept:
        return
    rows: list[tuple[Any, ...]] = []
    log: list[Any] = []
    done: list[tuple[int, int]] = []
    for seq, one in kept:
        result, job = one.result, one.result.job
        attempt = job.attempts + 1
        rows.append((seq, one.state, one.again_at, one.queued, attempt, one.tries, one.done_at))
        log += (
            seq, attempt, micros(result.at), result.http_status, result.ms, result.detail, result.body_start,
        )  # fmt: skip
        if one.done_at is not None:
            done.append((job.endpoint, job.shipment))
    # One step each: a statement a row would hand the interpreter to and fro with the event loop every time.
    c.execute(_FINISH, (json_of(rows),))
    c.execute(_LOG_ATTEMPTS + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(rows)), log)
    for _, one in kept:
        if one.tired and _supersede(c, one.result.job, one.result.ended_at):
            done.append((one.result.job.endpoint, one.result.job.shipment))
    let_next_go(c, done)
    told = standings(one for _, one in kept)
    if c.execute(_LIST_SAME, (json_of(told),)).rowcount < len(told):
        c.execute(_LIST_OTHER, (json_of(told),))


def let_next_go(c: sqlite3.Connection, chains: Sequence[tuple[int, int]]) -> None:
    """The oldest pending push of each endpoint and shipment, unless one has a send time."""
    c.execute(_ACTIVATE_NEXT, (json_of(chains),))


def _supersede(c: sqlite3.Connection, job: PushJob, now: datetime) -> bool:
    """Whether a newer body, which contains this one's events, waits: then this one and those between go."""
    newest = c.execute(
        """SELECT max(version) FROM push WHERE endpoint = ? AND shipment = ? AND state = 'pending'
        AND event = 'TRACKING_UPDATED'""",
        (job.endpoint, job.shipment),
    ).fetchone()[0]
    if newest is None or newest <= job.version:
        return False
    c.execute(
        """UPDATE push SET state = 'superseded', send_at = NULL, done_at = ? WHERE endpoint = ?
        AND shipment = ? AND state = 'pending' AND event = 'TRACKING_UPDATED' AND version < ?""",
        (micros(now), job.endpoint, job.shipment, newest),
    )
    return True


def replay(c: sqlite3.Connection, account: int, chosen: Chosen, now: datetime) -> int:
    """What is done and chosen is pending again."""
    where, values = _where(account, chosen)
    again = c.execute(
        f"""UPDATE push SET state = 'pending', send_at = NULL, done_at = NULL, tries = 0 WHERE seq IN (
          SELECT p.seq FROM push p JOIN change c ON c.id = p.change JOIN shipment s ON s.id = p.shipment
          WHERE {where} AND p.state <> 'pending'
        ) RETURNING endpoint, shipment""",
        values,
    ).fetchall()
    for endpoint, shipment in set(again):
        under_way = c.execute(
            """SELECT 1 FROM push WHERE endpoint = ? AND shipment = ? AND state = 'pending'
            AND lease IS NOT NULL""",
            (endpoint, shipment),
        ).fetchone()
        if not under_way:  # else its end lets the oldest go
            c.execute(
                """UPDATE push SET send_at = NULL WHERE endpoint = ? AND shipment = ? AND state = 'pending'
                AND send_at IS NOT NULL""",
                (endpoint, shipment),
            )
            let_next_go(c, [(endpoint, shipment)])
    endpoints.plan(c, {endpoint for endpoint, _ in again}, now)
    return len(again)


def replay_newest(c: sqlite3.Connection, account: int, shipment: int, now: datetime) -> bool:
    """The newest push of a shipment, for each endpoint that had one, is due again; False: none is kept."""
    rows = c.execute(_NEWEST_PUSHES, (shipment, account)).fetchall()
    replay(c, account, Chosen(ids=tuple(identity for identity, *_ in rows)), now)
    for identity, *_ in rows:
        c.execute(
            "UPDATE push SET send_at = created_at WHERE id = ? AND send_at IS NOT NULL AND lease IS NULL",
            (identity,),
        )
    endpoints.plan(c, {endpoint for _, endpoint, _ in rows}, now)
    return bool(rows)


def counts(c: sqlite3.Connection, account: int) -> dict[int, dict[PushState, int]]:
    """Pending and dead pushes by endpoint."""
    found: dict[int, dict[PushState, int]] = {}
    for endpoint, state, count in c.execute(
        """SELECT e.id, 'pending', (SELECT count(*) FROM push WHERE endpoint = e.id AND state = 'pending')
          FROM endpoint e WHERE e.account = ?1
        UNION ALL SELECT e.id, 'dead', (SELECT count(*) FROM push WHERE endpoint = e.id AND state = 'dead')
          FROM endpoint e WHERE e.account = ?1""",
        (account,),
    ):
        if count:
            found.setdefault(endpoint, {})[PushState(state)] = count
    return found


def records(c: sqlite3.Connection, account: int, chosen: Chosen, most: int) -> list[PushRecord]:
    """The newest pushes and their attempts."""
    where, values = _where(account, chosen)
    rows = c.execute(_LOG.format(where=where), (*values, most)).fetchall()
    attempts: dict[str, list[Try]] = {}
    for push, n, at, http_status, ms, detail, start in c.execute(
        """SELECT p.id, a.n, a.at, a.http_status, a.ms, a.detail, a.body_start
        FROM push_attempt a JOIN push p ON p.seq = a.push
        WHERE p.id IN (SELECT value FROM json_each(?)) ORDER BY a.push, a.n""",
        (json.dumps([row[0] for row in rows]),),
    ):
        attempts.setdefault(push, []).append(Try(n, moment(at), http_status, ms, detail, start))
    return [
        PushRecord(
            identity, endpoint, number, carrier, PushEvent(event), version, PushState(state),
            moment(created_at), moment_or_none(send_at), made, tuple(attempts.get(identity, ())),
        )
        for identity, endpoint, number, carrier, event, version, state, created_at, send_at, made in rows
    ]  # fmt: skip


def _where(account: int, chosen: Chosen) -> tuple[str, list[Any]]:
    """The condition on push p, its change c and its shipment s."""
    parts: list[str] = ["c.account = ?"]
    values: list[Any] = [account]
    for part, value in (
        ("p.id IN (SELECT value FROM json_each(?))", None if chosen.ids is None else json.dumps(chosen.ids)),
        ("p.endpoint = ?", chosen.endpoint),
        ("s.number = ?", chosen.number),
        ("p.state = ?", chosen.state.value if chosen.state else None),
        ("c.at >= ?", micros_or_none(chosen.since)),
        ("c.at < ?", micros_or_none(chosen.before)),
    ):
        if value is not None:
            parts.append(part)
            values.append(value)
    return " AND ".join(parts), values
