"""The bare drivers: they read and write the rows that a store read and wrote, with the least statements.

After the store has done something, the rows that came of it are copied out of its database. The floor then
does the same in a database of its own: rows are claimed and read by one statement, and written as they were,
a table at a time on SQLite, all tables in one statement on PostgreSQL. It knows what comes, so it decides
nothing, builds nothing, and checks nothing. A page of the list is read by the statements of the store;
its rows get names on SQLite, as the other driver gives them. ``same`` compares both databases, row by row.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import asyncpg
from bench._life import BATCH, CALL, SLUG
from bench._machine import Meter

from parcelwire.domain.endpoint import WIDTH_MAX
from parcelwire.domain.listing import Filter, Order
from parcelwire.domain.quota import period
from parcelwire.ports import Listed
from parcelwire.store.rows import HEALTH, LANE, MUTABLE, SHIPMENT, micros
from parcelwire.store.rows import LISTED as PAGE
from parcelwire.store.sqlite import SqliteStore, counts
from parcelwire.store.sqlite.file import CACHE_KB

Row = tuple[Any, ...]
Rows = dict[str, Sequence[Row]]

NEW = ("id", "account", "number", "carrier", "code", "origin", "phase", "since", "wish", "registered_at",
       "changed_at", "refresh_at", "lane")  # fmt: skip
SAVED = (*MUTABLE, "lease")
PUSHED = ("state", "send_at", "lease", "attempts", "tries", "done_at")
LISTED = ("push", "push_code", "push_at")
PAGE_ROWS = -2  # place among the statements of a page, the last of which is the commit


class Write(NamedTuple):
    """Rows of a table. ``key`` and ``columns``: an update of those; ``key`` alone: insert or replace.

    ``fresh``: which rows came of what was done at a time.
    """

    fresh: str
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


Writes = Mapping[str, Write]
NOT_COMPARED = {"meta", "account"}  # random names; counters are written whole
NOT_PLAYED = {("endpoint", "due_at"), ("endpoint", "secret")}  # a plan; random bytes
ALL = "{at} > 0"
ASKED = "shipment IN (SELECT id FROM shipment WHERE asked_at = {at})"

REGISTER: Writes = {
    "shipment": Write("registered_at = {at}", (), NEW),
    "quota_entry": Write("at = {at}"),
    "quota_used": Write(ALL, ("account", "period")),
    "account": Write(ALL, ("id",), ("day", "registered_today")),
}
REFRESH: Writes = {
    # The carrier stays: an index less to write.
    "shipment": Write("asked_at = {at}", ("id",), (*SAVED[1:], "logged", "newest_change")),
    "source_report": Write(ASKED, ("shipment", "source")),
    "document": Write(ASKED, ("shipment",)),
    "raw_reply": Write("at = {at}"),
    "refresh_log": Write("at = {at}"),
    "change": Write("at = {at}"),
    "push": Write("created_at = {at}"),
}
LANES: Writes = {"lane": Write(ALL, ("name",))}
PUSH: Writes = {
    "push": Write("done_at = {at}", ("seq",), PUSHED),
    "push_attempt": Write("at = {at}"),
    "listing": Write("push_at = {at}", ("shipment",), LISTED),
    "endpoint": Write(ALL, ("id",), HEALTH),
}
# The other store has the account in its keys, numbers changes itself, and lists in another way.
REGISTER_POSTGRES: Writes = {
    **REGISTER,
    "account": Write(ALL, ("id",), ("day", "registered_today", "listed")),
}
REFRESH_POSTGRES: Writes = {
    **REFRESH,
    "shipment": Write("asked_at = {at}", ("id", "account"), SAVED),
    "source_report": Write(ASKED, ("shipment", "source", "account")),
    "document": Write(ASKED, ("shipment", "account")),
    "feed": Write(ALL, ("account",)),
}
PUSH_POSTGRES: Writes = {
    "push": Write("done_at = {at}", ("shipment", "endpoint", "version", "account"), PUSHED),
    "push_attempt": Write("at = {at}"),
    "push_standing": Write("push_at = {at}", ("shipment", "account")),
    "endpoint": Write(ALL, ("id", "account"), HEALTH),
}


class Floor(Protocol):
    """What a store was just seen to do, done again. Each answers how many there were."""

    async def register(self, meter: Meter, at: datetime) -> int: ...
    async def refresh(self, meter: Meter, at: datetime) -> int: ...
    async def push(self, meter: Meter, at: datetime) -> int: ...
    async def list_page(self, meter: Meter, times: int) -> None: ...
    async def tidy(self) -> None:
        """What a server does by itself now and then, for both databases."""
        ...

    async def same(self) -> list[str]:
        """Tables in which the two databases differ; none."""
        ...

    async def close(self) -> None: ...


class Table:
    """Columns of a table, and rows by the shipment that they belong to."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        self.name, self.columns = name, tuple(columns)
        owner = "id" if name == "shipment" else "shipment"
        self.owner = self.columns.index(owner) if owner in self.columns else None

    def places(self, names: Sequence[str]) -> list[int]:
        """Where these columns stand in a row."""
        return [self.columns.index(name) for name in names]


