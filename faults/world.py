"""The whole service in one loop: real flows, store, loops and driver; time, network and crashes in one hand.

A step is a call of a client, a move of a parcel, a fault, or some time. ``check`` after each holds the
promises P1 to P7 (docs/reference/reliability.md) against what the clients, the carrier and the receiver saw.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from faults.carrier import PacedSandbox, Parcels, SickCarrier
from faults.inline import InlineStore
from faults.ledger import SCHEDULE, Ledger, Violation, hold
from faults.points import Crash, Points
from faults.receiver import SickReceiver

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.errors import StoreUnavailable
from parcelwire.domain.schedule import Pace
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy
from parcelwire.flows.read import track_info
from parcelwire.flows.realtime import real_time
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.flows.stop import stop
from parcelwire.loops.janitor import Janitor
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.refresher import GATHER_S, Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import ManualClock
from parcelwire.net.flights import Flights
from parcelwire.ports import Work
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.directory import shipped
from parcelwire.zones import zone_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNTS = ("shop", "depot")
QUOTA = 60  # small, so that it runs out
EVERY = timedelta(seconds=20)  # between two refreshes
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ROUND_S = 30.0  # of a drain
DRAIN_ROUNDS = 80  # breakers pause for 15 minutes at most, a Retry-After for less here

Flow = Callable[[Context, Account, bytes], Coroutine[Any, Any, bytes]]


async def quiet() -> None:
    """Let everything run that can run: nothing here waits for threads or sockets."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # noqa: SLF001
    await asyncio.sleep(0)
    while ready:
        await asyncio.sleep(0)


