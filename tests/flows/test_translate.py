"""``lang``: a translation at each event, paid once, when it is given."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.service import World

NUMBER = "SANDBOXJOURNEY1"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World.open(tmp_path)
    yield made
    await made.close()


async def used(world: World) -> int:
    return (await world.store.usage(world.account.id, world.clock.now())).used


async def track(world: World, number: str = NUMBER, **more: str) -> None:
    """Register and let two steps pass."""
    data = (await world.call("register", [{"number": number, **more}]))["data"]
    assert len(data["accepted"]) == 1
    await world.steps(3)


def events(item: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = item["track_info"]["tracking"]["providers"][0]["events"]
    return found


def translations(item: dict[str, Any]) -> set[str]:
    return {
        event["description_translation"]["lang"]
        for event in events(item)
        if "description_translation" in event
    }


async def test_a_translation_is_shown_and_pushed_and_paid_once(world: World) -> None:
    await track(world, lang="de")
    shown = await world.shown(NUMBER)
    assert translations(shown) == {"de"}
    assert shown["track_info"]["latest_event"]["description_translation"]["description"]
    assert await used(world) == 2
    pushed = world.sink.bodies(NUMBER)[-1]["data"]
    assert translations(pushed) == {"de"}
    await world.steps(3)
    assert await used(world) == 2


async def test_without_a_language_or_a_catalog_there_is_none_and_nothing_is_paid(
    world: World,
) -> None:
    await track(world, NUMBER)
    await track(world, "SANDBOXJOURNEY2", lang="xx")
    await track(world, "SANDBOXJOURNEY3", lang="de", translation_mode="Denied")
    for number in (NUMBER, "SANDBOXJOURNEY2", "SANDBOXJOURNEY3"):
        assert events(await world.shown(number))
        assert translations(await world.shown(number)) == set()
    assert await used(world) == 3


async def test_a_number_that_never_has_events_pays_for_no_translation(world: World) -> None:
    await track(world, "SANDBOXNOTFOUND1", lang="de")
    assert await used(world) == 1


async def test_another_language_later_is_free_and_shown_at_once(world: World) -> None:
    await track(world, lang="de")
    await world.call("changeinfo", [{"number": NUMBER, "items": {"lang": "fr"}}])
    assert translations(await world.shown(NUMBER)) == {"fr"}
    await world.steps(2)
    assert await used(world) == 2


async def test_a_language_that_is_given_later_is_paid_then(world: World) -> None:
    await track(world)
    await world.call("changeinfo", [{"number": NUMBER, "items": {"lang": "en"}}])
    await world.steps(2)
    assert translations(await world.shown(NUMBER)) == {"en"}
    assert await used(world) == 2


async def test_without_quota_there_is_no_translation_and_tracking_goes_on(world: World) -> None:
    await world.store.set_plan(world.account.id, "1", 1)
    await track(world, lang="de")
    assert events(await world.shown(NUMBER))
    assert translations(await world.shown(NUMBER)) == set()
    assert await used(world) == 1
    await world.store.set_plan(world.account.id, "5", 5)
    await world.steps(2)
    assert translations(await world.shown(NUMBER)) == {"de"}
    assert await used(world) == 2


async def test_a_translation_that_was_paid_is_not_paid_again(world: World) -> None:
    """Also when what was paid for was not saved: the process died between the two."""
    await track(world)
    shipment = await world.shipment(NUMBER)
    for _ in range(3):
        assert await world.store.pay_translation(world.account.id, shipment.id, world.clock.now())
    assert await used(world) == 2
