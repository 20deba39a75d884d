"""When to ask again, when a shipment counts as expired, and when tracking ends; each with its reason.

Intervals: reference, carriers/INDEX ("default intervals"). Stop rules: 17TRACK's help article on stopping.
"""

from datetime import datetime, timedelta

from parcelwire.domain.budget import UNSTRETCHED, Stretch, can_wait
from parcelwire.domain.errors import CarrierError, NoRoom, QuotaSpent, Throttled
from parcelwire.domain.lane import RETRY_AFTER_MAX_S
from parcelwire.domain.report import Estimate
from parcelwire.domain.status import FINISHED, Status, SubStatus
from parcelwire.domain.values import dataclass

HOUR = timedelta(hours=1)

INTERVALS: dict[Status, timedelta] = {
    Status.INFO_RECEIVED: 12 * HOUR,
    Status.IN_TRANSIT: 4 * HOUR,
    Status.OUT_FOR_DELIVERY: HOUR,
    Status.AVAILABLE_FOR_PICKUP: 12 * HOUR,
    Status.DELIVERY_FAILURE: 6 * HOUR,
    Status.EXCEPTION: 6 * HOUR,
    Status.EXPIRED: 24 * HOUR,
    Status.DELIVERED: 24 * HOUR,
}
CUSTOMS_INTERVAL = 8 * HOUR
FAR_ESTIMATE = timedelta(days=3)  # an estimate further away than this halves the pace of InTransit
# NotFound is usually "not yet": soon at first, then slower. (age of the registration, interval)
NOT_FOUND_PACE: tuple[tuple[timedelta, timedelta], ...] = (
    (timedelta(minutes=5), timedelta(minutes=5)),
    (timedelta(minutes=35), timedelta(minutes=30)),
    (timedelta(minutes=155), 2 * HOUR),
    (9 * HOUR, 6 * HOUR),
    (timedelta(days=5), 12 * HOUR),
)
NOT_FOUND_LATE = 24 * HOUR
NOT_FOUND = "not found yet"
NOT_FOUND_EARLY = 12 * HOUR  # shorter intervals than this one are not stretched
_CUSTOMS = "InTransit_Customs"
FAILED_FIRST = timedelta(minutes=1)  # after a failed refresh; doubles up to the interval of the status
FAILED_SHARE = 8  # of the shortest interval that the carrier allows: so long is the first pause at least
SILENT_DAYS = 30  # without a new event: Expired, and tracking ends
DONE_DAYS = 15  # after delivery or return without a change: tracking ends
INVALID_DAYS = 3  # the carrier keeps saying that the number cannot be one of its own: tracking ends
NO_SOURCE_INTERVAL = 24 * HOUR
QUOTA_INTERVAL = 6 * HOUR  # an upstream's quota comes back by the day, the month, or by hand


@dataclass(frozen=True, slots=True)
class Pace:
    """How time runs for a carrier. ``every`` overrides all intervals; the sandbox's ``day`` is one step.

    ``stretch`` makes intervals longer while a daily budget is short, ``least`` is the shortest one that the
    carrier allows.
    """

    day: timedelta = timedelta(days=1)
    every: timedelta | None = None
    stretch: Stretch = UNSTRETCHED
    least: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Next:
    """When to ask again, and why (one phrase for ``explain``)."""

    at: datetime
    why: str


NORMAL_PACE = Pace()


def next_refresh(
    sub_status: SubStatus | None, since: datetime, now: datetime, pace: Pace, estimate: Estimate | None = None
) -> Next:
    """After a refresh that said something."""
    if pace.every is not None:  # on a grid from ``since``: being late once does not make the next one late
        turn = (now - since) // pace.every + 1
        return Next(since + turn * pace.every, f"every {pace.every.total_seconds():g} s")
    interval, why, waits = _interval(sub_status, since, now, estimate)
    factor = pace.stretch.low if waits else pace.stretch.high
    if interval < NOT_FOUND_EARLY and why == NOT_FOUND:
        return Next(now + interval, why)  # a few early questions are worth their price
    if factor > 1:
        why += f", {factor:.1f} x as long: the daily budget is short"
    return Next(now + max(interval * factor, pace.least), why)


def usual_interval(sub_status: SubStatus | None, least: timedelta) -> timedelta:
    """How long a shipment waits when budgets suffice: what a day's questions are counted with."""
    if sub_status is None or sub_status.status is Status.NOT_FOUND:
        return max(NOT_FOUND_PACE[-1][1], least)
    return max(_settled_interval(sub_status), least)


def _interval(
    sub_status: SubStatus | None, since: datetime, now: datetime, estimate: Estimate | None
) -> tuple[timedelta, str, bool]:
    """Interval, why, and whether such a shipment can wait when a budget is short."""
    if sub_status is None or sub_status.status is Status.NOT_FOUND:
        age = now - since
        interval = next((wait for until, wait in NOT_FOUND_PACE if age < until), NOT_FOUND_LATE)
        return interval, NOT_FOUND, True
    interval = _settled_interval(sub_status)
    if sub_status in FINISHED:
        return interval, f"{sub_status.value}: late corrections only", True
    if sub_status.value.startswith(_CUSTOMS):
        return interval, "in customs", False
    expected = estimate and (estimate.end or estimate.start)
    if (
        sub_status.status is Status.IN_TRANSIT
        and expected
        and expected.utc
        and expected.utc > now + FAR_ESTIMATE
    ):
        return 2 * interval, "in transit, estimate is days away", True
    return interval, sub_status.status.value, can_wait(sub_status)


def _settled_interval(sub_status: SubStatus) -> timedelta:
    if sub_status in FINISHED:
        return INTERVALS[Status.DELIVERED]
    return CUSTOMS_INTERVAL if sub_status.value.startswith(_CUSTOMS) else INTERVALS[sub_status.status]


def after_failure(
    error: CarrierError, fails: int, normal: Next, now: datetime, pace: Pace = NORMAL_PACE
) -> Next:
    """After a refresh that said nothing; ``fails`` counts this one. Never later than the normal refresh,
    unless the carrier asked for more patience."""
    first = min(FAILED_FIRST, pace.every) if pace.every else max(FAILED_FIRST, pace.least / FAILED_SHARE)
    wait = min(first * 2 ** min(fails - 1, 16), max(normal.at - now, first))
    if isinstance(error, QuotaSpent):
        return Next(now + QUOTA_INTERVAL, "until there is quota again")
    if isinstance(error, Throttled | NoRoom) and error.retry_after_s is not None:
        wait = max(wait, timedelta(seconds=min(error.retry_after_s, RETRY_AFTER_MAX_S)))
    return Next(now + wait, f"{error.outcome}, attempt {fails}")


def expired(sub_status: SubStatus, newest: datetime | None, now: datetime, pace: Pace) -> bool:
    """Under way for a long time without an event, and no end."""
    if newest is None or sub_status in FINISHED or sub_status is SubStatus.CANCEL:
        return False
    return now - newest >= SILENT_DAYS * pace.day


def ends(sub_status: SubStatus | None, changed_at: datetime, now: datetime, pace: Pace) -> bool:
    """Whether tracking ends by rule: ``changed_at`` is the last change, or the registration."""
    patience = DONE_DAYS if sub_status in FINISHED else SILENT_DAYS
    if sub_status is SubStatus.NOT_FOUND_INVALID_CODE:
        patience = INVALID_DAYS
    return now - changed_at >= patience * pace.day
