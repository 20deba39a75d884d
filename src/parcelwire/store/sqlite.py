"""The store on one SQLite file: WAL, synchronous=FULL, one writing connection, a few reading ones."""

import asyncio
import json
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from parcelwire.domain import quota
from parcelwire.domain.account import Account, Endpoint, NewAccount, Usage
from parcelwire.domain.errors import CallerError, ConfigError
from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import Lane
from parcelwire.domain.push import (
    SUPERSEDE_AFTER,
    NewPush,
    PushEvent,
    PushJob,
    PushResult,
    PushState,
    push_id,
)
from parcelwire.domain.shipment import Action, Phase, Shipment, step
from parcelwire.ports import Attempt, Changed, Charge, Document, Due, Refreshed, Wanted
from parcelwire.store.rows import (
    LANE,
    MUTABLE,
    SHIPMENT,
    history_bytes,
    history_of,
    lane_of,
    lane_values,
    micros,
    micros_or_none,
    moment,
    mutable_values,
    shipment_of,
    wish_text,
)
from parcelwire.store.vault import PREFIX_CHARACTERS, Vault
from parcelwire.store.writer import FileLock, Writer

READERS = 2  # reading connections; a read is a few hundred microseconds
STATEMENTS = 256  # prepared statements kept by a connection
REASON_FULL = "the plan has {total} a period"

T = TypeVar("T")
_Connection = sqlite3.Connection

