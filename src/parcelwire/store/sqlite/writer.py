"""One thread writes one SQLite file; transactions that wait together are committed together.

The commit (one fsync) is shared. When a piece of work fails, the group is rolled back and each piece runs
again in a transaction of its own, so that its error is its own. Savepoints would do that too, but make every
write dearer: by a copy of each page that it touches.
"""

import asyncio
import sqlite3
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from parcelwire.ports import Failpoint, no_failpoint
from parcelwire.store.sqlite.answers import Answer, Waiting, Work, deliver
from parcelwire.store.sqlite.file import failure

GROUP_MAX = 64  # pieces of work in one commit: bounds what a crash can leave unanswered
# Errors of a statement or its values; all others are the database's.
_OF_THE_WORK = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)

T = TypeVar("T")


class Writer:
    """Runs work on the one writing connection, in the order in which it came; ``before_commit`` is the last
    that every transaction does."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        before_commit: Work[None],
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._connection = connection
        self._before_commit = before_commit
        self._failpoint = failpoint
        self._begin()

    def _begin(self) -> None:
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="parcelwire-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """The answer of ``work``, after its commit."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._next_group()
            if group:
                self._commit(group)

    def _next_group(self) -> tuple[list[Waiting], bool]:
        """All work that waits now, at least one piece; False when this is the last."""
        group: list[Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == GROUP_MAX:
                return group, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return group, True
        return group, False

    def _commit(self, group: list[Waiting]) -> None:
        try:
            answers = self._together(group)
        except BaseException as error:  # noqa: BLE001  handed to the caller that sent the work
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if len(group) > 1:  # one of them is to blame: each for itself
                for piece in group:
                    self._commit([piece])
                return
            answers = [(group[0][1], None, _told(error))]
        deliver(answers)

    def _together(self, group: list[Waiting]) -> list[Answer]:
        """Answers of all, after one commit. Raises what one of them raises."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        answers: list[Answer] = [(future, work(connection), None) for work, future in group]
        self._before_commit(connection)
        self._failpoint("commit.before")
        connection.execute("COMMIT")
        self._failpoint("commit.after")
        return answers


def _told(error: BaseException) -> BaseException:
    """What the caller is told: StoreUnavailable when the database itself is to blame."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _OF_THE_WORK):
        return error
    return failure("the database cannot write", error)
