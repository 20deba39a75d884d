"""Stores of any size, filled quickly: what some shipments lived through, copied many times.

The samples come from the service's own code (bench/_life.py). Each copy has all their rows in all tables,
with ids, numbers, hashes and references of its own; one copy in LOGGED has the log and the pushes too, those
of the others count as pruned. Nothing is due before PLANNED_AT; then, for PLANNED_FOR, one shipment after the
other in random order, of each of which its carrier knows one scan more. Counters, the list and its tallies
are made as the migrations make them.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg
from bench._life import BEGIN, CALL, HOUR, Life, place
from bench._life import number as number_at
from bench._machine import Meter

from parcelwire.ports import Old, Store
from parcelwire.standins._journey import Journeys, Place, Scan, scans
from parcelwire.store.rows import micros

HOURS, CALLS = 5, 5  # the samples live for so long, and so many calls register some in each hour
SAMPLES = HOURS * CALLS * CALL  # a size is a multiple of it
LOG_IDS = SAMPLES * HOURS  # no sample has more changes than hours
LOGGED = 4
PRUNED_AT_ONCE = 500
PLANNED_AT = BEGIN + (HOURS + 1) * HOUR  # a scan later
PLANNED_FOR = timedelta(days=2)
REGISTERED_FOR = timedelta(days=90)  # the first shipment is so much older than the last one
_MICROSECOND = timedelta(microseconds=1)

Columns = Mapping[str, str]  # how those of copy ``i`` of {copies} differ from the sample's, in SQL


class Words(NamedTuple):
    """What the two databases say differently."""

    number: str  # of copy i
    hash: str  # of copy i; {} is the column
    chance: str  # a number from 0 to before {}
    push: str  # a random identity
    attempt: Columns  # whom a log row of a push belongs to


SQLITE = Words(
    f"'7' || printf('%011d', CAST(substr(number, 2) AS INTEGER) + i * {SAMPLES})",
    "CAST(printf('%s%08d', hex(substr({0}, 1, 4)), i) AS BLOB)",
    "abs(random()) % {}",
    "'msg_' || lower(hex(randomblob(13)))",
    {"push": f"push + i * {LOG_IDS}"},
)
POSTGRES = Words(
    f"'7' || lpad((CAST(substr(number, 2) AS bigint) + i * {SAMPLES})::text, 11, '0')",
    "convert_to(encode(substr({0}, 1, 4), 'hex') || lpad(i::text, 8, '0'), 'UTF8')",
    "(random() * {})::bigint",
    "'msg_' || substr(md5(id || i), 1, 26)",
    {"shipment": f"shipment + i * {SAMPLES}"},
)


def copied(words: Words) -> dict[str, Columns]:
    """What every copy has."""
    shipment = {"shipment": f"shipment + i * {SAMPLES}"}
    older = f"({{copies}} - 1 - i) * ({REGISTERED_FOR // _MICROSECOND} / {{copies}})"
    return {
        "shipment": {
            "id": f"id + i * {SAMPLES}",
            "number": words.number,
            "logged": f"CASE i % {LOGGED} WHEN 0 THEN logged + i * {LOG_IDS} END",
            "newest_change": f"CASE i % {LOGGED} WHEN 0 THEN newest_change + i * {LOG_IDS} END",
            "registered_at": f"registered_at - {older}",
            "refresh_at": f"{micros(PLANNED_AT)} + {words.chance.format(PLANNED_FOR // _MICROSECOND)}",
        },
        "document": shipment,
        "source_report": shipment | {"raw": words.hash.format("raw")},
        "raw_reply": {"hash": words.hash.format("hash")},
        "quota_entry": {
            "id": f"id + i * {SAMPLES}",
            "reference": f"CAST(CAST(reference AS integer) + i * {SAMPLES} AS text)",
        },
        "listing": shipment | {"register_at": f"register_at - {older}"},
        "push_standing": shipment,
    }


def logged(words: Words) -> dict[str, Columns]:
    """What one copy in LOGGED has."""
    shipment = {"shipment": f"shipment + i * {SAMPLES}"}
    chained = shipment | {"id": f"id + i * {LOG_IDS}", "before": f"before + i * {LOG_IDS}"}
    return {
        "refresh_log": chained,
        "change": chained,
        "push": shipment
        | {"seq": f"seq + i * {LOG_IDS}", "id": words.push, "change": f"change + i * {LOG_IDS}"},
        "push_attempt": words.attempt,
    }


class Copies(Journeys):
    """Journeys of ``size`` shipments that were filled in go on as those of their samples, by one scan; others
    begin.
    """

    def __init__(self, size: int) -> None:
        super().__init__(HOUR.total_seconds())
        self._size = size

    def scans(self, number: str, now: datetime, places: Sequence[Place]) -> list[Scan]:
        if place(number) >= self._size:
            return super().scans(number, now, places)
        sample = place(number) % SAMPLES
        begun = BEGIN + sample // (CALLS * CALL) * HOUR  # a step before the first question
        return scans(number_at(sample), begun, min(now, PLANNED_AT), places, self.step_s)


async def live(store: Store) -> None:
    """The samples: what is older than their last hour has been forgotten."""
    life = await Life.begin(store)
    try:
        for _ in range(HOURS):
            await life.pass_time(HOUR)
            await life.register(Meter(), CALLS)
            await life.refresh(Meter())
            await life.push(Meter())
        for old in (Old.REFRESH, Old.PUSH, Old.CHANGE):
            upto = None
            while (upto := (await store.prune(old, life.now, PRUNED_AT_ONCE, upto)).upto) is not None:
                pass
    finally:
        await life.close()


def selected(table: str, columns: Sequence[str], changed: Columns, copies: int) -> str:
    """Copies of the samples in ``s_TABLE``, one for each ``i`` of ``copy``."""
    values = ", ".join(changed.get(column, column).format(copies=copies) for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM copy CROSS JOIN s_{table}"


# --- SQLite -----------------------------------------------------------------------------------------------


def fill_sqlite(path: Path, size: int) -> None:
    """Make a file that holds the samples hold ``size`` shipments."""
    copies = size // SAMPLES
    with closing(sqlite3.connect(path, isolation_level=None)) as c:
        c.execute("PRAGMA journal_mode = OFF")
        c.execute("PRAGMA synchronous = OFF")
        c.execute("PRAGMA cache_size = -524288")
        later = c.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('trigger', 'index') AND sql NOT NULL"
        ).fetchall()
        for kind, name, _ in later:
            c.execute(f"DROP {kind} {name}")
        for step, tables in ((1, copied(SQLITE)), (LOGGED, logged(SQLITE))):
            for table, changed in tables.items():
                _copy_sqlite(c, table, changed, copies, step)
        count_list(c)
        c.execute("UPDATE quota_used SET units = (SELECT count(*) FROM quota_entry)")
        for _, _, sql in sorted(later):
            c.execute(sql)
        c.execute("PRAGMA journal_mode = WAL").fetchall()


def _copy_sqlite(c: sqlite3.Connection, table: str, changed: Columns, copies: int, step: int) -> None:
    names = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
    columns = [name for (name,) in c.execute(names, (table,))]
    if not columns:
        return  # of the other database
    c.execute("BEGIN")
    c.execute(f"CREATE TEMP TABLE s_{table} AS SELECT * FROM {table}")
    c.execute(f"DELETE FROM {table}")
    c.execute(
        f"""WITH RECURSIVE copy (i) AS (
          SELECT 0 UNION ALL SELECT i + {step} FROM copy WHERE i + {step} < {copies}
        ) {selected(table, columns, changed, copies)}"""
    )
    c.execute("COMMIT")


def count_list(c: sqlite3.Connection) -> None:
    """The tallies of a list that is there, by the statements of the migration."""
    c.execute("DELETE FROM tally")
    for axis, column in enumerate(("register_at", "track_at", "push_at", "stop_at"), 1):
        c.execute(
            f"""INSERT INTO tally
            SELECT account, {axis}, level, {column} >> level AS bucket, kind, count(*)
            FROM listing JOIN tally_level WHERE {column} IS NOT NULL
            GROUP BY account, level, bucket, kind"""
        )
    c.execute(
        """INSERT INTO tally SELECT account, -axis, level, bucket, 0, sum(n) FROM tally
        GROUP BY account, axis, level, bucket"""
    )


# --- PostgreSQL -------------------------------------------------------------------------------------------

_LATER = """
SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', t.relname, c.conname),
  format('ALTER TABLE %I ADD CONSTRAINT %I %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE t.relname = ANY($1) AND c.contype IN ('p', 'u') AND t.relnamespace = current_schema()::regnamespace
UNION ALL
SELECT format('DROP INDEX %I', indexname), indexdef
FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ANY($1)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname
    AND connamespace = current_schema()::regnamespace)
