"""Time for the whole service: the system's, or one that moves only when told to."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

SETTLE_TURNS = (
    50  # turns of the event loop: longer than any chain of tasks that wakes one another without I/O
)


class SystemClock:
    """The system's clock. The only place that reads it."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - everybody else gets the time from here

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - everybody else gets the time from here

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def settle() -> None:
    """Let everything run that can run without waiting."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


class ManualClock:
    """A clock for tests and simulation: it stands still until ``advance``, and wakes sleepers in time order.

    ``idle`` is awaited after each wake-up, so that the woken task reaches its next wait before time goes on;
    give one that also waits for your threads and sockets when there are any.
    """

    def __init__(self, start: datetime, idle: Callable[[], Awaitable[None]] = settle) -> None:
        if start.tzinfo is None:
            raise ValueError("the clock starts at an aware time")
        self._wall = start.astimezone(UTC)
        self._elapsed = 0.0
        self._idle = idle
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()  # who fell asleep first wakes first

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        """Move both clocks on. Sleepers wake one by one, each at its time, new ones too."""
        if seconds < 0:
            raise ValueError("only jump() goes back")
        end = self._elapsed + seconds
        await self._idle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():  # done = its sleeper was cancelled
                self._elapsed = max(self._elapsed, due)
                waiter.set_result(None)
                await self._idle()
        self._elapsed = end

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator does. Durations and sleepers do not notice."""
        self._wall += timedelta(seconds=seconds)
