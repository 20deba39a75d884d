"""From a SQLite file to a PostgreSQL database: every table in batches, each with the place that it ends at.

So an interrupted copy goes on where it was. At the end both sides are read again: counts and hashes of all
rows must agree before the database may be used.
"""

import ast
import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from parcelwire.domain.errors import ConfigError
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.postgres.endpoints import ENDPOINT
from parcelwire.store.postgres.pool import Connection, Pool
from parcelwire.store.rows import SHIPMENT
from parcelwire.store.sqlite import file, keys
from parcelwire.store.vault import Vault

BATCH = 2_000  # rows in one transaction
_PLACE = "moved/"  # + table, in meta: the key of the last row that was copied
_HASH_BYTES = 16

Tell = Callable[[str, int, int], None]  # table, rows copied, rows in all


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the target. ``source``: where its columns come from; ``key``: in which order."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    source: str = ""
    booleans: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return self.source or self.name


_OF_SHIPMENT = "{0} JOIN (SELECT id AS owned, account FROM shipment) ON owned = {0}.shipment"
_PUSHES = "(SELECT p.*, c.account FROM push p JOIN change c ON c.id = p.change)"
_FEED = """(
  SELECT id AS account, forgotten,
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0) AS newest
  FROM account
)"""
TABLES = (
    Table(
        "account",
        (
            "id", "name", "plan", "quota_total", "day", "registered_today", "max_daily", "enabled",
            "sign_key", "networks",
        ),
        ("id",),
        booleans=("enabled",),
    ),
    Table("api_key", ("account", "hash", "prefix", "created_at", "revoked_at"), ("account", "hash")),
    Table(
        "kept_answer",
        ("account", "endpoint", "key", "body_hash", "at", "answer"),
        ("account", "endpoint", "key"),
    ),
    Table("learned", ("account", "shape", "carrier", "count", "at"), ("account", "shape", "carrier")),
    Table(
        "endpoint",
        ENDPOINT,
        ("id",),
        booleans=("stopped_by_request", "compat", "by_setting", "several"),
    ),
    # Cursors were counted over all accounts: each goes on behind the last one that was ever given.
    Table("feed", ("account", "newest", "forgotten"), ("account",), _FEED),
    Table("change", ("account", "id", "shipment", "version", "at", "event", "body"), ("id",)),
    Table("shipment", SHIPMENT, ("id",)),
    Table(
        "document",
        ("shipment", "account", "template", "estimate"),
        ("shipment",),
        _OF_SHIPMENT.format("document"),
    ),
    Table(
        "source_report",
        ("shipment", "account", "source", "history", "raw"),
        ("shipment", "source"),
        _OF_SHIPMENT.format("source_report"),
    ),
    Table(
        "raw_reply",
        ("account", "hash", "at", "http_status", "body"),
        ("account", "hash"),
        "raw_owner JOIN raw_reply USING (hash)",
    ),
    Table(
        "refresh_log",
        ("shipment", "id", "account", "at", "lane", "outcome", "ms", "text", "raw"),
        ("id",),
        _OF_SHIPMENT.format("refresh_log"),
    ),
    Table(
        "push",
        (
            "id", "account", "shipment", "endpoint", "version", "change", "event", "state", "send_at",
            "lease", "attempts", "tries", "created_at", "done_at",
        ),
        ("seq",),
        _PUSHES,
    ),
    Table(
        "push_attempt",
        (
            "shipment", "endpoint", "version", "n", "account", "at", "http_status", "ms", "detail",
            "body_start",
        ),
        ("push", "n"),
        f"push_attempt JOIN (SELECT seq, shipment, endpoint, version, account FROM {_PUSHES}) ON seq = push",
    ),
    Table(
        "push_standing",
        ("shipment", "account", "push", "push_code", "push_at"),
        ("shipment",),
        "(SELECT * FROM listing WHERE push <> 0)",
    ),
    Table("quota_entry", ("account", "period", "at", "kind", "amount", "reference"), ("id",)),
    Table("quota_used", ("account", "period", "units"), ("account", "period")),
    Table("quota_hold", ("account", "reference", "amount", "at"), ("account", "reference")),
    Table(
        "lane",
        (
            "name", "revision", "stamp", "day", "used", "fails", "refusals", "throttles", "blocked_until",
            "blocked_why", "recent",
        ),
        ("name",),
    ),
    Table(
        "upstream_number",
        (
            "source", "number", "carrier", "buyer", "reserved_at", "registered_at", "bought_at", "given_up",
            "stopped_at",
        ),
        ("source", "number", "carrier"),
    ),
    Table("upstream_entry", ("source", "kind", "reference", "period", "at", "amount"), ("id",)),
    Table(
        "strike",
        ("shipment", "endpoint", "version", "weight", "at", "why"),
        ("shipment", "endpoint", "version"),
    ),
    Table(
        "audit",
        ("account", "seq", "at", "actor", "action", "subject", "fields", "before", "mark"),
        ("account", "seq"),
    ),
    Table("audit_head", ("account", "seq", "mark", "seal"), ("account",)),
    Table("inbox", ("id", "source", "digest", "at", "state", "detail", "body", "claimed_until"), ("id",)),
)  # fmt: skip
# What the target makes by itself, or has no use for.
NOT_COPIED = frozenset({"meta", "listing", "tally", "tally_level", "tally_step"})
_RAW_OWNERS = """
CREATE TEMP TABLE raw_owner (account INTEGER, hash BLOB, PRIMARY KEY (account, hash)) WITHOUT ROWID;
INSERT INTO raw_owner SELECT DISTINCT s.account, r.raw FROM (
  SELECT shipment, raw FROM source_report WHERE raw IS NOT NULL
  UNION SELECT shipment, raw FROM refresh_log WHERE raw IS NOT NULL
) r JOIN shipment s ON s.id = r.shipment;
"""


