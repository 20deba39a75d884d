"""Webhook receivers inside one transaction: made, steered, and when each has something to send."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from parcelwire.domain.endpoint import Endpoint, EndpointTurn, Health, NewEndpoint, Signal, steered
from parcelwire.store.rows import (
    HEALTH,
    health_of,
    health_values,
    json_of,
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
SELECT = f"SELECT {', '.join(ENDPOINT)} FROM endpoint"

_AT_WORK = f"""
SELECT (
  SELECT json_group_array(json_array(id, lease, seq)) FROM push WHERE endpoint = e.id AND lease IS NOT NULL
), id, account, {", ".join(HEALTH)} FROM endpoint e WHERE id IN (SELECT value FROM json_each(?))
"""
_SAVE_HEALTH = f"UPDATE endpoint SET {', '.join(f'{name} = ?' for name in HEALTH)} WHERE id = ?"
_UNDER_WAY = "FROM push p WHERE p.endpoint = endpoint.id AND p.lease IS NOT NULL AND p.send_at > ?1"
_HEADS = "FROM push p WHERE p.endpoint = endpoint.id AND p.state = 'pending' AND p.send_at IS NOT NULL"
_PLAN = f"""
UPDATE endpoint SET due_at = CASE
  WHEN state = 'paused' THEN NULL
  WHEN (SELECT count(*) {_UNDER_WAY}) >= width THEN (SELECT min(p.send_at) {_UNDER_WAY})
  WHEN state = 'failing' THEN iif(EXISTS (SELECT 1 {_HEADS}), probe_at, NULL)
  ELSE (SELECT min(p.send_at) {_HEADS})
END WHERE id IN (SELECT value FROM json_each(?2))
"""
_QUEUE_AGAIN = """
UPDATE push SET send_at = created_at
WHERE endpoint = ? AND state = 'pending' AND lease IS NULL AND send_at > created_at
"""


class AtWork(NamedTuple):
    """An endpoint to which pushes are under way. ``leased``: id, lease and place in the table of each."""

    account: int
    health: Health
    leased: Sequence[tuple[str, str, int]]


def endpoint_of(vault: Vault, row: Sequence[Any]) -> Endpoint:
    """An endpoint from the columns ENDPOINT."""
    before = vault.open(row[10], secret_before_place(row[0])) if row[10] else None
    return Endpoint(
        row[0], row[1], row[2], vault.open(row[3], secret_place(row[0])), bool(row[4]),
        wants_of(row[5], row[6]), bool(row[7]), row[8], bool(row[9]), before, moment_or_none(row[11]),
        health_of(row[12:]),
    )  # fmt: skip


def add(
    c: sqlite3.Connection, vault: Vault, account: int, new: NewEndpoint, *, by_setting: bool = False
) -> Endpoint:
    """One more receiver."""
    cursor = c.execute(
        """INSERT INTO endpoint (account, url, secret, stopped_by_request, events, statuses, compat,
        timeout_s, by_setting) VALUES (?, ?, x'', ?, ?, ?, ?, ?, ?)""",
        (
            account, new.url, new.stopped_by_request, *wants_values(new.wants), new.compat, new.timeout_s,
            by_setting,
        ),
    )  # fmt: skip
    made = cursor.lastrowid
    assert made is not None  # noqa: S101
    sealed = vault.seal(new.secret, secret_place(made))
    c.execute("UPDATE endpoint SET secret = ? WHERE id = ?", (sealed, made))
    return Endpoint(
        made, account, new.url, new.secret, new.stopped_by_request, new.wants, new.compat, new.timeout_s,
        by_setting,
    )  # fmt: skip


def set_by_setting(c: sqlite3.Connection, vault: Vault, account: int, new: NewEndpoint) -> None:
    """The receiver that a setting names: made, or given this URL and secret."""
    row = c.execute("SELECT id FROM endpoint WHERE account = ? AND by_setting", (account,)).fetchone()
    if row is None:
        add(c, vault, account, new, by_setting=True)
        return
    c.execute(
        """UPDATE endpoint SET url = ?, secret = ?, stopped_by_request = ?, secret_before = NULL,
        both_until = NULL WHERE id = ?""",
        (new.url, vault.seal(new.secret, secret_place(row[0])), new.stopped_by_request, row[0]),
    )


def rotate(
    c: sqlite3.Connection, vault: Vault, account: int, endpoint: int, secret: str, both_until: datetime
) -> bool:
    """A new secret beside the one before; False when there is no such endpoint."""
    row = c.execute(
        "SELECT secret FROM endpoint WHERE id = ? AND account = ?", (endpoint, account)
    ).fetchone()
    if row is None:
        return False
    before = vault.seal(vault.open(row[0], secret_place(endpoint)), secret_before_place(endpoint))
    c.execute(
        "UPDATE endpoint SET secret = ?, secret_before = ?, both_until = ? WHERE id = ?",
        (vault.seal(secret, secret_place(endpoint)), before, micros(both_until), endpoint),
    )
    return True


def steer(
    c: sqlite3.Connection, account: int, endpoint: int, signal: Signal, now: datetime
) -> tuple[bool, list[EndpointTurn]]:
    """Pause or resume; False when there is no such endpoint."""
    row = c.execute(
        f"SELECT {', '.join(HEALTH)} FROM endpoint WHERE id = ? AND account = ?", (endpoint, account)
    ).fetchone()
    if row is None:
        return False, []
    before = health_of(row)
    health = steered(before, signal, "by the operator", now)
    if health is before:
        return True, []
    if signal is Signal.RESUME:
        c.execute(
            "UPDATE push SET tries = 0 WHERE endpoint = ? AND state = 'pending' AND tries > 0", (endpoint,)
        )
    turn = EndpointTurn(endpoint, account, before.state, health)
    save(c, turn)
    plan(c, [endpoint], now)
    return True, [turn]


def save(c: sqlite3.Connection, turn: EndpointTurn) -> None:
    """Keep the health; in another state all heads stand in the queue as they came into it."""
    c.execute(_SAVE_HEALTH, (*health_values(turn.health), turn.endpoint))
    if turn.health.state is not turn.before:
        c.execute(_QUEUE_AGAIN, (turn.endpoint,))


def at_work(c: sqlite3.Connection, ids: Collection[int]) -> dict[int, AtWork]:
    """What of these endpoints is under way, by endpoint, of those that there are."""
    rows = c.execute(_AT_WORK, (json_of(list(ids)),))
    return {row[1]: AtWork(row[2], health_of(row[3:]), json.loads(row[0])) for row in rows}


def plan(c: sqlite3.Connection, ids: Collection[int], now: datetime) -> None:
    """Set when each of these endpoints has something to send next."""
    c.execute(_PLAN, (micros(now), json_of(list(ids))))
