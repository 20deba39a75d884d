"""Webhook endpoints that are sick in every way, each of an account of its own, beside healthy ones."""

import asyncio
import json
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from faults.broken_http import Items, Mode, drip, endless, hang, head, raw, reset, status
from faults.figure import Figure, percentile
from faults.simulation import silence

from parcelwire.app import context_of, settings_from
from parcelwire.carriers.sandbox import Sandbox
from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.schedule import Pace
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import SystemClock
from parcelwire.net.flights import Flights
from parcelwire.net.push import PushSender
from parcelwire.ports import Work
from parcelwire.standins.sandbox import SandboxStandIn
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NUMBERS = 2  # of each account
STEP_S = 1.0  # of a sandbox journey
SICK_S = 20.0
HEALTHY = 10
TIMEOUT_S = 5.0
SCHEDULE = (1.0, 2.0, 5.0, *[10.0] * 30)
RECOVERY_MAX_S = 60.0
DELAY_MAX_S = 5.0

clock = SystemClock()


async def hang_up(_: asyncio.StreamWriter, __: Items) -> None:
    """Closed without an answer."""


async def many_interims(writer: asyncio.StreamWriter, _: Items) -> None:
    """100 Continue, again and again."""
    for _n in range(2000):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


MODES: dict[str, Mode] = {
    **{f"status {code}": status(code) for code in (
        301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 501, 502, 503, 504, 599
    )},
    "429 with a pause": status(429, "Retry-After: 3"),
    "503 with a pause": status(503, "Retry-After: 3"),
    "hang": hang, "drip": drip, "reset": reset, "closed": hang_up, "not HTTP": raw(b"SSH-2.0-x\r\n"),
    "huge head": raw(head(500, 0, *(f"X-{n}: {'y' * 8000}" for n in range(40)))),
    "endless refusal": endless, "interim answers": many_interims,
}  # fmt: skip
NAMES = [*(f"healthy {n}" for n in range(HEALTHY)), *MODES]
TAKES = {"endless refusal"}  # 200 in the head: that counts, whatever comes behind it


@dataclass
class Endpoints:
    """All of them on one port: the path says which."""

    sick: bool = False
    url: str = ""
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)  # of the healthy ones: from the change to the arrival
    calls: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One push."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            asked = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in asked.split("\r\n")[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            name = NAMES[int(asked.split()[1].removeprefix("/"))]
            self.calls += 1
            push = headers["webhook-id"]
            self.bodies.setdefault(push, set()).add(body)
            if self.sick and name in MODES:
                if name in TAKES:
                    self.taken[push] = self.taken.get(push, 0) + 1
                await MODES[name](writer, [])
            else:
                self.taken[push] = self.taken.get(push, 0) + 1
                if name not in MODES:
                    self.delays_s.append(_age_s(body))
                writer.write(head(200, 2) + b"{}")
            await writer.drain()
        writer.close()


def _age_s(body: bytes) -> float:
    """How old the newest event in a body is. A journey's events happen on the grid of its steps."""
    data = json.loads(body)["data"]
    if "track_info" not in data:
        return 0.0
    at = data["track_info"]["latest_event"]["time_utc"]
    return (clock.now() - datetime.fromisoformat(at)).total_seconds()


async def sick_receivers(quick: bool) -> Figure:
    """Sick, then well: the healthy ones feel nothing, the sick ones get everything in the end."""
    with silence(), tempfile.TemporaryDirectory() as place:
        return await _sick_receivers(Path(place), 6.0 if quick else SICK_S)


async def _account(context: Context, place: int, url: str) -> Account:
    """An account whose endpoint is the one of its place."""
    new = NewAccount(f"account {place}", "unlimited", 10_000, f"key-{place}", f"sign-key-{place}")
    account = await context.store.open_account(new, clock.now())
    await context.store.set_endpoint(account.id, f"{url}/{place}", SECRET, stopped_by_request=True)
    return account


async def _sick_receivers(folder: Path, sick_s: float) -> Figure:
    endpoints = Endpoints(sick=True)
    listening = await asyncio.start_server(endpoints.handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    asker = Asker(clock, {}, {}, {"sandbox": SandboxStandIn(STEP_S)})
    sender = PushSender(clock, (ip_network("127.0.0.1/32"),))
    store = await SqliteStore.open(folder / "parcelwire.db", Vault(bytes(MASTER_BYTES), bytes))
    settings = settings_from({"PARCELWIRE_DATA": str(folder)})
    context = replace(
        context_of(settings, store, asker, sender, Flights(), clock),
        routes=Routes({"sandbox": Sandbox()}),
        paces={"sandbox": Pace(day=timedelta(days=1), every=timedelta(seconds=STEP_S))},
    )
    accounts = [await _account(context, place, url) for place in range(len(NAMES))]
    refresher = Refresher(context, Telemetry())
    pusher = Pusher(context, PushPolicy(SCHEDULE, TIMEOUT_S), lambda: 0.5, Telemetry())
    store.on_work(refresher.wake, Work.REFRESH)
    store.on_work(pusher.wake, Work.PUSH)
    running = [asyncio.create_task(loop.run()) for loop in (refresher, pusher)]
    for place, account in enumerate(accounts):
        items = [{"number": f"SANDBOXJOURNEY{place}{index}"} for index in range(NUMBERS)]
        await register(context, account, json.dumps(items).encode())
    await asyncio.sleep(sick_s)
    endpoints.sick = False
    recovered_s = await _recovered(folder)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    listening.close()
    for part in (sender, asker, store):
        await part.close()
    return _figure(folder, endpoints, recovered_s)


async def _recovered(folder: Path) -> float:
    """Seconds until nothing waits any more."""
    began = clock.monotonic()
    while clock.monotonic() < began + 2 * RECOVERY_MAX_S:
        await asyncio.sleep(0.5)
        rows = await asyncio.to_thread(_states, folder)
        if rows and not rows.get("pending"):
            break
    return clock.monotonic() - began


def _states(folder: Path) -> dict[str, int]:
    """Pushes by state."""
    with closing(sqlite3.connect(folder / "parcelwire.db")) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM push GROUP BY state").fetchall())


def _sent_ids(folder: Path) -> set[str]:
    """Pushes that we believe to have been taken."""
    with closing(sqlite3.connect(folder / "parcelwire.db")) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM push WHERE state = 'sent'")}


def _figure(folder: Path, endpoints: Endpoints, recovered_s: float) -> Figure:
    states = _states(folder)
    two = sum(len(bodies) > 1 for bodies in endpoints.bodies.values())
    waiting, dead = states.get("pending", 0), states.get("dead", 0)
    sent = states.get("sent", 0)
    lost = len(_sent_ids(folder) - set(endpoints.taken))
    p99 = percentile(endpoints.delays_s, 0.99)
    good = not (two or waiting or dead or lost) and p99 <= DELAY_MAX_S and recovered_s <= RECOVERY_MAX_S
    return Figure(
        "receivers",
        good,
        f"receiver fault modes {len(MODES)} beside {HEALTHY} healthy: {endpoints.calls} attempts, "
        f"sent {sent}, superseded {states.get('superseded', 0)}, lost {lost}, given up {dead}, "
        f"waiting {waiting}, ids with two bodies {two}, healthy endpoints told p99 {p99:.2f} s after the "
        f"event, everything delivered {recovered_s:.0f} s after they were well",
        {"modes": len(MODES), "attempts": endpoints.calls, "sent": sent, "lost": lost, "dead": dead,
         "waiting": waiting, "two_bodies": two, "healthy_p99_s": round(p99, 2),
         "recovery_s": round(recovered_s, 1)},
    )  # fmt: skip
