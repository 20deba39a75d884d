"""Every error code of the wire: a request that shows it, or the reason why there is none."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.api.conftest import KEY, Client, Starter
from tests.service import TOKEN, World

from parcelwire.api import server
from parcelwire.api.keys import FAILED_LOGINS
from parcelwire.carriers import carriers
from parcelwire.domain.account import Account
from parcelwire.domain.errors import StoreUnavailable
from parcelwire.flows.accounts import allow
from parcelwire.flows.context import Context
from parcelwire.flows.repeats import keyed
from parcelwire.flows.routes import Routes, Upstream
from parcelwire.standins.seventeentrack import Key, SeventeenTrackStandIn
from parcelwire.store.sqlite import SqliteStore
from parcelwire.wire.codes import ERRORS, NOT_USED
from parcelwire.wire.versions import Version

# The official list of codes, as far as it is known.
OFFICIAL = {
    *range(-18010005, -18010000),
    *range(-18010016, -18010009),
    *(-18010018, -18010019, -18010020, -18010022),
    *range(-18010206, -18010200),
    *range(-18019811, -18019800),
    *range(-18019818, -18019814),
    *range(-18019912, -18019900),
}
NO_REQUEST = {
    "not_allowed": "there is nothing yet that an account may not do",
}
NUMBER = "SANDBOXJOURNEY1"
SANDBOX, USPS, UPS, FEDEX = 999001, 21051, 100001, 100003


@dataclass
class Shop:
    """A service by hand, one behind HTTP, and the means to break them."""

    world: World
    starter: Starter
    monkeypatch: pytest.MonkeyPatch
    folder: Path

    async def start(self, **settings: str) -> Client:
        """The service behind HTTP, in a folder of its own."""
        return await self.starter(PARCELWIRE_DATA=str(self.folder / "served"), **settings)

    async def item(self, endpoint: str, item: dict[str, Any]) -> int:
        """The code of the one item that a call refuses."""
        (refused,) = (await self.world.call(endpoint, [item]))["data"]["rejected"]
        assert refused["error"]["message"]
        code: int = refused["error"]["code"]
        return code

    async def registered(self, *codes: int, turns: int = 0) -> None:
        for code in codes or (SANDBOX,):
            item = {"number": NUMBER, "carrier": code, "auto_detection": False}
            await self.world.call("register", [item])
        for _ in range(turns):
            await self.world.turn()


Shown = Callable[[Shop], Awaitable[int]]
SHOWN: dict[str, Shown] = {}


def shows(reason: str) -> Callable[[Shown], Shown]:
    def keep(request: Shown) -> Shown:
        assert reason not in SHOWN
        SHOWN[reason] = request
        return request

    return keep


async def whole(client: Client, reason: str, endpoint: str, body: bytes = b"", **headers: str) -> int:
    """The code of a call that fails as a whole, after checking its HTTP status and its shape."""
    given = {"17token": KEY} | headers
    status, answer = await client.raw(f"/track/v2.2/{endpoint}", body, headers=given)
    (error,) = answer["data"]["errors"]
    assert status == ERRORS[reason].http_status
    assert answer["code"] == error["code"]
    assert error["message"]
    assert answer["data"]["accepted"] == answer["data"]["rejected"] == []
    code: int = error["code"]
    return code


# --- the whole call -----------------------------------------------------------------------------------------


@shows("bad_key")
async def _(shop: Shop) -> int:
    return await whole(await shop.start(), "bad_key", "getquota", b"", **{"17token": "WRONG"})


@shows("account_disabled")
async def _(shop: Shop) -> int:
    client = await shop.start()
    store = client.service.context.store
    assert isinstance(store, SqliteStore)
    await store._write(lambda c: c.execute("UPDATE account SET enabled = 0").rowcount)
    return await whole(client, "account_disabled", "getquota")


@shows("ip_not_allowed")
async def _(shop: Shop) -> int:
    client = await shop.start()
    await allow(client.service.context, {"networks": "192.0.2.0/24"})
    return await whole(client, "ip_not_allowed", "getquota")


@shows("failed_logins")
async def _(shop: Shop) -> int:
    client = await shop.start()
    for _ in range(FAILED_LOGINS):
        await whole(client, "bad_key", "getquota", b"", **{"17token": "WRONG"})
    return await whole(client, "failed_logins", "getquota", b"", **{"17token": "WRONG"})


@shows("key_reused")
async def _(shop: Shop) -> int:
    client = await shop.start()
    await client.raw("/track/v2.2/register", b"[]", headers={"17token": KEY, "Idempotency-Key": "a"})
    await client.raw(
        "/track/v2.2/register", b'[{"number":"A12345"}]', headers={"17token": KEY, "Idempotency-Key": "a"}
    )
    return await whole(client, "key_reused", "register", b'[{"number":"B12345"}]', **{"Idempotency-Key": "a"})


@shows("key_in_flight")
async def _(shop: Shop) -> int:
    client = await shop.start()
    store, clock = client.service.context.store, client.service.context.clock
    (account,) = await store.accounts()
    await store.begin_call(account.id, keyed("stoptrack", "a", b"[1]"), clock.now())
    return await whole(client, "key_in_flight", "stoptrack", b"[1]", **{"Idempotency-Key": "a"})


def _failing(shop: Shop, error: Exception) -> None:
    async def fail(_context: Context, _account: Account, _body: bytes, _version: Version) -> bytes:
        raise error

    shop.monkeypatch.setitem(server.ENDPOINTS, "getquota", fail)


@shows("internal")
async def _(shop: Shop) -> int:
    client = await shop.start()
    _failing(shop, RuntimeError("a bug"))
    return await whole(client, "internal", "getquota")


@shows("unavailable")
async def _(shop: Shop) -> int:
    client = await shop.start()
    _failing(shop, StoreUnavailable("disk full"))
    return await whole(client, "unavailable", "getquota")


@shows("bad_body")
async def _(shop: Shop) -> int:
    return await whole(await shop.start(), "bad_body", "register", b'[{"number": "A12345"} // comment\n]')


@shows("too_many")
async def _(shop: Shop) -> int:
    return await whole(
        await shop.start(), "too_many", "stoptrack", json.dumps([{"number": NUMBER}] * 41).encode()
    )


@shows("too_large")
async def _(shop: Shop) -> int:
    return await whole(await shop.start(), "too_large", "register", b" " * (server.BODY_MAX + 1))


@shows("encoded")
async def _(shop: Shop) -> int:
    return await whole(await shop.start(), "encoded", "register", b"[]", **{"Content-Encoding": "gzip"})


@shows("too_fast")
async def _(shop: Shop) -> int:
    client = await shop.start(PARCELWIRE_RATE_LIMIT="3")
    answers = [await client.raw("/track/v2.2/getquota") for _ in range(15)]
    status, answer = answers[-1]
    assert status == 429
    code: int = answer["code"]
    return code


@shows("too_slow")
async def _(shop: Shop) -> int:
    client = await shop.start()
    shop.monkeypatch.setattr(server, "BODY_S", 0.2)
    at = urlsplit(client.url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    head = f"POST /track/v2.2/register HTTP/1.1\r\nHost: x\r\n17token: {KEY}\r\nContent-Length: 10\r\n\r\n["
    writer.write(head.encode())
    answer = await reader.read(4096)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    code: int = json.loads(answer.partition(b"\r\n\r\n")[2])["code"]
    return code


@shows("not_found")
async def _(shop: Shop) -> int:
    return await whole(await shop.start(), "not_found", "nothing")


# --- one item -----------------------------------------------------------------------------------------------


@shows("missing_item")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"carrier": SANDBOX})


@shows("bad_item")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"number": NUMBER, "labels": ["a\0"]})


@shows("bad_number")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"number": "1234"})


@shows("bad_value")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"number": NUMBER, "order_time": "soon"})


@shows("not_postal")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"number": NUMBER, "final_carrier": USPS})


def lacks(reason: str) -> None:
    """A real-time question about a number whose carrier, says the upstream, needs more than its number."""

    @shows(reason)
    async def _(shop: Shop) -> int:
        upstream = SeventeenTrackStandIn(
            {TOKEN: Key(real_time=True)}, lacking={"700000000300": ERRORS[reason].code}
        )
        routes = Routes({}, {}, Upstream(carriers()["seventeentrack"], None, real_time=True), "TOKEN")
        folder = shop.folder / "lacking"
        folder.mkdir()
        world = await World.open(folder, routes=routes, sources=(upstream,))
        item = {"number": "700000000300", "carrier": FEDEX, "cacheLevel": 1}
        try:
            answer = await world.passing(world.call("getRealTimeTrackInfo", [item]))
            again = await world.passing(world.call("getRealTimeTrackInfo", [item | {"param": "FR-1000AA"}]))
        finally:
            await world.close()
        assert [one["number"] for one in again["data"]["accepted"]] == [item["number"]]
        code: int = answer["data"]["rejected"][0]["error"]["code"]
        return code


for _reason in ("lacks_place", "lacks_postal_code", "lacks_phone", "lacks_date"):
    lacks(_reason)


@shows("no_webhook")
async def _(shop: Shop) -> int:
    account = await shop.world.open_account("without", endpoint=False)
    answer = await shop.world.call("push", [{"number": NUMBER}], account=account)
    code: int = answer["data"]["rejected"][0]["error"]["code"]
    return code


@shows("several_carriers")
async def _(shop: Shop) -> int:
    await shop.registered(SANDBOX, USPS)
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_new": UPS})


@shows("bad_new_carrier")
async def _(shop: Shop) -> int:
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_new": 424242})


@shows("same_carrier")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_new": SANDBOX})


@shows("no_new_carrier")
async def _(shop: Shop) -> int:
    return await shop.item("changecarrier", {"number": NUMBER})


@shows("not_of_old_carrier")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_old": USPS, "carrier_new": UPS})


@shows("carrier_of_stopped")
async def _(shop: Shop) -> int:
    await shop.registered()
    await shop.world.call("stoptrack", [{"number": NUMBER}])
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_new": UPS})


@shows("carrier_changes")
async def _(shop: Shop) -> int:
    await shop.registered()
    store = shop.world.store
    await store._write(lambda c: c.execute("UPDATE shipment SET carrier_changes = 5").rowcount)
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_new": UPS})


@shows("no_result_yet")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("changecarrier", {"number": NUMBER, "carrier_new": UPS})


@shows("new_carrier_registered")
async def _(shop: Shop) -> int:
    await shop.registered(SANDBOX, USPS, turns=1)
    item = {"number": NUMBER, "carrier_old": SANDBOX, "carrier_new": USPS}
    return await shop.item("changecarrier", item)


@shows("several_registrations")
async def _(shop: Shop) -> int:
    await shop.registered(SANDBOX, USPS)
    return await shop.item("changeinfo", {"number": NUMBER, "items": {"tag": "new"}})


@shows("nothing_to_change")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("changeinfo", {"number": NUMBER, "items": {}})


@shows("carrier_timeout")
async def _(shop: Shop) -> int:
    return await shop.item("getRealTimeTrackInfo", {"number": "SANDBOXTIMEOUT1", "cacheLevel": 1})


@shows("carrier_failed")
async def _(shop: Shop) -> int:
    return await shop.item("getRealTimeTrackInfo", {"number": "SANDBOX5001", "cacheLevel": 1})


@shows("realtime_internal")
async def _(shop: Shop) -> int:
    """The registration is deleted while its carrier's lane is waited for."""
    taken = SqliteStore.claim_one

    async def claim_one(store: SqliteStore, shipment: int, *rest: Any) -> Any:
        await store.delete(shop.world.account.id, [shipment])
        return await taken(store, shipment, *rest)

    shop.monkeypatch.setattr(SqliteStore, "claim_one", claim_one)
    return await shop.item("getRealTimeTrackInfo", {"number": NUMBER, "cacheLevel": 1})


