"""What is old is forgotten: each kind by its own time, a few rows at a time, and nothing that is needed."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from tests.store.conftest import Place, PostgresPlace
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    MINUTE,
    NOW,
    SECOND,
    account_in,
    change_of,
    claimed,
    history,
    jobs_due,
    number,
    prune,
    receiver,
    refreshed,
    sent,
    stop,
    stored,
    tracked,
    update,
    wanted,
)

from parcelwire.domain.exchange import Reply
from parcelwire.domain.push import Chosen
from parcelwire.ports import Charge, KeyedCall, Old, Pruned, Store


async def test_the_log_goes_in_batches_oldest_first(store: Store) -> None:
    account = await account_in(store)
    shipments = {age: await tracked(store, account) for age in (3, 1, 2, 5, 4)}
    for age, shipment in shipments.items():
        await change_of(store, shipment, at=NOW + age * MINUTE)

    async def left() -> set[int]:
        return {age for age, shipment in shipments.items() if await store.attempts(shipment.id, 9)}

    some = await store.prune(Old.REFRESH, NOW + 5 * MINUTE, 3)
    assert some == Pruned(3, NOW + 3 * MINUTE)
    assert await left() == {4, 5}
    assert await store.prune(Old.REFRESH, NOW + 5 * MINUTE, 3, some.upto) == Pruned(1, None)
    assert await left() == {5}


async def test_a_log_that_was_pruned_to_its_end_begins_anew(store: Store) -> None:
    """Its attempts are told once each, and the shipment can be deleted."""
    account = await account_in(store)
    shipment = await tracked(store, account)
    for begin in (0, 10):
        for minutes in (1, 2):
            await change_of(store, shipment, at=NOW + (begin + minutes) * MINUTE)
        newest = [NOW + (begin + minutes) * MINUTE for minutes in (2, 1)]
        assert [one.at for one in await store.attempts(shipment.id, 9)] == newest
        await store.prune(Old.REFRESH, NOW + 60 * MINUTE, 9)
        assert await store.attempts(shipment.id, 9) == []
    await change_of(store, shipment, at=NOW + 70 * MINUTE)
    assert await store.delete(account.id, [shipment.id]) == [True]


async def test_many_rows_of_one_moment_all_go(store: Store) -> None:
    account = await account_in(store)
    await store.register(account.id, [wanted() for _ in range(25)], NOW)
    dues = await store.claim("ups", 100, NOW, NOW + LEASE, "lease")
    await store.complete([refreshed(due.shipment) for due in dues])
    assert await prune(store, NOW + SECOND, Old.REFRESH, most=4) == 25


async def test_a_change_stays_as_long_as_a_push_refers_to_it(place: Place) -> None:
    """And those that stay hide no others that can go."""
    store = await place.open()
    account = await account_in(store)
    await receiver(store, account)
    await place.widen()
    waiting = [await tracked(store, account) for _ in range(5)]
    for shipment in waiting:
        await change_of(store, shipment, update(1))
    gone = await tracked(store, account)
    await change_of(store, gone, update(1), at=NOW + MINUTE)
    (job,) = [job for job in await jobs_due(store, NOW + HOUR) if job.shipment == gone.id]
    await store.finish_pushes([sent(job, NOW + HOUR)])
    assert await prune(store, NOW + DAY, Old.CHANGE, most=2) == 0
    assert await prune(store, NOW + DAY, Old.PUSH, most=2) == 1
    assert await prune(store, NOW + DAY, Old.CHANGE, most=2) == 1
    assert len(await store.feed(account.id, 0, 100)) == len(waiting)
    assert {one.version for one in await store.push_log(account.id, Chosen(), 100)} == {1}


async def test_of_one_moment_some_stay_and_the_others_go(place: Place) -> None:
    """Also when a batch ends in the middle of that moment with rows that all stay."""
    store = await place.open()
    account = await account_in(store)
    await receiver(store, account)
    await place.widen()
    shipments = [await tracked(store, account) for _ in range(5)]
    for shipment, age in zip(shipments, (1, 2, 2, 2, 2), strict=True):
        await change_of(store, shipment, update(1), at=NOW + age * MINUTE)
    jobs = [
        job for job in await jobs_due(store, NOW + HOUR) if job.shipment in {shipments[3].id, shipments[4].id}
    ]
    await store.finish_pushes([sent(job, NOW + HOUR) for job in jobs])
    assert await prune(store, NOW + DAY, Old.PUSH) == 2
    assert await prune(store, NOW + DAY, Old.CHANGE, most=3) == 2


async def test_a_clock_that_was_set_back_hides_no_attempt(store: Store) -> None:
    """Of a log some rows are old and one before them is not: it is told, and all go in their time."""
    account = await account_in(store)
    shipment = await tracked(store, account)
    ahead = NOW + HOUR
    for at in (ahead, NOW, NOW + MINUTE):
        await change_of(store, shipment, at=at)
    count = await prune(store, NOW + 2 * MINUTE, Old.REFRESH, most=1)
    assert ahead in [one.at for one in await store.attempts(shipment.id, 9)]
    for _ in range(2):
        count += await prune(store, ahead + SECOND, Old.REFRESH, most=1)
    assert count == 3
    assert await store.attempts(shipment.id, 9) == []


async def test_a_push_that_waits_is_found_when_newer_changes_are_old(store: Store) -> None:
    """Whatever was pruned, it is replayed, or goes with its shipment; after it the newer ones go, too."""
    account = await account_in(store)
    await receiver(store, account, stopped_by_request=False)
    kept, deleted = await tracked(store, account), await tracked(store, account)
    for shipment in (kept, deleted):
        await change_of(store, shipment, update(1))
        assert await store.change([stop(await stored(store, shipment))], NOW + MINUTE) == [True]
    await prune(store, NOW + DAY, Old.CHANGE)
    assert await store.replay(account.id, [kept.id, deleted.id], NOW) == [True, True]
    assert await store.delete(account.id, [deleted.id]) == [True]
    (job,) = await jobs_due(store)
    assert job.shipment == kept.id
    await store.finish_pushes([sent(job)])
    assert await prune(store, NOW + DAY, Old.PUSH) == 1
    told = [item.cursor for item in await store.feed(account.id, 0, 9)]
    assert await prune(store, NOW + DAY, Old.CHANGE) == len(told) > 0
    assert await store.feed(account.id, 0, 9) == []
    assert (await store.feed_ends(account.id))[0] >= max(told)


async def test_a_deleted_shipment_takes_all_its_changes_with_it(store: Store) -> None:
    """Those that came at once, and those that came later; no other's."""
    account = await account_in(store)
    await receiver(store, account)
    deleted, other = await tracked(store, account), await tracked(store, account)
    dues = await claimed(store)
    await store.complete([refreshed(due.shipment, update(1), update(2)) for due in dues])
    for shipment in (deleted, other):
        await change_of(store, shipment, update(3))
    assert await store.delete(account.id, [deleted.id]) == [True]
    assert [item.body for item in await store.feed(account.id, 0, 9)] == [update(n).body for n in (1, 2, 3)]
    assert {one.number for one in await store.push_log(account.id, Chosen(), 9)} == {other.number}
    assert {job.shipment for job in await jobs_due(store)} == {other.id}


