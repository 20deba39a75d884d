"""A lane is one queue to one carrier with one credential: its rate, its daily budget and its breaker.

Pure: a lane is a value; ``take`` and ``settle`` answer the next one. The store keeps it and lets only one
writer win (compare and set on ``revision``), so that limits are exact over processes.

What counts is when calls arrive at the carrier, not when they are granted (docs/why/0015).

The breaker opens after five failures in a row, or when half of the last twenty conversations failed. After
its time one conversation may try (half open): its success closes it, its failure opens it for half as long
again. So a carrier that is back is asked 20 s and half of its outage later, or sooner, and within 15 minutes.
A day of outage costs a hundred calls; pauses that double would save four of them.
"""

from datetime import date, datetime, timedelta
from math import ceil

from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.limits import DELAY_MAX, Limits
from parcelwire.domain.values import dataclass, replace

LATE_S = 0.25  # a call arrives up to so much after its grant: the rate is planned for that
SEND_S = 0.2  # so long after its grant it may be sent; the rest of LATE_S is for its way
THROTTLED_FIRST_S = 30.0  # a 429 without Retry-After
BREAKER_FIRST_S = 20.0
BLOCK_GROWTH = 1.5  # each time that it was not enough, up to BLOCK_MAX_S
BLOCK_MAX_S = 900.0
RETRY_AFTER_MAX_S = 86_400.0  # what a carrier may ask for; it is often wrong beyond a day
BREAKER_AFTER = 5  # failures in a row
WINDOW, WINDOW_FAILS = 20, 10  # or so many of the last conversations
BREAKER = "breaker open after"  # so begins the reason of its blocks
PROBE = "one conversation tries whether the carrier is back"
PROBE_S = 60.0  # it is over by then: as long as the lease of a refresh
PROBE_LOOK_S = 5.0  # others look again whether it went well
CLOCK_BACK = timedelta(minutes=10)  # a stamp further ahead than it can be: the clock was set back
_BITS = (1 << WINDOW) - 1
REFUSED_AFTER = 3  # refused credentials in a row: stop before the carrier locks the account out


