"""What a real-time question costs, and what it leaves behind."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.service import World

from parcelwire.domain.errors import CarrierError, MalformedReply, Throttled, Unavailable, UnknownNumber
from parcelwire.domain.exchange import Conversation, Query
from parcelwire.domain.report import Event, Report
from parcelwire.domain.status import SubStatus
from parcelwire.domain.times import exact
from parcelwire.flows.read import quota
from parcelwire.flows.realtime import real_time
from parcelwire.flows.stop import stop
from parcelwire.ports import Carrier, Permit, Refreshed, unlimited
from parcelwire.store.sqlite import SqliteStore

NUMBER = "SANDBOXINTRANSIT1"


class Saying:
    """A carrier that says what the test wants, number by number."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked = 0
        self.answers: dict[str, Report | CarrierError | Exception] = {}
        self.whole: CarrierError | None = None  # what spoils every call
        self.calls: list[list[str]] = []
        self.begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(
        self, carrier: Carrier, queries: Sequence[Query], permit: Permit = unlimited
    ) -> Conversation:
        self.asked += 1
        self.calls.append([query.number for query in queries])
        self.begun.set()
        await self.may_answer.wait()
        if self.whole:
            return Conversation({query.number: self.whole for query in queries}, (), self.whole, 1)
        said: dict[str, Report | CarrierError] = {}
        for query in queries:
            answer = self.answers.get(query.number, UnknownNumber("HTTP 404"))
            if isinstance(answer, Report | CarrierError):
                said[query.number] = answer
            else:
                raise answer
        return Conversation(said, (), None, 1)


def report(number: str, sub_status: SubStatus, world: World, events: int = 1) -> Report:
    at = world.clock.now()
    scans = tuple(
        Event(exact(at - timedelta(minutes=index)), f"scan {index}", sub_status) for index in range(events)
    )
    return Report(number, scans, current=sub_status)


@pytest.fixture
def carrier(world: World) -> Saying:
    saying = Saying(world)
    world.context = replace(world.context, fetcher=saying)
    world.refresher._context = world.context
    return saying


async def ask(world: World, *numbers: str, instant: int = 1) -> dict[str, Any]:
    items = [{"number": number, "cacheLevel": instant} for number in numbers]
    body = await real_time(world.context, world.account, json.dumps(items).encode())
    data: dict[str, Any] = json.loads(body)["data"]
    return data


async def used(world: World) -> int:
    """What the quota says, which is what the ledger says."""
    answer: Mapping[str, int] = json.loads(await quota(world.context, world.account))["data"]
    return answer["quota_used"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("no answer in time", timed_out=True), -18019815),
        (Unavailable("HTTP 503"), -18019816),
        (Throttled("HTTP 429"), -18019816),
    ],
)
async def test_a_failed_question_costs_nothing(
    world: World, carrier: Saying, error: CarrierError, code: int
) -> None:
    carrier.answers[NUMBER] = error
    data = await ask(world, NUMBER)
    assert [item["error"]["code"] for item in data["rejected"]] == [code]
    assert await used(world) == 0


async def test_not_found_is_an_answer_and_is_paid(world: World, carrier: Saying) -> None:
    data = await ask(world, NUMBER)
    assert data["accepted"][0]["track_info"]["latest_status"]["status"] == "NotFound"
    assert await used(world) == 10


async def test_who_cannot_pay_is_not_asked_about(world: World, carrier: Saying) -> None:
    await world.store.set_plan(world.account.id, "9", 9)
    data = await ask(world, NUMBER)
    assert data["rejected"][0]["error"]["code"] == -18019908
    assert (carrier.asked, await used(world)) == (0, 0)
    assert await world.store.find(world.account.id, [NUMBER]) == [], "and nothing is kept of it"


