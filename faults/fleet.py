"""One service in five processes on one PostgreSQL, with callers, a receiver and a carrier that counts."""

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from faults.child import Child, Receiver, environment, receiver, serve
from faults.signals import until
from tests.postgres import free_port
from tests.process.callers import Caller, books
from tests.process.child import worker

from parcelwire.carriers import carriers
from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.limits import Limits
from parcelwire.net.clock import SystemClock
from parcelwire.standins.server import serve as answer
from parcelwire.standins.ups import DETAILS, UpsStandIn

APIS, WORKERS, CALLERS = 2, 3, 2
LEASE_S = 2
CALL_EVERY_S = 1.0  # each caller
ASKED_ABOUT = 40  # numbers of the lane with a rate; each is due again every second: more than the rate allows
WINDOWS_S = (1.0, 10.0)
FORGIVEN_S = (
    0.1  # calls may be as late, and twice what the machine made us wait: the worker waits, and so do we
)
TICK_S = 0.05
DRAIN_S = 180.0
SECRET_KEY = "5a" * 32
UPS = 100002

clock = SystemClock()


class Counted(UpsStandIn):
    """UPS, which refuses no call but keeps the time of each; it knows no parcel."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.unknown = {f"1Z4R2W7E03{n:08}" for n in range(ASKED_ABOUT)}
        self.gate.calls = 1_000_000

    def answer(self, request: Request, now: datetime) -> Reply:
        """As UPS answers."""
        if DETAILS.fullmatch(request.path):
            self.asked.append(clock.monotonic())
        return super().answer(request, now)


def busiest(times: Sequence[float], seconds: float) -> int:
    """The most of them within so many seconds."""
    first = most = 0
    for place, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, place + 1 - first)
    return most


def beyond(times: Sequence[float], limits: Limits, forgiven_s: float = FORGIVEN_S) -> int:
    """Calls more than the rate and its burst allow in the busiest of any WINDOWS_S."""
    rate = limits.per_s or 0.0
    most = {window_s: math.floor(limits.burst + rate * window_s) for window_s in WINDOWS_S}
    over = [busiest(times, window_s - forgiven_s) - most[window_s] for window_s in WINDOWS_S]
    return max(0, *over)


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
    late_s: float  # the longest that this busy machine made us wait for our turn
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
            f"{self.calls} calls to a lane with a rate, beyond it {self.calls_beyond} (the machine was up to "
            f"{self.late_s:.2f} s late); "
            f"{self.unanswered} calls of clients had to be made again, longest without an answer "
            f"{self.away_s:.1f} s, without a refresh {self.silent_s:.1f} s"
        )


@dataclass
class Fleet:
    """Make it with ``fleet()``. Processes are known by their place: APIs come first."""

    environ: dict[str, str]
    carrier: Counted
    sink: Receiver
    stack: AsyncExitStack
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(APIS)])
    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    callers: list[Caller] = field(default_factory=list)
    late_s: float = 0.0
    _calling: list["asyncio.Task[None]"] = field(default_factory=list)

    async def begin(self) -> None:
        """Start everything, and wait until the carrier is being asked."""
        first = await self._start_api(0)
        for place in range(1, APIS + WORKERS):
            await self.start(place)
        items = [{"number": number, "carrier": UPS} for number in self.carrier.unknown]
        await first.call("register", items)
        urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        for n in range(CALLERS):
            order = urls[n % APIS :] + urls[: n % APIS]
            self.callers.append(Caller(order, first=1_000_000 * (n + 1), pause_s=CALL_EVERY_S))
        self._calling = [asyncio.create_task(caller.go_on()) for caller in self.callers]
        self._calling.append(asyncio.create_task(self._watch()))
        await until(lambda: bool(self.carrier.asked))

    async def _watch(self) -> None:
        """How late we wake up."""
        while True:
            began = clock.monotonic()
            await asyncio.sleep(TICK_S)
            self.late_s = max(self.late_s, clock.monotonic() - began - TICK_S)

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
        asked = self.carrier.asked
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
            calls_beyond=beyond(asked, carriers()["ups"].limits, FORGIVEN_S + 2 * self.late_s),
            late_s=self.late_s,
            away_s=max(caller.longest_s for caller in self.callers),
            silent_s=max(later - at for at, later in pairwise(asked)),
        )


@asynccontextmanager
async def fleet(dsn: str, folder: Path) -> AsyncIterator[Fleet]:
    """Under load; whatever runs at the end is killed."""
    carrier = Counted()
    async with receiver() as sink, answer(carrier, clock) as url, AsyncExitStack() as stack:
        environ = environment(
            folder, PARCELWIRE_DATABASE=dsn, PARCELWIRE_SECRET_KEY=SECRET_KEY,
            PARCELWIRE_LEASE_SECONDS=str(LEASE_S), PARCELWIRE_PUSH_TIMEOUT="1",
            PARCELWIRE_WEBHOOK_URL=sink.url, PARCELWIRE_REFRESH_SECONDS="1",
            PARCELWIRE_CARRIER_UPS_URL=url, PARCELWIRE_CARRIER_UPS_CLIENT_ID="id",
            PARCELWIRE_CARRIER_UPS_CLIENT_SECRET="secret",  # noqa: S106
        )  # fmt: skip
        made = Fleet(environ, carrier, sink, stack)
        await made.begin()
        yield made
