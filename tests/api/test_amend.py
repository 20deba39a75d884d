"""retrack, deletetrack, changecarrier, changeinfo and push over the life of a registration."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.service import World, story

from parcelwire.carriers import carriers
from parcelwire.domain.shipment import Phase
from parcelwire.flows.routes import Routes
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry

NUMBER = "SANDBOXJOURNEY1"
UNKNOWN = "SANDBOXJOURNEY404"
SANDBOX, USPS, UPS, CHINA_POST = 999001, 21051, 100001, 3011


def codes(data: dict[str, Any]) -> list[int]:
    """The error codes of a call that accepted nothing."""
    assert data["accepted"] == []
    return [item["error"]["code"] for item in data["rejected"]]


async def amended(world: World, endpoint: str, *items: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = (await world.call(endpoint, items))["data"]
    return data


def with_sources(world: World, *slugs: str) -> None:
    """The sandbox answers for these carriers too."""
    sandbox = carriers()["sandbox"]
    world.context = replace(world.context, routes=Routes(dict.fromkeys(("sandbox", *slugs), sandbox)))
    world.refresher = Refresher(world.context, Telemetry())


async def register_as(world: World, number: str, codes_: Sequence[int]) -> None:
    items = [{"number": number, "carrier": code, "auto_detection": False} for code in codes_]
    data = (await world.call("register", items))["data"]
    assert data["rejected"] == []


# --- retrack ----------------------------------------------------------------------------------------------


async def test_a_stopped_number_is_tracked_again_once(world: World) -> None:
    """At once, free, and with the rules counting anew; a second time never."""
    await world.register(NUMBER)
    await world.steps(2)
    assert codes(await amended(world, "retrack", {"number": NUMBER})) == [-18019904]
    await amended(world, "stoptrack", {"number": NUMBER})
    used = (await world.call("getquota"))["data"]["quota_used"]
    data = await amended(world, "retrack", {"number": NUMBER, "carrier": SANDBOX})
    assert data == {"accepted": [{"number": NUMBER, "carrier": SANDBOX}], "rejected": []}
    shipment = await world.shipment(NUMBER)
    assert (shipment.phase, shipment.stopped_at, shipment.stop_reason) == (Phase.TRACKING, None, None)
    assert shipment.refresh_at == world.clock.now()
    await world.steps(8)
    assert story(world.sink.bodies(NUMBER))[-1] == "Delivered_Other"
    await amended(world, "stoptrack", {"number": NUMBER})
    assert codes(await amended(world, "retrack", {"number": NUMBER})) == [-18019905]
    assert (await world.call("getquota"))["data"]["quota_used"] == used


async def test_stop_and_retrack_address_every_registration_of_a_number(world: World) -> None:
    """One accepted item each; those that cannot be changed are passed over, unless none can."""
    await register_as(world, NUMBER, [SANDBOX, USPS])
    both = [{"number": NUMBER, "carrier": SANDBOX}, {"number": NUMBER, "carrier": USPS}]
    assert (await amended(world, "stoptrack", {"number": NUMBER}))["accepted"] == both
    assert (await amended(world, "retrack", {"number": NUMBER, "carrier": USPS}))["accepted"] == both[1:]
    assert (await amended(world, "retrack", {"number": NUMBER}))["accepted"] == both[:1]
    assert codes(await amended(world, "retrack", {"number": NUMBER})) == [-18019904]
    assert codes(await amended(world, "retrack", {"number": NUMBER, "carrier": UPS})) == [-18019902]


async def test_a_retracked_number_stops_again_by_rule_after_its_patience(world: World) -> None:
    """The days of silence begin at the retrack, not at the last event."""
    await world.register("SANDBOXINTRANSIT3")
    await world.steps(45)
    assert story(world.sink.bodies("SANDBOXINTRANSIT3"))[-1] == "STOPPED"
    await amended(world, "retrack", {"number": "SANDBOXINTRANSIT3"})
    await world.steps(15)
    assert (await world.shipment("SANDBOXINTRANSIT3")).phase is Phase.TRACKING
    await world.steps(20)
    shipment = await world.shipment("SANDBOXINTRANSIT3")
    assert (shipment.phase, shipment.stop_reason) == (Phase.STOPPED, "Expired")


# --- deletetrack ------------------------------------------------------------------------------------------


async def test_a_deleted_number_is_gone_and_costs_again(world: World) -> None:
    await register_as(world, NUMBER, [SANDBOX, USPS])
    await world.steps(1)
    data = await amended(world, "deletetrack", {"number": NUMBER}, {"number": NUMBER}, {"number": "12"})
    assert [item["carrier"] for item in data["accepted"]] == [SANDBOX, USPS]
    assert [item["error"]["code"] for item in data["rejected"]] == [-18019902, -18010012]
    for endpoint in ("gettrackinfo", "stoptrack", "retrack", "push"):
        assert codes(await amended(world, endpoint, {"number": NUMBER})) == [-18019902]
    assert (await world.call("gettracklist", {}))["page"]["data_total"] == 0
    await world.register(NUMBER)
    assert (await world.call("getquota"))["data"]["quota_used"] == 3


# --- changecarrier ----------------------------------------------------------------------------------------


async def test_another_carrier_begins_anew(world: World) -> None:
    """Old events go, there is no status, a refresh is due; the next report is pushed as a new version."""
    with_sources(world, "usps")
    await world.register(NUMBER)
    await world.steps(3)
    before = await world.shipment(NUMBER)
    data = await amended(
        world, "changecarrier", {"number": NUMBER, "carrier_old": SANDBOX, "carrier_new": USPS}
    )
    assert data["accepted"] == [
        {
            "number": NUMBER,
            "carrier_old": SANDBOX,
            "carrier_new": USPS,
            "final_carrier_old": 0,
            "final_carrier_new": 0,
        }
    ]
    assert codes(await amended(world, "gettrackinfo", {"number": NUMBER})) == [-18019909]
    (row,) = (await world.call("gettracklist", {}))["data"]["accepted"]
    assert (row["package_status"], row["carrier"], row["carrier_change_count"]) == ("NotFound", USPS, 1)
    assert (row["track_time"], row["latest_event_info"]) == (None, None)
    await world.turn()
    shown = await world.shown(NUMBER)
    assert shown["carrier"] == shown["track_info"]["tracking"]["providers"][0]["provider"]["key"] == USPS
    after = await world.shipment(NUMBER)
    assert after.version == before.version + 1
    assert world.sink.bodies(NUMBER)[-1]["data"]["carrier"] == USPS
    assert codes(await amended(world, "gettrackinfo", {"number": NUMBER, "carrier": SANDBOX})) == [-18019902]


async def test_the_carrier_changes_five_times_each_after_a_result(world: World) -> None:
    with_sources(world, "usps")
    await world.register(NUMBER)
    for change in range(5):
        item = {"number": NUMBER, "carrier_new": USPS if change % 2 == 0 else SANDBOX}
        assert codes(await amended(world, "changecarrier", item)) == [-18019808], "no result yet"
        await world.turn()
        assert len((await amended(world, "changecarrier", item))["accepted"]) == 1
    await world.turn()
    item = {"number": NUMBER, "carrier_new": SANDBOX}
    assert codes(await amended(world, "changecarrier", item)) == [-18019807]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"number": NUMBER}, -18019804),
        ({"number": NUMBER, "carrier_new": 0, "final_carrier_new": None}, -18019804),
        ({"number": NUMBER, "carrier_new": 424242}, -18019802),
        ({"number": NUMBER, "carrier_new": "abc"}, -18019802),
        ({"number": NUMBER, "final_carrier_new": 424242}, -18019802),
        ({"number": NUMBER, "carrier_new": SANDBOX}, -18019803),
        ({"number": NUMBER, "carrier_old": USPS, "carrier_new": UPS}, -18019805),
        ({"number": UNKNOWN, "carrier_new": UPS}, -18019805),
        ({"number": NUMBER, "final_carrier_new": USPS}, -18010016),
        ({"number": "12", "carrier_new": UPS}, -18010012),
        ({"number": NUMBER, "carrier_new": True}, -18010015),
    ],
)
async def test_a_change_that_is_not_possible_is_refused(
    world: World, item: dict[str, Any], code: int
) -> None:
    await world.register(NUMBER)
    await world.turn()
    assert codes(await amended(world, "changecarrier", item)) == [code]
    assert (await world.shipment(NUMBER)).carrier_changes == 0


async def test_a_change_is_refused_when_it_is_not_clear_or_already_so(world: World) -> None:
    await register_as(world, NUMBER, [SANDBOX, USPS])
    await world.turn()
    assert codes(await amended(world, "changecarrier", {"number": NUMBER, "carrier_new": UPS})) == [-18019801]
    item = {"number": NUMBER, "carrier_old": SANDBOX, "carrier_new": USPS}
    assert codes(await amended(world, "changecarrier", item)) == [-18019809]
    await amended(world, "stoptrack", {"number": NUMBER, "carrier": SANDBOX})
    item = {"number": NUMBER, "carrier_old": SANDBOX, "carrier_new": UPS}
    assert codes(await amended(world, "changecarrier", item)) == [-18019806]


async def test_a_carrier_that_nobody_can_be_asked_about_can_be_left_at_once(world: World) -> None:
    """No result will ever come from it."""
    await register_as(world, NUMBER, [USPS])
    data = await amended(world, "changecarrier", {"number": NUMBER, "carrier_new": SANDBOX})
    assert len(data["accepted"]) == 1
    await world.turn()
    assert (await world.shown(NUMBER))["carrier"] == SANDBOX


async def test_a_last_mile_carrier_is_kept_shown_and_changed(world: World) -> None:
    """For postal operators only."""
    with_sources(world, "china_post")
    number = "LX000000014CN"
    items = [{"number": number, "carrier": CHINA_POST, "final_carrier": USPS}]
    items += [{"number": NUMBER, "final_carrier": USPS}, {"number": UNKNOWN, "final_carrier": 424242}]
    data = await amended(world, "register", *items)
    assert [item["carrier"] for item in data["accepted"]] == [CHINA_POST]
    assert [item["error"]["code"] for item in data["rejected"]] == [-18010016, -18019910]
    (row,) = (await world.call("gettracklist", {"number": number}))["data"]["accepted"]
    assert row["final_carrier"] == USPS
    await world.turn()
    data = await amended(world, "changecarrier", {"number": number, "final_carrier_new": 11031})
    assert data["accepted"][0] | {"number": ""} == {
        "number": "",
        "carrier_old": CHINA_POST,
        "carrier_new": CHINA_POST,
        "final_carrier_old": USPS,
        "final_carrier_new": 11031,
    }


# --- changeinfo -------------------------------------------------------------------------------------------


async def test_texts_change_and_are_shown_everywhere(world: World) -> None:
    """What is not named, or null, stays."""
    await world.call("register", [{"number": NUMBER, "tag": "old", "remark": "stays"}])
    new = {"tag": "new", "order_no": 5, "order_time": "2023/1/1", "email": "a@b.example", "remark": None}
    data = await amended(world, "changeinfo", {"number": NUMBER, "items": new})
    assert data["accepted"] == [{"number": NUMBER, "carrier": SANDBOX}]
    (row,) = (await world.call("gettracklist", {}))["data"]["accepted"]
    shown = {name: row[name] for name in ("tag", "order_no", "order_time", "email", "remark")}
    assert shown == {
        "tag": "new",
        "order_no": "5",
        "order_time": "2023-01-01",
        "email": "a@b.example",
        "remark": "stays",
    }
    await world.turn()
    assert (await world.shown(NUMBER))["tag"] == "new"
    assert world.sink.bodies(NUMBER)[-1]["data"]["tag"] == "new"


@pytest.mark.parametrize("items", [None, {}, {"tag": None}, {"colour": "red"}])
async def test_without_anything_to_change_nothing_is_changed(world: World, items: object) -> None:
    await world.register(NUMBER)
    assert codes(await amended(world, "changeinfo", {"number": NUMBER, "items": items})) == [-18019811]


async def test_an_info_is_refused_when_it_is_bad_or_not_clear(world: World) -> None:
    await register_as(world, NUMBER, [SANDBOX, USPS])
    info = {"items": {"tag": "new"}}
    assert codes(await amended(world, "changeinfo", {"number": NUMBER, **info})) == [-18019810]
    assert codes(await amended(world, "changeinfo", {"number": UNKNOWN, **info})) == [-18019902]
    bads: tuple[object, ...] = (
        {"tag": 5},
        {"tag": "x" * 101},
        {"tag": "a\0b"},
        {"order_time": "soon"},
        "text",
        [],
    )
    for bad in bads:
        item = {"number": NUMBER, "carrier": USPS, "items": bad}
        assert codes(await amended(world, "changeinfo", item)) == [-18010015], bad
    await amended(world, "changeinfo", {"number": NUMBER, "carrier": USPS, **info})
    rows = (await world.call("gettracklist", {"order_by": "RegisterTimeAsc"}))["data"]["accepted"]
    assert [row["tag"] for row in rows] == [None, "new"]


async def test_a_new_postal_code_is_tried_at_once(world: World) -> None:
    await world.register(NUMBER)
    await world.turn()
    assert (await world.shipment(NUMBER)).refresh_at != world.clock.now()
    await amended(world, "changeinfo", {"number": NUMBER, "items": {"param": "97218"}})
    shipment = await world.shipment(NUMBER)
    assert (shipment.refresh_at, shipment.wish.hint) == (world.clock.now(), "97218")


# --- push -------------------------------------------------------------------------------------------------


async def test_the_newest_state_is_pushed_again_with_its_id_and_bytes(world: World) -> None:
    await world.register(NUMBER)
    assert codes(await amended(world, "push", {"number": NUMBER})) == [-18019909]
    await world.steps(2)
    headers, body = world.sink.got[-1]
    for _ in range(2):
        data = await amended(world, "push", {"number": NUMBER})
        assert data["accepted"] == [{"number": NUMBER, "carrier": SANDBOX}]
        await world.pusher.tick()
        again, same = world.sink.got[-1]
        assert same == body
        assert (again["webhook-id"], again["sign"]) == (headers["webhook-id"], headers["sign"])
    assert codes(await amended(world, "push", {"number": UNKNOWN})) == [-18019902]


async def test_what_an_endpoint_has_never_got_is_told_as_a_new_version(world: World) -> None:
    """The state was known before there was a webhook."""
    other = await world.open_account("late", endpoint=False)
    await world.register(NUMBER, account=other)
    assert codes((await world.call("push", [{"number": NUMBER}], account=other))["data"]) == [-18010204]
    await world.turn()
    await world.give_endpoint(other)
    data = (await world.call("push", [{"number": NUMBER}], account=other))["data"]
    assert len(data["accepted"]) == 1
    await world.pusher.tick()
    (body,) = world.sink.bodies(NUMBER)
    assert body["data"]["track_info"]["latest_status"]["status"] == "InfoReceived"


async def test_a_given_up_push_is_replayed(world: World) -> None:
    """And its outcome shows in the list."""
    await world.register(NUMBER)
    world.sink.failing = 4
    await world.turn()
    for wait in (5, 40, 140):
        await world.clock.advance(wait)
        await world.pusher.tick()
    (row,) = (await world.call("gettracklist", {"push_status": "Failure"}))["data"]["accepted"]
    assert (row["push_status"], row["push_status_code"]) == ("Failure", 503)
    await world.clock.advance(timedelta(days=1).total_seconds())
    assert world.sink.bodies(NUMBER) == []
    await amended(world, "push", {"number": NUMBER})
    await world.pusher.tick()
    assert len(world.sink.bodies(NUMBER)) == 1
    (row,) = (await world.call("gettracklist", {"push_status_code": 200}))["data"]["accepted"]
    assert (row["push_status"], row["push_status_code"]) == ("Success", 200)


# --- one account and another ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "item"),
    [
        ("gettrackinfo", {}),
        ("stoptrack", {}),
        ("retrack", {}),
        ("deletetrack", {}),
        ("changecarrier", {"carrier_new": USPS}),
        ("changeinfo", {"items": {"tag": "mine"}}),
        ("push", {}),
    ],
)
async def test_another_accounts_number_is_not_registered(
    world: World, endpoint: str, item: dict[str, Any]
) -> None:
    other = await world.open_account("other")
    await world.register(NUMBER)
    await world.turn()
    before = await world.shipment(NUMBER)
    answer = await world.call(endpoint, [{"number": NUMBER, **item}], account=other)
    assert codes(answer["data"]) == [-18019805 if endpoint == "changecarrier" else -18019902]
    assert "SANDBOX_" not in json.dumps(answer)
    assert await world.shipment(NUMBER) == before
    assert (await world.call("gettracklist", {"number": NUMBER}, account=other))["page"]["data_total"] == 0
