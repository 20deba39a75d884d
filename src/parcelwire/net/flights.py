"""One flight for all who want the same thing at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Flights:
    """Runs a piece of work once however many ask for it while it runs; they share its answer or its error.

    Nobody waits longer than ``patience_s`` (TimeoutError); the work goes on."""

    def __init__(self, patience_s: float | None = None) -> None:
        self._patience_s = patience_s
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def __call__(
        self, keys: Sequence[K], work: Callable[[Sequence[K]], Coroutine[Any, Any, Mapping[K, T]]]
    ) -> dict[K, T | BaseException]:
        """The answer for each key, or its error. ``work`` is run once, for those that nobody asks for yet."""
        new = [key for key in keys if key not in self._under_way]
        if new:
            task = asyncio.create_task(work(new))
            self._under_way |= dict.fromkeys(new, task)
            task.add_done_callback(lambda done: self._landed(new, done))
        tasks = {key: self._under_way[key] for key in keys}
        if tasks:
            await asyncio.wait(set(tasks.values()), timeout=self._patience_s)  # cancels none of them
        return {key: _outcome(task, key) for key, task in tasks.items()}

    async def one(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of ``work``, or of the run of the same key that is under way."""
        task: asyncio.Task[T] | None = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed((key,), done))
        async with asyncio.timeout(self._patience_s):
            return await asyncio.shield(task)  # one who gives up does not take it from the others

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = set(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, keys: Sequence[Hashable], done: asyncio.Task[Any]) -> None:
        for key in keys:
            del self._under_way[key]
        if not done.cancelled():
            done.exception()  # everybody who waited may have given up: then nobody else looks at it


def _outcome(task: asyncio.Task[Mapping[K, T]], key: K) -> T | BaseException:
    if not task.done():
        return TimeoutError()
    return asyncio.CancelledError() if task.cancelled() else task.exception() or task.result()[key]


async def together(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs to their end. One that breaks is logged and harms no other."""
    for ended in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(ended, Exception):
            structlog.get_logger("parcelwire").error("job_failed", error=type(ended).__name__, exc_info=ended)