async def test_raw_replies_go_by_their_age(place: Place) -> None:
    store = await place.open()
    account = await account_in(store)
    shipment = await tracked(store, account)

    async def reply(body: bytes, days: int) -> None:
        due = await store.claim_one(shipment.id, NOW + LEASE, "lease")
        assert due is not None
        raw = Reply(503, {}, body)
        await store.complete([refreshed(due.shipment, at=NOW + days * DAY, raw=raw)])

    async def replies() -> int:
        ((count,),) = await place.rows("SELECT count(*) FROM raw_reply")
        return int(count)

    await reply(b"old", 0)
    await reply(b"new", 3)
    assert await prune(store, NOW, Old.REPLY) == 0
    assert await prune(store, NOW + DAY, Old.REPLY) == 1
    assert await replies() == 1
    await reply(b"old", 4)  # it is kept again when it comes again
    assert await replies() == 2
    assert len(await store.attempts(shipment.id, 9)) == 3


async def test_old_quota_entries_become_sums_that_say_the_same(place: Place) -> None:
    """By account, month and kind; with every batch the counter is the sum of the ledger."""
    store = await place.open()
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    for month in range(3):
        at = NOW - 40 * DAY * month
        for owner in (account, other):
            await store.register(owner.id, [wanted() for _ in range(3)], at)
        charges = [Charge(f"call-{month}-{n}", 10, held=True) for n in range(2)]
        await store.charge(account.id, charges, at)
        await store.settle(account.id, charges[0].reference, 1, at + MINUTE)
    before = await place.ledger(account.id), await place.ledger(other.id)
    used = [(await store.usage(account.id, NOW - 40 * DAY * month)).used for month in range(3)]
    seen, after = 0, None
    while True:
        pruned = await store.prune(Old.LEDGER, NOW - 30 * DAY, 4, after)
        seen += pruned.count
        after = pruned.upto
        assert (await place.ledger(account.id), await place.ledger(other.id)) == before
        if after is None:
            break
    assert seen == 2 * (3 + 3 + 2 + 1)
    assert await prune(store, NOW - 30 * DAY, Old.LEDGER) == 0
    ((entries,),) = await place.rows("SELECT count(*) FROM quota_entry")
    assert entries == 2 * (3 + 1) + (3 + 3 + 2 + 1), "two old months in a row for each, this month as it was"
    assert [(await store.usage(account.id, NOW - 40 * DAY * n)).used for n in range(3)] == used
    assert sum(before[0].values()) == sum(used)


