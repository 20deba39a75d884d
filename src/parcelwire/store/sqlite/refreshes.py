"""Refreshes inside one transaction: claimed, completed, forgotten after a while."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import Grant, Lane, take
from parcelwire.domain.limits import Limits
from parcelwire.domain.merge import earlier
from parcelwire.domain.queue import home
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.ports import Attempt, Due, Refreshed, Taking, Turn
from parcelwire.store.rows import (
    LANE,
    MUTABLE,
    Routing,
    history_bytes,
    history_of,
    lane_of,
    lane_values,
    micros,
    moment,
    mutable_values,
    packed,
    raw_hash,
    routing_state,
    routing_text,
    shipment_of,
)
from parcelwire.store.sqlite import documents, pushes, upstream
from parcelwire.store.sqlite.inserts import next_id
from parcelwire.store.sqlite.learned import learn
from parcelwire.store.sqlite.registrations import COLUMNS, make_room, update

AHEAD_PART = 4  # of its interval may be left when a shipment is asked about ahead of its time
_LANE = ", ".join(LANE)
_LANE_MARKS = ", ".join("?" * len(LANE))
# A look-up in the index for each lane, not for each shipment.
LANE_NAMES = """RECURSIVE names (name) AS (
  SELECT (SELECT min(lane) FROM shipment WHERE refresh_at IS NOT NULL)
  UNION ALL
  SELECT (SELECT min(lane) FROM shipment WHERE refresh_at IS NOT NULL AND lane > name)
  FROM names WHERE name IS NOT NULL
)"""
_CLAIM = f"""
UPDATE shipment SET lease = ?, refresh_at = ? WHERE id IN (
  SELECT min(id) FROM (
    SELECT id, number FROM shipment WHERE lane = ? AND refresh_at IS NOT NULL AND refresh_at <= ?
    ORDER BY refresh_at LIMIT ?
  ) GROUP BY number
) RETURNING {COLUMNS}
"""
_DUE = "SELECT 1 FROM shipment WHERE lane = ? AND refresh_at IS NOT NULL AND refresh_at <= ? LIMIT 1"
_CLAIM_AHEAD = f"""
UPDATE shipment SET lease = ?1, refresh_at = ?2 WHERE id IN (
  SELECT min(id) FROM (
    SELECT id, number FROM shipment WHERE lane = ?3 AND refresh_at IS NOT NULL AND refresh_at <= ?5
    AND (refresh_at <= ?4 OR (lease IS NULL AND (refresh_at - ?4) * {AHEAD_PART} <= refresh_at - asked_at))
    ORDER BY refresh_at LIMIT ?6
  ) GROUP BY number
) RETURNING {COLUMNS}
"""
_CENSUS = """
SELECT sub_status, count(*) FROM shipment
WHERE (lane = ?1 OR lane > ?1 || '/' AND lane < ?1 || '0') AND refresh_at IS NOT NULL GROUP BY sub_status
"""
_NEXT_ROUTED = "SELECT id, carrier, lane FROM shipment WHERE id > ? ORDER BY id LIMIT ?"
_REROUTE = (
    "UPDATE shipment SET lane = ?, lease = NULL, refresh_at = iif(refresh_at IS NULL, NULL, ?) WHERE id = ?"
)
_HASTEN = (
    f"""UPDATE shipment SET refresh_at = ?
    WHERE lane IN (WITH {LANE_NAMES} SELECT name FROM names) AND refresh_at > ?""",
    "UPDATE push SET send_at = ?1 WHERE state = 'pending' AND send_at > ?2",
    "UPDATE endpoint SET due_at = ?1, probe_at = min(probe_at, ?1) WHERE due_at > ?2",
)
_HISTORIES = """
SELECT shipment, history FROM source_report WHERE shipment IN (SELECT value FROM json_each(?)) ORDER BY source
"""
_LEASED = """
SELECT id, lease, logged FROM shipment WHERE id IN (SELECT value FROM json_each(?)) AND lease IS NOT NULL
"""
# SQLite writes the index of a column that is set, also where its value stays: on a page in a random place.
# The carrier, which a shipment is unique by, is set where it changes.
_SAVE = f"{update(MUTABLE[1:])}, logged = ? WHERE id = ?"
_SAVE_CORRECTED = f"{update(MUTABLE)}, logged = ? WHERE id = ?"
_RAWS_BEFORE = """
SELECT DISTINCT raw FROM source_report
WHERE shipment IN (SELECT value FROM json_each(?)) AND raw IS NOT NULL
"""
_TELL = """
INSERT INTO source_report (shipment, source, history, raw) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET history = excluded.history, raw = excluded.raw
"""
_LOG = """
INSERT INTO refresh_log (id, shipment, before, at, lane, outcome, ms, text, raw)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# The log of a shipment has no index, which would be a page in a random place for each refresh: each row tells
# the one before. The oldest is pruned first, whatever the clock showed: no row is left behind a gap.
_ATTEMPTS = """
WITH RECURSIVE log (before, at, lane, outcome, ms, text) AS (
  SELECT l.before, l.at, l.lane, l.outcome, l.ms, l.text
  FROM shipment s JOIN refresh_log l ON l.id = s.logged AND l.shipment = s.id WHERE s.id = ?1
  UNION ALL
  SELECT l.before, l.at, l.lane, l.outcome, l.ms, l.text
  FROM log JOIN refresh_log l ON l.id = log.before AND l.shipment = ?1
  LIMIT ?2
)
SELECT at, lane, outcome, ms, text FROM log
"""
_FORGET_RAW = """
DELETE FROM raw_reply WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM source_report WHERE raw = ?1)
  AND NOT EXISTS (SELECT 1 FROM refresh_log WHERE raw = ?1)
"""


