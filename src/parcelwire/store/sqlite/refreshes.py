"""Refreshes inside one transaction: claimed, completed, forgotten after a while."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from parcelwire.domain.exchange import Reply
from parcelwire.domain.shipment import Shipment
from parcelwire.ports import Due, Refreshed
from parcelwire.store.rows import history_bytes, history_of, micros, mutable_values, shipment_of
from parcelwire.store.sqlite import pushes
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
_PRUNE = (
    "DELETE FROM refresh_log WHERE at < ?",
    """DELETE FROM raw_reply WHERE at < ? AND hash NOT IN (
      SELECT raw FROM source_report WHERE raw IS NOT NULL UNION
      SELECT raw FROM refresh_log WHERE raw IS NOT NULL
    )""",
)


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
    if result.history is not None:
        c.execute(
            "INSERT OR REPLACE INTO source_report (shipment, source, history, raw) VALUES (?, ?, ?, ?)",
            (shipment.id, result.history.source, history_bytes(result.history), raw),
        )
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
            None if result.history else raw,
        ),
    )  # fmt: skip
    pushes.enqueue(c, instance, shipment, result.pushes, attempt.at)
    return True


def prune(c: sqlite3.Connection, before: datetime) -> int:
    """Forget what is older than ``before`` and not referred to; answers how many rows."""
    forgotten = sum(c.execute(statement, (micros(before),)).rowcount for statement in _PRUNE)
    return forgotten + pushes.prune(c, before)


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
