"""17TRACK as an upstream: who is asked, what it costs, and what is shown."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.service import TOKEN, WatchedClock, World

from parcelwire.carriers import carriers
from parcelwire.domain.account import Account
from parcelwire.domain.merge import extend
from parcelwire.domain.numbers import normalise
from parcelwire.domain.timeline import assemble
from parcelwire.domain.times import settle
from parcelwire.flows.inbound import process
from parcelwire.flows.manage import VERBS
from parcelwire.flows.realtime import real_time
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes, Upstream
from parcelwire.ports import InboxState, StandIn
from parcelwire.standins import stand_ins
from parcelwire.standins.seventeentrack import Key, SeventeenTrackStandIn, track_info
from parcelwire.wire.trackinfo import iso
from parcelwire.wire.upstream import report_of
from parcelwire.zones import zone_of

SLUG = "seventeentrack"
MISSION = {  # the five carriers: a number, the caller's code, the official code
    "usps": ("9405511206213999001010", 21051, 21051),
    "fedex": ("700000000300", 100003, 100003),
    "ups": ("1Z4R2W7E0300001011", 100001, 100002),
    "dhl": ("00340434161094027318", 7041, 7041),
    "china_post": ("LP204500111CN", 3011, 3011),
}
Opener = Callable[..., Awaitable[World]]


def routes(*direct: str, cap: int | None = None, sells_real_time: bool = False) -> Routes:
    """With an upstream, and with the direct sources that are named."""
    sources = {served: carriers()[slug] for slug in direct for served in carriers()[slug].serves}
    return Routes(sources, {}, Upstream(carriers()[SLUG], cap, sells_real_time), "TOKEN_SETTING")


@pytest.fixture
def upstream() -> SeventeenTrackStandIn:
    return SeventeenTrackStandIn(keys={TOKEN: Key()})


@pytest.fixture
async def opened(tmp_path: Path, upstream: SeventeenTrackStandIn) -> AsyncIterator[Opener]:
    """Opens the service on one file, again and again; the upstream outlives it."""
    worlds: list[World] = []

    async def open_world(
        given: Routes | None = None, *direct: StandIn, clock: WatchedClock | None = None
    ) -> World:
        if worlds:
            await worlds.pop().close()
        sources = (upstream, *direct)
        worlds.append(await World.open(tmp_path, routes=given or routes(), sources=sources, clock=clock))
        return worlds[-1]

    yield open_world
    for world in worlds:
        await world.close()


async def signed_up(world: World, account: Account, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = await register(world.context, account, json.dumps(items).encode())
    answer = json.loads(body)["data"]
    assert not answer["rejected"]
    accepted: list[dict[str, Any]] = answer["accepted"]
    return accepted


async def hours(world: World, count: float, step_min: int = 30) -> None:
    """Let time pass, with a turn every half hour."""
    for _ in range(int(count * 60 / step_min)):
        await world.clock.advance(step_min * 60)
        await world.turn()


async def quota_shown(world: World) -> Mapping[str, Any]:
    return await VERBS["upstream"](world.context, {})


async def explained(world: World, number: str) -> Mapping[str, Any]:
    answer = await VERBS["explain"](world.context, {"number": number})
    row: Mapping[str, Any] = answer["shipments"][0]
    return row


def fedex_numbers(count: int) -> list[str]:
    return [f"7000000{index:05d}" for index in range(count)]


async def test_five_carriers_without_any_credential_arrive_and_cost_one_unit_each(
    opened: Opener, upstream: SeventeenTrackStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Callers keep their own codes, the upstream gets official ones, and charges each number once."""
    world = await opened()
    items = [{"number": number, "carrier": code} for number, code, _ in MISSION.values()]
    accepted = await signed_up(world, world.account, items)
    assert [item["carrier"] for item in accepted] == [code for _, code, _ in MISSION.values()]
    await world.turn()
    await hours(world, 24 * 6)
    for number, code, _ in MISSION.values():
        shown = await world.shown(number)
        assert shown["carrier"] == code
        assert shown["track_info"]["latest_status"]["status"] == "Delivered"
        (provider,) = shown["track_info"]["tracking"]["providers"]
        assert provider["provider"]["key"] == code
        assert len(provider["events"]) == 7
    assert upstream.charges() == {number: 1 for number, _, _ in MISSION.values()}
    registered = {number for token, number, official in upstream._registered if token == TOKEN}
    assert registered == {number for number, _, _ in MISSION.values()}
    assert {official for _, _, official in upstream._registered} == {row[2] for row in MISSION.values()}
    answer = await quota_shown(world)
    assert answer["spent"]["total"] == upstream.keys[TOKEN].used == 5  # type: ignore[index]
    with capsys.disabled():
        print(f"\n  upstream ledger: {dict(upstream.charges())}; ours: {answer['spent']}")
        print(f"  calls: {dict(upstream.calls)}, busiest second {upstream.gate.busiest}")


