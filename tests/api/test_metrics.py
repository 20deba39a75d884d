"""Figures for monitoring: all of the list, none that tells who or what, and not for everybody."""

import asyncio
import re

from tests.api.conftest import KEY, Client, Starter
from tests.service import World

from parcelwire.flows.metrics import CONTENT_TYPE, METRICS, PREFIX, Meters, text_of

NUMBER = "SANDBOXDELIVERED123456"
LINE = re.compile(r"([a-z_]+)(?:\{([^}]*)\})? ([0-9.e+-]+)")


async def scrape(client: Client, **headers: str) -> tuple[int, str]:
    async with client.session.get(client.url + "/metrics", headers=headers) as response:
        if response.status == 200:
            assert response.headers["Content-Type"] == CONTENT_TYPE
        return response.status, await response.text()


def figures(text: str) -> dict[str, float]:
    """Values by name and labels; every line is one, or a comment."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            match = LINE.fullmatch(line)
            assert match, line
            found[f"{match[1]}{{{match[2] or ''}}}"] = float(match[3])
    return found


async def test_calls_refreshes_and_what_waits_are_counted(client: Client) -> None:
    """And neither the number nor the key nor the account is in it."""
    await client.call("register", [{"number": NUMBER}])
    await client.raw("/track/v2.2/register", b"no JSON")
    await client.raw("/track/v2.2/secret-path-of-somebody", b"")
    found: dict[str, float] = {}
    text = ""
    async with asyncio.timeout(10):
        while found.get('parcelwire_refreshes_total{carrier="sandbox",outcome="report"}', 0) < 1:
            status, text = await scrape(client)
            assert status == 200
            found = figures(text)
            await asyncio.sleep(0.05)
    assert found['parcelwire_requests_total{endpoint="register",status="200",code="0"}'] == 1
    assert found['parcelwire_requests_total{endpoint="register",status="200",code="-18010013"}'] == 1
    assert found['parcelwire_requests_total{endpoint="other",status="404",code="404"}'] == 1
    assert found["parcelwire_quota_used{}"] == 1
    assert found['parcelwire_endpoints{state="healthy"}'] == 0
    assert found["parcelwire_shipments_parked{}"] == 0
    for secret in (NUMBER, NUMBER[-6:], KEY, "secret-path"):
        assert secret not in text


async def test_the_text_names_every_metric_of_the_list_once(client: Client) -> None:
    _, text = await scrape(client)
    names = [PREFIX + metric.name for metric in METRICS]
    assert [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")] == names


async def test_only_the_networks_of_the_setting_may_read_them(start: Starter) -> None:
    """Behind a proxy that is not ours everybody would seem to be a neighbour."""
    client = await start()
    assert (await scrape(client))[0] == 200
    assert (await scrape(client, **{"X-Forwarded-For": "203.0.113.9"}))[0] == 404


async def test_other_networks_are_told_that_there_is_nothing(start: Starter) -> None:
    assert (await scrape(await start(PARCELWIRE_METRICS_ALLOW="192.0.2.0/24")))[0] == 404


async def test_sizes_are_read_once_in_five_seconds(world: World) -> None:
    """Whoever asks more often costs the database nothing."""
    meters = Meters()
    await world.register("SANDBOXDELIVERED1", "SANDBOXDELIVERED2")

    async def due() -> float:
        text = (await meters.exposition(world.store, None, world.clock.now())).decode()
        return figures(text)['parcelwire_shipments_due{queue="sandbox"}']

    assert await due() == 2
    await world.register("SANDBOXDELIVERED3")
    assert await due() == 2
    await world.clock.advance(5)
    assert await due() == 3


def test_labels_are_escaped() -> None:
    meters = Meters()
    meters.count("endpoint_turns_total", 'a"b\\c\nd')
    lines = text_of(meters.counted()).splitlines()
    (line,) = [line for line in lines if line.startswith(b"parcelwire_endpoint_turns")]
    assert line == rb'parcelwire_endpoint_turns_total{state="a\"b\\c\nd"} 1'
