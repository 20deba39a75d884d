"""Random lives of the whole service: one seed is one life, and replays exactly."""

import asyncio
import hashlib
import logging
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import structlog
from faults.figure import Figure
from faults.ledger import Violation
from faults.points import Crash
from faults.world import World

from parcelwire.net.clock import SystemClock

STEPS = 40
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system without a disk: fsync costs nothing
NUMBERS = [f"SANDBOXJOURNEY{index}" for index in range(8)]
DAY_S = 86_400.0
JUMPS_S = (-DAY_S, -300.0, -20.0, 20.0, 3600.0)


@dataclass(frozen=True)
class Life:
    """What came of one seed. ``violation`` is None when every promise held."""

    seed: int
    violation: str | None
    trace: tuple[str, ...]
    crashes: int
    pushes: int

    @property
    def digest(self) -> str:
        """The same for the same life."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


def live(seed: int) -> Life:
    """One life from its beginning to its end."""
    folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with silence(), tempfile.TemporaryDirectory(dir=folder) as place, asyncio.Runner() as runner:
        return runner.run(_live(Path(place), seed))


class silence:  # noqa: N801 - used like a function
    """No log lines: faults are the point here."""

    def __enter__(self) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    def __exit__(self, *_: object) -> None:
        structlog.reset_defaults()


def overlook_crashes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of a dead process end in a Crash that nobody awaits: not worth a word."""
    if not isinstance(context.get("exception"), Crash):
        loop.default_exception_handler(context)


async def _live(folder: Path, seed: int) -> Life:
    asyncio.get_running_loop().set_exception_handler(overlook_crashes)
    world = await World.open(folder, seed)
    violation = None
    try:
        for _ in range(STEPS):
            await step(world, world.chance)
            await world.settle()
        await world.end()
    except Violation as broken:
        violation = str(broken)
    finally:
        await world.close()
    return Life(seed, violation, tuple(world.trace), world.crashes, len(world.receiver.arrivals))


KINDS = {  # what happens, and how often
    "register": 8, "real_time": 6, "stop": 2, "move": 24, "time": 34, "weather": 10, "crash": 6,
    "restart": 2, "disk": 3, "jump": 2,
}  # fmt: skip


async def step(world: World, chance: random.Random) -> None:
    """One thing that happens."""
    (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
    place = chance.randrange(len(world.accounts))
    if kind == "register":
        await world.register(place, chance.sample(NUMBERS, chance.randint(1, 5)))
    elif kind == "real_time":
        await world.real_time(place, chance.choice(NUMBERS), chance.randrange(2))
    elif kind == "stop":
        await world.stop(place, chance.choice(NUMBERS))
    elif kind == "move":
        for moved in chance.sample(NUMBERS, chance.randint(1, 4)):
            world.move(moved)
    else:
        await disturb(world, chance, kind)


async def disturb(world: World, chance: random.Random, kind: str) -> None:
    """Time, and what it brings."""
    if kind == "time":
        await world.pass_time(chance.choice((0.01, 1, 5, 20, 45)) * chance.uniform(0.5, 1.5))
    elif kind == "weather":
        world.carrier.sickness = chance.choice((0.0, 0.0, 0.3, 0.9, 1.0))
        world.receiver.sickness = chance.choice((0.0, 0.0, 0.3, 0.9))
    elif kind == "crash":
        world.points.stop_after(chance.randint(1, 40))
    elif kind == "restart":
        await world.restart()
    elif kind == "disk":
        world.points.full = not world.points.full
    else:
        await world.jump(chance.choice(JUMPS_S))


async def simulation(quick: bool) -> Figure:
    """Many lives, a process for each processor."""
    count = 100 if quick else 1000
    began = SystemClock().monotonic()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        lives = list(processes.map(live, range(count), chunksize=10))
    spent = SystemClock().monotonic() - began
    broken = [one for one in lives if one.violation]
    crashes, pushes = sum(one.crashes for one in lives), sum(one.pushes for one in lives)
    shown = "".join(f"; seed {one.seed}: {one.violation}" for one in broken[:5])
    return Figure(
        "simulation",
        not broken,
        f"simulation: {count} seeds, {count / spent:.1f} seeds/s, {STEPS} steps each, {crashes} crashes, "
        f"{pushes} push attempts, violations {len(broken)}{shown}",
        {"seeds": count, "seeds_per_s": round(count / spent, 1), "crashes": crashes, "pushes": pushes,
         "violations": len(broken)},
    )  # fmt: skip