async def test_one_broken_item_harms_no_neighbour_and_is_free(
    world: World, carrier: Saying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one item: the others are answered and paid, this one says -18019817."""
    other = "SANDBOXINTRANSIT2"
    for number in (NUMBER, other):
        carrier.answers[number] = report(number, SubStatus.IN_TRANSIT, world)
    complete = SqliteStore.complete

    async def broken(store: SqliteStore, results: Sequence[Refreshed]) -> int:
        if any(result.shipment.number == NUMBER for result in results):
            raise RuntimeError("a bug")
        return await complete(store, results)

    monkeypatch.setattr(SqliteStore, "complete", broken)
    data = await ask(world, NUMBER, other)
    assert [item["number"] for item in data["accepted"]] == [other]
    assert [item["error"]["code"] for item in data["rejected"]] == [-18019817]
    assert await used(world) == 10


async def test_a_broken_conversation_is_free(world: World, carrier: Saying) -> None:
    carrier.answers[NUMBER] = RuntimeError("a bug")
    data = await ask(world, NUMBER)
    assert [item["error"]["code"] for item in data["rejected"]] == [-18019817]
    assert await used(world) == 0


async def test_one_call_asks_about_as_many_numbers_as_the_carrier_takes(
    world: World, carrier: Saying
) -> None:
    """Each once, whether given twice or registered before; and the lane gives one call for each."""
    numbers = [f"SANDBOXINTRANSIT{place}" for place in range(1, 31)]
    await world.register(*numbers[5:])
    data = await ask(world, *numbers, numbers[0])
    assert [item["number"] for item in data["accepted"]] == [*numbers, numbers[0]]
    assert sorted(len(call) for call in carrier.calls) == [10, 20]
    assert {number for call in carrier.calls for number in call} == set(numbers)
    assert (await world.store.lane("sandbox")).used == 2
    assert await used(world) == 25 + 31 * 10


async def test_who_asks_about_the_same_numbers_meanwhile_shares_the_answers(
    world: World, carrier: Saying
) -> None:
    carrier.may_answer.clear()
    first = asyncio.create_task(ask(world, NUMBER, "SANDBOXINTRANSIT2"))
    await carrier.begun.wait()
    carrier.begun.clear()
    second = asyncio.create_task(ask(world, "SANDBOXINTRANSIT2", "SANDBOXINTRANSIT3"))
    await carrier.begun.wait()
    carrier.may_answer.set()
    answers = await asyncio.gather(first, second)
    assert [len(data["accepted"]) for data in answers] == [2, 2]
    assert carrier.calls == [[NUMBER, "SANDBOXINTRANSIT2"], ["SANDBOXINTRANSIT3"]]


async def test_a_number_that_may_have_spoilt_a_call_is_asked_in_a_smaller_one(
    world: World, carrier: Saying
) -> None:
    """A call that nobody can read is free; the next one about the same numbers is made of halves."""
    numbers = [f"SANDBOXINTRANSIT{place}" for place in range(1, 5)]
    carrier.whole = MalformedReply("not JSON")
    data = await ask(world, *numbers)
    assert {item["error"]["code"] for item in data["rejected"]} == {-18019816}
    carrier.whole = None
    data = await ask(world, *numbers)
    assert len(data["accepted"]) == 4
    assert [len(call) for call in carrier.calls] == [4, 2, 2]
    assert {(await world.shipment(number)).lane for number in numbers} == {"sandbox"}
    assert await used(world) == 40


async def test_a_cached_answer_is_given_while_it_is_fresh_and_no_longer(
    world: World, carrier: Saying
) -> None:
    carrier.answers[NUMBER] = report(NUMBER, SubStatus.IN_TRANSIT, world)
    await ask(world, NUMBER)
    await ask(world, NUMBER, instant=0)
    assert carrier.asked == 1
    await world.clock.advance(2 * world.step.total_seconds())
    await ask(world, NUMBER, instant=0)
    assert carrier.asked == 2
    assert await used(world) == 10 + 1 + 1


async def test_a_stale_answer_will_do_for_a_cached_question_when_the_carrier_is_down(
    world: World, carrier: Saying
) -> None:
    carrier.answers[NUMBER] = report(NUMBER, SubStatus.IN_TRANSIT, world)
    await ask(world, NUMBER)
    carrier.answers[NUMBER] = Unavailable("HTTP 503")
    await world.clock.advance(2 * world.step.total_seconds())
    data = await ask(world, NUMBER, instant=0)
    assert data["accepted"][0]["track_info"]["latest_status"]["sub_status"] == "InTransit_Other"


async def test_an_answer_that_was_not_stored_is_not_paid(world: World, carrier: Saying) -> None:
    """The owner stops tracking while the carrier is being asked: what is stored is the older answer."""
    carrier.answers[NUMBER] = report(NUMBER, SubStatus.INFO_RECEIVED, world)
    await world.register(NUMBER)
    await world.turn()
    before = await used(world)
    carrier.answers[NUMBER] = report(NUMBER, SubStatus.DELIVERED, world)
    carrier.begun.clear()
    carrier.may_answer.clear()
    asking = asyncio.create_task(ask(world, NUMBER))
    await carrier.begun.wait()
    await stop(world.context, world.account, json.dumps([{"number": NUMBER}]).encode())
    carrier.may_answer.set()
    data = await asking
    assert data["rejected"][0]["error"]["code"] == -18019817
    assert await used(world) == before


async def test_a_number_that_was_looked_up_and_then_registered_is_pushed(
    world: World, carrier: Saying
) -> None:
    """Nothing had been pushed of it before, although all was known."""
    carrier.answers[NUMBER] = report(NUMBER, SubStatus.DELIVERED, world)
    await ask(world, NUMBER)
    await world.turn()
    assert world.sink.bodies(NUMBER) == []
    await world.register(NUMBER)
    await world.turn()
    assert [body["event"] for body in world.sink.bodies(NUMBER)] == ["TRACKING_UPDATED"]


async def test_what_the_carrier_once_said_is_not_taken_back(world: World, carrier: Saying) -> None:
    """A status without a single scan is known all the same."""
    carrier.answers[NUMBER] = report(NUMBER, SubStatus.DELIVERED, world, events=0)
    await world.register(NUMBER)
    await world.turn()
    carrier.answers[NUMBER] = UnknownNumber("HTTP 404")
    for _ in range(3):
        await world.clock.advance(world.step.total_seconds())
        await world.turn()
    assert (await world.shipment(NUMBER)).sub_status is SubStatus.DELIVERED


async def test_an_answer_that_cannot_be_taken_in_harms_its_own_shipment_alone(
    world: World, carrier: Saying
) -> None:
    """A carrier file gave a zone that does not exist: the others of the call are saved, this one waits."""
    numbers = [f"SANDBOXINTRANSIT{index}" for index in range(1, 5)]
    for number in numbers:
        carrier.answers[number] = report(number, SubStatus.IN_TRANSIT, world)
    bad = report(numbers[2], SubStatus.IN_TRANSIT, world)
    carrier.answers[numbers[2]] = replace(bad, default_zone="No/Where")
    await world.register(*numbers)
    await world.turn()
    statuses = [(await world.shipment(number)).sub_status for number in numbers]
    assert statuses == [SubStatus.IN_TRANSIT, SubStatus.IN_TRANSIT, None, SubStatus.IN_TRANSIT]
    trouble = (await world.shipment(numbers[2])).trouble
    assert trouble is not None
    assert trouble.startswith("malformed: ")
