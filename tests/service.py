"""The whole service by hand: real flows, store and loops, the sandbox inside, time in the test's hand."""

import asyncio
import itertools
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from parcelwire.api.server import ENDPOINTS
from parcelwire.carriers import carriers
from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.errors import PushError
from parcelwire.domain.schedule import Pace
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy
from parcelwire.flows.read import track_info
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.loops.inbox import Inbox
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import ManualClock
from parcelwire.net.flights import Flights, together
from parcelwire.ports import StandIn
from parcelwire.standins.sandbox import SandboxStandIn
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.directory import shipped
from parcelwire.wire.versions import VERSIONS
from parcelwire.zones import zone_of

T = TypeVar("T")

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STEP = timedelta(seconds=2)
ENDPOINT = "https://shop.example/hook"
TOKEN = "token-of-the-test"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class WatchedClock(ManualClock):
    """Tells for how long somebody wants to sleep, so that a test can let that time pass."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.naps: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.naps.put_nowait(seconds)
        await super().sleep(seconds)


@dataclass(frozen=True)
class Taken:
    """How a sink answers."""

    http_status: int = 200
    ms: int = 1
    body_start: bytes = b"ok"


@dataclass
class Sink:
    """Takes pushes and keeps them in order of arrival. ``failing``: the next so many are refused."""

    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    failing: int = 0

    def check(self, url: str) -> None:
        """Every URL will do."""

    async def send(self, url: str, body: bytes, headers: dict[str, str], total_s: float) -> Taken:
        if self.failing:
            self.failing -= 1
            raise PushError("HTTP 503", http_status=503)
        self.got.append((headers, body))
        return Taken()

    def bodies(self, number: str) -> list[dict[str, Any]]:
        """The messages about one number, oldest first."""
        bodies: list[dict[str, Any]] = [json.loads(body) for _, body in self.got]
        return [body for body in bodies if body["data"]["number"] == number]


class World:
    """Make it with ``await World.open(folder)``; ``await close()`` at the end."""

    def __init__(
        self,
        store: SqliteStore,
        clock: WatchedClock,
        step: timedelta,
        routes: Routes | None = None,
        sources: Sequence[StandIn] = (),
    ) -> None:
        self.store = store
        self.clock = clock
        self.step = step
        self.sink = Sink()
        self.account: Account
        stand_ins: dict[str, StandIn] = {source.slug: source for source in sources}
        self._asker = Asker(
            self.clock,
            {slug: dict.fromkeys(carriers()[slug].secrets, TOKEN) for slug in stand_ins},
            {slug: f"inprocess:{slug}" for slug in stand_ins},
            {"sandbox": SandboxStandIn(step.total_seconds())} | stand_ins,
        )
        self._flights = Flights()
        ids = itertools.count(1)
        self.context = Context(
            store=store,
            fetcher=self._asker,
            sender=self.sink,
            clock=clock,
            zone_of=zone_of,
            routes=routes or Routes({"sandbox": carriers()["sandbox"]}),
            directory=shipped(),
            book="reference",
            new_id=lambda: f"id-{next(ids)}",
            new_secret=lambda: SECRET,
            together=together,
            once=self._flights,
            paces={"sandbox": Pace(day=step, every=step)},
        )
        telemetry = Telemetry()
        self.refresher = Refresher(self.context, telemetry)
        policy = PushPolicy(schedule=(5, 30, 120), timeout_s=10)
        self.inbox = Inbox(self.context, telemetry)
        self.pusher = Pusher(self.context, policy, lambda: 0.5, telemetry)

    @classmethod
    async def open(
        cls,
        folder: Path,
        step: timedelta = STEP,
        *,
        routes: Routes | None = None,
        sources: Sequence[StandIn] = (),
        clock: WatchedClock | None = None,
    ) -> "World":
        """The service on the file in a folder, with one account and its endpoint when there is none yet."""
        nonces = itertools.count()
        vault = Vault(bytes(MASTER_BYTES), lambda count: next(nonces).to_bytes(count, "big"))
        store = await SqliteStore.open(folder / "parcelwire.db", vault)
        world = cls(store, clock or WatchedClock(NOON), step, routes, sources)
        known = await store.accounts()
        world.account = known[0] if known else await world.open_account("shop")
        return world

    async def close(self) -> None:
        await self._flights.close()
        await self._asker.close()
        await self.store.close()

    async def open_account(self, name: str, *, endpoint: bool = True) -> Account:
        """One more account, with an endpoint of its own."""
        new = NewAccount(name, "unlimited", 1_000_000, f"key-of-{name}", f"sign-key-of-{name}")
        account = await self.store.open_account(new, self.clock.now())
        if endpoint:
            await self.give_endpoint(account)
        return account

    async def give_endpoint(self, account: Account) -> None:
        """Somewhere to push to."""
        await self.store.set_endpoint(
            account.id, f"{ENDPOINT}/{account.name}", SECRET, stopped_by_request=True
        )

    async def call(
        self, endpoint: str, body: object = None, *, version: str = "v2.2", account: Account | None = None
    ) -> dict[str, Any]:
        """The envelope of a processed call. CallerError when the whole call is at fault."""
        flow = ENDPOINTS[endpoint.lower()]
        given = b"" if body is None else json.dumps(body).encode()
        answer = await flow(self.context, account or self.account, given, VERSIONS[version])
        envelope: dict[str, Any] = json.loads(answer)
        return envelope

    async def register(self, *numbers: str, account: Account | None = None) -> dict[str, Any]:
        """``data`` of the answer to a registration, in calls of at most 40."""
        data: dict[str, Any] = {"accepted": [], "rejected": []}
        for start in range(0, len(numbers), 40):
            items = [{"number": number} for number in numbers[start : start + 40]]
            body = await register(self.context, account or self.account, json.dumps(items).encode())
            for name, found in json.loads(body)["data"].items():
                data[name] += found
        return data

    async def shown(self, number: str, account: Account | None = None) -> dict[str, Any]:
        """The one accepted item of gettrackinfo."""
        items = json.dumps([{"number": number}]).encode()
        body = await track_info(self.context, account or self.account, items)
        (item,) = json.loads(body)["data"]["accepted"]
        found: dict[str, Any] = item
        return found

    async def shipment(self, number: str, account: Account | None = None) -> Shipment:
        """The one registration of a number."""
        ((shipment, _),) = await self.store.find((account or self.account).id, [number])
        return shipment

    async def turn(self) -> None:
        """Refresh and push all that is due; time passes only while a carrier lets us wait."""
        await self.passing(self._turn())

    async def passing(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of ``work``; time passes whenever it waits."""
        task = asyncio.create_task(work)
        while not task.done():
            nap = asyncio.create_task(self.clock.naps.get())
            await asyncio.wait((task, nap), return_when=asyncio.FIRST_COMPLETED)
            if nap.done():
                await self.clock.advance(nap.result())
            nap.cancel()
        return await task

    async def steps(self, count: int) -> None:
        """``count`` turns, one at the beginning of each step."""
        for _ in range(count):
            await self.turn()
            await self.clock.advance(self.step.total_seconds())

    async def _turn(self) -> None:
        await self.inbox.tick()
        await self.refresher.tick()
        await self.pusher.tick()


def story(bodies: Sequence[dict[str, Any]]) -> list[str]:
    """Pushes in one word each: the sub-status, or STOPPED."""
    return [
        "STOPPED"
        if body["event"] == "TRACKING_STOPPED"
        else body["data"]["track_info"]["latest_status"]["sub_status"]
        for body in bodies
    ]
