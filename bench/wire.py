"""What one item of a full request (40 items) costs the service, beside the least that it could cost.

    # half a minute
    python3 dev.py bench wire [--json] [--rounds 5] [--requests 50]

CPU of the server process only, all its threads, user and system: the client is another process. Two floors
are measured in the same run, in processes of their own:

* http: a bare aiohttp handler on the same event loop that decodes the same request bytes with msgspec and
  answers the same bytes (those that the service answered before);
* rows: the bare sqlite3 driver that reads or writes the same rows, in a copy of the service's own file, with
  WAL, synchronous=FULL and one transaction a request. For a registration these are the shipment and its entry
  of the ledger, the counters of quota, and its row of the list with the counts that make every total exact at
  one price (docs/why/0007): state that cannot be worked out later.

The service is the real one with its loops running, the rate limit off and nothing due: the only carrier with
credentials waits in its lane for a day, as after a throttling. The three take turns within each round, each
round begins with another one, and the figures are medians over the rounds.

Reads go round over few shipments, whose items the service keeps ready (docs/why/0014): it reads their rows
alone, and sends them again; the rows floor reads rows and documents. "not at hand" goes round over more
shipments than are kept, so that not one item of it is ever ready.
"""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from bench._child import Child
from bench._machine import machine

from parcelwire.app import Service, settings_from
from parcelwire.cli.output import run, set_up_logs
from parcelwire.domain.numbers import fx12
from parcelwire.domain.report import Address, Estimate, Event, Report
from parcelwire.domain.shipment import Wish
from parcelwire.domain.status import SubStatus
from parcelwire.domain.times import exact
from parcelwire.flows.context import Context
from parcelwire.flows.refresh import outcome
from parcelwire.flows.routes import Said
from parcelwire.ports import Wanted
from parcelwire.store.sqlite import counts

ITEMS = 40  # the most that a call takes
SEEDED = 10 * ITEMS  # shipments with a full timeline: requests go round over them
AWAY = 125 * ITEMS  # further ones: more than whose items are kept ready (flows/shelf.py)
CARRIER, CODE = "fedex", 100003
PERIOD = "2026-01"  # of the quota, as the rows floor writes it
KEY = "BENCH0123456789ABCDEF"


class Operation(NamedTuple):
    """One row of the table. ``goal``: the most that the service may cost, in sums of both floors."""

    name: str
    path: str
    goal: float


OPERATIONS = (
    Operation("register, carrier given", "/track/v2.2/register", 2.0),
    Operation("register, carrier detected", "/track/v2.2/register", 2.0),
    Operation("gettrackinfo", "/track/v2.2/gettrackinfo", 1.5),
    Operation("gettrackinfo, not at hand", "/track/v2.2/gettrackinfo", 3.0),
    Operation("getRealTimeTrackInfo, cached", "/track/v2.2/getRealTimeTrackInfo", 2.0),
)
REGISTER, DETECT, READ, FAR, CACHED = OPERATIONS
SUBJECTS = ("service", "http", "rows")


# --- what is asked --------------------------------------------------------------------------------------


def numbers(start: int, count: int) -> list[str]:
    """Tracking numbers of twelve digits with the carrier's own check digit."""
    bodies = (f"{77_000_000_000 + 7 * (start + place)}" for place in range(count))
    return [next(body + digit for digit in "0123456789" if fx12(body + digit)) for body in bodies]


def item(operation: Operation, number: str) -> dict[str, Any]:
    """One item as an ordinary client sends it."""
    if operation in (READ, FAR):
        return {"number": number, "carrier": CODE}
    if operation is CACHED:
        return {"number": number, "carrier": CODE, "cacheLevel": 0}
    given = {"number": number, **wish(number)}
    return given | {"carrier": CODE} if operation is REGISTER else given


def wish(number: str) -> dict[str, Any]:
    """What a shop gives with a number."""
    return {"tag": f"order {number[-6:]}", "lang": "en", "order_no": f"A-{number[-8:]}"}


