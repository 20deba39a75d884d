"""``serve --processes N``: one address, N processes, none of which anybody misses when it goes."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.cli.test_commands import run
from tests.postgres import Cluster
from tests.process.child import KEY, Child, environment, serve, sink_server, worker
from tests.process.test_roles import on_schema

from parcelwire.carriers.dhl import CARRIER as DHL
from parcelwire.domain.exchange import Reply, Request
from parcelwire.net.clock import SystemClock
from parcelwire.standins import server
from parcelwire.standins._gate import Gate
from parcelwire.standins.dhl import DhlStandIn

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="it looks for processes in /proc"),
]

CALLERS = 6
STOP_S = 10.0
DHL_NUMBERS = [f"JJD0099999990000{number:04}" for number in range(1000, 1009)]


def children(parent: int) -> set[int]:
    """The processes that a process has started and that still run."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid) for pid in found}


async def until(condition: Any, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  other processes set no event of ours
            await asyncio.sleep(0.05)


@dataclass
class Load:
    """Calls one after the other on connections that are kept, and what became of them."""

    child: Child
    answered: int = 0
    accepted: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: bool = False

    async def caller(self, name: int) -> None:
        async with aiohttp.ClientSession(headers={"17token": KEY}) as session:
            for turn in range(1_000_000):
                if self.stopped:
                    return
                body = [{"number": f"SANDBOXJOURNEY{name}{turn:06}"}]
                try:
                    async with session.post(f"{self.child.url}/track/v2.2/register", json=body) as response:
                        data = json.loads(await response.read())
                    self.answered += 1
                    self.accepted += len(data["data"]["accepted"])
                except (aiohttp.ClientError, ValueError) as error:
                    self.failed.append(repr(error))
                await asyncio.sleep(0.02)


@asynccontextmanager
async def load(child: Child) -> AsyncIterator[Load]:
    """Callers at work."""
    made = Load(child)
    callers = [asyncio.create_task(made.caller(name)) for name in range(CALLERS)]
    try:
        yield made
    finally:
        made.stopped = True
        await asyncio.gather(*callers)


async def ended_in(child: Child) -> float:
    """Seconds that a clean stop took."""
    clock = SystemClock()
    began = clock.monotonic()
    assert await child.end(signal.SIGTERM) == 0
    return clock.monotonic() - began


async def test_one_of_two_is_killed_and_the_other_answers(cluster: Cluster, tmp_path: Path) -> None:
    """Only what was under way in the killed one fails; it is started again; all stop within ten seconds."""
    environ = await on_schema(cluster, tmp_path)
    async with serve(environ, "--role", "api", "--processes", "2") as child:
        before = children(child.process.pid)
        assert len(before) == 2
        async with load(child) as calls:
            await until(lambda: calls.answered > 50)
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            at = calls.answered
            await until(lambda: calls.answered > at + 50)
            await until(lambda: len(children(child.process.pid) - {killed}) == 2)
        assert len(calls.failed) <= CALLERS
        used = (await child.call("getquota"))["quota_used"]
        assert calls.accepted <= used <= calls.accepted + len(calls.failed)
        assert await ended_in(child) <= STOP_S


async def figures(child: Child) -> dict[str, float]:
    """What whichever process answers says about all, on a connection of its own."""
    async with aiohttp.ClientSession() as session, session.get(f"{child.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if "#" not in name
    }


def registers(found: dict[str, float]) -> float:
    return found.get('parcelwire_requests_total{endpoint="register",status="200",code="0"}', 0)


async def told(child: Child, condition: Any, seconds: float = 60.0) -> None:
    """Until ten answers in a row, of whichever process, meet a condition."""
    async with asyncio.timeout(seconds):
        while not all([condition(await figures(child)) for _ in range(10)]):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.2)


async def test_every_process_answers_for_all(cluster: Cluster, tmp_path: Path) -> None:
    """The counters of a process stay when it is killed, or replaced and heard to its end."""
    environ = await on_schema(cluster, tmp_path)
    async with serve(environ, "--role", "api", "--processes", "3") as child:
        async with load(child) as calls:
            await until(lambda: calls.answered > 100)
        assert calls.failed == []
        made = calls.answered
        await told(child, lambda found: registers(found) == made and found["parcelwire_processes"] == 3)
        before = children(child.process.pid)
        child.process.send_signal(signal.SIGHUP)
        await until(lambda: len(children(child.process.pid) - before) == 3)
        await told(child, lambda found: registers(found) == made and found["parcelwire_processes"] == 3)
        os.kill(min(children(child.process.pid)), signal.SIGKILL)
        died = 'parcelwire_process_ends_total{why="died"}'
        await told(
            child,
            lambda found: (found.get(died), registers(found), found["parcelwire_processes"]) == (1, made, 3),
        )
        assert await ended_in(child) <= STOP_S


