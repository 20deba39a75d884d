"""Webhook receivers: what each wants to hear, and how it is treated when it does not listen.

    healthy --5 failures in a row over 2 events--> failing --a probe is taken--> healthy, from width 1
    healthy, failing --410, operator--> paused         failing --5 days--> paused
    paused --resume--> healthy, from width 1

*healthy*: due pushes, as many at a time as ``width`` allows. *failing*: one probe at a time; everything else
waits without using up attempts. *paused*: nothing is sent, events queue. Pure: a Health is a value, ``after``
answers the next one; the store keeps it and applies what the state means for rows.
(Reference: reliability, section 4.)

An endpoint that refuses a share of what it is sent is served: going slower would not make it take more. So
``width`` follows rounds, not single failures: one more after a round that was mostly taken, half as many
after one that was refused. And five failures within seconds of an endpoint with many pushes under way are
chance (with a third refused they come every 360 pushes): there it takes a whole round.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from parcelwire.domain.push import PushEvent
from parcelwire.domain.status import Status

BREAKS_AFTER = 5  # failures in a row, over at least two events
# Seconds from one probe to the next; the last repeats. Half a minute less than the promised 15, so that
# everything that waited is told within 15 minutes after the endpoint is back.
# The quick ones are only for failures that all came within BURST: an endpoint that has just begun and refuses
# every third push soon has five in a row, and must not stand still for 5 s each time.
QUICK_S: tuple[float, ...] = (0.25, 1)
PROBES_S: tuple[float, ...] = (*QUICK_S, 5, 15, 60, 300, 870)
BURST = timedelta(seconds=5)
PAUSED_AFTER = timedelta(days=5)  # of failing
WIDTH_MAX = 20  # pushes under way to one endpoint
# What an outcome adds to the balance of a round: an endpoint that takes more than a third gets wider.
TAKEN, REFUSED = 2, -1
SECRETS_OVERLAP = timedelta(hours=24)  # after a rotation both secrets sign
TIMEOUT_S = (1.0, 30.0)  # what an endpoint may ask for


class EndpointState(StrEnum):
    """How an endpoint is treated."""

    HEALTHY = "healthy"
    FAILING = "failing"
    PAUSED = "paused"


class Signal(StrEnum):
    """What can happen to an endpoint."""

    TAKEN = "taken"  # 2xx
    FAILED = "failed"  # anything else
    GONE = "gone"  # 410
    BROKE = "broke"  # the failure that makes it failing
    LASTED = "lasted"  # a failure after it has been failing for PAUSED_AFTER
    PAUSE = "pause"  # by the operator
    RESUME = "resume"  # by the operator


_HEALTHY, _FAILING, _PAUSED = EndpointState
NEXT_STATE: dict[tuple[EndpointState, Signal], EndpointState] = {
    (_HEALTHY, Signal.TAKEN): _HEALTHY,
    (_HEALTHY, Signal.FAILED): _HEALTHY,
    (_HEALTHY, Signal.BROKE): _FAILING,
    (_HEALTHY, Signal.GONE): _PAUSED,
    (_HEALTHY, Signal.PAUSE): _PAUSED,
    (_HEALTHY, Signal.RESUME): _HEALTHY,
    (_FAILING, Signal.TAKEN): _HEALTHY,
    (_FAILING, Signal.FAILED): _FAILING,
    (_FAILING, Signal.LASTED): _PAUSED,
    (_FAILING, Signal.GONE): _PAUSED,
    (_FAILING, Signal.PAUSE): _PAUSED,
    (_FAILING, Signal.RESUME): _HEALTHY,
    (_PAUSED, Signal.TAKEN): _PAUSED,  # what was under way when it was paused
    (_PAUSED, Signal.FAILED): _PAUSED,
    (_PAUSED, Signal.GONE): _PAUSED,
    (_PAUSED, Signal.PAUSE): _PAUSED,
    (_PAUSED, Signal.RESUME): _HEALTHY,
}


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint does. A new one begins with width 1: nobody knows yet whether it answers."""

    state: EndpointState = EndpointState.HEALTHY
    since: datetime | None = None  # when it came into this state; None: it was never in another
    why: str | None = None  # of failing and paused
    fails: int = 0  # in a row
    first_failed: str | None = None  # the push that failed first of these
    first_failed_at: datetime | None = None
    several: bool = False  # whether these failures were of more than one event
    probes: int = 0  # place in PROBES_S, which goes on counting
    probe_at: datetime | None = None  # failing: no probe before
    width: int = 1  # pushes that may be under way
    taken: int = 0  # balance of this round: TAKEN and REFUSED; ``width`` of one of them more end it

    @property
    def newest_first(self) -> bool:
        """Whether the next probe is the newest event instead of the oldest.

        Every second one of the slow probes: two events that the endpoint always refuses must not keep it
        from getting all the others.
        """
        return self.probes >= len(PROBES_S) and self.probes % 2 == 1


class Outcome(NamedTuple):
    """One attempt as an endpoint's health sees it. ``signal``: taken, failed or gone."""

    signal: Signal
    push: str
    detail: str = ""
    probe: bool = False
    not_before: datetime | None = None  # Retry-After


