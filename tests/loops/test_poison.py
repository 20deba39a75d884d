"""One shipment that nobody can handle harms itself alone."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.service import World

from parcelwire.domain.merge import History
from parcelwire.store.sqlite import refreshes

POISON = "SANDBOXDELIVERED1"
TURNS = 6


async def test_what_cannot_be_saved_does_not_keep_the_rest_of_its_call_from_being_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipment says why, and is asked about again later and later; a process that is mended heals it."""
    world = await World.open(tmp_path)
    await world.register(POISON, "SANDBOXDELIVERED2", "SANDBOXDELIVERED3")
    poison = await world.shipment(POISON)
    keep = refreshes._keep_history

    def overflowing(c: sqlite3.Connection, shipment: int, history: History, *rest: Any) -> None:
        if shipment == poison.id:
            raise OverflowError("int too large")
        keep(c, shipment, history, *rest)

    monkeypatch.setattr(refreshes, "_keep_history", overflowing)
    await world.steps(TURNS)
    parked = await world.shipment(POISON)
    assert parked.trouble == "malformed: OverflowError while saving the answer"
    assert parked.fails >= 2
    assert parked.lease is None
    for number in ("SANDBOXDELIVERED2", "SANDBOXDELIVERED3"):
        assert (await world.shown(number))["track_info"]["latest_status"]["status"] == "Delivered"
    monkeypatch.setattr(refreshes, "_keep_history", keep)
    await world.steps(TURNS)
    healed = await world.shipment(POISON)
    assert (healed.trouble, healed.fails) == (None, 0)
    assert (await world.shown(POISON))["track_info"]["latest_status"]["status"] == "Delivered"
    await world.close()