def chosen(rows: Sequence[Row], places: Sequence[int]) -> list[Row]:
    """Some columns of rows."""
    return [tuple(row[place] for place in places) for row in rows]


def of_shipments(tables: Mapping[str, Table], rows: Rows, ids: set[int]) -> Rows:
    """The rows that a transaction about these shipments writes; what is of no shipment goes with each."""
    parts: dict[str, Sequence[Row]] = {}
    for name, some in rows.items():
        owner = tables[name].owner
        parts[name] = some if owner is None else [row for row in some if row[owner] in ids]
    if "raw_reply" in rows:
        raw = tables["source_report"].columns.index("raw")
        wanted = {row[raw] for row in parts["source_report"]}
        place = tables["raw_reply"].columns.index("hash")
        parts["raw_reply"] = [row for row in rows["raw_reply"] if row[place] in wanted]
        rows["raw_reply"] = [row for row in rows["raw_reply"] if row[place] not in wanted]  # once is enough
    return {name: some for name, some in parts.items() if some}


# --- SQLite -----------------------------------------------------------------------------------------------


class Watched(SqliteStore):
    """A store that tells the statements of a page."""

    async def statements_of_page(self, account: int) -> list[str]:
        """With their values in them."""
        said: list[str] = []
        connections = self._readers._connections  # noqa: SLF001 - what a bench must know, nobody else needs to
        for connection in connections:
            connection.set_trace_callback(said.append)
        await self.list_page(account, Filter(), Order(), 0, CALL)
        for connection in connections:
            connection.set_trace_callback(None)
        return said


_USAGE = """SELECT a.quota_total, q.units, a.registered_today FROM account a
LEFT JOIN quota_used q ON q.account = a.id AND q.period = {} WHERE a.id = 1"""
_COLUMNS = ", ".join(SHIPMENT)


