"""gettracklist as callers use it; that pages and totals are right is proved in tests/store/test_lists.py."""

from typing import Any

import pytest
from tests.api.conftest import Client
from tests.service import World

from parcelwire.domain.errors import CallerError
from parcelwire.wire.tracklist import ListedItem, ListItem

FIELDS = [
    "number", "carrier", "param", "param_type", "data_origin", "shipping_country", "recipient_country",
    "final_carrier", "register_time", "track_time", "push_time", "stop_track_time", "tracking_status",
    "package_status", "push_status", "push_status_code", "stop_track_reason", "is_retracked",
    "carrier_change_count", "tag", "email", "order_no", "order_time", "lang", "remark", "latest_event_time",
    "latest_event_info", "delievery_time", "pickup_time",
]  # fmt: skip


async def listed(world: World, filters: object = None, version: str = "v2.2") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await world.call("gettracklist", filters, version=version))["data"][
        "accepted"
    ]
    return rows


async def numbers(world: World, **filters: object) -> list[str]:
    return [row["number"] for row in await listed(world, filters)]


async def refused(world: World, **filters: object) -> tuple[str, str]:
    with pytest.raises(CallerError) as failed:
        await world.call("gettracklist", filters)
    return failed.value.reason, failed.value.values["field"]


@pytest.mark.parametrize(
    "body", [b"{}", b"[{}]", b"", b" ", b"null", b"[]", b'{"page_no":0}', b'{"page_size":"40","unknown":[1]}']
)
async def test_one_object_an_array_of_it_or_nothing_lists_everything(client: Client, body: bytes) -> None:
    await client.call("register", [{"number": f"SANDBOXINTRANSIT{n}"} for n in range(3)])
    status, answer = await client.raw("/track/v2.2/gettracklist", body)
    assert (status, answer["code"]) == (200, 0)
    assert answer["page"] == {"data_total": 3, "page_total": 1, "page_no": 1, "page_size": 40}
    assert [row["number"] for row in answer["data"]["accepted"]] == [
        "SANDBOXINTRANSIT2",
        "SANDBOXINTRANSIT1",
        "SANDBOXINTRANSIT0",
    ]
    assert answer["data"]["rejected"] == []
    assert "errors" not in answer["data"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nonsense", -18010013),
        (b'"text"', -18010013),
        (b"[{},{}]", -18010013),
        (b"[[]]", -18010013),
        (b"[" * 5000, -18010013),
        (b"\xff", -18010013),
        (b'{"number":5}', -18010011),
        (b'[{"carrier":true}]', -18010011),
        (b'{"number":"' + b"A" * 251 + b'"}', -18010011),
        (b'{"package_status":"Lost"}', -18010015),
        (b'{"carrier":"abc"}', -18019910),
    ],
)
async def test_a_body_that_has_no_meaning_is_an_envelope_with_errors(
    client: Client, body: bytes, code: int
) -> None:
    status, answer = await client.raw("/track/v2.2/gettracklist", body)
    assert status == 200
    assert answer["code"] == answer["data"]["errors"][0]["code"] == code
    assert answer["data"]["accepted"] == answer["data"]["rejected"] == []


async def test_a_row_has_all_fields_before_anything_is_known(world: World) -> None:
    await world.register("SANDBOXJOURNEY1")
    (row,) = await listed(world)
    assert list(row) == FIELDS
    assert row == dict.fromkeys(FIELDS) | {
        "number": "SANDBOXJOURNEY1",
        "carrier": 999001,
        "param_type": "None",
        "data_origin": "Api",
        "final_carrier": 0,
        "register_time": "2026-03-02T12:00:00Z",
        "tracking_status": "Tracking",
        "package_status": "NotFound",
        "push_status": "NotPushed",
        "is_retracked": False,
        "carrier_change_count": 0,
        "pickup_time": "",
    }


async def test_a_row_shows_the_whole_life_of_a_number(world: World) -> None:
    item = {"number": "SANDBOXJOURNEY1", "tag": "t", "param": "97218", "remark": "r", "lang": "de"}
    await world.call(
        "register", [item | {"email": "a@b.example", "order_no": "7", "order_time": "2026-03-01"}]
    )
    await world.steps(8)
    await world.call("stoptrack", [item])
    await world.turn()
    shown = await world.shown("SANDBOXJOURNEY1")
    event = shown["track_info"]["latest_event"]
    (row,) = await listed(world)
    assert list(row) == FIELDS
    milestones = {item["key_stage"]: item["time_utc"] for item in shown["track_info"]["milestone"]}
    expected = item | {
        "email": "a@b.example",
        "order_no": "7",
        "order_time": "2026-03-01",
        "shipping_country": "CN",
        "recipient_country": "US",
        "track_time": "2026-03-02T12:00:14Z",
        "push_time": "2026-03-02T12:00:16Z",
        "stop_track_time": "2026-03-02T12:00:16Z",
        "tracking_status": "Stopped",
        "package_status": "Delivered",
        "push_status": "Success",
        "push_status_code": 200,
        "stop_track_reason": "ByRequest",
        "latest_event_time": event["time_iso"],
        "latest_event_info": f"{event['location']},{event['description']}",
        "delievery_time": milestones["Delivered"],
        "pickup_time": milestones["PickedUp"],
    }
    assert {name: row[name] for name in expected} == expected
    assert milestones["Delivered"]
    assert milestones["PickedUp"]
    await world.call("retrack", [item])
    (row,) = await listed(world)
    assert (row["is_retracked"], row["stop_track_time"], row["stop_track_reason"]) == (True, None, None)