async def test_a_translation_that_was_paid_long_ago_is_not_paid_again(store: Store) -> None:
    account = await account_in(store)
    shipment = await tracked(store, account)
    assert await store.pay_translation(account.id, shipment.id, NOW)
    used = (await store.usage(account.id, NOW)).used
    assert await prune(store, NOW + DAY, Old.LEDGER) == 1  # the registration
    assert await store.pay_translation(account.id, shipment.id, NOW)
    assert (await store.usage(account.id, NOW)).used == used


async def test_kept_answers_are_forgotten(place: Place) -> None:
    store = await place.open()
    account = await account_in(store)
    for minute in range(3):
        call = KeyedCall("stoptrack", f"key-{minute}", b"hash")
        assert await store.begin_call(account.id, call, NOW + minute * MINUTE) is None
        await store.end_call(account.id, call, b"answer")
    assert await prune(store, NOW + 2 * MINUTE, Old.ANSWER) == 2
    assert await place.rows("SELECT key FROM kept_answer") == [("key-2",)]


async def test_what_was_only_asked_about_goes_by_its_first_time(store: Store) -> None:
    account = await account_in(store)
    asked, tracked_one = wanted(number()), await tracked(store, account)
    await store.look_up(account.id, asked, NOW)
    assert await prune(store, NOW, Old.LOOKED_UP) == 0
    assert await prune(store, NOW + SECOND, Old.LOOKED_UP) == 1
    assert await store.find(account.id, [asked.number]) == []
    assert await store.find(account.id, [tracked_one.number]) != []


async def test_nothing_is_old_in_an_empty_store(store: Store) -> None:
    assert [await store.prune(old, NOW, 10) for old in Old] == [Pruned(0, None)] * len(Old)


