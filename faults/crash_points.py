"""The service is stopped once at every boundary that a scenario passes, and must be whole afterwards."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from faults.figure import Figure
from faults.ledger import Violation
from faults.simulation import SHARED_MEMORY, overlook_crashes, silence
from faults.world import World

from parcelwire.net.clock import SystemClock
from parcelwire.ports import FAILPOINTS


@dataclass(frozen=True)
class Run:
    """One run of the scenario. ``stopped``: the point at which it died; None: it ran through."""

    hits: int
    names: Counter[str]
    stopped: str | None
    violation: str | None


async def scenario(world: World) -> None:
    """A few parcels from registration to delivery, pushes that fail, questions, a stop, a restart."""
    one, two, three = (f"SANDBOXJOURNEY{index}" for index in range(3))
    steps: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: world.register(0, [one, two]),
        lambda: world.register(1, [one]),
        lambda: world.pass_time(1),
        lambda: world.real_time(0, two, 1),
        lambda: world.real_time(1, three, 0),
        lambda: world.pass_time(25),
        lambda: world.stop(0, two),
        lambda: world.register(1, [three]),
        world.restart,
        lambda: world.pass_time(45),
    )
    for place, step in enumerate(steps):
        for number in (one, two, three):
            world.move(number)
        world.receiver.sickness = 0.5 if place % 3 == 1 else 0.0
        await step()
        await world.settle()


def run(stop_at: int) -> Run:
    """The scenario, dying at hit number ``stop_at`` (0: not at all), then drained and checked."""
    folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with silence(), tempfile.TemporaryDirectory(dir=folder) as place, asyncio.Runner() as runner:
        return runner.run(_run(Path(place), stop_at))


async def _run(folder: Path, stop_at: int) -> Run:
    asyncio.get_running_loop().set_exception_handler(overlook_crashes)
    world = await World.open(folder, seed=1)
    world.points.stop_at = stop_at
    hits, violation = 0, None
    try:
        await scenario(world)
        hits = world.points.hits
        await world.end()
    except Violation as broken:
        violation = str(broken)
    finally:
        await world.close()
    return Run(hits, world.points.names, world.died_at, violation)


def never_hit(through: Run) -> set[str]:
    """Points that the scenario does not pass."""
    return set(FAILPOINTS) - set(through.names)


async def crash_points(quick: bool) -> Figure:
    """The scenario without a crash, then once for every hit of it."""
    began = SystemClock().monotonic()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        through = processes.submit(run, 0).result()
        stops = range(1, through.hits + 1, 10 if quick else 1)
        runs = list(processes.map(run, stops, chunksize=5))
    spent = SystemClock().monotonic() - began
    broken = [(stop, one.violation) for stop, one in zip(stops, runs, strict=True) if one.violation]
    whole = not never_hit(through) and all(one.stopped for one in runs)
    shown = "".join(f"; hit {stop}: {violation}" for stop, violation in broken[:5])
    return Figure(
        "crash_points",
        not broken and whole and through.violation is None,
        f"crash points: {len(FAILPOINTS)} boundaries, hit {through.hits} times, stopped at {len(runs)} "
        f"of them, violations {len(broken)}, {len(runs) / spent:.1f} runs/s{shown}",
        {"boundaries": len(FAILPOINTS), "hits": through.hits, "runs": len(runs), "violations": len(broken)},
    )  # fmt: skip
