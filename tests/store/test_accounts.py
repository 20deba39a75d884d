"""Accounts and their login keys, in every store."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network

from tests.store.conftest import Place
from tests.store.samples import (
    LOGIN_KEY,
    MINUTE,
    NOW,
    SIGN_KEY,
    account_in,
    change_of,
    jobs_due,
    receiver,
    tracked,
    update,
)

from parcelwire.domain.account import NewAccount
from parcelwire.ports import Store

SECOND, THIRD = "second-key-0002", "third-key-0003"


async def test_two_keys_are_live_at_most_and_a_revoked_one_never_comes_back(store: Store) -> None:
    """Also the first one can go: a lost key is replaced without it."""
    account = await account_in(store)
    assert await store.add_key(account.id, SECOND, NOW + MINUTE, signs=False)
    assert not await store.add_key(account.id, THIRD, NOW + MINUTE, signs=False)
    assert await store.account_of_key(LOGIN_KEY) == await store.account_of_key(SECOND) == account
    assert await store.account_of_key(THIRD) is None
    assert await store.revoke_key(account.id, LOGIN_KEY[:8], NOW + 2 * MINUTE)
    assert not await store.revoke_key(account.id, LOGIN_KEY[:8], NOW + 3 * MINUTE)
    assert await store.account_of_key(LOGIN_KEY) is None
    assert await store.account_of_key(SECOND) == account
    assert await store.add_key(account.id, THIRD, NOW + 3 * MINUTE, signs=False)
    assert [(key.prefix, key.revoked_at) for key in await store.keys(account.id)] == [
        (LOGIN_KEY[:8], NOW + 2 * MINUTE), (SECOND[:8], None), (THIRD[:8], None),
    ]  # fmt: skip
    await store.revoke_key(account.id, SECOND[:8], NOW + 4 * MINUTE)
    (outcome,) = await asyncio.gather(
        store.add_key(account.id, LOGIN_KEY, NOW + 5 * MINUTE, signs=False), return_exceptions=True
    )
    assert isinstance(outcome, Exception)
    assert await store.account_of_key(LOGIN_KEY) is None


async def test_thirty_at_once_add_two_keys_at_most(store: Store) -> None:
    account = await account_in(store)
    adding = [store.add_key(account.id, f"{n:08}-key", NOW, signs=False) for n in range(30)]
    assert sum(await asyncio.gather(*adding)) == 1


async def test_a_key_of_one_account_is_not_revoked_through_another(store: Store) -> None:
    one = await account_in(store)
    other = await account_in(store, name="other", login_key="other-key-0001")
    assert not await store.revoke_key(other.id, LOGIN_KEY[:8], NOW)
    assert await store.account_of_key(LOGIN_KEY) == one


async def test_a_new_key_signs_only_when_it_is_told_to(store: Store) -> None:
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1))
    await store.add_key(account.id, SECOND, NOW, signs=False)
    (before,) = await jobs_due(store, NOW)
    assert before.sign_key == SIGN_KEY
    await store.revoke_key(account.id, SECOND[:8], NOW)
    assert await store.add_key(account.id, THIRD, NOW, signs=True)
    (after,) = await jobs_due(store, NOW + 10 * MINUTE)
    assert after.sign_key == THIRD


async def test_a_listing_tells_which_key_signs(store: Store) -> None:
    """None when the signing key is no login key; the one that was made to sign, also when it is revoked; and
    each account has its own."""
    account = await account_in(store)
    other = await account_in(store, name="other", login_key="other-key-0001")
    assert [key.signs for key in await store.keys(account.id)] == [False]
    await store.add_key(account.id, SECOND, NOW + MINUTE, signs=True)
    assert [key.signs for key in await store.keys(account.id)] == [False, True]
    await store.revoke_key(account.id, SECOND[:8], NOW + MINUTE)
    assert [key.signs for key in await store.keys(account.id)] == [False, True]
    await store.set_sign_key(account.id, LOGIN_KEY)
    assert [key.signs for key in await store.keys(account.id)] == [True, False]
    assert [key.signs for key in await store.keys(other.id)] == [False]


async def test_limits_of_an_account_are_kept_with_it(store: Store, place: Place) -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    new = NewAccount("shop", "free", 100, LOGIN_KEY, "sign", max_daily=5, networks=networks)
    account = await store.open_account(new, NOW)
    assert (account.max_daily, account.networks, account.enabled) == (5, networks, True)
    changed = replace(account, max_daily=7, networks=networks[:1], enabled=False)
    await store.save_account(changed)
    store = await place.open()
    assert await store.accounts() == [changed]
    assert await store.account_of_key(LOGIN_KEY) == changed


async def test_a_counter_that_is_not_the_sum_of_its_ledger_is_found(store: Store, place: Place) -> None:
    account = await account_in(store)
    await tracked(store, account)
    assert await store.ledger_errors() == []
    await place.rows("UPDATE quota_used SET units = 5")
    assert await store.ledger_errors() == [(account.id, "2026-05", 5, 1)]