"""


async def fill_postgres(dsn: str, size: int) -> None:
    """Make a schema that holds the samples hold ``size`` shipments."""
    copies = size // SAMPLES
    c = await asyncpg.connect(dsn)
    try:
        await c.execute("SET maintenance_work_mem = '1GB'")
        tables = {1: copied(POSTGRES), LOGGED: logged(POSTGRES)}
        later = await c.fetch(_LATER, [name for some in tables.values() for name in some])
        for drop, _ in later:
            await c.execute(drop)
        await c.execute("ALTER TABLE shipment DISABLE TRIGGER USER")  # counted below
        for step, some in tables.items():
            for table, changed in some.items():
                await _copy_postgres(c, table, changed, copies, step)
        await c.execute("ALTER TABLE shipment ENABLE TRIGGER USER")
        for _, make in later:
            await c.execute(make)
        await c.execute("UPDATE quota_used SET units = (SELECT count(*) FROM quota_entry)")
        await c.execute("UPDATE account SET listed = (SELECT count(*) FROM shipment)")
        await c.execute("TRUNCATE listed_count")
        await c.execute(
            """INSERT INTO listed_count (account, kind, n)
            SELECT account, kind, count(*) FROM listing GROUP BY account, kind"""
        )
        await c.execute("UPDATE feed SET newest = (SELECT max(id) FROM change)")
        for table in ("shipment", "refresh_log"):
            await c.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )
        await c.execute("VACUUM (ANALYZE)")
    finally:
        await c.close()


async def _copy_postgres(c: asyncpg.Connection, table: str, changed: Columns, copies: int, step: int) -> None:
    rows = await c.fetch(
        """SELECT column_name::text FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'
        ORDER BY ordinal_position""",
        table,
    )
    columns = [row[0] for row in rows]
    if not columns:
        return  # of the other database
    async with c.transaction():  # the table is emptied in it, so nothing of it need go to the log
        await c.execute(f"CREATE TEMP TABLE s_{table} ON COMMIT DROP AS SELECT * FROM {table}")
        await c.execute(f"TRUNCATE {table}")
        await c.execute(
            f"""WITH copy AS (SELECT generate_series(0, {copies - 1}::bigint, {step}) AS i)
            {selected(table, columns, changed, copies)}"""
        )
