"""What a refresh costs, from claim to commit, beside the least that it could cost.

    # half a minute
    python3 dev.py bench refresh [--json] [--rounds 5]

FedEx in calls of 30 numbers and DHL number by number, over real HTTP on the loopback interface against their
stand-ins in another process. Each round asks twice about all shipments: once when each has one new scan (its
timeline, document and webhook are made anew), and once when nothing is new.

The floor runs in the same process right after each: the same requests with a bare aiohttp client, the replies
decoded with msgspec, and the rows that the service wrote written with the bare sqlite3 driver into a copy of
its file as it was before, in the same two transactions a call (claim; complete), WAL and synchronous=FULL.
CPU of all threads, user and system; medians over the rounds.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from parcelwire.carriers import carriers
from parcelwire.cli.serve import tune_collector
from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.exchange import Query, Reply, Request
from parcelwire.domain.limits import Limits
from parcelwire.domain.schedule import Pace
from parcelwire.flows.context import Context
from parcelwire.flows.refresh import refresh_lane
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.net.ask import Asker
from parcelwire.net.flights import Flights
from parcelwire.net.push import PushSender
from parcelwire.ports import Carrier, Permit
from parcelwire.standins import credentials_of, stand_in
from parcelwire.standins._gate import Gate
from parcelwire.standins.server import serve
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.sqlite.file import CACHE_KB
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.directory import code_of, shipped
from parcelwire.wire.signature import new_secret
from parcelwire.zones import zone_of

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
STEP_S = 3600.0  # a new scan of every shipment
SCANS = 7  # of a whole journey
COUNTS = {"fedex": 600, "dhl": 200}
NUMBERS = {"fedex": "7000{:08d}", "dhl": "41{:08d}"}
NO_LIMIT = 10**9
GOAL = 2.5


class Shifted:
    """A clock that starts at BEGIN and is moved on by hand, so that rounds are hours apart."""

    def __init__(self) -> None:
        self.hours = 0

    def now(self) -> datetime:
        return BEGIN + timedelta(hours=self.hours)

    def monotonic(self) -> float:
        return time.perf_counter()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Recording(Asker):
    """Keeps the requests, for the floor to send again."""

    asked: list[Request]

    async def send(self, carrier: Carrier, request: Request, total_s: float, permit: Permit) -> Reply:
        self.asked.append(request)
        return await super().send(carrier, request, total_s, permit)


@dataclass(frozen=True)
class Sides:
    """CPU microseconds a shipment."""

    service: float
    floor: float


# --- the other side ---------------------------------------------------------------------------------------


def answer(pipe: Connection, slug: str) -> None:
    """A stand-in without limits over HTTP, in its own process. What comes through the pipe is its hour."""

    async def run() -> None:
        there = stand_in(slug, STEP_S)
        assert there is not None
        there.gate = Gate(NO_LIMIT, 1, NO_LIMIT)  # type: ignore[attr-defined]
        clock = Shifted()
        async with serve(there, clock) as url:
            pipe.send(url)
            while (hour := await asyncio.to_thread(pipe.recv)) is not None:
                clock.hours = hour
                pipe.send(hour)

    uvloop.run(run())


# --- the service ------------------------------------------------------------------------------------------


class Service:
    """Store, driver and flow, with one account that wants webhooks."""

    def __init__(self, store: SqliteStore, slug: str, url: str, path: Path) -> None:
        self.store, self.path, self.clock = store, path, Shifted()
        self.source = copy(carriers()[slug])
        self.source.limits = Limits(per_s=NO_LIMIT, burst=NO_LIMIT, per_day=NO_LIMIT)  # type: ignore[misc]
        there = stand_in(slug)
        assert there is not None
        access = {slug: credentials_of(there, self.source)}
        self.asker = Recording(self.clock, access, {slug: url})
        self.asker.asked = []
        ids = itertools.count(1)
        self.context = Context(
            store=store,
            fetcher=self.asker,
            sender=PushSender(self.clock),
            clock=self.clock,
            zone_of=zone_of,
            routes=Routes(dict.fromkeys(self.source.serves, self.source)),
            directory=shipped(),
            book="reference",
            new_id=lambda: f"id-{next(ids)}",
            new_secret=lambda: f"whsec_{next(ids)}",
            together=lambda jobs: asyncio.gather(*jobs),
            once=Flights(),
            pace=Pace(every=timedelta(seconds=STEP_S)),
        )

    @classmethod
    async def open(cls, folder: Path, slug: str, url: str) -> "Service":
        path = folder / f"{slug}.db"
        vault = Vault(bytes(MASTER_BYTES), bytes)
        made = cls(await SqliteStore.open(path, vault), slug, url, path)
        new = NewAccount("shop", "unlimited", NO_LIMIT, "key-of-the-shop", "sign-key-of-the-shop")
        account = await made.store.open_account(new, BEGIN)
        secret = new_secret(bytes(24))
        await made.store.set_endpoint(account.id, "https://a.example", secret, stopped_by_request=True)
        await made._register(account, slug)
        return made

    async def _register(self, account: Account, slug: str) -> None:
        numbers = [NUMBERS[slug].format(n) for n in range(COUNTS[slug])]
        for start in range(0, len(numbers), 40):
            items = [
                {"number": number, "carrier": code_of(slug if slug != "dhl" else "dhl_express", "reference")}
                for number in numbers[start : start + 40]
            ]
            done = json.loads(await register(self.context, account, json.dumps(items).encode()))
            assert not done["data"]["rejected"], done["data"]["rejected"][0]

    async def renew_token(self) -> None:
        """Ask once, for a number of nobody: the hour is another, and tokens live for one."""
        number = NUMBERS[self.source.slug].format(COUNTS[self.source.slug])
        await self.asker.ask(self.source, [Query(number, self.source.slug, self.clock.now())])

    async def refresh(self) -> int:
        """All that is due; answers how many."""
        count = 0
        while done := (await refresh_lane(self.context, self.source.slug)).shipments:
            count += done
        return count


# --- the floor --------------------------------------------------------------------------------------------

ROWS = ("source_report", "document", "raw_reply", "change", "push", "refresh_log")


def columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


@dataclass(frozen=True)
class Call:
    """One call of the service: what it asked, and the rows that came of it."""

    requests: Sequence[Request]
    shipments: Sequence[tuple[Any, ...]]
    rows: Mapping[str, Sequence[tuple[Any, ...]]]


def written(before: Path, after: Path, requests: Sequence[Request], batch: int) -> list[Call]:
    """What the service did between two states of its file, call by call."""
    with closing(sqlite3.connect(after)) as database:
        database.execute("ATTACH ? AS old", (str(before),))
        new: dict[str, list[tuple[Any, ...]]] = {
            table: database.execute(f"SELECT * FROM {table} EXCEPT SELECT * FROM old.{table}").fetchall()
            for table in (*ROWS, "shipment")
        }
        owner = {table: columns(database, table).index("shipment") for table in ROWS if table != "raw_reply"}
        raws = {row[0]: row for row in new["raw_reply"]}
        raw_of = dict(database.execute("SELECT shipment, raw FROM source_report"))
    order = [row[owner["refresh_log"]] for row in sorted(new["refresh_log"])]
    by_id = {row[0]: row for row in new["shipment"]}
    calls = []
    for index, start in enumerate(range(0, len(order), batch)):
        ids = order[start : start + batch]
        rows = {
            table: [row for row in new[table] if row[owner[table]] in ids]
            for table in ROWS
            if table != "raw_reply"
        }
        rows["raw_reply"] = [raws.pop(raw_of[i]) for i in ids if raw_of[i] in raws]
        calls.append(Call([requests[index]], [by_id[i] for i in ids], rows))
    return calls


class Floor:
    """Bare client, bare decoder, bare driver on a copy of the file."""

    def __init__(self, path: Path, lane: str, batch: int) -> None:
        self.lane, self.batch = lane, batch
        self.database = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("PRAGMA foreign_keys = ON")
        self.database.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        names = columns(self.database, "shipment")
        self.update = f"UPDATE shipment SET {', '.join(f'{n} = ?' for n in names[1:])} WHERE id = ?"
        self.claim = (
            "UPDATE shipment SET lease = 'floor', refresh_at = 9e15 WHERE id IN (SELECT id FROM shipment "
            f"WHERE lane = ? AND refresh_at <= ? ORDER BY refresh_at LIMIT ?) RETURNING {', '.join(names)}"
        )
        marks = {table: "?, " * (len(columns(self.database, table)) - 1) for table in (*ROWS, "lane")}
        self.insert = {
            table: f"INSERT OR REPLACE INTO {table} VALUES ({some}?)" for table, some in marks.items()
        }

    async def play(self, calls: Sequence[Call], url: str, now: int) -> None:
        """Everything that the service did, with the least means."""
        async with aiohttp.ClientSession(base_url=url) as session:
            for call in calls:
                self._claim(now)
                for request in call.requests:
                    async with session.request(
                        request.method, request.path, params=request.query, headers=request.headers,
                        data=request.body,
                    ) as response:  # fmt: skip
                        body = await response.read()
                    assert response.status == 200, response.status
                    msgspec.json.decode(body)
                self._complete(call)

    def _claim(self, now: int) -> None:
        run = self.database.execute
        run("BEGIN IMMEDIATE")
        lane = run("SELECT * FROM lane WHERE name = ?", (self.lane,)).fetchone()
        if lane:
            run(self.insert["lane"], lane)
        ids = [row[0] for row in run(self.claim, (self.lane, now, self.batch)).fetchall()]
        run("SELECT shipment, history FROM source_report WHERE shipment IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),)).fetchall()  # fmt: skip
        run("COMMIT")

    def _complete(self, call: Call) -> None:
        run = self.database.execute
        run("BEGIN IMMEDIATE")
        for row in call.shipments:
            run(self.update, (*row[1:], row[0]))
        for table, rows in call.rows.items():
            for row in rows:
                run(self.insert[table], row)
        run("COMMIT")


# --- measuring --------------------------------------------------------------------------------------------


def copied(path: Path, to: Path) -> Path:
    """The file as it is now."""
    to.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return to


async def once(service: Service, url: str, folder: Path) -> Sides:
    """All shipments once, by the service and by the floor."""
    slug, batch = service.source.slug, service.source.batch
    before = copied(service.path, folder / "before.db")
    floor_file = copied(service.path, folder / "floor.db")
    service.asker.asked.clear()
    began = time.process_time()
    count = await service.refresh()
    spent = time.process_time() - began
    assert count == COUNTS[slug], count
    requests = [request for request in service.asker.asked if "oauth" not in request.path]
    after = copied(service.path, folder / "after.db")
    calls = written(before, after, requests, batch)
    assert len(calls) == len(requests), (len(calls), len(requests))
    floor = Floor(floor_file, slug, batch)
    now = int(service.clock.now().timestamp() * 1_000_000)
    with closing(floor.database):
        began = time.process_time()
        await floor.play(calls, url, now)
        floor_spent = time.process_time() - began
    return Sides(spent / count * 1e6, floor_spent / count * 1e6)


async def measure(slug: str, url: str, pipe: Connection, rounds: int) -> dict[str, list[Sides]]:
    """``changed``: each shipment has a new scan; ``unchanged``: nobody has."""
    found: dict[str, list[Sides]] = {"changed": [], "unchanged": []}
    with tempfile.TemporaryDirectory(prefix="parcelwire-refresh-") as path:
        folder = Path(path)
        service = await Service.open(folder, slug, url)
        tune_collector()  # as "parcelwire serve" does
        try:
            await service.refresh()  # connections, tokens, caches, and the first scans
            for hour in range(1, 2 * rounds + 1):
                pipe.send(min(hour, rounds))  # the other side's time stands still in the second half
                pipe.recv()
                service.clock.hours = hour
                await service.renew_token()
                kind = "changed" if hour <= rounds else "unchanged"
                found[kind].append(await once(service, url, folder))
        finally:
            await service.asker.close()
            await service.store.close()
    return found


def figures(rounds: int) -> dict[str, Any]:
    """Medians for both carriers."""
    result: dict[str, Any] = {}
    for slug in COUNTS:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=answer, args=(theirs, slug))
        process.start()
        try:
            found = uvloop.run(measure(slug, ours.recv(), ours, rounds))
        finally:
            ours.send(None)
            process.join()
        for kind, sides in found.items():
            service = statistics.median(side.service for side in sides)
            floor = statistics.median(side.floor for side in sides)
            result[f"{slug} {kind}"] = {
                "numbers_a_call": carriers()[slug].batch,
                "service_us": round(service, 1),
                "floor_us": round(floor, 1),
                "ratio": round(statistics.median(side.service / side.floor for side in sides), 2),
                "rounds": [round(side.service / side.floor, 2) for side in sides],
            }
    return result


def main() -> int:
    """Print CPU microseconds a shipment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, SCANS - 1))
    given = parser.parse_args()
    found = figures(given.rounds)
    if given.json:
        print(json.dumps(found))
        return 0
    print(f"CPU us a shipment, from claim to commit (goal: at most {GOAL} x the floor)")
    for name, row in found.items():
        print(f"{name:<16} {row['numbers_a_call']:>3} a call  service {row['service_us']:>7.1f}  "
              f"floor {row['floor_us']:>7.1f}  ratio {row['ratio']:.2f}  rounds {row['rounds']}")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
