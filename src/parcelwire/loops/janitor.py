"""Tidies up: gives back quota that dead calls held, forgets what is old. It notices a clock that went back.

Of all processes on a database one at a time tidies up; each looks at its own clock.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from parcelwire.domain.limits import DELAY_MAX
from parcelwire.flows.context import Context
from parcelwire.flows.strikes import look_around
from parcelwire.loops.telemetry import Telemetry
from parcelwire.ports import Old

EVERY_S = 60.0
DUTY = timedelta(seconds=EVERY_S * 0.9)  # a round that comes a little early is a round
HOLD_MAX = timedelta(minutes=5)  # a real-time question is over after a minute at the latest
# How long what is kept; config.py has the reasons, and settings for most.
KEPT: Mapping[Old, timedelta] = {
    Old.REFRESH: timedelta(days=30),
    Old.PUSH: timedelta(days=30),
    Old.CHANGE: timedelta(days=30),  # after the pushes: with its last push it can go
    Old.REPLY: timedelta(days=7),
    Old.ANSWER: timedelta(hours=24),  # as long as a repeat gets the same answer
    Old.INBOX: timedelta(days=90),
    Old.LEDGER: timedelta(days=100),
    Old.STOPPED: timedelta(days=90),
    Old.LOOKED_UP: timedelta(days=90),
}
# Rows in one transaction: whoever wants one of them, or the one writer of a file, waits for no longer.
AT_ONCE = 500
RECORDS_AT_ONCE = 100  # registrations: a dozen rows go with each, and its account is held
PRUNED_MAX = 300_000  # rows of a kind that are looked at in one round; the next one goes on there
PARTS_AT_ONCE, SUMMED_MAX = 5_000, 100  # parts of counts in one transaction, and transactions in one round
NOTHING = timedelta()
CLOCK_BACK = timedelta(minutes=10)  # less only delays what is due by so much


class Janitor:
    """Run it with ``run``; ``tick`` is one round."""

    def __init__(
        self,
        context: Context,
        telemetry: Telemetry,
        longest: timedelta = DELAY_MAX,
        kept: Mapping[Old, timedelta] = KEPT,
    ) -> None:
        """``longest``: no refresh and no push is ever put off by more."""
        self._context = context
        self._telemetry = telemetry
        self._longest = longest
        self._kept = kept
        self._looked: tuple[datetime, float] | None = None  # both clocks at the last look
        self._upto: dict[Old, datetime] = {}  # where a kind goes on of which a round could not see all

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
        await look_around(self._context)
        now = self._context.clock.now()
        if not await self._context.store.take_duty("tidy", DUTY, now):
            return
        released = await self._context.store.release_holds(now - HOLD_MAX, now)
        await self._sum_up()
        pruned = {old: await self._prune(old, now - self._kept[old]) for old in KEPT}
        self._telemetry.tidied(released, {old: count for old, count in pruned.items() if count})

    async def _sum_up(self) -> None:
        for _ in range(SUMMED_MAX):
            if not await self._context.store.sum_up(PARTS_AT_ONCE):
                return

    async def _prune(self, old: Old, before: datetime) -> int:
        most = RECORDS_AT_ONCE if old in (Old.STOPPED, Old.LOOKED_UP) else AT_ONCE
        count, seen, upto = 0, 0, self._upto.pop(old, None)
        while seen < PRUNED_MAX:
            pruned = await self._context.store.prune(old, before, most, upto)
            count += pruned.count
            seen += most
            if pruned.upto is None:
                return count
            upto = pruned.upto
        if upto is not None:
            self._upto[old] = upto
        return count

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
