"""Tidies up: gives back quota that dead calls held, removes old records, and forgets old logs."""

from datetime import datetime, timedelta

from parcelwire.flows.context import Context
from parcelwire.loops.telemetry import Telemetry

EVERY_S = 60.0
HOLD_MAX = timedelta(minutes=5)  # a real-time question is over after a minute at the latest
RECORD_KEPT = timedelta(days=90)  # stopped, or only looked up: as long as 17TRACK keeps it
REMOVED_AT_ONCE = 200  # records in one transaction: writers wait for no longer than that
REMOVED_MAX = 10_000  # records in one round
LOG_KEPT = timedelta(days=30)  # refresh log, finished pushes, replies that nobody refers to


class Janitor:
    """Run it with ``run``; ``tick`` is one round."""

    def __init__(self, context: Context, telemetry: Telemetry) -> None:
        self._context = context
        self._telemetry = telemetry

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
