"""The sandbox through the real service: register, refresh by time, merge, push, end."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.service import World, story

from parcelwire.standins.sandbox import SLOW_S

MOVING = ["InTransit_Other", "Expired_Other", "STOPPED"]
# What is pushed over the whole life of each number, in order.
STORIES: Mapping[str, list[str]] = {
    "SANDBOXJOURNEY": [
        "InfoReceived",
        "InTransit_PickedUp",
        "InTransit_Departure",
        "InTransit_Arrival",
        "InTransit_CustomsProcessing",
        "OutForDelivery_Other",
        "Delivered_Other",
        "STOPPED",
    ],
    "SANDBOXDELIVERED": ["Delivered_Other", "STOPPED"],
    "SANDBOXINTRANSIT": MOVING,
    "SANDBOXOUTFORDELIVERY": ["OutForDelivery_Other", "Expired_Other", "STOPPED"],
    "SANDBOXPICKUP": ["AvailableForPickup_Other", "Expired_Other", "STOPPED"],
    "SANDBOXINFORECEIVED": ["InfoReceived", "Expired_Other", "STOPPED"],
    "SANDBOXFAILED": ["DeliveryFailure_NoBody", "Expired_Other", "STOPPED"],
    "SANDBOXRETURN": ["Exception_Returning", "Exception_Returned", "STOPPED"],
    "SANDBOXCUSTOMSHOLD": ["InTransit_CustomsRequiringInformation", "Expired_Other", "STOPPED"],
    "SANDBOXEXPIRED": ["Expired_Other", "STOPPED"],
    "SANDBOXNOTFOUND": ["NotFound_Other", "STOPPED"],
    "SANDBOXNOSUCHTHING": ["NotFound_Other", "STOPPED"],
    "SANDBOXTIMEOUT": MOVING,
    "SANDBOX429": MOVING,
    "SANDBOX500": MOVING,
    "SANDBOXBADJSON": MOVING,
    # Every third answer is whole: what came meanwhile is told with it.
    "SANDBOXFLAP": ["InfoReceived", "InTransit_Arrival", "Delivered_Other", "STOPPED"],
    "SANDBOXOUTOFORDER": ["OutForDelivery_Other", "Expired_Other", "STOPPED"],
    "SANDBOXDUPLICATE": ["OutForDelivery_Other", "Expired_Other", "STOPPED"],
    "SANDBOXMANY": MOVING,
    "SANDBOXUNICODE": MOVING,
    "SANDBOXJOURNEY0042": [],  # as SANDBOXJOURNEY
}
FAULTY = ("SANDBOXTIMEOUT", "SANDBOX429", "SANDBOX500", "SANDBOXBADJSON")
OUTCOMES = {"SANDBOX429": "throttled", "SANDBOXBADJSON": "malformed"}
DAYS = 40  # steps until even the slowest has ended


async def test_every_number_lives_the_life_that_it_is_named_for(world: World) -> None:
    """Over 40 steps: the pushes of all numbers are exactly these, in this order."""
    answer = await world.register(*STORIES)
    assert {item["carrier"] for item in answer["accepted"]} == {999001}
    assert not answer["rejected"]
    await world.steps(DAYS)
    wanted = dict(STORIES) | {"SANDBOXJOURNEY0042": STORIES["SANDBOXJOURNEY"]}
    assert {number: story(world.sink.bodies(number)) for number in STORIES} == wanted
    for number in STORIES:
        shipment = await world.shipment(number)
        assert shipment.phase == "stopped", number
        assert shipment.stop_reason == "Expired", number
        assert shipment.refresh_at is None, number


async def test_each_change_is_one_row_and_arrives_in_order(world: World, tmp_path: Path) -> None:
    """Versions of a shipment run 1, 2, 3 ...; ids and bodies that arrive are exactly the stored ones."""
    await world.register(*STORIES)
    await world.steps(DAYS)
    with sqlite3.connect(tmp_path / "parcelwire.db") as database:
        rows = database.execute(
            """SELECT p.shipment, p.version, p.id, c.body, p.state, p.attempts
            FROM push p JOIN change c ON c.id = p.change ORDER BY p.shipment, p.version"""
        ).fetchall()
    database.close()
    by_shipment: dict[int, list[int]] = {}
    for shipment, version, _, _, state, attempts in rows:
        assert (state, attempts) == ("sent", 1)
        by_shipment.setdefault(shipment, []).append(version)
    assert len(by_shipment) == len(STORIES)
    assert all(versions == list(range(1, len(versions) + 1)) for versions in by_shipment.values())
    arrived = {headers["webhook-id"]: body for headers, body in world.sink.got}
    assert arrived == {row[2]: row[3] for row in rows}
    assert len(world.sink.got) == len(rows)


async def test_steps_and_ends_come_on_their_day(world: World) -> None:
    """A journey tells one thing a step; 15 steps after delivery, or 30 without an event, tracking stops."""
    ends = {"SANDBOXJOURNEY": 6 + 15, "SANDBOXDELIVERED": 15, "SANDBOXINTRANSIT": 30, "SANDBOXNOTFOUND": 30}
    await world.register(*ends)
    for day in range(31):
        await world.turn()
        told = story(world.sink.bodies("SANDBOXJOURNEY"))
        if day < 7:
            assert told == STORIES["SANDBOXJOURNEY"][: day + 1]
        for number, end in ends.items():
            assert ("STOPPED" in story(world.sink.bodies(number))) == (day >= end), (number, day)
        await world.clock.advance(world.step.total_seconds())


async def test_faults_are_retried_and_never_shown_as_a_status(world: World) -> None:
    """Three steps of trouble, with the reason kept, and nothing told; then the true status, only once."""
    await world.register(*FAULTY)
    for day in range(3):
        await world.turn()
        for number in FAULTY:
            shipment = await world.shipment(number)
            assert (shipment.sub_status, shipment.fails) == (None, day + 1), number
            assert shipment.trouble, number
            assert not world.sink.bodies(number), number
        await world.clock.advance(world.step.total_seconds())
    await world.turn()
    for number in FAULTY:
        shipment = await world.shipment(number)
        assert (shipment.sub_status, shipment.fails, shipment.trouble) == ("InTransit_Other", 0, None)
        outcomes = [attempt.outcome for attempt in await world.store.attempts(shipment.id, 9)]
        assert outcomes == ["report", *[OUTCOMES.get(number, "unavailable")] * 3]
        assert story(world.sink.bodies(number)) == ["InTransit_Other"]


async def test_a_throttled_lane_waits_and_harms_no_other(world: World) -> None:
    await world.register("SANDBOX429", "SANDBOXJOURNEY")
    await world.turn()
    blocked = await world.store.lane("sandbox:429")
    assert blocked.blocked_until == world.clock.now() + world.step
    assert (await world.store.lane("sandbox")).blocked_until is None
    assert story(world.sink.bodies("SANDBOXJOURNEY")) == ["InfoReceived"]


async def test_refused_credentials_stop_the_lane_and_never_become_a_status(world: World) -> None:
    """Three refusals, then a quarter of an hour of silence; the end of tracking is all that is told."""
    await world.register("SANDBOXAUTH")
    await world.steps(10)
    shipment = await world.shipment("SANDBOXAUTH")
    assert (shipment.sub_status, shipment.fails) == (None, 3)
    assert "401" in (shipment.trouble or "")
    lane = await world.store.lane("sandbox:auth")
    assert lane.refusals == 3
    assert lane.blocked_until is not None
    await world.clock.advance(900)
    await world.turn()
    assert (await world.shipment("SANDBOXAUTH")).sub_status is None
    assert story(world.sink.bodies("SANDBOXAUTH")) == ["STOPPED"]


async def test_a_slow_answer_is_waited_for(world: World) -> None:
    await world.register("SANDBOXSLOW")
    before = world.clock.now()
    await world.turn()
    assert world.clock.now() - before == timedelta(seconds=SLOW_S)
    assert story(world.sink.bodies("SANDBOXSLOW")) == ["InTransit_Other"]
    (attempt,) = await world.store.attempts((await world.shipment("SANDBOXSLOW")).id, 9)
    assert attempt.ms == SLOW_S * 1000


async def test_an_ambiguous_number_is_rejected(world: World) -> None:
    answer = await world.register("SANDBOXAMBIGUOUS")
    assert not answer["accepted"]
    assert answer["rejected"][0]["error"]["code"] == -18019903
    usage = await world.store.usage(world.account.id, world.clock.now())
    assert usage.used == 0


async def test_two_accounts_with_the_same_number_have_each_their_own_journey(world: World) -> None:
    """Though both are due at the same moment in the same lane."""
    other = await world.open_account("other")
    await world.register("SANDBOXJOURNEY")
    await world.steps(3)
    await world.register("SANDBOXJOURNEY", account=other)
    await world.turn()
    mine, theirs = await world.shipment("SANDBOXJOURNEY"), await world.shipment("SANDBOXJOURNEY", other)
    assert (mine.sub_status, theirs.sub_status) == ("InTransit_Arrival", "InfoReceived")
    assert mine.asked_at == theirs.asked_at == world.clock.now()
    await world.steps(4)
    assert events_of(await world.shown("SANDBOXJOURNEY")) == 7
    assert events_of(await world.shown("SANDBOXJOURNEY", other)) == 4


@pytest.mark.parametrize("number", ["SANDBOXJOURNEY", "SANDBOXFLAP"])
async def test_an_advanced_journey_moves_as_a_whole(tmp_path: Path, number: str) -> None:
    """With steps of an hour: no scan is shown twice because its time has moved, and no status is lost."""
    world = await World.open(tmp_path, timedelta(hours=1))
    try:
        await world.register(number)
        await world.turn()
        shipment = await world.shipment(number)
        for day in range(1, 7):
            await world.clock.advance(60)
            await world.store.rewind(shipment.id, world.step, world.clock.now())
            await world.turn()
            since = (await world.shipment(number)).since
            assert since == shipment.since - day * world.step
            shown = await world.shown(number)
            oldest = shown["track_info"]["tracking"]["providers"][0]["events"][-1]
            assert datetime.fromisoformat(oldest["time_utc"]) == since  # though not every answer holds it
            if day % 3 == 0 or number == "SANDBOXJOURNEY":
                assert events_of(shown) == day + 1
        # A moved scan is told too: statuses may repeat, and never go back.
        assert [told for told, _ in groupby(story(world.sink.bodies(number)))] == STORIES[number][:-1]
    finally:
        await world.close()


def events_of(item: Mapping[str, Any]) -> int:
    return sum(len(leg["events"]) for leg in item["track_info"]["tracking"]["providers"])
