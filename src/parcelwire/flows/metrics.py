"""Figures for monitoring, in the text format of Prometheus. METRICS is the whole list.

Counters are of this process and begin with it; those of others may stand beside them (``Meters.others``).
Sizes are read from the store when somebody asks. No label holds an account, a number or an id: each has few
values, whatever callers do.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from parcelwire import __version__
from parcelwire.domain.endpoint import EndpointState
from parcelwire.domain.lane import Lane
from parcelwire.ports import InboxState, Sizes, Store

SIZES_KEPT = timedelta(seconds=5)  # whoever asks more often gets the same again
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """One row of the list."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()


PREFIX = "parcelwire_"
METRICS = (
    Metric("build_info", "gauge", "1, with the version that runs", ("version",)),
    Metric("processes", "gauge", "Processes that these counters are of"),
    Metric("process_ends_total", "counter",
           "Processes of serve --processes that were started again: died, silent (ended by the parent)",
           ("why",)),
    Metric("requests_total", "counter", "API calls by endpoint, HTTP status and outer code",
           ("endpoint", "status", "code")),
    Metric("request_seconds_total", "counter", "Time that these took", ("endpoint",)),
    Metric("refreshes_total", "counter", "Shipments asked about, by carrier and outcome (runbook)",
           ("carrier", "outcome")),
    Metric("refreshes_dropped_total", "counter", "Results that came after their lease had ended"),
    Metric("push_attempts_total", "counter", "Attempts to push: sent, retry, dead (given up)",
           ("outcome",)),
    Metric("pushes_dropped_total", "counter", "Results of attempts whose lease had ended"),
    Metric("endpoint_turns_total", "counter", "Endpoints that came into a state", ("state",)),
    Metric("parked_total", "counter", "Shipments and pushes that were parked", ("work",)),
    Metric("turn_failures_total", "counter", "Unexpected errors of a loop", ("loop",)),
    Metric("shipments_due", "gauge", "Shipments that are due, by queue of a lane (100,000 at most)",
           ("queue",)),
    Metric("shipments_leased", "gauge", "Shipments that are being asked about", ("queue",)),
    Metric("shipments_oldest_due_seconds", "gauge", "Since when the oldest is due", ("queue",)),
    Metric("shipments_parked", "gauge", "Shipments that harm the process (parcelwire parked list)"),
    Metric("pushes", "gauge", "Pushes that wait (pending), are under way (leased), were given up (dead)",
           ("state",)),
    Metric("pushes_oldest_due_seconds", "gauge", "Since when a push is due"),
    Metric("endpoints", "gauge", "Webhook receivers by state", ("state",)),
    Metric("inbox", "gauge", "Pushes to us by state", ("state",)),
    Metric("lane_blocked", "gauge", "1 while a lane may not be asked: breaker, credential, throttled",
           ("lane", "why")),
    Metric("lane_failures", "gauge", "Failed conversations in a row", ("lane",)),
    Metric("lane_calls_today", "gauge", "Calls of this day (UTC)", ("lane",)),
    Metric("quota_used", "gauge", "Quota units of this month, of all accounts"),
    Metric("upstream_spent", "gauge", "Units bought at the upstream this month"),
)  # fmt: skip
Sample = tuple[str, tuple[str, ...], float]  # metric, values of its labels, value


class Meters:
    """What this process has counted; ``others``: what those beside it have."""

    def __init__(self) -> None:
        self.others: Sequence[Sample] = ()
        self._counts: dict[tuple[str, tuple[str, ...]], float] = {}
        self._sizes: tuple[datetime, list[Sample]] | None = None

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter of METRICS."""
        key = name, labels
        self._counts[key] = self._counts.get(key, 0) + by

    async def exposition(self, store: Store, upstream: str | None, now: datetime) -> bytes:
        """All figures. ``upstream``: the slug of the one that is paid."""
        if self._sizes is None or not timedelta() <= now - self._sizes[0] < SIZES_KEPT:
            self._sizes = now, await _sizes(store, upstream, now)
        counted = summed([("processes", (), 1)], self.counted(), self.others)
        return text_of([("build_info", (__version__,), 1), *counted, *self._sizes[1]])

    def counted(self) -> list[Sample]:
        """The counters."""
        return [(name, labels, value) for (name, labels), value in self._counts.items()]


def summed(*parts: Iterable[Sample]) -> list[Sample]:
    """One sample of each metric and labels, with the sum of the values."""
    sums: dict[tuple[str, tuple[str, ...]], float] = {}
    for part in parts:
        for name, labels, value in part:
            sums[name, labels] = sums.get((name, labels), 0) + value
    return [(name, labels, value) for (name, labels), value in sums.items()]


async def _sizes(store: Store, upstream: str | None, now: datetime) -> list[Sample]:
    sizes = await store.sizes(now)
    inbox = await store.inbox()
    samples: list[Sample] = [
        ("shipments_parked", (), sizes.parked),
        ("pushes_oldest_due_seconds", (), _age(sizes.push_due, now)),
        ("quota_used", (), sizes.quota_used),
        *_backlogs(sizes, now),
        *(("pushes", (state,), count) for state, count in sizes.pushes.items()),
        *(("endpoints", (state.value,), sizes.endpoints.get(state, 0)) for state in EndpointState),
        *(("inbox", (state.value,), inbox.get(state, 0)) for state in InboxState),
        *(sample for lane in sizes.lanes for sample in _lane(lane, now)),
    ]
    if upstream is not None:
        spent = await store.spent(upstream, now)
        samples.append(("upstream_spent", (), spent.registered + spent.begun + spent.real_time))
    return samples


def _backlogs(sizes: Sizes, now: datetime) -> Iterable[Sample]:
    for queue, backlog in sizes.shipments.items():
        yield "shipments_due", (queue,), backlog.due
        yield "shipments_leased", (queue,), backlog.leased
        yield "shipments_oldest_due_seconds", (queue,), _age(backlog.first, now)


def _lane(lane: Lane, now: datetime) -> Iterable[Sample]:
    blocked = lane.blocked_until is not None and lane.blocked_until > now
    why = "credential" if lane.refusals else "throttled" if lane.throttles else "breaker"
    yield "lane_blocked", (lane.name, why if blocked else ""), int(blocked)
    yield "lane_failures", (lane.name,), lane.fails
    yield "lane_calls_today", (lane.name,), lane.used if lane.day == now.date() else 0


def _age(due_at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - due_at).total_seconds()) if due_at else 0.0


def text_of(samples: Iterable[Sample]) -> bytes:
    """Samples in the order of METRICS, each with its help."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample[0], []).append(sample)
    lines = []
    for metric in METRICS:
        name = PREFIX + metric.name
        lines += [f"# HELP {name} {metric.text}", f"# TYPE {name} {metric.kind}"]
        lines += [
            f"{name}{_labels(metric.labels, labels)} {value:.10g}"
            for _, labels, value in by_name.get(metric.name, ())
        ]
    return ("\n".join(lines) + "\n").encode()


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
