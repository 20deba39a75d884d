"""A failpoint that counts, stops the service at a chosen hit, or lets commits fail."""

import sqlite3
from collections import Counter


class Crash(BaseException):
    """The process is dead. Not an Exception: no broad ``except`` of the service may survive it."""


class Points:
    """See ports.Failpoint. After the hit number ``stop_at`` every point is dead until ``revive``."""

    def __init__(self) -> None:
        self.hits = 0
        self.names: Counter[str] = Counter()
        self.stop_at = 0  # hit that kills; 0 = none
        self.stopped: str | None = None  # name of the point that killed
        self.full = False  # whether the disk is full: no transaction commits

    @property
    def dead(self) -> bool:
        """Whether the process is dead."""
        return self.stopped is not None

    def __call__(self, name: str, /) -> None:
        if self.dead:
            raise Crash(name)
        self.hits += 1
        self.names[name] += 1
        if self.hits == self.stop_at:
            self.stopped = name
            raise Crash(name)
        if self.full and name == "commit.before":
            raise sqlite3.OperationalError("database or disk is full")

    def stop_after(self, hits: int) -> None:
        """Die at the hit that comes ``hits`` after now (1 = the next)."""
        self.stop_at = self.hits + hits

    def revive(self) -> None:
        """The next process: nothing is planned for it."""
        self.stopped, self.stop_at = None, 0
