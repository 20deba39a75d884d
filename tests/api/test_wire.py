"""What callers send, and what comes back: authentication, tolerance, and errors item by item."""

import asyncio
import json

import pytest
from tests.api.conftest import KEY, Client, Starter

GOOD = {"number": "SANDBOXINTRANSIT1"}


@pytest.mark.parametrize("headers", [{}, {"17token": ""}, {"17token": "WRONG"}, {"17token": "schlüssel"}])
async def test_a_missing_or_wrong_key_is_401(client: Client, headers: dict[str, str]) -> None:
    status, answer = await client.raw("/track/v2.2/getquota", b"", headers=headers)
    assert status == 401
    assert answer["code"] == answer["data"]["errors"][0]["code"] == -18010002


@pytest.mark.parametrize("path", ["/track/v2.2/GETQUOTA", "/TRACK/V2.2/getquota/", "/track/v2.2/getQuota"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null"])
async def test_paths_ignore_case_and_one_slash_and_getquota_any_body(
    client: Client, path: str, body: bytes
) -> None:
    status, answer = await client.raw(path, body)
    assert status == 200
    assert sorted(answer["data"]) == [
        "free_email_quota",
        "free_email_quotaused",
        "max_track_daily",
        "quota_remain",
        "quota_total",
        "quota_used",
        "today_used",
    ]
    assert all(isinstance(value, int) for value in answer["data"].values())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/track/v2.2/getquota"),
        ("POST", "/track/v2.2/nothing"),
        ("POST", "/track/v9/getquota"),
        ("PUT", "/"),
    ],
)
async def test_other_methods_and_paths_are_404_with_the_envelope(
    client: Client, method: str, path: str
) -> None:
    status, answer = await client.raw(path, method=method)
    assert status == 404
    assert answer["data"]["errors"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -18010013),
        (b"nonsense", -18010013),
        (b"{}", -18010013),
        (b"null", -18010013),
        (b'"text"', -18010013),
        (b"[]", -18010010),
        (b"[1, 2]", -18010013),
        (b"[NaN]", -18010013),
        (b"\xff\xfe[\x00", -18010013),
        (b"[" * 5000, -18010013),
        (json.dumps([GOOD] * 41).encode(), -18010014),
    ],
)
@pytest.mark.parametrize("endpoint", ["register", "gettrackinfo", "getRealTimeTrackInfo", "stoptrack"])
async def test_a_malformed_call_is_an_envelope_with_errors(
    client: Client, endpoint: str, body: bytes, code: int
) -> None:
    status, answer = await client.raw(f"/track/v2.2/{endpoint}", body)
    assert status == 200
    assert answer["code"] == code
    assert answer["data"]["errors"][0]["code"] == code
    assert answer["data"]["errors"][0]["message"]
    assert answer["data"]["accepted"] == answer["data"]["rejected"] == []


async def test_a_body_that_is_too_large_or_encoded_is_refused_before_it_is_read(client: Client) -> None:
    status, answer = await client.raw("/track/v2.2/register", b"[" + b" " * 1024 * 1024 + b"]")
    assert (status, answer["code"]) == (413, -18010013)
    headers = {"17token": KEY, "Content-Encoding": "gzip"}
    status, answer = await client.raw("/track/v2.2/register", b"[]", headers=headers)
    assert (status, answer["code"]) == (415, -18010013)


BAD_ITEMS: list[tuple[object, int]] = [
    ({"number": "1234"}, -18010012),
    ({"number": ""}, -18010012),
    ({"number": 12345678}, -18010012),
    ({"number": None}, -18010012),
    ({"number": "A" * 51}, -18010012),
    ({"number": "АВС123456789"}, -18010012),
    ({}, -18010010),
    ({"number": "SANDBOXDELIVERED9", "carrier": "abc"}, -18019910),
    ({"number": "SANDBOXDELIVERED9", "carrier": 424242}, -18019910),
    ({"number": "SANDBOXDELIVERED9", "carrier": -1}, -18019910),
    ({"number": "SANDBOXDELIVERED9", "carrier": True}, -18010015),
    ({"number": "SANDBOXDELIVERED9", "carrier": 1.5}, -18010015),
    ({"number": "SANDBOXDELIVERED9", "carrier": 10**30}, -18019910),
    ({"number": "SANDBOXDELIVERED9", "tag": "x" * 101}, -18010015),
    ({"number": "SANDBOXDELIVERED9", "tag": 5}, -18010015),
    ({"number": "SANDBOXDELIVERED9", "tag": "a\u0000b"}, -18010015),
    ({"number": "SANDBOXDELIVERED9", "order_time": "soon"}, -18010015),
    ({"number": "SANDBOXDELIVERED9", "order_time": "2023/13/45"}, -18010015),
    ({"number": "SANDBOXAMBIGUOUS"}, -18019903),
    ({"number": "SANDBOXDELIVERED9", "auto_detection": False}, -18019903),
]


