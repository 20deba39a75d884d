"""An answer that says what is known: nothing is made anew of it, and its words are read once a day."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.service import NOON, World, story

from parcelwire import __version__
from parcelwire.carriers import carriers, fedex
from parcelwire.domain.doubt import Doubt
from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.merge import History
from parcelwire.domain.report import Report
from parcelwire.domain.shipment import Phase, Shipment, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.flows import again
from parcelwire.flows.again import mark_to_tell
from parcelwire.flows.routes import Routes
from parcelwire.ports import Due
from parcelwire.standins.fedex import FedexStandIn

NUMBER, NEIGHBOUR = "700000000011", "700000000022"
HOUR = timedelta(hours=1)


class Talkative(FedexStandIn):
    """Each answer differs from the one before outside of what it says about the numbers."""

    calls = 0

    def answer(self, request: Request, now: datetime) -> Reply:
        self.calls += 1
        reply = super().answer(request, now)
        return replace(reply, body=reply.body.replace(b"0000-4000", b"%04d-4000" % self.calls))


@pytest.fixture
def carrier() -> Talkative:
    return Talkative()


@pytest.fixture
async def world(tmp_path: Path, carrier: Talkative) -> AsyncIterator[World]:
    made = await World.open(tmp_path, routes=Routes({"fedex": carriers()["fedex"]}), sources=[carrier])
    yield made
    await made.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The numbers whose words were read, in their order."""
    numbers: list[str] = []
    report = fedex._report

    def reading(number: str, *more: Any) -> object:
        numbers.append(number)
        return report(number, *more)

    monkeypatch.setattr(fedex, "_report", reading)
    return numbers


def scan(at: datetime, kind: str = "DP") -> dict[str, str]:
    return {"date": at.isoformat(), "eventType": kind, "eventDescription": "Left FedEx origin facility"}


def say(carrier: FedexStandIn, number: str, *scans: dict[str, str]) -> None:
    carrier.load(number, [{"scanEvents": list(scans), "latestStatusDetail": {"code": "IT"}}])


async def register(world: World, *numbers: str) -> None:
    data = (await world.call("register", [{"number": number, "carrier": 100003} for number in numbers]))[
        "data"
    ]
    assert len(data["accepted"]) == len(numbers)


async def refresh(world: World, number: str = NUMBER) -> None:
    """Let time pass until the shipment is due, and one turn."""
    at = (await world.shipment(number)).refresh_at
    assert at is not None
    await world.clock.advance((at - world.clock.now()).total_seconds())
    await world.turn()


async def log(world: World) -> list[str]:
    return [item.text for item in await world.store.attempts((await world.shipment(NUMBER)).id, 100)]


async def test_the_same_words_change_nothing_but_when_they_are_asked_for_next(
    world: World, carrier: Talkative, read: list[str]
) -> None:
    """No change in the feed, no push, the status stays, the next refresh moves on. What the rest of the
    answer says, about a neighbour and about itself, does not matter."""
    say(carrier, NUMBER, scan(NOON - HOUR))
    say(carrier, NEIGHBOUR, scan(NOON - HOUR))
    await register(world, NUMBER, NEIGHBOUR)
    await world.turn()
    before, feed, pushed = await world.shipment(NUMBER), await changes(world), len(world.sink.got)
    shown = await world.shown(NUMBER)
    say(carrier, NEIGHBOUR, scan(NOON), scan(NOON - HOUR))
    await refresh(world)
    after = await world.shipment(NUMBER)
    assert read == [NUMBER, NEIGHBOUR, NEIGHBOUR]
    assert (await changes(world), len(world.sink.got)) == (feed + 1, pushed + 1)  # the neighbour's
    assert story(world.sink.bodies(NUMBER)) == ["InTransit_Other"]
    assert before.refresh_at is not None
    assert after.refresh_at is not None
    assert after.refresh_at - before.refresh_at == 4 * HOUR
    assert after == replace(
        before, asked_at=world.clock.now(), answered_at=world.clock.now(), refresh_at=after.refresh_at
    )
    providers = (await world.shown(NUMBER))["track_info"]["tracking"]["providers"]
    assert providers[0]["latest_sync_time"] == f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    assert providers[0]["events"] == shown["track_info"]["tracking"]["providers"][0]["events"]
    assert "InTransit_Other, 1 events, nothing new" in (await log(world))[0]


