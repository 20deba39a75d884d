"""A few connections that only read, each in a thread of its own."""

import asyncio
import sqlite3
import threading
from collections import deque
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from parcelwire.store.sqlite.answers import Answer, Waiting, Work, deliver
from parcelwire.store.sqlite.file import connect, failure

T = TypeVar("T")


class Readers:
    """Of the threads that are free, the one that was busy last takes the next piece of work: its connection
    has read what is asked for most since somebody wrote. An executor would take twice as much time, too."""

    def __init__(self, path: Path, count: int) -> None:
        self._connections = [connect(path, reading=True) for _ in range(count)]
        self._free: list[SimpleQueue[Waiting | None]] = [SimpleQueue() for _ in self._connections]
        self._waiting: deque[Waiting | None] = deque()
        self._lock = threading.Lock()  # of both
        self._threads = [
            threading.Thread(target=self._run, args=pair, name="parcelwire-reader", daemon=True)
            for pair in zip(self._connections, self._free, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Work[T]) -> T:
        """The answer of ``work``, which sees everything that is committed."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._give((work, future))
        return await future

    def close(self) -> None:
        """Finish what waits, then stop."""
        for _ in self._threads:
            self._give(None)
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    def _give(self, item: Waiting | None) -> None:
        with self._lock:
            if self._free:
                self._free.pop().put(item)
            else:
                self._waiting.append(item)

    def _run(self, connection: sqlite3.Connection, given: SimpleQueue[Waiting | None]) -> None:
        while (item := given.get()) is not None:
            work, future = item
            cancelled = future.cancelled()  # nobody waits any more
            answers = [] if cancelled else [_answer(connection, work, future)]
            self._go_on(given)  # first: whoever waits for the answer asks again at once
            deliver(answers)

    def _go_on(self, given: SimpleQueue[Waiting | None]) -> None:
        with self._lock:
            if self._waiting:
                given.put(self._waiting.popleft())
            else:
                self._free.append(given)


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