async def test_what_we_answer_reads_as_what_we_know(opened: Opener) -> None:
    """Our own track_info, taken for an upstream's, gives the same status, milestones and legs again."""
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    for _ in range(12):
        await hours(world, 8)
        ours = (await world.shown(number))["track_info"]
        now = world.clock.now()
        report = settle(report_of(number, 100003, ours), zone_of, now)
        line = assemble(extend([], SLUG, report, now), now)
        assert line.sub_status.value == ours["latest_status"]["sub_status"]
        told = {row["key_stage"]: row["time_iso"] for row in ours["milestone"] if row["time_iso"]}
        assert {stage.value: iso(moment) for stage, moment in line.milestones.items()} == told
        assert [len(leg.scans) for leg in line.legs] == [
            len(provider["events"]) for provider in ours["tracking"]["providers"]
        ]


async def test_three_accounts_with_the_same_forty_numbers_buy_each_once(
    opened: Opener, upstream: SeventeenTrackStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """However the accounts come, and over a restart and a deletion of the service's memory of time."""
    world = await opened()
    numbers = fedex_numbers(40)
    items = [{"number": number, "carrier": 100003} for number in numbers]
    second, third = await world.open_account("two"), await world.open_account("three")
    await signed_up(world, world.account, items)
    await signed_up(world, second, items)
    await world.turn()
    world = await opened(clock=world.clock)
    await signed_up(world, third, items)
    await world.turn()
    await hours(world, 24 * 5)
    assert sum(upstream.charges().values()) == 40
    assert set(upstream.charges().values()) == {1}
    for account in (world.account, second, third):
        shown = await world.shown(numbers[17], account)
        assert shown["track_info"]["latest_status"]["status"] == "Delivered"
    answer = await quota_shown(world)
    assert answer["spent"] == {
        "registrations": 40, "registrations_begun": 0, "real_time": 0, "total": 40, "left": None,
    }  # fmt: skip
    assert answer["saved"]["registrations"] == 80
    with capsys.disabled():
        print(f"\n  3 accounts x 40: charged {sum(upstream.charges().values())}, {answer['saved']}")
        print(f"  calls: {dict(upstream.calls)}, busiest second {upstream.gate.busiest}")


async def test_what_another_account_was_told_is_not_asked_again(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    await hours(world, 2)
    calls = upstream.calls.total()
    other = await world.open_account("two")
    await signed_up(world, other, [{"number": number, "carrier": 100003}])
    await world.turn()
    assert upstream.calls.total() == calls
    mine, theirs = await world.shown(number), await world.shown(number, other)
    assert mine["track_info"]["tracking"]["providers"] == theirs["track_info"]["tracking"]["providers"]
    assert (await quota_shown(world))["saved"] == {"registrations": 1, "questions": 1}


async def test_nothing_is_bought_above_the_cap_and_the_shipment_says_so(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened(routes(cap=3))
    items = [{"number": number, "carrier": 100003} for number in fedex_numbers(10)]
    await signed_up(world, world.account, items)
    await world.turn()
    await hours(world, 48)
    assert sum(upstream.charges().values()) == 3
    waiting = await world.shipment(fedex_numbers(10)[-1])
    assert waiting.trouble is not None
    assert waiting.trouble.startswith("quota_spent: the limit of 3 units a month")
    assert (await quota_shown(world))["spent"]["left"] == 0
    await hours(world, 24 * 28)  # March becomes April
    assert sum(upstream.charges().values()) == 6


async def test_quota_used_up_at_the_upstream_is_its_own_outcome(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """And nothing is counted as bought; when there is quota again the number is registered."""
    assert upstream.keys is not None
    upstream.keys[TOKEN] = Key(quota=0)
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    row = await explained(world, number)
    assert row["refreshes"][0]["outcome"] == "quota_spent"
    assert (await quota_shown(world))["spent"]["total"] == 0
    upstream.keys[TOKEN] = Key(quota=1)
    await hours(world, 24)
    assert (await quota_shown(world))["spent"]["total"] == 1
    assert (await world.shown(number))["track_info"]["tracking"]["providers"]


async def test_a_broken_answer_to_a_registration_never_buys_twice(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """The upstream took the number and its answer was lost: "already registered" is a success."""
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    upstream.lost = 1
    await world.turn()
    assert (await quota_shown(world))["spent"]["registrations_begun"] == 1
    await hours(world, 24)
    assert upstream.charges() == {number: 1}
    assert (await quota_shown(world))["spent"]["total"] == 1
    assert (await world.shown(number))["track_info"]["tracking"]["providers"]


async def test_nothing_is_ever_deleted_or_stopped_at_the_upstream(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """Whatever happens to a number, only these calls are made."""
    world = await opened(routes(sells_real_time=True))
    upstream.unknown.add("700000000900")
    items = [{"number": number, "carrier": 100003} for number in ("700000000900", *fedex_numbers(3))]
    await signed_up(world, world.account, items)
    await world.turn()
    await hours(world, 24 * 20)
    await instant(world, "700000000777", 100003)
    assert set(upstream.calls) <= {"register", "gettrackinfo", "getrealtimetrackinfo"}


async def test_a_registration_that_is_gone_is_bought_anew_only_after_the_upstream_said_so(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    await hours(world, 3)
    for charged in (1, 2, 3):  # whoever deletes it in the dashboard: a day passes between two registrations
        upstream._registered.clear()
        await hours(world, 19)
        assert upstream.charges()[number] <= charged
    await hours(world, 12)
    assert upstream.charges()[number] in (2, 3)
    assert (await world.shown(number))["track_info"]["tracking"]["providers"]


async def test_a_corrected_carrier_is_found_and_shown_as_what_it_is(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    number = "LP204500111CN"
    upstream.corrected[number] = 3013
    await signed_up(world, world.account, [{"number": number, "carrier": 3011}])
    await world.turn()
    await hours(world, 12)
    shown = await world.shown(number)
    assert shown["carrier"] == 3011
    (provider,) = shown["track_info"]["tracking"]["providers"]
    assert (provider["provider"]["key"], provider["provider"]["name"]) == (3013, "China EMS")


async def test_a_carrier_in_no_code_book_is_taken_when_there_is_an_upstream(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """It is shown with the caller's code, and nobody asks about it but 17TRACK."""
    world = await opened()
    await signed_up(world, world.account, [{"number": "ZZTOP123456", "carrier": 190999}])
    await world.turn()
    await hours(world, 4)
    shown = await world.shown("ZZTOP123456")
    (provider,) = shown["track_info"]["tracking"]["providers"]
    assert shown["carrier"] == provider["provider"]["key"] == 190999
    assert provider["provider"]["name"] == "Carrier 190999"


async def test_a_carrier_that_the_upstream_does_not_take_costs_nothing_and_says_why(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    upstream.no_carriers.add(190999)
    await signed_up(world, world.account, [{"number": "ZZTOP123456", "carrier": 190999}])
    await world.turn()
    assert ((await world.shipment("ZZTOP123456")).trouble or "").startswith("not_taken: 17TRACK -18019910")
    assert (await quota_shown(world))["spent"]["total"] == 0


# --- who is asked -----------------------------------------------------------------------------------------


def made(slug: str) -> Any:
    return stand_ins()[slug]()


async def test_the_own_credential_comes_first_and_the_upstream_costs_nothing(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened(routes("fedex"), made("fedex"))
    await signed_up(world, world.account, [{"number": "700000000300", "carrier": 100003}])
    await world.turn()
    row = await explained(world, "700000000300")
    assert (row["source"], row["lane"]) == ("fedex", "fedex")
    assert row["source_why"] == "the carrier itself, with your credential"
    assert not upstream.calls


async def test_a_source_that_does_not_know_a_number_for_days_is_given_up_once(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """After three days, for good, over a restart, and for all accounts at one unit."""
    fedex = made("fedex")
    fedex.unknown.add("700000000300")
    world = await opened(routes("fedex"), fedex)
    await signed_up(world, world.account, [{"number": "700000000300", "carrier": 100003}])
    await world.turn()
    await hours(world, 70)
    assert not upstream.calls
    await hours(world, 24)
    assert upstream.charges() == {"700000000300": 1}
    world = await opened(routes("fedex"), fedex, clock=world.clock)
    await hours(world, 24)
    row = await explained(world, "700000000300")
    assert row["source"] == SLUG
    assert row["source_why"] == "17TRACK upstream: fedex did not know the number for 3 days"
    assert any("from now on seventeentrack" in refresh["why"] for refresh in row["refreshes"])
    assert upstream.charges() == {"700000000300": 1}
    assert (await world.shown("700000000300"))["track_info"]["tracking"]["providers"]


async def test_usps_parcels_of_others_go_to_the_upstream_after_half_a_day(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    usps = made("usps")
    number = MISSION["usps"][0]
    usps.unknown.add(number)
    world = await opened(routes("usps"), usps)
    await signed_up(world, world.account, [{"number": number, "carrier": 21051}])
    await world.turn()
    await hours(world, 10)
    assert not upstream.calls
    await hours(world, 24)
    assert upstream.charges() == {number: 1}


async def test_the_destination_post_is_asked_about_an_s10_number_before_the_upstream(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened(routes("royal_mail"), made("royal_mail"))
    item = {"number": "LP204500111CN", "carrier": 3011, "param": "GB-SW1A1AA"}
    await signed_up(world, world.account, [item])
    await world.turn()
    row = await explained(world, "LP204500111CN")
    assert (row["source"], row["source_why"]) == (
        "royal_mail", "the post of the destination, with your credential",
    )  # fmt: skip
    assert not upstream.calls


async def test_without_any_source_the_settings_are_named(opened: Opener) -> None:
    world = await opened(Routes({}, {"fedex": ("A_SECRET",)}, None, "TOKEN_SETTING"))
    await signed_up(world, world.account, [{"number": "700000000300", "carrier": 100003}])
    await world.turn()
    row = await explained(world, "700000000300")
    assert row["source"] is None
    assert row["trouble"] == "no source for carrier fedex: set A_SECRET, or TOKEN_SETTING (17TRACK)"
    refused = await instant(world, "700000000301", 100003)
    assert refused["error"]["code"] == -18019818


async def test_a_token_that_comes_later_is_used_for_what_waits(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened(Routes({}, {"fedex": ("A_SECRET",)}, None, "TOKEN_SETTING"))
    await signed_up(world, world.account, [{"number": "700000000300", "carrier": 100003}])
    await world.turn()
    world = await opened(routes(), clock=world.clock)
    await hours(world, 30)
    assert upstream.charges() == {"700000000300": 1}
    assert (await explained(world, "700000000300"))["lane"] == SLUG


async def test_the_sandbox_never_goes_to_the_upstream() -> None:
    assert routes().route("sandbox", "SANDBOX404").source is None


# --- real time --------------------------------------------------------------------------------------------


async def instant(world: World, number: str, code: int) -> dict[str, Any]:
    body = json.dumps([{"number": number, "carrier": code, "cacheLevel": 1}]).encode()
    answer = await world.passing(real_time(world.context, world.account, body))
    data = json.loads(answer)["data"]
    (item,) = data["accepted"] or data["rejected"]
    found: dict[str, Any] = item
    return found


async def test_real_time_is_bought_only_where_it_is_sold(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """FedEx at ten units; USPS is not sold, so that it is registered like any other number."""
    assert upstream.keys is not None
    upstream.keys[TOKEN] = Key(real_time=True)
    world = await opened(routes(sells_real_time=True))
    fedex = await instant(world, "700000000300", 100003)
    assert fedex["track_info"]["tracking"]["providers"]
    assert upstream.charges() == {"700000000300": 10}
    usps = await instant(world, MISSION["usps"][0], 21051)
    assert (
        usps["error"]["code"] == -18019909
    )  # registered, and nothing there yet: it costs the caller nothing
    assert upstream.charges() == {"700000000300": 10, MISSION["usps"][0]: 1}
    assert (await quota_shown(world))["spent"]["total"] == 11


async def test_an_account_without_real_time_is_asked_the_ordinary_way(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened(routes(sells_real_time=True))
    await instant(world, "700000000300", 100003)
    assert upstream.charges() == {"700000000300": 1}
    await world.clock.advance(300)
    item = await instant(world, "700000000300", 100003)
    assert item["track_info"]["tracking"]["providers"]
    assert (await quota_shown(world))["spent"] == {
        "registrations": 1, "registrations_begun": 0, "real_time": 0, "total": 1, "left": None,
    }  # fmt: skip


async def test_without_the_setting_no_real_time_answer_is_bought(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    assert upstream.keys is not None
    upstream.keys[TOKEN] = Key(real_time=True)
    world = await opened()
    await instant(world, "700000000300", 100003)
    assert upstream.calls["getrealtimetrackinfo"] == 0


# --- pushes to us, and several sources --------------------------------------------------------------------


async def kept(world: World, body: bytes) -> InboxState:
    """What becomes of one verified push."""
    assert await world.store.keep_inbound(SLUG, body, world.clock.now())
    now = world.clock.now()
    (inbound,) = await world.store.claim_inbound(10, now, now + timedelta(minutes=1))
    return (await process(world.context, inbound)).state


async def test_a_push_changes_the_shipments_of_all_accounts_without_a_question(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    number = fedex_numbers(1)[0]
    other = await world.open_account("two")
    for account in (world.account, other):
        await signed_up(world, account, [{"number": number, "carrier": 100003}])
    await world.turn()
    await hours(world, 1)
    calls = upstream.calls.total()
    await world.clock.advance(5 * 86_400)
    assert await kept(world, upstream.push(TOKEN, number, 100003, world.clock.now())) is InboxState.DONE
    for account in (world.account, other):
        shown = await world.shown(number, account)
        assert shown["track_info"]["latest_status"]["status"] == "Delivered"
    assert upstream.calls.total() == calls


async def test_a_push_that_comes_late_takes_nothing_back(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    await hours(world, 6)
    late = upstream.push(TOKEN, number, 100003, world.clock.now())
    await hours(world, 24 * 5)
    before = await world.shown(number)
    assert before["track_info"]["latest_status"]["status"] == "Delivered"
    assert await kept(world, late) is InboxState.DONE
    after = await world.shown(number)
    assert after["track_info"]["latest_status"] == before["track_info"]["latest_status"]
    assert (
        after["track_info"]["tracking"]["providers_hash"]
        == (before["track_info"]["tracking"]["providers_hash"])
    )


async def test_pushes_about_strangers_and_unreadable_ones_are_counted(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    strange = upstream.push(TOKEN, "700000000999", 100003, world.clock.now())
    assert await kept(world, strange) is InboxState.UNKNOWN
    assert await kept(world, b'{"event":"TRACKING_UPDATED","data":7}') is InboxState.PARKED
    assert await kept(world, b"not JSON") is InboxState.PARKED
    assert (await quota_shown(world))["pushes"] == {"waiting": 0, "done": 0, "unknown": 1, "parked": 2}
    assert await world.store.keep_inbound(SLUG, strange, world.clock.now()) is False


async def test_stopped_at_the_upstream_is_shown_and_the_shipment_goes_on(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    world = await opened()
    number = fedex_numbers(1)[0]
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    data = {"number": number, "carrier": 100003, "param": None, "tag": None}
    stopped = json.dumps({"event": "TRACKING_STOPPED", "data": data}).encode()
    assert await kept(world, stopped) is InboxState.DONE
    row = await explained(world, number)
    assert row["upstream_stopped"] is not None
    assert row["phase"] == "tracking"


async def test_two_sources_of_one_parcel_are_shown_side_by_side_the_newest_first(
    opened: Opener, upstream: SeventeenTrackStandIn
) -> None:
    """FedEx tells its part directly; 17TRACK pushes what USPS did on the last mile."""
    world = await opened(routes("fedex"), made("fedex"))
    number = "700000000300"
    await signed_up(world, world.account, [{"number": number, "carrier": 100003}])
    await world.turn()
    await world.clock.advance(3600)
    later = world.clock.now()
    info = track_info(number, 21051, [], later)
    at = later.strftime("%Y-%m-%dT%H:%M:%SZ")
    info["latest_status"] = {"status": "OutForDelivery", "sub_status": "OutForDelivery_Other"}
    info["tracking"]["providers"] = [  # type: ignore[index]
        {
            "provider": {"key": 21051, "name": "USPS"},
            "latest_sync_time": at,
            "events": [{"time_utc": at, "description": "Out", "sub_status": "OutForDelivery_Other"}],
        }
    ]
    data = {"number": number, "carrier": 100003, "track_info": info}
    assert (
        await kept(world, json.dumps({"event": "TRACKING_UPDATED", "data": data}).encode()) is InboxState.DONE
    )
    shown = (await world.shown(number))["track_info"]
    assert [leg["provider"]["key"] for leg in shown["tracking"]["providers"]] == [21051, 100003]
    assert shown["latest_status"]["sub_status"] == "OutForDelivery_Other"


def test_the_numbers_of_this_file_are_ones_that_a_caller_can_register() -> None:
    """Else the tests above would prove nothing about real registrations."""
    assert all(normalise(number) for number, _, _ in MISSION.values())