class Asked(msgspec.Struct):
    """An item as the http floor decodes it."""

    number: str
    carrier: int | None = None
    tag: str | None = None
    order_no: str | None = None
    lang: str | None = None
    cacheLevel: int | None = None  # noqa: N815  the wire's spelling


class Plan:
    """The numbers of every request of a run: registrations are new each time, reads go round."""

    def __init__(self) -> None:
        self._fresh = SEEDED + AWAY
        self._turn = 0
        self._far_turn = 0

    def batches(self, operation: Operation, requests: int) -> list[list[str]]:
        """The numbers of that many requests."""
        batches: list[list[str]] = []
        for _ in range(requests):
            if operation in (REGISTER, DETECT):
                batches.append(numbers(self._fresh, ITEMS))
                self._fresh += ITEMS
            elif operation is FAR:
                batches.append(numbers(SEEDED + self._far_turn * ITEMS % AWAY, ITEMS))
                self._far_turn += 1
            else:
                batches.append(numbers(self._turn * ITEMS % SEEDED, ITEMS))
                self._turn += 1
        return batches


class Client:
    """One kept connection; a request is one packet, so that every server wakes up once for it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, path: str, body: bytes) -> bytes:
        """The body of the answer, which must be a 200."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\n17token: {KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        top, _, answer = received.partition(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 200"), top
        lengths = [line for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        parts, missing = [answer], int(lengths[0].partition(b":")[2]) - len(answer)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        return b"".join(parts)

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 20)
        assert data, "the server closed the connection"
        return data


# --- the three subjects, each in its own process --------------------------------------------------------


def answer_cpu(pipe: Connection) -> None:
    """Tell the CPU seconds of this process whenever they are asked for, until the pipe is closed."""

    def tell() -> None:
        try:
            while True:
                pipe.recv()
                pipe.send(time.process_time())
        except EOFError:
            os._exit(0)

    threading.Thread(target=tell, daemon=True).start()


def run_service(pipe: Connection, folder: str) -> None:
    """The whole service."""
    set_up_logs(quiet=True)
    run(_serve(pipe, Path(folder)))


async def _serve(pipe: Connection, folder: Path) -> None:
    environ = {
        "PARCELWIRE_LISTEN": "127.0.0.1:0",
        "PARCELWIRE_DATA": str(folder),
        "PARCELWIRE_FIRST_KEY": KEY,
        "PARCELWIRE_FIRST_PLAN": "unlimited",
        "PARCELWIRE_RATE_LIMIT": "0",
        "PARCELWIRE_CARRIER_FEDEX_URL": "http://127.0.0.1:9",
        "PARCELWIRE_CARRIER_FEDEX_CLIENT_ID": "nobody",
        "PARCELWIRE_CARRIER_FEDEX_CLIENT_SECRET": "asks",
    }
    service = Service(settings_from(environ))
    await service.start()
    await seed(service.context)
    pipe.send((int(service.url.rpartition(":")[2]), service.settings.database))
    answer_cpu(pipe)
    await asyncio.Event().wait()


async def seed(context: Context) -> None:
    """Shipments with a full timeline, their carrier's lane closed, and nothing due."""
    account, now = (await context.store.accounts())[0], context.clock.now()
    lane = await context.store.lane(CARRIER)
    closed = replace(lane, revision=1, blocked_until=now + timedelta(days=1), blocked_why="measuring")
    assert await context.store.save_lane(closed, lane.revision)
    source = context.routes.sources[CARRIER]
    for start in range(0, SEEDED + AWAY, ITEMS):
        wanted = [
            Wanted(number, CARRIER, CODE, 2, CARRIER, Wish(**wish(number)))
            for number in numbers(start, ITEMS)
        ]
        made = await context.store.register(account.id, wanted, now)
        assert all(isinstance(one, int) for one in made)
        dues = await context.store.claim(CARRIER, ITEMS, now, now + context.lease, context.new_id())
        results = [
            outcome(context, source, due, Said(report(due.shipment.number, now), 200), CARRIER, context.pace)
            for due in dues
        ]
        assert len(results) == ITEMS
        assert await context.store.complete(results) == 0