@pytest.mark.parametrize(("bad", "code"), BAD_ITEMS)
async def test_a_bad_item_is_refused_alone_between_good_neighbours(
    client: Client, bad: object, code: int
) -> None:
    before, after = {"number": "SANDBOXINTRANSIT1"}, {"number": "SANDBOXINTRANSIT2"}
    data = (await client.call("register", [before, bad, after]))["data"]
    assert [item["number"] for item in data["accepted"]] == [before["number"], after["number"]]
    (item,) = data["rejected"]
    assert item["error"]["code"] == code, item
    assert item["error"]["message"]
    assert isinstance(item["carrier"], int)
    assert await client.quota_used() == 2


@pytest.mark.parametrize("carrier", [None, 0, 999001, "999001", "0", ""])
async def test_a_carrier_may_be_absent_null_zero_a_number_or_a_text(client: Client, carrier: object) -> None:
    data = (await client.call("register", [GOOD | {"carrier": carrier}]))["data"]
    assert data["accepted"][0]["carrier"] == 999001


async def test_a_number_twice_in_one_call_and_again_later_is_already_registered(client: Client) -> None:
    data = (await client.call("register", [GOOD, {"number": " sandboxintransit1 "}]))["data"]
    assert len(data["accepted"]) == 1
    assert data["rejected"][0]["error"]["code"] == -18019901
    assert "already registered" in data["rejected"][0]["error"]["message"]
    data = (await client.call("register", [GOOD]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019901
    assert await client.quota_used() == 1


async def test_two_spellings_of_a_number_are_one_registration(client: Client) -> None:
    data = (await client.call("register", [{"number": "1Z-999AA1-0123456784"}]))["data"]
    assert data["accepted"][0]["number"] == "1Z999AA10123456784"
    data = (await client.call("register", [{"number": "1z999aa10123456784"}]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019901


async def test_refused_items_keep_the_order_and_the_tag_of_the_call(client: Client) -> None:
    items = [GOOD, GOOD | {"tag": "second"}, {"number": "12", "tag": "third"}, GOOD | {"tag": "fourth"}]
    data = (await client.call("register", items))["data"]
    assert [item["tag"] for item in data["rejected"]] == ["second", "third", "fourth"]


@pytest.mark.parametrize("endpoint", ["gettrackinfo", "stoptrack"])
async def test_an_unknown_number_is_not_registered(client: Client, endpoint: str) -> None:
    data = (await client.call(endpoint, [GOOD]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019902


async def test_code_books_answer_with_the_callers_code(start: Starter, tmp_path: object) -> None:
    client = await start()
    ups = "1Z999AA10123456784"
    data = (await client.call("register", [{"number": ups}]))["data"]
    assert data["accepted"][0]["carrier"] == 100001, "the reference book is the default"
    data = (await client.call("register", [{"number": ups, "carrier": 100002}]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019901, "100002 is UPS in both books"
    for code in (0, 100001, 100002):
        data = (await client.call("stoptrack", [{"number": ups, "carrier": code}]))["data"]
        codes = [item["error"]["code"] for item in data["rejected"]]
        assert codes in ([], [-18019906])
        if data["accepted"]:
            assert data["accepted"][0]["carrier"] == 100001


async def test_the_official_book(start: Starter) -> None:
    client = await start(PARCELWIRE_CODE_BOOK="official")
    data = (await client.call("register", [{"number": "1Z999AA10123456784"}]))["data"]
    assert data["accepted"][0]["carrier"] == 100002


async def test_without_credentials_the_shipment_says_which_are_missing(client: Client) -> None:
    number = "122816215025810"
    data = (await client.call("register", [{"number": number}]))["data"]
    assert data["accepted"][0]["carrier"] == 100003
    error: dict[str, object] = {}
    for _ in range(100):
        (item,) = (await client.call("gettrackinfo", [{"number": number}]))["data"]["rejected"]
        error = item["error"]
        if "PARCELWIRE_CARRIER_FEDEX_CLIENT_ID" in str(error["message"]):
            break
        await asyncio.sleep(0.05)
    assert error["code"] == -18019909
    assert "PARCELWIRE_CARRIER_FEDEX_CLIENT_SECRET" in str(error["message"])
    used = await client.quota_used()
    data = (await client.call("getRealTimeTrackInfo", [{"number": number, "cacheLevel": 1}]))["data"]
    assert data["rejected"][0]["error"]["code"] == -18019818
    assert await client.quota_used() == used, "a question without a source costs nothing"


async def test_too_many_requests_are_429_with_retry_after(start: Starter) -> None:
    client = await start(PARCELWIRE_RATE_LIMIT="3")
    statuses = []
    for _ in range(12):
        async with client.session.post(
            f"{client.url}/track/v2.2/getquota", headers={"17token": KEY}
        ) as response:
            statuses.append(response.status)
            if response.status == 429:
                assert int(response.headers["Retry-After"]) >= 1
                assert (await response.json())["code"] == 429
    assert statuses[:10] == [200] * 10
    assert 429 in statuses


async def test_thirty_parallel_registers_of_one_number_make_one_row_and_one_charge(client: Client) -> None:
    answers = await asyncio.gather(*(client.call("register", [GOOD]) for _ in range(30)))
    assert sum(len(answer["data"]["accepted"]) for answer in answers) == 1
    assert await client.quota_used() == 1
