"""The pipeline without a database: as much of a store as the refresher and the pusher need, in memory."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from parcelwire.domain.endpoint import WIDTH_MAX
from parcelwire.domain.lane import Grant, Lane, take
from parcelwire.domain.limits import Limits
from parcelwire.domain.push import PushJob, PushResult, push_id
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.ports import Due, Refreshed, Taking, Turn


class MemoryStore:
    """One lane, one account with one endpoint. Nothing is kept, shared, or given twice."""

    def __init__(self, shipments: Sequence[Shipment], url: str, sign_key: str, secret: str) -> None:
        self._lane = Lane(shipments[0].lane)
        self._known = {one.id: Due(one, ()) for one in shipments}
        self._due = deque(one.id for one in shipments)
        self._due_at = shipments[0].since
        self._url, self._sign_key, self._secrets = url, sign_key, (secret,)
        self._pushes: deque[PushJob] = deque()
        self._sending = 0

    async def lanes(self) -> dict[str, datetime]:
        later = self._due_at + timedelta(days=1)
        return {self._lane.name: self._due_at if self._due else later}

    async def hasten(self, now: datetime, _most: timedelta) -> int:
        """Everything is due at ``now``."""
        self._due_at = now
        self._due.extend(self._known)
        return len(self._due)

    async def census(self, _lane: str) -> dict[SubStatus | None, int]:
        return {None: len(self._known)}

    async def lane(self, _name: str) -> Lane:
        return self._lane

    async def save_lane(self, lane: Lane, _revision: int) -> bool:
        self._lane = lane
        return True

    async def take_turn(self, _queue: str, most: int, limits: Limits, now: datetime, *_rest: Any) -> Turn:
        if not self._due or now < self._due_at:
            return Turn()
        grant = take(self._lane, limits, now)
        if not grant.granted:
            return Turn(grant)
        self._lane = grant.lane
        ids = [self._due.popleft() for _ in range(min(most, len(self._due)))]
        return Turn(grant, tuple(self._known[one] for one in ids))

    async def take_call(self, _lane: str, taking: Taking, now: datetime) -> Grant:
        grant = taking(self._lane, now)
        self._lane = grant.lane
        return grant

    async def complete(self, results: Sequence[Refreshed]) -> int:
        for result in results:
            shipment = result.shipment
            histories = result.histories or self._known[shipment.id].histories
            self._known[shipment.id] = Due(replace(shipment, lease=None), histories)
            self._pushes.extend(
                PushJob(
                    push_id("memory", 1, shipment.id, push.version, result.attempt.at), shipment.account,
                    shipment.id, 1, push.event, push.version, self._url, push.body, self._sign_key,
                    self._secrets, 0, "",
                )
                for push in result.pushes
            )  # fmt: skip
        return 0

    async def pushes_due(self) -> datetime | None:
        return self._due_at if self._pushes else None

    async def exchange_pushes(
        self, results: Sequence[PushResult], most: int, *_rest: Any
    ) -> tuple[int, list[PushJob]]:
        assert all(result.sent for result in results)
        self._sending -= len(results)
        count = min(most, WIDTH_MAX - self._sending, len(self._pushes))
        self._sending += count
        return 0, [self._pushes.popleft() for _ in range(count)]
