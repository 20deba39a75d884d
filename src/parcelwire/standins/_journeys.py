"""What the stand-ins of the posts share: made-up journeys by time, planned faults, and call counting.

A number that nobody loaded an answer for gets a journey of its own: it starts when it is first asked about,
its speed and detours follow from the number alone, and it ends delivered within ten days.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.status import SubStatus

# Hours after the start, for the plainest journey.
_PLAIN: tuple[tuple[float, SubStatus], ...] = (
    (0, SubStatus.INFO_RECEIVED),
    (4, SubStatus.PICKED_UP),
    (13, SubStatus.IN_TRANSIT),
    (27, SubStatus.IN_TRANSIT),
    (48, SubStatus.OUT_FOR_DELIVERY),
)
_ENDS: tuple[tuple[tuple[float, SubStatus], ...], ...] = (
    ((53, SubStatus.DELIVERED),),
    ((51, SubStatus.DELIVERED),),
    ((54, SubStatus.FAILURE_NO_BODY), (72, SubStatus.OUT_FOR_DELIVERY), (76, SubStatus.DELIVERED)),
    ((55, SubStatus.AVAILABLE_FOR_PICKUP), (79, SubStatus.DELIVERED)),
)


@dataclass(frozen=True, slots=True)
class Scan:
    """One step of a made-up journey. ``place`` counts up: 0 is the origin, 2 the destination."""

    at: datetime
    step: SubStatus
    place: int


class PostStandIn:
    """The part of a stand-in that is the same for every post: whose turn it is to answer.

    ``faults`` are given as the next replies, first come first served. ``loaded`` holds answers for single
    numbers in the carrier's own form. ``per_day`` counts calls per UTC day, ``per_minute`` in any 60 seconds.
    """

    slug: str
    per_day: int | None = None
    per_minute: int | None = None

    def __init__(self) -> None:
        self.faults: deque[Reply] = deque()
        self.loaded: dict[str, object] = {}
        self._since: dict[str, datetime] = {}
        self._calls: deque[datetime] = deque()

    def load(self, number: str, fragment: object) -> None:
        """Answer ``fragment``, in the carrier's form for one number, whenever ``number`` is asked about."""
        self.loaded[number] = fragment

    def answer(self, request: Request, now: datetime) -> Reply:
        if self.faults:
            return self.faults.popleft()
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        if self._too_many(now):
            return self.throttled()
        return self.tracked(request, now)

    def refusal(self, request: Request) -> Reply | None:
        """The answer to a request that does not prove who asks."""
        raise NotImplementedError

    def throttled(self) -> Reply:
        """The answer to one call too many."""
        raise NotImplementedError

    def tracked(self, request: Request, now: datetime) -> Reply:
        """The answer to a good request."""
        raise NotImplementedError

    def journey(self, number: str, now: datetime) -> list[Scan]:
        """The scans up to ``now``, newest first."""
        since = self._since.setdefault(number, now)
        digest = sha256(number.encode()).digest()
        pace = 1 + digest[0] / 128  # 1 to 3
        steps = (*_PLAIN, *_ENDS[digest[1] % len(_ENDS)])
        scans = [
            Scan(since + timedelta(minutes=int(hours * 60 * pace)), step, min(2, index // 2))
            for index, (hours, step) in enumerate(steps)
        ]
        return [scan for scan in reversed(scans) if scan.at <= now]

    def _too_many(self, now: datetime) -> bool:
        """Counts this call, unless it is refused."""
        while self._calls and self._calls[0].date() != now.date():
            self._calls.popleft()
        if self.per_day is not None and len(self._calls) >= self.per_day:
            return True
        recent = sum(1 for at in self._calls if at > now - timedelta(minutes=1))
        if self.per_minute is not None and recent >= self.per_minute:
            return True
        self._calls.append(now)
        return False


def header(request: Request, name: str) -> str:
    """A request header, its name in any case; empty when missing."""
    return next((value for key, value in request.headers.items() if key.lower() == name.lower()), "")
