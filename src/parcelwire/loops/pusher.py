"""Sends due pushes, many at a time, and keeps what came of each.

One round saves what has ended meanwhile and claims what is due, in one commit of the store; attempts run
beside it. So the busier the pusher is, the more attempts share a commit.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.domain.poison import Piece
from parcelwire.domain.push import PushJob, PushResult
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy, exchange, send
from parcelwire.flows.strikes import absolve, blame
from parcelwire.loops.telemetry import Telemetry
from parcelwire.loops.wait import wait

IDLE_S = 1.0  # look again at the latest after this
BUSY_S = 0.25  # the same while attempts are under way
# Attempts under way. One endpoint has at most 20 of these places, one at which nothing was taken yet or that
# failed lately has one: a few hundred endpoints may hang at the same time before others have to wait.
PUSHES_MAX = 512
GATHER_S = 0.003  # while others are under way: attempts that end together share a commit
LEASE_SPARE_S = 30.0  # a lease outlives the longest attempt by this
ERROR_PAUSE_S = 5.0
LONGEST_S = 30.0  # an attempt, for whatever endpoint


class Pusher:
    """Run it with ``run``; in tests and simulation ``tick`` sends everything that is due."""

    def __init__(
        self, context: Context, policy: PushPolicy, chance: Callable[[], float], telemetry: Telemetry
    ) -> None:
        self._context = context
        self._policy = policy
        self._chance = chance
        self._telemetry = telemetry
        self._hint = asyncio.Event()
        self._all_ended = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._ended: list[PushResult] = []
        self._lease = timedelta(seconds=LONGEST_S + LEASE_SPARE_S)

    def wake(self) -> None:
        """Something may have become due."""
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled; attempts under way are finished, so that what was acknowledged is not repeated."""
        turn: asyncio.Future[float] | None = None
        try:
            while True:
                turn = asyncio.ensure_future(self._round())
                await wait(self._context.clock, self._hint, await asyncio.shield(turn))
                if self._sending:
                    await wait(self._context.clock, self._all_ended, GATHER_S)
        finally:
            await asyncio.gather(*(turn,) if turn else (), return_exceptions=True)
            await asyncio.gather(*self._sending, return_exceptions=True)
            await self._exchange(0)

    async def tick(self) -> int:
        """Send what is due now; answers how many attempts were made."""
        count = 0
        while jobs := await self._exchange(PUSHES_MAX):
            count += len(jobs)
            await asyncio.gather(*(self._send(job) for job in jobs))
        return count

    async def _round(self) -> float:
        """Save what has ended and start what is due; answers seconds to wait."""
        try:
            for job in await self._exchange(PUSHES_MAX - len(self._sending)):
                self._sending.add(asyncio.create_task(self._send(job)))
            if self._sending:
                self._all_ended.clear()
                return BUSY_S  # mostly an end of an attempt comes before
            due_at = await self._context.store.pushes_due()
        except Exception as error:  # noqa: BLE001  the loop survives; claimed pushes are due again after their lease
            self._telemetry.turn_failed("push", error)
            return ERROR_PAUSE_S
        return IDLE_S if due_at is None else min(IDLE_S, (due_at - self._context.clock.now()).total_seconds())

    async def _exchange(self, most: int) -> list[PushJob]:
        """Due pushes for results, in one commit. Results that cannot be saved now are saved later."""
        results, self._ended = self._ended, []
        try:
            self._context.failpoint("finish.before")
            dropped, jobs = await exchange(self._context, results, most, self._lease)
            self._context.failpoint("finish.after")
        except BaseException:
            self._ended = results + self._ended
            raise
        for result in results:
            self._telemetry.pushed(result)
        await absolve(self._context, (_work(result.job) for result in results))
        if dropped:
            self._telemetry.pushes_dropped(dropped)
        return jobs

    async def _send(self, job: PushJob) -> None:
        """One attempt, from the beginning of its task to its place among the results."""
        try:
            sending = send(self._context, self._policy, job, self._chance())
            result = await self._context.watch((_work(job),), sending)
        except Exception as error:  # noqa: BLE001  this push is due again after its lease
            self._telemetry.turn_failed(f"push {job.id}", error)
            await self._blame(job, f"{type(error).__name__}: {error}")
        else:
            self._ended.append(result)
        task = asyncio.current_task()
        if task in self._sending:  # not in tick, which waits for all
            self._sending.remove(task)
            self._hint.set()
            if not self._sending:
                self._all_ended.set()

    async def _blame(self, job: PushJob, error: str) -> None:
        """Five unexpected errors in a row park a push."""
        try:
            self._telemetry.parked(await blame(self._context, _work(job), error), error)
        except StoreUnavailable as unavailable:  # it is noted the next time
            self._telemetry.turn_failed(f"push {job.id}", unavailable)


def _work(job: PushJob) -> Piece:
    return Piece(job.shipment, job.endpoint, job.version)
