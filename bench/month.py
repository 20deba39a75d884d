"""A month of the whole service in a minute: every carrier's stand-in, its limits on, under a simulated clock.

    # a minute
    python3 dev.py bench month [--json] [--shipments 2000] [--days 30]

The flows, the store (a file) and the loops are the real ones; carriers answer inside the process, each behind
the limits that it publishes, and refuse what exceeds them. All shipments are registered in the first minute,
which is the hardest that can happen to a limit. Printed for each lane: calls and refusals, the most calls in
any window beside what the window allows, shipments that came to their end, and calls a shipment beside what
one call a shipment and interval would have needed.
"""

import argparse
import asyncio
import itertools
import json
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any

import structlog

from parcelwire.carriers import carriers
from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.schedule import NORMAL_PACE, Pace, next_refresh
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.flows.context import Context
from parcelwire.flows.push import PushPolicy
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.net.clock import ManualClock
from parcelwire.net.flights import Flights
from parcelwire.ports import Attempt, StandIn
from parcelwire.standins import credentials_of, stand_in
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.directory import code_of, shipped
from parcelwire.wire.signature import new_secret
from parcelwire.zones import zone_of

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CALL = 40  # registrations a call
TICK = timedelta(milliseconds=1)
# Numbers as each carrier makes them.
NUMBERS: Mapping[str, str] = {
    "australia_post": "7QK1{:012d}",
    "canada_post": "1004{:012d}",
    "china_post": "1199{:09d}",
    "dhl": "41{:08d}",
    "fedex": "7000{:08d}",
    "gls": "1000{:08d}",
    "la_poste": "6A1{:010d}",
    "royal_mail": "TT{:09d}GB",
    "sandbox": "SANDBOXJOURNEY{:04d}",
    "ups": "1Z4R2W7E03{:08d}",
    "usps": "940551120621{:010d}",
}
# What each carrier publishes (its stand-in refuses more): calls in so many seconds, calls between midnights.
ALLOWED: Mapping[str, Mapping[str, int]] = {
    "australia_post": {"minute": 10, "day": 14_400},
    "dhl": {"second": 1, "day": 250},
    "fedex": {"10 s": 1_400, "day": 100_000},
    "gls": {"day": 500},
    "royal_mail": {"24 h": 50},
    "ups": {"second": 10, "day": 250_000},
    "usps": {"hour": 60, "day": 1_440},
}
WINDOWS: Mapping[str, float] = {"second": 1, "10 s": 10, "minute": 60, "hour": 3_600, "24 h": 86_400}


class Jumping(ManualClock):
    """Nobody waits: a sleep is over at once, and time has passed."""

    async def sleep(self, seconds: float) -> None:
        await self.advance(max(0.0, seconds))


async def _nothing() -> None:
    """The clock waits for nobody: one thing happens after another."""


@dataclass
class Watched:
    """A stand-in and when it was asked; calls of its token endpoint are left out."""

    inner: StandIn
    slug: str
    tokens: str | None
    times: list[datetime] = field(default_factory=list)
    refused: int = 0

    def answer(self, request: Request, now: datetime) -> Reply:
        reply = self.inner.answer(request, now)
        if request.path != self.tokens:
            self.times.append(now)
            self.refused += reply.status == 429
        return reply

    def busiest(self, window: str) -> int:
        """The most calls in any such window; ``day`` is from midnight to midnight."""
        if window == "day":
            return max(Counter(at.date() for at in self.times).values(), default=0)
        length = timedelta(seconds=WINDOWS[window])
        counts = (bisect_right(self.times, at) - bisect_right(self.times, at - length) for at in self.times)
        return max(counts, default=0)


@dataclass(frozen=True)
class Taken:
    """How the receiver of webhooks answers."""

    http_status: int = 200
    ms: int = 1
    body_start: bytes = b""


