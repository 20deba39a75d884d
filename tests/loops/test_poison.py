"""One shipment that nobody can handle harms itself alone."""

import itertools
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from tests.service import World

from parcelwire.carriers import sandbox
from parcelwire.domain.exchange import Answers, Reply
from parcelwire.domain.poison import TROUBLE
from parcelwire.domain.push import Chosen, PushJob, PushState
from parcelwire.flows import push
from parcelwire.flows.manage import OwnerError
from parcelwire.flows.verbs import VERBS
from parcelwire.loops.pusher import LEASE_SPARE_S, LONGEST_S
from parcelwire.ports import Refreshed
from parcelwire.store.sqlite import refreshes

POISON = "SANDBOXDELIVERED1"
TURNS = 3


async def test_what_cannot_be_saved_does_not_keep_the_rest_of_its_call_from_being_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipment says why, and is asked about again later and later; a process that is mended heals it."""
    world = await World.open(tmp_path)
    await world.register(POISON, "SANDBOXDELIVERED2", "SANDBOXDELIVERED3")
    poison = await world.shipment(POISON)
    keep = refreshes._keep_histories

    def overflowing(c: sqlite3.Connection, results: Sequence[Refreshed], raws: Mapping[int, bytes]) -> None:
        if any(one.shipment.id == poison.id and one.histories for one in results):
            raise OverflowError("int too large")
        keep(c, results, raws)

    monkeypatch.setattr(refreshes, "_keep_histories", overflowing)
    await world.steps(TURNS)
    parked = await world.shipment(POISON)
    assert parked.trouble == "malformed: OverflowError while saving the answer"
    assert parked.fails >= 2
    assert parked.lease is None
    for number in ("SANDBOXDELIVERED2", "SANDBOXDELIVERED3"):
        assert (await world.shown(number))["track_info"]["latest_status"]["status"] == "Delivered"
    monkeypatch.setattr(refreshes, "_keep_histories", keep)
    await world.steps(TURNS)
    healed = await world.shipment(POISON)
    assert (healed.trouble, healed.fails) == (None, 0)
    assert (await world.shown(POISON))["track_info"]["latest_status"]["status"] == "Delivered"
    await world.close()


async def test_five_errors_of_ours_in_a_row_park_a_shipment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, its neighbours go on, and it is refreshed again when the owner wants it."""
    await world.register(POISON, "SANDBOXDELIVERED2")
    read = sandbox.parse

    def mistaken(reply: Reply, numbers: Sequence[str]) -> Answers:
        if POISON in numbers:
            raise KeyError("events")
        return read(reply, numbers)

    monkeypatch.setattr(sandbox, "parse", mistaken)
    await world.steps(40)
    parked = await world.shipment(POISON)
    assert parked.trouble == TROUBLE
    assert (parked.fails, parked.refresh_at) == (6, None), "the first was of the whole call: nobody's"
    assert (await world.shown("SANDBOXDELIVERED2"))["track_info"]["latest_status"]["status"] == "Delivered"
    (row,) = (await VERBS["parked"](world.context, {}))["parked"]
    assert (row["number"], row["why"]) == (POISON, "KeyError while reading the answer of sandbox: 'events'")
    (explained,) = (await VERBS["explain"](world.context, {"number": POISON}))["shipments"]
    assert explained["parked_why"] == row["why"]
    monkeypatch.setattr(sandbox, "parse", read)
    assert await VERBS["parked-resume"](world.context, {"number": POISON}) == {"resumed": 1}
    with pytest.raises(OwnerError, match="not parked"):
        await VERBS["parked-resume"](world.context, {"number": POISON})
    await world.steps(1)
    assert (await world.shown(POISON))["track_info"]["latest_status"]["status"] == "Delivered"
    assert world.context.suspects == set()


async def test_an_answer_between_errors_begins_a_new_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.register(POISON)
    read, calls = sandbox.parse, itertools.count()

    def now_and_then(reply: Reply, numbers: Sequence[str]) -> Answers:
        if next(calls) % 4:
            raise KeyError("events")
        return read(reply, numbers)

    monkeypatch.setattr(sandbox, "parse", now_and_then)
    await world.steps(40)
    assert next(calls) > 8
    assert await world.store.parked() == []


async def test_five_errors_of_ours_in_a_row_give_a_push_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each after the lease of the one before; the endpoint is not blamed, and others are told meanwhile."""
    made = push.headers

    def mistaken(job: PushJob, at: datetime) -> dict[str, str]:
        if POISON.encode() in job.body:
            raise TypeError("no header")
        return made(job, at)

    monkeypatch.setattr(push, "headers", mistaken)
    await world.register(POISON, "SANDBOXDELIVERED2")
    await world.refresher.tick()
    for _ in range(5):
        await world.pusher.tick()
        await world.clock.advance(LONGEST_S + LEASE_SPARE_S)
    log = await world.store.push_log(world.account.id, Chosen(number=POISON), 1)
    assert [(one.state, one.log[-1].detail) for one in log] == [
        (PushState.DEAD, "parked: TypeError: no header")
    ]
    assert len(world.sink.bodies("SANDBOXDELIVERED2")) == 1
    (endpoint,) = await world.store.endpoints(world.account.id)
    assert endpoint.health.fails == 0
