"""Pushes inside one transaction: for each endpoint the changes of a shipment go one after the other."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain.push import (
    SUPERSEDE_AFTER,
    NewPush,
    PushEvent,
    PushJob,
    PushResult,
    PushState,
    push_id,
)
from parcelwire.domain.shipment import Shipment
from parcelwire.store.rows import micros, micros_or_none
from parcelwire.store.vault import Vault, secret_place, sign_key_place

_CLAIM = """
UPDATE push SET lease = ?, send_at = ? WHERE id IN (
  SELECT id FROM push WHERE state = 'pending' AND send_at IS NOT NULL AND send_at <= ?
  ORDER BY send_at LIMIT ?
) RETURNING id, account, shipment, endpoint, event, version, body, attempts
"""
_ACTIVATE_NEXT = """
UPDATE push SET send_at = ? WHERE id = (
  SELECT id FROM push WHERE endpoint = ? AND shipment = ? AND state = 'pending' ORDER BY version LIMIT 1
) AND send_at IS NULL
"""


def enqueue(
    c: sqlite3.Connection, instance: str, shipment: Shipment, pushes: Sequence[NewPush], now: datetime
) -> None:
    """A row for every endpoint; it waits while an older push of the shipment is not done."""
    if not pushes:
        return
    endpoints = c.execute(
        "SELECT id, stopped_by_request FROM endpoint WHERE account = ?", (shipment.account,)
    ).fetchall()
    for endpoint, stopped_by_request in endpoints:
        for push in pushes:
            if push.by_request and not stopped_by_request:
                continue
            waits = c.execute(
                "SELECT 1 FROM push WHERE endpoint = ? AND shipment = ? AND state = 'pending' LIMIT 1",
                (endpoint, shipment.id),
            ).fetchone()
            c.execute(
                """INSERT INTO push (id, account, shipment, endpoint, version, event, body, state,
                send_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)""",
                (
                    push_id(instance, endpoint, shipment.id, push.version), shipment.account,
                    shipment.id, endpoint, push.version, push.event.value, push.body,
                    None if waits else micros(now), micros(now),
                ),
            )  # fmt: skip


def claim(
    c: sqlite3.Connection, vault: Vault, most: int, now: datetime, until: datetime, lease: str
) -> list[PushJob]:
    """Due pushes, and all that is needed to send them."""
    rows = c.execute(_CLAIM, (lease, micros(until), micros(now), most)).fetchall()
    targets = {endpoint: _target(c, vault, endpoint) for endpoint in {row[3] for row in rows}}
    jobs = []
    for identity, account, shipment, endpoint, event, version, body, attempts in rows:
        url, secret, sign_key = targets[endpoint]
        jobs.append(
            PushJob(
                identity, account, shipment, endpoint, PushEvent(event), version, url, body, sign_key,
                (secret,), attempts, lease,
            )
        )  # fmt: skip
    return jobs


def _target(c: sqlite3.Connection, vault: Vault, endpoint: int) -> tuple[str, str, str]:
    """URL, secret and signing key of an endpoint, as they are now."""
    account, url, secret, sign_key = c.execute(
        """SELECT a.id, e.url, e.secret, a.sign_key FROM endpoint e JOIN account a ON a.id = e.account
        WHERE e.id = ?""",
        (endpoint,),
    ).fetchone()
    return url, vault.open(secret, secret_place(endpoint)), vault.open(sign_key, sign_key_place(account))


def finish(c: sqlite3.Connection, result: PushResult) -> bool:
    """Keep one attempt, and let the next push go when this one is done; False when its lease had gone."""
    job = result.job
    state = PushState.SENT if result.sent else PushState.PENDING if result.again_at else PushState.DEAD
    held = c.execute(
        """UPDATE push SET state = ?, send_at = ?, lease = NULL, attempts = ?, http_status = ?, detail = ?
        WHERE id = ? AND lease = ?""",
        (
            state.value, micros_or_none(result.again_at), job.attempts + 1, result.http_status, result.detail,
            job.id, job.lease,
        ),
    ).rowcount  # fmt: skip
    if not held:
        return False
    c.execute(
        "INSERT INTO push_attempt (push, n, at, http_status, ms, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (job.id, job.attempts + 1, micros(result.at), result.http_status, result.ms, result.detail),
    )
    done = state is not PushState.PENDING
    if not done and job.event is PushEvent.UPDATED and job.attempts + 1 >= SUPERSEDE_AFTER:
        done = _supersede(c, job)
    if done:
        c.execute(_ACTIVATE_NEXT, (micros(result.at), job.endpoint, job.shipment))
    return True


def _supersede(c: sqlite3.Connection, job: PushJob) -> bool:
    """Whether a newer body, which contains this one's events, waits: then this one and those between go."""
    newest = c.execute(
        """SELECT max(version) FROM push WHERE endpoint = ? AND shipment = ? AND state = 'pending'
        AND event = 'TRACKING_UPDATED'""",
        (job.endpoint, job.shipment),
    ).fetchone()[0]
    if newest is None or newest <= job.version:
        return False
    c.execute(
        """UPDATE push SET state = 'superseded', send_at = NULL WHERE endpoint = ? AND shipment = ?
        AND state = 'pending' AND event = 'TRACKING_UPDATED' AND version < ?""",
        (job.endpoint, job.shipment, newest),
    )
    return True