class Month:
    """Make it with ``await Month.open(folder)``, then ``register`` and ``live``."""

    def __init__(self, store: SqliteStore, slugs: Sequence[str], begin: datetime = BEGIN) -> None:
        self.store = store
        self.clock = Jumping(begin, idle=_nothing)
        self.account: Account
        self.pushed = 0
        known = carriers()
        self.doors = {slug: _door(slug) for slug in slugs}
        access = {slug: credentials_of(self.doors[slug].inner, known[slug]) for slug in slugs}
        answering: dict[str, StandIn] = {**self.doors}
        self.asker = Asker(self.clock, access, {slug: f"inprocess:{slug}" for slug in slugs}, answering)
        self._flights = Flights()
        ids = itertools.count(1)
        self.context = Context(
            store=store,
            fetcher=self.asker,
            sender=self,
            clock=self.clock,
            zone_of=zone_of,
            routes=Routes({served: known[slug] for slug in slugs for served in known[slug].serves}),
            directory=shipped(),
            book="reference",
            new_id=lambda: f"id-{next(ids)}",
            new_secret=lambda: f"whsec_{next(ids)}",
            together=lambda jobs: asyncio.gather(*jobs),
            once=self._flights,
            paces={"sandbox": Pace(day=DAY, every=timedelta(hours=6))},
        )
        telemetry = Telemetry()
        self.refresher = Refresher(self.context, telemetry)
        self.pusher = Pusher(self.context, PushPolicy((5.0,), 10.0), lambda: 0.5, telemetry)

    @classmethod
    async def open(cls, folder: Path, slugs: Sequence[str] = tuple(NUMBERS)) -> "Month":
        """An empty service with one account that wants webhooks."""
        month = cls(await _store(folder), slugs)
        new = NewAccount("shop", "unlimited", 1_000_000, "key-of-the-shop", "sign-key-of-the-shop")
        month.account = await month.store.open_account(new, BEGIN)
        await month.store.set_endpoint(
            month.account.id, "https://shop.example/hook", new_secret(bytes(24)), stopped_by_request=True
        )
        return month

    @classmethod
    async def reopen(cls, folder: Path, slugs: Sequence[str], now: datetime) -> "Month":
        """What another one left, at a later time."""
        month = cls(await _store(folder), slugs, now)
        (month.account,) = await month.store.accounts()
        return month

    async def close(self) -> None:
        await self._flights.close()
        await self.asker.close()
        await self.store.close()

    def check(self, url: str) -> None:
        """Every URL will do."""

    async def send(self, url: str, body: bytes, headers: dict[str, str], total_s: float) -> Taken:  # noqa: ARG002
        """Takes every webhook (net.push.PushSender's place)."""
        self.pushed += 1
        return Taken()

    async def register(self, numbers: Mapping[str, Sequence[str]]) -> None:
        """Register numbers by the slug of their carrier, in calls of 40."""
        items = [
            {"number": number, "carrier": code_of(slug, "reference")}
            for slug, some in numbers.items()
            for number in some
        ]
        for start in range(0, len(items), CALL):
            body = json.dumps(items[start : start + CALL]).encode()
            answer = json.loads(await register(self.context, self.account, body))
            assert not answer["data"]["rejected"], answer["data"]["rejected"][:3]

    async def live(self, until: datetime) -> None:
        """Everything that happens until then, each thing at its time."""
        while True:
            await self.refresher.tick()
            await self.pusher.tick()
            due = [at for at in (await self.refresher.next_at(), await self.store.pushes_due()) if at]
            now = self.clock.now()
            if not due or min(due) >= until:
                await self.clock.advance((until - now).total_seconds())
                return
            await self.clock.advance(max(TICK, min(due) - now).total_seconds())

    async def shipments(self, numbers: Sequence[str]) -> list[Shipment]:
        """As they stand."""
        return [shipment for shipment, _ in await self.store.find(self.account.id, list(numbers))]


async def _store(folder: Path) -> SqliteStore:
    nonces = itertools.count()
    vault = Vault(bytes(MASTER_BYTES), lambda count: next(nonces).to_bytes(count, "big"))
    return await SqliteStore.open(folder / "month.db", vault)


def _door(slug: str) -> Watched:
    there = stand_in(slug, DAY.total_seconds() if slug == "sandbox" else None)
    assert there is not None, f"no stand-in for {slug}"
    secrets = dict.fromkeys(carriers()[slug].secrets, "anything")
    token = carriers()[slug].token(secrets)
    return Watched(there, slug, next(token).path if token else None)


