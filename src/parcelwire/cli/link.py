"""What a parent and its processes tell one another: a JSON line at a time, on a socket between the two.

A process tells once a second what it has counted: that shows, too, that its loop turns. The parent answers
with what all others have counted, so that each can tell of all
(docs/why/0016-a-parent-hears-its-processes.md).
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import msgspec

from parcelwire.flows.metrics import Sample, summed

BEAT_S = 1.0
LINE_MAX = 1024 * 1024  # some 10,000 counters

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(list[Sample]).decode


class Link:
    """One end. Make it with ``await Link.open(...)``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> "Link":
        """Takes the socket over."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=LINE_MAX))

    def send(self, text: str) -> None:
        """One line that is no figures: the first."""
        self._writer.write(f"{text}\n".encode())

    async def receive(self) -> str:
        """The line of ``send``."""
        return (await self._reader.readline()).decode().strip()

    def tell(self, samples: Sequence[Sample]) -> None:
        """Figures, unless earlier ones still wait: who does not read needs no more of them."""
        if not self._writer.is_closing() and not self._writer.transport.get_write_buffer_size():
            self._writer.write(_encode(samples) + b"\n")

    async def told(self) -> AsyncIterator[list[Sample]]:
        """What the other end tells, until it is gone."""
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                yield _decode(line)

    async def close(self) -> None:
        """Send what waits, if somebody is there."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


class Tally:
    """What the processes of a parent have counted, those that have ended included."""

    def __init__(self) -> None:
        self._before: list[Sample] = []  # of those that have ended
        self._running: dict[int, list[Sample]] = {}

    def note(self, pid: int, counted: list[Sample]) -> None:
        """What a process has counted since it began."""
        self._running[pid] = counted

    def gone(self, pid: int) -> None:
        """A process has ended; what it counted stays."""
        self._before = summed(self._before, self._running.pop(pid, ()))

    def count(self, name: str, *labels: str) -> None:
        """Something that only the parent sees."""
        self._before = summed(self._before, [(name, labels, 1)])

    def beside(self, pid: int) -> list[Sample]:
        """What all others have counted, and how many they are."""
        others = [counted for other, counted in self._running.items() if other != pid]
        return summed(self._before, *others, [("processes", (), len(others))])
