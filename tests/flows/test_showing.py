"""A read sends what is stored, byte for byte, whether it was at hand or had to be made."""

import json
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.service import World

from parcelwire.domain.shipment import Shipment
from parcelwire.flows.read import track_info
from parcelwire.flows.shelf import Shelf, item_for
from parcelwire.ports import Document, Shown
from parcelwire.store.sqlite import SqliteStore
from parcelwire.wire.texts import translated
from parcelwire.wire.v22 import Tracked, Tracked24
from parcelwire.wire.versions import V2_2, V2_4, VERSIONS, Version

NUMBER = "SANDBOXJOURNEY1"
NUMBERS = [NUMBER, "SANDBOXDELIVERED2", "SANDBOXEXCEPTION3", "SANDBOXNOTFOUND4", "SANDBOXJOURNEY5"]
LANGUAGES = [None, "de", "fr", "xx"]


def by_hand(shipment: Shipment, document: Document, now: datetime, version: Version) -> bytes:
    """An accepted item the plain way, from the whole shipment."""
    sub_status, marks = shipment.sub_status, shipment.marks
    assert sub_status is not None

    def days(start: datetime | None, end: datetime) -> int:
        return max(0, (end.date() - start.date()).days) if start else 0

    end, asked_at = marks.done or now, shipment.asked_at or now
    metrics = {
        "days_after_order": days(marks.first, end),
        "days_of_transit": days(marks.transit, end),
        "days_of_transit_done": days(marks.transit, marks.done) if marks.done else 0,
        "days_after_last_update": days(marks.newest, now),
        "estimated_delivery_date": json.loads(document.estimate),
    }
    status = {
        "status": sub_status.status.value, "sub_status": sub_status.value, "sub_status_descr": shipment.descr,
    }  # fmt: skip
    filled: dict[bytes, object] = {b"\x01": metrics, b"\x02": status}
    for leg in range(9):  # at most
        filled[bytes([14 + 2 * leg])] = "Failure" if shipment.trouble else "Success"
        filled[bytes([15 + 2 * leg])] = f"{asked_at:%Y-%m-%dT%H:%M:%SZ}"
    made = document.template
    for mark, value in filled.items():
        made = made.replace(mark, msgspec.json.encode(value))
    wish = shipment.wish
    raw = msgspec.Raw(version.shape(translated(made, wish.lang) if wish.translated else made))
    if not version.more:
        return msgspec.json.encode(Tracked(shipment.number, shipment.code, wish.param, wish.tag, raw))
    more: dict[str, Any] = dict(wish.more or {})
    return msgspec.json.encode(
        Tracked24(
            shipment.number, shipment.code, wish.param, wish.tag, raw, lang=wish.lang,
            final_carrier=wish.final_carrier, order_no=wish.order_no, order_time=wish.order_time,
            email=wish.email, remark=wish.remark, **more,
        )
    )  # fmt: skip


async def read(
    world: World, numbers: Collection[str], version: Version, *, shelf: Shelf | None = None
) -> bytes:
    """The answer of gettrackinfo; ``shelf``: another one than the service's."""
    context = replace(world.context, shelf=shelf) if shelf else world.context
    body = json.dumps([{"number": number} for number in numbers]).encode()
    return await track_info(context, world.account, body, version)


async def check(world: World) -> int:
    """Compare what is read with what is stored, under every version; answers how many items there were."""
    found = await world.store.find(world.account.id, NUMBERS)
    shown = {shipment.number: (shipment, document) for shipment, document in found if document}
    now, told = world.clock.now(), 0
    for version in VERSIONS.values():
        answer = await read(world, NUMBERS, version)
        assert answer == await read(world, NUMBERS, version, shelf=Shelf(0))
        accepted = msgspec.json.decode(answer, type=dict[str, Any])["data"]["accepted"]
        for item in accepted:
            made = by_hand(*shown[item["number"]], now, version)
            assert made in answer
            assert json.loads(made) == item
        told += len(accepted)
    return told


