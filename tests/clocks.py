"""A clock that stands still until a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta


class SetClock:
    """Starts at noon of a day in 2026. Sleeping moves it and takes no time."""

    def __init__(self, start: datetime = datetime(2026, 5, 4, 12, tzinfo=UTC)) -> None:
        self.start = start
        self.passed_s = 0.0

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    def forward(self, seconds: float) -> None:
        self.passed_s += seconds

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)
        await asyncio.sleep(0)
