"""From a SQLite file to PostgreSQL: everything arrives, also when it was interrupted."""

from dataclasses import replace
from random import Random

import pytest
from tests.store.conftest import PostgresPlace, SqlitePlace, vault
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    LOGIN_KEY,
    NOW,
    SECRET,
    URL,
    account_in,
    change_of,
    failed,
    history,
    jobs_due,
    receiver,
    refreshed,
    registered,
    sent,
    stop,
    tracked,
    update,
    wanted,
)

from parcelwire.domain.audit import Deed, first_break
from parcelwire.domain.detect import LearnedKey
from parcelwire.domain.endpoint import NewEndpoint, Wants
from parcelwire.domain.errors import ConfigError
from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import Lane
from parcelwire.domain.listing import Filter, Order
from parcelwire.domain.poison import Piece, Strike
from parcelwire.domain.push import Chosen, PushEvent
from parcelwire.domain.shipment import Shipment
from parcelwire.ports import Charge, Document, KeyedCall, Store
from parcelwire.store import moving
from parcelwire.store.moving import NOT_COPIED, TABLES, SqliteSource, move
from parcelwire.store.postgres import PostgresStore

NUMBERS = [f"MOVED{n:04}" for n in range(40)]
SOURCE = "seventeentrack"
WANTS = Wants((PushEvent.STOPPED,))


