"""Waiting for a moment or a hint."""

import asyncio
from datetime import UTC, datetime

from parcelwire.loops.wait import wait
from parcelwire.net.clock import ManualClock, settle

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_time_ends_a_wait_without_a_hint() -> None:
    """Not a moment before, and nothing is left that would cut the next wait short."""
    clock, hint = ManualClock(START), asyncio.Event()
    for _ in range(2):
        waiting = asyncio.create_task(wait(clock, hint, 5))
        await clock.advance(4.9)
        assert not waiting.done()
        await clock.advance(0.1)
        assert waiting.done()
        assert not hint.is_set()


async def test_a_hint_ends_a_wait_and_is_used_up() -> None:
    """The sleep that it cut short does not count as a hint for the next wait."""
    clock, hint = ManualClock(START), asyncio.Event()
    waiting = asyncio.create_task(wait(clock, hint, 5))
    await settle()
    hint.set()
    await settle()
    assert waiting.done()
    following = asyncio.create_task(wait(clock, hint, 60))
    await clock.advance(30)
    assert not following.done()
    following.cancel()


async def test_a_hint_from_before_is_enough() -> None:
    """What was hinted while nobody waited is not lost."""
    clock, hint = ManualClock(START), asyncio.Event()
    hint.set()
    await asyncio.wait_for(wait(clock, hint, 5), 1)
    assert not hint.is_set()
