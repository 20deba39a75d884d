"""The same world, driven by Hypothesis: what it finds it also makes small."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from faults.simulation import JUMPS_S, NUMBERS, SHARED_MEMORY, overlook_crashes, silence
from faults.world import ACCOUNTS, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

places = st.integers(0, len(ACCOUNTS) - 1)
numbers = st.sampled_from(NUMBERS)
sickness = st.sampled_from([0.0, 0.5, 1.0])


class Service(RuleBasedStateMachine):
    """Calls, parcels, faults and time in any order; after each the promises P1 to P6 hold."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet = silence()
        self._quiet.__enter__()
        self._folder = tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None)
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_exception_handler(overlook_crashes)
        self._world: World | None = None

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self._world = self._runner.run(World.open(Path(self._folder.name), seed))

    @property
    def world(self) -> World:
        assert self._world is not None
        return self._world

    def _do(self, step: Coroutine[Any, Any, None]) -> None:
        async def settled() -> None:
            await step
            await self.world.settle()

        self._runner.run(settled())

    @rule(place=places, chosen=st.lists(numbers, min_size=1, max_size=4, unique=True))
    def register(self, place: int, chosen: list[str]) -> None:
        self._do(self.world.register(place, chosen))

    @rule(place=places, number=numbers, level=st.integers(0, 1))
    def real_time(self, place: int, number: str, level: int) -> None:
        self._do(self.world.real_time(place, number, level))

    @rule(place=places, number=numbers)
    def stop(self, place: int, number: str) -> None:
        self._do(self.world.stop(place, number))

    @rule(number=numbers, scans=st.integers(1, 3))
    def move(self, number: str, scans: int) -> None:
        for _ in range(scans):
            self.world.move(number)

    @rule(seconds=st.sampled_from([0.1, 1.0, 21.0, 60.0]))
    def pass_time(self, seconds: float) -> None:
        self._do(self.world.pass_time(seconds))

    @rule(carrier=sickness, receiver=sickness)
    def weather(self, carrier: float, receiver: float) -> None:
        self.world.carrier.sickness, self.world.receiver.sickness = carrier, receiver

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        self.world.points.full = full

    @rule(hits=st.integers(1, 30))
    def crash_soon(self, hits: int) -> None:
        self.world.points.stop_after(hits)

    @rule()
    def kill(self) -> None:
        self._do(self.world.kill())

    @rule()
    def restart(self) -> None:
        self._do(self.world.restart())

    @rule(seconds=st.sampled_from(JUMPS_S))
    def jump(self, seconds: float) -> None:
        self._do(self.world.jump(seconds))

    @invariant()
    def every_promise_holds(self) -> None:
        if self._world is not None:
            self._runner.run(self._world.check())

    def teardown(self) -> None:
        """What was never interrupted by a violation comes to rest, and nothing is lost."""
        try:
            if self._world is not None:
                self._runner.run(self._world.end())
        finally:
            if self._world is not None:
                self._runner.run(self._world.close())
            self._runner.close()
            self._folder.cleanup()
            self._quiet.__exit__()


TestService = Service.TestCase
TestService.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
