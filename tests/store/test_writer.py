"""One commit for work that waits together, and an answer of its own for each piece."""

import asyncio
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.store.sqlite.writer import Writer


class Counting(sqlite3.Connection):
    """Counts commits."""

    commits = 0

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self.commits += sql == "COMMIT"
        return super().execute(sql, values)


@pytest.fixture
def connection(tmp_path: Path) -> Counting:
    opened = sqlite3.connect(
        tmp_path / "w.db", isolation_level=None, check_same_thread=False, factory=Counting
    )
    opened.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    return opened


def nothing_more(_c: sqlite3.Connection) -> None:
    pass


@pytest.fixture
def writer(connection: Counting) -> Iterator[Writer]:
    made = Writer(connection, nothing_more)
    yield made
    made.close()


def insert(c: sqlite3.Connection, n: int) -> int:
    c.execute("INSERT INTO t VALUES (?)", (n,))
    return n


def stored(c: sqlite3.Connection) -> list[int]:
    return [row[0] for row in c.execute("SELECT n FROM t ORDER BY n")]


async def test_work_that_waits_together_is_committed_together(writer: Writer, connection: Counting) -> None:
    """In the order in which it came."""

    def insert_and_count(c: sqlite3.Connection, n: int) -> tuple[int, int]:
        return insert(c, n), len(stored(c))

    calls = [writer.run(partial(insert_and_count, n=n)) for n in range(100)]
    assert await asyncio.gather(*calls) == [(n, n + 1) for n in range(100)]
    assert connection.commits < 50


async def test_work_that_raises_is_undone_alone(writer: Writer) -> None:
    def half(c: sqlite3.Connection) -> None:
        insert(c, 1000)
        raise ValueError("half way")

    outcomes = await asyncio.gather(
        *(writer.run(partial(insert, n=n)) for n in range(5)),
        writer.run(half),
        writer.run(lambda c: insert(c, 0)),
        *(writer.run(partial(insert, n=n)) for n in range(5, 10)),
        return_exceptions=True,
    )
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [type(error) for error in errors] == [ValueError, sqlite3.IntegrityError]
    assert await writer.run(stored) == list(range(10))


async def test_work_that_the_database_refuses_harms_no_neighbour(writer: Writer) -> None:
    """An operational error ends the shared transaction; the others are done again without it."""
    outcomes = await asyncio.gather(
        *(writer.run(partial(insert, n=n)) for n in range(5)),
        writer.run(lambda c: c.execute("SELECT json_extract('[', '$')").fetchall()),
        *(writer.run(partial(insert, n=n)) for n in range(5, 10)),
        return_exceptions=True,
    )
    (error,) = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert isinstance(error, StoreUnavailable)
    assert isinstance(error.__cause__, sqlite3.OperationalError)
    assert await writer.run(stored) == list(range(10))


async def test_a_caller_that_gave_up_stops_nobody(writer: Writer) -> None:
    calls = [asyncio.create_task(writer.run(partial(insert, n=n))) for n in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [n for n in outcomes if isinstance(n, int)] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert await writer.run(stored) == list(range(10))


async def test_closing_finishes_what_waits(connection: Counting, tmp_path: Path) -> None:
    writer = Writer(connection, nothing_more)
    calls = [asyncio.create_task(writer.run(partial(insert, n=n))) for n in range(200)]
    await asyncio.sleep(0)
    await asyncio.to_thread(writer.close)
    assert await asyncio.gather(*calls) == list(range(200))


async def test_the_last_work_of_a_transaction_sees_all_of_it_once(connection: Counting) -> None:
    seen: list[list[int]] = []
    writer = Writer(connection, lambda c: seen.append(stored(c)))
    await asyncio.gather(*(writer.run(partial(insert, n=n)) for n in range(100)))
    assert seen[-1] == list(range(100))
    assert len(seen) == connection.commits
    writer.close()
