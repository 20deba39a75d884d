"""The same service under the prefixes of v2.0 to v2.4, and what tells their answers apart."""

from typing import Any

import pytest
from tests.api.conftest import Client
from tests.service import World

from parcelwire.wire.v22 import MORE_FIELDS, Tracked, Tracked24
from parcelwire.wire.versions import VERSIONS

NUMBER = "SANDBOXJOURNEY1"
MORE = {
    "origin_country": "CN",
    "ship_date": "2026-03-01",
    "destination_postal_code": "97218",
    "destination_country": "US",
    "phone_number_last_4": "0147",
    "special_tracking_info": {"number_type": "order", "parameter": "77"},
    "labels": ["a", "b"],
}


def keys(value: Any, inside: str = "") -> set[str]:
    """Every path of keys in a decoded answer; items of lists count as one."""
    if isinstance(value, dict):
        return {
            path
            for name, item in value.items()
            for path in ({f"{inside}.{name}"} | keys(item, f"{inside}.{name}"))
        }
    if isinstance(value, list):
        return {path for item in value for path in keys(item, inside)}
    return set()


@pytest.mark.parametrize("version", ["v2", "v2.1", "v2.2", "v2.3", "v2.4", "V2.2"])
async def test_every_endpoint_answers_under_every_prefix(client: Client, version: str) -> None:
    for endpoint in ("register", "gettrackinfo", "getRealTimeTrackInfo", "stoptrack", "retrack", "push"):
        status, answer = await client.raw(f"/track/{version}/{endpoint}", b'[{"number":"12"}]')
        assert (status, answer["code"]) == (200, 0)
        assert len(answer["data"]["rejected"]) == 1
    for endpoint in ("deletetrack", "changecarrier", "changeinfo"):
        status, answer = await client.raw(f"/track/{version}/{endpoint}/", b"[]")
        assert (status, answer["code"]) == (200, -18010010)
    for endpoint in ("getquota", "gettracklist"):
        status, answer = await client.raw(f"/TRACK/{version}/{endpoint}", b"")
        assert (status, answer["code"]) == (200, 0)


@pytest.mark.parametrize(
    "path", ["/track/v1/register", "/track/v3/register", "/track/register", "/v2.2/register"]
)
async def test_other_prefixes_are_404(client: Client, path: str) -> None:
    assert (await client.raw(path, b"[]"))[0] == 404


async def shown(world: World, version: str) -> dict[str, Any]:
    (item,) = (await world.call("gettrackinfo", [{"number": NUMBER}], version=version))["data"]["accepted"]
    found: dict[str, Any] = item
    return found


async def test_the_versions_differ_in_what_is_documented_and_in_nothing_else(world: World) -> None:
    await world.call("register", [{"number": NUMBER, "tag": "t"} | MORE])
    await world.steps(8)
    answers = {version: await shown(world, version) for version in VERSIONS}
    paths = {version: keys(answer) for version, answer in answers.items()}
    assert paths["v2"] == paths["v2.1"]
    assert answers["v2.2"] == answers["v2.3"]
    gone = paths["v2.2"] - paths["v2"]
    assert paths["v2"] < paths["v2.2"] < paths["v2.4"]
    assert {path.rpartition(".")[2] for path in gone} == {
        "time_raw", "date", "time", "timezone", "sub_status", "provider_lang",
    }  # fmt: skip
    assert ".track_info.latest_status.sub_status" in paths["v2"]
    added = paths["v2.4"] - paths["v2.2"]
    assert ".track_info.tracking.providers.provider_tips" in added
    assert {path for path in added if path.startswith(".track_info")} == {
        ".track_info.tracking.providers.provider_tips"
    }
    for name, value in MORE.items():
        assert answers["v2.4"][name] == value
        assert name not in answers["v2.2"]
    assert answers["v2.4"]["cpf_or_cnpj"] is None
    assert answers["v2.4"]["track_info"]["tracking"]["providers"][0]["provider_tips"] is None


async def test_real_time_answers_have_the_callers_shape_too(world: World) -> None:
    body = [{"number": "SANDBOXDELIVERED2", "cacheLevel": 1}]
    for version in VERSIONS:
        (item,) = (await world.call("getRealTimeTrackInfo", body, version=version))["data"]["accepted"]
        event = item["track_info"]["latest_event"]
        assert ("time_raw" in event) is (version not in ("v2", "v2.1"))
        assert ("origin_country" in item) is (version == "v2.4")


async def test_webhooks_stay_v22_whatever_the_caller_speaks(world: World) -> None:
    await world.call("register", [{"number": NUMBER} | MORE], version="v2.4")
    await world.turn()
    (body,) = world.sink.bodies(NUMBER)
    assert list(body["data"]) == ["number", "carrier", "param", "tag", "track_info"]
    assert "time_raw" in body["data"]["track_info"]["latest_event"]


@pytest.mark.parametrize("version", ["v2.2", "v2.4"])
async def test_further_register_fields_are_taken_under_every_prefix_and_checked(
    world: World, version: str
) -> None:
    """A postal code helps the carrier as ``param`` does; a bad field refuses its own item only."""
    items = [
        {"number": "SANDBOXJOURNEY2"} | MORE,
        {"number": "SANDBOXJOURNEY3", "ship_date": 5},
        {"number": "SANDBOXJOURNEY4", "labels": ["a\0"]},
        {"number": "SANDBOXJOURNEY5", "special_tracking_info": {"parameter": "\0"}},
        {"number": "SANDBOXJOURNEY6", "origin_city": None},
    ]
    data = (await world.call("register", items, version=version))["data"]
    assert [item["number"] for item in data["accepted"]] == ["SANDBOXJOURNEY2", "SANDBOXJOURNEY6"]
    assert [item["error"]["code"] for item in data["rejected"]] == [-18010015, -18010011, -18010015]
    assert (await world.shipment("SANDBOXJOURNEY2")).wish.hint == "97218"
    assert (await world.shipment("SANDBOXJOURNEY6")).wish.more is None


def test_what_is_read_is_echoed() -> None:
    assert set(MORE_FIELDS) <= set(Tracked24.__struct_fields__) - set(Tracked.__struct_fields__)
