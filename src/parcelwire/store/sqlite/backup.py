"""Copies of the file: made while the service runs, checked, and put back."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from parcelwire.domain.errors import ConfigError
from parcelwire.files import give_to_owner, take_after, why
from parcelwire.store.sqlite.file import FileLock, connect, steps
from parcelwire.store.sqlite.keys import adopt
from parcelwire.store.vault import Vault


def back_up(database: Path, target: Path) -> int:
    """Write everything that is committed now to one new file; answers its bytes.

    The service may run and write meanwhile. The secret key is not in the copy. ConfigError when it failed:
    then there is no file.
    """
    if not database.is_file():
        raise ConfigError(f"there is no database {database}")
    if target.exists():
        raise ConfigError(f"{target} exists: give a name that is new")
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        with closing(connect(database, reading=True)) as source:
            _copy(source, unfinished)
        examine(unfinished, database)
        unfinished.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot back up {database} to {target}: {why(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size


def put_back(backup: Path, database: Path, vault: Vault) -> Path | None:
    """Make ``database`` what the backup holds; answers where the file went that was there before.

    An older schema is brought up to date at the next start. Changes since the backup happen again under new
    push ids: an id must never come with two bodies. ConfigError before anything is touched when the service
    runs, the backup is broken or of a newer schema, or its secret key is another one.
    """
    lock = FileLock(database)
    unfinished = database.with_name(f"{database.name}.unfinished")
    try:
        examine(backup, backup)
        unfinished.unlink(missing_ok=True)
        with closing(_read_only(backup)) as source:
            adopt(source, vault)
            _copy(source, unfinished)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            copy.execute("UPDATE meta SET value = lower(hex(randomblob(8))) WHERE key = 'instance'")
        take_after(unfinished, database)
        aside = _move_aside(database)
        unfinished.replace(database)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot restore {backup} to {database}: {why(error)}") from error
    finally:
        unfinished.unlink(missing_ok=True)
        lock.release()
    return aside


def examine(backup: Path, told: Path) -> None:
    """ConfigError unless it is a whole database of ours that this program can read. ``told``: where what is
    in it came from."""
    if not backup.is_file():
        raise ConfigError(f"there is no file {backup}")
    try:
        with closing(_read_only(backup)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            have = connection.execute("PRAGMA user_version").fetchone()[0]
            ours = connection.execute("SELECT 1 FROM meta WHERE key = 'instance'").fetchone()
    except sqlite3.Error as error:
        raise ConfigError(f"{told} is not a whole parcelwire database: {error}") from error
    if found != "ok" or not ours:
        raise ConfigError(f"{told} is not a whole parcelwire database: {found}")
    if have > max(version for version, _ in steps()):
        raise ConfigError(f"{told} was written by a newer parcelwire: use that one")


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _copy(source: sqlite3.Connection, target: Path) -> None:
    """One snapshot in one file that only its owner can read, on disk when this returns."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    give_to_owner(target)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _move_aside(database: Path) -> Path | None:
    """The old file with its write-ahead log, under a name that is free."""
    if not database.exists():
        return None
    number = 1
    while (aside := database.with_name(f"{database.name}.replaced-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        old = database.with_name(database.name + suffix)
        if old.exists():
            old.replace(aside.with_name(aside.name + suffix))
    return aside