async def test_a_duty_is_taken_once_in_its_time(store: Store) -> None:
    """Whoever asks; and a clock that was ahead does not put it off for ever."""
    assert await store.take_duty("tidy", HOUR, NOW)
    assert not await store.take_duty("tidy", HOUR, NOW + MINUTE)
    assert await store.take_duty("other", HOUR, NOW + MINUTE)
    assert await store.take_duty("tidy", HOUR, NOW + HOUR)
    assert await store.take_duty("tidy", HOUR, NOW - DAY)
    assert not await store.take_duty("tidy", HOUR, NOW - DAY + MINUTE)


async def test_of_many_processes_one_has_the_duty(schema_place: PostgresPlace) -> None:
    stores = [await schema_place.another() for _ in range(4)]
    took = await asyncio.gather(*(store.take_duty("tidy", HOUR, NOW) for store in stores * 5))
    assert took.count(True) == 1


async def test_pruning_waits_for_nobody(schema_place: PostgresPlace) -> None:
    """A row that somebody holds is left to the next round."""
    store = await schema_place.open()
    account = await account_in(store)
    one, other = await tracked(store, account), await tracked(store, account)
    for shipment in (one, other):
        await change_of(store, shipment)
    holder = await asyncpg.connect(schema_place.dsn)
    try:
        async with asyncio.timeout(5):
            async with holder.transaction():
                await holder.fetch("SELECT 1 FROM refresh_log WHERE shipment = $1 FOR UPDATE", one.id)
                assert await prune(store, NOW + DAY, Old.REFRESH) == 1
            assert await prune(store, NOW + DAY, Old.REFRESH) == 1
    finally:
        await holder.close()


async def test_several_that_prune_share_the_work(schema_place: PostgresPlace) -> None:
    """Each row is counted once, also in the sums of the ledger, while registering goes on."""
    stores = [await schema_place.another() for _ in range(3)]
    account = await account_in(stores[0], quota=100_000)
    for _ in range(4):
        await stores[0].register(account.id, [wanted() for _ in range(100)], NOW - 90 * DAY)
    registering = asyncio.gather(
        *(stores[0].register(account.id, [wanted() for _ in range(10)], NOW) for _ in range(10))
    )
    counts = await asyncio.gather(*(prune(store, NOW - 30 * DAY, Old.LEDGER, most=20) for store in stores))
    made = [one for answers in await registering for one in answers if isinstance(one, int)]
    assert sum(counts) + await prune(stores[0], NOW - 30 * DAY, Old.LEDGER) == 400
    assert sum((await schema_place.ledger(account.id)).values()) == 400 + len(made)


async def test_the_plans_of_pruning_use_an_index(schema_place: PostgresPlace) -> None:
    """Nothing that is pruned is sought through a whole table: read from the server's own plans."""
    from parcelwire.store.postgres import retention

    store = await schema_place.open()
    account = await account_in(store)
    shipment = await tracked(store, account)
    due = await store.claim_one(shipment.id, NOW + LEASE, "lease")
    assert due is not None
    await store.complete([refreshed(due.shipment, update(1), told=history(), raw=Reply(200, {}, b"raw"))])
    connection = await asyncpg.connect(schema_place.dsn)
    try:
        for other in ("seqscan", "bitmapscan", "sort"):  # tables are small here
            await connection.execute(f"SET enable_{other} = off")
        for old, statement in (retention._FORGET | retention._OLD_REGISTRATIONS).items():
            plan = await connection.fetch(f"EXPLAIN {statement}", 0, 10**15, 500)
            walks = [row[0] for row in plan if "Seq Scan" in row[0]]
            assert walks == [], old
            sorts = [row[0] for row in plan if "->  Sort" in row[0]]
            assert sorts == [] or old is Old.LEDGER, (
                "the few that were found may be sorted, all that there are not"
            )
    finally:
        await connection.close()


@pytest.mark.parametrize("before", [timedelta(0), DAY])
async def test_pruning_repeats_safely(store: Store, before: timedelta) -> None:
    account = await account_in(store)
    await change_of(store, await tracked(store, account))
    await prune(store, NOW + before, *Old)
    assert await prune(store, NOW + before, *Old) == 0
