"""How many conversations with one carrier run at once: more while it keeps up, fewer when it does not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from bench.month import Month, numbers_of

from parcelwire.domain.errors import Unavailable, UnknownNumber
from parcelwire.domain.exchange import Conversation, Query
from parcelwire.domain.width import FIRST, MOST
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.ports import Carrier, Permit, unlimited

SLUG = "canada_post"  # one number a call, no limit published
COUNT = 300


@dataclass
class Slow:
    """A carrier that takes a moment, and tells how many were talking to it each time."""

    failing: bool = False
    active: int = 0
    seen: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self, count: int) -> None:
        """Wait for so many questions."""
        while len(self.seen) < count:
            self.changed.clear()
            await self.changed.wait()

    async def ask(
        self, carrier: Carrier, queries: Sequence[Query], permit: Permit = unlimited
    ) -> Conversation:
        self.active += 1
        self.seen.append(self.active)
        self.changed.set()
        await asyncio.sleep(0.005)
        self.active -= 1
        error = Unavailable("no answer in time", timed_out=True) if self.failing else None
        return Conversation({query.number: error or UnknownNumber("") for query in queries}, (), error, 5)


@pytest.fixture
async def month(tmp_path: Path) -> AsyncIterator[Month]:
    made = await Month.open(tmp_path, [SLUG])
    await made.register(numbers_of(COUNT, [SLUG]))
    yield made
    await made.close()


async def asked(month: Month, fetcher: Slow, count: int) -> None:
    """Let the real loop run until so many questions were asked."""
    refresher = Refresher(replace(month.context, fetcher=fetcher), Telemetry())
    running = asyncio.create_task(refresher.run())
    async with asyncio.timeout(20):
        await fetcher.reached(count)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_carrier_that_keeps_up_gets_more_at_once(month: Month) -> None:
    """From the first few to the most that there may be, and not beyond."""
    fetcher = Slow()
    await asked(month, fetcher, COUNT)
    assert max(fetcher.seen[:FIRST_ASKS]) <= FIRST + 1
    assert FIRST < max(fetcher.seen) <= MOST


async def test_a_carrier_that_does_not_answer_is_asked_by_one_at_a_time(month: Month) -> None:
    """Half as many after each failure, until the breaker lets nobody through."""
    fetcher = Slow(failing=True)
    await asked(month, fetcher, 5)
    assert fetcher.seen[-1] <= 2
    assert len(fetcher.seen) < 20


FIRST_ASKS = int(FIRST)
