"""A few connections that only read, each used by one thread at a time."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.store.sqlite.file import connect

T = TypeVar("T")


class Readers:
    """As many threads as connections, so that a thread always finds a free one."""

    def __init__(self, path: Path, count: int) -> None:
        self._connections = [connect(path, reading=True) for _ in range(count)]
        self._free: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in self._connections:
            self._free.put(connection)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="parcelwire-reader")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of ``work``, which sees everything that is committed."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._lend, work)

    def _lend(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._free.get()
        try:
            return work(connection)
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error
        finally:
            self._free.put(connection)

    def close(self) -> None:
        """Finish what is under way."""
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()
