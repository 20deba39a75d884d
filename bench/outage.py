"""What sick webhook receivers cost: one that is down for three days, a third that never answer, and one that
refuses a third of its messages.

    # half a minute
    python3 dev.py bench outage [--json] [--shipments 200] [--endpoints 60]

All run the real pusher, flows and store on a file; the receivers are in this process.

* down: simulated time. Every shipment changes four times while its receiver is down; a second receiver of the
  same account is well. The receiver answers in 50 ms once it is back.
* hanging: real time. Every third receiver swallows what it is sent until the attempt's time is over.
* refusing: real time. Many messages wait for two receivers that answer in 5 ms; one of them refuses the first
  attempt of every third message, so that it has everything 5 s (the first delay) after the other at best.
"""

import argparse
import asyncio
import itertools
import json
import secrets
import statistics
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from parcelwire.cli.output import set_up_logs
from parcelwire.domain.account import NewAccount
from parcelwire.domain.endpoint import EndpointState, EndpointTurn, NewEndpoint
from parcelwire.domain.errors import PushError
from parcelwire.domain.push import SCHEDULE, NewPush, PushEvent
from parcelwire.domain.shipment import Shipment, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy
from parcelwire.flows.routes import Routes
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import ManualClock, SystemClock
from parcelwire.net.flights import Flights
from parcelwire.ports import Attempt, Clock, Refreshed, Wanted
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.directory import shipped
from parcelwire.zones import zone_of

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
OUTAGE = timedelta(days=3)
CHANGES = 4  # of every shipment while its receiver is down
ANSWER_S = 0.05
QUICK_ANSWER_S = 0.005
BEHIND_S = 10.0  # a receiver that refuses a third has everything so soon after one that takes all
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # noqa: S105 - of receivers that do not exist
LEASE = timedelta(minutes=1)
LEAD_S = 900.0  # promised: everything is told so soon after the receiver is back


@dataclass(frozen=True, slots=True)
class Taken:
    """How a receiver answers."""

    http_status: int = 200
    ms: int = 50
    body_start: bytes = b""


@dataclass
class Receivers:
    """All URLs. ``down``: refuse connections. ``hanging``: never answer."""

    clock: Clock
    down: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)  # the first attempt of every third message
    refused: set[tuple[str, str]] = field(default_factory=set)  # URL, id
    requests: Counter[str] = field(default_factory=Counter)
    got: list[tuple[str, str, bytes, datetime]] = field(default_factory=list)  # URL, id, body, when

    def check(self, url: str) -> None:
        """Every URL will do."""

    async def send(self, url: str, body: bytes, headers: dict[str, str], total_s: float) -> Taken:
        self.requests[url] += 1
        if url in self.down:
            raise PushError("connection refused")
        if url in self.hanging:
            await self.clock.sleep(total_s)
            raise PushError("no answer in time")
        if isinstance(self.clock, ManualClock):
            await self.clock.advance(ANSWER_S)
        elif self.refusing:
            await self.clock.sleep(QUICK_ANSWER_S)
        push = url, headers["webhook-id"]
        if url in self.refusing and int(push[1][-2:], 16) % 3 == 0 and push not in self.refused:
            self.refused.add(push)
            raise PushError("HTTP 500", http_status=500)
        self.got.append((url, headers["webhook-id"], body, self.clock.now()))
        return Taken()


class Stage:
    """A store with shipments, a pusher and receivers."""

    def __init__(self, store: SqliteStore, clock: Clock, timeout_s: float) -> None:
        self.store = store
        self.clock = clock
        self.receivers = Receivers(clock)
        self._names = itertools.count(1)
        context = Context(
            store=store,
            fetcher=Asker(clock, {}, {}, {}),
            sender=self.receivers,
            clock=clock,
            zone_of=zone_of,
            routes=Routes(),
            directory=shipped(),
            book="reference",
            new_id=lambda: secrets.token_hex(8),
            new_secret=lambda: SECRET,
            together=lambda jobs: asyncio.gather(*jobs),
            once=Flights(),
        )
        self.pusher = Pusher(context, PushPolicy(SCHEDULE, timeout_s), lambda: 0.5, Telemetry())

    async def open_account(self, *urls: str) -> int:
        """One account with these receivers."""
        name = f"account-{next(self._names)}"
        new = NewAccount(name, "unlimited", 10**9, f"login-key-of-{name}", "sign-key")
        account = await self.store.open_account(new, self.clock.now())
        for url in urls:
            await self.store.add_endpoint(account.id, NewEndpoint(url, SECRET))
        return account.id

    async def register(self, account: int, count: int) -> list[Shipment]:
        """New shipments."""
        wanted = [
            Wanted(f"BENCH{next(self._names):08}", "ups", 100001, 2, "ups", Wish()) for _ in range(count)
        ]
        await self.store.register(account, wanted, self.clock.now())
        made = await self.store.find(account, [item.number for item in wanted])
        return [shipment for shipment, _ in made]

    async def change(self, shipment: Shipment) -> Shipment:
        """The next version of a shipment, as a refresh would make it."""
        now = self.clock.now()
        due = await self.store.claim_one(shipment.id, now + LEASE, secrets.token_hex(8))
        assert due is not None
        after = replace(
            due.shipment, sub_status=SubStatus.IN_TRANSIT, version=due.shipment.version + 1,
            refresh_at=now + OUTAGE * 10,
        )  # fmt: skip
        body = json.dumps({"number": after.number, "version": after.version}).encode()
        push = NewPush(PushEvent.UPDATED, after.version, body)
        attempt = Attempt(now, "ups", "report", 1, "in transit")
        assert await self.store.complete([Refreshed(after, attempt, pushes=(push,))]) == 0
        return after


