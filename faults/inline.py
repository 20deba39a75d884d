"""The SQLite store in the event loop's own thread: the same file, code and SQL, without races between
threads, so that a run depends on its seed alone."""

import asyncio
from pathlib import Path
from typing import TypeVar

from parcelwire.store.sqlite.answers import Work
from parcelwire.store.sqlite.file import connect
from parcelwire.store.sqlite.reader import Readers, read
from parcelwire.store.sqlite.store import SqliteStore
from parcelwire.store.sqlite.writer import Writer

T = TypeVar("T")


class InlineWriter(Writer):
    """Commits each piece of work at once, in the order in which it comes."""

    def _begin(self) -> None:
        """No thread."""

    async def run(self, work: Work[T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._commit([(work, future)])
        return await future

    def close(self) -> None:
        self._connection.close()


class InlineReaders(Readers):
    """Reads at once."""

    def __init__(self, path: Path, count: int) -> None:
        self._connections = [connect(path, reading=True) for _ in range(count)]

    async def run(self, work: Work[T]) -> T:
        await asyncio.sleep(0)
        return read(self._connections[0], work)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


class InlineStore(SqliteStore):
    """Make it like any SqliteStore; ``drop`` is what happens to it when the process dies."""

    writer = InlineWriter
    readers = InlineReaders

    def drop(self) -> None:
        """Close the file without a word to anybody; what is not committed is gone."""
        self._closed = True
        self._writer.close()
        self._readers.close()
        self._lock.release()
