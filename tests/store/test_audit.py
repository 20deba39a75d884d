"""The audit in every store: written with the change, in one unbroken chain, and tampering is seen."""

import asyncio
import sqlite3
from dataclasses import replace

import asyncpg
import pytest
from tests.store.conftest import Place, PostgresPlace
from tests.store.samples import (
    DAY,
    LOGIN_KEY,
    MINUTE,
    NOW,
    SECRET,
    SIGN_KEY,
    URL,
    account_in,
    receiver,
)

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.audit import OPERATOR, Deed, first_break
from parcelwire.domain.endpoint import NewEndpoint, Signal
from parcelwire.ports import Store

SECOND_KEY = "second-key-0002"


def deed(action: str, subject: str = "something", *fields: str) -> Deed:
    return Deed("cli", NOW, action, subject, fields)


async def actions(store: Store, account: int) -> list[str]:
    return [record.deed.action for record in (await store.chain(account)).records]


async def chained(store: Store, count: int = 5) -> Account:
    """An account with so many records."""
    account = await account_in(store)
    for n in range(count):
        await store.enter(account.id, deed(f"deed {n + 1}", f"account {account.id}", "plan", "quota_total"))
    return account


async def broken(store: Store, account: Account) -> str | None:
    return first_break(await store.chain(account.id))


async def test_every_change_by_the_owner_is_entered_with_it(store: Store) -> None:
    new = NewAccount("main", "free", 100, LOGIN_KEY, SIGN_KEY)
    account = await store.open_account(new, NOW, deed("open", "account main"))
    await store.save_account(replace(account, enabled=False), deed("save"))
    await store.add_key(account.id, SECOND_KEY, NOW, signs=True, deed=deed("add key"))
    await store.revoke_key(account.id, LOGIN_KEY[:8], NOW, deed("revoke"))
    await store.set_plan(account.id, "5", 5, deed("plan"))
    await store.set_sign_key(account.id, "another", deed("sign"))
    await store.set_endpoint(account.id, URL, SECRET, stopped_by_request=True, deed=deed("set"))
    made = await store.add_endpoint(account.id, NewEndpoint(URL, SECRET), deed("add", "webhook"))
    await store.steer_endpoint(account.id, made.id, Signal.PAUSE, NOW, deed("pause"))
    await store.rotate_secret(
        account.id, made.id, SECRET + "x", NOW + DAY, deed("rotate", "webhook", "secret")
    )
    await store.remove_endpoint(account.id, made.id, deed("remove"))
    chain = await store.chain(account.id)
    assert [record.deed.action for record in chain.records] == [
        "open", "save", "add key", "revoke", "plan", "sign", "set", "add", "pause", "rotate", "remove",
    ]  # fmt: skip
    assert [record.seq for record in chain.records] == list(range(1, 12))
    assert chain.records[7].deed.subject == f"webhook {made.id}"
    assert chain.records[9].deed == deed("rotate", "webhook", "secret")
    assert first_break(chain) is None


async def test_what_was_not_done_is_not_entered(store: Store) -> None:
    account = await account_in(store)
    await store.add_key(account.id, SECOND_KEY, NOW, signs=False)
    assert not await store.add_key(account.id, "third-key-0003", NOW, signs=False, deed=deed("add"))
    assert not await store.revoke_key(account.id, "nobodys!", NOW, deed("revoke"))
    assert not await store.remove_endpoint(account.id, 77, deed("remove"))
    assert not await store.rotate_secret(account.id, 77, SECRET, NOW, deed("rotate"))
    assert not await store.steer_endpoint(account.id, 77, Signal.PAUSE, NOW, deed("pause"))
    await receiver(store, account)
    (endpoint,) = await store.endpoints(account.id)
    assert await store.steer_endpoint(account.id, endpoint.id, Signal.RESUME, NOW, deed("resume"))
    assert await actions(store, account.id) == []
    assert await broken(store, account) is None