class World:
    """Make it with ``await World.open(folder, seed)``; ``await end()`` drains it and checks everything;
    ``await close()`` whatever happened."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock(NOON, quiet)
        self.points = Points()
        self.parcels = Parcels()
        self.carrier = SickCarrier(self.parcels, self.chance, self.clock)
        self.receiver = SickReceiver(self.clock, self.chance)
        self.accounts: list[Account] = []
        self.trace: list[str] = []
        self.crashes = self.restarts = 0
        self.died_at: str | None = None  # point of the last crash
        self._path = folder / "parcelwire.db"
        self._ids = itertools.count(1)
        nonces = itertools.count()
        self._vault = Vault(bytes(MASTER_BYTES), lambda count: next(nonces).to_bytes(count, "big"))
        self._loops: list[asyncio.Task[None]] = []
        self.ledger = Ledger(self._path, self.parcels)

    @classmethod
    async def open(cls, folder: Path, seed: int) -> "World":
        """A service with accounts and endpoints, its loops running."""
        world = cls(folder, seed)
        store = InlineStore(world._path, world._vault)
        for name in ACCOUNTS:
            new = NewAccount(name, str(QUOTA), QUOTA, f"key-of-{name}", f"sign-key-of-{name}")
            account = await store.open_account(new, world.clock.now())
            await store.set_endpoint(
                account.id, f"https://shop.example/{name}", SECRET, stopped_by_request=True
            )
            world.accounts.append(account)
        store.drop()
        world._start()
        return world

    # --- the process ---

    def _start(self) -> None:
        """A new process opens the file."""
        self.store = InlineStore(self._path, self._vault, self.points)
        self._asker = Asker(self.clock, {}, {}, {"sandbox": self.carrier}, failpoint=self.points)
        self._flights = Flights()
        self.context = Context(
            store=self.store,
            fetcher=self._asker,
            sender=self.receiver,
            new_secret=lambda: SECRET,
            clock=self.clock,
            zone_of=zone_of,
            routes=Routes({"sandbox": PacedSandbox()}),
            directory=shipped(),
            book="reference",
            new_id=lambda: f"id-{next(self._ids)}",
            together=lambda jobs: asyncio.gather(*jobs),
            once=self._flights,
            pace=Pace(every=EVERY),
            failpoint=self.points,
        )
        telemetry = Telemetry()
        refresher = Refresher(self.context, telemetry)
        policy = PushPolicy(SCHEDULE, 10)
        pusher = Pusher(self.context, policy, self.chance.random, telemetry)
        janitor = Janitor(self.context, telemetry)
        self.store.on_work(refresher.wake, Work.REFRESH)
        self.store.on_work(pusher.wake, Work.PUSH)
        self._loops = [asyncio.create_task(loop.run()) for loop in (refresher, pusher, janitor)]

    async def _bury(self) -> None:
        """The process is dead: nothing of it may do anything any more."""
        self.points.stopped = self.points.stopped or "kill"
        self.carrier.gate.forget_pauses()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.store.drop()

    async def kill(self) -> None:
        """kill -9, and a new process."""
        self.crashes += 1
        await self._bury()
        self.points.revive()
        self._start()

    async def restart(self) -> None:
        """SIGTERM, and a new process."""
        self.restarts += 1
        for task in self._loops:
            task.cancel()
        await self._until(asyncio.gather(*self._loops, return_exceptions=True))
        if self.points.dead:
            return
        await self._flights.close()
        await self._asker.close()
        self.store.drop()
        self._start()

    async def _until(self, under_way: "asyncio.Future[Any]") -> None:
        """Let time pass until something is done."""
        await quiet()
        while not under_way.done():
            await self.clock.advance(0.5)

    # --- steps ---

    async def call(self, flow: Flow, account: Account, items: list[dict[str, Any]]) -> dict[str, Any] | None:
        """``data`` of an answer; None when the process died or its database did not work."""
        calling = asyncio.ensure_future(flow(self.context, account, json.dumps(items).encode()))
        await self._until(calling)
        try:
            data: dict[str, Any] = json.loads(calling.result())["data"]
        except (Crash, StoreUnavailable, asyncio.CancelledError):
            return None
        return data

    async def register(self, place: int, numbers: list[str]) -> None:
        """A client registers."""
        account = self.accounts[place]
        data = await self.call(register, account, [{"number": number} for number in numbers])
        self._note("register", numbers, data)
        self.ledger.registered(account.id, numbers, data)

    async def real_time(self, place: int, number: str, level: int) -> None:
        """A client asks now: ``level`` 0 from what is stored, 1 from the carrier."""
        account = self.accounts[place]
        data = await self.call(real_time, account, [{"number": number, "cacheLevel": level}])
        self._note("realtime", number, data)
        self.ledger.asked(account.id, level, data)

    async def stop(self, place: int, number: str) -> None:
        """A client stops tracking."""
        data = await self.call(stop, self.accounts[place], [{"number": number}])
        self._note("stop", number, data)

    async def shown(self, account: int, number: str) -> dict[str, Any] | None:
        """What gettrackinfo shows of a number; None for nothing yet."""
        owner = next(one for one in self.accounts if one.id == account)
        body = await track_info(self.context, owner, json.dumps([{"number": number}]).encode())
        accepted = json.loads(body)["data"]["accepted"]
        found: dict[str, Any] | None = accepted[0]["track_info"] if accepted else None
        return found

    def move(self, number: str) -> None:
        """A parcel is scanned."""
        self.parcels.move(number, self.clock.now())
        self._note("move", number)

    async def pass_time(self, seconds: float) -> None:
        """Nothing happens but time."""
        await self.clock.advance(seconds)
        self._note("time", round(seconds, 3))

    async def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.clock.jump(seconds)
        self.carrier.gate.forget()
        await quiet()
        self._note("jump", seconds)

    async def settle(self) -> None:
        """After a step: what it made due is looked at; a process that died is followed by another; then
        everything must hold."""
        await self.clock.advance(GATHER_S)
        if self.points.dead:
            self._note("crash", self.points.stopped)
            self.died_at = self.points.stopped
            await self.kill()
        await self.check()

    async def check(self) -> None:
        """P1 to P7 as far as they can be seen at any moment. Violation says which one does not hold."""
        if self.points.full:
            self.carrier.gate.forget_pauses()
        beyond = self.carrier.gate.beyond
        hold(beyond == 0, f"P7: {beyond} calls that the carrier had not allowed")
        shown = {key: await self.shown(*key) for key in self.ledger.accepted}
        self.ledger.check(shown, self.receiver.arrivals)

    async def end(self) -> None:
        """Everybody is healthy again: in the end everything is known and told, nothing is stuck or lost."""
        self.carrier.sickness = self.receiver.sickness = 0.0
        self.points.full, self.points.stop_at = False, 0
        for _ in range(DRAIN_ROUNDS):
            await self.clock.advance(ROUND_S)
            if self.ledger.is_drained() and not await self._behind():
                break
        await self.check()
        behind = await self._behind()
        if behind:
            raise Violation(f"P2: never learned what the carrier says: {behind}")
        self.ledger.check_end(self.receiver.arrivals)
        self._note("end", len(self.receiver.arrivals))

    async def close(self) -> None:
        """Leave nothing open."""
        await self._bury()
        self.ledger.close()

    async def _behind(self) -> list[str]:
        """Numbers that are tracked and whose carrier has more to say than we show."""
        late = []
        for account, number in self.ledger.tracked():
            shown = await self.shown(account, number)
            if self.parcels.texts(number) - self.ledger.texts(shown):
                late.append(number)
        return late

    def _note(self, *words: object) -> None:
        self.trace.append(" ".join(str(word) for word in (self.clock.now().isoformat(), *words)))
