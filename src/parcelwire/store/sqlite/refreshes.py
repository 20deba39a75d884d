"""Refreshes inside one transaction: claimed, completed, forgotten after a while."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from parcelwire.domain.exchange import Reply
from parcelwire.domain.merge import History, earlier
from parcelwire.domain.shipment import Shipment
from parcelwire.ports import Due, Refreshed
from parcelwire.store.rows import history_bytes, history_of, micros, mutable_values, shipment_of
from parcelwire.store.sqlite import pushes, upstream
from parcelwire.store.sqlite.registrations import COLUMNS, UPDATE

_CLAIM = f"""
UPDATE shipment SET lease = ?, refresh_at = ? WHERE id IN (
  SELECT min(id) FROM (
    SELECT id, number FROM shipment WHERE lane = ? AND refresh_at IS NOT NULL AND refresh_at <= ?
    ORDER BY refresh_at LIMIT ?
  ) GROUP BY number
) RETURNING {COLUMNS}
"""
_HISTORIES = """
SELECT shipment, history FROM source_report WHERE shipment IN (SELECT value FROM json_each(?)) ORDER BY source
"""
_FORGET_PUSHES = "DELETE FROM push WHERE created_at < ? AND state IN ('sent', 'superseded')"
# 60 days longer than the rest: a push that is sent again must still be known
_FORGET_INBOX = "DELETE FROM inbox WHERE at < ? - 5184000000000 AND state IN ('done', 'unknown')"
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


def claim_one(c: sqlite3.Connection, shipment: int, until: datetime, lease: str) -> Due | None:
    """One shipment, whoever holds it; None when there is none."""
    rows = c.execute(
        f"""UPDATE shipment SET lease = ?, refresh_at = iif(refresh_at IS NULL, NULL, ?)
        WHERE id = ? RETURNING {COLUMNS}""",
        (lease, micros(until), shipment),
    ).fetchall()
    return next(iter(_with_histories(c, [shipment_of(row) for row in rows])), None)


def complete(c: sqlite3.Connection, instance: str, result: Refreshed) -> bool:
    """Save one result; False when its lease had gone."""
    shipment = result.shipment
    held = c.execute(
        f"{UPDATE} WHERE id = ? AND lease = ?",
        (*mutable_values(shipment), shipment.id, shipment.lease),
    ).rowcount
    if not held:
        return False
    raw = _keep_raw(c, result.raw, result.attempt.at) if result.raw else None
    for history in result.histories:
        _keep_history(c, shipment.id, history, raw)
    if result.given_up is not None:
        pair = shipment.number, shipment.carrier
        upstream.give_up(c, shipment.lane.partition(":")[0], pair, result.given_up)
    if result.document is not None:
        document = result.document
        c.execute(
            "INSERT OR REPLACE INTO document (shipment, template, estimate, sources) VALUES (?, ?, ?, ?)",
            (shipment.id, document.template, document.estimate, json.dumps(document.sources)),
        )
    attempt = result.attempt
    c.execute(
        """INSERT INTO refresh_log (shipment, at, lane, outcome, ms, text, raw)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            shipment.id, micros(attempt.at), attempt.lane, attempt.outcome, attempt.ms, attempt.text,
            None if result.histories else raw,
        ),
    )  # fmt: skip
    pushes.enqueue(c, instance, shipment, result.pushes, attempt.at)
    return True


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


def _keep_history(c: sqlite3.Connection, shipment: int, history: History, raw: bytes | None) -> None:
    """In place of what the source said before; so too the raw reply, if nobody else refers to the old one."""
    before = c.execute(
        "SELECT raw FROM source_report WHERE shipment = ? AND source = ?", (shipment, history.source)
    ).fetchone()
    c.execute(
        "INSERT OR REPLACE INTO source_report (shipment, source, history, raw) VALUES (?, ?, ?, ?)",
        (shipment, history.source, history_bytes(history), raw),
    )
    if before is not None and before[0] not in (None, raw):
        c.execute(_FORGET_RAW, before)


def prune(c: sqlite3.Connection, before: datetime) -> int:
    """Forget log rows and finished pushes (out and in) of before, and raw replies that only they knew."""
    logged = c.execute("DELETE FROM refresh_log WHERE at < ? RETURNING raw", (micros(before),)).fetchall()
    c.executemany(_FORGET_RAW, {row for row in logged if row[0] is not None})
    done = [c.execute(statement, (micros(before),)).rowcount for statement in (_FORGET_PUSHES, _FORGET_INBOX)]
    return len(logged) + sum(done)


def _with_histories(c: sqlite3.Connection, shipments: Sequence[Shipment]) -> list[Due]:
    ids = json.dumps([shipment.id for shipment in shipments])
    histories: dict[int, list[Any]] = {}
    for shipment, data in c.execute(_HISTORIES, (ids,)):
        histories.setdefault(shipment, []).append(history_of(data))
    return [Due(shipment, tuple(histories.get(shipment.id, ()))) for shipment in shipments]


def _keep_raw(c: sqlite3.Connection, raw: Reply, at: datetime) -> bytes:
    digest = blake2b(raw.body, digest_size=16, person=str(raw.status).encode()).digest()
    if not c.execute("SELECT 1 FROM raw_reply WHERE hash = ?", (digest,)).fetchone():
        c.execute(
            "INSERT INTO raw_reply (hash, at, http_status, body) VALUES (?, ?, ?, ?)",
            (digest, micros(at), raw.status, zlib.compress(raw.body, 1)),
        )
    return digest