STEPS = (
    ("Shipment information sent to carrier", "OC", SubStatus.INFO_RECEIVED, "Hamburg"),
    ("Picked up", "PU", SubStatus.PICKED_UP, "Hamburg"),
    ("Left origin facility", "DP", SubStatus.IN_TRANSIT, "Hamburg"),
    ("Arrived at sorting hub", "AR", SubStatus.IN_TRANSIT, "Hannover"),
    ("Departed from sorting hub", "DP", SubStatus.IN_TRANSIT, "Hannover"),
    ("Arrived at sorting hub", "AR", SubStatus.IN_TRANSIT, "Kassel"),
    ("Departed from sorting hub", "DP", SubStatus.IN_TRANSIT, "Kassel"),
    ("In transit", "IT", SubStatus.IN_TRANSIT, "Frankfurt am Main"),
    ("Delayed by weather", "DY", SubStatus.DELAYED, "Frankfurt am Main"),
    ("Departed from sorting hub", "DP", SubStatus.IN_TRANSIT, "Frankfurt am Main"),
    ("Arrived at destination facility", "AR", SubStatus.IN_TRANSIT, "Ulm"),
    ("On vehicle for delivery", "OD", SubStatus.OUT_FOR_DELIVERY, "Ulm"),
    ("Customer not available", "DE", SubStatus.FAILURE_NO_BODY, "Ulm"),
    ("At local facility", "AR", SubStatus.IN_TRANSIT, "Ulm"),
)


def report(number: str, now: datetime) -> Report:
    """An answer with a full journey of three days."""
    begun = (now - timedelta(days=3)).astimezone(UTC).replace(microsecond=0)
    events = [
        Event(
            exact(begun + timedelta(hours=5 * step)), text, sub_status, code, f"{city}, DE",
            Address("DE", None, city),
        )
        for step, (text, code, sub_status, city) in enumerate(STEPS)
    ]  # fmt: skip
    return Report(
        number,
        tuple(reversed(events)),
        origin=Address("DE", None, "Hamburg", None, "20095"),
        destination=Address("DE", None, "Ulm", None, "89073"),
        estimate=Estimate(end=exact(now + timedelta(days=1))),
        service="International Priority",
        weight_raw="2.4 kg",
        weight_kg="2.4",
        pieces="1",
        lang="en",
    )


