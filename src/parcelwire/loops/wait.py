"""Waiting for a moment or a hint, whichever comes first."""

import asyncio

from parcelwire.ports import Clock


async def wait(clock: Clock, hint: asyncio.Event, seconds: float) -> None:
    """Return after ``seconds`` of the clock, or as soon as ``hint`` is set; clears the hint."""
    if not hint.is_set() and seconds > 0:
        sleeping = asyncio.ensure_future(clock.sleep(seconds))

        def woken(_: asyncio.Future[None]) -> None:
            hint.set()

        sleeping.add_done_callback(woken)
        try:
            await hint.wait()
        finally:
            sleeping.remove_done_callback(woken)
            sleeping.cancel()
    hint.clear()
