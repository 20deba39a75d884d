"""Readers: each piece of work in a thread of its own, its answer or error to who waits for it."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.store.sqlite.reader import Readers

PATIENCE_S = 10


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Readers]:
    path = tmp_path / "r.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)")
    made = Readers(path, 2)
    yield made
    made.close()


def stored(c: sqlite3.Connection) -> list[int]:
    return [n for (n,) in c.execute("SELECT n FROM t")]


async def test_reads_run_at_the_same_time(readers: Readers) -> None:
    """Each of two waits for the other: one thread alone would break the barrier."""
    barrier = threading.Barrier(2)

    def meet(c: sqlite3.Connection) -> list[int]:
        barrier.wait(PATIENCE_S)
        return stored(c)

    assert list(await asyncio.gather(readers.run(meet), readers.run(meet))) == [[7], [7]]


async def test_one_read_after_the_other_is_done_by_one_thread(readers: Readers) -> None:
    """Its connection has at hand what was read before; another would read it again."""
    threads = {await readers.run(lambda _: threading.get_ident()) for _ in range(20)}
    assert len(threads) == 1


async def test_an_error_is_told_to_who_asked_and_the_thread_goes_on(readers: Readers) -> None:
    """An error of the database is StoreUnavailable, any other is its own."""

    def broken(_: sqlite3.Connection) -> None:
        raise KeyError("mine")

    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await readers.run(lambda c: c.execute("SELECT * FROM nowhere").fetchall())
        with pytest.raises(KeyError, match="mine"):
            await readers.run(broken)
    assert await readers.run(stored) == [7]


async def test_what_nobody_waits_for_any_more_is_not_read(readers: Readers) -> None:
    """A read that was given up while all threads were busy never runs."""
    may_end, ran = threading.Event(), threading.Event()
    busy = [asyncio.create_task(readers.run(lambda _: may_end.wait(PATIENCE_S))) for _ in range(2)]
    waiting = asyncio.create_task(readers.run(lambda _: ran.set()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    may_end.set()
    assert await asyncio.gather(*busy) == [True, True]
    assert await asyncio.gather(*(readers.run(stored) for _ in range(4))) == [[7]] * 4
    assert not ran.is_set()


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "r.db", 2)
    calls = [asyncio.create_task(readers.run(lambda _, n=n: n)) for n in range(50)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await asyncio.to_thread(readers.close)
    assert await asyncio.gather(*calls) == list(range(50))