def run_http(pipe: Connection, answers: dict[str, bytes]) -> None:
    """The http floor; ``answers`` by path."""
    decoder = msgspec.json.Decoder(list[Asked])

    async def handle(request: web.BaseRequest) -> web.Response:
        assert len(decoder.decode(await request.read())) == ITEMS
        return web.Response(body=answers[request.path], content_type="application/json")

    async def serve() -> None:
        runner = web.ServerRunner(web.Server(handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        answer_cpu(pipe)
        await asyncio.Event().wait()

    run(serve())


def run_rows(pipe: Connection, file: str) -> None:
    """The rows floor: receives (operation, batches of numbers), answers the CPU seconds of writing or reading
    their rows."""
    rows = Rows(file)
    pipe.send(None)
    try:
        while True:
            name, batches = pipe.recv()
            reads = name in (READ.name, FAR.name)
            work = rows.cached if name == CACHED.name else rows.read if reads else rows.register
            begun = time.process_time()
            for batch in batches:
                work(batch)
            pipe.send(time.process_time() - begun)
    except EOFError:
        return


class Rows:
    """The bare driver. It knows that it is alone and that every number is new, so it asks for nothing that
    the rows themselves do not need."""

    _INSERT = """INSERT INTO shipment (id, account, number, carrier, code, origin, phase, since, wish,
      registered_at, changed_at, refresh_at, lane) VALUES (?, 1, ?, ?, ?, 2, 'tracking', ?, ?, ?, ?, ?, ?)"""
    _ENTRY = """INSERT INTO quota_entry (account, period, at, kind, amount, reference)
      VALUES (1, ?, ?, ?, 1, ?)"""
    _USED = """INSERT INTO quota_used (account, period, units) VALUES (1, ?, ?)
      ON CONFLICT DO UPDATE SET units = units + excluded.units"""
    _TODAY = "UPDATE account SET registered_today = registered_today + ? WHERE id = 1"
    _USAGE = """SELECT a.quota_total, q.units, a.registered_today FROM account a
      LEFT JOIN quota_used q ON q.account = a.id AND q.period = ? WHERE a.id = 1"""
    _READ = f"""SELECT s.*, d.template, d.estimate FROM shipment s
      LEFT JOIN document d ON d.shipment = s.id
      WHERE s.account = 1 AND s.number IN ({", ".join("?" * ITEMS)})"""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, cached_statements=256)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._last = self._connection.execute("SELECT max(id) FROM shipment").fetchone()[0]
        self._references = 0

    def register(self, batch: Sequence[str]) -> None:
        """Forty shipments with their rows of the list, which is counted, forty entries of the ledger, the
        counter; one transaction."""
        now, execute = time.time_ns() // 1000, self._connection.execute
        ids = range(self._last + 1, self._last + 1 + len(batch))
        execute("BEGIN IMMEDIATE")
        execute(self._USAGE, (PERIOD,)).fetchone()
        self._connection.executemany(
            self._INSERT,
            [
                (key, number, CARRIER, CODE, now, json.dumps(wish(number)), now, now, now, CARRIER)
                for key, number in zip(ids, batch, strict=True)
            ],
        )
        self._connection.executemany(self._ENTRY, [(PERIOD, now, "register", str(n)) for n in ids])
        execute(self._USED, (PERIOD, len(batch)))
        execute(self._TODAY, (len(batch),))
        counts.add_up(self._connection)
        execute("COMMIT")
        self._last = ids[-1]

    def read(self, batch: Sequence[str]) -> None:
        """Forty shipments with their documents."""
        assert len(self._connection.execute(self._READ, batch).fetchall()) == ITEMS

    def cached(self, batch: Sequence[str]) -> None:
        """The same, then forty charges and the counter; one transaction."""
        self.read(batch)
        now, execute = time.time_ns() // 1000, self._connection.execute
        references = range(self._references, self._references + len(batch))
        self._references += len(batch)
        execute("BEGIN IMMEDIATE")
        execute(self._USAGE, (PERIOD,)).fetchone()
        self._connection.executemany(
            self._ENTRY, [(PERIOD, now, "realtime", f"{now:016x}{n:016x}") for n in references]
        )
        execute(self._USED, (PERIOD, len(batch)))
        execute("COMMIT")


# --- measuring ------------------------------------------------------------------------------------------


class Bench:
    """The three subjects, ready."""

    def __init__(self, folder: Path, requests: int) -> None:
        self._plan, self._requests = Plan(), requests
        self._service = Child(run_service, str(folder))
        port, database = self._service.ready
        self._client = Client(port)
        answers = {
            operation.path: self._ask(self._client, operation, self._plan.batches(operation, 1))[0]
            for operation in OPERATIONS
        }
        self.answer_bytes = {path.rpartition("/")[2]: len(answer) for path, answer in answers.items()}
        self._http = Child(run_http, answers)
        self._bare_client = Client(self._http.ready)
        copy = folder / "rows.db"
        with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        self._rows = Child(run_rows, str(copy))

    def close(self) -> None:
        """End all subjects."""
        for child in (self._rows, self._http, self._service):
            child.close()

    def measure(self, operation: Operation, subject: str) -> float:
        """CPU microseconds an item."""
        batches = self._plan.batches(operation, self._requests)
        if subject == "rows":
            self._rows.pipe.send((operation.name, batches))
            seconds: float = self._rows.pipe.recv()
        else:
            service = subject == "service"
            child, client = (self._service, self._client) if service else (self._http, self._bare_client)
            begun = child.ask(None)
            answers = self._ask(client, operation, batches)
            seconds = child.ask(None) - begun
            if service:
                check(operation, batches, answers)
        return seconds / self._requests / ITEMS * 1e6

    def _ask(self, client: Client, operation: Operation, batches: Sequence[Sequence[str]]) -> list[bytes]:
        bodies = [msgspec.json.encode([item(operation, number) for number in batch]) for batch in batches]
        return [client.request(operation.path, body) for body in bodies]


def check(operation: Operation, batches: Sequence[Sequence[str]], answers: Sequence[bytes]) -> None:
    """Every item was accepted, for the right carrier, and a read one shows its whole timeline."""
    for batch, answer in zip(batches, answers, strict=True):
        accepted = json.loads(answer)["data"]["accepted"]
        assert [(entry["number"], entry["carrier"]) for entry in accepted] == [(n, CODE) for n in batch]
        if operation in (READ, FAR, CACHED):
            providers = [entry["track_info"]["tracking"]["providers"] for entry in accepted]
            assert all(len(legs[0]["events"]) == len(STEPS) for legs in providers)


Figures = dict[str, dict[str, list[float]]]


def measured(rounds: int, requests: int) -> tuple[Figures, dict[str, int]]:
    """Microseconds an item by operation and subject, a value a round; and the sizes of the answers."""
    figures: Figures = {op.name: {subject: [] for subject in SUBJECTS} for op in OPERATIONS}
    with tempfile.TemporaryDirectory(prefix="parcelwire-bench-") as folder, opened(folder, requests) as bench:
        for turn in range(rounds + 1):
            first = turn % len(SUBJECTS)
            for operation in OPERATIONS:
                for subject in SUBJECTS[first:] + SUBJECTS[:first]:
                    spent = bench.measure(operation, subject)
                    if turn:  # the first round only warms up
                        figures[operation.name][subject].append(spent)
        return figures, bench.answer_bytes


@contextmanager
def opened(folder: str, requests: int) -> Iterator[Bench]:
    """The bench, and its end."""
    bench = Bench(Path(folder), requests)
    try:
        yield bench
    finally:
        bench.close()


def summary(figures: Figures) -> list[dict[str, Any]]:
    """A row of the table for each operation."""
    rows = []
    for operation in OPERATIONS:
        taken = figures[operation.name]
        median = {subject: statistics.median(taken[subject]) for subject in SUBJECTS}
        ratios = [
            service / (http + rows_)
            for service, http, rows_ in zip(*(taken[subject] for subject in SUBJECTS), strict=True)
        ]
        rows.append(
            {
                "operation": operation.name,
                **{f"{subject}_us": round(median[subject], 2) for subject in SUBJECTS},
                "ratio": round(median["service"] / (median["http"] + median["rows"]), 2),
                "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
                "goal": operation.goal,
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench wire", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=50, help="of a subject in a round")
    given = parser.parse_args()
    before = machine()
    figures, sizes = measured(given.rounds, given.requests)
    rows = summary(figures)
    if given.json:
        about = {"machine": before, "rounds": given.rounds, "requests": given.requests, "items": ITEMS}
        print(json.dumps(about | {"answer_bytes": sizes, "operations": rows}))
        return
    print(before)
    print(
        f"CPU us an item, {ITEMS} items a request, {given.requests} requests a round, "
        f"medians of {given.rounds} alternating rounds\n"
        f"reads: {SEEDED} shipments in turn, whose items are all at hand; not at hand: {AWAY} in turn, 0 %\n"
    )
    print(f"{'':30}{'service':>9}{'http':>8}{'rows':>8}{'ratio':>8}  {'(rounds)':14}{'goal':>5}")
    for row in rows:
        low, high = row["ratio_range"]
        print(
            f"{row['operation']:30}{row['service_us']:9.2f}{row['http_us']:8.2f}{row['rows_us']:8.2f}"
            f"{row['ratio']:8.2f}  {f'({low:.2f}-{high:.2f})':14}{row['goal']:5.1f}"
        )


if __name__ == "__main__":
    main()