def claim(
    c: sqlite3.Connection, lane: str, most: int, now: datetime, until: datetime, lease: str
) -> list[Due]:
    """Those of a lane that have been due longest."""
    rows = c.execute(_CLAIM, (lease, micros(until), lane, micros(now), most)).fetchall()
    return _with_histories(c, [shipment_of(row) for row in rows])


def take_turn(
    c: sqlite3.Connection,
    queue: str,
    most: int,
    limits: Limits,
    now: datetime,
    until: datetime,
    lease: str,
    ahead: timedelta,
) -> Turn:
    """A call and the shipments for it; nothing changes when one of them is not to be had."""
    at = micros(now)
    if c.execute(_DUE, (queue, at)).fetchone() is None:
        return Turn()
    grant = take(read_lane(c, home(queue)), limits, now)
    if not grant.granted:
        return Turn(grant)
    write_lane(c, grant.lane)
    rows = c.execute(_CLAIM_AHEAD, (lease, micros(until), queue, at, micros(now + ahead), most)).fetchall()
    return Turn(grant, tuple(_with_histories(c, [shipment_of(row) for row in rows])))


def take_call(c: sqlite3.Connection, name: str, taking: Taking, now: datetime) -> Grant:
    """A call from a lane."""
    grant = taking(read_lane(c, name), now)
    if grant.granted:
        write_lane(c, grant.lane)
    return grant


def read_lane(c: sqlite3.Connection, name: str) -> Lane:
    """A lane; a fresh one when it was never used."""
    row = c.execute(f"SELECT {_LANE} FROM lane WHERE name = ?", (name,)).fetchone()
    return lane_of(row) if row else Lane(name)


def write_lane(c: sqlite3.Connection, lane: Lane) -> None:
    """Keep a lane."""
    c.execute(f"INSERT OR REPLACE INTO lane ({_LANE}) VALUES ({_LANE_MARKS})", lane_values(lane))


def census(c: sqlite3.Connection, lane: str) -> dict[SubStatus | None, int]:
    """Shipments of a lane by sub-status."""
    return {SubStatus(name) if name else None: count for name, count in c.execute(_CENSUS, (lane,))}