async def test_every_filter_finds_its_own(world: World) -> None:
    delivered, moving, stopped, unknown = (
        "SANDBOXDELIVERED1",
        "SANDBOXINTRANSIT1",
        "SANDBOXINTRANSIT2",
        "SANDBOXNOTFOUND1",
    )
    for number in (delivered, moving, stopped, unknown):
        await world.register(number)
        await world.clock.advance(1)
    await world.call("register", [{"number": moving, "carrier": 21051, "auto_detection": False}])
    await world.turn()
    await world.clock.advance(1)
    await world.call("stoptrack", [{"number": stopped}])
    assert await numbers(world, package_status="Delivered") == [delivered]
    assert await numbers(world, package_status=" intransit ") == [stopped, moving]
    assert await numbers(world, package_status="NotFound") == [moving, unknown]
    assert await numbers(world, carrier=21051) == await numbers(world, carrier="21051") == [moving]
    assert await numbers(world, tracking_status="Stopped") == [stopped]
    assert await numbers(world, push_status="NotPushed") == [moving]
    assert len(await numbers(world, push_status="Success", push_status_code=200)) == 4
    assert await numbers(world, push_status="Failure") == []
    assert await numbers(world, number=f" {delivered.lower()},{unknown}, ,12") == [unknown, delivered]
    assert await numbers(world, number="12") == []
    assert await numbers(world, data_origin="Manual") == await numbers(world, data_origin="Import") == []
    assert len(await numbers(world, data_origin="Api", number="", carrier=0, order_by="")) == 5
    assert await numbers(world, sync_status=False) == [moving]
    assert await numbers(world, register_time_to="2026-03-02T12:00:01Z") == [moving, delivered]
    assert await numbers(world, register_time_from="2026-03-02 12:00:03") == [moving, unknown]
    assert await numbers(world, register_time_from="2026/3/2", register_time_to="2026-03-02") == [
        moving,
        unknown,
        stopped,
        moving,
        delivered,
    ]
    assert await numbers(world, register_time_to="2026-03-01") == []
    assert await numbers(world, stop_track_time_from="2026-03-02T13:00:05+01:00") == [stopped]
    assert await numbers(world, stop_track_time_to="2026-03-02T12:00:04Z") == []
    assert len(await numbers(world, track_time_from="2026-03-02T12:00:04Z")) == 5
    assert len(await numbers(world, push_time_from="2026-03-02", carrier=999001)) == 4
    assert (await numbers(world, order_by="RegisterTimeAsc"))[0] == delivered


async def test_pages_hold_forty_and_those_past_the_end_none(world: World) -> None:
    for n in range(3):
        await world.register(*(f"SANDBOXINTRANSIT{n:02}{m:02}" for m in range(30)))
        await world.clock.advance(1)
    seen: list[str] = []
    for page_no, count in ((1, 40), ("2", 40), (3, 10), (4, 0), (10**30, 0)):
        answer = await world.call("gettracklist", {"page_no": page_no})
        assert answer["page"]["data_total"] == 90
        assert answer["page"]["page_total"] == 3
        assert len(answer["data"]["accepted"]) == count
        seen += [row["number"] for row in answer["data"]["accepted"]]
    assert len(set(seen)) == 90
    for first in (0, -1, None):
        assert (await world.call("gettracklist", {"page_no": first}))["page"]["page_no"] == 1
    for given, size in ((7, 7), (0, 40), (41, 40), ("5", 5), (-3, 40)):
        answer = await world.call("gettracklist", {"page_size": given})
        assert (answer["page"]["page_size"], len(answer["data"]["accepted"])) == (size, size)
    assert (await world.call("gettracklist", {"number": "NOTHING1"}))["page"] == {
        "data_total": 0,
        "page_total": 0,
        "page_no": 1,
        "page_size": 40,
    }


@pytest.mark.parametrize(
    "filters",
    [
        {"package_status": "Lost"},
        {"tracking_status": "Paused"},
        {"push_status": "Sent"},
        {"data_origin": "Elsewhere"},
        {"order_by": "NumberAsc"},
        {"register_time_from": "soon"},
        {"track_time_to": "2026-13-01"},
        {"push_time_to": "9999-12-31"},
        {"page_no": "first"},
        {"page_size": "--"},
    ],
)
async def test_a_filter_without_a_meaning_is_named(world: World, filters: dict[str, object]) -> None:
    (field,) = filters
    assert await refused(world, **filters) == ("bad_value", field)


async def test_v24_adds_whether_the_last_refresh_said_something(world: World) -> None:
    await world.register("SANDBOXINTRANSIT1", "SANDBOXAUTH1")
    await world.turn()
    rows = await listed(world, {"order_by": "RegisterTimeAsc"}, "v2.4")
    assert {row["number"]: row["sync_status"] for row in rows} == {
        "SANDBOXINTRANSIT1": True,
        "SANDBOXAUTH1": False,
    }
    assert [row["number"] for row in await listed(world, {"sync_status": True}, "v2.4")] == [
        "SANDBOXINTRANSIT1"
    ]
    assert list(rows[0]) == [*FIELDS, "sync_status"]


def test_the_types_hold_what_the_wire_names() -> None:
    assert list(ListedItem.__struct_fields__) == FIELDS
    assert len(ListItem.__struct_fields__) == 19
