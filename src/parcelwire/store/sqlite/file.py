"""The file: who may use it, how it is opened, how its schema is brought up to date."""

import os
import shutil
import sqlite3
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from parcelwire.domain.errors import ConfigError, StoreBroken, StoreUnavailable
from parcelwire.files import give_to_owner, take_after, why
from parcelwire.ports import Examined

MAGIC = b"SQLite format 3\0"
CURE = "put a backup back with: parcelwire restore FILE"
STATEMENTS = 256  # prepared statements kept by a connection
# Pages that the writer keeps in memory, once it needs them: the upper pages of the trees of three million
# shipments. The default of 2 MB is read again and again from a hundred thousand on.
CACHE_KB = 65_536


class FileLock:
    """Keeps a second process off a database file. The lock file tells who holds it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        try:
            self._file: BinaryIO = self._path.open("a+b")
        except OSError as error:
            raise ConfigError(f"cannot write {why(error)}") from None
        try:
            _lock(self._file)
        except OSError:
            self._file.seek(0)
            holder = self._file.read(32).decode(errors="replace").strip() or "unknown"
            self._file.close()
            raise ConfigError(
                f"another process (pid {holder}) uses {database}: stop it, or give this one its own "
                "PARCELWIRE_DATABASE"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n".encode())
        self._file.flush()
        give_to_owner(self._path)

    def release(self) -> None:
        """Let others in."""
        self._file.close()


def check_free(path: Path) -> None:
    """ConfigError when another process uses the file, or when it is no database."""
    check_kind(path)
    if path.exists():
        FileLock(path).release()


def _lock(file: BinaryIO) -> None:
    if os.name == "nt":
        import msvcrt

        file.seek(64)  # past the pid, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def connect(path: Path, *, reading: bool = False) -> sqlite3.Connection:
    """A connection of the writer, or one that only reads."""
    try:
        new = not path.exists()
        path.touch(mode=0o600)  # numbers and orders are nobody else's business
        if new:
            give_to_owner(path)
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS, timeout=10
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if reading:
            # Only the writing connection checkpoints: a race in old SQLite versions needs a second one.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return connection


def check_kind(path: Path) -> None:
    """ConfigError for a file that holds something else than a database, before anything is made beside it."""
    if path.exists():
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if start and start != MAGIC:
            raise ConfigError(
                f"PARCELWIRE_DATABASE: {path} is not a SQLite database. If it was one, the file is broken: "
                f"{CURE}"
            )


def unusable(path: Path, error: sqlite3.Error) -> ConfigError:
    """Why a file cannot be opened, and what to do when it is broken."""
    cure = f". The file is broken: {CURE}" if _is_damage(error) else ""
    return ConfigError(f"cannot open the database {path}: {error}{cure}")


def failure(what: str, error: sqlite3.Error) -> StoreUnavailable:
    """What the caller of the store is told."""
    if _is_damage(error):
        failed: StoreUnavailable = StoreBroken(f"the database file is broken ({error}): {CURE}")
    else:
        failed = StoreUnavailable(f"{what}: {error}")
    failed.__cause__ = error
    return failed


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def examine(connection: sqlite3.Connection) -> Examined:
    """Every page, unless somebody interrupts the connection."""
    try:
        found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return Examined("no damage in what there was time for; parcelwire backup examines every page")
        if not _is_damage(error):
            raise failure("the database cannot be read", error) from error
        found = str(error)
    if found == "ok":
        return Examined("every page is whole")
    return Examined(damage=f"the database file is broken ({found}): {CURE}")


def steps() -> list[tuple[int, str]]:
    """The migrations, oldest first: the number in the file name is the schema version that it makes."""
    folder = resources.files("parcelwire.store").joinpath("migrations/sqlite")
    return sorted(
        (int(item.name.partition("_")[0]), item.read_text(encoding="utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".sql")
    )


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, one transaction a step; a copy of an older file is kept beside it."""
    known = steps()
    newest = max(version for version, _ in known)
    have = connection.execute("PRAGMA user_version").fetchone()[0]
    if have > newest:
        raise ConfigError(
            f"{path} was written by a newer parcelwire (schema {have}, this one knows {newest}): "
            "use the newer program, or restore the copy that it made before it changed the file"
        )
    if 0 < have < newest:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        kept = path.with_name(f"{path.name}.schema-{have}")
        shutil.copy(path, kept)
        take_after(kept, path)
    connection.execute("PRAGMA foreign_keys = OFF")  # else no table that others refer to could be made anew
    for version, script in known:
        if version <= have:
            continue
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
        except sqlite3.Error as error:
            raise ConfigError(f"cannot bring {path} to schema {version}: {error}") from error
    connection.execute("PRAGMA foreign_keys = ON")


def instance(connection: sqlite3.Connection) -> str:
    """A random name of this database: part of every push id."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('instance', lower(hex(randomblob(8))))")
    row: tuple[str] = connection.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
    return row[0]


def release_leases(connection: sqlite3.Connection) -> None:
    """This process owns the file, so every lease is one of a process that died: all of it is due now."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        """UPDATE shipment SET lease = NULL, refresh_at = iif(refresh_at IS NULL, NULL, 0)
        WHERE lease IS NOT NULL"""
    )
    connection.execute("UPDATE inbox SET claimed_until = NULL WHERE state = 'waiting'")
    connection.execute(
        "UPDATE endpoint SET due_at = 0 WHERE id IN (SELECT endpoint FROM push WHERE lease IS NOT NULL)"
    )  # not later than its next push; the next claim sets it right
    connection.execute("UPDATE push SET lease = NULL, send_at = created_at WHERE lease IS NOT NULL")
    connection.execute("COMMIT")
