"""What a page of gettracklist costs at several sizes of an account, for each filter, order and depth.

    # 15 minutes
    python3 dev.py bench list [--json] [--store sqlite] [--sizes 1000,1000000] [--rounds 5] [--calls 20]

CPU of this process (user and system, all threads; on PostgreSQL also of the server's for it) for one call of
the flow on the real store, request bytes to answer bytes, median over the rounds of the mean of the calls;
the sizes take turns. Stores are filled by SQL past the service, files with no triggers, and the list and
its tallies are then made as the migration makes them (tests/store proves that they are the same). Deep is the
page at nine tenths of all pages. With --store postgres those pages are measured that are flat there
(docs/why/0012-list-counts-on-postgresql.md); a server counts its CPU in steps of 10 ms, so take --calls 100.
"""

import argparse
import asyncio
import itertools
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import asyncpg
from bench._bulk import count_list
from tests.postgres import Cluster, make_schema

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.merge import begin
from parcelwire.domain.report import Address, Event, Report
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import assemble
from parcelwire.domain.times import exact
from parcelwire.flows.context import Context
from parcelwire.flows.documents import document_of
from parcelwire.flows.routes import Routes
from parcelwire.flows.tracklist import track_list
from parcelwire.net.clock import ManualClock
from parcelwire.ports import Document, Store
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.rows import micros
from parcelwire.store.sqlite import SqliteStore, documents
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.directory import shipped
from parcelwire.zones import zone_of

GOAL = 1.5
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
TOGETHER = "four filters"
DAYS = 90  # registrations are spread over so many
CODES = (100001, 21051, 100003, 7041, 3011)
# Sub-status, stopped, weight: what an account looks like after a while.
STATES = (
    (None, False, 1),
    ("NotFound_Other", False, 3),
    ("InfoReceived", False, 6),
    ("InTransit_Other", False, 20),
    ("OutForDelivery_Other", False, 3),
    ("Exception_Other", False, 10),
    ("Delivered_Other", False, 17),
    ("Delivered_Other", True, 36),
    ("Expired_Other", True, 4),
)
PUSHES = ((1, 200, 80), (2, 500, 10), (2, 0, 4), (0, 0, 6))
DAY = {"from": "2026-07-10T00:00:00Z", "to": "2026-08-10T00:00:00Z"}


class Case(NamedTuple):
    """One request, on its first page or deep down."""

    name: str
    filters: dict[str, Any]


def _span(field: str) -> dict[str, Any]:
    return {f"{field}_{end}": at for end, at in DAY.items()}


CASES = (
    Case("no filter", {}),
    Case("carrier", {"carrier": 21051}),
    Case("package_status, common", {"package_status": "Delivered"}),
    Case("package_status, rare", {"package_status": "Exception"}),
    Case("tracking_status", {"tracking_status": "Tracking"}),
    Case("push_status", {"push_status": "Failure"}),
    Case("push_status_code", {"push_status_code": 500}),
    Case("register_time", _span("register_time")),
    Case("track_time", _span("track_time")),
    Case("push_time", _span("push_time")),
    Case("stop_track_time", _span("stop_track_time")),
    Case(TOGETHER,
         {"tracking_status": "Stopped", "package_status": "Delivered", "push_status": "Success"}
         | _span("register_time")),
    *(
        Case(f"order {axis}{way}", {"order_by": f"{axis}{way}"})
        for axis in ("RegisterTime", "TrackTime", "PushTime")
        for way in ("Asc", "Desc")
    ),
    Case("status, order TrackTimeDesc", {"package_status": "Delivered", "order_by": "TrackTimeDesc"}),
    Case("number", {"number": "N000000000007"}),
)  # fmt: skip


FLAT_ON_POSTGRES = (
    "no filter", "carrier", "package_status, common", "package_status, rare", "tracking_status",
    "order RegisterTimeAsc", "order RegisterTimeDesc", "number",
)  # fmt: skip
COPIED = (
    "id", "account", "number", "carrier", "code", "phase", "since", "registered_at", "asked_at", "stopped_at",
    "stop_reason", "sub_status", "origin", "wish", "lane",
)  # fmt: skip

# --- an account of some size ----------------------------------------------------------------------------


class Filled(NamedTuple):
    """An open store with an account of some size."""

    size: int
    context: Context
    account: Account
    backends: tuple[int, ...] = ()  # processes of a server that work for this store

    def cpu_s(self) -> float:
        """Seconds that were used so far."""
        ticks = 0
        for pid in self.backends:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


