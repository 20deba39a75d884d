"""When the wall clock is set back, nothing waits for it to come round again."""

from datetime import timedelta
from pathlib import Path

from tests.service import World

from parcelwire.loops.janitor import EVERY_S, Janitor
from parcelwire.loops.telemetry import Telemetry

DAY = timedelta(days=1)


async def test_a_running_service_goes_on_after_its_clock_was_set_back(tmp_path: Path) -> None:
    """By a day, which is as long as the longest delay: only comparing both clocks can tell."""
    world = await World.open(tmp_path)
    janitor = Janitor(world.context, Telemetry())
    await world.register("SANDBOXJOURNEY1")
    await world.turn()
    await janitor.tick()
    world.clock.jump(-DAY.total_seconds())
    await world.clock.advance(EVERY_S)
    before = await world.shipment("SANDBOXJOURNEY1")
    assert before.refresh_at is not None
    assert before.refresh_at > world.clock.now() + DAY - timedelta(seconds=EVERY_S)
    await janitor.tick()
    await world.turn()
    after = await world.shipment("SANDBOXJOURNEY1")
    assert after.asked_at == world.clock.now()
    await world.close()


async def test_a_service_goes_on_that_is_started_with_a_clock_set_back(tmp_path: Path) -> None:
    """The log of refreshes tells what the clock showed before."""
    world = await World.open(tmp_path)
    await world.register("SANDBOXJOURNEY1")
    await world.turn()
    world.clock.jump(-3 * 3600)
    await Janitor(world.context, Telemetry()).tick()
    assert (await world.shipment("SANDBOXJOURNEY1")).refresh_at == world.clock.now()
    await world.close()


async def test_a_clock_that_is_corrected_a_little_changes_nothing(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    await world.register("SANDBOXJOURNEY1")
    await world.turn()
    planned = (await world.shipment("SANDBOXJOURNEY1")).refresh_at
    world.clock.jump(-60)
    await Janitor(world.context, Telemetry()).tick()
    assert (await world.shipment("SANDBOXJOURNEY1")).refresh_at == planned
    await world.close()
