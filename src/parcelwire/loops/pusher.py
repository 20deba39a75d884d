"""Sends due pushes, many at a time, and keeps what came of each."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from parcelwire.domain.push import PushJob
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy, Sender, claim, send
from parcelwire.loops.telemetry import Telemetry
from parcelwire.loops.wait import wait

IDLE_S = 1.0  # look again at the latest after this
PUSHES_MAX = 64  # attempts under way: one hanging endpoint holds a place for its time limit at most
LEASE_SPARE_S = 30.0  # a lease outlives the longest attempt by this
ERROR_PAUSE_S = 5.0


class Pusher:
    """Run it with ``run``; in tests and simulation ``tick`` sends everything that is due."""

    def __init__(
        self,
        context: Context,
        sender: Sender,
        policy: PushPolicy,
        chance: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self._context = context
        self._sender = sender
        self._policy = policy
        self._chance = chance
        self._telemetry = telemetry
        self._hint = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._lease = timedelta(seconds=policy.timeout_s + LEASE_SPARE_S)

    def wake(self) -> None:
        """Something may have become due."""
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled; attempts under way are finished, so that what was acknowledged is not repeated."""
        try:
            while True:
                await wait(self._context.clock, self._hint, await self._start())
        finally:
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def tick(self) -> int:
        """Send what is due now; answers how many attempts were made."""
        count = 0
        while jobs := await claim(self._context, PUSHES_MAX, self._lease):
            count += len(jobs)
            await asyncio.gather(*(self._send(job) for job in jobs))
        return count

    async def _start(self) -> float:
        """Start what is due; answers seconds to wait."""
        try:
            due_at = await self._context.store.pushes_due()
            free = PUSHES_MAX - len(self._sending)
            if due_at is None or not free:
                return IDLE_S
            wait_s = (due_at - self._context.clock.now()).total_seconds()
            if wait_s > 0:
                return min(IDLE_S, wait_s)
            for job in await claim(self._context, free, self._lease):
                task = asyncio.create_task(self._send(job))
                self._sending.add(task)
                task.add_done_callback(self._sent)
        except Exception as error:  # noqa: BLE001  the loop survives; claimed pushes are due again after their lease
            self._telemetry.turn_failed("push", error)
            return ERROR_PAUSE_S
        return 0.0

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._hint.set()

    async def _send(self, job: PushJob) -> None:
        try:
            result = await send(self._context, self._sender, self._policy, job, self._chance())
            dropped = await self._context.store.finish_pushes([result])
        except Exception as error:  # noqa: BLE001  this push is due again after its lease
            self._telemetry.turn_failed(f"push {job.id}", error)
            return
        self._telemetry.pushed(result, dropped=bool(dropped))
