"""What pruning a million old rows costs, and what a caller who registers meanwhile notices of it.

    # a minute
    python3 dev.py bench prune [--json] [--store sqlite,postgres] [--rows 1000000] [--calls 200]

Log rows of refreshes, older than they are kept, are written past the service; then the janitor's batches
forget them, one transaction after the other, while calls register 40 numbers each, one every PAUSE_S. The
same calls are made before, with nothing to prune. All times are wall time: where a machine does other things,
they are too long, and only the two rows of calls can be compared.
"""

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random

import asyncpg
from tests.postgres import Cluster

from parcelwire.domain.account import NewAccount
from parcelwire.domain.shipment import Wish
from parcelwire.loops.janitor import AT_ONCE, KEPT
from parcelwire.ports import Old, Store, Wanted
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.rows import micros
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
BEFORE = NOW - KEPT[Old.REFRESH]
BATCH = 40  # numbers a call
PAUSE_S = 0.02  # between two calls
PER_SHIPMENT = 100  # log rows
ROW = ("fedex", "report", 180, "in transit; next refresh in 4 h: on the way")

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one store took. Milliseconds of wall time."""

    store: str
    rows: int
    transactions: int
    rows_at_once: int
    rows_per_s: float
    transaction_p50_ms: float
    transaction_max_ms: float
    register_alone_p50_ms: float
    register_alone_p99_ms: float
    register_p50_ms: float
    register_p99_ms: float
    calls: int


# --- stores with old rows ---------------------------------------------------------------------------------


@asynccontextmanager
async def sqlite_with(rows: int) -> AsyncIterator[Store]:
    """A file with so many old log rows."""
    with tempfile.TemporaryDirectory(prefix="parcelwire-prune-") as folder:
        path = Path(folder) / "parcelwire.db"
        store = await SqliteStore.open(path, vault())
        first, many = await shipments(store, rows), shipments_of(rows)
        await store.close()
        with closing(sqlite3.connect(path, isolation_level=None)) as c:
            c.execute("BEGIN")
            c.executemany(
                """INSERT INTO refresh_log (id, shipment, before, at, lane, outcome, ms, text)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    (place, shipment, place - many if place > many else None, at, *ROW)
                    for place, (shipment, at) in enumerate(old(first, rows), 1)
                ),
            )
            c.execute("COMMIT")
            c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        store = await SqliteStore.open(path, vault())
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def postgres_with(rows: int) -> AsyncIterator[Store]:
    """A server with so many old log rows."""
    cluster = Cluster.make()
    try:
        store = await PostgresStore.open(cluster.dsn, vault(), Random(1).random)  # noqa: S311
        try:
            first = await shipments(store, rows)
            connection = await asyncpg.connect(cluster.dsn)
            await connection.copy_records_to_table(
                "refresh_log",
                records=((shipment, 1, at, *ROW) for shipment, at in old(first, rows)),
                columns=("shipment", "account", "at", "lane", "outcome", "ms", "text"),
            )
            await connection.execute("VACUUM ANALYZE")
            await connection.close()
            yield store
        finally:
            await store.close()
    finally:
        cluster.remove()


STORES = {"sqlite": sqlite_with, "postgres": postgres_with}


def vault() -> Vault:
    return Vault(bytes(MASTER_BYTES), Random(2).randbytes)  # noqa: S311


async def shipments(store: Store, rows: int) -> int:
    """One account and the shipments that the log rows are of; answers the first id."""
    account = await store.open_account(NewAccount("main", "unlimited", 10**9, "login", "sign"), NOW)
    first = 0
    for _ in range(-(-rows // PER_SHIPMENT // BATCH)):
        made = await store.register(account.id, wanted(), NOW)
        assert isinstance(made[0], int)
        first = first or made[0]
    return first


def wanted() -> list[Wanted]:
    return [Wanted(f"N{next(_numbers):012}", "fedex", 100003, 1, "fedex", Wish()) for _ in range(BATCH)]


def old(first: int, rows: int) -> list[tuple[int, int]]:
    """Shipment and time of log rows, as refreshes of many shipments come one after the other."""
    begin, step = micros(BEFORE - timedelta(days=30)), 30 * 86_400_000_000 // rows
    many = shipments_of(rows)
    return [(first + place % many, begin + place * step) for place in range(rows)]


def shipments_of(rows: int) -> int:
    """How many shipments the log rows are of."""
    return max(1, rows // PER_SHIPMENT)


# --- measure ----------------------------------------------------------------------------------------------


async def register(store: Store, calls: int, until: asyncio.Event | None = None) -> list[float]:
    """Milliseconds of each call; ``calls`` of them, or as many as come until something is over."""
    took: list[float] = []
    while len(took) < calls or (until is not None and not until.is_set()):
        items = wanted()
        began = time.perf_counter()
        await store.register(1, items, NOW)
        took.append((time.perf_counter() - began) * 1e3)
        await asyncio.sleep(PAUSE_S)
    return took


async def prune(store: Store, over: asyncio.Event) -> tuple[int, list[float]]:
    """As the janitor does; answers rows, and milliseconds of each transaction."""
    rows = 0
    took: list[float] = []
    after = None
    while True:
        began = time.perf_counter()
        pruned = await store.prune(Old.REFRESH, BEFORE, AT_ONCE, after)
        took.append((time.perf_counter() - began) * 1e3)
        rows += pruned.count
        after = pruned.upto
        if after is None:
            over.set()
            return rows, took


async def bench(name: str, rows: int, calls: int) -> Figures:
    """Calls alone, then calls while the janitor prunes."""
    async with STORES[name](rows) as store:
        await register(store, calls // 4)  # warm
        alone = await register(store, calls)
        over = asyncio.Event()
        began = time.perf_counter()
        (gone, transactions), meanwhile = await asyncio.gather(
            prune(store, over), register(store, 1, until=over)
        )
        took_s = time.perf_counter() - began
        assert gone == rows, f"{gone} of {rows} rows went"
    return Figures(
        name, gone, len(transactions), AT_ONCE, gone / took_s,
        part(transactions, 0.5), max(transactions),
        part(alone, 0.5), part(alone, 0.99), part(meanwhile, 0.5), part(meanwhile, 0.99), len(meanwhile),
    )  # fmt: skip


def part(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def text(one: Figures) -> str:
    return (
        f"{one.store}: {one.rows:,} old rows in {one.transactions:,} transactions of at most "
        f"{one.rows_at_once}: {one.rows_per_s:,.0f} rows/s; a transaction {one.transaction_p50_ms:.1f} ms "
        f"(median), {one.transaction_max_ms:.1f} ms (longest)\n"
        f"  register of {BATCH}, alone:            {one.register_alone_p50_ms:6.1f} ms median, "
        f"{one.register_alone_p99_ms:6.1f} ms p99\n"
        f"  register of {BATCH}, while it prunes:  {one.register_p50_ms:6.1f} ms median, "
        f"{one.register_p99_ms:6.1f} ms p99 ({one.calls:,} calls)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", default="sqlite,postgres")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = [asyncio.run(bench(name, given.rows, given.calls)) for name in given.store.split(",")]
    print(json.dumps([asdict(one) for one in figures]) if given.json else "\n".join(map(text, figures)))


if __name__ == "__main__":
    main()
