"""Processes verified pushes, oldest first. What waits in the inbox survives a crash."""

import asyncio
from datetime import timedelta

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.flows.context import Context
from parcelwire.flows.inbound import process
from parcelwire.loops.telemetry import Telemetry
from parcelwire.loops.wait import wait
from parcelwire.ports import Inbound, InboxState

IDLE_S = 30.0  # look again at the latest after this: the hint comes with every new push
BATCH = 20  # claimed at once: a few seconds of work
LEASE = timedelta(seconds=60)  # what a process has claimed that dies waits for so long
ERROR_PAUSE_S = 5.0


class Inbox:
    """Run it with ``run``; in tests and simulation ``tick`` processes everything that waits."""

    def __init__(self, context: Context, telemetry: Telemetry) -> None:
        self._context = context
        self._telemetry = telemetry
        self._hint = asyncio.Event()

    def wake(self) -> None:
        """Something may have come in."""
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause = IDLE_S
            try:
                await self.tick()
            except Exception as error:  # noqa: BLE001  the loop survives; what waits is still there
                self._telemetry.turn_failed("inbox", error)
                pause = ERROR_PAUSE_S
            await wait(self._context.clock, self._hint, pause)

    async def tick(self) -> int:
        """Process what waits; answers how many pushes it was. One that cannot be processed is parked."""
        count = 0
        while waiting := await self._claim():
            for inbound in waiting:
                try:
                    self._telemetry.processed(await process(self._context, inbound))
                except StoreUnavailable:  # it waits until the database works again
                    raise
                except Exception as error:  # noqa: BLE001  one push must not hold up the others
                    self._telemetry.turn_failed(f"push {inbound.id}", error)
                    detail = f"{type(error).__name__}: {error}"
                    await self._context.store.finish_inbound(inbound.id, InboxState.PARKED, detail)
                count += 1
        return count

    async def _claim(self) -> list[Inbound]:
        now = self._context.clock.now()
        return await self._context.store.claim_inbound(BATCH, now, now + LEASE)
