"""A backup holds everything but the secret key, and can be put back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.conftest import SqlitePlace, vault
from tests.store.samples import (
    account_in,
    change_of,
    jobs_due,
    receiver,
    sent,
    stored,
    tracked,
    update,
)

from parcelwire.domain.errors import ConfigError, StoreBroken
from parcelwire.ports import Examined
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.sqlite.backup import back_up, put_back
from parcelwire.store.sqlite.file import steps
from parcelwire.store.vault import MASTER_BYTES, Vault


async def test_what_was_committed_when_the_backup_was_made_is_there_after_the_restore(
    file: SqlitePlace, tmp_path: Path
) -> None:
    """The service writes on meanwhile; what came after the backup is gone, the old file is kept."""
    store = await file.open()
    account = await account_in(store)
    before = await tracked(store, account)
    copy = tmp_path / "copy.db"
    assert back_up(file.path, copy) == copy.stat().st_size
    after = await tracked(store, account)
    await file.close()
    aside = put_back(copy, file.path, vault())
    store = await file.open()
    assert (await stored(store, before)).number == before.number
    assert await store.find(account.id, [after.number]) == []
    assert aside is not None
    with closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT count(*) FROM shipment").fetchone() == (2,)


async def test_a_backup_is_one_file_that_only_its_owner_can_read(file: SqlitePlace, tmp_path: Path) -> None:
    await account_in(await file.open())
    (tmp_path / "there").mkdir()
    back_up(file.path, tmp_path / "there" / "copy.db")
    assert [made.name for made in (tmp_path / "there").iterdir()] == ["copy.db"]
    assert (tmp_path / "there" / "copy.db").stat().st_mode & 0o777 == 0o600


async def test_changes_that_happen_again_get_ids_of_their_own(file: SqlitePlace, tmp_path: Path) -> None:
    """Else an id that an endpoint has seen would come with another body."""
    store = await file.open()
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    back_up(file.path, tmp_path / "copy.db")
    await change_of(store, shipment, update(1))
    (lost,) = await jobs_due(store)
    await store.finish_pushes([sent(lost)])
    await file.close()
    put_back(tmp_path / "copy.db", file.path, vault())
    store = await file.open()
    await change_of(store, shipment, update(1, b"another"))
    (again,) = await jobs_due(store)
    assert again.version == lost.version
    assert again.id != lost.id


async def test_a_backup_is_never_written_over_anything(file: SqlitePlace, tmp_path: Path) -> None:
    await file.open()
    taken = tmp_path / "taken"
    taken.write_text("precious")
    with pytest.raises(ConfigError, match="give a name that is new"):
        back_up(file.path, taken)
    assert taken.read_text() == "precious"


async def test_a_restore_is_refused_while_the_service_runs(file: SqlitePlace, tmp_path: Path) -> None:
    await file.open()
    back_up(file.path, tmp_path / "copy.db")
    with pytest.raises(ConfigError, match="another process"):
        put_back(tmp_path / "copy.db", file.path, vault())


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "newer", "foreign", "missing"])
async def test_what_is_not_a_whole_backup_is_refused_and_nothing_is_touched(
    file: SqlitePlace, tmp_path: Path, damage: str
) -> None:
    await account_in(await file.open())
    copy = tmp_path / "copy.db"
    back_up(file.path, copy)
    await file.close()
    before = file.path.read_bytes()
    spoil(copy, damage)
    with pytest.raises(ConfigError):
        put_back(copy, file.path, vault())
    assert file.path.read_bytes() == before
    assert not list(Path(tmp_path).glob("*.replaced-*"))  # noqa: ASYNC240


def spoil(copy: Path, damage: str) -> None:
    if damage == "missing":
        copy.unlink()
    elif damage == "foreign":
        copy.unlink()
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("CREATE TABLE other (x)")
    elif damage == "newer":
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute(f"PRAGMA user_version = {steps()[-1][0] + 1}")
    else:
        data = copy.read_bytes()
        copy.write_bytes({"garbage": b"x" * len(data), "empty": b"", "cut": data[: len(data) // 2]}[damage])


async def test_a_backup_of_another_secret_key_is_refused(file: SqlitePlace, tmp_path: Path) -> None:
    await account_in(await file.open())
    back_up(file.path, tmp_path / "copy.db")
    await file.close()
    with pytest.raises(ConfigError, match="secret key"):
        put_back(tmp_path / "copy.db", file.path, Vault(b"\1" * MASTER_BYTES, bytes))


async def test_a_broken_file_says_how_to_put_a_backup_back(file: SqlitePlace) -> None:
    await account_in(await file.open(), quota=5)
    await file.close()
    data = file.path.read_bytes()
    file.path.write_bytes(data[:100] + b"\xa5" * (len(data) - 100))
    with pytest.raises(ConfigError, match="parcelwire restore FILE"):
        await file.open()


def break_table(path: Path, table: str) -> None:
    """One page in the middle of the file is overwritten: the first of a table or an index."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


