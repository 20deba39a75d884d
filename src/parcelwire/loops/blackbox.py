"""Names the work that this process does at this instant, where it can be read after the process has died.

A page of a file that is mapped into memory: what is written to it outlives kill -9, and costs less than a
microsecond. The event loop does one thing at a time, so whatever stands there at the end was being done then:
work that only waits for an answer is not to blame. Each process has a file of its own, held with a lock that
ends with the process; whoever takes the file next reads what its last owner left.
"""

import mmap
import os
from collections.abc import Awaitable, Coroutine, Generator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from parcelwire.domain.poison import Piece
from parcelwire.files import give_to_owner

try:
    import fcntl
except ImportError:  # Windows: deaths have no culprit there
    fcntl = None  # type: ignore[assignment]

NAME = "working.{}"
SIZE = 4096  # some hundred pieces of work; a call to a carrier is for 40 at most

T = TypeVar("T")


class BlackBox:
    """``left``: what the processes that had this file before were doing when they died."""

    def __init__(self, folder: Path) -> None:
        self._file = _free(folder)
        self._file.seek(0)
        self.left = _read(self._file.read(SIZE))
        self._file.truncate(SIZE)
        self._page = mmap.mmap(self._file.fileno(), SIZE)
        self.clear()

    def close(self) -> None:
        """Nothing is under way any more. Who is closed already stays so."""
        if self._page.closed:
            return
        self.clear()
        self._page.close()
        self._file.close()

    def watch(self, work: Sequence[Piece], doing: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Do it, named while it runs and not while it waits. See ports.Watch."""
        text = b"".join(b"%d/%d/%d;" % one for one in work)
        return _Watched(self, b"+" + text[: SIZE - 2] + b"\0", doing)

    def write(self, text: bytes) -> None:
        """This is done now."""
        self._page[: len(text)] = text

    def clear(self) -> None:
        """Nothing is done now."""
        self._page[0] = 0


class _Watched(Awaitable[T]):
    """A coroutine whose every step is written into the box."""

    def __init__(self, box: BlackBox, text: bytes, doing: Coroutine[Any, Any, T]) -> None:
        self._box, self._text, self._doing = box, text, doing

    def __await__(self) -> Generator[Any, Any, T]:
        thrown: BaseException | None = None
        while True:
            self._box.write(self._text)
            try:
                waits = self._doing.send(None) if thrown is None else self._doing.throw(thrown)
            except StopIteration as done:
                result: T = done.value
                return result
            finally:
                self._box.clear()
            try:
                yield waits
                thrown = None
            except BaseException as error:  # noqa: BLE001 - handed on to the coroutine
                thrown = error


def _free(folder: Path) -> BinaryIO:
    """The first file that no living process holds."""
    for number in count():
        path = folder / NAME.format(number)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        give_to_owner(path)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
        else:
            return file
    raise AssertionError  # there is always one more number


def _read(page: bytes) -> tuple[Piece, ...]:
    """What was being done; nothing when the page is not one of ours."""
    if page[:1] != b"+":
        return ()
    work = []
    for text in page[1 : page.find(b"\0")].split(b";"):
        parts = text.split(b"/")
        if len(parts) == len(Piece._fields) and all(part.isdigit() for part in parts):
            work.append(Piece(*map(int, parts)))
    return tuple(work)
