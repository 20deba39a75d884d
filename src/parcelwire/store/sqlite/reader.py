"""A few connections that only read, each in a thread of its own."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from parcelwire.store.sqlite.answers import Answer, Waiting, Work, deliver
from parcelwire.store.sqlite.file import connect, failure

T = TypeVar("T")


class Readers:
    """Whichever thread is free takes the next piece of work. An executor would do the same at twice the
    cost."""

    def __init__(self, path: Path, count: int) -> None:
        self._connections = [connect(path, reading=True) for _ in range(count)]
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, args=(one,), name="parcelwire-reader", daemon=True)
            for one in self._connections
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Work[T]) -> T:
        """The answer of ``work``, which sees everything that is committed."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def close(self) -> None:
        """Finish what waits, then stop."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    def _run(self, connection: sqlite3.Connection) -> None:
        while (item := self._queue.get()) is not None:
            work, future = item
            if not future.cancelled():  # else nobody waits any more
                deliver([_answer(connection, work, future)])


def read(connection: sqlite3.Connection, work: Work[T]) -> T:
    """The answer of ``work``. StoreUnavailable when the database is to blame."""
    try:
        return work(connection)
    except sqlite3.DatabaseError as error:
        raise failure("the database cannot be read", error) from error


def _answer(connection: sqlite3.Connection, work: Work[T], future: asyncio.Future[T]) -> Answer:
    try:
        return future, read(connection, work), None
    except BaseException as error:  # noqa: BLE001  handed to the caller that sent the work
        return future, None, error