@dataclass(frozen=True, slots=True)
class Lane:
    """State of one lane. ``stamp`` is the GCRA time stamp: the time at which the bucket is full again."""

    name: str
    revision: int = 0
    stamp: datetime | None = None
    day: date | None = None
    used: int = 0  # calls made on ``day`` (UTC)
    fails: int = 0
    refusals: int = 0
    throttles: int = 0
    blocked_until: datetime | None = None
    blocked_why: str | None = None
    recent: int = 0  # the last conversations since one failed, a bit each, 1 = failed, behind a leading 1


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether one call may be made, decided ``at`` a time; if not, when to try again and why.

    One that is not sent within SEND_S is not to be sent at all."""

    lane: Lane
    at: datetime
    granted: bool
    retry_at: datetime | None = None
    why: str | None = None


def take(lane: Lane, limits: Limits, now: datetime, *, urgent: bool = False) -> Grant:
    """One call, if rate, budget and breaker allow it. ``urgent`` (a real-time question) may use the part of
    the daily budget that is reserved for such calls."""
    if lane.blocked_until is not None and now < lane.blocked_until:
        if not _clock_went_back(lane, now):
            until = lane.blocked_until
            if lane.blocked_why == PROBE:
                until = min(until, now + timedelta(seconds=PROBE_LOOK_S))
            return Grant(lane, now, False, until, lane.blocked_why)
        lane = replace(lane, blocked_until=None, blocked_why=None)
    used = lane.used if lane.day == now.date() else 0
    if limits.per_day is not None:
        budget = limits.per_day if urgent else limits.per_day - round(limits.per_day * limits.reserved)
        if used >= budget:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
            return Grant(lane, now, False, midnight, f"daily budget of {budget} calls is used up")
    stamp = lane.stamp
    if limits.per_s is not None:
        gap, early = _planned(limits.per_s, limits.burst)
        honest = stamp is not None and stamp <= now + early + gap + CLOCK_BACK
        full = max(stamp, now) if stamp and honest else now
        if full - early > now:
            return Grant(lane, now, False, full - early, f"rate of {limits.per_s:g} calls/s")
        stamp = full + gap
    taken = replace(lane, revision=lane.revision + 1, stamp=stamp, day=now.date(), used=used + 1)
    if lane.blocked_why == PROBE or (lane.blocked_why or "").startswith(BREAKER):  # it was open until now
        taken = replace(taken, blocked_until=now + timedelta(seconds=PROBE_S), blocked_why=PROBE)
    return Grant(taken, now, True)


def take_more(
    lane: Lane, taken: Lane, limits: Limits, now: datetime, *, made: bool, urgent: bool = False
) -> Grant:
    """Another call for a conversation that has got one; ``taken`` is the lane as it was then.

    Not ``made``: the other one was not sent in time and is given back; when nobody has taken one since, as if
    it had never been.
    """
    own = lane
    if lane.blocked_why == PROBE and taken.blocked_why == PROBE:
        own = replace(own, blocked_until=None)  # it is the one that tries
    if not made:
        unspent = own.used - 1 if own.day == taken.day else own.used
        gap = _planned(limits.per_s, limits.burst)[0] if limits.per_s is not None else timedelta()
        alone = own.stamp is not None and own.stamp == taken.stamp
        own = replace(own, used=unspent, stamp=own.stamp - gap if own.stamp and alone else own.stamp)
    return take(own, limits, now, urgent=urgent)


def _clock_went_back(lane: Lane, now: datetime) -> bool:
    """Whether a block was made by a clock that was ahead: on a later day, or for longer than can be."""
    later = lane.day is not None and lane.day > now.date()
    return later or (lane.blocked_until is not None and lane.blocked_until > now + DELAY_MAX)


def settle(lane: Lane, error: CarrierError | None, now: datetime, *, probe: bool = False) -> Lane:
    """The lane after a conversation: ``error`` when all of it failed. ``probe``: it tried."""
    if probe and lane.blocked_why == PROBE:  # it is over, whatever came of it
        revision = lane.revision + 1
        lane = replace(lane, revision=revision, blocked_until=None, blocked_why=None)
    if error is None or isinstance(error, UnknownNumber | InvalidNumber):  # it answered
        return _answered(lane, now)
    revision = lane.revision + 1
    if isinstance(error, Throttled):
        asked = min(error.retry_after_s or 0, RETRY_AFTER_MAX_S)
        wait = asked or _grown(THROTTLED_FIRST_S, lane.throttles)
        after = replace(lane, revision=revision, throttles=lane.throttles + 1)
        return _block(after, wait, f"carrier asks to wait: {error}", now)
    if isinstance(error, Refused):
        after = replace(lane, revision=revision, refusals=lane.refusals + 1)
        if after.refusals >= REFUSED_AFTER:
            return _block(after, BLOCK_MAX_S, f"credential refused {after.refusals} times: {error}", now)
        return after
    if isinstance(error, Unavailable | MalformedReply):  # a page in their stead is an outage, too
        return _failed(lane, error, now)
    return lane


def _answered(lane: Lane, now: datetime) -> Lane:
    """Nothing is written while nothing changes."""
    if lane.blocked_until is not None and now < lane.blocked_until:
        return lane  # asked before the block: no reason to end it
    if not (lane.fails or lane.refusals or lane.throttles or lane.blocked_until or lane.recent):
        return lane
    recent = 0 if lane.fails >= BREAKER_AFTER else _noted(lane.recent, failed=False)
    return replace(
        lane,
        revision=lane.revision + 1,
        fails=0,
        refusals=0,
        throttles=0,
        blocked_until=None,
        blocked_why=None,
        recent=recent,
    )


def _failed(lane: Lane, error: CarrierError, now: datetime) -> Lane:
    if lane.blocked_until is not None and now < lane.blocked_until:
        return lane  # asked before the breaker opened: that does not keep it open for longer
    fails, recent = lane.fails + 1, _noted(lane.recent, failed=True)
    after = replace(lane, revision=lane.revision + 1, fails=fails, recent=recent)
    why = f"{BREAKER} {fails} failures: {error}"
    if fails < BREAKER_AFTER:
        failed = (recent & _BITS).bit_count()
        if recent <= _BITS or failed < WINDOW_FAILS:
            return after
        why = f"{BREAKER} {failed} failures in {WINDOW} conversations: {error}"
        after = replace(after, fails=BREAKER_AFTER)
    wait = _grown(BREAKER_FIRST_S, after.fails - BREAKER_AFTER)
    return _block(replace(after, recent=0), wait, why, now)


def _grown(first_s: float, times: int) -> float:
    return min(BLOCK_MAX_S, first_s * BLOCK_GROWTH ** min(times, 20))


def _noted(recent: int, *, failed: bool) -> int:
    """The window with one more conversation; 0 while none of it failed."""
    bits = (recent or 1) << 1 | failed
    if bits > _BITS << 1 | 1:
        bits = bits & _BITS | _BITS + 1
    return bits if bits.bit_count() > 1 else 0


def _planned(per_s: float, burst: int) -> tuple[timedelta, timedelta]:
    """From one call to the next, and how much earlier a call of a burst may be.

    Calls that are granted so keep rate and burst when each arrives up to LATE_S later. What the burst does
    not cover makes the gap longer. Rounded up: never faster than the limit.
    """
    gap, late = timedelta(microseconds=ceil(1_000_000 / per_s)), timedelta(seconds=LATE_S)
    early = gap * (burst - 1)
    return (gap, early - late) if early >= late else (gap + late - early, timedelta())


def _block(lane: Lane, seconds: float, why: str, now: datetime) -> Lane:
    until = now + timedelta(seconds=seconds)
    if lane.blocked_until is not None and lane.blocked_until > until:
        return lane
    return replace(lane, blocked_until=until, blocked_why=why)