@asynccontextmanager
async def stage(folder: Path, clock: Clock, timeout_s: float = 10.0) -> AsyncIterator[Stage]:
    """A stage on a file in ``folder``."""
    store = await SqliteStore.open(folder / "outage.db", Vault(bytes(MASTER_BYTES), secrets.token_bytes))
    try:
        yield Stage(store, clock, timeout_s)
    finally:
        await store.close()


# --- down for three days ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Down:
    """Figures of a receiver that was down."""

    events: int
    requests: int  # to the receiver while it was down
    requests_per_event: float
    lost: int  # shipments whose last version never arrived
    two_bodies: int  # ids that came with more than one body
    out_of_order: int  # versions that came after a newer one of the shipment
    superseded: int  # versions that a newer one contains
    all_told_after_s: float  # since the receiver was back
    other_slowest_s: float  # change to arrival at the other receiver
    state_when_down: str
    state_at_end: str


async def down(folder: Path, shipments: int) -> Down:
    """Three simulated days without the receiver, then until all is told."""
    clock = ManualClock(START)
    sick, well = "https://sick.example/hook", "https://well.example/hook"
    async with stage(folder, clock) as here:
        account = await here.open_account(sick, well)
        known = await here.register(account, shipments)
        here.receivers.down.add(sick)
        made: dict[bytes, datetime] = {}
        for _ in range(CHANGES):
            for index, shipment in enumerate(known):
                known[index] = await here.change(shipment)
                made[_body(known[index])] = clock.now()
            await pass_time(here, clock, clock.now() + OUTAGE / CHANGES)
        requests, state = here.receivers.requests[sick], await _state(here, account)
        back = clock.now()
        here.receivers.down.clear()
        await pass_time(here, clock, back + timedelta(seconds=LEAD_S * 2))
        got = [item for item in here.receivers.got if item[0] == sick]
        told = {body for _, _, body, _ in got}
        bodies: dict[str, set[bytes]] = {}
        for _, push, body, _ in got:
            bodies.setdefault(push, set()).add(body)
        events = shipments * CHANGES
        return Down(
            events=events,
            requests=requests,
            requests_per_event=round(requests / events, 2),
            lost=sum(_body(shipment) not in told for shipment in known),
            two_bodies=sum(len(found) > 1 for found in bodies.values()),
            out_of_order=_out_of_order([body for _, _, body, _ in got]),
            superseded=events - len(told),
            all_told_after_s=round((max(at for *_, at in got) - back).total_seconds(), 1) if got else -1,
            other_slowest_s=round(
                max(
                    (at - made[body]).total_seconds()
                    for url, _, body, at in here.receivers.got
                    if url == well
                ),
                1,
            ),
            state_when_down=state.value,
            state_at_end=(await _state(here, account)).value,
        )


async def pass_time(here: Stage, clock: ManualClock, until: datetime) -> None:
    """Go from one due push to the next."""
    while True:
        await here.pusher.tick()
        due_at = await here.store.pushes_due()
        at = min(until, due_at) if due_at else until
        if at >= until and clock.now() >= until:
            return
        await clock.advance(max(0.0, (at - clock.now()).total_seconds()))


async def _state(here: Stage, account: int) -> EndpointState:
    return (await here.store.endpoints(account))[0].health.state


def _body(shipment: Shipment) -> bytes:
    return json.dumps({"number": shipment.number, "version": shipment.version}).encode()


def _out_of_order(bodies: list[bytes]) -> int:
    newest: dict[str, int] = {}
    wrong = 0
    for body in bodies:
        message = json.loads(body)
        wrong += message["version"] < newest.get(message["number"], 0)
        newest[message["number"]] = max(message["version"], newest.get(message["number"], 0))
    return wrong


