"""Shipments a second through the whole service, and how much of that the database takes.

    # 3 minutes
    python3 dev.py bench throughput [--json] [--rounds 4] [--shipments 3000] [--only sqlite]

FedEx's stand-in (calls of 30 numbers) and the receiver of webhooks answer over HTTP on the loopback
interface, in a process of their own. In each round every shipment has a new scan, and all become due at one
moment: they are claimed, asked about, merged, saved, and each is pushed. Then once more with nothing new:
what most refreshes are. The service runs as an operator runs it: one process on SQLite, one worker and two on
PostgreSQL, each logging to nowhere.

The floor is the same refresher and the same pusher over a store in memory (bench/_memory.py). Shares are of
its shipments a second (of the clock, on a machine that also runs the other side and the database server) and
of CPU: the floor's for a shipment, over that of all workers and of the server. Medians over the rounds.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from aiohttp import web
from bench._child import Child
from bench._life import CALL, CODE, HOUR, NO_LIMIT, SLUG, number, vault
from bench._machine import cpu_s, machine, server_cpu_s
from bench._memory import MemoryStore
from bench._postgres import server
from tests.postgres import Cluster, make_schema

from parcelwire.app import Service, asker_of, context_of, settings_from
from parcelwire.cli.output import run, set_up_logs
from parcelwire.cli.serve import tune_collector
from parcelwire.domain.account import NewAccount
from parcelwire.domain.shipment import Phase, Shipment, Wish
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.clock import SystemClock
from parcelwire.net.flights import Flights
from parcelwire.net.push import PushSender
from parcelwire.ports import Store, Wanted
from parcelwire.standins import stand_in
from parcelwire.standins._gate import Gate
from parcelwire.standins.server import listening, serve
from parcelwire.store.postgres import PostgresStore
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES
from parcelwire.wire.signature import new_secret

GOALS = {"sqlite": 0.45, "postgres": 0.5, "postgres, two workers": 0.5}
SIGN_KEY = "sign-key-of-the-shop"
SOON = timedelta(seconds=1)  # until the shipments of a round are due, so that all of a round is measured
QUIET = timedelta(minutes=5)  # longer than a lease, shorter than any interval: until then nothing is due
LOOK_S = 0.02
SAVED_S = 0.3  # then what came of the last pushes is saved
PATIENCE_S = 120.0
FLOOR = "no database"
KINDS = ("something new", "nothing new")
ROUNDS_MAX = 5  # a journey has seven scans
# What an account has under way (domain/schedule.py), and how long each waits for its next refresh.
ACTIVE = (("not found yet", 5, 12), ("announced", 10, 12), ("in transit", 50, 4), ("out for delivery", 5, 1),
          ("exception", 5, 6), ("delivered", 25, 24))  # fmt: skip


# --- the other side ---------------------------------------------------------------------------------------


class Elsewhere:
    """A clock for journeys, moved on by hand. It begins early enough not to overtake the service's."""

    def __init__(self) -> None:
        self.hours = 0
        self._begun = SystemClock().now() - (ROUNDS_MAX + 1) * HOUR

    def now(self) -> datetime:
        return self._begun + self.hours * HOUR

    def monotonic(self) -> float:
        return time.perf_counter()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def answer(pipe: Connection) -> None:
    """The carrier and the receiver.

    An hour through the pipe sets the time of journeys; each answer is the number of pushes so far.
    """

    async def serve_both() -> None:
        there = stand_in(SLUG, HOUR.total_seconds())
        assert there is not None
        there.gate = Gate(NO_LIMIT, 1, NO_LIMIT)  # type: ignore[attr-defined]
        clock, taken = Elsewhere(), 0

        async def take(request: web.BaseRequest) -> web.Response:
            nonlocal taken
            await request.read()
            taken += 1
            return web.Response()

        async with listening(take) as sink, serve(there, clock) as url:
            pipe.send((url, f"{sink}/hook"))
            while True:
                asked = await asyncio.to_thread(pipe.recv)
                clock.hours = clock.hours if asked is None else asked
                pipe.send(taken)

    uvloop.run(serve_both())


# --- the workers ------------------------------------------------------------------------------------------


def work(pipe: Connection, environ: Mapping[str, str], role: str | None) -> None:
    """A process of the service, or (``role`` None) the same loops without a database.

    True through the pipe makes everything due soon and tells when; False asks whether nothing is.
    """
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - log lines are made and thrown away
    set_up_logs()

    async def go() -> None:
        context = await (start_service(environ, role) if role else start_floor(environ))
        tune_collector()  # as "parcelwire serve" does; for both
        pipe.send(None)
        while True:
            wanted = await asyncio.to_thread(pipe.recv)
            now = context.clock.now()
            if wanted:
                await context.store.hasten(now + SOON, timedelta())
                pipe.send(None)
            else:
                pipe.send(min((await context.store.lanes()).values()) > now + QUIET)

    run(go())


