"""The two clocks: the system's, and the one that moves only when told to."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from parcelwire.net.clock import ManualClock, SystemClock

START = datetime(2026, 3, 1, tzinfo=UTC)


async def test_the_system_clock_is_aware_utc_and_sleeps() -> None:
    """Wall time is UTC, and a sleep takes at least as long as asked by the monotonic clock."""
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009


async def test_sleepers_wake_in_time_order_each_at_its_own_time() -> None:
    """Three sleepers, started in another order, and one that falls asleep again on the way."""
    clock = ManualClock(START)
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleep(*who)) for who in (("c", 30.0), ("a", 10.0, 5.0), ("b", 15.0))]
    await clock.advance(60)
    assert woken == [("a", 10.0), ("b", 15.0), ("a", 15.0), ("c", 30.0)]
    assert clock.monotonic() == 60.0
    assert clock.now() == START + timedelta(seconds=60)
    await asyncio.gather(*tasks)


async def test_nobody_wakes_early() -> None:
    """A sleeper of ten seconds still sleeps after 9.9, and wakes at 10."""
    clock = ManualClock(START)
    task = asyncio.create_task(clock.sleep(10))
    await clock.advance(9.9)
    assert not task.done()
    await clock.advance(0.1)
    assert task.done()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """Giving up a sleep neither breaks nor delays the others."""
    clock = ManualClock(START)
    gone = asyncio.create_task(clock.sleep(5))
    stays = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    gone.cancel()
    await clock.advance(5)
    assert gone.cancelled()
    assert stays.done()


async def test_a_jump_of_the_wall_clock_wakes_nobody() -> None:
    """NTP or an operator sets the clock: only now() changes, back as well as forward."""
    clock = ManualClock(START)
    task = asyncio.create_task(clock.sleep(3600))
    await clock.advance(1)
    clock.jump(-86400)
    assert clock.now() == START + timedelta(seconds=1 - 86400)
    assert clock.monotonic() == 1.0
    clock.jump(30 * 86400)
    await clock.advance(0)
    assert not task.done()
    task.cancel()


async def test_a_sleep_of_nothing_yields_and_returns() -> None:
    """Zero and less: others get a turn, no time passes, nobody has to advance the clock."""
    clock = ManualClock(START)
    turns: list[str] = []

    async def turn() -> None:
        turns.append("other")

    other = asyncio.create_task(turn())
    await clock.sleep(0)
    await clock.sleep(-1)
    assert turns == ["other"]
    assert clock.monotonic() == 0.0
    await other


async def test_idle_is_awaited_after_each_wake_up() -> None:
    """A simulation can wait for its threads before time goes on."""
    seen: list[float] = []

    async def idle() -> None:
        seen.append(clock.monotonic())
        await asyncio.sleep(0)

    clock = ManualClock(START, idle)
    tasks = [asyncio.create_task(clock.sleep(seconds)) for seconds in (1, 2)]
    await asyncio.sleep(0)
    await clock.advance(3)
    assert seen == [0.0, 1.0, 2.0]
    await asyncio.gather(*tasks)


async def test_time_neither_runs_backwards_nor_lacks_a_zone() -> None:
    """Monotonic time stays monotonic, and a naive start is a bug."""
    with pytest.raises(ValueError, match="jump"):
        await ManualClock(START).advance(-1)
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 3, 1))  # noqa: DTZ001
