"""Webhook pushes: one change of one shipment for one endpoint, and when to try again.

Promises: one change, one id, one body; in order per shipment and endpoint; at least once
(reference: reliability, section 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from parcelwire.domain.errors import PushError
from parcelwire.domain.times import EPOCH


class PushEvent(StrEnum):
    """What a push tells."""

    UPDATED = "TRACKING_UPDATED"
    STOPPED = "TRACKING_STOPPED"


class PushState(StrEnum):
    """Where a push is. Only ``pending`` ones are sent."""

    PENDING = "pending"
    SENT = "sent"
    SUPERSEDED = "superseded"  # a newer body that contains this one's events took its place
    DEAD = "dead"  # the schedule is used up; kept, can be replayed


_MILLISECOND = timedelta(milliseconds=1)
# Seconds after the previous attempt: 23 attempts over 7.2 days.
SCHEDULE: tuple[float, ...] = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, *[43_200] * 13)
COMPAT_SCHEDULE: tuple[float, ...] = (600, 1_800, 3_600)  # 17TRACK's own
SUPERSEDE_AFTER = 4  # failed attempts, after which a waiting newer version takes this one's place
JITTER_SHARE = 0.1  # added only, so that a delay is never shorter than listed
JITTER_MIN_S, JITTER_MAX_S = 1.0, 900.0
JITTER_FREE_S = 10.0  # shorter delays stay as they are


@dataclass(frozen=True, slots=True)
class NewPush:
    """A change to tell; the store makes one row of it for every endpoint of the account."""

    event: PushEvent
    version: int
    body: bytes
    by_request: bool = False


@dataclass(frozen=True, slots=True)
class PushJob:
    """One claimed push and all that is needed to send it."""

    id: str
    account: int
    shipment: int
    endpoint: int
    event: PushEvent
    version: int
    url: str
    body: bytes = field(repr=False)
    sign_key: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    attempts: int  # made before this one
    lease: str
    tries: int = 0  # of its schedule that are used up; attempts while the endpoint is failing use up none
    probe: bool = False  # the one that tries whether a failing endpoint is back
    compat: bool = False  # which schedule: 17TRACK's own, or the service's
    timeout_s: float | None = None  # None: the service's


@dataclass(frozen=True, slots=True)
class PushResult:
    """What came of one attempt. ``again_at`` None and not ``sent``: the schedule is used up.

    An attempt that leaves its endpoint failing or paused uses up nothing: then ``again_at`` does not count.
    """

    job: PushJob
    at: datetime
    sent: bool
    http_status: int | None
    ms: int
    detail: str
    again_at: datetime | None = None
    not_before: datetime | None = None  # the endpoint's Retry-After
    body_start: bytes = field(default=b"", repr=False)  # at most the first 2 KiB of what it said

    @property
    def ended_at(self) -> datetime:
        """When the outcome was known."""
        return self.at + self.ms * _MILLISECOND


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which pushes of an account; what is None does not matter. Times: when the change was made."""

    ids: tuple[str, ...] | None = None
    endpoint: int | None = None
    number: str | None = None
    state: PushState | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt in the delivery log."""

    n: int
    at: datetime
    http_status: int | None
    ms: int
    detail: str
    body_start: bytes = b""


@dataclass(frozen=True, slots=True)
class PushRecord:
    """One push in the delivery log, its attempts oldest first."""

    id: str
    endpoint: int
    number: str
    carrier: str
    event: PushEvent
    version: int
    state: PushState
    created_at: datetime
    send_at: datetime | None  # None: done, or an older push of the shipment is not
    attempts: int
    log: tuple[Try, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One change in the pull feed. ``cursor`` grows; ``body`` is what a webhook would carry."""

    cursor: int
    at: datetime
    event: PushEvent
    body: bytes = field(repr=False)


def push_id(instance: str, endpoint: int, shipment: int, version: int, at: datetime) -> str:
    """``msg_`` and 26 characters, the same for the same change of the same store, always.

    They begin with the time of the change in milliseconds: new ones are side by side in an index.
    """
    digest = blake2b(f"{instance}/{endpoint}/{shipment}/{version}".encode(), digest_size=8)
    return f"msg_{(at - EPOCH) // _MILLISECOND:011x}{digest.hexdigest()[:15]}"


def next_attempt(
    schedule: Sequence[float], attempts: int, error: PushError, now: datetime, chance: float
) -> datetime | None:
    """When to try again after the failure of attempt number ``attempts`` (1 = the first); None: give up.

    ``chance`` in [0, 1) spreads the retries. A Retry-After is a lower bound.
    """
    if attempts > len(schedule):
        return None
    delay = schedule[attempts - 1]
    if delay > JITTER_FREE_S:
        delay += min(max(delay * JITTER_SHARE * chance, JITTER_MIN_S), JITTER_MAX_S)
    return now + timedelta(seconds=max(delay, error.retry_after_s or 0))