class SqliteFloor:
    """``path`` is like ``source``, the file of the store, was when both were empty."""

    _CLAIM = f"""UPDATE shipment SET lease = 'floor', refresh_at = ? WHERE id IN (
      SELECT id FROM shipment WHERE lane = ? AND refresh_at IS NOT NULL AND refresh_at <= ?
      ORDER BY refresh_at LIMIT ?
    ) RETURNING {_COLUMNS}"""
    _TOLD = """SELECT shipment, history FROM source_report
    WHERE shipment IN (SELECT value FROM json_each(?))"""
    _LANE = f"SELECT {', '.join(LANE)} FROM lane WHERE name = ?"
    _TAKE = """UPDATE push SET lease = 'floor', send_at = ? WHERE seq IN (
      SELECT seq FROM push WHERE endpoint = 1 AND state = 'pending' AND send_at IS NOT NULL AND send_at <= ?
      ORDER BY send_at LIMIT ?
    ) RETURNING seq, id, shipment, version, change, event, attempts, tries"""
    _BODIES = "SELECT id, body FROM change WHERE id IN (SELECT value FROM json_each(?))"

    def __init__(self, path: Path, source: Path, store: Watched) -> None:
        self._store = store
        self._source = sqlite3.connect(source)
        self._own = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        for pragma in (
            "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"cache_size = -{CACHE_KB}"
        ):  # fmt: skip
            self._own.execute(f"PRAGMA {pragma}")
        names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        self._tables = {name: self._table(name) for (name,) in self._own.execute(names)}

    def _table(self, name: str) -> Table:
        hidden = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
        return Table(name, [column for (column,) in self._own.execute(hidden, (name,))])

    async def close(self) -> None:
        self._own.close()
        self._source.close()

    def _done(self, writes: Writes, at: datetime) -> Rows:
        return {
            name: self._source.execute(
                f"SELECT {', '.join(self._tables[name].columns)} FROM {name} "
                f"WHERE {write.fresh.format(at=micros(at))}"
            ).fetchall()
            for name, write in writes.items()
        }

    def _write(self, writes: Writes, rows: Rows) -> list[tuple[str, list[Row]]]:
        """Statements and their rows."""
        made = []
        for name, some in rows.items():
            _, key, columns = writes[name]
            table = self._tables[name]
            if key and columns:
                text = (
                    f"UPDATE {name} SET {', '.join(f'{one} = ?' for one in columns)} WHERE "
                    + " AND ".join(f"{one} = ?" for one in key)
                )
                made.append((text, chosen(some, table.places((*columns, *key)))))
                continue
            columns = columns or table.columns
            verb = "INSERT OR REPLACE" if key else "INSERT"
            marks = ", ".join("?" * len(columns))
            made.append(
                (
                    f"{verb} INTO {name} ({', '.join(columns)}) VALUES ({marks})",
                    chosen(some, table.places(columns)),
                )
            )
        return made

    def _play(self, statements: Sequence[tuple[str, list[Row]]]) -> None:
        for text, rows in statements:
            self._own.executemany(text, rows)

    def _commit(self) -> None:
        """What the triggers have noted is counted, as it must be."""
        counts.add_up(self._own)
        self._own.execute("COMMIT")

    async def register(self, meter: Meter, at: datetime) -> int:
        rows = self._done(REGISTER, at)
        shipments, entries = rows["shipment"], rows["quota_entry"]
        for start in range(0, len(shipments), CALL):
            part = {**rows, "shipment": shipments[start : start + CALL]}
            part["quota_entry"] = entries[start : start + CALL]
            statements = self._write(REGISTER, part)
            with meter.running():
                self._own.execute("BEGIN IMMEDIATE")
                self._own.execute(_USAGE.format("?"), (period(at),)).fetchone()
                self._play(statements)
                self._commit()
        return len(shipments)

    async def refresh(self, meter: Meter, at: datetime) -> int:
        rows, lanes = self._done(REFRESH, at), self._write(LANES, self._done(LANES, at))
        now, until, count = micros(at), micros(at + timedelta(minutes=1)), 0
        while True:
            with meter.running():
                self._own.execute("BEGIN IMMEDIATE")
                self._own.execute(self._LANE, (SLUG,)).fetchone()
                self._play(lanes)
                claimed = self._own.execute(self._CLAIM, (until, SLUG, now, BATCH)).fetchall()
                ids = [row[0] for row in claimed]
                self._own.execute(self._TOLD, (json.dumps(ids),)).fetchall()
                self._own.execute("COMMIT")
            if not ids:
                self._forget(meter)
                return count
            count += len(ids)
            statements = self._write(REFRESH, of_shipments(self._tables, rows, set(ids)))
            with meter.running():
                self._own.execute("BEGIN IMMEDIATE")
                self._play(statements)
                self._commit()

    def _forget(self, meter: Meter) -> None:
        """The replies that newer ones have replaced."""
        kept = set(self._source.execute("SELECT hash FROM raw_reply"))
        gone = [row for row in self._own.execute("SELECT hash FROM raw_reply") if row not in kept]
        with meter.running():
            self._own.execute("BEGIN IMMEDIATE")
            self._own.executemany("DELETE FROM raw_reply WHERE hash = ?", gone)
            self._own.execute("COMMIT")

    async def push(self, meter: Meter, at: datetime) -> int:
        rows = self._done(PUSH, at)
        seqs = {row[0]: row for row in rows["push"]}
        attempts = {row[0]: row for row in rows["push_attempt"]}
        listed = {row[0]: row for row in rows["listing"]}
        now, until, count = micros(at), micros(at + timedelta(minutes=1)), 0
        statements: list[tuple[str, list[Row]]] = []
        while True:
            with meter.running():
                self._own.execute("BEGIN IMMEDIATE")
                self._play(statements)
                taken = self._own.execute(self._TAKE, (until, now, WIDTH_MAX)).fetchall()
                self._own.execute(self._BODIES, (json.dumps([row[4] for row in taken]),)).fetchall()
                self._commit()
            if not taken:
                return count
            count += len(taken)
            part = {
                "push": [seqs[row[0]] for row in taken],
                "push_attempt": [attempts[row[0]] for row in taken],
                "listing": [listed[row[2]] for row in taken],
                "endpoint": rows["endpoint"],
            }
            statements = self._write(PUSH, part)

    async def list_page(self, meter: Meter, times: int) -> None:
        statements = await self._store.statements_of_page(1)
        for _ in range(times):
            with meter.running():
                found = [self._own.execute(statement).fetchall() for statement in statements]
                rows = list(map(Listed._make, found[PAGE_ROWS]))
            assert len(rows) == CALL

    async def tidy(self) -> None:
        pass

    async def same(self) -> list[str]:
        return [
            name
            for name, table in self._tables.items()
            if name not in NOT_COMPARED and self._all(self._own, table) != self._all(self._source, table)
        ]

    @staticmethod
    def _all(connection: sqlite3.Connection, table: Table) -> list[Row]:
        columns = [column for column in table.columns if (table.name, column) not in NOT_PLAYED]
        return connection.execute(
            f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {', '.join(columns)}"
        ).fetchall()


