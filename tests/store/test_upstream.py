"""What every store must keep of an upstream: what was bought, the ledger, the cap, and the inbox."""

import asyncio
from dataclasses import replace

from tests.store.conftest import Place, PostgresPlace
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    SECOND,
    account_in,
    history,
    prune,
    refreshed,
    registered,
    tracked,
    wanted,
)

from parcelwire.domain.shipment import Shipment
from parcelwire.ports import InboxState, Old, ParkedInbound, Spent, Store

SOURCE = "seventeentrack"
ONE, TWO, THREE = ("A1", "ups"), ("A2", "ups"), ("A1", "usps")
NOTHING = Spent(0, 0, 0, 0, 0, 0)


async def test_a_pair_is_reserved_bought_and_counted_once(store: Store) -> None:
    """Carrier and number make a pair; reserving it again costs nothing more."""
    assert await store.reserve(SOURCE, [(ONE, 7), (THREE, 8)], None, NOW) == {ONE, THREE}
    assert (await store.spent(SOURCE, NOW)).begun == 2
    assert await store.reserve(SOURCE, [(ONE, 9)], None, NOW) == {ONE}
    await store.settle_reserved(SOURCE, [ONE, THREE], [], NOW)
    await store.settle_reserved(SOURCE, [ONE, THREE], [], NOW + HOUR)
    assert await store.spent(SOURCE, NOW) == replace(NOTHING, registered=2, known=2)
    rows = {row.pair: row for row in await store.bought(SOURCE, ["A1", "A2"])}
    assert set(rows) == {ONE, THREE}
    assert (rows[ONE].buyer, rows[ONE].registered_at) == (7, NOW)


async def test_what_was_refused_gives_its_unit_back(store: Store) -> None:
    await store.reserve(SOURCE, [(ONE, 1), (TWO, 2)], 2, NOW)
    await store.settle_reserved(SOURCE, [ONE], [TWO], NOW)
    assert await store.spent(SOURCE, NOW) == replace(NOTHING, registered=1, known=1)
    assert await store.reserve(SOURCE, [(("A9", "ups"), 3)], 2, NOW) == {("A9", "ups")}


async def test_the_cap_holds_over_months_and_over_calls_at_the_same_time(store: Store) -> None:
    """Begun registrations count: their outcome may be that they were bought."""
    wanted = [[((f"N{call}{item}", "ups"), item) for item in range(5)] for call in range(6)]
    granted = await asyncio.gather(*(store.reserve(SOURCE, items, 12, NOW) for items in wanted))
    bought = set().union(*granted)
    assert len(bought) == 12
    await store.settle_reserved(SOURCE, list(bought), [], NOW)
    assert await store.reserve(SOURCE, [(ONE, 1)], 12, NOW + HOUR) == set()
    assert await store.reserve(SOURCE, [(ONE, 1)], 12, NOW + 40 * DAY) == {ONE}


async def test_real_time_units_share_the_cap_and_can_be_given_back(store: Store) -> None:
    assert await store.spend(SOURCE, 10, "a", 15, NOW)
    assert not await store.spend(SOURCE, 10, "b", 15, NOW)
    assert await store.spend(SOURCE, -10, "a/back", None, NOW)
    assert await store.spend(SOURCE, 10, "b", 15, NOW)
    assert (await store.spent(SOURCE, NOW)).real_time == 10


async def test_a_saving_counts_once(store: Store) -> None:
    for _ in range(2):
        await store.saved(SOURCE, "shared", [(1, "4"), (1, "5")], NOW)
    await store.saved(SOURCE, "fresh", [(7, "turn")], NOW)
    spent = await store.spent(SOURCE, NOW)
    assert (spent.shared, spent.fresh, spent.registered) == (2, 7, 0)


async def test_a_forgotten_pair_can_be_bought_again_and_both_are_in_the_ledger(store: Store) -> None:
    for days in range(2):
        await store.reserve(SOURCE, [(ONE, 1)], None, NOW + days * HOUR)
        await store.settle_reserved(SOURCE, [ONE], [], NOW + days * HOUR)
        await store.forget_bought(SOURCE, [ONE])
    assert await store.spent(SOURCE, NOW) == replace(NOTHING, registered=2)


async def test_what_was_bought_is_there_after_a_restart(place: Place) -> None:
    store = await place.open()
    await store.reserve(SOURCE, [(ONE, 1), (TWO, 2)], None, NOW)
    await store.settle_reserved(SOURCE, [ONE], [], NOW)
    await store.upstream_stopped(SOURCE, ONE, NOW + HOUR)
    store = await place.open()
    rows = {row.pair: row for row in await store.bought(SOURCE, ["A1", "A2"])}
    assert (rows[ONE].registered_at, rows[ONE].stopped_at) == (NOW, NOW + HOUR)
    assert rows[TWO].registered_at is None
    assert await store.spent(SOURCE, NOW) == replace(NOTHING, registered=1, begun=1, known=1)


async def test_a_source_that_is_given_up_is_remembered_with_the_result(store: Store) -> None:
    """In the same transaction as the new lane; a reservation later does not lose it."""
    account = await account_in(store)
    shipment = await tracked(store, account)
    due = await store.claim_one(shipment.id, NOW + LEASE, "one")
    assert due is not None
    moved = refreshed(replace(due.shipment, lane=SOURCE))
    await store.complete([replace(moved, given_up="ups did not know it")])
    pair = shipment.number, shipment.carrier
    await store.reserve(SOURCE, [(pair, shipment.id)], None, NOW)
    (row,) = await store.bought(SOURCE, [shipment.number])
    assert (row.pair, row.given_up, row.registered_at) == (pair, "ups did not know it", None)
    assert (await store.shipments_of(shipment.number))[0].lane == SOURCE


