"""How tracking ends by rule, what is told of it, and how long a record stays."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.service import World, story

from parcelwire.domain.errors import InvalidNumber
from parcelwire.domain.exchange import Conversation, Query
from parcelwire.domain.shipment import Phase
from parcelwire.loops import janitor
from parcelwire.loops.janitor import HOLD_MAX, KEPT, Janitor
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.ports import Carrier, Charge, Old, Permit, unlimited

NUMBER = "SANDBOXJOURNEY1"


class Refusing:
    """A carrier for which every number is none of its own."""

    async def ask(
        self, carrier: Carrier, queries: Sequence[Query], permit: Permit = unlimited
    ) -> Conversation:
        answers = {query.number: InvalidNumber("not ours") for query in queries}
        return Conversation(answers, (), None, 1)


async def test_an_invalid_carrier_ends_tracking_after_three_days(world: World) -> None:
    """And says so, in the push and in the list. A day of the sandbox is a step."""
    world.context = replace(world.context, fetcher=Refusing())
    world.refresher = Refresher(world.context, Telemetry())
    await world.register(NUMBER)
    await world.steps(3)
    assert (await world.shipment(NUMBER)).phase is Phase.TRACKING
    await world.steps(1)
    assert story(world.sink.bodies(NUMBER)) == ["NotFound_InvalidCode", "STOPPED"]
    (row,) = (await world.call("gettracklist", {"tracking_status": "Stopped"}))["data"]["accepted"]
    assert (row["stop_track_reason"], row["package_status"]) == ("InvalidCarrier", "NotFound")
    data = (await world.call("changecarrier", [{"number": NUMBER, "carrier_new": 21051}]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019806
    await world.call("retrack", [{"number": NUMBER}])
    data = (await world.call("changecarrier", [{"number": NUMBER, "carrier_new": 21051}]))["data"]
    assert len(data["accepted"]) == 1


@pytest.mark.parametrize(
    ("number", "days", "reason"),
    [("SANDBOXDELIVERED1", 15, "Expired"), ("SANDBOXNOTFOUND1", 30, "Expired")],
)
async def test_the_reason_of_a_stop_by_rule_is_told_in_the_list(
    world: World, number: str, days: int, reason: str
) -> None:
    await world.register(number)
    await world.steps(days)
    assert (await world.shipment(number)).phase is Phase.TRACKING
    await world.steps(1)
    (row,) = (await world.call("gettracklist", {"number": number}))["data"]["accepted"]
    assert (row["tracking_status"], row["stop_track_reason"]) == ("Stopped", reason)
    assert story(world.sink.bodies(number))[-1] == "STOPPED"


async def numbers_left(world: World) -> list[str]:
    rows = (await world.call("gettracklist", {"order_by": "RegisterTimeAsc"}))["data"]["accepted"]
    return [row["number"] for row in rows]


async def test_a_stopped_record_stays_ninety_days_and_a_tracked_one_for_ever(world: World) -> None:
    """A retrack begins the count anew; what was only looked up goes too."""
    stopped, again, tracked, looked_up = (f"SANDBOXINTRANSIT{n}" for n in range(4))
    await world.register(stopped, again, tracked)
    await world.call("getRealTimeTrackInfo", [{"number": looked_up, "cacheLevel": 1}])
    await world.call("stoptrack", [{"number": stopped}, {"number": again}])
    await world.call("retrack", [{"number": again}])
    tidy = Janitor(world.context, Telemetry())
    world.clock.jump(KEPT[Old.STOPPED].total_seconds())
    await tidy.tick()
    assert await numbers_left(world) == [stopped, again, tracked]
    assert (await world.shipment(looked_up)).phase is Phase.LOOKED_UP
    world.clock.jump(60)
    await tidy.tick()
    assert await numbers_left(world) == [again, tracked]
    assert await world.store.find(world.account.id, [looked_up]) == []
    data = (await world.call("gettrackinfo", [{"number": stopped}]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019902


async def test_old_records_go_in_batches_until_none_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "RECORDS_AT_ONCE", 2)
    monkeypatch.setattr(janitor, "PRUNED_MAX", 6)
    numbers = [f"SANDBOXINTRANSIT{n}" for n in range(7)]
    await world.register(*numbers)
    await world.call("stoptrack", [{"number": number} for number in numbers])
    world.clock.jump(KEPT[Old.STOPPED].total_seconds() + 1)
    tidy = Janitor(world.context, Telemetry())
    await tidy.tick()
    assert len(await numbers_left(world)) == 1, "one round has its limit"
    world.clock.jump(60)
    await tidy.tick()
    assert await numbers_left(world) == []


async def test_one_of_several_janitors_tidies_up_each_minute(world: World) -> None:
    one, other = Janitor(world.context, Telemetry()), Janitor(world.context, Telemetry())
    await one.tick()
    dead = world.clock.now() - HOLD_MAX - timedelta(seconds=1)
    await world.store.charge(world.account.id, [Charge("call", 10, held=True)], dead)
    world.clock.jump(1)
    await other.tick()
    assert (await world.store.usage(world.account.id, dead)).used == 10
    world.clock.jump(60)
    await other.tick()
    assert (await world.store.usage(world.account.id, dead)).used == 0
