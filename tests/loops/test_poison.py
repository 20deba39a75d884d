"""One number that spoils a call: found by halving, parked alone, and nobody else waits for it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from bench.month import BEGIN, Month, numbers_of

from parcelwire.domain.exchange import Reply, Request
from parcelwire.ports import StandIn

COUNT = 40
NUMBERS = numbers_of(COUNT, ["fedex"])["fedex"]
POISON = NUMBERS[17]
REFUSED = Reply(400, {}, b'{"errors":[{"code":"BAD.REQUEST.ERROR","message":"No."}]}')
SILENT = Reply(200, {"x-fault": "timeout"}, b"")
PAGE = Reply(200, {}, b"<html><body>Something went wrong</body></html>")


@dataclass
class Poisoned:
    """A stand-in that chokes on one number."""

    inner: StandIn
    instead: Reply | None
    slug: str = "fedex"

    def answer(self, request: Request, now: datetime) -> Reply:
        reply = self.inner.answer(request, now)
        return self.instead if self.instead and POISON.encode() in (request.body or b"") else reply


@pytest.fixture
async def month(tmp_path: Path) -> AsyncIterator[Month]:
    made = await Month.open(tmp_path, ["fedex"])
    yield made
    await made.close()


def poison(month: Month, instead: Reply) -> Poisoned:
    door = month.doors["fedex"]
    door.inner = Poisoned(door.inner, instead)
    return door.inner


async def fails(month: Month) -> dict[str, int]:
    return {shipment.number: shipment.fails for shipment in await month.shipments(NUMBERS)}


@pytest.mark.parametrize("instead", [REFUSED, PAGE, SILENT], ids=["400", "page", "timeout"])
async def test_all_others_are_answered_within_minutes(month: Month, instead: Reply) -> None:
    """In a few calls; the one that spoils them is alone in its queue, and its trouble is said."""
    poison(month, instead)
    await month.register({"fedex": NUMBERS})
    await month.live(BEGIN + timedelta(minutes=5))
    shipments = {shipment.number: shipment for shipment in await month.shipments(NUMBERS)}
    assert [s.number for s in shipments.values() if s.answered_at is None] == [POISON]
    assert {s.lane for s in shipments.values()} == {"fedex", "fedex/1"}
    assert (shipments[POISON].lane, shipments[POISON].sub_status) == ("fedex/1", None)
    assert shipments[POISON].trouble
    assert len(month.doors["fedex"].times) <= 24


async def test_the_pauses_of_the_parked_number_grow_and_its_cure_brings_it_home(month: Month) -> None:
    poisoned = poison(month, REFUSED)
    await month.register({"fedex": NUMBERS})
    await month.live(BEGIN + timedelta(hours=20))
    (parked,) = await month.shipments([POISON])
    asked = [
        item.at for item in reversed(await month.store.attempts(parked.id, 99)) if item.lane == "fedex/1"
    ]
    pauses = [later - at for at, later in pairwise(asked)]
    assert len(pauses) >= 3
    assert pauses == sorted(pauses)
    poisoned.instead = None
    await month.live(BEGIN + timedelta(hours=40))
    (cured,) = await month.shipments([POISON])
    assert (cured.lane, cured.fails, cured.trouble) == ("fedex", 0, None)


async def test_a_restart_forgets_nothing(tmp_path: Path, month: Month) -> None:
    """After the start-up's rerouting the number is still alone, and no call with neighbours fails again."""
    poison(month, REFUSED)
    await month.register({"fedex": NUMBERS})
    await month.live(BEGIN + timedelta(minutes=5))
    await month.close()
    again = await Month.reopen(tmp_path, ["fedex"], month.clock.now())
    try:
        poison(again, REFUSED)
        assert await again.store.reroute("fedex", "fedex", again.clock.now()) == 0
        (parked,) = await again.shipments([POISON])
        assert parked.lane == "fedex/1"
        await again.live(BEGIN + timedelta(hours=14))
        for shipment in await again.shipments([n for n in NUMBERS if n != POISON]):
            attempts = await again.store.attempts(shipment.id, 99)
            late = [item.outcome for item in attempts if item.at - BEGIN > timedelta(minutes=5)]
            assert late
            assert set(late) == {"report"}
    finally:
        await again.close()


async def test_an_outage_of_everything_asks_only_now_and_then(month: Month) -> None:
    """The breaker bounds what halving costs while the carrier answers nobody; then all is as before."""
    door = month.doors["fedex"]
    whole: Callable[[Request, datetime], Reply] = door.inner.answer

    @dataclass
    class Down:
        slug: str = "fedex"

        def answer(self, request: Request, now: datetime) -> Reply:
            return whole(request, now) if "oauth" in request.path else PAGE

    up, door.inner = door.inner, Down()
    await month.register({"fedex": NUMBERS})
    await month.live(BEGIN + timedelta(hours=6))
    assert len(door.times) <= 5 + 5 + 6 * 4
    door.inner = up
    await month.live(BEGIN + timedelta(hours=12))
    shipments = await month.shipments(NUMBERS)
    assert {(shipment.lane, shipment.fails) for shipment in shipments} == {("fedex", 0)}
