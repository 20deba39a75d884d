"""Work on the upstream's tables and the inbox, inside one SQLite transaction."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from operator import itemgetter

from parcelwire.domain.quota import period
from parcelwire.ports import BoughtNumber, Inbound, InboxState, Pair, ParkedInbound, Spent, Told
from parcelwire.store.rows import SHIPMENT, history_of, micros, moment, moment_or_none, shipment_of

Connection = sqlite3.Connection

_S_COLUMNS = ", ".join(f"s.{name}" for name in SHIPMENT)
_TOLD = f"""
SELECT {_S_COLUMNS}, r.history FROM shipment s JOIN source_report r ON r.shipment = s.id
WHERE s.number IN (SELECT value FROM json_each(?)) AND s.answered_at >= ?
  AND (r.source = ? OR r.source LIKE ? || '/%')
ORDER BY s.answered_at DESC, s.id, r.source
"""
SPENDING = "('register', 'realtime')"


def numbers(c: Connection, source: str, wanted: Sequence[str]) -> list[BoughtNumber]:
    rows = c.execute(
        """SELECT number, carrier, buyer, registered_at, bought_at, given_up, stopped_at FROM upstream_number
        WHERE source = ? AND number IN (SELECT value FROM json_each(?))""",
        (source, json.dumps(wanted)),
    )
    return [
        BoughtNumber(
            (row[0], row[1]),
            row[2],
            moment_or_none(row[3]),
            moment_or_none(row[4]),
            row[5],
            moment_or_none(row[6]),
        )
        for row in rows
    ]


def reserve(
    c: Connection, source: str, wanted: Sequence[tuple[Pair, int]], cap: int | None, now: datetime
) -> set[Pair]:
    left = None if cap is None else cap - _committed(c, source, now)
    granted: set[Pair] = set()
    for (number, carrier), buyer in wanted:
        row = c.execute(
            "SELECT reserved_at FROM upstream_number WHERE source = ? AND number = ? AND carrier = ?",
            (source, number, carrier),
        ).fetchone()
        if row is None or row[0] is None:
            if left is not None and left <= 0:
                continue
            left = None if left is None else left - 1
            c.execute(
                """INSERT INTO upstream_number (source, number, carrier, buyer, reserved_at)
                VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                reserved_at = excluded.reserved_at, buyer = excluded.buyer""",
                (source, number, carrier, buyer, micros(now)),
            )
        granted.add((number, carrier))
    return granted


def settle(
    c: Connection, source: str, registered: Sequence[Pair], refused: Sequence[Pair], now: datetime
) -> None:
    for number, carrier in registered:
        row = c.execute(
            """UPDATE upstream_number SET registered_at = ?1, bought_at = ?1
            WHERE source = ?2 AND number = ?3 AND carrier = ?4 AND registered_at IS NULL
            RETURNING reserved_at""",
            (micros(now), source, number, carrier),
        ).fetchone()
        if row is not None:
            enter(c, source, "register", [(1, f"{number}/{carrier}/{row[0]}")], now)
    c.executemany(
        """UPDATE upstream_number SET reserved_at = NULL WHERE source = ? AND number = ? AND carrier = ?
        AND registered_at IS NULL""",
        [(source, *pair) for pair in refused],
    )


def forget(c: Connection, source: str, pairs: Sequence[Pair]) -> None:
    c.executemany(
        """UPDATE upstream_number SET reserved_at = NULL, registered_at = NULL
        WHERE source = ? AND number = ? AND carrier = ?""",
        [(source, *pair) for pair in pairs],
    )


def give_up(c: Connection, source: str, pair: Pair, why: str) -> None:
    c.execute(
        """INSERT INTO upstream_number (source, number, carrier, given_up) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET given_up = excluded.given_up""",
        (source, *pair, why),
    )


def stopped(c: Connection, source: str, pair: Pair, now: datetime) -> None:
    c.execute(
        "UPDATE upstream_number SET stopped_at = ? WHERE source = ? AND number = ? AND carrier = ?",
        (micros(now), source, *pair),
    )


def enter(c: Connection, source: str, kind: str, entries: Sequence[tuple[int, str]], now: datetime) -> None:
    c.executemany(
        """INSERT OR IGNORE INTO upstream_entry (source, period, at, kind, amount, reference)
        VALUES (?, ?, ?, ?, ?, ?)""",
        [(source, period(now), micros(now), kind, amount, reference) for amount, reference in entries],
    )


def spend(c: Connection, source: str, amount: int, reference: str, cap: int | None, now: datetime) -> bool:
    if cap is not None and _committed(c, source, now) + amount > cap:
        return False
    enter(c, source, "realtime", [(amount, reference)], now)
    return True


def spent(c: Connection, source: str, now: datetime) -> Spent:
    sums = dict.fromkeys(("register", "realtime", "shared", "fresh"), 0)
    sums |= dict(
        c.execute(
            "SELECT kind, sum(amount) FROM upstream_entry WHERE source = ? AND period = ? GROUP BY kind",
            (source, period(now)),
        ).fetchall()
    )
    known = c.execute(
        "SELECT count(*) FROM upstream_number WHERE source = ? AND registered_at IS NOT NULL", (source,)
    ).fetchone()[0]
    return Spent(sums["register"], sums["realtime"], _begun(c, source), sums["shared"], sums["fresh"], known)


def _committed(c: Connection, source: str, now: datetime) -> int:
    """Units of this month that are spent, or may be: a begun registration counts until settled."""
    entered: int = c.execute(
        f"""SELECT coalesce(sum(amount), 0) FROM upstream_entry
        WHERE source = ? AND period = ? AND kind IN {SPENDING}""",
        (source, period(now)),
    ).fetchone()[0]
    return entered + _begun(c, source)


def _begun(c: Connection, source: str) -> int:
    begun: int = c.execute(
        """SELECT count(*) FROM upstream_number
        WHERE source = ? AND reserved_at IS NOT NULL AND registered_at IS NULL""",
        (source,),
    ).fetchone()[0]
    return begun


def told(c: Connection, source: str, wanted: Sequence[str], since: datetime) -> list[Told]:
    found: dict[int, Told] = {}
    for row in c.execute(_TOLD, (json.dumps(wanted), micros(since), source, source)):
        shipment = shipment_of(row)
        before = found.get(shipment.id)
        histories = (*(before.histories if before else ()), history_of(row[len(SHIPMENT)]))
        found[shipment.id] = Told(shipment, histories)
    return list(found.values())


# --- the inbox --------------------------------------------------------------------------------------------


def keep(c: Connection, source: str, body: bytes, now: datetime) -> bool:
    digest = blake2b(body, digest_size=32).digest()
    return bool(
        c.execute(
            """INSERT OR IGNORE INTO inbox (source, digest, at, state, body)
            VALUES (?, ?, ?, 'waiting', ?)""",
            (source, digest, micros(now), zlib.compress(body, 1)),
        ).rowcount
    )


def inbox_waits(c: Connection) -> bool:
    return c.execute("SELECT 1 FROM inbox WHERE state = 'waiting' LIMIT 1").fetchone() is not None


def claim_inbound(c: Connection, most: int, now: datetime, until: datetime) -> list[Inbound]:
    rows = c.execute(
        """UPDATE inbox SET claimed_until = ?1 WHERE id IN (
          SELECT id FROM inbox WHERE state = 'waiting'
            AND (claimed_until IS NULL OR claimed_until <= ?2 OR claimed_until > ?1) ORDER BY id LIMIT ?3
        ) RETURNING id, source, at, body""",
        (micros(until), micros(now), most),
    ).fetchall()
    return [
        Inbound(row[0], row[1], moment(row[2]), zlib.decompress(row[3]))
        for row in sorted(rows, key=itemgetter(0))
    ]


def finish(c: Connection, inbound: int, state: InboxState, detail: str) -> None:
    c.execute("UPDATE inbox SET state = ?, detail = ? WHERE id = ?", (state.value, detail, inbound))


def parked(c: Connection, most: int) -> list[ParkedInbound]:
    rows = c.execute(
        "SELECT id, source, at, detail FROM inbox WHERE state = 'parked' ORDER BY id LIMIT ?", (most,)
    ).fetchall()
    return [ParkedInbound(row[0], row[1], moment(row[2]), row[3]) for row in rows]


def inbound_body(c: Connection, inbound: int) -> bytes | None:
    row = c.execute("SELECT body FROM inbox WHERE id = ?", (inbound,)).fetchone()
    return zlib.decompress(row[0]) if row else None


def release(c: Connection, pushes: Sequence[int], state: InboxState, detail: str) -> int:
    return c.execute(
        """UPDATE inbox SET state = ?, detail = ?, claimed_until = NULL
        WHERE state = 'parked' AND id IN (SELECT value FROM json_each(?))""",
        (state.value, detail, json.dumps(list(pushes))),
    ).rowcount


def count(c: Connection) -> dict[InboxState, int]:
    rows = c.execute("SELECT state, count(*) FROM inbox GROUP BY state").fetchall()
    return {InboxState(state): amount for state, amount in rows}