async def filled(file: SqlitePlace) -> int:
    """A row in every table, and what the second account has; answers the first one's id."""
    store = await file.open()
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other")
    for owner in (account, other):
        await receiver(store, owner)
        await store.register(owner.id, [wanted(name) for name in NUMBERS], NOW)
    dues = await store.claim("ups", 60, NOW, NOW + LEASE, "dead")
    for n, due in enumerate(dues[:30]):
        raw = Reply(200 if n % 3 else 503, {}, b"reply %d" % (n // 5))
        told = history("ups", f"Event {n}") if n % 3 else None
        document = Document(b'{"n":%d}' % n, b"null")
        await store.complete([refreshed(due.shipment, update(1), told=told, document=document, raw=raw)])
    jobs = await jobs_due(store)
    await store.finish_pushes(
        [sent(job) if n % 2 else failed(job, NOW, NOW + HOUR) for n, job in enumerate(jobs)]
    )
    shipment = await tracked(store, account)
    await store.change([stop(shipment)], NOW)
    await store.look_up(account.id, wanted("LOOKEDUP"), NOW)
    deleted = await tracked(store, account)
    await store.delete(account.id, [deleted.id])
    await store.charge(account.id, [Charge("held", 10, held=True), Charge("final", 1, held=False)], NOW)
    await store.add_endpoint(account.id, NewEndpoint(URL, SECRET, WANTS, compat=True, timeout_s=2.5))
    await store.rotate_secret(account.id, 1, "whsec_new", NOW + DAY)
    await store.begin_call(account.id, KeyedCall("register", "order-1", b"hash"), NOW)
    done = Deed("cli", NOW, "key.add", "key second-k")
    await store.add_key(account.id, "second-key-0002", NOW, signs=False, deed=done)
    held = await store.claim_one(shipment.id, NOW + LEASE, "learning")
    assert held is not None
    learned = ((LearnedKey("d11", "gls"), 1),)
    await store.complete([replace(refreshed(held.shipment), counts=learned)])
    await store.save_lane(Lane("ups", 1, NOW, NOW.date(), used=3), 0)
    await store.reserve(SOURCE, [((NUMBERS[0], "ups"), 1)], None, NOW)
    await store.saved(SOURCE, "shared", [(1, "a")], NOW)
    await store.keep_inbound(SOURCE, b"pushed", NOW)
    await store.strike([Piece(shipment.id)], Strike.ERROR, "KeyError", NOW)
    await file.close()
    return account.id


async def shown(store: Store, account: int) -> list[object]:
    """All that the port shows of an account."""
    found = await store.find(account, [*NUMBERS, "LOOKEDUP"])
    page = await store.list_page(account, Filter(), Order(), 0, 100)
    return [
        await store.accounts(), await store.account_of_key(LOGIN_KEY), await store.endpoint(account),
        await store.usage(account, NOW), found, page, await store.lanes(), await store.lane("ups"),
        [await store.attempts(shipment.id, 9) for shipment, _ in found], await store.pushes_due(),
        await store.spent(SOURCE, NOW), await store.bought(SOURCE, NUMBERS), await store.inbox(),
        await store.endpoints(account), await store.keys(account), await store.learned(account),
        await store.feed(account, 0, 999), await store.feed_ends(account), await store.push_counts(account),
        await store.push_log(account, Chosen(), 999), await store.sign_key(account),
        await store.claim_inbound(9, NOW + HOUR, NOW + 2 * HOUR), await store.told("ups", NUMBERS, NOW - DAY),
        await store.suspects(),
    ]  # fmt: skip


async def moved(file: SqlitePlace, place: PostgresPlace) -> dict[str, int]:
    source = SqliteSource(file.path)
    try:
        store = await PostgresStore.open(place.dsn, vault(), Random(2).random, moving_from=source.instance)
        try:
            return await move(source, store, lambda *_: None)
        finally:
            await store.close()
    finally:
        source.close()


async def test_everything_arrives(file: SqlitePlace, schema_place: PostgresPlace) -> None:
    account = await filled(file)
    counts = await moved(file, schema_place)
    before = await file.open()
    here = await shown(before, account)
    await file.close()
    after = await schema_place.open()
    assert await shown(after, account) == here
    assert {table: count for table, count in counts.items() if not count} == {}
    chain = await after.chain(account)
    assert (len(chain.records), first_break(chain)) == (1, None)
    assert await schema_place.ledger(account) == {"2026-05": 53}


async def test_the_service_goes_on_with_new_ids_and_no_push_twice(
    file: SqlitePlace, schema_place: PostgresPlace
) -> None:
    account = await filled(file)
    await moved(file, schema_place)
    store = await schema_place.open()
    (shipment,) = await registered(store, account, [wanted()], NOW)
    assert isinstance(shipment, Shipment)
    ((newest,),) = await schema_place.rows("SELECT max(id) FROM shipment WHERE id <> $1", shipment.id)
    assert shipment.id > newest + 1  # the deleted one's id is not given again
    known = {row[0] for row in await schema_place.rows("SELECT id FROM push")}
    _, newest_cursor = await store.feed_ends(account)
    ((last_cursor,),) = await schema_place.rows("SELECT max(id) FROM change")  # of whatever account
    await change_of(store, shipment, update(1))
    new = await schema_place.rows("SELECT id FROM push WHERE shipment = $1", shipment.id)
    assert len(new) == 1
    assert new[0][0] not in known
    assert [item.cursor for item in await store.feed(account, newest_cursor, 9)] == [last_cursor + 1]
    assert (await store.list_page(account, Filter(), Order(), 0, 1)).total == len(NUMBERS) + 2


async def test_an_interrupted_copy_goes_on_and_is_not_used_before_its_end(
    file: SqlitePlace, schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await filled(file)
    monkeypatch.setattr(moving, "BATCH", 7)
    copied = moving._copy
    for batches in (0, 1, 9, 20):
        left = [batches]

        async def breaks(c: object, again: bool, *, left: list[int] = left, **rest: object) -> None:
            if not left[0]:
                raise LookupError
            left[0] -= 1
            await copied(c, again, **rest)  # type: ignore[arg-type]

        monkeypatch.setattr(moving, "_copy", breaks)
        with pytest.raises(LookupError):
            await moved(file, schema_place)
        with pytest.raises(ConfigError, match="migrate-store again"):
            await schema_place.open()
    monkeypatch.setattr(moving, "_copy", copied)
    await moved(file, schema_place)
    before = await file.open()
    here = await shown(before, account)
    await file.close()
    assert await shown(await schema_place.open(), account) == here


async def test_a_row_that_differs_is_found_and_the_database_not_released(
    file: SqlitePlace, schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(file)
    compare = moving._compare

    async def spoiled(source: SqliteSource, store: PostgresStore, table: moving.Table) -> int:
        await schema_place.rows("UPDATE refresh_log SET ms = 77 WHERE id = 3")
        return await compare(source, store, table)

    monkeypatch.setattr(moving, "_compare", spoiled)
    with pytest.raises(ConfigError, match="refresh_log differs"):
        await moved(file, schema_place)
    with pytest.raises(ConfigError, match="migrate-store again"):
        await schema_place.open()


async def test_a_database_in_use_is_not_written_into(file: SqlitePlace, schema_place: PostgresPlace) -> None:
    await filled(file)
    store = await schema_place.open()
    await account_in(store)
    with pytest.raises(ConfigError, match="an empty one"):
        await moved(file, schema_place)
    await moved_nothing(schema_place)


async def moved_nothing(place: PostgresPlace) -> None:
    assert await place.rows("SELECT count(*) FROM shipment") == [(0,)]
    assert await place.rows("SELECT count(*) FROM meta WHERE key = 'moving_from'") == [(0,)]


async def test_a_file_in_use_is_not_copied(file: SqlitePlace, schema_place: PostgresPlace) -> None:
    await file.open()
    with pytest.raises(ConfigError, match="another process"):
        SqliteSource(file.path)


async def test_no_table_of_the_file_is_forgotten(file: SqlitePlace) -> None:
    await file.open()
    names = await file.rows(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {name for (name,) in names} - NOT_COPIED <= {table.name for table in TABLES}


async def test_no_column_of_the_target_is_forgotten(schema_place: PostgresPlace) -> None:
    """Except those that it fills by itself."""
    await schema_place.open()
    rows = await schema_place.rows(
        """SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name NOT IN ('meta', 'upstream')"""
    )
    copied = {(table.name, column) for table in TABLES for column in table.columns}
    by_itself = {("account", "listed")}
    by_itself |= {("listing", column) for column in ("account", "register_at", "shipment", "kind")}
    by_itself |= {("listed_count", column) for column in ("account", "kind", "id", "n")}
    assert set(rows) - copied == by_itself


def test_a_lost_or_changed_row_changes_the_sum() -> None:
    rows = [(1, "a", None), (2, b"b", True)]
    sums = []
    for some in (rows, rows[:1], [(1, "a", None), (2, b"c", True)], rows[::-1]):
        total = moving.Sum()
        total.add(some)
        sums.append((total.count, total.digest))
    assert sums[0] == sums[3]
    assert len(set(sums)) == 3
