"""Calls that come while another one is being written are written together, in one transaction.

That is what makes single results cheap; a piece that fails is written again by itself, so that its error is
its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from parcelwire.domain.errors import StoreUnavailable

GROUP_MAX = 500  # pieces in one transaction
WRITERS = 1  # transactions at the same time: more of them wait for one another's rows

Piece = TypeVar("Piece")


class Group(Generic[Piece]):
    """``write`` saves pieces and answers for each whether it was saved."""

    def __init__(self, write: Callable[[Sequence[Piece]], Awaitable[list[bool]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Sequence[Piece], asyncio.Future[list[bool]]]] = []
        self._writers = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop holds them weakly

    async def save(self, pieces: Sequence[Piece]) -> list[bool]:
        """All of them or none, perhaps together with those of other calls."""
        future: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append((pieces, future))
        if self._writers < WRITERS:
            self._start()
        return await future

    def _start(self) -> None:
        self._writers += 1
        task = asyncio.create_task(self._write_waiting())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                await self._write_calls(self._take())
        finally:  # at once: who comes now must not wait for one that looks no more
            self._writers -= 1

    def _take(self) -> list[tuple[Sequence[Piece], asyncio.Future[list[bool]]]]:
        taken: list[tuple[Sequence[Piece], asyncio.Future[list[bool]]]] = []
        size = 0
        while self._waiting and (not taken or size + len(self._waiting[0][0]) <= GROUP_MAX):
            taken.append(self._waiting.pop(0))
            size += len(taken[-1][0])
        return taken

    async def _write_calls(self, calls: list[tuple[Sequence[Piece], asyncio.Future[list[bool]]]]) -> None:
        try:
            saved = await self._write([piece for pieces, _ in calls for piece in pieces])
        except Exception as error:  # noqa: BLE001  handed to the callers
            if len(calls) > 1 and not isinstance(error, StoreUnavailable):
                for call in calls:
                    await self._write_calls([call])
                return
            for _, future in calls:
                if not future.done():
                    future.set_exception(error)
            return
        begin = 0
        for pieces, future in calls:
            if not future.done():
                future.set_result(saved[begin : begin + len(pieces)])
            begin += len(pieces)
