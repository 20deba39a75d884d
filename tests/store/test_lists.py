"""The list: every filter, order and page of every store against a plain model of it."""

import asyncio
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from tests.store.conftest import Place, PostgresPlace, SqlitePlace, vault
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    SIGN_KEY,
    account_in,
    failed,
    jobs_due,
    receiver,
    refreshed,
    registered,
    sent,
    stop,
    update,
    wanted,
)

from parcelwire.domain.account import Account
from parcelwire.domain.listing import Axis, Filter, Order, PushStanding, Span
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.domain.status import Status, SubStatus
from parcelwire.ports import Changed, Document, Listed, ListPage, Old, Pruned, Store
from parcelwire.store.rows import micros_or_none, wish_text
from parcelwire.store.sqlite.file import migrate, steps
from parcelwire.store.vault import sign_key_place

MOST = 7
CODES = {"ups": 100001, "usps": 21051, "dhl_paket": 7041}
DOCUMENT = Document(b"{}", b"null")


@dataclass
class Row:
    """What the model knows of one registration."""

    shipment: Shipment
    push: PushStanding = PushStanding.NOT_PUSHED
    push_code: int | None = None
    push_at: datetime | None = None

    @property
    def listed(self) -> Listed:
        """The same as a row of the list."""
        s = self.shipment
        return Listed(
            s.id, s.number, s.code, s.phase, wish_text(s.wish), micros_or_none(s.registered_at),
            micros_or_none(s.asked_at), micros_or_none(s.stopped_at), s.stop_reason, s.sub_status, s.trouble,
            s.retracked, s.carrier_changes, DOCUMENT.template if s.asked_at else None,
            self.push, self.push_code, micros_or_none(self.push_at),
        )  # fmt: skip

    def at(self, axis: Axis) -> datetime | None:
        shipment = self.shipment
        return {
            Axis.REGISTER: shipment.registered_at,
            Axis.TRACK: shipment.asked_at,
            Axis.PUSH: self.push_at,
            Axis.STOP: shipment.stopped_at,
        }[axis]


