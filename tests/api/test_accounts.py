"""Who may call, and that no account ever sees another one's shipments."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.api.conftest import KEY, Client, Starter
from tests.service import World

from parcelwire.api.keys import BURST, FAILED_LOGINS, KNOWN_S, Keys, TooFast
from parcelwire.api.server import ENDPOINTS
from parcelwire.domain.errors import CallerError
from parcelwire.flows.accounts import add_account, add_key, allow, limit, resume, revoke_key, suspend
from parcelwire.flows.accounts import keys as list_keys
from parcelwire.flows.manage import OwnerError

HOME = "127.0.0.1"
SECRET_TAG = "only-the-owner-knows"
SANDBOX, UPS, USPS = 999001, 100001, 21051
OWNED = [
    {"number": "SANDBOXJOURNEY1", "carrier": SANDBOX},
    {"number": "SANDBOXDELIVERED1", "carrier": SANDBOX},
    {"number": "SANDBOXINTRANSIT2", "carrier": SANDBOX},
    {"number": "1Z999AA10123456784", "carrier": UPS},
    {"number": "9400111899223817428490", "carrier": USPS},
]


async def as_account(client: Client, key: str, endpoint: str, body: object, **headers: str) -> dict[str, Any]:
    """The envelope of a call with another login key."""
    given = {"17token": key} | headers
    status, answer = await client.raw(f"/track/v2.2/{endpoint}", json.dumps(body).encode(), headers=given)
    assert status == 200, answer
    return answer


def asked(endpoint: str, item: dict[str, Any]) -> object:
    """What a stranger sends about a number."""
    more: dict[str, object] = {}
    if endpoint == "changecarrier":
        more = {"carrier_old": item.get("carrier"), "carrier_new": 3011}
    if endpoint == "changeinfo":
        more = {"items": {"tag": "mine now"}}
    return item | more if endpoint == "gettracklist" else [item | more]


async def state(client: Client) -> object:
    """All that the owner sees of what it owns, but for the clock."""
    listed = (await client.call("gettracklist", {}))["data"]["accepted"]
    for row in listed:
        for name in ("track_time", "latest_event_time", "latest_event_info", "package_status", "push_time"):
            row.pop(name, None)
    return sorted((row["number"], row["carrier"], row["tracking_status"], row["tag"]) for row in listed)


async def test_no_endpoint_shows_or_changes_another_accounts_shipments(client: Client) -> None:
    """Every endpoint, every number, with its carrier and without: the stranger finds nothing."""
    owned = [item | {"tag": SECRET_TAG, "remark": SECRET_TAG, "param": SECRET_TAG} for item in OWNED]
    assert len((await client.call("register", owned))["data"]["accepted"]) == len(OWNED)
    await client.call("stoptrack", [OWNED[2]])
    before, used = await state(client), await client.quota_used()
    stranger = (await add_account(client.service.context, {"name": "stranger"}))["login_key"]
    asks_only = sorted(set(ENDPOINTS) - {"register", "getrealtimetrackinfo"})
    for endpoint in asks_only:
        for item in OWNED:
            for given in (item, {"number": item["number"]}):
                answer = await as_account(client, stranger, endpoint, asked(endpoint, given))
                assert SECRET_TAG not in json.dumps(answer)
                assert not answer["data"].get("accepted"), (endpoint, given)
    assert await state(client) == before
    assert await client.quota_used() == used
    for endpoint in ("register", "getrealtimetrackinfo"):  # these make the stranger's own
        for item in OWNED:
            answer = await as_account(client, stranger, endpoint, [item])
            assert SECRET_TAG not in json.dumps(answer)
    mine = await as_account(client, stranger, "gettracklist", {})
    assert {row["number"] for row in mine["data"]["accepted"]} == {item["number"] for item in OWNED}
    assert SECRET_TAG not in json.dumps(mine)
    await as_account(client, stranger, "deletetrack", [{"number": item["number"]} for item in OWNED])
    assert await state(client) == before
    assert await client.quota_used() == used


async def test_a_key_is_replaced_and_the_old_one_dies_within_five_seconds(tmp_path: Path) -> None:
    """Two keys work side by side; a revoked one is out after KNOWN_S at the latest."""
    world = await World.open(tmp_path)
    keys = Keys(world.context, rate=0)
    old = "key-of-shop"
    made = await add_key(world.context, {})
    assert await keys.enter(old, HOME) == await keys.enter(made["login_key"], HOME) == world.account
    with pytest.raises(OwnerError, match="revoke one first"):
        await add_key(world.context, {})
    await revoke_key(world.context, {"prefix": old[:8]})
    assert KNOWN_S < 5
    await world.clock.advance(KNOWN_S)
    with pytest.raises(CallerError) as refused:
        await keys.enter(old, HOME)
    assert refused.value.reason == "bad_key"
    assert await keys.enter(made["login_key"], HOME) == world.account
    with pytest.raises(OwnerError, match="no live key"):
        await revoke_key(world.context, {"prefix": old[:8]})
    await world.close()


async def test_a_key_that_is_still_needed_is_not_revoked_without_force(tmp_path: Path) -> None:
    """The last live one, and the one that signs webhooks: it would go on signing them. What to do is said."""
    world = await World.open(tmp_path)
    with pytest.raises(OwnerError, match="last live key of shop"):
        await revoke_key(world.context, {"prefix": "key-of-s"})
    await world.clock.advance(1)
    signing = (await add_key(world.context, {"sign": "1"}))["login_key"]
    assert [key["signs"] for key in (await list_keys(world.context, {}))["keys"]] == [False, True]
    with pytest.raises(OwnerError, match="give --force, and make one"):  # two are live: no room for a third
        await revoke_key(world.context, {"prefix": signing[:8]})
    await revoke_key(world.context, {"prefix": "key-of-s"})
    with pytest.raises(OwnerError, match=r"keys add --sign.*or give --force"):
        await revoke_key(world.context, {"prefix": signing[:8]})
    await revoke_key(world.context, {"prefix": signing[:8], "force": "1"})
    assert await world.store.sign_key(world.account.id) == signing
    with pytest.raises(OwnerError, match="no live key"):
        await revoke_key(world.context, {"prefix": "key-of-s"})
    await world.close()


async def test_a_suspended_account_is_refused_until_it_is_resumed(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    keys = Keys(world.context, rate=0)
    assert await keys.enter("key-of-shop", HOME) == world.account
    await suspend(world.context, {"account": "shop"})
    await world.clock.advance(KNOWN_S)
    with pytest.raises(CallerError) as refused:
        await keys.enter("key-of-shop", HOME)
    assert refused.value.reason == "account_disabled"
    await resume(world.context, {"account": "shop"})
    await world.clock.advance(KNOWN_S)
    assert await keys.enter("key-of-shop", HOME) == world.account
    await world.close()


@pytest.mark.parametrize(
    ("networks", "address", "admitted"),
    [
        ("192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.3.7", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8::/32,192.0.2.0/24", "2001:db8:1::5", True),
        ("2001:db8::/32", "192.0.2.7", False),
        ("192.0.2.0/24", "", False),
        ("", "203.0.113.9", True),
    ],
)
async def test_an_allow_list_lets_in_its_networks_only(
    tmp_path: Path, networks: str, address: str, admitted: bool
) -> None:
    world = await World.open(tmp_path)
    await allow(world.context, {"networks": networks})
    keys = Keys(world.context, rate=0)
    if admitted:
        assert (await keys.enter("key-of-shop", address)).id == world.account.id
    else:
        with pytest.raises(CallerError) as refused:
            await keys.enter("key-of-shop", address)
        assert refused.value.reason == "ip_not_allowed"
    await world.close()


async def test_ten_failed_logins_a_minute_and_an_address_waits(tmp_path: Path) -> None:
    """The eleventh wrong key is told to wait. A right one passes, also one that was never seen: others behind
    the same proxy fail for themselves."""
    world = await World.open(tmp_path)
    fresh = (await add_account(world.context, {"name": "second"}))["login_key"]
    keys = Keys(world.context, rate=0)
    reasons = []
    for n in range(FAILED_LOGINS + 2):
        with pytest.raises(CallerError) as refused:
            await keys.enter(f"WRONG{n}", HOME)
        reasons.append(refused.value.reason)
    assert reasons == ["bad_key"] * FAILED_LOGINS + ["failed_logins"] * 2
    with pytest.raises(TooFast) as told:
        await keys.enter(None, HOME)
    assert 0 < told.value.wait_s <= 6
    assert (await keys.enter(fresh, HOME)).name == "second"
    with pytest.raises(TooFast):
        await keys.enter("WRONG", HOME)
    with pytest.raises(CallerError) as elsewhere:
        await keys.enter("WRONG", "192.0.2.1")
    assert elsewhere.value.reason == "bad_key"
    await world.clock.advance(60)
    with pytest.raises(CallerError) as again:
        await keys.enter("WRONG", HOME)
    assert again.value.reason == "bad_key"
    await world.close()


async def test_the_rate_is_that_of_each_key(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    other = (await add_account(world.context, {"name": "second"}))["login_key"]
    keys = Keys(world.context, rate=3)
    for _ in range(BURST):
        await keys.enter("key-of-shop", HOME)
    with pytest.raises(TooFast) as refused:
        await keys.enter("key-of-shop", HOME)
    assert refused.value.reason == "too_fast"
    assert (await keys.enter(other, HOME)).name == "second"
    await world.clock.advance(refused.value.wait_s)
    await keys.enter("key-of-shop", HOME)
    await world.close()


async def test_the_daily_limit_of_an_account(client: Client) -> None:
    await limit(client.service.context, {"daily": "2"})
    data = (await client.call("register", OWNED))["data"]
    assert len(data["accepted"]) == 2
    assert {item["error"]["code"] for item in data["rejected"]} == {-18019907}
    quota = (await client.call("getquota"))["data"]
    assert (quota["today_used"], quota["max_track_daily"]) == (2, 2)


async def test_only_our_own_proxy_is_believed_about_where_a_call_comes_from(start: Starter) -> None:
    """Without the setting the header is the caller's own invention."""
    client = await start()
    await allow(client.service.context, {"networks": "192.0.2.0/24"})
    headers = {"17token": KEY, "X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
    status, _ = await client.raw("/track/v2.2/getquota", headers=headers)
    assert status == 401
    behind = await start(PARCELWIRE_DATA=str(client.service.settings.data / "two"), PARCELWIRE_PROXIES=HOME)
    await allow(behind.service.context, {"networks": "192.0.2.0/24"})
    status, _ = await behind.raw("/track/v2.2/getquota", headers=headers)
    assert status == 200
    forged = {"17token": KEY, "X-Forwarded-For": "192.0.2.7, 198.51.100.1"}
    status, answer = await behind.raw("/track/v2.2/getquota", headers=forged)
    assert (status, answer["code"]) == (401, -18010001)


async def test_a_proxy_that_nobody_named_is_told_once(start: Starter) -> None:
    """Not of every call, not of callers without the header, not of a proxy of ours."""
    told = []
    for n, proxies in enumerate(("", HOME)):
        client = await start(PARCELWIRE_PROXIES=proxies, PARCELWIRE_FIRST_KEY=KEY)
        with capture_logs() as lines:
            for more in ({}, {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "192.0.2.8"}):
                status, _ = await client.raw("/track/v2.2/getquota", headers={"17token": KEY} | more)
                assert status == 200, n
        told.append([line["address"] for line in lines if line["event"] == "unknown_proxy"])
        await client.service.stop()
    assert told == [[HOME], []]


@pytest.mark.parametrize(
    ("verb", "values", "says"),
    [
        (add_account, {"name": "main"}, "already"),
        (add_account, {"name": " "}, "name has"),
        (add_account, {"name": "x", "plan": "gold"}, "a plan is"),
        (add_account, {"name": "x", "networks": "10.0.0.0/99"}, "networks such as"),
        (limit, {"daily": "-1"}, "number of registrations"),
        (suspend, {"account": "nobody"}, "no account"),
    ],
)
async def test_what_the_owner_gets_wrong_is_said(
    client: Client, verb: Any, values: dict[str, str], says: str
) -> None:
    with pytest.raises(OwnerError, match=says):
        await verb(client.service.context, values)


async def test_a_later_start_tells_when_first_settings_change_nothing(start: Starter) -> None:
    """Another first key or plan than the account has is told; the same ones are not."""
    client = await start(PARCELWIRE_FIRST_PLAN="50")
    await client.service.stop()
    told = []
    for key, plan in ((KEY, "50"), ("ANOTHERKEY01", "unlimited")):
        with capture_logs() as lines:
            again = await start(PARCELWIRE_FIRST_KEY=key, PARCELWIRE_FIRST_PLAN=plan)
        told.append([line["name"] for line in lines if line["event"] == "setting_without_effect"])
        await again.service.stop()
    assert told == [[], ["PARCELWIRE_FIRST_KEY", "PARCELWIRE_FIRST_PLAN"]]
