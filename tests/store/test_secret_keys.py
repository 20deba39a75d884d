"""Another secret key, in every store: everything stays readable, nothing stays under the old one."""

import asyncio
from pathlib import Path

import pytest
from tests.store.conftest import MASTER, Place, PostgresPlace, SqlitePlace, vault
from tests.store.samples import (
    DAY,
    LOGIN_KEY,
    NOW,
    SECRET,
    SIGN_KEY,
    URL,
    account_in,
    receiver,
)

from parcelwire.domain.audit import Deed, first_break
from parcelwire.domain.endpoint import NewEndpoint
from parcelwire.domain.errors import ConfigError
from parcelwire.ports import Store
from parcelwire.store.keyfile import KeyFile
from parcelwire.store.sqlite.backup import back_up, put_back
from parcelwire.store.vault import Vault, sign_key_place

NEWER = bytes(range(1, 33))
ACCOUNTS = 7
VALUES = ACCOUNTS * 4 + 1  # signing key, secrets of two endpoints, the one before; and the root


async def filled(store: Store) -> None:
    """Accounts with every kind of encrypted value, and a record in the audit of each."""
    for n in range(ACCOUNTS):
        account = await account_in(store, name=f"a{n}", login_key=f"{LOGIN_KEY}-{n}")
        await receiver(store, account)
        made = await store.add_endpoint(account.id, NewEndpoint(URL, f"{SECRET}{n}"))
        done = Deed("cli", NOW, "webhook.rotate", "webhook")
        await store.rotate_secret(account.id, made.id, f"{SECRET}{n}new", NOW + DAY, done)


async def check(store: Store) -> None:
    """Everything reads as it was written."""
    for n, account in enumerate(await store.accounts()):
        assert await store.account_of_key(f"{LOGIN_KEY}-{n}") == account
        assert await store.sign_key(account.id) == SIGN_KEY
        first, second = await store.endpoints(account.id)
        assert (first.secret, first.secret_before) == (SECRET, None)
        assert (second.secret, second.secret_before) == (f"{SECRET}{n}new", f"{SECRET}{n}")
        assert first_break(await store.chain(account.id)) is None


async def test_all_values_come_under_the_new_key_and_the_old_one_can_go(store: Store, place: Place) -> None:
    await filled(store)
    place.keys = lambda: (NEWER, MASTER)
    store = await place.open()
    await check(store)
    assert [await store.reseal(10) for _ in range(4)] == [10, 10, VALUES - 20, 0]
    await check(store)
    place.keys = NEWER
    await check(await place.open())


async def test_with_the_old_key_alone_it_is_refused_afterwards(store: Store, place: Place) -> None:
    await filled(store)
    place.keys = lambda: (NEWER, MASTER)
    store = await place.open()
    await store.reseal(1000)
    place.keys = MASTER
    with pytest.raises(ConfigError, match="secret key"):
        await place.open()


async def test_a_rotation_that_was_cut_off_is_readable_and_goes_on(store: Store, place: Place) -> None:
    """Half of the values are under the new key; each process reads both."""
    await filled(store)
    place.keys = lambda: (NEWER, MASTER)
    store = await place.open()
    assert await store.reseal(ACCOUNTS + 3) == ACCOUNTS + 3
    store = await place.open()
    await check(store)
    assert await store.reseal(1000) == VALUES - ACCOUNTS - 3
    await check(store)


async def test_a_running_process_learns_of_the_new_key_from_another_one(
    schema_place: PostgresPlace, tmp_path: Path
) -> None:
    """It reads the key file again when it meets a value under a key that it does not know, and seals with the
    newest from then on."""
    file = KeyFile(tmp_path / "secret.key", bytes)
    assert file.make_first()
    file._random_bytes = lambda count: NEWER[:count]
    schema_place.keys = file.read
    running = await schema_place.open()
    await filled(running)
    other = await schema_place.another()
    file.add()
    assert await other.reseal(1000) == VALUES
    await check(running)
    (first, *_) = await running.accounts()
    await running.set_sign_key(first.id, SIGN_KEY)
    file.forget_older()
    assert await other.reseal(1000) == 0
    await check(other)
    await check(running)


async def test_what_is_changed_meanwhile_is_not_overwritten(store: Store, place: Place) -> None:
    await filled(store)
    place.keys = lambda: (NEWER, MASTER)
    store = await place.open()
    accounts = await store.accounts()

    async def rotate() -> None:
        while await store.reseal(2):
            pass

    async def change() -> None:
        for account in accounts:
            await store.set_sign_key(account.id, "changed meanwhile")

    await asyncio.gather(rotate(), change())
    assert {await store.sign_key(account.id) for account in accounts} == {"changed meanwhile"}
    assert await store.reseal(10) == 0


async def test_a_backup_from_before_is_restored_with_both_keys(file: SqlitePlace, tmp_path: Path) -> None:
    """The one that it was made with, and the one of today."""
    store = await file.open()
    await filled(store)
    back_up(file.path, tmp_path / "copy.db")
    await file.close()
    with pytest.raises(ConfigError, match="secret key"):
        put_back(tmp_path / "copy.db", file.path, vault(NEWER))
    put_back(tmp_path / "copy.db", file.path, vault(lambda: (NEWER, MASTER)))
    file.keys = lambda: (NEWER, MASTER)
    store = await file.open()
    await check(store)
    assert await store.reseal(1000) == VALUES
    file.keys = NEWER
    await check(await file.open())


async def test_a_database_from_before_keys_had_ids_is_read_and_brought_to_them(
    store: Store, place: Place
) -> None:
    """Its login keys work as before."""
    await filled(store)
    old = vault()
    for account in await store.accounts():
        sealed = old.seal(SIGN_KEY, sign_key_place(account.id))[8:]
        await set_sealed(place, account.id, sealed)
    await place.rows("DELETE FROM meta WHERE key = 'root'")
    if isinstance(place, PostgresPlace):
        mark = old.digest("the secret key of this database").hex()
        await place.rows("INSERT INTO meta VALUES ('key_check', $1)", mark)
    place.keys = NEWER
    with pytest.raises(ConfigError, match="secret key"):
        await place.open()
    place.keys = MASTER
    store = await place.open()
    await check(store)
    assert await store.reseal(1000) == ACCOUNTS
    await check(store)


async def set_sealed(place: Place, account: int, sealed: bytes) -> None:
    on_postgres = isinstance(place, PostgresPlace)
    statement = "UPDATE account SET sign_key = $1 WHERE id = $2"
    await place.rows(statement if on_postgres else statement.replace("$", "?"), sealed, account)


def test_a_key_file_is_private_and_a_half_written_one_is_never_seen(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "secret.key", lambda count: MASTER[:count])
    file.make_first()
    (tmp_path / "secret.key.new").write_text("what a crash has left")
    file.add()
    assert file.read() == (MASTER, MASTER)
    assert [item.name for item in tmp_path.iterdir()] == ["secret.key"]
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert not file.make_first()


@pytest.mark.parametrize("text", ["", "\n", "xyz\n", "00\n\n11 2"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str) -> None:
    file = KeyFile(tmp_path / "secret.key", bytes)
    file.path.write_text(text)
    with pytest.raises(ConfigError):
        Vault(file.read, bytes)