def numbers_of(count: int, slugs: Sequence[str] = tuple(NUMBERS)) -> dict[str, list[str]]:
    """``count`` numbers, shared evenly."""
    shares = {slug: count // len(slugs) + (index < count % len(slugs)) for index, slug in enumerate(slugs)}
    return {slug: [NUMBERS[slug].format(n + 1) for n in range(shares[slug])] for slug in slugs}


async def measured(month: Month, numbers: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The figures of each lane."""
    lanes = {}
    for slug, some in numbers.items():
        door = month.doors[slug]
        shipments = await month.shipments(some)
        lives = [await month.store.attempts(shipment.id, 10_000) for shipment in shipments]
        allowed = ALLOWED.get(slug, {})
        lanes[slug] = {
            "shipments": len(shipments),
            "delivered": sum(shipment.sub_status == "Delivered_Other" for shipment in shipments),
            "ended": sum(shipment.phase is Phase.STOPPED for shipment in shipments),
            "calls": len(door.times),
            "refused": door.refused,
            "answers": sum(len(life) for life in lives),
            "singly": sum(singly(life, month.context.paces.get(slug, NORMAL_PACE)) for life in lives),
            "windows": {name: (door.busiest(name), most) for name, most in allowed.items()},
        }
    return lanes


def singly(life: Sequence[Attempt], pace: Pace) -> int:
    """How often a shipment would have been asked about, had it been asked alone at every interval.

    ``life`` is what really happened, newest first: it tells how the shipment stood at any time.
    """
    told = [(item.at, _standing(item.text)) for item in reversed(life) if item.outcome == "report"]
    if not told:
        return len(life)
    times = [at for at, _ in told]
    now, count = life[-1].at, 0
    while now <= times[-1]:
        count += 1
        now = next_refresh(told[max(0, bisect_right(times, now) - 1)][1], life[-1].at, now, pace).at
    return count


def _standing(text: str) -> SubStatus:
    """The log's text of a report begins with the sub-status."""
    return SubStatus(text.partition(",")[0])


def broken(lanes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What went wrong, in words; empty when every limit was kept and every shipment came to its end."""
    found = []
    for slug, lane in lanes.items():
        if lane["refused"]:
            found.append(f"{slug}: {lane['refused']} calls refused")
        found += [f"{slug}: {most} calls in a {name}, {allowed} allowed"
                  for name, (most, allowed) in lane["windows"].items() if most > allowed]  # fmt: skip
        if lane["delivered"] < lane["shipments"]:
            found.append(f"{slug}: {lane['shipments'] - lane['delivered']} shipments without their end")
    return found


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder that needs no disk, where the system has such a thing."""
    shared = Path("/dev/shm")  # noqa: S108 - only its folder of our own is used
    with tempfile.TemporaryDirectory(
        prefix="parcelwire-month-", dir=shared if shared.is_dir() else None
    ) as path:
        yield Path(path)


async def _run(count: int, days: float) -> dict[str, Any]:
    numbers = numbers_of(count)
    with memory_folder() as folder:
        month = await Month.open(folder)
        began = process_time()
        try:
            await month.register(numbers)
            await month.live(BEGIN + days * DAY)
            spent = process_time() - began
            lanes = await measured(month, numbers)
        finally:
            await month.close()
    answers = sum(lane["answers"] for lane in lanes.values())
    return {
        "shipments": count,
        "days": days,
        "cpu_s": round(spent, 1),
        "cpu_ms_per_answer": round(1000 * spent / answers, 3),
        "pushes": month.pushed,
        "lanes": lanes,
        "broken": broken(lanes),
    }


def _print(figures: Mapping[str, Any]) -> None:
    print(f"{figures['shipments']} shipments, {figures['days']:g} days: {figures['cpu_s']} s of CPU, "
          f"{figures['cpu_ms_per_answer']} ms an answer, {figures['pushes']} webhooks")  # fmt: skip
    print(f"{'lane':<15} {'parcels':>7} {'end':>5} {'over':>5} {'calls':>6} {'429':>4} "
          f"{'calls/parcel':>12} {'asked singly':>12}  busiest / allowed")  # fmt: skip
    for slug, lane in figures["lanes"].items():
        windows = ", ".join(f"{name} {most}/{allowed}" for name, (most, allowed) in lane["windows"].items())
        count = lane["shipments"] or 1
        print(f"{slug:<15} {lane['shipments']:>7} {lane['delivered']:>5} {lane['ended']:>5} "
              f"{lane['calls']:>6} {lane['refused']:>4} {lane['calls'] / count:>12.1f} "
              f"{lane['singly'] / count:>12.1f}  {windows or 'no limit published'}")  # fmt: skip
    for line in figures["broken"]:
        print(f"BROKEN  {line}")


def main() -> int:
    """Print the figures; 1 when a limit was broken or a shipment did not come to its end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shipments", type=int, default=2_000)
    parser.add_argument("--days", type=float, default=30)
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    figures = asyncio.run(_run(given.shipments, given.days))
    if given.json:
        print(json.dumps(figures))
    else:
        _print(figures)
    return int(bool(figures["broken"]))


if __name__ == "__main__":
    raise SystemExit(main())