async def test_what_was_told_to_any_account_is_found_the_newest_first(store: Store) -> None:
    """Only what this source told, and only what is not older than asked for."""
    number = "1Z999AA10123456784"
    shipments = []
    for index in range(3):
        account = await account_in(store, name=f"shop-{index}", login_key=f"login-key-{index}")
        (shipment,) = await registered(store, account.id, [wanted(number)], NOW)
        assert isinstance(shipment, Shipment)
        shipments.append(shipment)
    for hours, (shipment, name) in enumerate(
        zip(shipments, (f"{SOURCE}/100002", "ups", f"{SOURCE}/100002"), strict=True)
    ):
        due = await store.claim_one(shipment.id, NOW + LEASE, "one")
        assert due is not None
        at = NOW + hours * HOUR
        await store.complete([refreshed(due.shipment, told=history(name, "A"), at=at)])
    told = await store.told(SOURCE, [number], NOW)
    assert [item.shipment.id for item in told] == [shipments[2].id, shipments[0].id]
    assert [history.source for history in told[0].histories] == [f"{SOURCE}/100002"]
    assert [item.shipment.id for item in await store.told(SOURCE, [number], NOW + HOUR)] == [shipments[2].id]
    assert {item.id for item in await store.shipments_of(number)} == {item.id for item in shipments}


# --- the inbox --------------------------------------------------------------------------------------------


async def test_the_same_bytes_are_kept_once_by_source(store: Store) -> None:
    assert await store.keep_inbound(SOURCE, b"body", NOW)
    assert not await store.keep_inbound(SOURCE, b"body", NOW + DAY)
    assert await store.keep_inbound("other", b"body", NOW)
    assert await store.keep_inbound(SOURCE, b"body ", NOW)
    assert await store.inbox() == {InboxState.WAITING: 3}


async def test_waiting_pushes_come_in_order_and_go_when_they_are_finished(place: Place) -> None:
    store = await place.open()
    for body in (b"a", b"b", b"c"):
        await store.keep_inbound(SOURCE, body, NOW)
    store = await place.open()
    first, second = await store.claim_inbound(2, NOW, NOW + LEASE)
    assert [first.body, second.body] == [b"a", b"b"]
    assert (first.source, first.at) == (SOURCE, NOW)
    await store.finish_inbound(second.id, InboxState.PARKED, "unreadable")
    assert [item.body for item in await store.claim_inbound(9, NOW, NOW + LEASE)] == [b"c"]
    assert await store.claim_inbound(9, NOW + SECOND, NOW + LEASE + SECOND) == []
    later = NOW + LEASE  # whoever claimed them has died
    assert [item.body for item in await store.claim_inbound(9, later, later + LEASE)] == [b"a", b"c"]
    back = NOW - DAY  # a clock that was ahead claimed them
    assert [item.body for item in await store.claim_inbound(9, back, back + LEASE)] == [b"a", b"c"]
    assert await store.inbox() == {InboxState.WAITING: 2, InboxState.PARKED: 1}


async def test_a_parked_push_is_listed_shown_and_released(store: Store) -> None:
    """Only what is parked can be released; what waits again is claimed again."""
    for body in (b"a", b"b", b"c"):
        await store.keep_inbound(SOURCE, body, NOW)
    first, second, third = await store.claim_inbound(9, NOW, NOW + LEASE)
    await store.finish_inbound(first.id, InboxState.PARKED, "unreadable")
    await store.finish_inbound(second.id, InboxState.PARKED, "needs a human")
    await store.finish_inbound(third.id, InboxState.DONE, "")
    parked = [
        ParkedInbound(first.id, SOURCE, NOW, "unreadable"),
        ParkedInbound(second.id, SOURCE, NOW, "needs a human"),
    ]
    assert await store.parked_inbound(9) == parked
    assert await store.parked_inbound(1) == parked[:1]
    assert await store.inbound_body(second.id) == b"b"
    assert await store.inbound_body(second.id + 1000) is None
    assert await store.release_inbound([first.id, third.id, 77], InboxState.WAITING, "") == 1
    assert [item.body for item in await store.claim_inbound(9, NOW, NOW + LEASE)] == [b"a"]
    assert await store.release_inbound([second.id], InboxState.DONE, "dismissed") == 1
    assert await store.parked_inbound(9) == []
    assert await store.inbox() == {InboxState.WAITING: 1, InboxState.DONE: 2}


async def test_several_processes_share_the_inbox(schema_place: PostgresPlace) -> None:
    """Each push is processed by one of them."""
    stores = [await schema_place.another() for _ in range(4)]
    for n in range(30):
        await stores[0].keep_inbound(SOURCE, b"%d" % n, NOW)
    claims = await asyncio.gather(*(store.claim_inbound(5, NOW, NOW + LEASE) for store in stores * 2))
    ids = [item.id for items in claims for item in items]
    assert len(ids) == len(set(ids)) == 30


async def test_a_digest_is_kept_as_long_as_the_inbox_and_what_waits_for_ever(store: Store) -> None:
    """Only the digest tells that a push is sent again."""
    for body in (b"a", b"b"):
        await store.keep_inbound(SOURCE, body, NOW)
    (first, _) = await store.claim_inbound(10, NOW, NOW + LEASE)
    await store.finish_inbound(first.id, InboxState.DONE, "")
    assert await prune(store, NOW, Old.INBOX) == 0
    assert not await store.keep_inbound(SOURCE, b"a", NOW + 89 * DAY)
    assert await prune(store, NOW + SECOND, Old.INBOX) == 1
    assert await store.keep_inbound(SOURCE, b"a", NOW + 91 * DAY)
    assert not await store.keep_inbound(SOURCE, b"b", NOW + 91 * DAY)