_COLUMNS = ", ".join(SHIPMENT)
_S_COLUMNS = ", ".join(f"s.{name}" for name in SHIPMENT)
_INSERT_SHIPMENT = """
INSERT INTO shipment (account, number, carrier, code, origin, phase, since, wish, registered_at, changed_at,
  refresh_at, lane)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE_SHIPMENT = f"UPDATE shipment SET {', '.join(f'{name} = ?' for name in MUTABLE)}, lease = NULL"
_UNCHANGED = tuple(name for name in MUTABLE if name != "refresh_at")  # a claim moves refresh_at
_CHANGE = f"{_UPDATE_SHIPMENT} WHERE id = ? AND {' AND '.join(f'{name} IS ?' for name in _UNCHANGED)}"
_FIND = f"""
SELECT {_S_COLUMNS}, d.template, d.estimate, d.sources
FROM shipment s LEFT JOIN document d ON d.shipment = s.id
WHERE s.account = ? AND s.number IN (SELECT value FROM json_each(?)) ORDER BY s.id
"""
_LANES = """
WITH RECURSIVE names (name) AS (
  SELECT (SELECT min(lane) FROM shipment WHERE refresh_at IS NOT NULL)
  UNION ALL
  SELECT (SELECT min(lane) FROM shipment WHERE refresh_at IS NOT NULL AND lane > name)
  FROM names WHERE name IS NOT NULL
)
SELECT name, (SELECT min(refresh_at) FROM shipment WHERE lane = name AND refresh_at IS NOT NULL)
FROM names WHERE name IS NOT NULL
"""
_CLAIM = f"""
UPDATE shipment SET lease = ?, refresh_at = ? WHERE id IN (
  SELECT id FROM shipment WHERE lane = ? AND refresh_at IS NOT NULL AND refresh_at <= ?
  ORDER BY refresh_at LIMIT ?
) RETURNING {_COLUMNS}
"""
_HISTORIES = """
SELECT shipment, history FROM source_report WHERE shipment IN (SELECT value FROM json_each(?)) ORDER BY source
"""
_CLAIM_PUSHES = """
UPDATE push SET lease = ?, send_at = ? WHERE id IN (
  SELECT id FROM push WHERE state = 'pending' AND send_at IS NOT NULL AND send_at <= ?
  ORDER BY send_at LIMIT ?
) RETURNING id, account, shipment, endpoint, event, version, body, attempts
"""
_NEXT_PUSH = """
UPDATE push SET send_at = ? WHERE id = (
  SELECT id FROM push WHERE endpoint = ? AND shipment = ? AND state = 'pending' ORDER BY version LIMIT 1
) AND send_at IS NULL
"""

_PRUNE = (
    "DELETE FROM refresh_log WHERE at < ?",
    "DELETE FROM push WHERE created_at < ? AND state IN ('sent', 'superseded')",
    """DELETE FROM raw_reply WHERE at < ? AND hash NOT IN (
      SELECT raw FROM source_report WHERE raw IS NOT NULL UNION
      SELECT raw FROM refresh_log WHERE raw IS NOT NULL
    )""",
)


class SqliteStore:
    """``ports.Store`` on a file. Make it with ``await SqliteStore.open(...)``."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._vault = vault
        self._lock = FileLock(path)
        self._path = path
        self._hints: list[Callable[[], None]] = []
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="parcelwire-reader")
        try:
            connection = _connect(path)
            _migrate(connection, path)
            self._instance = _instance(connection)
            _release_leases(connection)
        except BaseException:
            self._lock.release()
            raise
        self._writer = Writer(connection)

    @classmethod
    async def open(cls, path: Path, vault: Vault) -> "SqliteStore":
        """Open or make the file, bring its schema up to date. ConfigError says what stands in the way."""
        return await asyncio.to_thread(cls, path, vault)

    def on_work(self, hint: Callable[[], None]) -> None:
        self._hints.append(hint)

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.close)
        self._readers.shutdown()
        self._lock.release()

    async def _write(self, work: Callable[[_Connection], T], *, hint: bool = False) -> T:
        answer = await self._writer.run(work)
        if hint:
            for call in self._hints:
                call()
        return answer

    async def _read(self, work: Callable[[_Connection], T]) -> T:
        def read() -> T:
            connection: _Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = _connect(self._path, reading=True)
                self._local.connection = connection
            return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)

    # --- accounts and quota ---

    async def accounts(self) -> list[Account]:
        return await self._read(
            lambda c: [_account(row) for row in c.execute(f"{_SELECT_ACCOUNT} ORDER BY id")]
        )

    async def open_account(self, new: NewAccount, now: datetime) -> Account:
        def work(c: _Connection) -> Account:
            cursor = c.execute(
                "INSERT INTO account (name, plan, quota_total, sign_key) VALUES (?, ?, ?, x'')",
                (new.name, new.plan, new.quota_total),
            )
            account = cursor.lastrowid
            assert account is not None  # noqa: S101
            c.execute(
                "UPDATE account SET sign_key = ? WHERE id = ?",
                (self._sealed_key(account, new.sign_key), account),
            )
            c.execute(
                "INSERT INTO api_key (account, hash, prefix, created_at) VALUES (?, ?, ?, ?)",
                (account, self._vault.digest(new.login_key), new.login_key[:PREFIX_CHARACTERS], micros(now)),
            )
            return Account(account, new.name, new.plan, new.quota_total)

        return await self._write(work)

    async def account_of_key(self, login_key: str) -> Account | None:
        digest = self._vault.digest(login_key)

        def work(c: _Connection) -> Account | None:
            row = c.execute(
                f"{_SELECT_ACCOUNT} WHERE id = (SELECT account FROM api_key WHERE hash = ?)", (digest,)
            ).fetchone()
            return _account(row) if row else None

        return await self._read(work)

    async def set_plan(self, account: int, plan: str, quota_total: int) -> None:
        await self._write(
            lambda c: (
                c.execute(
                    "UPDATE account SET plan = ?, quota_total = ? WHERE id = ?", (plan, quota_total, account)
                ).rowcount
            )
        )

    async def endpoint(self, account: int) -> Endpoint | None:
        def work(c: _Connection) -> Endpoint | None:
            row = c.execute(
                "SELECT id, account, url, secret, stopped_by_request FROM endpoint WHERE account = ?",
                (account,),
            ).fetchone()
            if row is None:
                return None
            secret = self._vault.open(row[3], _secret_place(row[0]))
            return Endpoint(row[0], row[1], row[2], secret, bool(row[4]))

        return await self._read(work)

    async def set_endpoint(self, account: int, url: str, secret: str, *, stopped_by_request: bool) -> None:
        def work(c: _Connection) -> None:
            row = c.execute("SELECT id FROM endpoint WHERE account = ?", (account,)).fetchone()
            if row is None:
                row = c.execute(
                    """INSERT INTO endpoint (account, url, secret, stopped_by_request)
                    VALUES (?, ?, x'', 1) RETURNING id""",
                    (account, url),
                ).fetchone()
            sealed = self._vault.seal(secret, _secret_place(row[0]))
            c.execute(
                "UPDATE endpoint SET url = ?, secret = ?, stopped_by_request = ? WHERE id = ?",
                (url, sealed, stopped_by_request, row[0]),
            )

        await self._write(work)

    async def set_sign_key(self, account: int, sign_key: str) -> None:
        sealed = self._sealed_key(account, sign_key)
        await self._write(
            lambda c: c.execute("UPDATE account SET sign_key = ? WHERE id = ?", (sealed, account)).rowcount
        )

    def _sealed_key(self, account: int, sign_key: str) -> bytes:
        return self._vault.seal(sign_key, _sign_key_place(account))

    async def usage(self, account: int, now: datetime) -> Usage:
        return await self._read(lambda c: _usage(c, account, now))

    async def charge(self, account: int, charges: Sequence[Charge], now: datetime) -> list[bool]:
        def work(c: _Connection) -> list[bool]:
            usage = _usage(c, account, now)
            left = usage.total - usage.used
            made: list[Charge] = []
            answers: list[bool] = []
            for charge in charges:
                answers.append(charge.amount <= left)
                if charge.amount <= left:
                    left -= charge.amount
                    made.append(charge)
            _charge(c, account, [("realtime", charge.amount, charge.reference) for charge in made], now)
            c.executemany(
                "INSERT INTO quota_hold (account, reference, amount, at) VALUES (?, ?, ?, ?)",
                [(account, charge.reference, charge.amount, micros(now)) for charge in made if charge.held],
            )
            return answers

        return await self._write(work)

    async def settle(self, account: int, reference: str, amount: int, now: datetime) -> None:
        await self._write(lambda c: _settle(c, account, reference, amount, now))

    async def release_holds(self, before: datetime, now: datetime) -> int:
        def work(c: _Connection) -> int:
            held = c.execute(
                "SELECT account, reference FROM quota_hold WHERE at < ?", (micros(before),)
            ).fetchall()
            for account, reference in held:
                _settle(c, account, reference, 0, now)
            return len(held)

        return await self._write(work)

    # --- registrations ---

    async def register(
        self, account: int, wanted: Sequence[Wanted], now: datetime
    ) -> list[Shipment | CallerError]:
        return await self._write(lambda c: _register(c, account, wanted, now), hint=True)

    async def look_up(self, account: int, wanted: Wanted, now: datetime) -> Shipment:
        def work(c: _Connection) -> Shipment:
            found = _by_identity(c, account, wanted)
            return found or _insert(c, account, wanted, Phase.LOOKED_UP, now)

        return await self._write(work)

    async def find(self, account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        width = len(SHIPMENT)

        def work(c: _Connection) -> list[tuple[Shipment, Document | None]]:
            rows = c.execute(_FIND, (account, json.dumps(numbers))).fetchall()
            return [(shipment_of(row), _document(row[width:])) for row in rows]

        return await self._read(work)

    async def change(self, changes: Sequence[Changed], now: datetime) -> list[bool]:
        def work(c: _Connection) -> list[bool]:
            return [self._change(c, change, now) for change in changes]

        return await self._write(work, hint=True)

    def _change(self, c: _Connection, change: Changed, now: datetime) -> bool:
        shipment = change.shipment
        before = dict(zip(MUTABLE, mutable_values(change.before), strict=True))
        changed = c.execute(
            _CHANGE,
            (*mutable_values(shipment), shipment.id, *(before[name] for name in _UNCHANGED)),
        ).rowcount
        if changed:
            self._enqueue(c, shipment, change.pushes, now)
        return bool(changed)

    # --- refreshing ---

    async def lanes(self) -> dict[str, datetime]:
        return await self._read(lambda c: {name: moment(at) for name, at in c.execute(_LANES)})

    async def lane(self, name: str) -> Lane:
        def work(c: _Connection) -> Lane:
            row = c.execute(f"SELECT {', '.join(LANE)} FROM lane WHERE name = ?", (name,)).fetchone()
            return lane_of(row) if row else Lane(name)

        return await self._read(work)

    async def save_lane(self, lane: Lane, revision: int) -> bool:
        def work(c: _Connection) -> bool:
            row = c.execute("SELECT revision FROM lane WHERE name = ?", (lane.name,)).fetchone()
            if (row[0] if row else 0) != revision:
                return False
            marks = ", ".join("?" * len(LANE))
            c.execute(f"INSERT OR REPLACE INTO lane ({', '.join(LANE)}) VALUES ({marks})", lane_values(lane))
            return True

        return await self._write(work)

    async def claim(self, lane: str, most: int, now: datetime, until: datetime, lease: str) -> list[Due]:
        def work(c: _Connection) -> list[Due]:
            rows = c.execute(_CLAIM, (lease, micros(until), lane, micros(now), most)).fetchall()
            return _with_histories(c, [shipment_of(row) for row in rows])

        return await self._write(work)

    async def claim_one(self, shipment: int, until: datetime, lease: str) -> Due | None:
        def work(c: _Connection) -> Due | None:
            rows = c.execute(
                f"""UPDATE shipment SET lease = ?, refresh_at = iif(refresh_at IS NULL, NULL, ?)
                WHERE id = ? RETURNING {_COLUMNS}""",
                (lease, micros(until), shipment),
            ).fetchall()
            return next(iter(_with_histories(c, [shipment_of(row) for row in rows])), None)

        return await self._write(work)

    async def complete(self, results: Sequence[Refreshed]) -> int:
        def work(c: _Connection) -> int:
            return sum(not self._complete(c, result) for result in results)

        return await self._write(work, hint=any(result.pushes for result in results))

    def _complete(self, c: _Connection, result: Refreshed) -> bool:
        shipment = result.shipment
        held = c.execute(
            f"{_UPDATE_SHIPMENT} WHERE id = ? AND lease = ?",
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
        self._enqueue(c, shipment, result.pushes, attempt.at)
        return True

    async def reroute(self, carrier: str, lane: str, now: datetime) -> int:
        return await self._write(
            lambda c: (
                c.execute(
                    """UPDATE shipment SET lane = ?, lease = NULL,
                    refresh_at = iif(refresh_at IS NULL, NULL, ?) WHERE carrier = ? AND lane <> ?""",
                    (lane, micros(now), carrier, lane),
                ).rowcount
            )
        )

    async def attempts(self, shipment: int, most: int) -> list[Attempt]:
        def work(c: _Connection) -> list[Attempt]:
            rows = c.execute(
                """SELECT at, lane, outcome, ms, text FROM refresh_log WHERE shipment = ?
                ORDER BY id DESC LIMIT ?""",
                (shipment, most),
            )
            return [Attempt(moment(row[0]), *row[1:]) for row in rows]

        return await self._read(work)

    async def prune(self, before: datetime) -> int:
        def work(c: _Connection) -> int:
            return sum(c.execute(statement, (micros(before),)).rowcount for statement in _PRUNE)

        return await self._write(work)

    async def rewind(self, shipment: int, by: timedelta, now: datetime) -> None:
        def work(c: _Connection) -> None:
            c.execute(
                """UPDATE shipment SET since = since - ?, lease = NULL,
                refresh_at = iif(refresh_at IS NULL, NULL, ?) WHERE id = ?""",
                (by // timedelta(microseconds=1), micros(now), shipment),
            )

        await self._write(work, hint=True)

    # --- pushing ---

    def _enqueue(self, c: _Connection, shipment: Shipment, pushes: Sequence[NewPush], now: datetime) -> None:
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
                        push_id(self._instance, endpoint, shipment.id, push.version), shipment.account,
                        shipment.id, endpoint, push.version, push.event.value, push.body,
                        None if waits else micros(now), micros(now),
                    ),
                )  # fmt: skip

    async def pushes_due(self) -> datetime | None:
        def work(c: _Connection) -> datetime | None:
            at = c.execute(
                "SELECT min(send_at) FROM push WHERE state = 'pending' AND send_at IS NOT NULL"
            ).fetchone()[0]
            return None if at is None else moment(at)

        return await self._read(work)

    async def claim_pushes(self, most: int, now: datetime, until: datetime, lease: str) -> list[PushJob]:
        def work(c: _Connection) -> list[PushJob]:
            rows = c.execute(_CLAIM_PUSHES, (lease, micros(until), micros(now), most)).fetchall()
            targets: dict[int, tuple[str, str, str]] = {}
            return [self._job(c, row, lease, targets) for row in rows]

        return await self._write(work)

    def _job(
        self, c: _Connection, row: Sequence[Any], lease: str, targets: dict[int, tuple[str, str, str]]
    ) -> PushJob:
        identity, account, shipment, endpoint, event, version, body, attempts = row
        if endpoint not in targets:
            url, secret, sign_key = c.execute(
                """SELECT e.url, e.secret, a.sign_key FROM endpoint e JOIN account a ON a.id = e.account
                WHERE e.id = ?""",
                (endpoint,),
            ).fetchone()
            targets[endpoint] = (
                url,
                self._vault.open(secret, _secret_place(endpoint)),
                self._vault.open(sign_key, _sign_key_place(account)),
            )
        url, secret, sign_key = targets[endpoint]
        return PushJob(
            identity, account, shipment, endpoint, PushEvent(event), version, url, body, sign_key, (secret,),
            attempts, lease,
        )  # fmt: skip

    async def finish_pushes(self, results: Sequence[PushResult]) -> int:
        def work(c: _Connection) -> int:
            return sum(not _finish(c, result) for result in results)

        return await self._write(work, hint=True)


# --- work inside one transaction -------------------------------------------------------------------------

_SELECT_ACCOUNT = "SELECT id, name, plan, quota_total, max_daily, enabled FROM account"


def _secret_place(endpoint: int) -> str:
    return f"endpoint/{endpoint}/secret"


def _sign_key_place(account: int) -> str:
    return f"account/{account}/sign_key"


def _account(row: Sequence[Any]) -> Account:
    return Account(row[0], row[1], row[2], row[3], row[4], bool(row[5]))


def _usage(c: _Connection, account: int, now: datetime) -> Usage:
    total, used, period, day, today, max_daily = c.execute(
        """SELECT quota_total, quota_used, period, day, registered_today, max_daily FROM account
        WHERE id = ?""",
        (account,),
    ).fetchone()
    return Usage(
        total,
        used if period == quota.period(now) else 0,
        today if day == now.date().isoformat() else 0,
        max_daily,
    )


def _charge(
    c: _Connection, account: int, entries: Sequence[tuple[str, int, str]], now: datetime, registered: int = 0
) -> None:
    """Ledger rows (kind, amount, reference) and the counter, together."""
    period, day = quota.period(now), now.date().isoformat()
    c.executemany(
        "INSERT INTO quota_entry (account, period, at, kind, amount, reference) VALUES (?, ?, ?, ?, ?, ?)",
        [(account, period, micros(now), kind, amount, reference) for kind, amount, reference in entries],
    )
    c.execute(
        """UPDATE account SET quota_used = iif(period = ?1, quota_used, 0) + ?2, period = ?1,
        registered_today = iif(day = ?3, registered_today, 0) + ?4, day = ?3 WHERE id = ?5""",
        (period, sum(amount for _, amount, _ in entries), day, registered, account),
    )


def _settle(c: _Connection, account: int, reference: str, amount: int, now: datetime) -> None:
    row = c.execute(
        "DELETE FROM quota_hold WHERE account = ? AND reference = ? RETURNING amount, at",
        (account, reference),
    ).fetchone()
    if row is None or row[0] == amount:
        return
    # What is given back belongs to the period in which it was charged.
    then = moment(row[1])
    if quota.period(then) == quota.period(now):
        _charge(c, account, [("refund", amount - row[0], reference)], now)
    else:
        c.execute(
            """INSERT INTO quota_entry (account, period, at, kind, amount, reference)
            VALUES (?, ?, ?, 'refund', ?, ?)""",
            (account, quota.period(then), micros(now), amount - row[0], reference),
        )


def _register(
    c: _Connection, account: int, wanted: Sequence[Wanted], now: datetime
) -> list[Shipment | CallerError]:
    usage = _usage(c, account, now)
    left = usage.total - usage.used
    left_today = usage.max_daily - usage.today if usage.max_daily else len(wanted)
    answers: list[Shipment | CallerError] = []
    charged: list[tuple[str, int, str]] = []
    for item in wanted:
        found = _by_identity(c, account, item)
        try:
            step(found.phase if found else None, Action.REGISTER)
        except CallerError as error:
            answers.append(CallerError(error.reason, number=item.number))
            continue
        if len(charged) >= left_today:
            answers.append(CallerError("daily_limit", limit=str(usage.max_daily)))
        elif len(charged) * quota.REGISTER + quota.REGISTER > left:
            answers.append(CallerError("quota", detail=REASON_FULL.format(total=usage.total)))
        else:
            shipment = (
                _promote(c, found, item, now) if found else _insert(c, account, item, Phase.TRACKING, now)
            )
            charged.append(("register", quota.REGISTER, str(shipment.id)))
            answers.append(shipment)
    if charged:
        _charge(c, account, charged, now, registered=len(charged))
    return answers


def _by_identity(c: _Connection, account: int, wanted: Wanted) -> Shipment | None:
    row = c.execute(
        f"SELECT {_COLUMNS} FROM shipment WHERE account = ? AND number = ? AND carrier = ?",
        (account, wanted.number, wanted.carrier),
    ).fetchone()
    return shipment_of(row) if row else None


def _insert(c: _Connection, account: int, wanted: Wanted, phase: Phase, now: datetime) -> Shipment:
    tracking = phase is Phase.TRACKING
    at = now if tracking else None
    cursor = c.execute(
        _INSERT_SHIPMENT,
        (
            account, wanted.number, wanted.carrier, wanted.code, wanted.origin, phase.value, micros(now),
            wish_text(wanted.wish), micros_or_none(at), micros_or_none(at), micros_or_none(at), wanted.lane,
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # noqa: S101
    return Shipment(
        cursor.lastrowid, account, wanted.number, wanted.carrier, wanted.code, wanted.origin, phase, now,
        wanted.wish, registered_at=at, changed_at=at, refresh_at=at, lane=wanted.lane,
    )  # fmt: skip


def _promote(c: _Connection, found: Shipment, wanted: Wanted, now: datetime) -> Shipment:
    """A number that was only looked up becomes a registration."""
    shipment = replace(
        found, phase=Phase.TRACKING, code=wanted.code, origin=wanted.origin, wish=wanted.wish,
        lane=wanted.lane, registered_at=now, changed_at=now, refresh_at=now,
    )  # fmt: skip
    c.execute(f"{_UPDATE_SHIPMENT} WHERE id = ?", (*mutable_values(shipment), shipment.id))
    return shipment


def _document(row: Sequence[Any]) -> Document | None:
    return None if row[0] is None else Document(row[0], row[1], tuple(json.loads(row[2])))


def _with_histories(c: _Connection, shipments: Sequence[Shipment]) -> list[Due]:
    ids = json.dumps([shipment.id for shipment in shipments])
    histories: dict[int, list[Any]] = {}
    for shipment, data in c.execute(_HISTORIES, (ids,)):
        histories.setdefault(shipment, []).append(history_of(data))
    return [Due(shipment, tuple(histories.get(shipment.id, ()))) for shipment in shipments]


def _keep_raw(c: _Connection, raw: Reply, at: datetime) -> bytes:
    digest = blake2b(raw.body, digest_size=16, person=str(raw.status).encode()).digest()
    if not c.execute("SELECT 1 FROM raw_reply WHERE hash = ?", (digest,)).fetchone():
        c.execute(
            "INSERT INTO raw_reply (hash, at, http_status, body) VALUES (?, ?, ?, ?)",
            (digest, micros(at), raw.status, zlib.compress(raw.body, 1)),
        )
    return digest


def _finish(c: _Connection, result: PushResult) -> bool:
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
        c.execute(_NEXT_PUSH, (micros(result.at), job.endpoint, job.shipment))
    return True


def _supersede(c: _Connection, job: PushJob) -> bool:
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


# --- the file ---------------------------------------------------------------------------------------------


def _connect(path: Path, *, reading: bool = False) -> _Connection:
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS, timeout=10
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if reading:
            # Only the writing connection checkpoints: a race in old SQLite versions needs a second one.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise ConfigError(f"cannot open the database {path}: {error}") from error
    return connection


def _migrate(connection: _Connection, path: Path) -> None:
    """Bring the schema up to date, one transaction a step; a copy of an older file is kept beside it."""
    folder = resources.files(__package__).joinpath("migrations/sqlite")
    steps = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name
    )
    have = connection.execute("PRAGMA user_version").fetchone()[0]
    if have > len(steps):
        raise ConfigError(
            f"{path} was written by a newer parcelwire (schema {have}, this one knows {len(steps)}): "
            "use the newer program, or restore the copy that it made before it changed the file"
        )
    if 0 < have < len(steps):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(path, path.with_name(f"{path.name}.schema-{have}"))
    for version, item in enumerate(steps[have:], have + 1):
        script = item.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")


def _instance(connection: _Connection) -> str:
    """A random name of this database: part of every push id."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('instance', lower(hex(randomblob(8))))")
    row: tuple[str] = connection.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
    return row[0]


def _release_leases(connection: _Connection) -> None:
    """This process owns the file, so every lease is one of a process that died: all of it is due now."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        """UPDATE shipment SET lease = NULL, refresh_at = iif(refresh_at IS NULL, NULL, 0)
        WHERE lease IS NOT NULL"""
    )
    connection.execute(
        "UPDATE push SET lease = NULL, send_at = 0 WHERE lease IS NOT NULL AND state = 'pending'"
    )
    connection.execute("COMMIT")
