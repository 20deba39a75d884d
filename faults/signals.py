"""kill -9, SIGTERM and SIGSTOP of the real command under load."""

import asyncio
import os
import random
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from faults.child import Child, environment, ledger_errors, parked, receiver, serve
from faults.figure import Figure, percentile

from parcelwire.net.clock import SystemClock

BATCH = 10
DRAIN_S = 60.0
LEASE_S = 2
READY_MAX_S = 2.0
STOP_MAX_S = 10.0

clock = SystemClock()


@dataclass
class Client:
    """Registers whole journeys for ever; keeps what was acknowledged."""

    accepted: list[str] = field(default_factory=list)
    tried: int = 0

    async def register(self, child: Child) -> None:
        """One call."""
        numbers = [f"SANDBOXJOURNEY{self.tried + index}" for index in range(BATCH)]
        self.tried += BATCH
        data = await child.call("register", [{"number": number} for number in numbers])
        self.accepted += [item["number"] for item in data["accepted"]]

    async def for_ever(self, child: Child) -> None:
        """Until the service is gone."""
        while True:
            await self.register(child)
            await asyncio.sleep(0.05)

    async def missing(self, child: Child) -> int:
        """Accepted numbers that the service does not know."""
        gone = 0
        for begin in range(0, len(self.accepted), 40):
            items = [{"number": number} for number in self.accepted[begin : begin + 40]]
            data = await child.call("gettrackinfo", items)
            gone += sum(item["error"]["code"] == -18019902 for item in data["rejected"])
        return gone


async def until(good: Callable[[], bool], seconds: float = DRAIN_S) -> None:
    """Wait until ``good``, at most so long."""
    ends_at = clock.monotonic() + seconds
    while not good() and clock.monotonic() < ends_at:
        await asyncio.sleep(0.2)


