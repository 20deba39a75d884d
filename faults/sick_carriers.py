"""A service whose carriers are sick in every way at once, each in a lane of its own, over real sockets.

The carriers live in a process of their own: their stalls, floods and memory are not the service's.
"""

import asyncio
import json
import resource
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench._child import Child
from faults.arrivals import beyond, obey, request_of, stamping
from faults.broken_http import MODES, body_of, head
from faults.figure import Figure, percentile
from faults.simulation import silence

from parcelwire.app import context_of, settings_from
from parcelwire.carriers.sandbox import Sandbox
from parcelwire.domain.account import NewAccount
from parcelwire.domain.limits import Limits
from parcelwire.domain.schedule import Pace
from parcelwire.flows.context import Context
from parcelwire.flows.read import track_info
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import SystemClock
from parcelwire.net.flights import Flights
from parcelwire.net.push import PushSender
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault

NUMBERS = 3  # of each mode
CODES = ("IR", "PU", "TR", "OD", "DL")
WELL_S, SICK_S, RECOVERY_MAX_S = 5.0, 40.0, 60.0
GROWTH_MAX_MIB = 128
RESTING = {"status 401", "status 403"}  # a refused credential rests for 15 minutes: no account gets locked
RESTING_CALLS_MAX = 3
STAGES = (2, 4, 5)  # scans known before, during and after the sickness
SCAN_AT = datetime(2026, 3, 1, 8, tzinfo=UTC)

clock = SystemClock()
NAMES = list(MODES)


def numbers_of(place: int) -> list[str]:
    """The numbers of a mode: it is the lane too."""
    return [f"SANDBOXJOURNEY{place:02}{index}" for index in range(NUMBERS)]


class Paced(Sandbox):
    """A lane for each mode, with a rate."""

    limits = Limits(per_s=1.5, burst=2)  # less than three numbers want that are asked alone
    batch = NUMBERS

    def lane(self, number: str) -> str:
        """``sandbox:<place of the mode>``."""
        return f"sandbox:{number[14:16]}"


@dataclass
class Server:
    """Answers truthfully, or as the mode of the number says while ``sick``."""

    sick: bool = False
    scans: int = STAGES[0]
    while_sick: dict[int, int] = field(default_factory=dict)  # calls
    calls: dict[int, list[float]] = field(default_factory=dict)  # when they arrived

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at: float) -> None:
        """One request, one answer."""
        asked = await request_of(reader)
        numbers = [item["number"] for item in json.loads(asked.body or b"")["shipments"]]
        place = int(numbers[0][14:16])
        self.calls.setdefault(place, []).append(at)
        items = [self.item(number) for number in numbers]
        if self.sick:
            self.while_sick[place] = self.while_sick.get(place, 0) + 1
            await MODES[NAMES[place]](writer, items)
        else:
            writer.write(head(200, len(body_of(items))) + body_of(items))

    def item(self, number: str) -> dict[str, Any]:
        """The truth, newest first."""
        scans = [
            {"code": code, "time": (SCAN_AT + timedelta(hours=n)).isoformat(), "text": f"{number} scan {n}"}
            for n, code in enumerate(CODES[: self.scans])
        ][::-1]
        return {"number": number, "result": 200, "events": scans, "current": scans[0]["code"]}

    def turn(self, told: tuple[bool, int] | None) -> "Server":
        """Whether it is sick from now on, and how many scans it knows; None: just what it has seen."""
        if told is not None:
            self.sick, self.scans = told
        return self


def play(pipe: Connection) -> None:
    """All carriers, in a process of their own."""

    async def run() -> None:
        server = Server()
        async with stamping(server.handle) as url:
            pipe.send(url)
            await obey(pipe, server.turn)

    asyncio.run(run())


