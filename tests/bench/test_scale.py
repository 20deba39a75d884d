"""The bench of sizes runs, on databases that are filled past the service but hold together."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from bench._bulk import PLANNED_AT, PLANNED_FOR, SAMPLES, Copies, fill_postgres, fill_sqlite, live
from bench._life import Life, vault
from bench._machine import Meter
from tests.postgres import Cluster, make_schema

from parcelwire.store.postgres import PostgresStore
from parcelwire.store.rows import history_of
from parcelwire.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
SIZE = 5 * SAMPLES
# What must be nothing in a database that holds together.
BROKEN_ROWS = {
    "shipments without a document, a report or a charge": """
        SELECT count(*) FROM shipment s
        LEFT JOIN document d ON d.shipment = s.id LEFT JOIN source_report r ON r.shipment = s.id
        LEFT JOIN quota_entry q ON q.reference = CAST(s.id AS text)
        WHERE d.shipment IS NULL OR r.shipment IS NULL OR q.reference IS NULL""",
    "reports whose reply is gone": """
        SELECT count(*) FROM source_report WHERE raw NOT IN (SELECT hash FROM raw_reply)""",
    "pushes without their change or shipment": """
        SELECT count(*) FROM push p
        LEFT JOIN change c ON c.id = p.change LEFT JOIN shipment s ON s.id = p.shipment
        WHERE c.id IS NULL OR s.id IS NULL OR c.shipment <> s.id""",
    "a counter that is not the sum of its ledger": """
        SELECT (SELECT units FROM quota_used) - (SELECT sum(amount) FROM quota_entry)""",
    "log rows of nobody": "SELECT count(*) FROM refresh_log WHERE shipment NOT IN (SELECT id FROM shipment)",
}

NONE = dict.fromkeys(BROKEN_ROWS, 0)
# Rows to which the chain of their shipment does not lead.
LOST_ROWS = """
WITH RECURSIVE chain (shipment, id) AS (
  SELECT id, {newest} FROM shipment
  UNION ALL
  SELECT chain.shipment, t.before FROM chain JOIN {table} t ON t.id = chain.id
)
SELECT count(*) FROM {table} WHERE (shipment, id) NOT IN (SELECT shipment, id FROM chain WHERE id NOT NULL)
"""


@pytest.mark.process
async def test_a_file_that_was_filled_past_the_service_holds_together(tmp_path: Path) -> None:
    """Every row has those that it belongs to, counters are sums, and the tallies count the list."""
    path = tmp_path / "filled.db"
    store = await SqliteStore.open(path, vault())
    await live(store)
    await store.close()
    fill_sqlite(path, SIZE)
    with closing(sqlite3.connect(path)) as c:
        assert c.execute("SELECT count(*) FROM shipment").fetchone() == (SIZE,)
        assert {what: c.execute(sql).fetchone()[0] for what, sql in BROKEN_ROWS.items()} == NONE
        for table, newest in (("refresh_log", "logged"), ("change", "newest_change")):
            lost = c.execute(LOST_ROWS.format(table=table, newest=newest)).fetchone()
            assert lost == (0,), table
        assert c.execute("PRAGMA foreign_key_check").fetchall() == []
        assert c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        counted = "SELECT sum(n) FROM tally WHERE axis = 1 AND level = 20"
        assert (
            c.execute(counted).fetchone() == c.execute("SELECT count(*) FROM listing").fetchone() == (SIZE,)
        )


async def test_the_carrier_of_a_filled_store_knows_one_scan_more_of_each_shipment(tmp_path: Path) -> None:
    """Not a journey that begins anew: that would cost what a status that changes costs, every time."""
    path = tmp_path / "filled.db"
    store = await SqliteStore.open(path, vault())
    await live(store)
    await store.close()
    fill_sqlite(path, SIZE)
    before = events(path)
    store = await SqliteStore.open(path, vault())
    life = await Life.begin(store, PLANNED_AT, first=SIZE, journeys=Copies(SIZE))
    await life.pass_time(PLANNED_FOR / 50)
    count = await life.refresh(Meter())
    await life.close()
    await store.close()
    more = [after - before[shipment] for shipment, after in events(path).items()]
    assert sorted(set(more)) == [0, 1]
    assert sum(more) == count


def events(path: Path) -> dict[int, int]:
    """How many each shipment has."""
    with closing(sqlite3.connect(path)) as c:
        rows = c.execute("SELECT shipment, history FROM source_report").fetchall()
    return {shipment: len(history_of(data).seen) for shipment, data in rows}


@pytest.mark.process
async def test_a_schema_that_was_filled_past_the_service_holds_together(cluster: Cluster) -> None:
    """The same for PostgreSQL; and no constraint and no index was forgotten."""
    filled, empty = [await make_schema(cluster, f"bulk_{name}") for name in ("filled", "empty")]
    for dsn in (filled, empty):
        store = await PostgresStore.open(dsn, vault(), lambda: 0.5)
        if dsn == filled:
            await live(store)
        await store.close()
    await fill_postgres(filled, SIZE)
    c, other = await asyncpg.connect(filled), await asyncpg.connect(empty)
    try:
        assert await c.fetchval("SELECT count(*) FROM shipment") == SIZE
        assert {what: await c.fetchval(sql) for what, sql in BROKEN_ROWS.items()} == NONE
        assert await c.fetchval("SELECT listed FROM account") == SIZE
        indexes = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1"
        assert await c.fetch(indexes) == await other.fetch(indexes)
    finally:
        await c.close()
        await other.close()


@pytest.mark.process
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_short_run_measures_every_operation_at_every_size(store: str) -> None:
    """The empty store has no old shipments to refresh; all others have every figure."""
    command = ["bench.scale", store, "--json", "--sizes", "1000,2000", "--rounds", "1"]
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert ran.stdout, ran.stderr.decode()
    figures = json.loads(ran.stdout)
    assert figures["sizes"] == [0, 1000, 2000]
    assert len(figures["operations"]) == 6
    for row in figures["operations"]:
        assert all(us > 0 for us in row["us"][1:])
    assert all(some > 500 for some in figures["bytes_a_shipment"][1:])
