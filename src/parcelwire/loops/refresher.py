"""Asks carriers when shipments are due: lane by lane, so that a slow carrier holds up only itself."""

import asyncio
from datetime import datetime, timedelta

from parcelwire.domain.poison import Piece
from parcelwire.domain.queue import home
from parcelwire.domain.width import Width, after
from parcelwire.flows.context import Context
from parcelwire.flows.refresh import Round, refresh_lane
from parcelwire.flows.routes import NO_SOURCE
from parcelwire.flows.strikes import absolve, blame
from parcelwire.loops.telemetry import Telemetry
from parcelwire.loops.wait import wait

IDLE_S = 1.0  # look again at the latest after this: hints may get lost, due times do not
GATHER_S = 0.02  # after each look: what is registered within this is seen by one look
ERROR_PAUSE_S = 5.0  # of a lane whose turn ended in an unexpected error


class Refresher:
    """Run it with ``run``; in tests and simulation ``tick`` does everything that is due."""

    def __init__(self, context: Context, telemetry: Telemetry) -> None:
        self._context = context
        self._telemetry = telemetry
        self._hint = asyncio.Event()
        self._stopping = False
        self._turns: dict[str, set[asyncio.Task[None]]] = {}  # by lane: its queues share what it allows
        self._widths: dict[str, Width] = {}
        self._not_before: dict[str, float] = {}  # by the monotonic clock: the wall clock may jump

    def wake(self) -> None:
        """Something may have become due."""
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled; the conversations under way are finished then, but no new one begins."""
        try:
            while True:
                try:
                    pause = await self._start_turns()
                except Exception as error:  # noqa: BLE001  the loop survives; what is due stays due
                    self._telemetry.turn_failed("refresh", error)
                    pause = ERROR_PAUSE_S
                if pause > 0:
                    await self._context.clock.sleep(min(pause, GATHER_S))
                    await wait(self._context.clock, self._hint, pause - GATHER_S)
        finally:
            self._stopping = True
            turns = [turn for lane in self._turns.values() for turn in lane]
            try:
                await asyncio.gather(*turns, return_exceptions=True)
            finally:  # whoever stops us has no more patience: their leases run out
                for turn in turns:
                    turn.cancel()

    async def tick(self) -> int:
        """Refresh what is due now; answers how many shipments were."""
        count = 0
        for lane, due_at in (await self._context.store.lanes()).items():
            while self._start_at(lane, due_at) <= self._context.clock.now():
                done = await self._turn(lane)
                count += done.shipments
                if not done.shipments:
                    break
        return count

    async def next_at(self) -> datetime | None:
        """When there is something to do next; None when nothing is scheduled."""
        lanes = (await self._context.store.lanes()).items()
        return min((self._start_at(lane, due_at) for lane, due_at in lanes), default=None)

    async def _start_turns(self) -> float:
        """Start turns for lanes with due shipments; answers seconds until the next lane is due."""
        now = self._context.clock.now()
        pause = IDLE_S
        for lane, due_at in (await self._context.store.lanes()).items():
            start_at = self._start_at(lane, due_at)
            turns = self._turns.setdefault(home(lane), set())
            if start_at > now:
                pause = min(pause, (start_at - now).total_seconds())
            elif len(turns) < self._width(lane).places:
                turn = asyncio.create_task(self._turns_of(lane))
                turns.add(turn)
                turn.add_done_callback(turns.discard)
                pause = 0.0 if len(turns) < self._width(lane).places else pause
        return pause

    def _start_at(self, queue: str, due_at: datetime) -> datetime:
        """When a queue has something due and may be asked, as far as we know."""
        clock = self._context.clock
        not_before = self._not_before.get(queue)
        if not_before is None:
            return due_at
        return max(due_at, clock.now() + timedelta(seconds=not_before - clock.monotonic()))

    def _width(self, queue: str) -> Width:
        return self._widths.get(home(queue), Width())

    async def _turns_of(self, lane: str) -> None:
        """Turns until the lane has nothing due or must wait."""
        while True:
            try:
                done = await self._turn(lane)
            except Exception as error:  # noqa: BLE001  the loop survives; the rows are due again after their lease
                self._telemetry.turn_failed(f"refresh {lane}", error)
                self._not_before[lane] = self._context.clock.monotonic() + ERROR_PAUSE_S
                return
            if not done.shipments or self._stopping:
                self.wake()
                return
            if len(self._turns[home(lane)]) > self._width(lane).places:
                return  # the carrier does not keep up: one conversation less

    async def _turn(self, lane: str) -> Round:
        done = await refresh_lane(self._context, lane)
        if done.wait_until is not None:
            wait_s = (done.wait_until - self._context.clock.now()).total_seconds()
            self._not_before[lane] = self._context.clock.monotonic() + wait_s
            self._telemetry.lane_waits(lane, done.wait_until, done.why or "")
        elif lane != NO_SOURCE:
            self._not_before.pop(lane, None)
        if done.ms is not None:
            width = self._width(lane)
            full = len(self._turns.get(home(lane), ())) >= width.places
            self._widths[home(lane)] = after(width, done.ms, failed=done.overloaded, full=full)
        self._telemetry.refreshed(done)
        await self._judge(done)
        return done

    async def _judge(self, done: Round) -> None:
        """Five unexpected errors in a row park a shipment; any other end clears it."""
        for shipment, error in done.errors:
            self._telemetry.parked(await blame(self._context, Piece(shipment.id), error), error)
        failed = {shipment.id for shipment, _ in done.errors}
        good = (Piece(one.id) for one, _ in done.outcomes if not one.fails and one.id not in failed)
        await absolve(self._context, good)