@dataclass
class Watch:
    """What the API shows of every number, from second to second."""

    context: Context
    account: Any
    known: dict[str, set[str]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    regressions: int = 0
    foreign: set[str] = field(default_factory=set)

    async def look(self) -> None:
        """Compare with the last look."""
        for place in range(len(NAMES)):
            items = [{"number": number} for number in numbers_of(place)]
            answer = json.loads(await track_info(self.context, self.account, json.dumps(items).encode()))
            for item in answer["data"]["accepted"]:
                self._compare(item["number"], item["track_info"], NAMES[place])

    def _compare(self, number: str, info: dict[str, Any], mode: str) -> None:
        texts = {event["description"] for leg in info["tracking"]["providers"] for event in leg["events"]}
        mine = {text for text in texts if text.startswith(f"{number} ")}
        self.regressions += bool(self.known.get(number, set()) - texts)
        rank = {"NotFound": 0, "InfoReceived": 1, "InTransit": 2, "OutForDelivery": 3, "Delivered": 4}
        status = info["latest_status"]["status"]
        before = self.statuses.get(number, "NotFound")
        self.regressions += rank.get(status, 2) < rank.get(before, 2)
        self.statuses[number] = status
        self.known.setdefault(number, set()).update(mine)
        if any("SANDBOX" in text for text in texts - mine):
            self.foreign.add(mode)

    def whole(self, place: int) -> bool:
        """Whether everything about the numbers of a mode is known."""
        return all(len(self.known.get(number, ())) >= STAGES[2] for number in numbers_of(place))


async def sick_carriers(quick: bool) -> Figure:
    """Well, sick, well again: what is known stays, and comes up to date."""
    with silence(), tempfile.TemporaryDirectory() as place:
        return await _sick_carriers(Path(place), 8.0 if quick else SICK_S)


async def _sick_carriers(folder: Path, sick_s: float) -> Figure:
    carriers = Child(play)
    asker = Asker(clock, {}, {"sandbox": carriers.ready})
    store = await SqliteStore.open(folder / "parcelwire.db", Vault(bytes(MASTER_BYTES), bytes))
    settings = settings_from({"PARCELWIRE_DATA": str(folder)})
    context = replace(
        context_of(settings, store, asker, PushSender(clock), Flights(), clock),
        routes=Routes({"sandbox": Paced()}),
        pace=Pace(every=timedelta(seconds=1)),
        paces={},
    )
    account = await store.open_account(NewAccount("shop", "unlimited", 10_000, "key", "sign"), clock.now())
    for place in range(len(NAMES)):
        items = [{"number": number} for number in numbers_of(place)]
        await register(context, account, json.dumps(items).encode())
    refresher = Refresher(context, Telemetry())
    running = asyncio.create_task(refresher.run())
    watch = Watch(context, account)
    await _pass(WELL_S, watch)
    memory = _memory_mib()
    carriers.ask((True, STAGES[1]))
    await _pass(sick_s, watch)
    carriers.ask((False, STAGES[2]))
    recovered = await _recover(watch)
    growth = _memory_mib() - memory
    running.cancel()
    server = carriers.ask(None)
    carriers.close()
    await asyncio.gather(running, return_exceptions=True)
    await asker.close()
    await store.close()
    return _figure(server, watch, recovered, growth)


async def _pass(seconds: float, watch: Watch) -> None:
    ends_at = clock.monotonic() + seconds
    while clock.monotonic() < ends_at:
        await asyncio.sleep(1)
        await watch.look()


async def _recover(watch: Watch) -> dict[int, float]:
    """Seconds until a mode was up to date again; a mode that is missing never was."""
    began = clock.monotonic()
    recovered: dict[int, float] = {}
    while len(recovered) < len(NAMES) - len(RESTING) and clock.monotonic() < began + 2 * RECOVERY_MAX_S:
        await asyncio.sleep(0.5)
        await watch.look()
        for place in range(len(NAMES)):
            if place not in recovered and watch.whole(place):
                recovered[place] = clock.monotonic() - began
    return recovered


def _memory_mib() -> float:
    """The most that the process has ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _figure(server: Server, watch: Watch, recovered: dict[int, float], growth: float) -> Figure:
    stuck = [name for place, name in enumerate(NAMES) if place not in recovered and name not in RESTING]
    over = sum(beyond(calls, Paced.limits) for calls in server.calls.values())
    longest = max(recovered.values(), default=0.0)
    refused = max(server.while_sick.get(NAMES.index(name), 0) for name in RESTING)
    bad = refused > RESTING_CALLS_MAX or bool(stuck or watch.regressions or over or watch.foreign)
    calls = sum(len(times) for times in server.calls.values())
    return Figure(
        "carriers",
        not bad and growth <= GROWTH_MAX_MIB and longest <= RECOVERY_MAX_S,
        f"carrier fault modes {len(NAMES)}: {calls} calls, stuck {len(stuck)}{_named(stuck)}, "
        f"state regressions {watch.regressions}, data of another number shown {len(watch.foreign)}, "
        f"calls beyond the limit {over}, memory growth {growth:.0f} MiB, "
        f"calls with a refused credential at most {refused} (then it rests for 15 min), "
        f"up to date again p50 {percentile(list(recovered.values()), 0.5):.0f} s, longest {longest:.0f} s",
        {"modes": len(NAMES), "calls": calls, "stuck": len(stuck), "regressions": watch.regressions,
         "foreign": len(watch.foreign), "calls_beyond": over, "memory_growth_mib": round(growth, 1),
         "recovery_max_s": round(longest, 1)},
    )  # fmt: skip


def _named(modes: list[str]) -> str:
    return f" ({', '.join(modes)})" if modes else ""
