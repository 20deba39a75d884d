"""A place is one database, whatever keeps it; the conformance suite runs on every place."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Protocol

import asyncpg
import pytest
from tests.postgres import Cluster, make_schema

from parcelwire.ports import Store
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import Ring, Vault

MASTER = bytes(range(32))

PLACES = ("postgres", "sqlite")
_schemas = count(1)


def vault(keys: bytes | Ring = MASTER) -> Vault:
    return Vault(keys, Random(1).randbytes)


class Place(Protocol):
    """A database, and what the port does not show of it. ``keys``: the secret keys that it is opened with."""

    keys: bytes | Ring

    async def open(self) -> Store:
        """The store, after closing the one that was open."""
        ...

    async def close(self) -> None: ...
    async def ledger(self, account: int) -> dict[str, int]:
        """Quota units by period: the sums of the ledger."""
        ...

    async def limit_registrations(self, account: int, a_day: int) -> None: ...
    async def widen(self) -> None:
        """Endpoints take many pushes at a time, as if many had been taken."""
        ...

    async def tamper(self, *statements: str) -> None:
        """Change the audit past the store: what keeps it append-only is taken away first."""
        ...

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Past the store, straight from the database."""
        ...


class SqlitePlace:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "parcelwire.db"
        self.keys: bytes | Ring = MASTER
        self._store: SqliteStore | None = None

    async def open(self) -> SqliteStore:
        await self.close()
        self._store = await SqliteStore.open(self.path, vault(self.keys))
        return self._store

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def ledger(self, account: int) -> dict[str, int]:
        return dict(
            await self.rows(
                "SELECT period, sum(amount) FROM quota_entry WHERE account = ? GROUP BY period", account
            )
        )

    async def limit_registrations(self, account: int, a_day: int) -> None:
        await self.rows("UPDATE account SET max_daily = ? WHERE id = ?", a_day, account)

    async def widen(self) -> None:
        await self.rows("UPDATE endpoint SET width = 20")

    async def tamper(self, *statements: str) -> None:
        for sql in ("DROP TRIGGER audit_unchanged", "DROP TRIGGER audit_kept", *statements):
            await self.rows(sql)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Past the store, straight from the file."""
        return await asyncio.to_thread(self._rows, sql, values)

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql, values).fetchall()


class PostgresPlace:
    """A schema of the session's server."""

    def __init__(self, cluster: Cluster, dsn: str) -> None:
        self.cluster = cluster
        self.dsn = dsn
        self.keys: bytes | Ring = MASTER
        self._stores: list[PostgresStore] = []

    @classmethod
    async def make(cls, cluster: Cluster) -> "PostgresPlace":
        return cls(cluster, await make_schema(cluster, f"test_{next(_schemas)}"))

    async def open(self) -> PostgresStore:
        await self.close()
        return await self.another()

    async def another(self) -> PostgresStore:
        """One more store on the same schema, as another process has it."""
        store = await PostgresStore.open(self.dsn, vault(self.keys), Random(2).random)
        self._stores.append(store)
        return store

    async def close(self) -> None:
        while self._stores:
            await self._stores.pop().close()

    async def ledger(self, account: int) -> dict[str, int]:
        sql = "SELECT period, sum(amount)::bigint FROM quota_entry WHERE account = $1 GROUP BY period"
        return dict(await self.rows(sql, account))

    async def limit_registrations(self, account: int, a_day: int) -> None:
        await self.rows("UPDATE account SET max_daily = $1 WHERE id = $2", a_day, account)

    async def widen(self) -> None:
        await self.rows("UPDATE endpoint SET width = 20")

    async def tamper(self, *statements: str) -> None:
        drop = "DROP TRIGGER audit_unchanged ON audit", "DROP TRIGGER audit_kept ON audit"
        for sql in (*drop, *statements):
            await self.rows(sql)

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Past the store, straight from the server."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests of the one suite each store has passed."""
    passed = [report.nodeid for report in terminalreporter.getreports("passed") if report.when == "call"]
    counts = {kind: sum(f"[{kind}]" in name or f"[{kind}-" in name for name in passed) for kind in PLACES}
    if any(counts.values()):
        terminalreporter.write_line(
            "one suite for all stores, passed: " + ", ".join(f"{kind} {n}" for kind, n in counts.items())
        )


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A new database of every kind."""
    made: Place
    if request.param == "postgres":
        made = await PostgresPlace.make(request.getfixturevalue("cluster"))
    else:
        made = SqlitePlace(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def schema_place(cluster: Cluster) -> AsyncIterator[PostgresPlace]:
    """A new schema of a server, for what only a server can show."""
    made = await PostgresPlace.make(cluster)
    yield made
    await made.close()


@pytest.fixture
async def store(place: Place) -> Store:
    """The open store of ``place``."""
    return await place.open()


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqlitePlace]:
    """A new SQLite file, for what only a file can show."""
    made = SqlitePlace(tmp_path)
    yield made
    await made.close()