async def test_a_frozen_process_is_ended_and_started_again(cluster: Cluster, tmp_path: Path) -> None:
    """It cannot hear SIGTERM, so it is killed; the others, who turn, stay."""
    environ = await on_schema(cluster, tmp_path, PARCELWIRE_SILENT_SECONDS="5")
    async with serve(environ, "--role", "api", "--processes", "2") as child:
        frozen, other = sorted(children(child.process.pid))
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: frozen not in (now := children(child.process.pid)) and len(now) == 2)
        assert other in children(child.process.pid)
        silent = 'parcelwire_process_ends_total{why="silent"}'
        await told(child, lambda found: found.get(silent) == 1 and found["parcelwire_processes"] == 2)
        assert await ended_in(child) <= STOP_S


async def test_a_parent_that_was_frozen_ends_nobody(cluster: Cluster, tmp_path: Path) -> None:
    """It could hear nobody: that does not say that they were silent."""
    environ = await on_schema(cluster, tmp_path, PARCELWIRE_SILENT_SECONDS="5")
    async with serve(environ, "--role", "api", "--processes", "2") as child:
        before = children(child.process.pid)
        child.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(8)
        child.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(4)
        assert children(child.process.pid) == before
        assert await ended_in(child) <= STOP_S


async def test_a_rolling_restart_under_load_fails_no_call(cluster: Cluster, tmp_path: Path) -> None:
    """Callers that keep their connections open included; afterwards all processes are new ones."""
    environ = await on_schema(cluster, tmp_path)
    async with serve(environ, "--processes", "2") as child:
        before = children(child.process.pid)
        async with load(child) as calls:
            await until(lambda: calls.answered > 50)
            child.process.send_signal(signal.SIGHUP)
            await until(lambda: not before & children(child.process.pid))
            at = calls.answered
            await until(lambda: calls.answered > at + 50)
        assert len(children(child.process.pid)) == 2
        assert calls.failed == []
        assert (await child.call("getquota"))["quota_used"] == calls.accepted == calls.answered
        code, out, _ = await run(environ, "accounts", "list")  # the owner's commands reach whichever answers
        assert code == 0
        assert f"{calls.accepted} of" in out
        assert await ended_in(child) <= STOP_S


async def test_processes_end_with_their_parent(cluster: Cluster, tmp_path: Path) -> None:
    environ = await on_schema(cluster, tmp_path)
    async with serve(environ, "--processes", "2") as child:
        left = children(child.process.pid)
        assert await child.end(signal.SIGKILL) == -signal.SIGKILL
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))


async def test_who_cannot_start_ends_the_parent_with_its_reason(cluster: Cluster, tmp_path: Path) -> None:
    environ = await on_schema(cluster, tmp_path)
    gone = environ | {"PARCELWIRE_DATABASE": "postgresql://me@127.0.0.1:1/none"}
    code, out, err = await run(gone, "serve", "--processes", "2")
    assert (code, out) == (2, "")
    assert "PARCELWIRE_DATABASE: cannot open the database" in err


async def test_several_processes_need_a_server(tmp_path: Path) -> None:
    code, _, err = await run(environment(tmp_path), "serve", "--processes", "2")
    assert code == 2
    assert err.count("\n") == 1
    assert "--processes 2 needs a database that several processes can use" in err


class CountingDhl(DhlStandIn):
    """Keeps the time of every question, and refuses none: how long each was on its way is not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(calls=1_000, seconds=1, per_day=1_000)
        self.asked: list[datetime] = []

    def answer(self, request: Request, now: datetime) -> Reply:
        self.asked.append(now)
        return super().answer(request, now)


async def test_a_carriers_rate_holds_over_all_processes(cluster: Cluster, tmp_path: Path) -> None:
    """Three workers of one parent and two more beside them ask DHL once a second, all together."""
    dhl = CountingDhl()
    async with server.serve(dhl, SystemClock()) as url:
        environ = await on_schema(
            cluster, tmp_path, PARCELWIRE_CARRIER_DHL_URL=url, PARCELWIRE_CARRIER_DHL_API_KEY="key"
        )
        second = environ | {"PARCELWIRE_DATA": str(tmp_path / "second")}
        async with serve(environ, "--processes", "3") as child, worker(second), worker(second):
            items = [{"number": number, "carrier": 7041} for number in DHL_NUMBERS]
            assert len((await child.call("register", items))["accepted"]) == len(items)
            await until(lambda: len(dhl.asked) >= len(items), 60.0)
            assert await child.end(signal.SIGTERM) == 0
    span = (dhl.asked[-1] - dhl.asked[0]).total_seconds()
    assert DHL.limits.per_s is not None
    assert span >= (len(dhl.asked) - 1) / DHL.limits.per_s


async def test_pushes_go_on_while_workers_are_replaced(cluster: Cluster, tmp_path: Path) -> None:
    """A push that was taken is not made again, and every journey is told to its end."""
    async with sink_server() as sink:
        environ = await on_schema(cluster, tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        async with serve(environ, "--processes", "2") as child:
            numbers = [f"SANDBOXJOURNEY7{n:04}" for n in range(12)]
            await child.call("register", [{"number": number} for number in numbers])
            before = children(child.process.pid)
            child.process.send_signal(signal.SIGHUP)
            await until(lambda: not before & children(child.process.pid))
            await until(lambda: all("Delivered_Other" in sink.told.get(n, ()) for n in numbers), 60.0)
            assert await child.end(signal.SIGTERM) == 0
    assert {push: count for push, count in sink.accepted.items() if count > 1} == {}