def begin_reroute(c: sqlite3.Connection, routing: str) -> bool:
    """Whether there is something left to look at."""
    state = routing_state(_routing(c))
    if state.routing != routing:
        state = Routing(routing, 0)
        _keep_routing(c, state)
    return state.seen is not None


def reroute(
    c: sqlite3.Connection, routing: str, target: Callable[[str, str], str | None], most: int, now: datetime
) -> int | None:
    """Look at the next shipments; answers how many have moved."""
    state = routing_state(_routing(c))
    if state.routing != routing or state.seen is None:
        return None
    rows = c.execute(_NEXT_ROUTED, (state.seen, most)).fetchall()
    targets = {pair: target(*pair) for pair in {(carrier, lane) for _, carrier, lane in rows}}
    moves = [
        (targets[carrier, lane], micros(now), one) for one, carrier, lane in rows if targets[carrier, lane]
    ]
    c.executemany(_REROUTE, moves)
    _keep_routing(c, Routing(routing, rows[-1][0] if len(rows) == most else None))
    return len(moves)


def _routing(c: sqlite3.Connection) -> str | None:
    row = c.execute("SELECT value FROM meta WHERE key = 'routing'").fetchone()
    return row[0] if row else None


def _keep_routing(c: sqlite3.Connection, state: Routing) -> None:
    c.execute("INSERT OR REPLACE INTO meta VALUES ('routing', ?)", (routing_text(state),))


def claim_one(c: sqlite3.Connection, shipment: int, until: datetime, lease: str) -> Due | None:
    """One shipment, whoever holds it; None when there is none."""
    rows = c.execute(
        f"""UPDATE shipment SET lease = ?, refresh_at = iif(refresh_at IS NULL, NULL, ?)
        WHERE id = ? RETURNING {COLUMNS}""",
        (lease, micros(until), shipment),
    ).fetchall()
    return next(iter(_with_histories(c, [shipment_of(row) for row in rows])), None)


def complete(c: sqlite3.Connection, instance: str, results: Sequence[Refreshed]) -> int:
    """Save results; answers how many were dropped because their lease had gone. A lease is good once.

    One statement for all rows of a table: each statement on its own costs more than the row that it writes.
    """
    held = _held(c, results)
    saved = [one for one, _ in held]
    first = next_id(c, "refresh_log")
    new = [
        (one.corrects, mutable_values(one.shipment), place, one.shipment.id)
        for place, one in enumerate(saved, first)
    ]
    c.executemany(_SAVE, [(*values[1:], *rest) for corrects, values, *rest in new if not corrects])
    c.executemany(_SAVE_CORRECTED, [(*values, *rest) for corrects, values, *rest in new if corrects])
    raws = _keep_raws(c, saved)
    _keep_histories(c, saved, raws)
    for one in saved:
        if one.given_up is not None:
            pair = one.shipment.number, one.shipment.carrier
            upstream.give_up(c, home(one.shipment.lane).partition(":")[0], pair, one.given_up)
        learn(c, one.shipment.account, one.counts, one.attempt.at)
    documents.keep(c, [(one.shipment.id, one.document) for one in saved if one.document is not None])
    c.executemany(
        _LOG,
        [
            (
                place, one.shipment.id, before, micros(one.attempt.at), one.attempt.lane,
                one.attempt.outcome, one.attempt.ms, one.attempt.text,
                None if one.histories else raws.get(id(one.raw)),
            )
            for place, (one, before) in enumerate(held, first)
        ],
    )  # fmt: skip
    pushes.enqueue(
        c, instance, [(one.shipment, push, one.attempt.at) for one in saved for push in one.pushes]
    )
    return len(results) - len(saved)


def _held(c: sqlite3.Connection, results: Sequence[Refreshed]) -> list[tuple[Refreshed, int | None]]:
    """Those whose lease is still theirs, and that have room where they correct the carrier; with the row of
    the log before."""
    leased = c.execute(_LEASED, (json.dumps([one.shipment.id for one in results]),))
    held = {(shipment, lease): logged for shipment, lease, logged in leased}
    saved = []
    for one in results:
        lease = one.shipment.id, one.shipment.lease
        if lease in held and (not one.corrects or make_room(c, one.shipment)):
            saved.append((one, held.pop(lease)))
    return saved


