"""How busy lanes are: what a daily budget has to be shared by."""

from dataclasses import replace
from datetime import datetime, timedelta

from parcelwire.domain.budget import DAY, Stretch, numbers_a_day, stretch
from parcelwire.domain.queue import home
from parcelwire.domain.schedule import Pace, usual_interval
from parcelwire.ports import Carrier, Store

COUNTED_FOR = timedelta(minutes=10)  # so long a census is good enough


class Loads:
    """The stretch of each lane, from a census now and then."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime, Stretch]] = {}

    async def pace(self, pace: Pace, store: Store, source: Carrier, queue: str, now: datetime) -> Pace:
        """``pace`` as the limits of the source allow it."""
        limits = source.limits
        if pace.every is not None:
            return pace
        least = DAY / limits.per_number_day if limits.per_number_day else timedelta()
        numbers = numbers_a_day(limits, source.batch)
        if numbers is None:
            return replace(pace, least=least)
        lane = home(queue)
        counted_at, found = self._known.get(lane, (None, None))
        if counted_at is None or found is None or not timedelta() <= now - counted_at < COUNTED_FOR:
            active = await store.census(lane)
            found = stretch(active, {sub: usual_interval(sub, least) for sub in active}, numbers)
            self._known[lane] = (now, found)
        return replace(pace, stretch=found, least=least)