async def test_damage_in_the_file_is_told_from_a_database_that_does_not_work_now(file: SqlitePlace) -> None:
    """It is told once, the store is not ready any more, and other tables can still be read."""
    store = await file.open()
    account = await account_in(store)
    shipment = await tracked(store, account)
    await file.close()
    break_table(file.path, "shipment")
    store = await file.open()
    told: list[str] = []
    store.on_damage(told.append)
    await store.ready()
    for _ in range(2):
        with pytest.raises(StoreBroken, match="parcelwire restore FILE"):
            await store.find(account.id, [shipment.number])
    assert len(told) == 1
    with pytest.raises(StoreBroken):
        await store.ready()
    assert await store.accounts() == [account]


async def test_an_examination_finds_a_damaged_page_nobody_has_read(file: SqlitePlace) -> None:
    store = await file.open()
    await account_in(store)
    assert await store.examine(60) == Examined("every page is whole")
    await file.close()
    break_table(file.path, "change")
    store = await file.open()
    assert "parcelwire restore FILE" in (await store.examine(60)).damage


async def test_an_examination_ends_in_time_and_says_that_it_is_not_whole(file: SqlitePlace) -> None:
    """Seconds of it, so that it is still under way on a busy machine when it is interrupted."""
    store = await file.open()
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("CREATE TABLE slow (size INTEGER CHECK (hex(zeroblob(size)) <> 'ff'))")
        connection.executemany("INSERT INTO slow VALUES (?)", [(1_000_000,)] * 5_000)
        connection.commit()
    assert (await store.examine(0.001)).seen.startswith("no damage in what there was time for")


def test_a_backup_of_a_newer_database_names_the_file_that_the_operator_knows(tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as connection:
        for _, script in steps():
            connection.executescript(script)
        connection.execute("INSERT INTO meta VALUES ('instance', 'new')")
        connection.execute("PRAGMA user_version = 99999")
        connection.commit()
    with pytest.raises(ConfigError, match=r"newer\.db was written by a newer parcelwire: use that one"):
        back_up(newer, tmp_path / "copy.db")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """It is probably a wrong setting, and nothing is made beside it."""
    page = tmp_path / "README.md"
    page.write_text("# Not a database, and longer than sixteen bytes")
    with pytest.raises(ConfigError, match=r"PARCELWIRE_DATABASE: .*README.md is not a SQLite database"):
        SqliteStore(page, vault())
    assert [made.name for made in tmp_path.iterdir()] == ["README.md"]


async def test_a_backup_of_every_older_schema_can_be_put_back(file: SqlitePlace, tmp_path: Path) -> None:
    """The next start brings it up to date."""
    for place, (version, _) in enumerate(steps(), 1):
        old = tmp_path / f"schema-{version}.db"
        with closing(sqlite3.connect(old)) as connection:
            for _, script in steps()[:place]:
                connection.executescript(script)
            connection.execute("INSERT INTO meta VALUES ('instance', 'old')")
            connection.execute(f"PRAGMA user_version = {version}")
            connection.commit()
        put_back(old, file.path, vault())
        store = await file.open()
        assert await store.accounts() == []
        await account_in(store)
        await file.close()