@dataclass(frozen=True, slots=True)
class Wants:
    """What an endpoint wants to hear; nothing given = everything."""

    events: tuple[PushEvent, ...] = ()
    statuses: tuple[Status, ...] = ()  # of updates; the end of tracking has no status of its own

    def hears(self, event: PushEvent, status: Status | None) -> bool:
        """Whether a change is for this endpoint."""
        if self.events and event not in self.events:
            return False
        return event is not PushEvent.UPDATED or not self.statuses or status in self.statuses


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What a webhook receiver is made from."""

    url: str
    secret: str = field(repr=False)  # Standard Webhooks, whsec_...
    wants: Wants = Wants()
    stopped_by_request: bool = True  # whether TRACKING_STOPPED is pushed for a stop by request too
    compat: bool = False  # 17TRACK's own retry schedule instead of the service's
    timeout_s: float | None = None  # of one attempt; None: the service's


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook receiver. ``by_setting``: the one that PARCELWIRE_WEBHOOK_URL names."""

    id: int
    account: int
    url: str
    secret: str = field(repr=False)
    stopped_by_request: bool = True
    wants: Wants = Wants()
    compat: bool = False
    timeout_s: float | None = None
    by_setting: bool = False
    secret_before: str | None = field(default=None, repr=False)  # signs too until ``both_until``
    both_until: datetime | None = None
    health: Health = Health()


@dataclass(frozen=True, slots=True)
class EndpointTurn:
    """An endpoint came into another state: for the log, the metrics and the operator."""

    endpoint: int
    account: int
    before: EndpointState
    health: Health


def after(health: Health, outcome: Outcome, now: datetime) -> Health:
    """The health after one attempt; the very same value when nothing changed."""
    signal = _read(health, outcome, now)
    state = NEXT_STATE[health.state, signal]
    if state is not health.state:
        return _entered(health, state, outcome, now)
    if state is EndpointState.HEALTHY:
        return _better(health) if signal is Signal.TAKEN else _worse(health, outcome, now)
    if state is EndpointState.FAILING and outcome.probe:
        wait = PROBES_S[min(health.probes + 1, len(PROBES_S) - 1)]
        return replace(
            health, probes=health.probes + 1, fails=health.fails + 1, probe_at=_probe_at(outcome, now, wait)
        )
    return health


def steered(health: Health, signal: Signal, why: str | None, now: datetime) -> Health:
    """The health after the operator paused or resumed the endpoint; the same when it was so already."""
    state = NEXT_STATE[health.state, signal]
    if state is health.state:
        return health
    return Health(state, now, why if state is EndpointState.PAUSED else None)


def secrets_at(endpoint: Endpoint, now: datetime) -> tuple[str, ...]:
    """The secrets that sign now, the newest first."""
    if endpoint.secret_before is None or endpoint.both_until is None or now >= endpoint.both_until:
        return (endpoint.secret,)
    return endpoint.secret, endpoint.secret_before


def _read(health: Health, outcome: Outcome, now: datetime) -> Signal:
    """A failure may be the one too many."""
    if outcome.signal is not Signal.FAILED:
        return outcome.signal
    if health.state is EndpointState.HEALTHY:
        return Signal.BROKE if _breaks(_worse(health, outcome, now), health.width, now) else Signal.FAILED
    if health.state is EndpointState.FAILING and health.since and now - health.since >= PAUSED_AFTER:
        return Signal.LASTED
    return Signal.FAILED


def _breaks(worse: Health, width: int, now: datetime) -> bool:
    """Whether the failures in a row are an outage."""
    return worse.fails >= BREAKS_AFTER and worse.several and (worse.fails >= width or not _burst(worse, now))


def _burst(health: Health, now: datetime) -> bool:
    return health.first_failed_at is not None and now - health.first_failed_at < BURST


def _entered(health: Health, state: EndpointState, outcome: Outcome, now: datetime) -> Health:
    if state is EndpointState.FAILING:
        why = f"{health.fails + 1} failures in a row, the last: {outcome.detail}"
        probes = 0 if _burst(health, now) else len(QUICK_S)
        probe_at = _probe_at(outcome, now, PROBES_S[probes])
        return Health(state, now, why, fails=health.fails + 1, probes=probes, probe_at=probe_at)
    if state is EndpointState.PAUSED:
        why = "the endpoint answered 410 Gone"
        if outcome.signal is not Signal.GONE:
            why = f"failing for {PAUSED_AFTER.days} days, the last: {outcome.detail}"
        return Health(state, now, why, fails=health.fails + 1)
    return Health(state, now)


def _better(health: Health) -> Health:
    if health.width == WIDTH_MAX and health.taken >= 0 and not health.fails:
        return health
    width, taken = _round(health.width, health.taken + TAKEN)
    return replace(
        health, fails=0, first_failed=None, first_failed_at=None, several=False, width=width, taken=taken
    )


def _worse(health: Health, outcome: Outcome, now: datetime) -> Health:
    first = health.first_failed or outcome.push
    width, taken = _round(health.width, health.taken + REFUSED)
    return replace(
        health,
        fails=health.fails + 1,
        first_failed=first,
        first_failed_at=health.first_failed_at or now,
        several=health.several or outcome.push != first,
        width=width,
        taken=taken,
    )


def _round(width: int, taken: int) -> tuple[int, int]:
    """Width and balance after one more outcome."""
    if taken >= width * TAKEN:
        return min(WIDTH_MAX, width + 1), 0
    if taken <= width * REFUSED:
        return max(1, width // 2), 0
    return width, taken


def _probe_at(outcome: Outcome, now: datetime, wait_s: float) -> datetime:
    at = now + timedelta(seconds=wait_s)
    return max(at, outcome.not_before) if outcome.not_before else at