def cpu_of(child: Child) -> float:
    """CPU seconds that a child has used: user and system (Linux)."""
    fields = Path(f"/proc/{child.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def kill(quick: bool) -> Figure:
    """kill -9 again and again while clients register, parcels move and a third of the pushes fail.

    On a machine that is busy with other things the time until ready is judged by the CPU that it takes.
    """
    times = 10 if quick else 200
    chance = random.Random(20261124)
    client, ready_s, cpu_s, loads = Client(), [], [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with receiver(fails=True) as sink:
            environ = environment(folder, PARCELWIRE_WEBHOOK_URL=sink.url)
            for _ in range(times):
                began = clock.monotonic()
                async with serve(environ) as child:
                    await child.call("getquota")
                    ready_s.append(clock.monotonic() - began)
                    cpu_s.append(cpu_of(child))
                    loads.append(os.getloadavg()[0])
                    registering = asyncio.create_task(client.for_ever(child))
                    await asyncio.sleep(chance.uniform(0.1, 0.8))
                    await child.end(signal.SIGKILL)
                    with suppress(aiohttp.ClientError):
                        await registering
            async with serve(environ) as child:
                await until(lambda: all(sink.delivered(number) for number in client.accepted))
                lost = await client.missing(child)
                await child.end(signal.SIGTERM)
        quota, blamed = ledger_errors(folder), parked(folder)
    untold = sum(not sink.delivered(number) for number in client.accepted)
    p99, cpu_p99, load = percentile(ready_s, 0.99), percentile(cpu_s, 0.99), max(loads)
    in_time = (p99 if load <= (os.cpu_count() or 1) else cpu_p99) < READY_MAX_S
    good = in_time and not (lost or untold or sink.two_bodies or quota or sink.went_back or sink.forged)
    return Figure(
        "kill",
        good,
        f"kill -9 x {times}: {len(client.accepted)} accepted, lost {lost}, not told to the end {untold}, "
        f"wrongly parked {blamed}, {len(sink.bodies)} pushes, "
        f"ids with two bodies {sink.two_bodies}, quota errors {quota}, "
        f"state errors {sink.went_back}, ready again p50 {percentile(ready_s, 0.5):.2f} s, p99 {p99:.2f} s "
        f"at load up to {load:.1f}, CPU of its own p99 {cpu_p99:.2f} s",
        {"times": times, "accepted": len(client.accepted), "lost": lost, "untold": untold, "parked": blamed,
         "pushes": len(sink.bodies), "two_bodies": sink.two_bodies, "quota_errors": quota,
         "state_errors": sink.went_back, "ready_p50_s": percentile(ready_s, 0.5),
         "ready_p99_s": p99, "ready_cpu_p99_s": cpu_p99, "load": load},
    )  # fmt: skip


async def sigterm(quick: bool) -> Figure:
    """SIGTERM while pushes are under way: nothing that was acknowledged comes again."""
    times = 5 if quick else 50
    chance = random.Random(20261125)
    client, stop_s, codes = Client(), [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with receiver() as sink:
            environ = environment(folder, PARCELWIRE_WEBHOOK_URL=sink.url)
            for _ in range(times):
                async with serve(environ) as child:
                    for _ in range(3):
                        await client.register(child)
                    await asyncio.sleep(chance.uniform(0.0, 0.8))
                    began = clock.monotonic()
                    codes.append(await child.end(signal.SIGTERM))
                    stop_s.append(clock.monotonic() - began)
            async with serve(environ) as child:
                await until(lambda: all(sink.delivered(number) for number in client.accepted))
                lost = await client.missing(child)
                await child.end(signal.SIGTERM)
    untold = sum(not sink.delivered(number) for number in client.accepted)
    failed = sum(code != 0 for code in codes)
    good = not (sink.repeated or failed or lost or untold) and max(stop_s) <= STOP_MAX_S
    return Figure(
        "sigterm",
        good,
        f"SIGTERM x {times}: {len(sink.taken)} pushes acknowledged, repeated after that {sink.repeated}, "
        f"lost {lost}, not told to the end {untold}, exit codes other than 0 {failed}, "
        f"stop p50 {percentile(stop_s, 0.5):.2f} s, longest {max(stop_s):.2f} s",
        {"times": times, "acknowledged": len(sink.taken), "repeated": sink.repeated, "lost": lost,
         "untold": untold, "failed_exits": failed, "stop_p50_s": percentile(stop_s, 0.5),
         "stop_max_s": max(stop_s)},
    )  # fmt: skip


async def sigstop(quick: bool) -> Figure:
    """The process is frozen for longer than its leases, in the middle of its work, and thawed."""
    times = 2 if quick else 10
    chance = random.Random(20261126)
    client, again_s = Client(), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with receiver(fails=True) as sink:
            environ = environment(
                folder, PARCELWIRE_WEBHOOK_URL=sink.url, PARCELWIRE_LEASE_SECONDS=str(LEASE_S)
            )
            async with serve(environ) as child:
                for _ in range(times):
                    for _ in range(3):
                        await client.register(child)
                    await asyncio.sleep(chance.uniform(0.0, 0.5))
                    child.process.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(LEASE_S * 1.5)
                    child.process.send_signal(signal.SIGCONT)
                    began = clock.monotonic()
                    await child.call("getquota")
                    again_s.append(clock.monotonic() - began)
                await until(lambda: all(sink.delivered(number) for number in client.accepted))
                lost = await client.missing(child)
                await child.end(signal.SIGTERM)
        quota = ledger_errors(folder)
    untold = sum(not sink.delivered(number) for number in client.accepted)
    good = not (lost or untold or sink.two_bodies or quota or sink.went_back)
    return Figure(
        "sigstop",
        good,
        f"SIGSTOP x {times} for {LEASE_S * 1.5:g} s (lease {LEASE_S} s): {len(client.accepted)} accepted, "
        f"lost {lost}, not told to the end {untold}, ids with two bodies {sink.two_bodies}, "
        f"quota errors {quota}, state errors {sink.went_back}, answers again within {max(again_s):.2f} s",
        {"times": times, "accepted": len(client.accepted), "lost": lost, "untold": untold,
         "two_bodies": sink.two_bodies, "quota_errors": quota, "state_errors": sink.went_back,
         "again_max_s": max(again_s)},
    )  # fmt: skip
