"""Credentials came or went since the last start: who is asked is decided anew for each shipment.

Once, in the background and in small transactions, however many shipments there are.
"""

from parcelwire.flows.context import Context
from parcelwire.loops.telemetry import Telemetry

AT_ONCE = 1_000  # shipments that are looked at in one transaction; few of them move
ERROR_PAUSE_S = 5.0


class Rerouter:
    """Run it with ``run``; in tests and simulation ``tick`` does all of it."""

    def __init__(self, context: Context, telemetry: Telemetry) -> None:
        self._context = context
        self._telemetry = telemetry

    async def run(self) -> None:
        """Until all is decided, or cancelled."""
        while True:
            try:
                await self.tick()
            except Exception as error:  # noqa: BLE001  it goes on where it was
                self._telemetry.turn_failed("reroute", error)
                await self._context.clock.sleep(ERROR_PAUSE_S)
            else:
                return

    async def tick(self) -> int:
        """Decide; answers how many shipments have moved."""
        store, routes, moved = self._context.store, self._context.routes, 0
        if await store.begin_reroute(routes.signature):
            while True:
                some = await store.reroute(routes.signature, routes.moved, AT_ONCE, self._context.clock.now())
                if some is None:
                    break
                moved += some
        self._telemetry.rerouted(moved)
        return moved
