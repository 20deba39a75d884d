"""Callers who register through every outage, and what a PostgreSQL must say of them afterwards."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
from tests.process.child import KEY

from parcelwire.net.clock import SystemClock

BATCH = 10
PAUSE_S = 0.1  # before a call is made again
ANSWER_S = 10.0  # who does not answer within this is not asked again at once
REGISTERED = -18019901

clock = SystemClock()


@dataclass
class Caller:
    """Registers whole journeys without end; a call without an answer is made again, of the next address.

    A number is acknowledged when it is accepted, or when it is said to be registered after a call whose
    outcome nobody knew.
    """

    urls: list[str]
    first: int = 0  # of its numbers: no two callers have the same
    pause_s: float = 0.1  # between two calls
    acknowledged: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)  # refused, though nobody had registered them
    unanswered: int = 0  # calls
    made: int = 0  # numbers
    answered_at: float = field(default_factory=clock.monotonic)
    longest_s: float = 0.0  # between two answers

    async def go_on(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(headers={"17token": KEY}, timeout=timeout) as session:
            while True:
                numbers = [f"SANDBOXJOURNEY{self.first + self.made + index}" for index in range(BATCH)]
                self.made += BATCH
                await self._register(session, numbers)
                await asyncio.sleep(self.pause_s)

    async def _register(self, session: aiohttp.ClientSession, numbers: list[str]) -> None:
        before = self.unanswered
        while (data := await self._answer(session, numbers)) is None:
            self.unanswered += 1
            await asyncio.sleep(PAUSE_S)
        now = clock.monotonic()
        self.longest_s = max(self.longest_s, now - self.answered_at)
        self.answered_at = now
        self.acknowledged += [item["number"] for item in data["accepted"]]
        for item in data["rejected"]:
            known = self.unanswered > before and item["error"]["code"] == REGISTERED
            (self.acknowledged if known else self.untrue).append(item["number"])

    async def _answer(self, session: aiohttp.ClientSession, numbers: list[str]) -> dict[str, Any] | None:
        url = f"{self.urls[self.unanswered % len(self.urls)]}/track/v2.2/register"
        try:
            async with session.post(url, json=[{"number": number} for number in numbers]) as response:
                response.raise_for_status()
                data: dict[str, Any] = (await response.json())["data"]
                return data
        except (aiohttp.ClientError, TimeoutError):
            return None


@dataclass(frozen=True)
class Books:
    """What the database says. ``wrong`` counts periods whose counter is not the sum of the ledger, and
    registrations that were not charged exactly once."""

    registered: int
    lost: int  # acknowledged and not there
    wrong: int


async def books(dsn: str, acknowledged: list[str]) -> Books:
    """Straight from a PostgreSQL."""
    connection = await asyncpg.connect(dsn)
    try:
        periods = await connection.fetchval(
            """SELECT count(*) FROM (
              SELECT account, period, sum(amount) AS units FROM quota_entry GROUP BY account, period
            ) AS e FULL JOIN quota_used AS u USING (account, period)
            WHERE coalesce(e.units, 0) <> coalesce(u.units, 0)"""
        )
        there = await connection.fetch("SELECT id, number FROM shipment WHERE registered_at IS NOT NULL")
        charged = await connection.fetch("SELECT reference FROM quota_entry WHERE kind = 'register'")
    finally:
        await connection.close()
    once = sorted(str(row["id"]) for row in there) == sorted(row["reference"] for row in charged)
    return Books(
        len(there), len(set(acknowledged) - {row["number"] for row in there}), int(periods) + (not once)
    )