def steps_of(world: World, chance: random.Random) -> list[Callable[[], Awaitable[object]]]:
    """What can happen to the numbers."""

    def one() -> str:
        return chance.choice(NUMBERS)

    def words() -> dict[str, Any]:
        return {"tag": chance.choice(["a", 'é"\\', None]), "lang": chance.choice(LANGUAGES)}

    def call(endpoint: str, **item: Any) -> Awaitable[object]:
        return world.call(endpoint, [{"number": one()} | item])

    return [
        lambda: call("register", **words(), order_no="7", remark="r", labels=["x"]),
        lambda: call("getRealTimeTrackInfo", cacheLevel=chance.choice([0, 1]), **words()),
        lambda: call("changeinfo", items=words()),
        lambda: call("stoptrack"),
        lambda: call("retrack"),
        lambda: call("deletetrack"),
        lambda: call("changecarrier", carrier_new=21051),
        lambda: call("changecarrier", final_carrier_new=21051),
        world.turn,
        world.turn,
        lambda: world.clock.advance(world.step.total_seconds()),
        lambda: world.clock.advance(timedelta(hours=7).total_seconds()),
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_read_is_what_is_stored_whatever_happened(world: World, seed: int) -> None:
    """Registered, asked about, changed, stopped, deleted; over days, in all versions and languages."""
    chance = random.Random(seed)
    await world.register(*NUMBERS[:3])
    told = 0
    for _ in range(30):
        await world.passing(_run(chance.choice(steps_of(world, chance))))
        told += await check(world)
    assert told > 100


async def _run(work: Callable[[], Awaitable[object]]) -> None:
    await work()


async def test_what_was_shown_lately_is_shown_again_without_its_document(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a row that changed, or a new day, has the document read again."""
    read_whole: list[list[str]] = []
    shown = SqliteStore.shown

    async def watched(
        self: SqliteStore, account: int, numbers: Collection[str], bare: Collection[str] = ()
    ) -> list[Shown]:
        read_whole.append(list(numbers))
        return await shown(self, account, numbers, bare)

    async def reads(*numbers: str) -> list[list[str]]:
        read_whole.clear()
        await read(world, numbers, V2_2)
        return read_whole

    monkeypatch.setattr(SqliteStore, "shown", watched)
    other = "SANDBOXJOURNEY2"
    await world.register(NUMBER, other)
    await world.turn()
    assert await reads(NUMBER) == [[NUMBER]]
    assert await reads(NUMBER, other) == [[other]]
    assert await reads(NUMBER, other) == [[]]
    await world.call("changeinfo", [{"number": other, "items": {"tag": "new"}}])
    assert await reads(NUMBER, other) == [[], [other]]
    assert await reads(NUMBER, other) == [[]]
    await world.clock.advance(timedelta(days=1).total_seconds())
    assert [sorted(numbers) for numbers in await reads(NUMBER, other)] == [[], [NUMBER, other]]
    assert await reads(NUMBER, other) == [[]]
    await world.turn()
    assert (await reads(NUMBER))[1:] == [[NUMBER]]


def shown_as(number: str, **columns: Any) -> Shown:
    row = Shown(
        1, number, "ups", 100002, "tracking", 0, "{}", "InTransit_Other", None, "0a", 0,
        None, None, None, None, 0, 0, None, b"{}", b"null",
    )  # fmt: skip
    return row._replace(**columns)


def test_a_shelf_forgets_what_was_shown_longest_ago() -> None:
    """Its size is bounded by bytes; what is shown again stays."""
    shelf = Shelf(bytes_max=30)
    rows = [shown_as(f"N{place}", id=place) for place in range(4)]
    for row in rows[:3]:
        shelf.keep(1, V2_2, row, 5, b"0123456789")
    names = [row.number for row in rows]
    assert list(shelf.of(1, V2_2, names[:1])) == ["N0"]
    shelf.keep(1, V2_2, rows[3], 5, b"0123456789")
    assert list(shelf.of(1, V2_2, names)) == ["N0", "N2", "N3"]
    shelf.keep(1, V2_2, rows[3], 6, b"01234567890123456789")
    assert list(shelf.of(1, V2_2, names)) == ["N2", "N3"]


@pytest.mark.parametrize(
    "change",
    [{name: "other"} for name in ("wish", "sub_status", "descr", "digest", "trouble", "carrier", "phase")]
    + [{name: 77} for name in Shown._fields if name.endswith(("_us", "_day", "_s", "code"))],
)
def test_any_other_row_has_no_item_on_the_shelf(change: dict[str, Any]) -> None:
    shelf = Shelf()
    row = shown_as("N")
    shelf.keep(1, V2_2, row, 5, b"item")
    kept = shelf.of(1, V2_2, ["M", "N"])["N"]
    bare = row._replace(template=None, estimate=None)
    assert item_for(kept, bare, 5) == b"item"
    assert item_for(kept, bare._replace(**change), 5) is None
    assert item_for(kept, bare._replace(id=2), 5) is None
    assert item_for(kept, bare, 6) is None
    assert not shelf.of(1, V2_4, ["N"])
    assert not shelf.of(2, V2_2, ["N"])


def test_what_has_no_digest_is_not_kept() -> None:
    """Nothing names its document: a number that was looked up with one code and registered with another."""
    shelf = Shelf()
    shelf.keep(1, V2_2, shown_as("N", digest=None), 5, b"item")
    assert not shelf.of(1, V2_2, ["N"])