def _keep_raws(c: sqlite3.Connection, results: Sequence[Refreshed]) -> dict[int, bytes]:
    """The hash of each reply, by its identity: one reply is that of many shipments."""
    hashes: dict[int, bytes] = {}
    for one in results:
        if one.raw is not None and id(one.raw) not in hashes:
            hashes[id(one.raw)] = _keep_raw(c, one.raw, one.attempt.at)
    return hashes


def _keep_histories(c: sqlite3.Connection, results: Sequence[Refreshed], raws: Mapping[int, bytes]) -> None:
    """In place of what the sources said before. Raw replies that nobody refers to any more go, too."""
    told = [one for one in results if one.histories]
    if not told:
        return
    before = c.execute(_RAWS_BEFORE, (json.dumps([one.shipment.id for one in told]),)).fetchall()
    c.executemany(
        _TELL,
        [
            (one.shipment.id, history.source, history_bytes(history), raws.get(id(one.raw)))
            for one in told
            for history in one.histories
        ],
    )
    kept = set(raws.values())
    c.executemany(_FORGET_RAW, [row for row in before if row[0] not in kept])


def attempts(c: sqlite3.Connection, shipment: int, most: int) -> list[Attempt]:
    """The log of a shipment, the newest first."""
    rows = c.execute(_ATTEMPTS, (shipment, most))
    return [Attempt(moment(row[0]), *row[1:]) for row in rows]


def hasten(c: sqlite3.Connection, now: datetime, most: timedelta) -> int:
    """What is due later than can be is due now; answers how many rows."""
    late = micros(now), micros(now + most)
    (newest,) = c.execute("SELECT max(at) FROM change").fetchone()
    if newest is not None and newest > late[1]:  # what waits in a queue is due as of when it came into it
        c.execute("UPDATE push SET created_at = ?1 WHERE state = 'pending' AND created_at > ?2", late)
    return sum(c.execute(sql, late).rowcount for sql in _HASTEN)


def rewind(c: sqlite3.Connection, shipment: int, by: timedelta, now: datetime) -> None:
    """Let a journey, and the scans of it that are known, be older."""
    c.execute(
        """UPDATE shipment SET since = since - ?, lease = NULL,
        refresh_at = iif(refresh_at IS NULL, NULL, ?) WHERE id = ?""",
        (by // timedelta(microseconds=1), micros(now), shipment),
    )
    told = c.execute("SELECT source, history FROM source_report WHERE shipment = ?", (shipment,)).fetchall()
    c.executemany(
        "UPDATE source_report SET history = ? WHERE shipment = ? AND source = ?",
        [(history_bytes(earlier(history_of(data), by)), shipment, source) for source, data in told],
    )


def forget_raw(c: sqlite3.Connection, raw: bytes) -> None:
    """A reply, unless something refers to it."""
    c.execute(_FORGET_RAW, (raw,))


def _with_histories(c: sqlite3.Connection, shipments: Sequence[Shipment]) -> list[Due]:
    ids = json.dumps([shipment.id for shipment in shipments])
    histories: dict[int, list[Any]] = {}
    for shipment, data in c.execute(_HISTORIES, (ids,)):
        histories.setdefault(shipment, []).append(history_of(data))
    return [Due(shipment, tuple(histories.get(shipment.id, ()))) for shipment in shipments]


def _keep_raw(c: sqlite3.Connection, raw: Reply, at: datetime) -> bytes:
    digest = raw_hash(raw)
    if not c.execute("SELECT 1 FROM raw_reply WHERE hash = ?", (digest,)).fetchone():
        c.execute(
            "INSERT INTO raw_reply (hash, at, http_status, body) VALUES (?, ?, ?, ?)",
            (digest, micros(at), raw.status, packed(raw)),
        )
    return digest