async def start_service(environ: Mapping[str, str], role: Any) -> Context:
    """As "parcelwire serve" does."""
    service = Service(settings_from(environ), role=role)
    await service.start()
    return service.context


async def start_floor(environ: Mapping[str, str]) -> Context:
    """The loops by themselves."""
    settings, clock = settings_from(environ), SystemClock()
    count, now = int(environ["SHIPMENTS"]), clock.now()
    shipments = [
        Shipment(n + 1, 1, number(n), SLUG, CODE, 2, Phase.TRACKING, now, wish_of(n), now, lane=SLUG)
        for n in range(count)
    ]
    store: Any = MemoryStore(shipments, environ["HOOK"], SIGN_KEY, new_secret(bytes(24)))
    asker, sender = asker_of(settings, clock), PushSender(clock, settings.egress_allow)
    context = context_of(settings, store, asker, sender, Flights(), clock)
    telemetry = Telemetry()
    refresher = Refresher(context, telemetry)
    pusher = Pusher(context, PushPolicy(settings.push_schedule, 10), random.random, telemetry)
    running = asyncio.gather(refresher.run(), pusher.run())
    running.add_done_callback(lambda _: os.abort())  # they never end
    return context


def wish_of(place: int) -> Wish:
    """What a shop gives with a number."""
    return Wish(tag=f"order {place}", order_no=f"A-{place:08}")


# --- measuring --------------------------------------------------------------------------------------------


class Spent(NamedTuple):
    """One round of one subject."""

    per_s: float
    worker_us: float  # CPU of all workers, a shipment
    server_us: float

    @property
    def cpu_us(self) -> float:
        return self.worker_us + self.server_us


class Subject:
    """Some workers and the server that they use."""

    def __init__(self, name: str, workers: Sequence[Child], server_cpu: Callable[[], float]) -> None:
        self.name, self._workers, self._server_cpu = name, workers, server_cpu

    def begin(self, other: Child, count: int) -> None:
        """What is due from the start, until all of it is pushed."""
        self._wait(other, count)

    def round(self, other: Child, count: int, *, news: bool) -> Spent:
        """Every shipment once, with something new to tell or without."""
        told = other.ask(None)
        self._workers[0].ask(True)
        cpu, server_cpu, began = self._cpu(), self._server_cpu(), time.perf_counter()
        self._wait(other, told + count * news)
        took = time.perf_counter() - began - SOON.total_seconds()
        time.sleep(SAVED_S)
        spent, server_spent = self._cpu() - cpu, self._server_cpu() - server_cpu
        return Spent(count / took, spent / count * 1e6, server_spent / count * 1e6)

    def _wait(self, other: Child, told: int) -> None:
        began = time.perf_counter()
        while not (other.ask(None) >= told and self._workers[0].ask(False)):
            late = time.perf_counter() - began > PATIENCE_S
            assert not late, f"{self.name}: {other.ask(None)} pushes instead of {told}"
            time.sleep(LOOK_S)

    def _cpu(self) -> float:
        return sum(cpu_s(worker.pid) for worker in self._workers)

    def stop(self) -> None:
        for worker in self._workers:
            worker.kill()


async def fill(store: Store, count: int, hook: str) -> None:
    """An account with its endpoint and its shipments."""
    now = SystemClock().now()
    account = await store.open_account(NewAccount("shop", "unlimited", NO_LIMIT, "login-key", SIGN_KEY), now)
    await store.set_endpoint(account.id, hook, new_secret(bytes(24)), stopped_by_request=True)
    wanted = [Wanted(number(n), SLUG, CODE, 2, SLUG, wish_of(n)) for n in range(count)]
    for start in range(0, count, CALL):
        await store.register(account.id, wanted[start : start + CALL], now)
    await store.close()


def environ_of(folder: Path, carrier: str, hook: str, count: int) -> dict[str, str]:
    """Settings of every subject."""
    return {
        "PARCELWIRE_LISTEN": "127.0.0.1:0",
        "PARCELWIRE_DATA": str(folder),
        "PARCELWIRE_SECRET_KEY": bytes(MASTER_BYTES).hex(),
        "PARCELWIRE_EGRESS_ALLOW": "127.0.0.0/8",
        "PARCELWIRE_CARRIER_FEDEX_URL": carrier,
        "PARCELWIRE_CARRIER_FEDEX_CLIENT_ID": "anybody",
        "PARCELWIRE_CARRIER_FEDEX_CLIENT_SECRET": "anything",
        "SHIPMENTS": str(count),
        "HOOK": hook,
    }


