"""A webhook receiver of the simulation: it takes pushes, refuses them, or takes them and does not say so."""

import random
from dataclasses import dataclass
from datetime import datetime

from parcelwire.domain.errors import PushError
from parcelwire.ports import Clock


@dataclass(frozen=True)
class Taken:
    """How a receiver answers."""

    http_status: int = 200
    ms: int = 1
    body_start: bytes = b""


@dataclass(frozen=True)
class Arrival:
    """One message that reached the receiver; ``taken`` when it was kept, whatever the sender was told."""

    url: str
    id: str
    body: bytes
    at: datetime
    taken: bool


class SickReceiver:
    """See flows.push.Sender. ``sickness``: the share of attempts that go wrong."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.arrivals: list[Arrival] = []
        self.sickness = 0.0
        self._clock = clock
        self._chance = chance

    def check(self, url: str) -> None:
        """Every URL will do."""

    async def send(self, url: str, body: bytes, headers: dict[str, str], total_s: float) -> Taken:
        """Take it, or raise PushError."""
        fault = self._chance.choice(FAULTS) if self._chance.random() < self.sickness else ""
        taken = fault in ("", "slow", "unsaid")
        self.arrivals.append(Arrival(url, headers["webhook-id"], body, self._clock.now(), taken))
        if fault == "slow":
            await self._clock.sleep(self._chance.uniform(0.1, total_s * 0.9))
        elif fault == "hanging":
            await self._clock.sleep(total_s)
            raise PushError("no answer in time")
        elif fault == "unsaid":
            await self._clock.sleep(1)
            raise PushError("connection broken")
        elif fault == "throttling":
            raise PushError("HTTP 429", http_status=429, retry_after_s=self._chance.choice((3, 20)))
        elif fault:
            raise PushError(f"HTTP {fault}", http_status=int(fault))
        return Taken()


FAULTS = ("slow", "hanging", "unsaid", "throttling", "500", "404", "302")
