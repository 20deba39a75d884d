"""Somebody sets the wall clock: no storm, and nothing waits for the old time to come round again."""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path

from faults.carrier import BURST, RATE
from faults.figure import Figure
from faults.ledger import Violation
from faults.simulation import DAY_S, NUMBERS, SHARED_MEMORY, overlook_crashes, silence
from faults.world import EVERY, World

WATCHED_S = 300
SETTLED_S = 120
STALL_MAX_S = 120.0  # two rounds of the janitor, the delay itself included


async def jumps(quick: bool) -> Figure:  # noqa: ARG001
    """+30 days and -1 day under a simulated clock, each in a running service and across a restart."""
    found = await asyncio.to_thread(_jumps)
    stall = max(found["stall_back_s"], found["stall_back_restart_s"])
    good = found["violations"] == 0 and stall <= STALL_MAX_S and found["burst_forward"] <= _most(10)
    return Figure(
        "clock",
        good,
        f"clock: +30 d: {found['burst_forward']:g} calls in the first 10 s (the lane allows {_most(10):g}); "
        f"-1 d: asked again after {found['stall_back_s']:.0f} s, with a restart after "
        f"{found['stall_back_restart_s']:.0f} s (every {EVERY.total_seconds():g} s before); "
        f"violations {found['violations']:g}",
        dict(found),
    )


def _most(seconds: float) -> float:
    return BURST + RATE * seconds


def _jumps() -> dict[str, float]:
    forward, back, across = (
        _one(seconds, restart) for seconds, restart in ((30 * DAY_S, False), (-DAY_S, False), (-DAY_S, True))
    )
    return {
        "burst_forward": forward[0],
        "stall_back_s": back[1],
        "stall_back_restart_s": across[1],
        "violations": forward[2] + back[2] + across[2],
    }


def _one(seconds: float, restart: bool) -> tuple[float, float, int]:
    """Calls in the first 10 s, seconds until every shipment had been asked about again, violations."""
    folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with silence(), tempfile.TemporaryDirectory(dir=folder) as place, asyncio.Runner() as runner:
        return runner.run(_watch(Path(place), seconds, restart))


async def _watch(folder: Path, seconds: float, restart: bool) -> tuple[float, float, int]:
    asyncio.get_running_loop().set_exception_handler(overlook_crashes)
    world = await World.open(folder, seed=1)
    for number in NUMBERS:
        world.move(number)
    await world.register(0, NUMBERS)
    await world.pass_time(SETTLED_S)
    await world.check()
    calls = len(world.carrier.calls)
    await world.jump(seconds)
    jumped_at = world.clock.now()
    if restart:
        await world.kill()
    burst, stall = 0, float(WATCHED_S)
    for passed in range(1, WATCHED_S + 1):
        await world.clock.advance(1)
        if passed == 10:
            burst = len(world.carrier.calls) - calls
        if stall == WATCHED_S and await _all_asked(world, jumped_at):
            stall = float(passed)
    violations = 0
    try:
        await world.check()
    except Violation:
        violations = 1
    await world.close()
    return burst, stall, violations


async def _all_asked(world: World, since: datetime) -> bool:
    """Whether every shipment has been asked about between a moment and now."""
    found = await world.store.find(world.accounts[0].id, NUMBERS)
    return all(row.asked_at and since <= row.asked_at <= world.clock.now() for row, _ in found)
