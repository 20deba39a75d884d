"""What each store costs as it grows.

    # 60 minutes
    python3 dev.py bench scale sqlite|postgres [--json] [--sizes 10000,1000000] [--rounds 8] [--data FOLDER]

One account of so many shipments, all of them to be refreshed some day and none of them now, filled quickly
(bench/_bulk.py) and then used through the store: shipments in random places become due and are refreshed, one
scan, which is new of each, is pushed, others are registered, and the first page of the list is read. CPU of
the process that does it, and of all processes of the PostgreSQL server (a quarter of the machine's memory is
its `shared_buffers`, as docs/how-to/scale.md says). Claims are counted once more by themselves, of shipments
that were registered just before, beside those of a store that holds nothing else.

First each size is used without being counted, until one in a hundred of its shipments was refreshed and
pushed: what a service does in the first minutes, and the caches of a server that was just started need. That
itself is the row "refresh, after a start": its first rounds. Then the sizes take turns, each in a process of
its own; its memory and the disk that a shipment takes (indexes included) are those at the end. Medians over
the rounds. The databases are made in FOLDER (else where the system keeps temporary files) and removed at the
end.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import uvloop
from bench._bulk import PLANNED_AT, PLANNED_FOR, SAMPLES, Copies, fill_postgres, fill_sqlite, live
from bench._life import CALL, HOUR, Life, vault
from bench._machine import Meter, machine, resident_mb, server_cpu_s
from bench._postgres import FILLING, SETTINGS, server
from tests.postgres import Cluster, make_schema

from parcelwire.cli.serve import tune_collector
from parcelwire.ports import Store
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.sqlite import SqliteStore

# What docs/how-to/scale.md tells an operator of millions of shipments to set.
BIG = SETTINGS | {
    "shared_buffers": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 4 >> 20}MB",
    "checkpoint_timeout": "15min",
}
GOAL = 1.5  # the largest size may cost so many times what the smallest does
CLAIM_GOAL = 0.8  # of the claims a second of a store that holds nothing else
REFRESH, PUSH, REGISTER, CLAIM, PAGE, COLD = OPERATIONS = (
    "refresh", "push", "register", "claim, of new shipments", "list page", "refresh, after a start"
)  # fmt: skip
NO_GOAL = (CLAIM, COLD)  # of the ratio of sizes
COLD_ROUNDS = 4
WARM_PART = 100  # one in so many is refreshed before anything is counted
PART = 10  # of the smallest size becomes due in all rounds together, so that every round finds some
PAGES = 20
CALLS = 10
NEVER = 365 * 24 * HOUR  # what was refreshed is not due again

Costs = dict[str, tuple[float, float]]  # microseconds of client and server by operation


class Target(NamedTuple):
    """A filled database. ``place``: a file or a DSN; ``server``: process of the server, if there is one."""

    place: str
    size: int
    server: int | None


async def open_store(place: str) -> Store:
    """The store of a target."""
    if place.startswith("postgresql://"):
        return await PostgresStore.open(place, vault(), lambda: 0.5)
    return await SqliteStore.open(Path(place), vault())


async def fill(place: str, size: int) -> None:
    """Make a database with so many shipments, none for 0."""
    store = await open_store(place)
    if size:
        await live(store)
    else:
        await (await Life.begin(store)).close()
    await store.close()
    if size and place.startswith("postgresql://"):
        await fill_postgres(place, size)
    elif size:
        await asyncio.to_thread(fill_sqlite, Path(place), size)


async def disk_bytes(target: Target) -> int:
    """What the shipments take, with all indexes."""
    if target.server is None:
        return await asyncio.to_thread(os.path.getsize, target.place)
    c = await asyncpg.connect(target.place)
    try:
        size: int = await c.fetchval(
            """SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
            WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"""
        )
    finally:
        await c.close()
    return size


# --- one size, in a process of its own --------------------------------------------------------------------


def use(pipe: Connection, target: Target, due: int) -> None:
    """Rounds for as long as they are asked for; then disk and memory."""

    async def go() -> None:
        store = await open_store(target.place)
        life = await Life.begin(
            store, PLANNED_AT, first=target.size, every=NEVER, journeys=Copies(target.size)
        )
        tune_collector()  # as "parcelwire serve" does
        cold = await warm_up(life, target, due)
        pipe.send(None)
        while await asyncio.to_thread(pipe.recv):
            pipe.send(await turn(life, target, due) | cold)
        pipe.send((await disk_bytes(target), resident_mb(os.getpid())))
        await life.close()
        await store.close()

    uvloop.run(go())


def meter(target: Target) -> Meter:
    """Of this process and the server, if there is one."""
    pid = target.server
    return Meter() if pid is None else Meter(lambda: server_cpu_s(pid))


async def warm_up(life: Life, target: Target, due: int) -> Costs:
    """Part of the shipments are refreshed and pushed; answers what the first refreshes cost."""
    first, count = meter(target), 0
    for lap in range(target.size // WARM_PART // due + 1 if target.size else 0):
        await life.pass_time(PLANNED_FOR * due / target.size)
        done = await life.refresh(first if lap < COLD_ROUNDS else Meter())
        count += done if lap < COLD_ROUNDS else 0
        await life.push(Meter())
    await settle(life, Meter())
    return {COLD: first.us(count)} if count else {}


async def settle(life: Life, meter: Meter) -> None:
    """Copy what was written into the file, if it is one. SQLite does so when a thousand pages are together:
    whoever came next would pay for up to all of them.
    """
    if isinstance(life.store, SqliteStore):
        with meter.running():
            life.store._writer._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # noqa: SLF001


async def turn(life: Life, target: Target, due: int) -> Costs:
    """One round."""
    costs: Costs = {}
    if target.size:
        await life.pass_time(PLANNED_FOR * due / target.size)
        refreshing = meter(target)
        refreshed = await life.refresh(refreshing)
        await settle(life, refreshing)
        costs[REFRESH] = refreshing.us(refreshed)
        pushing = meter(target)
        pushed = await life.push(pushing)
        await settle(life, pushing)
        costs[PUSH] = pushing.us(pushed)
    registering = meter(target)
    registered = await life.register(registering, CALLS)
    await settle(life, registering)
    costs[REGISTER] = registering.us(registered)
    claiming = meter(target)
    costs[CLAIM] = claiming.us(await life.refresh(Meter(), claiming))
    await life.push(Meter())
    await settle(life, Meter())
    paging = meter(target)
    page = await life.list_page(paging, PAGES)
    assert len(page.rows) == CALL
    assert page.total >= target.size
    costs[PAGE] = paging.us(PAGES)
    return costs


class User:
    """The process at the other end."""

    def __init__(self, target: Target, due: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=use, args=(theirs, target, due), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def turn(self) -> Costs:
        self._pipe.send(True)
        costs: Costs = self._pipe.recv()
        return costs

    def end(self) -> tuple[int, float]:
        """Bytes on disk, and megabytes of memory."""
        self._pipe.send(False)
        sizes: tuple[int, float] = self._pipe.recv()
        self._process.join()
        return sizes


# --- all sizes --------------------------------------------------------------------------------------------


def targets(kind: str, sizes: Sequence[int], folder: Path | None, opened: ExitStack) -> list[Target]:
    """Filled databases of all sizes."""
    made = []
    if kind == "sqlite":
        home = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="parcelwire-scale-", dir=folder)))
        for size in sizes:
            path = home / f"{size}.db"
            filled(str(path), size)
            made.append(Target(str(path), size, None))
        os.sync()  # else the system writes back what was filled while the first rounds run
        return made
    cluster: Cluster = opened.enter_context(server(folder, FILLING))
    for size in sizes:
        dsn = asyncio.run(make_schema(cluster, f"s{size}"))
        filled(dsn, size)
        made.append(Target(dsn, size, None))
    cluster.stop()
    cluster.settings = BIG
    cluster.start()
    return [target._replace(server=cluster.pid) for target in made]


def filled(place: str, size: int) -> None:
    """Fill one, and tell how long it took."""
    began = time.perf_counter()
    asyncio.run(fill(place, size))
    print(f"{size:,} shipments filled in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def measured(made: Sequence[Target], rounds: int) -> dict[str, Any]:
    """Figures of all sizes, which take turns; the first turn only warms up."""
    smallest = min(target.size for target in made if target.size)
    due = smallest // PART // (rounds + 1)
    users = [User(target, due) for target in made]
    turns = [[user.turn() for user in users] for _ in range(rounds + 1)][1:]
    ends = [user.end() for user in users]
    rows = []
    for operation in OPERATIONS:
        costs = [
            [costs[place][operation] for costs in turns] if operation in turns[0][place] else None
            for place in range(len(made))
        ]
        rows.append({"operation": operation} | summary(costs))
    return {
        "sizes": [target.size for target in made],
        "operations": rows,
        "bytes_a_shipment": [
            round(disk / target.size) if target.size else None
            for target, (disk, _) in zip(made, ends, strict=True)
        ],
        "process_mb": [round(memory, 1) for _, memory in ends],
    }


def summary(costs: Sequence[Sequence[tuple[float, float]] | None]) -> dict[str, Any]:
    """Medians at each size, and the last in relation to the first."""
    client, server_, both = (
        [None if of_size is None else round(statistics.median(map(part, of_size)), 1) for of_size in costs]
        for part in (lambda cost: cost[0], lambda cost: cost[1], sum)
    )
    known = [us for us in both[1:] if us is not None]
    return {
        "client_us": client, "server_us": server_, "us": both, "ratio": round(known[-1] / known[0], 2),
        "of_empty": None if both[0] is None else round(both[0] / known[-1], 2),
    }  # fmt: skip


def missed(figures: Mapping[str, Any]) -> list[str]:
    """The goals that were not met."""
    rows = {row["operation"]: row for row in figures["operations"]}
    found = [name for name in OPERATIONS if name not in NO_GOAL and rows[name]["ratio"] > GOAL]
    return found + [CLAIM] * (rows[CLAIM]["of_empty"] < CLAIM_GOAL)


def table(figures: Mapping[str, Any]) -> str:
    """The figures as text."""

    def line(name: str, values: Sequence[Any], rest: str = "") -> str:
        cells = "".join(f"{'' if value is None else f'{value:,}':>13}" for value in values)
        return f"{name:28}{cells}{rest}"

    lines = [line("shipments", figures["sizes"], "   largest / smallest")]
    for row in figures["operations"]:
        rest = f"{row['ratio']:9.2f}"
        if row["operation"] == CLAIM:
            rest += f"   claims a second: {row['of_empty']} of those of the empty one, goal >= {CLAIM_GOAL}"
        lines.append(line(f"{row['operation']}, CPU us", row["us"], rest))
        lines.append(line("  of these the server's", row["server_us"]))
    lines.append(line("disk, bytes a shipment", figures["bytes_a_shipment"]))
    lines.append(line("memory of the process, MB", figures["process_mb"]))
    lines.append(f"goal: the largest at most {GOAL} x the smallest; missed: {missed(figures) or 'none'}")
    return "\n".join(lines)


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("store", choices=("sqlite", "postgres"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default="10000,1000000", help=f"multiples of {SAMPLES}")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--data", type=Path, help="folder for the databases")
    given = parser.parse_args()
    before = machine()
    sizes = sorted(int(size) // SAMPLES * SAMPLES for size in given.sizes.split(","))
    with ExitStack() as opened:
        figures = measured(targets(given.store, [0, *sizes], given.data, opened), given.rounds)
    if given.json:
        print(json.dumps({"machine": before, "store": given.store} | figures))
    else:
        print(f"{before}\n\n{table(figures)}")
    return int(bool(missed(figures)))


if __name__ == "__main__":
    raise SystemExit(main())