# --- a third hangs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hanging:
    """Figures of receivers beside others that hang."""

    endpoints: int
    hanging: int
    events: int  # at those that answer
    lost: int
    median_s: float  # from change to arrival, at those that answer
    p99_s: float
    slowest_s: float
    requests_to_hanging: int


async def hanging(folder: Path, endpoints: int, shipments: int, timeout_s: float) -> Hanging:
    """Every third receiver never answers; how long do the others wait?"""
    clock = SystemClock()
    async with stage(folder, clock, timeout_s) as here:
        urls = [f"https://{index}.example/hook" for index in range(endpoints)]
        here.receivers.hanging = set(urls[::3])
        known = [await here.register(await here.open_account(url), shipments) for url in urls]
        here.store.on_work(here.pusher.wake)
        running = asyncio.create_task(here.pusher.run())
        made: dict[bytes, datetime] = {}
        for turn in range(3):
            for owner in known:
                for index, shipment in enumerate(owner):
                    at = clock.now()
                    owner[index] = await here.change(shipment)
                    made[_body(owner[index])] = at
            if turn < 2:
                await clock.sleep(1)
        events = shipments * 3 * (endpoints - len(here.receivers.hanging))
        with suppress(TimeoutError):
            async with asyncio.timeout(60):
                while len(here.receivers.got) < events:
                    await clock.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        waits = sorted((at - made[body]).total_seconds() for _, _, body, at in here.receivers.got)
        return Hanging(
            endpoints,
            len(here.receivers.hanging),
            events,
            events - len({push for _, push, _, _ in here.receivers.got}),
            round(statistics.median(waits), 3),
            round(waits[int(len(waits) * 0.99)], 3),
            round(waits[-1], 3),
            sum(here.receivers.requests[url] for url in here.receivers.hanging),
        )


# --- a third is refused -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusing:
    """Figures of a receiver that refuses a third beside one that takes everything."""

    events: int
    lost: int
    requests_per_event: float
    all_told_after_s: float
    other_all_told_after_s: float
    turned: int  # how often it was taken for failing, or was healthy again


async def refusing(folder: Path, shipments: int) -> Refusing:
    """How much later has it got everything?"""
    clock = SystemClock()
    async with stage(folder, clock) as here:
        sick, well = "https://sick.example/hook", "https://well.example/hook"
        account = await here.open_account(sick, well)
        here.receivers.refusing.add(sick)
        await asyncio.gather(*(here.change(one) for one in await here.register(account, shipments)))
        turns: list[EndpointTurn] = []
        here.store.on_turn(turns.append)
        here.store.on_work(here.pusher.wake)
        began = clock.now()
        running = asyncio.create_task(here.pusher.run())
        with suppress(TimeoutError):
            async with asyncio.timeout(120):
                while len(here.receivers.got) < 2 * shipments:
                    await clock.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        last = {url: at for url, _, _, at in here.receivers.got}  # in their order
        return Refusing(
            events=shipments,
            lost=2 * shipments - len(here.receivers.got),
            requests_per_event=round(here.receivers.requests[sick] / shipments, 2),
            all_told_after_s=round((last[sick] - began).total_seconds(), 1),
            other_all_told_after_s=round((last[well] - began).total_seconds(), 1),
            turned=len(turns),
        )


# --- the command ------------------------------------------------------------------------------------------


async def _all(shipments: int, endpoints: int) -> tuple[Down, Hanging, Refusing]:
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place, name) for name in ("down", "hanging", "refusing")]
        for folder in folders:
            folder.mkdir()
        return (
            await down(folders[0], shipments),
            await hanging(folders[1], endpoints, 5, 10.0),
            await refusing(folders[2], shipments * 10),
        )


def main() -> None:
    """Print one figure a line; exit code 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shipments", type=int, default=200)
    parser.add_argument("--endpoints", type=int, default=60)
    given = parser.parse_args()
    set_up_logs(quiet=True)
    first, second, third = asyncio.run(_all(given.shipments, given.endpoints))
    if given.json:
        print(json.dumps({"down": asdict(first), "hanging": asdict(second), "refusing": asdict(third)}))
    else:
        titled = ("down for 3 days", first), ("a third hangs", second), ("a third is refused", third)
        for title, figures in titled:
            print(title)
            for name, value in asdict(figures).items():
                print(f"  {name:22} {value}")
    kept = (
        not (first.lost or first.two_bodies or first.out_of_order or second.lost or third.lost)
        and first.requests_per_event <= 5
        and first.all_told_after_s <= LEAD_S
        and second.p99_s <= 5
        and third.all_told_after_s <= third.other_all_told_after_s + BEHIND_S
    )
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