@shows("no_realtime")
async def _(shop: Shop) -> int:
    assert "usps" in carriers()
    item = {"number": "9400111899223197428490", "carrier": USPS, "cacheLevel": 1}
    return await shop.item("getRealTimeTrackInfo", item)


@shows("registered")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("register", {"number": NUMBER})


@shows("not_registered")
async def _(shop: Shop) -> int:
    return await shop.item("gettrackinfo", {"number": NUMBER})


@shows("undetected")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"number": NUMBER, "auto_detection": False})


@shows("not_stopped")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("retrack", {"number": NUMBER})


@shows("retracked")
async def _(shop: Shop) -> int:
    await shop.registered()
    for endpoint in ("stoptrack", "retrack", "stoptrack"):
        await shop.world.call(endpoint, [{"number": NUMBER}])
    return await shop.item("retrack", {"number": NUMBER})


@shows("not_tracking")
async def _(shop: Shop) -> int:
    await shop.registered()
    await shop.world.call("stoptrack", [{"number": NUMBER}])
    return await shop.item("stoptrack", {"number": NUMBER})


@shows("daily_limit")
async def _(shop: Shop) -> int:
    await shop.world.store._write(lambda c: c.execute("UPDATE account SET max_daily = 1").rowcount)
    await shop.registered()
    return await shop.item("register", {"number": "SANDBOXJOURNEY2"})


