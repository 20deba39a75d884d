"""Asks carriers when shipments are due: lane by lane, so that a slow carrier holds up only itself."""

import asyncio
from datetime import datetime, timedelta

from parcelwire.flows.context import Context
from parcelwire.flows.refresh import Round, refresh_lane
from parcelwire.flows.routes import NO_SOURCE
from parcelwire.loops.telemetry import Telemetry
from parcelwire.loops.wait import wait

IDLE_S = 1.0  # look again at the latest after this: hints may get lost, due times do not
LANE_CALLS = 4  # conversations of one lane at the same time; the lane's rate still bounds them
ERROR_PAUSE = timedelta(seconds=5)  # of a lane whose turn ended in an unexpected error


class Refresher:
    """Run it with ``run``; in tests and simulation ``tick`` does everything that is due."""

    def __init__(self, context: Context, telemetry: Telemetry) -> None:
        self._context = context
        self._telemetry = telemetry
        self._hint = asyncio.Event()
        self._turns: dict[str, set[asyncio.Task[None]]] = {}
        self._not_before: dict[str, datetime] = {}

    def wake(self) -> None:
        """Something may have become due."""
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled; then the conversations under way are finished or given up with their leases."""
        try:
            while True:
                pause = await self._start_turns()
                await wait(self._context.clock, self._hint, pause)
        finally:
            turns = [turn for lane in self._turns.values() for turn in lane]
            for turn in turns:
                turn.cancel()
            await asyncio.gather(*turns, return_exceptions=True)

    async def tick(self) -> int:
        """Refresh what is due now; answers how many shipments were."""
        count = 0
        for lane, due_at in (await self._context.store.lanes()).items():
            while due_at <= self._context.clock.now():
                done = await self._turn(lane)
                count += done.shipments
                if not done.shipments:
                    break
        return count

    async def _start_turns(self) -> float:
        """Start turns for lanes with due shipments; answers seconds until the next lane is due."""
        now = self._context.clock.now()
        pause = IDLE_S
        for lane, due_at in (await self._context.store.lanes()).items():
            start_at = max(due_at, self._not_before.get(lane, due_at))
            turns = self._turns.setdefault(lane, set())
            if start_at > now:
                pause = min(pause, (start_at - now).total_seconds())
            elif len(turns) < self._calls(lane):
                turn = asyncio.create_task(self._turns_of(lane))
                turns.add(turn)
                turn.add_done_callback(turns.discard)
                pause = 0.0 if len(turns) < self._calls(lane) else pause
        return pause

    def _calls(self, lane: str) -> int:
        source = self._context.routes.named(lane)
        return LANE_CALLS if source and source.limits.per_s is None else 1

    async def _turns_of(self, lane: str) -> None:
        """Turns until the lane has nothing due or must wait."""
        while True:
            try:
                done = await self._turn(lane)
            except Exception as error:  # noqa: BLE001  the loop survives; the rows are due again after their lease
                self._telemetry.turn_failed(lane, error)
                self._not_before[lane] = self._context.clock.now() + ERROR_PAUSE
                return
            if not done.shipments:
                self.wake()
                return

    async def _turn(self, lane: str) -> Round:
        done = await refresh_lane(self._context, lane)
        if done.wait_until is not None:
            self._not_before[lane] = done.wait_until
            self._telemetry.lane_waits(lane, done.wait_until, done.why or "")
        elif lane != NO_SOURCE:
            self._not_before.pop(lane, None)
        self._telemetry.refreshed(done)
        return done
