"""A place is one database, whatever keeps it; the conformance suite runs on every place."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest

from parcelwire.ports import Store
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import Vault

MASTER = bytes(range(32))


def vault() -> Vault:
    return Vault(MASTER, Random(1).randbytes)


class Place(Protocol):
    """A database, and what the port does not show of it."""

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


class SqlitePlace:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "parcelwire.db"
        self._store: SqliteStore | None = None

    async def open(self) -> SqliteStore:
        await self.close()
        self._store = await SqliteStore.open(self.path, vault())
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

    async def rows(self, sql: str, *values: object) -> list[Any]:
        """Past the store, straight from the file."""
        return await asyncio.to_thread(self._rows, sql, values)

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql, values).fetchall()


PLACES: dict[str, Callable[[Path], Place]] = {"sqlite": SqlitePlace}


@pytest.fixture(params=sorted(PLACES))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A new database of every kind."""
    made = PLACES[request.param](tmp_path)
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