class Model:
    """An account that lives: registrations are made (some of numbers that were looked up before), refreshed,
    pushed, stopped, tracked again, given to another carrier, deleted."""

    def __init__(self, store: Store, account: Account, seed: int) -> None:
        self.store = store
        self.account = account
        self.random = Random(seed)
        self.rows: dict[int, Row] = {}
        self.now = NOW

    async def live(self, turns: int) -> None:
        acts = [self._register] * 3 + [self._refresh] * 4 + [self._push] * 2 + [self._stop] * 4
        acts += [self._delete, self._look_up, self._retrack, self._change_carrier]
        for _ in range(turns):
            self.now += (
                self.random.choice([timedelta(microseconds=1), SECOND, HOUR, DAY]) * self.random.random()
            )
            await self.random.choice(acts)()

    async def _register(self) -> None:
        items = [
            wanted(carrier=carrier, code=CODES[carrier], lane="lane")
            for carrier in self.random.choices(list(CODES), k=self.random.randint(1, 5))
        ]
        for shipment in await registered(self.store, self.account.id, items, self.now):
            assert isinstance(shipment, Shipment)
            self.rows[shipment.id] = Row(shipment)

    async def _look_up(self) -> None:
        item = wanted(carrier="ups", code=CODES["ups"], lane="lane")
        await self.store.look_up(self.account.id, item, self.now)
        if self.random.random() < 0.5:
            (shipment,) = await registered(self.store, self.account.id, [item], self.now)
            assert isinstance(shipment, Shipment)
            self.rows[shipment.id] = Row(shipment)

    def _some(self, phase: Phase) -> Row | None:
        rows = [row for row in self.rows.values() if row.shipment.phase is phase]
        return self.random.choice(rows) if rows else None

    async def _refresh(self) -> None:
        row = self._some(Phase.TRACKING)
        if row is None:
            return
        due = await self.store.claim_one(row.shipment.id, self.now + LEASE, secrets.token_hex(8))
        assert due is not None
        pushes = [update(due.shipment.version + 1)] if self.random.random() < 0.7 else []
        result = refreshed(due.shipment, *pushes, at=self.now, document=DOCUMENT)
        after = replace(
            result.shipment,
            sub_status=self.random.choice(list(SubStatus)),
            trouble=self.random.choice([None, None, "unavailable"]),
        )
        assert await self.store.complete([replace(result, shipment=after)]) == 0
        row.shipment = replace(after, lease=None)

    async def _push(self) -> None:
        for job in await jobs_due(self.store, self.now):
            code = self.random.choice([200, 204, 500, None])
            result = sent(job, self.now) if code in (200, 204) else failed(job, self.now, self.now + HOUR)
            assert await self.store.finish_pushes([replace(result, http_status=code)]) == 0
            row = self.rows.get(job.shipment)
            if row is not None:
                row.push = PushStanding.SUCCESS if result.sent else PushStanding.FAILURE
                row.push_code, row.push_at = code, self.now

    async def _stop(self) -> None:
        row = self._some(Phase.TRACKING)
        if row is not None:
            change = stop(row.shipment, at=self.now)
            assert await self.store.change([change], self.now) == [True]
            row.shipment = change.shipment

    async def _retrack(self) -> None:
        row = self._some(Phase.STOPPED)
        if row is not None:
            after = replace(row.shipment, phase=Phase.TRACKING, stopped_at=None, stop_reason=None)
            await self._change(row, after)

    async def _change_carrier(self) -> None:
        row = self._some(Phase.TRACKING)
        if row is not None:
            carrier = self.random.choice([slug for slug in CODES if slug != row.shipment.carrier])
            after = replace(
                row.shipment, carrier=carrier, code=CODES[carrier], sub_status=None, asked_at=None,
                trouble=None,
            )  # fmt: skip
            await self._change(row, after, forgets=True)

    async def _change(self, row: Row, after: Shipment, *, forgets: bool = False) -> None:
        change = Changed(row.shipment, after, forgets=forgets)
        assert await self.store.change([change], self.now) == [True]
        row.shipment = after

    async def _delete(self) -> None:
        row = self._some(Phase.STOPPED)
        if row is not None:
            assert await self.store.delete(self.account.id, [row.shipment.id]) == [True]
            del self.rows[row.shipment.id]

    def expected(self, keep: Callable[[Row], bool], order: Order) -> list[int]:
        def key(row: Row) -> tuple[Any, ...]:
            at, registered_at = row.at(order.axis), row.shipment.registered_at
            shipment = row.shipment.id
            return (True, at, shipment) if at else (False, registered_at, shipment)

        rows = sorted(filter(keep, self.rows.values()), key=key, reverse=order.newest_first)
        return [row.shipment.id for row in rows]

    async def listed(self, wanted: Filter, order: Order) -> list[int]:
        """The ids of all pages, after checking that every page agrees about the total."""
        ids: list[int] = []
        while True:
            page = await self.store.list_page(self.account.id, wanted, order, len(ids), MOST)
            assert len(page.rows) == min(MOST, page.total - len(ids))
            if not page.rows:
                return ids
            self._check_rows(page)
            ids += [row.id for row in page.rows]

    def _check_rows(self, page: ListPage) -> None:
        for row in page.rows:
            known = self.rows[row.id]
            assert row == known.listed


ORDERS = [
    Order(axis, newest_first)
    for axis in (Axis.REGISTER, Axis.TRACK, Axis.PUSH)
    for newest_first in (True, False)
]


