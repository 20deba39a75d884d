"""stoptrack against a refresh that is saved between its read and its write."""

import json
from collections.abc import Sequence

import pytest
from tests.service import World, story

from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.flows.stop import stop
from parcelwire.ports import Document

NUMBER = "SANDBOXJOURNEY"


async def test_a_stop_undoes_no_refresh_that_came_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads again: the change that the refresh brought is pushed, and then the end."""
    await world.register(NUMBER)
    find = world.store.find
    reads = 0

    async def find_slowly(account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        nonlocal reads
        reads += 1
        found = await find(account, numbers)
        if reads == 1:
            await world.refresher.tick()
        return found

    monkeypatch.setattr(world.store, "find", find_slowly)
    answer = json.loads(await stop(world.context, world.account, json.dumps([{"number": NUMBER}]).encode()))
    monkeypatch.undo()
    assert [item["number"] for item in answer["data"]["accepted"]] == [NUMBER]
    assert reads == 2
    shipment = await world.shipment(NUMBER)
    assert (shipment.phase, shipment.version) == (Phase.STOPPED, 2)
    assert shipment.sub_status is not None
    await world.turn()
    assert story(world.sink.bodies(NUMBER)) == ["InfoReceived", "STOPPED"]
