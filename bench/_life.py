"""What shipments live through, straight on a store: registered, refreshed, pushed, listed.

The carrier is FedEx's stand-in inside this process; what it says is taken in by the service's own flows, so
that rows are those of the real thing. Only calls of the store are counted.
"""

import asyncio
import itertools
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime, timedelta

from bench._machine import Meter

from parcelwire.app import context_of, settings_from
from parcelwire.carriers import carriers
from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.endpoint import WIDTH_MAX
from parcelwire.domain.limits import Limits
from parcelwire.domain.listing import Filter, Order
from parcelwire.domain.push import PushResult
from parcelwire.domain.schedule import Pace
from parcelwire.domain.shipment import Wish
from parcelwire.flows.asking import Calls
from parcelwire.flows.context import Context
from parcelwire.flows.refresh import ask_about, outcome
from parcelwire.net.ask import Asker
from parcelwire.net.clock import ManualClock
from parcelwire.net.flights import Flights
from parcelwire.net.push import PushSender
from parcelwire.ports import Due, ListPage, Refreshed, Store, Wanted
from parcelwire.standins import credentials_of
from parcelwire.standins._gate import Gate
from parcelwire.standins._journey import Journeys
from parcelwire.standins.fedex import FedexStandIn
from parcelwire.store.vault import MASTER_BYTES, Vault
from parcelwire.wire.signature import new_secret

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=60)
SLUG, CODE = "fedex", 100003
CALL = 40  # registrations a call, and rows of a page
BATCH = 100  # shipments of a claim
NO_LIMIT = 10**9


def vault() -> Vault:
    """The same nonces for every store, so that two of them hold the same rows."""
    nonces = itertools.count()
    return Vault(bytes(MASTER_BYTES), lambda count: next(nonces).to_bytes(count, "big"))


def number(place: int) -> str:
    """A tracking number as FedEx's stand-in takes it."""
    return f"7{place:011}"


def place(number: str) -> int:
    """That of a tracking number, for which ``number`` made it."""
    return int(number[1:])


class Life:
    """One account with one endpoint, hour by hour. Make it with ``await Life.begin(store)``."""

    def __init__(
        self,
        store: Store,
        account: Account,
        context: Context,
        asker: Asker,
        first: int,
        pace: Pace,
    ) -> None:
        self.store, self.account, self.context, self._asker = store, account, context, asker
        self._leases = itertools.count(1)
        self._numbers = itertools.count(first)
        self.source = copy(carriers()[SLUG])
        self.source.limits = Limits(per_s=NO_LIMIT, burst=NO_LIMIT, per_day=NO_LIMIT)  # type: ignore[misc]
        self.pace = pace

    @classmethod
    async def begin(
        cls,
        store: Store,
        now: datetime = BEGIN,
        *,
        first: int = 0,
        every: timedelta = HOUR,
        journeys: Journeys | None = None,
    ) -> "Life":
        """Open the account, or find the one that is there.

        ``first``: place of the first new number. ``every``: from one refresh of a shipment to the next.
        ``journeys``: what the carrier knows; else one that begins with the first question, a scan an hour.
        """
        known = await store.accounts()
        if not known:
            new = NewAccount("shop", "unlimited", NO_LIMIT, "key-of-the-shop", "sign-key-of-the-shop")
            known = [await store.open_account(new, now)]
            secret = new_secret(bytes(24))
            await store.set_endpoint(known[0].id, "https://a.example/", secret, stopped_by_request=True)
        clock = ManualClock(now, idle=lambda: asyncio.sleep(0))
        there = FedexStandIn()
        there.journeys = journeys or Journeys(HOUR.total_seconds())
        there.gate = Gate(NO_LIMIT, 1, NO_LIMIT)
        access = {SLUG: credentials_of(there, carriers()[SLUG])}
        asker = Asker(clock, access, {SLUG: f"inprocess:{SLUG}"}, {SLUG: there})
        settings = settings_from({f"PARCELWIRE_CARRIER_FEDEX_{name.upper()}": "x" for name in access[SLUG]})
        context = context_of(settings, store, asker, PushSender(clock), Flights(), clock)
        return cls(store, known[0], context, asker, first, Pace(every=every))

    async def close(self) -> None:
        """What was opened for it; the store stays open."""
        await self._asker.close()

    @property
    def now(self) -> datetime:
        return self.context.clock.now()

    async def pass_time(self, time: timedelta) -> None:
        """Nothing happens meanwhile."""
        clock = self.context.clock
        assert isinstance(clock, ManualClock)
        await clock.advance(time.total_seconds())

    async def register(self, meter: Meter, calls: int) -> int:
        """New numbers in full calls; answers how many."""
        for _ in range(calls):
            wanted = [self._wanted(number(next(self._numbers))) for _ in range(CALL)]
            with meter.running():
                made = await self.store.register(self.account.id, wanted, self.now)
            assert all(isinstance(one, int) for one in made)
        return calls * CALL

    @staticmethod
    def _wanted(number: str) -> Wanted:
        wish = Wish(tag=f"order {number[-6:]}", order_no=f"A-{number[-8:]}", lang="en")
        return Wanted(number, SLUG, CODE, 2, SLUG, wish)

    async def refresh(self, meter: Meter, claiming: Meter | None = None) -> int:
        """Due shipments, BATCH at a time; answers how many. ``claiming``: claims count there."""
        count = 0
        while True:
            now, lease = self.now, f"lease-{next(self._leases)}"
            with (claiming or meter).running():
                turn = await self.store.take_turn(SLUG, BATCH, self.source.limits, now, now + LEASE, lease)
            if not turn.due:
                return count
            assert turn.grant is not None
            results = await self._results(turn.due)
            with meter.running():
                dropped = await self.store.complete(results)
            assert dropped == 0
            count += len(results)

    async def _results(self, due: Sequence[Due]) -> list[Refreshed]:
        """What the carrier says, as many numbers a call as it takes."""
        results = []
        for start in range(0, len(due), self.source.batch):
            some = due[start : start + self.source.batch]
            calls = Calls(self.context, self.source.limits, SLUG)
            said = await ask_about(self.context, self.source, calls, some)
            results += [
                outcome(self.context, self.source, item, said[item.shipment.id], SLUG, self.pace)
                for item in some
            ]
        assert all(result.attempt.outcome == "report" for result in results)
        return results

    async def push(self, meter: Meter) -> int:
        """Everything that is due is taken by its endpoint; answers how many."""
        results: list[PushResult] = []
        count = 0
        while True:
            now, lease = self.now, f"lease-{next(self._leases)}"
            with meter.running():
                dropped, jobs = await self.store.exchange_pushes(results, WIDTH_MAX, now, now + LEASE, lease)
            assert dropped == 0
            if not jobs:
                return count
            results = [PushResult(job, now, True, 200, 0, "HTTP 200", body_start=b"ok") for job in jobs]
            count += len(jobs)

    async def list_page(self, meter: Meter, times: int) -> ListPage:
        """The newest registrations."""
        page = ListPage(0, [])
        for _ in range(times):
            with meter.running():
                page = await self.store.list_page(self.account.id, Filter(), Order(), 0, CALL)
        return page