@asynccontextmanager
async def subject_of(
    name: str, environ: dict[str, str], cluster: Cluster | None, count: int
) -> AsyncIterator[Subject]:
    """One that is ready."""
    server_cpu: Callable[[], float] = float
    roles: tuple[str | None, ...] = (None,)
    if name == "sqlite":
        path = Path(environ["PARCELWIRE_DATA"]) / "throughput.db"
        await fill(await SqliteStore.open(path, vault()), count, environ["HOOK"])
        environ, roles = environ | {"PARCELWIRE_DATABASE": str(path)}, ("all",)
    elif name != FLOOR:
        assert cluster is not None
        dsn = await make_schema(cluster, name.replace(", ", "_").replace(" ", "_"))
        await fill(await PostgresStore.open(dsn, vault(), random.random), count, environ["HOOK"])
        environ, roles = environ | {"PARCELWIRE_DATABASE": dsn}, ("worker",) * (2 if "two" in name else 1)
        pid = cluster.pid

        def server_cpu() -> float:
            return server_cpu_s(pid)

    subject = Subject(name, [Child(work, environ, role) for role in roles], server_cpu)
    try:
        yield subject
    finally:
        subject.stop()


Found = dict[tuple[str, str], list[Spent]]  # by subject and kind of round


async def measure(
    names: Sequence[str], rounds: int, count: int, folder: Path, cluster: Cluster | None
) -> Found:
    """All subjects take turns."""
    other = Child(answer)
    found: Found = {(name, kind): [] for name in names for kind in KINDS}
    async with AsyncExitStack() as opened:
        opened.callback(other.kill)
        carrier, hook = other.ready
        environ = environ_of(folder, carrier, hook, count)
        subjects = {}
        for name in names:
            told = other.ask(None)
            subject = await opened.enter_async_context(subject_of(name, environ, cluster, count))
            subject.begin(other, told + count)
            subjects[name] = subject
        for hour in range(1, rounds + 1):
            other.ask(hour)
            for kind in KINDS:
                for name in (*names[hour % len(names) :], *names[: hour % len(names)]):
                    spent = subjects[name].round(other, count, news=kind == KINDS[0])
                    found[name, kind].append(spent)
    return found


def summary(found: Found) -> list[dict[str, Any]]:
    """A row of the table for each subject and kind of round."""
    rows = []
    for (name, kind), spent in found.items():
        floor = found[FLOOR, kind]
        shares = [bare.cpu_us / one.cpu_us for bare, one in zip(floor, spent, strict=True)]
        rates = [one.per_s / bare.per_s for bare, one in zip(floor, spent, strict=True)]
        per_s, worker, server_ = (statistics.median(values) for values in zip(*spent, strict=True))
        rows.append(
            {
                "subject": name, "round": kind, "per_s": round(per_s),
                "worker_us": round(worker, 1), "server_us": round(server_, 1),
                "share_of_rate": round(statistics.median(rates), 2),
                "share_of_cpu": round(statistics.median(shares), 2),
                "goal": GOALS.get(name) if kind == KINDS[0] else None,
            }
        )  # fmt: skip
    return rows


def a_second(active: int) -> float:
    """Refreshes a second that so many shipments need at the default intervals."""
    return active * sum(percent / 100 / (hours * 3600) for _, percent, hours in ACTIVE)


def supported(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Active shipments that each subject keeps up with, were each refresh to bring something new."""
    return {
        row["subject"]: round(row["per_s"] / a_second(1_000_000), 1)
        for row in rows
        if row["round"] == KINDS[0]
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figures as text."""
    lines = [f"{'':38}{'per s':>7}{'share':>7}  goal     CPU us: workers  server  share"]
    for row in rows:
        goal = "" if row["goal"] is None else f">= {row['goal']}"
        lines.append(
            f"{row['subject'] + ', ' + row['round']:38}{row['per_s']:7}{row['share_of_rate']:7.2f}  {goal:8}"
            f"{row['worker_us']:16.1f}{row['server_us']:8.1f}{row['share_of_cpu']:7.2f}"
        )
    mix = ", ".join(f"{percent} % {name} ({hours} h)" for name, percent, hours in ACTIVE)
    lines.append(f"\nactive shipments that this supports, of which {mix}; in millions:")
    lines += [f"  {name:24}{millions:8.1f}" for name, millions in supported(rows).items()]
    return "\n".join(lines)


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=4, choices=range(1, ROUNDS_MAX + 1))
    parser.add_argument("--shipments", type=int, default=3000)
    parser.add_argument("--only", choices=GOALS)
    given = parser.parse_args()
    before = machine()
    names = [FLOOR, *(name for name in GOALS if given.only in (None, name))]
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="parcelwire-throughput-")))
        cluster = opened.enter_context(server()) if any("postgres" in name for name in names) else None
        found = asyncio.run(measure(names, given.rounds, given.shipments, folder, cluster))
    rows = summary(found)
    if given.json:
        print(json.dumps({"machine": before, "subjects": rows, "active_millions": supported(rows)}))
    else:
        print(f"{before}\n\n{table(rows)}")
    return int(any(row["goal"] is not None and row["share_of_rate"] < row["goal"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
