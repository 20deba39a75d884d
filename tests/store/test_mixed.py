"""Hundreds of calls of every kind at once, in an order that a seed decides, keep every rule."""

import asyncio
import secrets
from random import Random

import pytest
from tests.store.conftest import Place
from tests.store.samples import (
    DAY,
    MINUTE,
    NOW,
    account_in,
    claimed,
    failed,
    history,
    number,
    receiver,
    refreshed,
    registered,
    sent,
    stop,
    update,
    wanted,
)

from parcelwire.domain.account import Account
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.ports import Charge, Store

QUOTA = 40


class Traffic:
    """Callers, refreshers and pushers on one store, and what they were told."""

    def __init__(self, store: Store, accounts: list[Account], seed: int) -> None:
        self.store = store
        self.now = NOW
        self.accounts = accounts
        self.chance = Random(seed)
        self.names = [number() for _ in range(25)]
        self.registered: list[tuple[int, str]] = []
        self.stopped: list[int] = []
        self.bodies: dict[str, bytes] = {}
        self.acknowledged: dict[int, int] = {}

    def account(self) -> int:
        return self.chance.choice(self.accounts).id

    def name(self) -> str:
        return self.chance.choice(self.names)

    async def register(self) -> None:
        outcomes = await registered(self.store, self.account(), [wanted(self.name()) for _ in range(3)], NOW)
        self.registered += [(one.account, one.number) for one in outcomes if isinstance(one, Shipment)]

    async def ask(self) -> None:
        """A real-time question; some callers die before they settle."""
        account, charge = self.account(), Charge(secrets.token_hex(8), 10, held=True)
        keep, dies = self.chance.choice([0, 10]), self.chance.random() < 0.3
        if await self.store.charge(account, [charge], NOW) == [True] and not dies:
            await self.store.settle(account, charge.reference, keep, NOW)

    async def look_up(self) -> None:
        await self.store.look_up(self.account(), wanted(self.name()), NOW)

    async def refresh(self) -> None:
        results = [
            refreshed(due.shipment, update(due.shipment.version + 1), told=history(), again=-MINUTE)
            for due in await claimed(self.store, most=5)
        ]
        await self.store.complete(results)

    async def stop(self) -> None:
        found = await self.store.find(self.account(), [self.name()])
        tracking = [shipment for shipment, _ in found if shipment.phase is Phase.TRACKING]
        saved = await self.store.change([stop(shipment) for shipment in tracking], NOW)
        self.stopped += [one.id for one, done in zip(tracking, saved, strict=True) if done]

    async def push(self) -> None:
        self.now += MINUTE  # an endpoint that fails for a while is tried again
        # The lease outlives the test: the clock runs ahead of other calls that push at the same time.
        lease = secrets.token_hex(8)
        for job in await self.store.claim_pushes(5, self.now, self.now + DAY, lease):
            assert job.version > self.acknowledged.get(job.shipment, 0)
            assert self.bodies.setdefault(job.id, job.body) == job.body
            taken = self.chance.random() < 0.6
            if taken:
                self.acknowledged[job.shipment] = job.version
            result = sent(job, self.now) if taken else failed(job, self.now, NOW)
            assert await self.store.finish_pushes([result]) == 0

    async def run(self, calls: int) -> None:
        verbs = [
            self.register, self.ask, self.look_up, self.refresh, self.refresh, self.stop, self.push,
        ]  # fmt: skip
        await asyncio.gather(*(self.chance.choice(verbs)() for _ in range(calls)))


@pytest.mark.parametrize("seed", range(6))
async def test_mixed_calls_at_once_keep_every_rule(place: Place, store: Store, seed: int) -> None:
    """Ledger = counter, one row for a registration, a stop stays, pushes in order, one body for each id."""
    accounts = [await account_in(store, QUOTA, name=str(n), login_key=str(n)) for n in range(3)]
    for account in accounts:
        await receiver(store, account)
    traffic = Traffic(store, accounts, seed)
    await traffic.run(250)
    assert len(traffic.registered) == len(set(traffic.registered))
    assert len(traffic.stopped) == len(set(traffic.stopped))
    await store.release_holds(NOW + DAY, NOW)
    versions: dict[int, int] = {}
    for account in accounts:
        used = (await store.usage(account.id, NOW)).used
        assert used <= QUOTA
        assert sum((await place.ledger(account.id)).values()) == used
        rows = [shipment for shipment, _ in await store.find(account.id, traffic.names)]
        assert len(rows) == len({shipment.number for shipment in rows})
        mine = {name for owner, name in traffic.registered if owner == account.id}
        assert {shipment.number for shipment in rows if shipment.phase is not Phase.LOOKED_UP} == mine
        stopped = {shipment.id for shipment in rows if shipment.phase is Phase.STOPPED}
        assert stopped == {one for one in traffic.stopped if one in {shipment.id for shipment in rows}}
        versions |= {shipment.id: shipment.version for shipment in rows if shipment.version}
    while await store.pushes_due() is not None:
        await traffic.push()
    assert traffic.acknowledged == versions  # the newest version of each arrived in the end
