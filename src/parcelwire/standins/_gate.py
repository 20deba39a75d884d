"""What every carrier has at its door: limits by time, and replies."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec

from parcelwire.domain.exchange import Reply, Request


@dataclass(slots=True)
class Gate:
    """At most ``calls`` in any ``seconds``, and ``per_day`` between two midnights UTC.

    A refused call counts nothing. ``busiest`` and ``busiest_day`` say how close anyone came.
    """

    calls: int
    seconds: float
    per_day: int
    busiest: int = 0
    busiest_day: int = 0
    _recent: deque[datetime] = field(default_factory=deque)
    _day: date = date.min
    _today: int = 0

    def opens(self, now: datetime) -> bool:
        """Whether a call at ``now`` passes; counts it when it does."""
        if now.date() != self._day:
            self._day, self._today = now.date(), 0
        while self._recent and now - self._recent[0] >= timedelta(seconds=self.seconds):
            self._recent.popleft()
        if len(self._recent) >= self.calls or self._today >= self.per_day:
            return False
        self._recent.append(now)
        self._today += 1
        self.busiest = max(self.busiest, len(self._recent))
        self.busiest_day = max(self.busiest_day, self._today)
        return True


def json_reply(status: int, body: object) -> Reply:
    return Reply(status, {"content-type": "application/json"}, msgspec.json.encode(body))


def header(request: Request, name: str) -> str:
    """A header's value whatever the case of its name; empty when absent."""
    return _lower(request.headers).get(name, "")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
