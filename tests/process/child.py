"""``parcelwire serve`` as a child process, and a sink for its webhooks."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import aiohttp
from aiohttp import web

from parcelwire.net.clock import SystemClock
from parcelwire.standins.server import listening
from parcelwire.wire.signature import verify

KEY = "PROCESSKEY0123456789"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
READY_S = 60.0  # on a busy machine


@dataclass
class Sink:
    """Keeps every body by id; refuses the first attempt of every third id."""

    fails: bool = False
    url: str = ""
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)  # sub-statuses by number
    forged: int = 0

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if not verify(request.headers, body, key=KEY, secret=SECRET, now=SystemClock().now()):
            self.forged += 1
            return web.Response(status=401)
        push = request.headers["webhook-id"]
        first = push not in self.bodies
        self.bodies.setdefault(push, set()).add(body)
        data = json.loads(body)["data"]
        if "track_info" in data:
            sub_status = data["track_info"]["latest_status"]["sub_status"]
            self.told.setdefault(data["number"], set()).add(sub_status)
        if self.fails and first and int(push[-2:], 16) % 3 == 0:
            return web.Response(status=500)
        self.accepted[push] = self.accepted.get(push, 0) + 1
        return web.Response()


@asynccontextmanager
async def sink_server(*, fails: bool = False) -> AsyncIterator[Sink]:
    """A sink on a free loopback port."""
    sink = Sink(fails)
    async with listening(sink.handle) as url:
        sink.url = f"{url}/hook"
        yield sink


def environment(data: Path, **settings: str) -> dict[str, str]:
    """Environment of a child: nothing of ours but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARCELWIRE_")}
    source = str(Path(__file__).parents[2] / "src")
    return kept | {
        "PYTHONPATH": source,
        "PARCELWIRE_DATA": str(data),
        "PARCELWIRE_LISTEN": "127.0.0.1:0",
        "PARCELWIRE_FIRST_KEY": KEY,
        "PARCELWIRE_FIRST_PLAN": "unlimited",
        "PARCELWIRE_WEBHOOK_SECRET": SECRET,
        "PARCELWIRE_EGRESS_ALLOW": "127.0.0.1/32",
        "PARCELWIRE_RATE_LIMIT": "0",
        "PARCELWIRE_SANDBOX_STEP": "0.2",
        "PARCELWIRE_PUSH_SCHEDULE": "0.2,0.2,0.5,0.5,1,1,1",
        **settings,
    }


@dataclass
class Child:
    """A running service."""

    process: asyncio.subprocess.Process
    url: str
    session: aiohttp.ClientSession

    async def call(self, endpoint: str, body: object = None) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/track/v2.2/{endpoint}", json=body) as response:
            response.raise_for_status()
            data: dict[str, Any] = (await response.json())["data"]
            return data

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; answers the exit code."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 15)


@asynccontextmanager
async def serve(
    environ: dict[str, str],
    *arguments: str,
    program: Sequence[str] = ("-m", "parcelwire", "serve"),
    log: int | IO[bytes] = asyncio.subprocess.DEVNULL,
) -> AsyncIterator[Child]:
    """Start the service and wait until it listens; it is killed at the end if it still runs. ``log``: where
    its log goes."""
    async with started(environ, *arguments, program=program, log=log) as (process, line):
        assert line.startswith("parcelwire listens on "), line
        async with aiohttp.ClientSession(headers={"17token": KEY}) as session:
            yield Child(process, line.split()[-1], session)


@asynccontextmanager
async def worker(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a worker and wait until it says so; it is killed at the end if it still runs."""
    async with started(environ, "--role", "worker") as (process, line):
        assert line.startswith("parcelwire works on postgresql://"), line
        yield process


@asynccontextmanager
async def started(
    environ: dict[str, str],
    *arguments: str,
    program: Sequence[str] = ("-m", "parcelwire", "serve"),
    log: int | IO[bytes] = asyncio.subprocess.DEVNULL,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """``parcelwire serve`` and its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, *arguments, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=log,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), READY_S)).decode()
        if not line:  # it ends by itself: to kill it then would take its exit code from the event loop
            await asyncio.wait_for(process.wait(), READY_S)
        yield process, line
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
