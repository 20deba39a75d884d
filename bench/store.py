"""What each store costs, beside the bare driver that reads and writes the same rows.

    # a minute
    python3 dev.py bench store [--json] [--rounds 5] [--calls 10] [--only sqlite]

Registrations in calls of 40; refreshes, claimed and saved 100 at a time, each with its event, its document,
the carrier's reply and a push; pushes, claimed and saved 20 at a time; the first page of the list. CPU of
this process (all threads) and of all processes of the PostgreSQL server; both stores are durable (fsync). In
each round the floor (bench/_floors.py) does in a database of its own what the store has just done in its; at
the end both databases are compared. Medians over the rounds. The PostgreSQL server is vacuumed and analysed
before each round: when it would do so by itself is chance, and its CPU would count for whoever was just busy.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from bench._floors import Floor, PostgresFloor, SqliteFloor, Watched
from bench._life import CALL, HOUR, Life, vault
from bench._machine import Meter, machine
from bench._postgres import SETTINGS, meter, server
from tests.postgres import Cluster, make_schema

from parcelwire.cli.serve import tune_collector
from parcelwire.ports import Store
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.sqlite import SqliteStore

GOAL = 1.6
SECOND = timedelta(seconds=1)
OPERATIONS = ("register", "refresh", "push", "list page")
STORES = ("sqlite", "postgres")
PAGES = 100  # of a round


class Cost(NamedTuple):
    """Microseconds of one registration, refresh, push or page: of this process, and of the server."""

    client: float
    server: float

    @property
    def both(self) -> float:
        return self.client + self.server


Turn = dict[str, tuple[Cost, Cost]]  # ours and the floor's by operation


async def turn(life: Life, floor: Floor, calls: int, make: Callable[[], Meter]) -> Turn:
    """An hour: some shipments are new, all are refreshed, what is new of each is pushed."""
    costs: Turn = {}
    await life.pass_time(HOUR)
    ours, theirs = make(), make()
    count = await life.register(ours, calls)
    assert await floor.register(theirs, life.now) == count
    costs["register"] = Cost(*ours.us(count)), Cost(*theirs.us(count))

    await life.pass_time(SECOND)
    ours, theirs = make(), make()
    count = await life.refresh(ours)
    assert await floor.refresh(theirs, life.now) == count
    costs["refresh"] = Cost(*ours.us(count)), Cost(*theirs.us(count))

    await life.pass_time(SECOND)
    ours, theirs = make(), make()
    count = await life.push(ours)
    assert await floor.push(theirs, life.now) == count
    costs["push"] = Cost(*ours.us(count)), Cost(*theirs.us(count))

    ours, theirs = make(), make()
    page = await life.list_page(ours, PAGES)
    assert len(page.rows) == CALL
    await floor.list_page(theirs, PAGES)
    costs["list page"] = Cost(*ours.us(PAGES)), Cost(*theirs.us(PAGES))
    return costs


async def measure(
    store: Store, floor: Floor, rounds: int, calls: int, make: Callable[[], Meter]
) -> list[Turn]:
    """Rounds, after two that warm up (connections, caches, the width of the endpoint)."""
    life = await Life.begin(store)
    turns = []
    tune_collector()  # as "parcelwire serve" does; for both
    try:
        for _ in range(rounds + 2):
            await floor.tidy()
            turns.append(await turn(life, floor, calls, make))
        different = await floor.same()
        assert not different, f"the floor wrote other rows: {different}"
    finally:
        await life.close()
    return turns[2:]


@asynccontextmanager
async def on_sqlite(folder: Path) -> AsyncIterator[tuple[Store, Floor]]:
    """A store and its floor, each with a file that has the same account."""
    for name in ("ours", "floor"):
        store = await SqliteStore.open(folder / f"{name}.db", vault())
        await (await Life.begin(store)).close()
        await store.close()
    watched = await Watched.open(folder / "ours.db", vault())
    floor = SqliteFloor(folder / "floor.db", folder / "ours.db", watched)
    try:
        yield watched, floor
    finally:
        await floor.close()
        await watched.close()


@asynccontextmanager
async def on_postgres(cluster: Cluster) -> AsyncIterator[tuple[Store, Floor]]:
    """The same with two schemas."""
    dsns = [await make_schema(cluster, name) for name in ("ours", "floor")]
    for dsn in dsns:
        store = await PostgresStore.open(dsn, vault(), lambda: 0.5)
        await (await Life.begin(store)).close()
        await store.close()
    store = await PostgresStore.open(dsns[0], vault(), lambda: 0.5)
    floor = await PostgresFloor.open(dsns[1], dsns[0])
    try:
        yield store, floor
    finally:
        await floor.close()
        await store.close()


async def of_sqlite(rounds: int, calls: int) -> list[Turn]:
    """Rounds on a file."""
    with tempfile.TemporaryDirectory(prefix="parcelwire-store-") as path:
        async with on_sqlite(Path(path)) as (store, floor):
            return await measure(store, floor, rounds, calls, Meter)


async def of_postgres(rounds: int, calls: int) -> list[Turn]:
    """Rounds on a server."""
    with server(settings=SETTINGS | {"autovacuum": "off"}) as cluster:
        async with on_postgres(cluster) as (store, floor):
            return await measure(store, floor, rounds, calls, lambda: meter(cluster))


def summary(store: str, turns: list[Turn]) -> list[dict[str, Any]]:
    """A row of the table for each operation."""
    rows = []
    for operation in OPERATIONS:
        sides = [one[operation] for one in turns]
        ratios = [ours.both / floor.both for ours, floor in sides]
        ours, floor = (
            Cost(*(round(statistics.median(costs), 1) for costs in zip(*side, strict=True)))
            for side in zip(*sides, strict=True)
        )
        rows.append(
            {
                "store": store, "operation": operation,
                "client_us": ours.client, "server_us": ours.server,
                "floor_client_us": floor.client, "floor_server_us": floor.server,
                "ratio": round(statistics.median(ratios), 2),
                "rounds": [round(min(ratios), 2), round(max(ratios), 2)],
                "goal": GOAL,
            }
        )  # fmt: skip
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = [f"{'CPU us':24}{'client':>8}{'server':>8}{'floor: client':>15}{'server':>8}{'ratio':>8}  rounds"]
    for row in rows:
        low, high = row["rounds"]
        lines.append(
            f"{row['store'] + ', ' + row['operation']:24}{row['client_us']:8.1f}{row['server_us']:8.1f}"
            f"{row['floor_client_us']:15.1f}{row['floor_server_us']:8.1f}{row['ratio']:8.2f}  "
            f"{low:.2f}-{high:.2f}"
        )
    worst = max(row["ratio"] for row in rows)
    return "\n".join([*lines, f"worst ratio {worst:.2f}, goal {GOAL}"])


def main() -> int:
    """Print the figures; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=10, help="registrations of a round, in calls of 40")
    parser.add_argument("--only", choices=STORES)
    given = parser.parse_args()
    before = machine()
    rows = []
    for name, run in zip(STORES, (of_sqlite, of_postgres), strict=True):
        if given.only in (None, name):
            rows += summary(name, uvloop.run(run(given.rounds, given.calls)))
    print(json.dumps({"machine": before, "operations": rows}) if given.json else f"{before}\n\n{table(rows)}")
    return int(any(row["ratio"] > GOAL for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