async def filled_on(cluster: Cluster, size: int) -> Filled:
    """A new schema with ``size`` registrations."""
    name = f"list_{size}"
    dsn = await make_schema(cluster, name) + f"&application_name={name}"
    store = await PostgresStore.open(dsn, Vault(bytes(MASTER_BYTES), Random(3).randbytes), Random(3).random)  # noqa: S311
    account = await store.open_account(NewAccount("main", "unlimited", 10**9, "login", "sign"), NOW)
    c = await asyncpg.connect(dsn)
    rows = ((*row, 1, "{}", "ups") for row in shipments(account.id, size))
    await c.copy_records_to_table("shipment", records=rows, columns=COPIED)
    document = some_document()
    await c.execute(
        """INSERT INTO document (shipment, account, template, estimate)
        SELECT id, account, $1, $2 FROM shipment WHERE asked_at IS NOT NULL""",
        document.template,
        document.estimate,
    )
    await c.execute("UPDATE account SET listed = $1", size)
    await c.execute("VACUUM ANALYZE")
    one = Filled(size, context_of(store), account)
    await total_of(one, Case("", {}))
    pids = await c.fetch("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'idle'")
    await c.close()
    return one._replace(backends=tuple(row[0] for row in pids))


async def filled(folder: Path, size: int) -> Filled:
    """A new file with ``size`` registrations."""
    path = folder / f"{size}.db"
    nonces = itertools.count()
    vault = Vault(bytes(MASTER_BYTES), lambda count: next(nonces).to_bytes(count, "big"))
    store = await SqliteStore.open(path, vault)
    account = await store.open_account(NewAccount("main", "unlimited", 10**9, "login", "sign"), NOW)
    await store.close()
    fill(path, account.id, size)
    context = context_of(await SqliteStore.open(path, vault))
    return Filled(size, context, account)


def context_of(store: Store) -> Context:
    """As much of a service as a list needs."""
    nothing: Any = None
    return Context(
        store,
        nothing,
        nothing,
        ManualClock(NOW),
        zone_of,
        Routes(),
        shipped(),
        "reference",
        nothing,
        nothing,
        nothing,
        nothing,
    )


