"""The service learns which carrier a number was of, and finds the carrier of a guess."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.service import NOON, World

from parcelwire.carriers import carriers
from parcelwire.domain.account import Account
from parcelwire.domain.detect import detect
from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.lane import Lane
from parcelwire.flows.manage import VERBS
from parcelwire.flows.realtime import real_time
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes, Upstream
from parcelwire.ports import StandIn
from parcelwire.standins.dhl import DhlStandIn
from parcelwire.standins.gls import GlsStandIn
from parcelwire.standins.seventeentrack import Key, SeventeenTrackStandIn
from parcelwire.standins.ups import UpsStandIn
from parcelwire.wire.directory import BOOK_REFERENCE, code_of

GLS, PARCEL_PL, UPS, SF = (
    code_of(slug, BOOK_REFERENCE) for slug in ("gls", "dhl_parcel_pl", "ups", "sf_express")
)
# Eleven digits: GLS, which is only more common, or DHL Parcel Poland. Twelve: SF Express, or UPS.
ELEVEN = [
    number
    for number in (f"4100000{index:04d}" for index in range(100))
    if [candidate.carrier for candidate in detect(number)][:2] == ["gls", "dhl_parcel_pl"]
]
TWELVE = [f"7000000010{index:02d}" for index in range(2)]
Opener = Callable[..., Awaitable[World]]


class CountedDhl(DhlStandIn):
    """DHL, which knows the numbers it was given, and when it was asked about which."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, datetime]] = []
        self.unknown |= set(ELEVEN)

    def deliver(self, number: str, at: datetime) -> None:
        """A parcel of DHL Parcel Poland that was delivered."""
        event = {"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", "statusCode": "delivered", "status": "delivered"}
        self.load(number, [{"id": number, "service": "parcel-pl", "status": event, "events": [event]}])

    def answer(self, request: Request, now: datetime) -> Reply:
        self.asked.append((request.query.get("trackingNumber", ""), now))
        return super().answer(request, now)


def direct(*slugs: str, upstream: bool = False) -> Routes:
    sources = {served: carriers()[slug] for slug in slugs for served in carriers()[slug].serves}
    return Routes(sources, {}, Upstream(carriers()["seventeentrack"]) if upstream else None)


@pytest.fixture
def gls() -> GlsStandIn:
    """Knows none of the numbers."""
    stand_in = GlsStandIn()
    stand_in.unknown |= set(ELEVEN)
    return stand_in


@pytest.fixture
def dhl() -> CountedDhl:
    return CountedDhl()


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    worlds: list[World] = []

    async def open_world(*sources: StandIn, routes: Routes | None = None) -> World:
        given = routes or direct(*(source.slug for source in sources))
        worlds.append(await World.open(tmp_path, routes=given, sources=sources))
        return worlds[-1]

    yield open_world
    for world in worlds:
        await world.close()


async def hours(world: World, count: float) -> None:
    for _ in range(int(count * 2)):
        await world.turn()
        await world.clock.advance(1800)
    await world.turn()


async def first_code(world: World, number: str, account: Account | None = None, **more: Any) -> int:
    """The carrier that a registration is answered with."""
    body = json.dumps([{"number": number, **more}]).encode()
    answer = json.loads(await register(world.context, account or world.account, body))
    (accepted,) = answer["data"]["accepted"]
    code: int = accepted["carrier"]
    return code


async def explained(world: World, number: str) -> Mapping[str, Any]:
    (row,) = (await VERBS["explain"](world.context, {"number": number}))["shipments"]
    found: Mapping[str, Any] = row
    return found


