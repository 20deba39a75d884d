"""The whole service with nothing but a 17TRACK token, over real HTTP on both sides."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from tests.api.conftest import Client

from parcelwire.domain.errors import ConfigError
from parcelwire.flows.manage import VERBS
from parcelwire.net.clock import SystemClock
from parcelwire.standins.server import serve
from parcelwire.standins.seventeentrack import Key, SeventeenTrackStandIn

TOKEN = "UPSTREAM-TOKEN-1"
NUMBERS = {
    "9405511206213999001010": 21051,
    "700000000300": 100003,
    "1Z4R2W7E0300001011": 100001,
    "00340434161094027318": 7041,
    "LP204500111CN": 3011,
}
Starter = Callable[..., Awaitable[Client]]


async def all_shown(client: Client) -> list[dict[str, Any]]:
    """gettrackinfo of all numbers, as soon as each has something."""
    for _ in range(500):
        answer = await client.call("gettrackinfo", [{"number": number} for number in NUMBERS])
        accepted: list[dict[str, Any]] = answer["data"]["accepted"]
        if len(accepted) == len(NUMBERS):
            return accepted
        await asyncio.sleep(0.02)
    raise AssertionError("not all is shown")


async def trouble_of(client: Client, number: str) -> str:
    """What ``explain`` says is wrong, as soon as something is."""
    for _ in range(500):
        answer = await VERBS["explain"](client.service.context, {"number": number})
        if answer["shipments"][0]["trouble"]:
            return str(answer["shipments"][0]["trouble"])
        await asyncio.sleep(0.02)
    raise AssertionError("no trouble")


async def ledger(client: Client) -> Mapping[str, Any]:
    return await VERBS["upstream"](client.service.context, {})


async def test_five_carriers_work_with_a_token_alone_and_a_restart_buys_nothing(start: Starter) -> None:
    upstream = SeventeenTrackStandIn(keys={TOKEN: Key(quota=5)}, first_data=timedelta(0))
    async with serve(upstream, SystemClock()) as url:
        settings = {
            "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN": TOKEN,
            "PARCELWIRE_CARRIER_SEVENTEENTRACK_URL": url,
            "PARCELWIRE_REFRESH_SECONDS": "1",
        }
        client = await start(**settings)
        items = [{"number": number, "carrier": code} for number, code in NUMBERS.items()]
        assert len((await client.call("register", items))["data"]["accepted"]) == 5
        shown = await all_shown(client)
        assert {item["number"]: item["carrier"] for item in shown} == NUMBERS
        await client.service.stop()
        client = await start(**settings)
        calls = upstream.calls["gettrackinfo"]
        while upstream.calls["gettrackinfo"] == calls:  # noqa: ASYNC110  the stand-in counts, it does not call
            await asyncio.sleep(0.02)
        assert upstream.charges() == dict.fromkeys(NUMBERS, 1)
        assert (await ledger(client))["spent"]["total"] == 5


async def test_a_token_that_is_set_later_is_used_at_once_for_what_waits(start: Starter) -> None:
    """And nothing is left behind in the lane of those that nobody can be asked about."""
    client = await start()
    await client.call("register", [{"number": number, "carrier": code} for number, code in NUMBERS.items()])
    for _ in range(200):
        if set(await client.service.context.store.lanes()) == {"none"}:
            break
        await asyncio.sleep(0.02)
    await client.service.stop()
    upstream = SeventeenTrackStandIn(first_data=timedelta(0))
    async with serve(upstream, SystemClock()) as url:
        client = await start(
            PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN=TOKEN, PARCELWIRE_CARRIER_SEVENTEENTRACK_URL=url
        )
        await all_shown(client)
        assert set(await client.service.context.store.lanes()) == {"seventeentrack"}
    await client.service.stop()
    client = await start()  # and the token is gone again
    trouble = await trouble_of(client, "700000000300")
    assert "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN (17TRACK)" in trouble
    await all_shown(client)  # what is known stays


@pytest.mark.parametrize(("name", "value"), [("CAP", "many"), ("CAP", "-1"), ("REALTIME", "yes")])
async def test_a_wrong_limit_stops_the_start_and_is_named(start: Starter, name: str, value: str) -> None:
    setting = f"PARCELWIRE_CARRIER_SEVENTEENTRACK_{name}"
    with pytest.raises(ConfigError, match=setting):
        await start(PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN=TOKEN, **{setting: value})
