"""Tidies up: gives back quota that dead calls held, removes old records, forgets old logs.

And it notices a clock that went back.
"""

from datetime import datetime, timedelta

from parcelwire.domain.limits import DELAY_MAX
from parcelwire.flows.context import Context
from parcelwire.loops.telemetry import Telemetry

EVERY_S = 60.0
HOLD_MAX = timedelta(minutes=5)  # a real-time question is over after a minute at the latest
RECORD_KEPT = timedelta(days=90)  # stopped, or only looked up: as long as 17TRACK keeps it
REMOVED_AT_ONCE = 200  # records in one transaction: writers wait for no longer than that
REMOVED_MAX = 10_000  # records in one round
LOG_KEPT = timedelta(days=30)  # refresh log, finished pushes, replies that nobody refers to
NOTHING = timedelta()
CLOCK_BACK = timedelta(minutes=10)  # less only delays what is due by so much


class Janitor:
    """Run it with ``run``; ``tick`` is one round."""

    def __init__(self, context: Context, telemetry: Telemetry, longest: timedelta = DELAY_MAX) -> None:
        """``longest``: no refresh and no push is ever put off by more."""
        self._context = context
        self._telemetry = telemetry
        self._longest = longest
        self._looked: tuple[datetime, float] | None = None  # both clocks at the last look

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.tick()
            except Exception as error:  # noqa: BLE001  the next round tries again
                self._telemetry.turn_failed("janitor", error)
            await self._context.clock.sleep(EVERY_S)

    async def tick(self) -> None:
        """One round."""
        await self._look_at_the_clock()
        now = self._context.clock.now()
        released = await self._context.store.release_holds(now - HOLD_MAX, now)
        pruned = await self._context.store.prune(now - LOG_KEPT)
        self._telemetry.tidied(released, pruned, await self._remove(now - RECORD_KEPT))

    async def _remove(self, before: datetime) -> int:
        removed = 0
        while removed < REMOVED_MAX:
            some = await self._context.store.remove_old(before, REMOVED_AT_ONCE)
            removed += some
            if some < REMOVED_AT_ONCE:
                break
        return removed

    async def _look_at_the_clock(self) -> None:
        """What the clock planned before it was set back is due now; else it would wait for the clock."""
        now, elapsed = self._context.clock.now(), self._context.clock.monotonic()
        if self._looked:
            wall, then = self._looked
            expected = wall + timedelta(seconds=elapsed - then)
        else:
            expected = await self._context.store.latest() or now
        back = expected - now
        # Nearly everything was planned by the clock as it was: due now, as fast as the lanes allow.
        hastened = await self._context.store.hasten(now, self._longest if back < CLOCK_BACK else NOTHING)
        self._looked = (now, elapsed)
        if hastened:
            self._telemetry.clock_went_back(back, hastened)
