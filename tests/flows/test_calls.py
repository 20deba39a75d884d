"""No request goes to a carrier without a call that was taken from its lane just before."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.service import NOON, World

from parcelwire.carriers import carriers
from parcelwire.domain.errors import NoRoom, NotYet
from parcelwire.domain.exchange import Access, Query, Reply, Request
from parcelwire.domain.lane import LATE_S, SEND_S, take
from parcelwire.domain.limits import Limits
from parcelwire.flows.asking import Calls
from parcelwire.flows.manage import VERBS
from parcelwire.flows.routes import Routes
from parcelwire.standins.dhl import DhlStandIn

SLOW = Limits(per_s=1 / 60)
DHL = carriers()["dhl"]
NUMBER, DHL_CODE = "4100000309", 7041


class Elsewhere(DhlStandIn):
    """Knows its numbers, but never those of the division that it is asked about."""

    def answer(self, request: Request, now: datetime) -> Reply:
        self.unknown = {NUMBER} if "service" in request.query else set()
        return super().answer(request, now)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    routes = Routes(dict.fromkeys(DHL.serves, DHL))
    opened = await World.open(tmp_path, routes=routes, sources=[Elsewhere()])
    yield opened
    await opened.close()


async def claimed(world: World, limits: Limits) -> Calls:
    """The calls of a conversation with the one that came with its claim."""
    calls, now, began = Calls(world.context, limits, "x"), world.clock.now(), world.clock.monotonic()
    calls.got(await world.store.take_call("x", partial(_take, limits), now), now, began)
    return calls


def _take(limits: Limits, lane: Any, now: Any) -> Any:
    return take(lane, limits, now)


async def test_one_request_soon_after_its_claim_asks_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual conversation costs the database no more than the claim."""
    calls = await claimed(world, SLOW)
    await world.clock.advance(SEND_S)
    monkeypatch.delattr(type(world.store), "take_call")
    await calls(4)


async def test_a_call_that_was_not_sent_in_time_is_changed_for_another(world: World) -> None:
    """A token was fetched, or the machine stood still: nothing is sent late, and nobody waits for more."""
    calls = await claimed(world, SLOW)
    await world.clock.advance(SEND_S + 0.01)
    await calls(4)
    lane = await world.store.lane("x")
    assert lane.used == 1
    assert lane.stamp == world.clock.now() + timedelta(seconds=60 + LATE_S)


async def test_a_set_clock_makes_no_call_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = await claimed(world, SLOW)
    world.clock.jump(3600)
    monkeypatch.delattr(type(world.store), "take_call")
    await calls(4)


async def test_a_further_request_waits_for_its_call(world: World) -> None:
    calls = await claimed(world, DHL.limits)
    await calls(4)
    began = world.clock.monotonic()
    await world.passing(calls(4))
    assert world.clock.monotonic() - began == pytest.approx(1 + LATE_S)
    assert (await world.store.lane("x")).used == 2


async def test_nobody_waits_for_a_call_that_comes_too_late(world: World) -> None:
    """Nothing is taken, and the error says when there is one."""
    calls = await claimed(world, SLOW)
    await calls(4)
    with pytest.raises(NoRoom) as refused:
        await calls(4)
    assert str(refused.value) == "rate of 0.0166667 calls/s; try again after 12:01:00Z"
    assert refused.value.retry_after_s == pytest.approx(60 + LATE_S)
    assert (await world.store.lane("x")).used == 1


async def test_the_calls_of_a_day_are_exact_whoever_takes_them(world: World) -> None:
    """Twenty conversations of three requests each, for a day's 31: one is short of its further calls."""
    limits = Limits(per_day=31, reserved=0)
    sent: list[int] = []

    async def converse() -> None:
        calls = Calls(world.context, limits, "x")
        for _ in range(3):
            await calls(4)
            sent.append(1)

    ended = await asyncio.gather(*(converse() for _ in range(20)), return_exceptions=True)
    assert len(sent) == 31
    assert all(isinstance(one, NoRoom | None) for one in ended)


async def test_a_dhl_number_of_another_division_is_found_at_one_call_a_second(world: World) -> None:
    """The first request knows nothing, the second one waits: the stand-in lets one in a second."""
    number = {"number": NUMBER, "carrier": DHL_CODE}
    await world.call("register", [number])
    await world.turn()
    assert (await world.shown(NUMBER))["track_info"]["latest_status"]["status"] != "NotFound"
    assert (await world.store.lane("dhl")).used == 2


async def test_a_number_whose_second_request_is_not_allowed_is_asked_about_again(world: World) -> None:
    """It is not "not found", the lane has no failure, and ``explain`` says why."""
    lane = take(await world.store.lane("dhl"), DHL.limits, world.clock.now() - timedelta(hours=1)).lane
    budget = 200  # of 250; the rest is for real-time questions
    await world.store.save_lane(type(lane)("dhl", 1, day=lane.day, used=budget - 1), 0)
    await world.call("register", [{"number": NUMBER, "carrier": DHL_CODE}])
    await world.turn()
    shipment = await world.shipment(NUMBER)
    assert shipment.sub_status is None
    assert shipment.trouble is not None
    assert shipment.trouble.startswith("no_room: daily budget of 200 calls is used up")
    assert shipment.refresh_at == world.clock.now().replace(hour=0) + timedelta(days=1)
    assert (await world.store.lane("dhl")).fails == 0
    told = await VERBS["explain"](world.context, {"number": NUMBER})
    assert "no_room" in str(told)


def test_17track_tells_what_was_registered_though_it_cannot_be_read_at_once() -> None:
    """What was bought is not bought again."""
    carrier = carriers()["seventeentrack"]
    new, known = (Query(number, "ups", NOON, code=100002, known=number == "B2") for number in ("A1", "B2"))
    talk = carrier.track([new, known], Access({"token": "t"}))
    next(talk)
    body = b'{"code":0,"data":{"accepted":[{"number":"A1","carrier":100002}],"rejected":[]}}'
    talk.send(Reply(200, {}, body))
    no_room = NoRoom("rate of 3 calls/s", 0.5)
    with pytest.raises(StopIteration) as done:
        talk.throw(no_room)
    assert isinstance(done.value.value["A1"], NotYet)
    assert done.value.value["B2"] is no_room