async def test_a_wrong_guess_is_corrected_told_and_learned(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """GLS does not know it five times, DHL is asked once and does; the next such number is DHL's at once."""
    world = await opened(gls, dhl)
    dhl.deliver(ELEVEN[0], NOON)
    assert await first_code(world, ELEVEN[0]) == GLS
    assert (await world.shipment(ELEVEN[0])).origin == 3
    await hours(world, 8)
    assert not dhl.asked
    assert (await explained(world, ELEVEN[0]))["carrier_doubt"] == "unknown 4 times"
    await hours(world, 2)
    assert [number for number, _ in dhl.asked] == [ELEVEN[0]]
    shipment = await world.shipment(ELEVEN[0])
    assert (shipment.carrier, shipment.code, shipment.origin) == ("dhl_parcel_pl", PARCEL_PL, 1)
    assert (shipment.lane, shipment.doubt) == ("dhl", None)
    pushed = [
        (body["data"]["carrier"], body["data"]["track_info"]["latest_status"]["status"])
        for body in world.sink.bodies(ELEVEN[0])
    ]
    assert pushed == [(GLS, "NotFound"), (PARCEL_PL, "Delivered")]
    assert (await world.shown(ELEVEN[0]))["carrier"] == PARCEL_PL
    story = await explained(world, ELEVEN[0])
    assert story["carrier_is"] == "detected"
    assert story["refreshes"][0]["why"].startswith("it is of dhl_parcel_pl, not of gls: Delivered")
    assert "it may be of dhl_parcel_pl" in story["refreshes"][1]["why"]
    assert await world.store.learned(world.account.id) == {"d11": {"dhl_parcel_pl": 1}}
    assert await first_code(world, ELEVEN[1]) == PARCEL_PL


async def test_what_one_account_learns_is_not_told_to_another(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    world = await opened(gls, dhl)
    other = await world.open_account("other")
    dhl.deliver(ELEVEN[0], NOON)
    await first_code(world, ELEVEN[0])
    await hours(world, 10)
    assert await first_code(world, ELEVEN[1], other) == GLS
    assert await world.store.learned(other.id) == {}


async def test_who_knows_nothing_is_asked_once_and_the_first_carrier_stays(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """After a fruitless search GLS is asked as before, and is right in the end."""
    world = await opened(gls, dhl)
    await first_code(world, ELEVEN[0])
    await hours(world, 72)
    assert [number for number, _ in dhl.asked] == [ELEVEN[0]]
    shipment = await world.shipment(ELEVEN[0])
    assert (shipment.carrier, shipment.origin, shipment.lane) == ("gls", 3, "gls")
    assert shipment.doubt is not None
    assert set(shipment.doubt.tried) == {"dhl_parcel_pl", "gls_de"}
    assert len(world.sink.bodies(ELEVEN[0])) == 1, "only that it was not found"
    gls.unknown.clear()
    await hours(world, 24)
    shipment = await world.shipment(ELEVEN[0])
    assert (shipment.carrier, shipment.code, shipment.doubt) == ("gls", GLS, None)
    assert await world.store.learned(world.account.id) == {"d11": {"gls": 1}}


async def test_a_carrier_that_was_given_is_never_searched_for(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    world = await opened(gls, dhl)
    dhl.deliver(ELEVEN[0], NOON)
    assert await first_code(world, ELEVEN[0], carrier=GLS) == GLS
    await hours(world, 72)
    assert not dhl.asked
    assert (await world.shipment(ELEVEN[0])).carrier == "gls"


async def test_a_guess_that_nobody_can_be_asked_about_goes_to_who_can(opened: Opener) -> None:
    """SF Express is likelier but there is no way to ask it: UPS is, after a day."""
    world = await opened(UpsStandIn())
    assert await first_code(world, TWELVE[0]) == SF
    await hours(world, 26)
    shipment = await world.shipment(TWELVE[0])
    assert (shipment.carrier, shipment.code, shipment.lane) == ("ups", UPS, "ups")
    assert await first_code(world, TWELVE[1]) == UPS


async def test_a_number_that_cannot_be_the_first_carriers_is_looked_for_at_once(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """DHL refuses it as no number of its own: GLS, which may have it too, is asked in the same minute."""
    number = "55371235426"
    world = await opened(gls, dhl)
    assert await first_code(world, number) == code_of("dhl_express", BOOK_REFERENCE)
    problem = {"status": 400, "title": "Invalid input", "detail": "The tracking number is not valid."}
    dhl.next_replies.append(Reply(400, {}, json.dumps(problem).encode()))
    for _ in range(3):
        await world.turn()
        await world.clock.advance(20)
    assert (await world.shipment(number)).carrier == "gls"


async def test_a_search_that_has_begun_goes_on_without_a_pause(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """DHL and then GLS Germany are asked in the same minute."""
    world = await opened(gls, dhl)
    await first_code(world, ELEVEN[0])
    await hours(world, 9)
    for _ in range(3):
        await world.clock.advance(20)
        await world.turn()
    shipment = await world.shipment(ELEVEN[0])
    assert shipment.doubt is not None
    assert shipment.doubt.tried == ("dhl_parcel_pl", "gls_de")


async def test_a_search_takes_no_more_than_the_lane_allows(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """Twenty guesses at once: DHL is asked about one a second, and about each once."""
    world = await opened(gls, dhl)
    for number in ELEVEN[:20]:
        await first_code(world, number)
    await hours(world, 9)
    for _ in range(60):
        await world.clock.advance(0.5)
        await world.turn()
    assert sorted(number for number, _ in dhl.asked) == sorted(ELEVEN[:20])
    gaps = [later - at for (_, at), (_, later) in pairwise(dhl.asked)]
    assert min(gaps) >= timedelta(seconds=1)


async def test_a_lane_without_budget_is_asked_when_it_has_some_again(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """What is reserved for real-time questions is not used up either; GLS is asked in the meantime."""
    world = await opened(gls, dhl)
    dhl.deliver(ELEVEN[0], NOON)
    await first_code(world, ELEVEN[0])
    await world.store.save_lane(Lane("dhl", 1, day=NOON.date(), used=200), 0)
    await hours(world, 11.5)
    assert not dhl.asked
    shipment = await world.shipment(ELEVEN[0])
    assert (shipment.lane, shipment.doubt and shipment.doubt.tried) == ("gls", ("gls_de",))
    await hours(world, 12)
    assert (await world.shipment(ELEVEN[0])).carrier == "dhl_parcel_pl"


async def test_an_outage_of_a_candidate_does_not_use_up_its_turn(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    world = await opened(gls, dhl)
    dhl.deliver(ELEVEN[0], NOON)
    dhl.next_replies.append(Reply(503, {}, b""))
    await first_code(world, ELEVEN[0])
    await hours(world, 10)
    assert (await world.shipment(ELEVEN[0])).carrier == "gls"
    await hours(world, 12)
    assert (await world.shipment(ELEVEN[0])).carrier == "dhl_parcel_pl"


async def test_a_number_that_is_registered_twice_stays_two_registrations(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """The candidate is another registration of the same account already: the guess is left alone."""
    world = await opened(gls, dhl)
    dhl.deliver(ELEVEN[0], NOON)
    await first_code(world, ELEVEN[0])
    await first_code(world, ELEVEN[0], carrier=PARCEL_PL)
    await hours(world, 48)
    found = await world.store.find(world.account.id, [ELEVEN[0]])
    assert [shipment.carrier for shipment, _ in found] == ["gls", "dhl_parcel_pl"]


async def test_a_registration_made_during_the_search_wins(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """The owner registers the right carrier between the question and its answer."""
    world = await opened(gls, dhl)
    dhl.deliver(ELEVEN[0], NOON)
    await first_code(world, ELEVEN[0])
    while (await world.shipment(ELEVEN[0])).lane != "dhl":
        await world.refresher.tick()
        if (await world.shipment(ELEVEN[0])).lane != "dhl":
            await world.clock.advance(1800)
    await first_code(world, ELEVEN[0], carrier=PARCEL_PL)
    await hours(world, 24)
    found = await world.store.find(world.account.id, [ELEVEN[0]])
    assert [(row.carrier, row.lane) for row, _ in found] == [("gls", "gls"), ("dhl_parcel_pl", "dhl")]


async def test_nothing_is_bought_for_a_search(opened: Opener, gls: GlsStandIn) -> None:
    """17TRACK could be asked about every candidate, but each question would cost: only GLS goes there."""
    upstream = SeventeenTrackStandIn(keys={"token-of-the-test": Key()})
    upstream.unknown |= set(ELEVEN)
    world = await opened(gls, upstream, routes=direct("gls", upstream=True))
    await first_code(world, ELEVEN[0])
    await hours(world, 24 * 5)
    assert upstream.charges() == {ELEVEN[0]: 1}
    assert {row[2] for row in upstream._registered} == {GLS}


async def test_what_turned_out_is_counted_once_and_not_the_attempts(opened: Opener, dhl: CountedDhl) -> None:
    """Given or detected, by real time or by schedule: one shipment counts one."""
    world = await opened(dhl)
    for index in (0, 1):
        dhl.deliver(ELEVEN[index], NOON)
    await first_code(world, ELEVEN[0], carrier=PARCEL_PL)
    await first_code(world, ELEVEN[2], carrier=PARCEL_PL)
    items = json.dumps([{"number": ELEVEN[1], "carrier": PARCEL_PL, "cacheLevel": 1}]).encode()
    for _ in range(2):
        await world.passing(real_time(world.context, world.account, items))
        await hours(world, 30)
    assert await world.store.learned(world.account.id) == {"d11": {"dhl_parcel_pl": 2}}


async def test_a_change_of_carrier_counts_for_the_new_one(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    """And no longer for the old one, whose events were about somebody else's parcel."""
    world = await opened(gls, dhl)
    gls.unknown.clear()
    dhl.deliver(ELEVEN[0], NOON)
    await first_code(world, ELEVEN[0])
    await world.turn()
    assert await world.store.learned(world.account.id) == {"d11": {"gls": 1}}
    item = {"number": ELEVEN[0], "carrier_old": GLS, "carrier_new": PARCEL_PL}
    await world.call("changecarrier", [item])
    assert await world.store.learned(world.account.id) == {"d11": {"dhl_parcel_pl": 1}}
    assert await first_code(world, ELEVEN[1]) == PARCEL_PL
    await hours(world, 4)
    assert (await world.store.learned(world.account.id))["d11"]["dhl_parcel_pl"] == 1


async def test_where_a_parcel_goes_decides_between_companies(opened: Opener) -> None:
    """The same eleven digits: in Poland it is DHL's, and so says a param that names a place there."""
    world = await opened()
    assert await first_code(world, ELEVEN[0]) == GLS
    assert await first_code(world, ELEVEN[1], param="PL-00950") == PARCEL_PL
    assert await first_code(world, ELEVEN[2], destination_country="pl") == PARCEL_PL
    assert await first_code(world, ELEVEN[3], param="PL") == GLS, "that may mean anything"


async def test_what_was_learned_does_not_overrule_a_code_that_was_given(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl
) -> None:
    world = await opened(gls, dhl)
    for index in range(25):
        dhl.deliver(ELEVEN[index], NOON)
        await first_code(world, ELEVEN[index], carrier=PARCEL_PL)
    await hours(world, 13)
    assert (await world.store.learned(world.account.id))["d11"] == {"dhl_parcel_pl": 25}
    assert await first_code(world, ELEVEN[30]) == PARCEL_PL
    assert (await world.shipment(ELEVEN[30])).origin == 1, "all of 25: that is sure"
    assert await first_code(world, ELEVEN[31], carrier=GLS) == GLS


async def test_new_routes_end_a_search_without_harm(
    opened: Opener, gls: GlsStandIn, dhl: CountedDhl, tmp_path: Path
) -> None:
    """The candidate's credential goes away while it is asked: the shipment finds its way back by itself."""
    world = await opened(gls, dhl)
    await first_code(world, ELEVEN[0])
    while (await world.shipment(ELEVEN[0])).lane != "dhl":
        await world.refresher.tick()
        if (await world.shipment(ELEVEN[0])).lane != "dhl":
            await world.clock.advance(1800)
    world.context = replace(world.context, routes=direct("gls"))
    world.refresher._context = world.context
    gls.unknown.clear()
    await hours(world, 30)
    shipment = await world.shipment(ELEVEN[0])
    assert (shipment.carrier, shipment.lane, shipment.doubt) == ("gls", "gls", None)