# Both of the tally: as it is kept, and as the rows are now.
COUNTED = "SELECT account, axis, level, bucket, kind, n FROM tally ORDER BY 1, 2, 3, 4, 5"
REAL = """
WITH times AS (
  SELECT account, kind, 1 AS axis, register_at AS at FROM listing UNION ALL
  SELECT account, kind, 2, track_at FROM listing UNION ALL
  SELECT account, kind, 3, push_at FROM listing UNION ALL
  SELECT account, kind, 4, stop_at FROM listing
), counted AS (
  SELECT account, axis, kind, at FROM times UNION ALL SELECT account, -axis, 0, at FROM times
)
SELECT account, axis, level, at >> level, kind, count(*) FROM counted JOIN tally_level
WHERE at IS NOT NULL GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""


def anything(_row: Row) -> bool:
    return True


def nothing(_row: Row) -> bool:
    return False


FILTERS: dict[str, tuple[Filter, Callable[[Row], bool]]] = {
    "everything": (Filter(), anything),
    "code": (Filter(code=21051), lambda row: row.shipment.code == 21051),
    "a code that nobody has": (Filter(code=3011), nothing),
    "stopped": (Filter(phase=Phase.STOPPED), lambda row: row.shipment.phase is Phase.STOPPED),
    "tracking": (Filter(phase=Phase.TRACKING), lambda row: row.shipment.phase is Phase.TRACKING),
    "pushed": (Filter(push=PushStanding.SUCCESS), lambda row: row.push is PushStanding.SUCCESS),
    "not pushed": (Filter(push=PushStanding.NOT_PUSHED), lambda row: row.push is PushStanding.NOT_PUSHED),
    "push code": (Filter(push_code=500), lambda row: row.push_code == 500),
    "synced": (
        Filter(synced=True), lambda row: row.shipment.asked_at is not None and not row.shipment.trouble,
    ),
    "two at once": (
        Filter(code=100001, phase=Phase.TRACKING),
        lambda row: row.shipment.code == 100001 and row.shipment.phase is Phase.TRACKING,
    ),
    **{
        status.value: (
            Filter(status=status),
            lambda row, status=status: (  # type: ignore[misc]
                (row.shipment.sub_status.status if row.shipment.sub_status else Status.NOT_FOUND) is status
            ),
        )
        for status in Status
    },
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_every_filter_order_and_page_is_that_of_the_model(store: Store, seed: int) -> None:
    """The total is exact, no row is missing or twice, and ties keep one order in both directions."""
    account = await account_in(store, quota=10_000)
    other = await account_in(store, quota=10_000, name="other", login_key="other")
    for owner in (account, other):
        await receiver(store, owner)
    await Model(store, other, seed + 100).live(20)
    model = Model(store, account, seed)
    await model.live(150)
    for wanted_, keep in FILTERS.values():
        for order in ORDERS:
            assert await model.listed(wanted_, order) == model.expected(keep, order), (wanted_, order)


@pytest.mark.parametrize("seed", range(3))
async def test_spans_of_time_bound_every_axis_in_every_order(store: Store, seed: int) -> None:
    account = await account_in(store, quota=10_000)
    await receiver(store, account)
    model = Model(store, account, seed)
    await model.live(120)
    for axis in Axis:
        times = sorted({at for row in model.rows.values() if (at := row.at(axis))})
        for start, end in [(times[0], times[-1]), (times[1], None), (None, times[-2]), (times[2], times[2])]:

            def keep(row: Row) -> bool:
                at = row.at(axis)  # noqa: B023
                return at is not None and (start or at) <= at and (end is None or at < end)  # noqa: B023

            for order in (*ORDERS, Order(axis)):
                found = await model.listed(Filter(spans={axis: Span(start, end)}), order)
                assert found == model.expected(keep, order), (axis, start, end, order)


async def test_two_spans_and_numbers_hold_together(store: Store) -> None:
    account = await account_in(store, quota=10_000)
    await receiver(store, account)
    model = Model(store, account, 7)
    await model.live(120)
    rows = list(model.rows.values())
    middle = sorted(row.shipment.registered_at or NOW for row in rows)[len(rows) // 2]
    spans = {Axis.REGISTER: Span(None, middle), Axis.TRACK: Span(middle, None)}

    def keep(row: Row) -> bool:
        asked_at, registered_at = row.shipment.asked_at, row.shipment.registered_at
        return (
            asked_at is not None
            and asked_at >= middle
            and registered_at is not None
            and registered_at < middle
        )

    numbers = tuple(row.shipment.number for row in rows[::3])
    for order in ORDERS:
        assert await model.listed(Filter(spans=spans), order) == model.expected(keep, order)
        both = Filter(numbers, spans=spans)
        assert await model.listed(both, order) == model.expected(
            lambda row: keep(row) and row.shipment.number in numbers, order
        )
        assert await model.listed(Filter(numbers, code=7041), order) == model.expected(
            lambda row: row.shipment.code == 7041 and row.shipment.number in numbers, order
        )


async def test_a_looked_up_number_is_listed_once_it_is_registered(store: Store) -> None:
    account = await account_in(store)
    item = wanted()
    looked_up = await store.look_up(account.id, item, NOW)
    due = await store.claim_one(looked_up.id, NOW + LEASE, "lease")
    assert due is not None
    await store.complete([refreshed(due.shipment)])
    assert (await store.list_page(account.id, Filter(), Order(), 0, 40)).total == 0
    await store.register(account.id, [item], NOW + HOUR)
    page = await store.list_page(account.id, Filter(status=Status.IN_TRANSIT), Order(), 0, 40)
    assert [row.id for row in page.rows] == [looked_up.id]


async def test_a_page_after_the_last_is_empty_and_keeps_the_total(store: Store) -> None:
    account = await account_in(store)
    await store.register(account.id, [wanted() for _ in range(3)], NOW)
    for skip in (3, 4, 10**12):
        page = await store.list_page(account.id, Filter(), Order(), skip, 40)
        assert (page.total, page.rows) == (3, [])


@pytest.mark.parametrize("seed", range(2))
async def test_the_total_is_the_number_of_registrations_after_every_change(store: Store, seed: int) -> None:
    """Whatever a store counts instead of reading: it never differs from what there is."""
    account = await account_in(store, quota=10_000)
    await receiver(store, account)
    model = Model(store, account, seed)
    for _ in range(120):
        await model.live(1)
        for asked, keep in (FILTERS["everything"], FILTERS["stopped"]):
            page = await store.list_page(account.id, asked, Order(), 0, 1)
            assert page.total == len(list(filter(keep, model.rows.values())))


@pytest.mark.parametrize("seed", range(2))
async def test_the_tallies_are_those_of_the_rows_after_every_change(file: SqlitePlace, seed: int) -> None:
    """On SQLite: every bucket counts what is there, empty ones are gone, no step is left to be counted."""
    store = await file.open()
    account = await account_in(store, quota=10_000)
    await receiver(store, account)
    model = Model(store, account, seed)
    for _ in range(120):
        await model.live(1)
        assert await file.rows(COUNTED) == await file.rows(REAL)
        assert await file.rows("SELECT count(*) FROM tally_step") == [(0,)]
    await store.delete(account.id, list(model.rows))
    assert await file.rows("SELECT count(*) FROM tally") == [(0,)]


@pytest.mark.parametrize(
    ("change", "writes", "moves"),
    [
        ("asked_at = 2, sub_status = 'OutForDelivery_Other'", 1, 1),
        ("asked_at = 2, sub_status = 'InTransit_PickedUp'", 1, 0),  # of the same status
        ("asked_at = 2, sub_status = 'InTransit_Other'", 1, 0),
        ("asked_at = 1, sub_status = 'InTransit_Other'", 0, 0),
        ("asked_at = 2, sub_status = NULL, trouble = 'x', phase = 'stopped', stopped_at = 2", 1, 1),
    ],
)
async def test_a_refresh_writes_a_registration_of_the_list_at_most_once(
    file: SqlitePlace, change: str, writes: int, moves: int
) -> None:
    """On SQLite: each time is a page in a random place of an index, another kind is one in each index."""
    store = await file.open()
    account = await account_in(store)
    await registered(store, account.id, [wanted()], NOW)
    await store.close()
    with closing(sqlite3.connect(file.path)) as c:
        c.execute("UPDATE shipment SET asked_at = 1, sub_status = 'InTransit_Other'")
        c.execute("CREATE TEMP TABLE seen (what TEXT)")
        for what, columns in (("write", ""), ("move", "OF code, status, stopped, sync, stop_at")):
            noted = f"INSERT INTO seen VALUES ('{what}')"  # noqa: S608
            c.execute(f"CREATE TEMP TRIGGER {what} AFTER UPDATE {columns} ON listing BEGIN {noted}; END")
        c.execute(f"UPDATE shipment SET code = code, trouble = trouble, {change}")  # noqa: S608
        count = (
            "SELECT count(*) FILTER (WHERE what = 'write'), count(*) FILTER (WHERE what = 'move') FROM seen"
        )
        assert c.execute(count).fetchone() == (writes, moves)
        listed = "SELECT code, status, stopped, sync, track_at, stop_at FROM"
        assert c.execute(f"{listed} listing").fetchall() == c.execute(f"{listed} listed").fetchall()


async def test_the_tallies_hold_when_one_of_a_group_fails(file: SqlitePlace) -> None:
    """On SQLite: calls that are committed together; the steps of one that fails are not counted."""
    store = await file.open()
    account = await account_in(store, quota=10_000)
    results = await asyncio.gather(
        *(store.register(account.id, [wanted(), wanted()], NOW + place * SECOND) for place in range(20)),
        store.register(account.id + 1, [wanted()], NOW),  # there is no such account
        return_exceptions=True,
    )
    assert [type(result) for result in results[:-1]] == [list] * 20
    assert isinstance(results[-1], Exception)
    assert await file.rows("SELECT sum(n) FROM tally WHERE axis = 1 AND level = 45") == [(40,)]
    assert await file.rows(COUNTED) == await file.rows(REAL)


@pytest.mark.parametrize("seed", range(2))
async def test_the_counts_are_those_of_the_rows(schema_place: PostgresPlace, seed: int) -> None:
    """On PostgreSQL: their parts sum up to what is there, put together or not, by several at a time."""
    store, other = await schema_place.another(), await schema_place.another()
    account = await account_in(store, quota=10_000)
    await receiver(store, account)
    model = Model(store, account, seed)

    async def counted() -> list[Any]:
        return await schema_place.rows(
            """SELECT kind, sum(n)::bigint FROM listed_count GROUP BY kind HAVING sum(n) <> 0 ORDER BY kind"""
        )

    real = """SELECT kind, count(*) FROM shipment, kind_of(phase, code, asked_at, trouble, sub_status) AS kind
    WHERE kind IS NOT NULL GROUP BY kind ORDER BY kind"""
    for _ in range(4):
        await asyncio.gather(model.live(30), store.sum_up(10), other.sum_up(10))
        assert await counted() == await schema_place.rows(real)
    while await store.sum_up(50):
        assert await counted() == await schema_place.rows(real)
    ((parts, kinds),) = await schema_place.rows("SELECT count(*), count(DISTINCT kind) FROM listed_count")
    assert parts == kinds
    for row in list(model.rows.values()):
        await store.delete(account.id, [row.shipment.id])
    assert await counted() == []


async def test_pages_are_the_same_when_counts_were_summed_up(store: Store) -> None:
    account = await account_in(store)
    await store.register(account.id, [wanted() for _ in range(5)], NOW)
    tracking = Filter(phase=Phase.TRACKING)
    before = await store.list_page(account.id, tracking, Order(), 1, 3)
    while await store.sum_up(100):
        pass
    assert await store.list_page(account.id, tracking, Order(), 1, 3) == before
    assert before.total == 5


# --- deletion, replay, another carrier --------------------------------------------------------------------


async def test_a_deleted_registration_is_gone_and_another_account_cannot_delete_it(
    place: Place, store: Store
) -> None:
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other")
    await receiver(store, account)
    item = wanted()
    (shipment,) = await registered(store, account.id, [item], NOW)
    assert isinstance(shipment, Shipment)
    due = await store.claim_one(shipment.id, NOW + LEASE, "lease")
    assert due is not None
    await store.complete([refreshed(due.shipment, update(1), document=DOCUMENT)])
    (job,) = await jobs_due(store)
    assert await store.delete(other.id, [shipment.id]) == [False]
    assert await store.delete(account.id, [shipment.id, shipment.id]) == [True, False]
    assert await store.find(account.id, [item.number]) == []
    assert await store.attempts(shipment.id, 10) == []
    assert await store.finish_pushes([sent(job)]) == 1, "a push on its way has nothing to come back to"
    assert await jobs_due(store, NOW + DAY) == []
    (again,) = await registered(store, account.id, [item], NOW)
    assert isinstance(again, Shipment)
    assert again.id != shipment.id
    assert (await store.usage(account.id, NOW)).used == 2


async def test_old_stopped_and_looked_up_rows_go_in_small_batches(store: Store) -> None:
    account = await account_in(store)
    items = [wanted() for _ in range(5)]
    shipments = [one for one in await registered(store, account.id, items, NOW) if isinstance(one, Shipment)]
    for age, shipment in enumerate(shipments[:4]):
        assert await store.change([stop(shipment, at=NOW + age * DAY)], NOW) == [True]
    looked_up = wanted()
    await store.look_up(account.id, looked_up, NOW)
    before = NOW + 3 * DAY
    pruned = [await store.prune(Old.STOPPED, before, 2) for _ in range(2)]
    assert [(some.count, some.upto is None) for some in pruned] == [(2, False), (1, True)]
    assert await store.prune(Old.LOOKED_UP, before, 2) == Pruned(1, None)
    assert await store.prune(Old.LOOKED_UP, before, 2) == Pruned(0, None)
    left = await store.find(account.id, [*(item.number for item in items), looked_up.number])
    assert [shipment.id for shipment, _ in left] == [shipments[3].id, shipments[4].id]


async def test_the_newest_push_is_replayed_with_its_id_and_bytes(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    (shipment,) = await registered(store, account.id, [wanted()], NOW)
    assert isinstance(shipment, Shipment)
    assert await store.replay(account.id, [shipment.id], NOW) == [False]
    due = await store.claim_one(shipment.id, NOW + LEASE, "lease")
    assert due is not None
    await store.complete([refreshed(due.shipment, update(1), update(2))])
    (first,) = await jobs_due(store)
    assert await store.finish_pushes([sent(first)]) == 0
    (job,) = await jobs_due(store)
    assert await store.finish_pushes([sent(job)]) == 0
    for _ in range(2):
        assert await store.replay(account.id, [shipment.id], NOW + HOUR) == [True]
        (again,) = await jobs_due(store, NOW + HOUR)
        assert (again.id, again.body, again.version, again.tries) == (job.id, job.body, 2, 0)
        assert await store.finish_pushes([sent(again)]) == 0
    other = await account_in(store, name="two", login_key="two")
    assert await store.replay(other.id, [shipment.id], NOW + HOUR) == [False]


async def test_a_replay_hurries_what_waits_to_be_tried_again_but_not_past_an_older_one(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    (shipment,) = await registered(store, account.id, [wanted()], NOW)
    assert isinstance(shipment, Shipment)
    due = await store.claim_one(shipment.id, NOW + LEASE, "lease")
    assert due is not None
    await store.complete([refreshed(due.shipment, update(1), update(2))])
    (first,) = await jobs_due(store)
    assert await store.replay(account.id, [shipment.id], NOW) == [True]
    assert await jobs_due(store) == [], "version 2 waits for version 1"
    assert await store.finish_pushes([sent(first)]) == 0
    (second,) = await jobs_due(store)
    assert await store.finish_pushes([failed(second, again_at=NOW + DAY)]) == 0
    assert await jobs_due(store, NOW + HOUR) == []
    assert await store.replay(account.id, [shipment.id], NOW + HOUR) == [True]
    (again,) = await jobs_due(store, NOW + HOUR)
    assert (again.id, again.attempts) == (second.id, 1)


async def test_another_carrier_forgets_what_the_old_one_said(store: Store) -> None:
    """Also when the new carrier had only been looked up; not when the number is registered with it."""
    account = await account_in(store)
    item = wanted()
    (shipment,) = await registered(store, account.id, [item], NOW)
    await store.look_up(account.id, wanted(item.number, "usps"), NOW)
    assert isinstance(shipment, Shipment)
    due = await store.claim_one(shipment.id, NOW + LEASE, "lease")
    assert due is not None
    await store.complete([refreshed(due.shipment, document=DOCUMENT)])
    ((known, document),) = [
        row for row in await store.find(account.id, [item.number]) if row[0].id == shipment.id
    ]
    assert document == DOCUMENT
    after = replace(known, carrier="usps", code=21051, sub_status=None, carrier_changes=1)
    assert await store.change([Changed(known, after, forgets=True)], NOW) == [True]
    ((now_known, nothing),) = await store.find(account.id, [item.number])
    assert (now_known, nothing) == (after, None)
    (second,) = await registered(store, account.id, [wanted(item.number, "ups")], NOW)
    assert isinstance(second, Shipment)
    taken = replace(second, carrier="usps", code=21051)
    assert await store.change([Changed(second, taken, forgets=True)], NOW) == [False]


async def test_an_older_file_gets_its_list_when_its_schema_is_brought_up_to_date(
    file: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of the first schema, of every phase, are listed and counted as if they had been there always."""
    known = steps()
    monkeypatch.setattr("parcelwire.store.sqlite.file.steps", lambda: known[:1])
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        migrate(connection, file.path)
        connection.execute(
            "INSERT INTO account (id, name, plan, quota_total, sign_key) VALUES (1, 'main', 'free', 100, ?)",
            (vault().seal(SIGN_KEY, sign_key_place(1)),),
        )
        for id_, phase, sub_status, asked_at, stopped_at in (
            (1, "tracking", None, None, None),
            (2, "tracking", "OutForDelivery_Other", 5_000_000, None),
            (3, "stopped", "Delivered_Other", 6_000_000, 7_000_000),
            (4, "looked_up", "InfoReceived", 8_000_000, None),
        ):
            connection.execute(
                """INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish,
                registered_at, stopped_at, sub_status, asked_at, lane)
                VALUES (?, 1, ?, 'ups', 100001, 1, ?, 0, '{}', ?, ?, ?, ?, 'ups')""",
                (id_, f"A{id_:05}", phase, id_, stopped_at, sub_status, asked_at),
            )
    monkeypatch.undo()
    store = await file.open()

    async def listed(wanted: Filter, order: Order) -> list[int]:
        page = await store.list_page(1, wanted, order, 0, 40)
        assert page.total == len(page.rows)
        return [row.id for row in page.rows]

    assert await listed(Filter(), Order()) == [3, 2, 1]
    assert await listed(Filter(), Order(Axis.TRACK, newest_first=False)) == [1, 2, 3]
    assert await listed(Filter(status=Status.OUT_FOR_DELIVERY), Order()) == [2]
    assert await listed(Filter(phase=Phase.STOPPED, status=Status.DELIVERED), Order(Axis.STOP)) == [3]
