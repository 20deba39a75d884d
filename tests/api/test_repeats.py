"""Idempotency-Key: a call that is repeated after a lost answer neither costs nor does anything twice."""

import asyncio
import json
from typing import Any

import pytest
from tests.api.conftest import KEY, Client

from parcelwire.flows.accounts import add_account

GOOD = [{"number": "SANDBOXINTRANSIT1"}, {"number": "12"}]


async def keyed_call(
    client: Client, endpoint: str, body: object, key: str, login_key: str = KEY
) -> tuple[int, dict[str, Any]]:
    headers = {"17token": login_key, "Idempotency-Key": key}
    return await client.raw(f"/track/v2.2/{endpoint}", json.dumps(body).encode(), headers=headers)


async def test_a_repeated_register_gets_the_first_answer_and_costs_once(client: Client) -> None:
    """Not "already registered": the caller learns what became of the first call."""
    first = await keyed_call(client, "register", GOOD, "order-1")
    assert len(first[1]["data"]["accepted"]) == len(first[1]["data"]["rejected"]) == 1
    assert await keyed_call(client, "register", GOOD, "order-1") == first
    assert await client.quota_used() == 1
    other = await keyed_call(client, "register", GOOD, "order-2")
    assert other[1]["data"]["rejected"][0]["error"]["code"] == -18019901


async def test_another_body_under_the_same_key_is_refused_and_does_nothing(client: Client) -> None:
    await keyed_call(client, "register", GOOD, "order-1")
    status, answer = await keyed_call(client, "register", [{"number": "SANDBOXINTRANSIT2"}], "order-1")
    assert (status, answer["code"], answer["data"]["accepted"]) == (409, 409, [])
    assert await client.quota_used() == 1


async def test_a_key_belongs_to_one_account_and_one_endpoint(client: Client) -> None:
    await keyed_call(client, "register", GOOD, "order-1")
    assert (await keyed_call(client, "stoptrack", [{"number": "SANDBOXINTRANSIT1"}], "order-1"))[0] == 200
    made = await add_account(client.service.context, {"name": "second"})
    status, answer = await keyed_call(
        client, "register", [{"number": "SANDBOXINTRANSIT3"}], "order-1", made["login_key"]
    )
    assert (status, len(answer["data"]["accepted"])) == (200, 1)


async def test_thirty_at_once_with_one_key_are_one_call(client: Client) -> None:
    """Who comes while the first is under way waits for it in the store."""
    answers = await asyncio.gather(*(keyed_call(client, "register", GOOD, "order-1") for _ in range(30)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 200
    assert await client.quota_used() == 1


async def test_a_repeated_question_in_real_time_is_answered_again_and_paid_once(client: Client) -> None:
    ask = [{"number": "SANDBOXDELIVERED1", "cacheLevel": 1}]
    first = await keyed_call(client, "getRealTimeTrackInfo", ask, "ask-1")
    used = await client.quota_used()
    assert used == 10
    assert await keyed_call(client, "getRealTimeTrackInfo", ask, "ask-1") == first
    assert await client.quota_used() == used


async def test_a_call_that_failed_as_a_whole_may_be_made_again_under_its_key(client: Client) -> None:
    for endpoint in ("register", "stoptrack"):
        assert (await keyed_call(client, endpoint, {}, "again"))[1]["code"] == -18010013
        assert (await keyed_call(client, endpoint, GOOD, "again"))[1]["code"] == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "schl\u00fcssel"])
async def test_what_is_no_key_is_refused(client: Client, key: str) -> None:
    _, answer = await keyed_call(client, "register", GOOD, key)
    assert answer["code"] == -18010015


async def test_reading_needs_no_key_and_is_never_answered_from_the_past(client: Client) -> None:
    before = (await keyed_call(client, "getquota", [], "k"))[1]["data"]["quota_used"]
    await client.call("register", GOOD)
    assert (await keyed_call(client, "getquota", [], "k"))[1]["data"]["quota_used"] == before + 1
