"""One service in five processes on one PostgreSQL, with callers, a receiver and a carrier that counts."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from bench._child import Child as Other
from faults.arrivals import beyond, obey, request_of, stamping
from faults.broken_http import head
from faults.child import Child, Receiver, environment, receiver, serve
from faults.signals import until
from tests.postgres import free_port
from tests.process.callers import Caller, books
from tests.process.child import worker

from parcelwire.carriers import carriers
from parcelwire.net.clock import SystemClock
from parcelwire.standins.ups import DETAILS, UpsStandIn

APIS, WORKERS, CALLERS = 2, 3, 2
LEASE_S = 2
CALL_EVERY_S = 1.0  # each caller
ASKED_ABOUT = 40  # numbers of the lane with a rate; each is due again every second: more than the rate allows
NUMBERS = [f"1Z4R2W7E03{n:08}" for n in range(ASKED_ABOUT)]
DRAIN_S = 180.0
SECRET_KEY = "5a" * 32
UPS = 100002

clock = SystemClock()


class Counted(UpsStandIn):
    """UPS, which refuses no call but keeps when each arrived; it knows no parcel."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.unknown = set(NUMBERS)
        self.gate.calls = 1_000_000

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at: float) -> None:
        """One request, one answer."""
        request = await request_of(reader)
        if DETAILS.fullmatch(request.path):
            self.asked.append(at)
        reply = self.answer(request, clock.now())
        writer.write(head(reply.status, len(reply.body)) + reply.body)


def count(pipe: Connection) -> None:
    """UPS in a process of its own, so that nobody else makes it late. It tells when it was asked."""

    async def run() -> None:
        ups = Counted()
        async with stamping(ups.handle) as url:
            pipe.send(url)
            await obey(pipe, lambda _: ups.asked)

    asyncio.run(run())


@dataclass(frozen=True)
class Found:
    """What came of it; all but the first four should be 0, the seconds small."""

    acknowledged: int
    pushes: int
    unanswered: int  # calls; each was made again
    calls: int  # of the carrier
    lost: int
    quota_errors: int
    untrue: int  # refused, though nobody had registered them
    untold: int
    two_bodies: int
    state_errors: int
    calls_beyond: int
    away_s: float  # the longest that a caller was without an answer
    silent_s: float  # the longest that no carrier was asked

    def good(self, within_s: float) -> bool:
        """Whether every promise held, and nobody waited for longer."""
        bad = self.lost or self.quota_errors or self.untrue or self.untold or self.two_bodies
        in_time = max(self.away_s, self.silent_s) <= within_s
        return in_time and not (bad or self.state_errors or self.calls_beyond)

    @property
    def line(self) -> str:
        """For people."""
        return (
            f"{self.acknowledged} acknowledged, lost {self.lost}, refused for nothing {self.untrue}, "
            f"not told to the end {self.untold}, {self.pushes} pushes, ids with two bodies "
            f"{self.two_bodies}, quota errors {self.quota_errors}, state errors {self.state_errors}, "
            f"{self.calls} calls to a lane with a rate, beyond it {self.calls_beyond}; "
            f"{self.unanswered} calls of clients had to be made again, longest without an answer "
            f"{self.away_s:.1f} s, without a refresh {self.silent_s:.1f} s"
        )


@dataclass
class Fleet:
    """Make it with ``fleet()``. Processes are known by their place: APIs come first."""

    environ: dict[str, str]
    carrier: Other
    sink: Receiver
    stack: AsyncExitStack
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(APIS)])
    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    callers: list[Caller] = field(default_factory=list)
    _calling: list["asyncio.Task[None]"] = field(default_factory=list)

    async def begin(self) -> None:
        """Start everything, and wait until the carrier is being asked."""
        first = await self._start_api(0)
        for place in range(1, APIS + WORKERS):
            await self.start(place)
        items = [{"number": number, "carrier": UPS} for number in NUMBERS]
        await first.call("register", items)
        urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        for n in range(CALLERS):
            order = urls[n % APIS :] + urls[: n % APIS]
            self.callers.append(Caller(order, first=1_000_000 * (n + 1), pause_s=CALL_EVERY_S))
        self._calling = [asyncio.create_task(caller.go_on()) for caller in self.callers]
        await until(lambda: bool(self.carrier.ask(None)))

    async def start(self, place: int) -> None:
        """One process; it is ready afterwards."""
        if place < APIS:
            await self._start_api(place)
        else:
            self.processes[place] = await self.stack.enter_async_context(worker(self.environ))

    async def _start_api(self, place: int) -> Child:
        environ = self.environ | {"PARCELWIRE_LISTEN": f"127.0.0.1:{self.ports[place]}"}
        child = await self.stack.enter_async_context(serve(environ, "--role", "api"))
        self.processes[place] = child.process
        return child

    async def kill(self, place: int) -> None:
        """kill -9, and another one in its place."""
        self.processes[place].kill()
        await self.processes[place].wait()
        await self.start(place)

    async def freeze(self, place: int, seconds: float) -> None:
        """It does not run for so long, and does not know."""
        self.processes[place].send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.processes[place].send_signal(signal.SIGCONT)

    def answered_since(self, at: float) -> bool:
        """Whether a caller was answered after a time, by the monotonic clock."""
        return any(caller.answered_at > at for caller in self.callers)

    async def end(self, dsn: str) -> Found:
        """Nobody calls any more; everything is told, and all stop. ``dsn``: of the primary."""
        for task in self._calling:
            task.cancel()
        await asyncio.gather(*self._calling, return_exceptions=True)
        acknowledged = [number for caller in self.callers for number in caller.acknowledged]
        await until(lambda: all(self.sink.delivered(number) for number in acknowledged), DRAIN_S)
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(process.wait() for process in self.processes.values()))
        found = await books(dsn, acknowledged)
        asked = sorted(self.carrier.ask(None))
        return Found(
            acknowledged=len(acknowledged),
            pushes=len(self.sink.bodies),
            unanswered=sum(caller.unanswered for caller in self.callers),
            calls=len(asked),
            lost=found.lost,
            quota_errors=found.wrong,
            untrue=sum(len(caller.untrue) for caller in self.callers),
            untold=sum(not self.sink.delivered(number) for number in acknowledged),
            two_bodies=self.sink.two_bodies,
            state_errors=self.sink.went_back,
            calls_beyond=beyond(asked, carriers()["ups"].limits),
            away_s=max(caller.longest_s for caller in self.callers),
            silent_s=max(later - at for at, later in pairwise(asked)),
        )


@asynccontextmanager
async def fleet(dsn: str, folder: Path) -> AsyncIterator[Fleet]:
    """Under load; whatever runs at the end is killed."""
    async with receiver() as sink, AsyncExitStack() as stack:
        carrier = Other(count)
        stack.callback(carrier.close)
        environ = environment(
            folder, PARCELWIRE_DATABASE=dsn, PARCELWIRE_SECRET_KEY=SECRET_KEY,
            PARCELWIRE_LEASE_SECONDS=str(LEASE_S), PARCELWIRE_PUSH_TIMEOUT="1",
            PARCELWIRE_WEBHOOK_URL=sink.url, PARCELWIRE_REFRESH_SECONDS="1",
            PARCELWIRE_CARRIER_UPS_URL=carrier.ready, PARCELWIRE_CARRIER_UPS_CLIENT_ID="id",
            PARCELWIRE_CARRIER_UPS_CLIENT_SECRET="secret",  # noqa: S106
        )  # fmt: skip
        made = Fleet(environ, carrier, sink, stack)
        await made.begin()
        yield made