def fill(path: Path, account: int, size: int) -> None:
    """Rows as they come to be, and the list made as the migration makes it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as c:
        c.execute("PRAGMA synchronous = OFF")
        c.execute("PRAGMA cache_size = -262144")
        c.execute("BEGIN")
        triggers = c.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            c.execute(f"DROP TRIGGER {name}")
        c.executemany(
            """INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish,
            registered_at, asked_at, stopped_at, stop_reason, sub_status, lane, trouble)
            VALUES (?, ?, ?, ?, ?, 1, ?, ?, '{}', ?, ?, ?, ?, ?, 'ups', NULL)""",
            shipments(account, size),
        )
        document = some_document()
        asked = c.execute("SELECT id FROM shipment WHERE asked_at IS NOT NULL").fetchall()
        documents.keep(c, ((shipment, document) for (shipment,) in asked))
        columns = "shipment, account, code, status, stopped, sync, register_at, track_at, stop_at"
        c.execute(f"INSERT INTO listing ({columns}) SELECT {columns} FROM listed")
        c.executemany(
            """UPDATE listing SET push = ?, push_code = ?, push_at = iif(? = 0, NULL, track_at)
            WHERE shipment = ?""",
            pushes(size),
        )
        count_list(c)
        for _, sql in triggers:
            c.execute(sql)
        c.execute("COMMIT")
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def shipments(account: int, size: int) -> Iterator[tuple[Any, ...]]:
    """Registered one after the other over the days, asked within hours, stopped after a while."""
    random = Random(1)  # noqa: S311
    weights = [weight for *_, weight in STATES]
    step = timedelta(days=DAYS) / size
    for place in range(size):
        at = NOW - timedelta(days=DAYS) + place * step
        sub_status, stopped, _ = random.choices(STATES, weights)[0]
        end = at + (NOW - at) * random.random() if stopped else None
        asked_at = None if sub_status is None else end or NOW - timedelta(hours=24 * random.random())
        yield (
            place + 1, account, f"N{place:012}", f"carrier-{place % len(CODES)}", CODES[place % len(CODES)],
            Phase.STOPPED if stopped else Phase.TRACKING, micros(at), micros(at),
            asked_at and micros(asked_at), end and micros(end), "Expired" if stopped else None, sub_status,
        )  # fmt: skip


def pushes(size: int) -> Iterator[tuple[int, int, int, int]]:
    random = Random(2)  # noqa: S311
    weights = [weight for *_, weight in PUSHES]
    for place in range(size):
        push, code, _ = random.choices(PUSHES, weights)[0]
        yield push, code, push, place + 1


def some_document() -> Document:
    """What is stored of a shipment with two events."""
    events = tuple(
        Event(
            exact(NOW - timedelta(hours=hours)),
            text,
            sub_status,
            code,
            "PORTLAND, OR",
            Address("US"),
            order_at=NOW - timedelta(hours=hours),
        )
        for hours, text, sub_status, code in (
            (1, "On the way", SubStatus.IN_TRANSIT, "I"),
            (9, "Picked up", SubStatus.PICKED_UP, "P"),
        )
    )
    shipment = Shipment(1, 1, "N000000000001", "usps", 21051, 1, Phase.TRACKING, NOW)
    nothing: Any = None
    return document_of(
        context_of(nothing), shipment, assemble([begin("usps", Report("N000000000001", events), NOW)], NOW)
    )


# --- measure --------------------------------------------------------------------------------------------


async def total_of(one: Filled, case: Case) -> int:
    answer = await track_list(one.context, one.account, json.dumps(case.filters).encode())
    total: int = json.loads(answer)["page"]["data_total"]
    return total


async def cpu_us(one: Filled, body: bytes, calls: int) -> float:
    began = one.cpu_s()
    for _ in range(calls):
        await track_list(one.context, one.account, body)
    return (one.cpu_s() - began) / calls * 1e6


async def measure(
    case: Case, depth: float, accounts: Sequence[Filled], rounds: int, calls: int
) -> list[float]:
    """Microseconds of a page at each size."""
    bodies = []
    for one in accounts:
        pages = await total_of(one, case) // 40  # full ones
        bodies.append(json.dumps(case.filters | {"page_no": max(1, round(pages * depth))}).encode())
    took: list[list[float]] = [[] for _ in accounts]
    for turn in range(rounds + 1):
        for place, (one, body) in enumerate(zip(accounts, bodies, strict=True)):
            us = await cpu_us(one, body, calls)
            if turn:  # the first round only warms up
                took[place].append(us)
    return [statistics.median(times) for times in took]


async def bench(store: str, sizes: Sequence[int], rounds: int, calls: int) -> list[dict[str, Any]]:
    """A row for each case and depth."""
    rows = []
    on_postgres = store == "postgres"
    cases = [case for case in CASES if not on_postgres or case.name in FLAT_ON_POSTGRES]
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="parcelwire-list-")))
        if on_postgres:
            cluster = Cluster.make()
            opened.callback(cluster.remove)
            accounts = [await filled_on(cluster, size) for size in sizes]
        else:
            accounts = [await filled(folder, size) for size in sizes]
        try:
            for case in cases:
                for depth, where in ((0.0, "first"),) if on_postgres else ((0.0, "first"), (0.9, "deep")):
                    times = await measure(case, depth, accounts, rounds, calls)
                    totals = [await total_of(one, case) for one in accounts]
                    rows.append(
                        {
                            "case": case.name, "page": where, "rows": totals, "us": times,
                            "ratio": max(times) / min(times),
                        }
                    )  # fmt: skip
        finally:
            for one in accounts:
                await one.context.store.close()
    return rows


def table(sizes: Sequence[int], rows: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = [f"{'CPU of a page, us':34}" + "".join(f"{size:>12,}" for size in sizes) + f"{'ratio':>9}"]
    lines += [
        f"{row['case'] + ', ' + row['page']:34}"
        + "".join(f"{us:>12,.0f}" for us in row["us"])
        + f"{row['ratio']:>9.2f}"
        for row in rows
    ]
    worst = max(row["ratio"] for row in rows if row["case"] != TOGETHER)
    lines.append(f"worst ratio {worst:.2f}, goal {GOAL} ({'met' if worst <= GOAL else 'NOT met'})")
    together = [row["ratio"] for row in rows if row["case"] == TOGETHER]
    if together:
        lines.append(
            f"four filters together {max(together):.2f}, no goal: ranks are then sought among all kinds twice"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    rows = asyncio.run(bench(given.store, sizes, given.rounds, given.calls))
    print(
        json.dumps({"store": given.store, "sizes": sizes, "cases": rows})
        if given.json
        else table(sizes, rows)
    )


if __name__ == "__main__":
    main()
