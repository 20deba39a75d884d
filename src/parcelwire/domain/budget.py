"""A day's calls shared by all shipments of a lane: when they do not suffice, everybody is asked less often.

First those that can wait: not found, announced only, ended, expired, in transit with an estimate days away.
They wait up to LOW_MAX times longer before the others wait longer too; when even that does not suffice, all
wait alike.
"""

from collections.abc import Mapping
from datetime import timedelta

from parcelwire.domain.limits import Limits
from parcelwire.domain.status import FINISHED, Status, SubStatus
from parcelwire.domain.values import dataclass

DAY = timedelta(days=1)
LOW_MAX = 4.0
HEADROOM = 0.9  # share of the budget that is planned: the rest is for new shipments and for retries
FILLED = 0.5  # share of a batch that is expected to be filled
CAN_WAIT = frozenset({Status.NOT_FOUND, Status.INFO_RECEIVED, Status.EXPIRED})


@dataclass(frozen=True, slots=True)
class Stretch:
    """How many times longer than usual the intervals are; ``low`` for those that can wait."""

    low: float = 1.0
    high: float = 1.0


UNSTRETCHED = Stretch()


def can_wait(sub_status: SubStatus | None) -> bool:
    """Whether a late answer about such a shipment hurts little."""
    return sub_status is None or sub_status.status in CAN_WAIT or sub_status in FINISHED


def numbers_a_day(limits: Limits, batch: int) -> float | None:
    """How many numbers can be asked about by schedule; None without a limit."""
    calls = []
    if limits.per_day is not None:
        calls.append(limits.per_day * (1 - limits.reserved))
    if limits.per_s is not None:
        calls.append(limits.per_s * DAY.total_seconds())
    return min(calls) * HEADROOM * max(1.0, batch * FILLED) if calls else None


def stretch(
    active: Mapping[SubStatus | None, int],
    interval: Mapping[SubStatus | None, timedelta],
    numbers: float | None,
) -> Stretch:
    """The least stretch that makes the questions of a day fit. ``active``: shipments by sub-status."""
    asks = {sub: count * (DAY / interval[sub]) for sub, count in active.items()}
    low = sum(count for sub, count in asks.items() if can_wait(sub))
    high = sum(asks.values()) - low
    if numbers is None or low + high <= numbers:
        return UNSTRETCHED
    if numbers > high and low / (numbers - high) <= LOW_MAX:
        return Stretch(low / (numbers - high))
    left = numbers - low / LOW_MAX
    if left > 0 and high / left <= LOW_MAX:
        return Stretch(LOW_MAX, high / left)
    alike = (low + high) / numbers
    return Stretch(alike, alike)