async def changes(world: World) -> int:
    return len(await world.store.feed(world.account.id, 0, 100))


async def test_other_words_are_news(world: World, carrier: Talkative, read: list[str]) -> None:
    say(carrier, NUMBER, scan(NOON - HOUR))
    await register(world, NUMBER)
    await world.turn()
    say(carrier, NUMBER, scan(NOON + HOUR, "DL"), scan(NOON - HOUR))
    await refresh(world)
    assert read == [NUMBER, NUMBER]
    assert story(world.sink.bodies(NUMBER)) == ["InTransit_Other", "Delivered_Other"]


async def test_the_same_words_are_read_anew_the_next_day_and_by_the_next_version(
    world: World, carrier: Talkative, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a code that is mapped, or a zone that is known, comes to all shipments."""
    say(carrier, NUMBER, scan(NOON - HOUR))
    await register(world, NUMBER)
    for times in (1, 1, 1, 2, 2):  # at 12, 16 and 20 o'clock, at midnight and at 4
        await world.turn() if not read else await refresh(world)
        assert len(read) == times, world.clock.now()
    monkeypatch.setattr(again, "__version__", "next")
    monkeypatch.setitem(fedex.EVENTS, "DP", replace(fedex.EVENTS["DP"], sub_status=SubStatus.DEPARTURE))
    monkeypatch.setattr(fedex, "_sense", fedex._sense.__wrapped__)  # another process, which remembers nothing
    await refresh(world)
    assert len(read) == 3
    assert story(world.sink.bodies(NUMBER)) == ["InTransit_Other", "InTransit_Departure"]


async def test_a_scan_ahead_of_the_clock_counts_when_its_time_has_come(
    world: World, carrier: Talkative
) -> None:
    """Further ahead than counts, and told in the same words for days."""
    say(carrier, NUMBER, scan(NOON + 50 * HOUR, "DL"), scan(NOON - HOUR))
    await register(world, NUMBER)
    await world.turn()
    for _ in range(5):
        await refresh(world)
    assert story(world.sink.bodies(NUMBER)) == ["InTransit_Other", "Delivered_Other"]


def known(now: datetime, mark: str) -> Due:
    history = History("fedex", now - HOUR, Report(NUMBER, mark=mark))
    shipment = Shipment(
        1, 1, NUMBER, "fedex", 100003, 2, Phase.TRACKING, NOON, sub_status=SubStatus.INFO_RECEIVED, digest="d"
    )
    return Due(shipment, (history,))


async def test_a_mark_is_told_only_where_the_same_answer_would_change_nothing(world: World) -> None:
    """Not in doubt of the carrier, not while a translation is to be paid, and not without something shown."""
    source, now = carriers()["fedex"], world.clock.now()
    due = known(now, f"{__version__} {now.date()} abc")
    assert mark_to_tell(world.context, source, due) == "abc"
    assert mark_to_tell(world.context, source, known(now, "")) is None
    assert mark_to_tell(world.context, carriers()["dhl"], due) is None
    for changes in (
        {"doubt": Doubt()},
        {"wish": Wish(lang="de")},
        {"digest": None},
        {"sub_status": None},
        {"sub_status": SubStatus.EXPIRED},
    ):
        other = replace(due, shipment=replace(due.shipment, **changes))
        assert mark_to_tell(world.context, source, other) is None, changes
    paid = replace(due, shipment=replace(due.shipment, wish=Wish(lang="de", translated=True)))
    assert mark_to_tell(world.context, source, paid) == "abc"
