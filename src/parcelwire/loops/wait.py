"""Waiting for a moment or a hint, whichever comes first."""

import asyncio

from parcelwire.ports import Clock


async def wait(clock: Clock, hint: asyncio.Event, seconds: float) -> None:
    """Return after ``seconds`` of the clock, or as soon as ``hint`` is set; clears the hint."""
    if not hint.is_set() and seconds > 0:
        sleeping = asyncio.ensure_future(clock.sleep(seconds))
        hinted = asyncio.ensure_future(hint.wait())
        try:
            await asyncio.wait((sleeping, hinted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            hinted.cancel()
    hint.clear()