async def test_a_change_that_fails_leaves_no_record(store: Store) -> None:
    """A login key that somebody has already cannot be added."""
    account = await account_in(store)
    outcomes = await asyncio.gather(
        store.add_key(account.id, LOGIN_KEY, NOW, signs=False, deed=deed("add")),
        store.enter(account.id, deed("beside")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Exception)
    assert await actions(store, account.id) == ["beside"]
    assert await broken(store, account) is None


async def test_each_account_and_the_operator_have_chains_of_their_own(store: Store, place: Place) -> None:
    one = await chained(store, 3)
    other = await account_in(store, name="other", login_key="other-key-0001")
    await store.enter(OPERATOR, deed("restore"))
    await store.enter(other.id, deed("plan"))
    store = await place.open()
    assert await store.chains() == [OPERATOR, one.id, other.id]
    assert await actions(store, OPERATOR) == ["restore"]
    assert await actions(store, other.id) == ["plan"]
    assert (await store.chain(other.id)).records[0].before == b""


async def test_many_at_once_make_one_chain_without_gaps(store: Store) -> None:
    account = await account_in(store)
    await asyncio.gather(*(store.enter(account.id, deed(f"deed {n}")) for n in range(40)))
    chain = await store.chain(account.id)
    assert [record.seq for record in chain.records] == list(range(1, 41))
    assert first_break(chain) is None


async def test_processes_at_once_make_one_chain_without_gaps(schema_place: PostgresPlace) -> None:
    stores = await schema_place.open(), await schema_place.another()
    account = await account_in(stores[0])
    await asyncio.gather(
        *(
            stores[n % 2].set_plan(account.id, str(n), n, Deed("cli", NOW + n * MINUTE, "plan", f"to {n}"))
            for n in range(1, 41)
        )
    )
    chain = await stores[1].chain(account.id)
    assert [record.seq for record in chain.records] == list(range(1, 41))
    assert first_break(chain) is None
    (known,) = await stores[0].accounts()
    assert chain.records[-1].deed.subject == f"to {known.quota_total}"  # in the order of the commits


TAMPERED = {
    "a record changed": ("UPDATE audit SET actor = 'nobody' WHERE seq = 3", "record 3 was changed"),
    "a time changed": ("UPDATE audit SET at = at - 1 WHERE seq = 3", "record 3 was changed"),
    "a field hidden": ("UPDATE audit SET fields = 'plan' WHERE seq = 3", "record 3 was changed"),
    "a record moved elsewhere": ("UPDATE audit SET account = 99 WHERE seq = 3", "record 3 is missing"),
    "a record removed": ("DELETE FROM audit WHERE seq = 3", "record 3 is missing"),
    "the first removed": ("DELETE FROM audit WHERE seq = 1", "record 1 is missing"),
    "the tail cut": ("DELETE FROM audit WHERE seq > 3", "record 4 is missing, and all after it up to 5"),
    "all removed": ("DELETE FROM audit", "record 1 is missing, and all after it up to 5"),
    "the head removed": ("DELETE FROM audit_head", "the head is missing"),
    "the head changed": ("UPDATE audit_head SET seq = 6", "the head was changed"),
    "a copy appended": (
        """INSERT INTO audit SELECT account, 6, at, actor, action, subject, fields, before, mark FROM audit
        WHERE seq = 5""",
        "record 6 was changed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "told"), TAMPERED.values(), ids=list(TAMPERED))
async def test_tampering_is_seen_where_it_begins(store: Store, place: Place, sql: str, told: str) -> None:
    account = await chained(store)
    await place.tamper(sql)
    assert await broken(store, account) == told


async def test_records_in_another_order_are_seen(store: Store, place: Place) -> None:
    account = await chained(store)
    await place.tamper(
        "UPDATE audit SET seq = 99 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 99",
    )
    assert await broken(store, account) == "record 2 was changed"


async def test_a_cut_tail_is_seen_also_when_the_head_is_cut_back(store: Store, place: Place) -> None:
    """The mark of the record that shall be the last stands in the database; what proves a head does not."""
    account = await chained(store)
    await place.tamper(
        "DELETE FROM audit WHERE seq > 3",
        """UPDATE audit_head SET seq = 3,
        mark = (SELECT mark FROM audit WHERE audit.account = audit_head.account AND audit.seq = 3)""",
    )
    assert await broken(store, account) == "the head was changed"


async def test_a_chain_that_was_tampered_with_stays_broken(store: Store, place: Place) -> None:
    """Later records do not cover it up."""
    account = await chained(store)
    await place.tamper("UPDATE audit SET subject = 'x' WHERE seq = 2")
    await store.enter(account.id, deed("later"))
    assert await broken(store, account) == "record 2 was changed"


@pytest.mark.parametrize("sql", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
async def test_the_database_itself_refuses_to_change_records(store: Store, place: Place, sql: str) -> None:
    """Who wants to must take its guard away first."""
    account = await chained(store)
    with pytest.raises((sqlite3.IntegrityError, asyncpg.RaiseError), match="append-only"):
        await place.rows(sql)
    assert await broken(store, account) is None
