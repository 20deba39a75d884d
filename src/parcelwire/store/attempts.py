"""Attempts to push, from claimed rows to what becomes of them; the same for every SQL store."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from parcelwire.domain.endpoint import Endpoint, EndpointState, Health, Outcome, Signal, after, secrets_at
from parcelwire.domain.listing import PushStanding
from parcelwire.domain.push import SUPERSEDE_AFTER, PushEvent, PushJob, PushResult, PushState
from parcelwire.store.rows import micros, micros_or_none

_GONE = 410
_EVENTS = {event.value: event for event in PushEvent}
_PENDING, _SENT, _DEAD = PushState.PENDING.value, PushState.SENT.value, PushState.DEAD.value


def jobs_of(
    endpoint: Endpoint, rows: Iterable[Sequence[Any]], sign_key: str, now: datetime, lease: str
) -> list[PushJob]:
    """What an endpoint is sent, oldest change first. Rows: id, shipment, version, change, event, attempts,
    tries, body."""
    secrets = secrets_at(endpoint, now)
    probe = endpoint.health.state is EndpointState.FAILING
    return [
        PushJob(
            identity, endpoint.account, shipment, endpoint.id, _EVENTS[event], version, endpoint.url,
            body, sign_key, secrets, attempts, lease, tries, probe, endpoint.compat, endpoint.timeout_s,
        )
        for identity, shipment, version, _, event, attempts, tries, body in sorted(
            rows, key=lambda row: row[3]
        )
    ]  # fmt: skip


class Settled(NamedTuple):
    """One attempt, and what becomes of its push. Times: microseconds since the epoch."""

    result: PushResult
    state: str
    again_at: int | None
    queued: bool  # in the queue as it came into it
    tries: int
    done_at: int | None  # None: it will be tried again

    @property
    def tired(self) -> bool:
        """Whether a newer body may take its place: it failed too often."""
        job = self.result.job
        return self.done_at is None and job.attempts + 1 >= SUPERSEDE_AFTER and job.event is PushEvent.UPDATED


def settle(result: PushResult, healths: dict[int, Health]) -> Settled:
    """Takes the attempt into the health of its endpoint, too."""
    job, ended_at = result.job, result.ended_at
    signal = Signal.TAKEN if result.sent else Signal.GONE if result.http_status == _GONE else Signal.FAILED
    outcome = Outcome(signal, job.id, result.detail, job.probe, result.not_before)
    health = healths[job.endpoint] = after(healths[job.endpoint], outcome, ended_at)
    if result.sent:
        return Settled(result, _SENT, None, False, job.tries + 1, micros(ended_at))
    if health.state is not EndpointState.HEALTHY:
        return Settled(result, _PENDING, None, True, job.tries, None)
    again_at = micros_or_none(result.again_at)
    done_at = micros(ended_at) if again_at is None else None
    return Settled(result, _DEAD if done_at else _PENDING, again_at, False, job.tries + 1, done_at)


def standings(kept: Iterable[Settled]) -> list[tuple[int, int, int, int, int]]:
    """What the list shows of the last attempt of each shipment: shipment, account, listing.PushStanding, HTTP
    status, time."""
    last = {one.result.job.shipment: one.result for one in kept}
    return [
        (
            shipment, result.job.account, PushStanding.SUCCESS if result.sent else PushStanding.FAILURE,
            result.http_status or 0, micros(result.at),
        )
        for shipment, result in last.items()
    ]  # fmt: skip
