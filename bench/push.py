"""What a push costs the service, beside a bare client loop that signs and posts the same bytes.

    # half a minute
    python3 dev.py bench push [--json] [--pushes 2000] [--rounds 5] [--endpoints 1]

CPU of this process, all its threads, user and system; the receiver is another process. The service's part is
all of it: pushes that wait in a file are claimed, signed, posted through the egress guard, saved with their
attempt, and logged. The floor: aiohttp on the same event loop, the same signatures, the same URL, 20 at a
time, nothing kept. Both take turns; the figures are medians over the rounds.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import secrets
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from parcelwire.app import context_of, settings_from
from parcelwire.cli.output import set_up_logs
from parcelwire.cli.serve import tune_collector
from parcelwire.domain.account import NewAccount
from parcelwire.domain.endpoint import WIDTH_MAX, NewEndpoint
from parcelwire.domain.push import SCHEDULE, NewPush, PushEvent, push_id
from parcelwire.domain.shipment import Wish
from parcelwire.domain.status import SubStatus
from parcelwire.flows.metrics import Meters
from parcelwire.flows.push import PushPolicy
from parcelwire.loops.blackbox import BlackBox
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import SystemClock
from parcelwire.net.flights import Flights
from parcelwire.net.push import PushSender
from parcelwire.ports import Attempt, Refreshed, Wanted
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.signature import sign, standard_headers

GOAL = 2.0  # the most that the service may cost, in floors
BODY_BYTES = 4_000  # a track_info of a dozen events
BATCH = 40
CHANGES = 5  # of one shipment: the first one costs more, and each waits for the one before
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # noqa: S105 - of a receiver in this bench
SIGN_KEY = "BENCH0123456789"


@dataclass(frozen=True, slots=True)
class Spent:
    """One turn of one subject."""

    cpu_us: float  # a push
    per_s: float


def receiver(ready: Connection) -> None:
    """Answers 200 to everything."""

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response()

    async def serve() -> None:
        runner = web.ServerRunner(web.Server(answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    uvloop.run(serve())


def bodies(count: int) -> list[bytes]:
    """Different bodies of the usual size."""
    filler = "x" * (BODY_BYTES - 100)
    return [
        json.dumps({"event": "TRACKING_UPDATED", "data": {"number": f"BENCH{n:08}", "tag": filler}}).encode()
        for n in range(count)
    ]


async def floor(url: str, messages: list[bytes]) -> Spent:
    """Sign and post, nothing else."""
    waiting = iter(enumerate(messages))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def post() -> None:
            for number, body in waiting:
                now = datetime.now(UTC)  # noqa: TID251
                headers = {
                    "Content-Type": "application/json; charset=utf-8",
                    "sign": sign(body, SIGN_KEY),
                    **standard_headers(push_id("x", 1, number, 1, now), now, body, (SECRET,)),
                }
                async with session.post(url, data=body, headers=headers) as response:
                    await response.read()
                    assert response.status == 200

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(post() for _ in range(WIDTH_MAX)))
        return _spent(cpu, began, len(messages))


def _spent(cpu: float, began: float, count: int) -> Spent:
    return Spent((time.process_time() - cpu) / count * 1e6, count / (time.perf_counter() - began))


class Service:
    """The store and the pusher of the service, with an account and its receivers."""

    def __init__(self, store: SqliteStore, box: BlackBox) -> None:
        clock = SystemClock()
        settings = settings_from({"PARCELWIRE_DATA": tempfile.gettempdir()})
        self.store = store
        self.sender = PushSender(clock, (ip_network("127.0.0.1/32"),))
        asker = Asker(clock, {}, {}, {})
        context = context_of(settings, store, asker, self.sender, Flights(), clock)
        self.context = replace(context, watch=box.watch)
        policy = PushPolicy(SCHEDULE, 10.0)
        self._meters = Meters()
        self.pusher = Pusher(self.context, policy, lambda: 0.5, Telemetry(self._meters))
        store.on_work(self.pusher.wake)
        self.account = 0
        self._made = 0

    async def prepare(self, url: str, endpoints: int) -> None:
        """An account; with several receivers each push is one of the first's."""
        now = self.context.clock.now()
        new = NewAccount("bench", "unlimited", 10**9, "login-key-of-bench", SIGN_KEY)
        self.account = (await self.store.open_account(new, now)).id
        for _ in range(endpoints):
            await self.store.add_endpoint(self.account, NewEndpoint(url, SECRET))

    async def queue(self, messages: list[bytes]) -> None:
        """CHANGES changes of a new shipment for every so many messages."""
        now = self.context.clock.now()
        told = [messages[start : start + CHANGES] for start in range(0, len(messages), CHANGES)]
        wanted = [Wanted(f"B{self._made + n:09}", "ups", 100001, 2, "ups", Wish()) for n in range(len(told))]
        self._made += len(told)
        for start in range(0, len(told), BATCH):
            made = await self.store.register(self.account, wanted[start : start + BATCH], now)
            assert all(isinstance(one, int) for one in made)
            due = await self.store.claim("ups", BATCH, now, now, secrets.token_hex(8))
            attempt = Attempt(now, "ups", "report", 1, "in transit")
            results = [
                Refreshed(
                    replace(
                        item.shipment, sub_status=SubStatus.IN_TRANSIT, version=CHANGES,
                        refresh_at=datetime(2100, 1, 1, tzinfo=UTC),
                    ),
                    attempt,
                    pushes=tuple(
                        NewPush(PushEvent.UPDATED, version, body) for version, body in enumerate(bodies, 1)
                    ),
                )
                for item, bodies in zip(due, told[start : start + BATCH], strict=True)
            ]  # fmt: skip
            assert await self.store.complete(results) == 0

    async def drain(self, count: int) -> Spent:
        """Push until all are saved, by the service's count: to ask the store would be work of its own."""
        end = self._sent() + count
        began, cpu = time.perf_counter(), time.process_time()
        running = asyncio.create_task(self.pusher.run())
        for _ in range(100_000):
            await asyncio.sleep(0.02)
            if self._sent() >= end:
                break
        spent = _spent(cpu, began, count)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await self.store.pushes_due() is None
        return spent

    def _sent(self) -> float:
        return sum(value for _, labels, value in self._meters.counted() if labels == ("sent",))


