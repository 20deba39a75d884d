"""The three requests of the short API reference that the project was asked for, sent literally."""

from typing import Any

from tests.api.conftest import Client, Starter

REGISTER = """
[
  {
    "number": "RR123456789CN",
    "carrier": 3011,
    "auto_detection": true,
    "order_no": "202340984938",
    "order_time": "2023/1/1",
    "tag": "MyOrderId"
  }
]
"""
REAL_TIME = """
[
  {
    "number": "SANDBOXINTRANSIT7",
    "carrier": 999001,
    "auto_detection": true,
    "cacheLevel": %d
  }
]
"""
STOP = '[{"number": "RR123456789CN", "carrier": 3011}]'


async def post(client: Client, endpoint: str, body: str) -> dict[str, Any]:
    status, answer = await client.raw(f"/track/v2.2/{endpoint}", body.encode())
    assert status == 200
    assert answer["code"] == 0
    data: dict[str, Any] = answer["data"]
    return data


async def test_register_accepts_the_example_under_the_callers_code(client: Client) -> None:
    data = await post(client, "register", REGISTER)
    assert data["rejected"] == []
    (item,) = data["accepted"]
    assert (item["number"], item["carrier"], item["tag"]) == ("RR123456789CN", 3011, "MyOrderId")
    assert item["origin"] in (1, 2)
    assert await client.quota_used() == 1


async def test_a_real_time_question_costs_ten_and_a_cached_one_costs_one(client: Client) -> None:
    data = await post(client, "getRealTimeTrackInfo", REAL_TIME % 1)
    assert data["accepted"][0]["track_info"]["latest_status"]["status"] == "InTransit"
    assert await client.quota_used() == 10
    data = await post(client, "getRealTimeTrackInfo", REAL_TIME % 0)
    info = data["accepted"][0]["track_info"]
    assert info["latest_event"]["sub_status"] == "InTransit_Other"
    assert info["time_metrics"]["estimated_delivery_date"] == {"source": None, "from": None, "to": None}
    assert info["tracking"]["providers"][0]["events"]
    assert await client.quota_used() == 11


async def test_stop_track_stops_and_a_second_stop_is_refused(client: Client) -> None:
    await post(client, "register", REGISTER)
    data = await post(client, "stoptrack", STOP)
    assert data == {"accepted": [{"number": "RR123456789CN", "carrier": 3011}], "rejected": []}
    data = await post(client, "stoptrack", STOP)
    assert data["rejected"][0]["error"]["code"] == -18019906


async def test_comments_in_json_are_refused(client: Client) -> None:
    status, answer = await client.raw("/track/v2.2/register", b'[{"number": "RR123456789CN" // mine\n}]')
    assert (status, answer["code"]) == (200, -18010013)
    assert answer["data"]["errors"][0]["code"] == -18010013
    assert answer["data"]["accepted"] == answer["data"]["rejected"] == []


async def test_the_free_plan_has_a_hundred_and_the_101st_is_refused(start: Starter) -> None:
    client = await start(PARCELWIRE_FIRST_PLAN="free")
    quota = (await client.call("getquota"))["data"]
    assert (quota["quota_total"], quota["quota_used"], quota["quota_remain"]) == (100, 0, 100)
    numbers = [{"number": f"SANDBOXINFORECEIVED{index}"} for index in range(101)]
    accepted = rejected = 0
    for begin in range(0, 101, 40):
        data = (await client.call("register", numbers[begin : begin + 40]))["data"]
        accepted += len(data["accepted"])
        rejected += len(data["rejected"])
        for item in data["rejected"]:
            assert (item["number"], item["error"]["code"]) == ("SANDBOXINFORECEIVED100", -18019908)
    assert (accepted, rejected) == (100, 1)
    assert await client.quota_used() == 100