@shows("quota")
async def _(shop: Shop) -> int:
    await shop.world.store.set_plan(shop.world.account.id, "1", 1)
    await shop.registered()
    return await shop.item("register", {"number": "SANDBOXJOURNEY2"})


@shows("no_info")
async def _(shop: Shop) -> int:
    await shop.registered()
    return await shop.item("gettrackinfo", {"number": NUMBER})


@shows("bad_carrier")
async def _(shop: Shop) -> int:
    return await shop.item("register", {"number": NUMBER, "carrier": 424242})


# --- all of them ------------------------------------------------------------------------------------------


def test_every_code_is_shown_or_has_a_reason() -> None:
    assert set(SHOWN) | set(NO_REQUEST) == set(ERRORS)
    assert set(SHOWN).isdisjoint(NO_REQUEST)


def test_every_official_code_is_ours_or_has_a_reason() -> None:
    ours = {wire.code for wire in ERRORS.values()}
    assert ours & set(NOT_USED) == set()
    assert ours | set(NOT_USED) == OFFICIAL | {429, 404, 409}
    assert all(NOT_USED.values())


@pytest.mark.parametrize("reason", sorted(SHOWN))
async def test_a_request_shows_the_code(
    world: World, start: Starter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reason: str
) -> None:
    assert await SHOWN[reason](Shop(world, start, monkeypatch, tmp_path)) == ERRORS[reason].code