# --- PostgreSQL -------------------------------------------------------------------------------------------


class PostgresFloor:
    """``dsn`` is like ``source``, the schema of the store, was when both were empty."""

    _CLAIM = f"""WITH due AS MATERIALIZED (
      SELECT id, account FROM shipment WHERE lane = $2 AND refresh_at <= $3
      ORDER BY refresh_at LIMIT $4 FOR UPDATE SKIP LOCKED
    ), spent AS (
      INSERT INTO lane VALUES ($2, {", ".join(f"${place}" for place in range(5, 4 + len(LANE)))})
      ON CONFLICT (name) DO UPDATE SET {", ".join(f"{one} = excluded.{one}" for one in LANE[1:])}
    )
    UPDATE shipment AS s SET lease = 'floor', refresh_at = $1 FROM due
    WHERE s.id = due.id AND s.account = due.account
    RETURNING {", ".join(f"s.{name}" for name in SHIPMENT)}"""
    _TOLD = "SELECT shipment, history FROM source_report WHERE shipment = ANY($1)"
    _TAKE = """WITH taken AS MATERIALIZED (
      SELECT shipment, endpoint, version, account FROM push
      WHERE endpoint = 1 AND state = 'pending' AND send_at IS NOT NULL AND send_at <= $2
      ORDER BY send_at, change LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    UPDATE push AS p SET lease = 'floor', send_at = $1 FROM taken, change AS c
    WHERE p.shipment = taken.shipment AND p.endpoint = taken.endpoint AND p.version = taken.version
      AND p.account = taken.account AND c.account = p.account AND c.id = p.change
    RETURNING p.shipment, p.version, p.id, p.change, p.event, p.attempts, p.tries, c.body"""
    _PAGE = """SELECT shipment FROM listing
    WHERE account = 1 ORDER BY register_at DESC, shipment DESC LIMIT $1"""
    _ROWS = f"""SELECT {", ".join(PAGE)}
    FROM shipment s LEFT JOIN push_standing p ON p.shipment = s.id AND p.account = s.account
    LEFT JOIN document d ON d.shipment = s.id AND d.account = s.account
    WHERE s.account = 1 AND s.id = ANY($1)"""

    def __init__(self, own: Any, source: Any, tables: Mapping[str, Table], types: Mapping[str, Row]) -> None:
        self._own, self._source, self._tables, self._types = own, source, tables, types

    @classmethod
    async def open(cls, dsn: str, source: str) -> "PostgresFloor":
        own = await asyncpg.connect(dsn)
        found = await own.fetch(
            """SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position),
              array_agg(udt_name::text ORDER BY ordinal_position)
            FROM information_schema.columns
            WHERE table_schema = current_schema() AND is_generated = 'NEVER' GROUP BY table_name"""
        )
        tables = {name: Table(name, columns) for name, columns, _ in found}
        types = {name: tuple(kinds) for name, _, kinds in found}
        return cls(own, await asyncpg.connect(source), tables, types)

    async def close(self) -> None:
        await self._own.close()
        await self._source.close()

    async def _done(self, writes: Writes, at: datetime) -> Rows:
        return {
            name: [
                tuple(row)
                for row in await self._source.fetch(
                    f"SELECT {', '.join(self._tables[name].columns)} FROM {name} "
                    f"WHERE {write.fresh.format(at=micros(at))}"
                )
            ]
            for name, write in writes.items()
        }

    def _write(self, writes: Writes, rows: Rows) -> tuple[str, list[Any]]:
        """One statement for all tables, and its arrays."""
        parts: list[str] = []
        values: list[Any] = []
        for name, some in rows.items():
            _, key, columns = writes[name]
            used = (*columns, *key) if key and columns else columns or self._tables[name].columns
            places = self._tables[name].places(used)
            arrays = ", ".join(
                f"${number}::{self._types[name][place]}[]"
                for number, place in enumerate(places, len(values) + 1)
            )
            values += [[row[place] for row in some] for place in places]
            parts.append(f"p_{name} AS ({self._part(name, key, columns, used, arrays)})")
        return f"WITH {', '.join(parts)} SELECT 1", values

    @staticmethod
    def _part(name: str, key: Row, columns: Row, used: Row, arrays: str) -> str:
        given = f"unnest({arrays}) AS given ({', '.join(used)})"
        if key and columns:
            new = ", ".join(f"{one} = given.{one}" for one in columns)
            same = " AND ".join(f"t.{one} = given.{one}" for one in key)
            return f"UPDATE {name} AS t SET {new} FROM {given} WHERE {same}"
        text = f"INSERT INTO {name} ({', '.join(used)}) SELECT * FROM {given}"
        if key:
            rest = ", ".join(f"{one} = excluded.{one}" for one in used if one not in key)
            text += f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {rest}"
        return text

    async def register(self, meter: Meter, at: datetime) -> int:
        rows = await self._done(REGISTER_POSTGRES, at)
        shipments, entries = sorted(rows["shipment"]), rows["quota_entry"]
        for start in range(0, len(shipments), CALL):
            part = {**rows, "shipment": shipments[start : start + CALL]}
            part["quota_entry"] = entries[start : start + CALL]
            text, values = self._write(REGISTER_POSTGRES, part)
            with meter.running():
                async with self._own.transaction():
                    await self._own.fetchrow(_USAGE.format("$1") + " FOR NO KEY UPDATE OF a", period(at))
                    await self._own.execute(text, *values)
        return len(shipments)

    async def refresh(self, meter: Meter, at: datetime) -> int:
        rows = await self._done(REFRESH_POSTGRES, at)
        lane = (await self._done(LANES, at))["lane"][0]
        now, until, count = micros(at), micros(at + timedelta(minutes=1)), 0
        while True:
            with meter.running():
                claimed = await self._own.fetch(self._CLAIM, until, SLUG, now, BATCH, *lane[1:])
                ids = [row[0] for row in claimed]
                await self._own.fetch(self._TOLD, ids)
            if not ids:
                return count
            count += len(ids)
            part = of_shipments(self._tables, rows, set(ids))
            text, values = self._write(REFRESH_POSTGRES, part)
            with meter.running():
                await self._own.execute(text, *values)

    async def push(self, meter: Meter, at: datetime) -> int:
        rows = await self._done(PUSH_POSTGRES, at)
        now, until, count = micros(at), micros(at + timedelta(minutes=1)), 0
        while True:
            with meter.running():
                taken = await self._own.fetch(self._TAKE, until, now, WIDTH_MAX)
            if not taken:
                return count
            count += len(taken)
            part = of_shipments(self._tables, rows, {row[0] for row in taken})
            text, values = self._write(PUSH_POSTGRES, part)
            with meter.running():
                await self._own.execute(text, *values)

    async def list_page(self, meter: Meter, times: int) -> None:
        for _ in range(times):
            with meter.running():
                await self._own.fetchval("SELECT listed FROM account WHERE id = 1")
                ids = [row[0] for row in await self._own.fetch(self._PAGE, CALL)]
                assert len(await self._own.fetch(self._ROWS, ids)) == CALL

    async def tidy(self) -> None:
        await self._own.execute("VACUUM ANALYZE")

    async def same(self) -> list[str]:
        different = []
        for name, table in self._tables.items():
            columns = ", ".join(column for column in table.columns if (name, column) not in NOT_PLAYED)
            text = f"SELECT {columns} FROM {name} ORDER BY {columns}"
            if name not in NOT_COMPARED and await self._own.fetch(text) != await self._source.fetch(text):
                different.append(name)
        return different