async def measure(url: str, pushes: int, rounds: int, endpoints: int) -> dict[str, list[Spent]]:
    """Turns of both, after one that warms them up."""
    messages = bodies(pushes // endpoints)
    told = messages * endpoints
    spent: dict[str, list[Spent]] = {"service": [], "floor": []}
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteStore.open(
            Path(folder) / "push.db", Vault(bytes(MASTER_BYTES), secrets.token_bytes)
        )
        box = BlackBox(Path(folder))
        service = Service(store, box)
        tune_collector()  # as "parcelwire serve" does; for both
        await service.prepare(url, endpoints)
        for turn in range(rounds + 1):
            await service.queue(messages)
            mine = await service.drain(len(told))
            bare = await floor(url, told)
            if turn:
                spent["service"].append(mine)
                spent["floor"].append(bare)
        await service.sender.close()
        await store.close()
        box.close()
    return spent


def main() -> None:
    """Print the table; exit code 1 above the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pushes", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--endpoints", type=int, default=1)
    given = parser.parse_args()
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - log lines are made and thrown away
    set_up_logs()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receiver, args=(theirs,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{ours.recv()}/hook"
    spent = uvloop.run(measure(url, given.pushes, given.rounds, given.endpoints))
    process.terminate()
    figures = {
        name: {
            "cpu_us_per_push": round(statistics.median(turn.cpu_us for turn in turns), 1),
            "pushes_per_s": round(statistics.median(turn.per_s for turn in turns)),
        }
        for name, turns in spent.items()
    }
    ratio = round(figures["service"]["cpu_us_per_push"] / figures["floor"]["cpu_us_per_push"], 2)
    if given.json:
        print(json.dumps({**figures, "ratio": ratio, "goal": GOAL}))
    else:
        print(f"{'':10} {'CPU us a push':>14} {'pushes/s':>10}")
        for name, row in figures.items():
            print(f"{name:10} {row['cpu_us_per_push']:14} {row['pushes_per_s']:10}")
        print(f"ratio {ratio}, goal <= {GOAL}")
    raise SystemExit(0 if ratio <= GOAL else 1)


if __name__ == "__main__":
    main()