@dataclass(slots=True)
class Sum:
    """Count and hash of rows, in whatever order they come."""

    count: int = 0
    digest: int = field(default=0, repr=False)

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            text = repr(tuple(int(value) if isinstance(value, bool) else value for value in row))
            self.digest ^= int.from_bytes(blake2b(text.encode(), digest_size=_HASH_BYTES).digest(), "big")
            self.count += 1


class SqliteSource:
    """A file that no service uses while this is open. Its schema is brought up to date first."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConfigError(f"there is no database {path}")
        with ExitStack() as opened:
            self._lock = file.FileLock(path)
            opened.callback(self._lock.release)
            self._connection = opened.enter_context(closing(file.connect(path)))
            file.migrate(self._connection, path)
            file.release_leases(self._connection)
            self.instance = file.instance(self._connection)
            self._connection.executescript(_RAW_OWNERS)
            opened.pop_all()

    def close(self) -> None:
        """Let others use the file."""
        self._connection.close()
        self._lock.release()

    def count(self, table: Table) -> int:
        """Rows of a table."""
        number: int = self._connection.execute(f"SELECT count(*) FROM {table.origin}").fetchone()[0]
        return number

    def batch(self, table: Table, after: tuple[Any, ...] | None) -> list[tuple[Any, ...]]:
        """The next rows, each with its key at the end."""
        keys = ", ".join(table.key)
        beyond = f"WHERE ({keys}) > ({', '.join('?' * len(table.key))})" if after else ""
        return self._connection.execute(
            f"SELECT {', '.join(table.columns)}, {keys} FROM {table.origin} {beyond} ORDER BY {keys} LIMIT ?",
            (*(after or ()), BATCH),
        ).fetchall()

    def sum(self, table: Table) -> Sum:
        """Of all rows."""
        found = Sum()
        found.add(self._connection.execute(f"SELECT {', '.join(table.columns)} FROM {table.origin}"))
        return found

    def check_key(self, vault: Vault) -> None:
        """ConfigError when the secrets in it belong to another secret key."""
        keys.adopt(self._connection, vault)

    def last_ids(self) -> dict[str, int]:
        """The highest id that each table has ever given."""
        return dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())


async def move(source: SqliteSource, store: PostgresStore, tell: Tell) -> dict[str, int]:
    """Copy everything into a database that was opened with ``moving_from`` this source; answers counts."""
    pool = store.pool
    for table in TABLES:
        await _move_table(source, pool, table, tell)
    counts = {table.name: await _compare(source, store, table) for table in TABLES}
    last_ids = await asyncio.to_thread(source.last_ids)
    await pool.transaction(lambda c, _: _end(c, source.instance, last_ids))
    return counts


async def _move_table(source: SqliteSource, pool: Pool, table: Table, tell: Tell) -> None:
    total = await asyncio.to_thread(source.count, table)
    place = await pool.statement(lambda c, _: _place(c, table))
    done = await pool.statement(lambda c, _: c.fetchval(f"SELECT count(*) FROM {table.name}"))
    tell(table.name, done, total)
    while rows := await asyncio.to_thread(source.batch, table, place):
        await pool.transaction(partial(_copy, table=table, rows=rows, after=place))
        place = rows[-1][len(table.columns) :]
        done += len(rows)
        tell(table.name, done, total)


async def _place(c: Connection, table: Table) -> tuple[Any, ...] | None:
    text = await c.fetchval("SELECT value FROM meta WHERE key = $1", _PLACE + table.name)
    return None if text is None else tuple(ast.literal_eval(text))


async def _copy(
    c: Connection,
    _again: bool,
    *,
    table: Table,
    rows: Sequence[tuple[Any, ...]],
    after: tuple[Any, ...] | None,
) -> None:
    """One batch and its place; nothing when an earlier try was committed."""
    if await _place(c, table) != after:
        return
    width = len(table.columns)
    booleans = [table.columns.index(name) for name in table.booleans]
    records = [list(row[:width]) for row in rows]
    for record in records:
        for index in booleans:
            record[index] = bool(record[index])
    await c.copy_records_to_table(table.name, records=records, columns=table.columns)
    await c.execute(
        "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        _PLACE + table.name,
        repr(rows[-1][width:]),
    )


async def _compare(source: SqliteSource, store: PostgresStore, table: Table) -> int:
    async def read(c: Connection, _again: bool) -> Sum:
        found = Sum()
        await c.execute("SET LOCAL statement_timeout = 0")
        rows = c.cursor(f"SELECT {', '.join(table.columns)} FROM {table.name}", prefetch=BATCH)
        async for row in rows:
            found.add([row])
        return found

    there = await store.pool.transaction(read)
    here = await asyncio.to_thread(source.sum, table)
    if here != there:
        raise ConfigError(
            f"{table.name} differs: {here.count} rows in the file, {there.count} in the database: make an "
            "empty database and begin again"
        )
    return there.count


async def _end(c: Connection, instance: str, last_ids: dict[str, int]) -> None:
    """From now on it is a database like any other: no id is ever given twice."""
    for table in ("account", "endpoint", "shipment", "refresh_log", "inbox"):
        if last_ids.get(table):
            await c.execute("SELECT setval(pg_get_serial_sequence($1, 'id'), $2)", table, last_ids[table])
    await c.execute(
        """UPDATE account SET listed = (
          SELECT count(*) FROM shipment WHERE shipment.account = account.id AND phase <> 'looked_up'
        )"""
    )
    await c.execute("UPDATE meta SET value = $1 WHERE key = 'instance'", instance)
    await c.execute("DELETE FROM meta WHERE key = 'moving_from' OR starts_with(key, $1)", _PLACE)
