"""Tell endpoints what changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from parcelwire.domain.errors import PushError
from parcelwire.domain.push import PushJob, PushResult, next_attempt
from parcelwire.flows.context import Context
from parcelwire.wire.signature import sign, standard_headers

CONTENT_TYPE = "application/json; charset=utf-8"


class Answered(Protocol):
    """An endpoint took a message."""

    @property
    def http_status(self) -> int: ...
    @property
    def ms(self) -> int: ...


class Sender(Protocol):
    """Sends one message (net/push.py). PushError for anything but a 2xx answer."""

    async def send(self, url: str, body: bytes, headers: dict[str, str], total_s: float) -> Answered: ...


@dataclass(frozen=True, slots=True)
class PushPolicy:
    """How pushes are sent: delays in seconds after each failed attempt, and the time limit of one."""

    schedule: Sequence[float]
    timeout_s: float


async def claim(context: Context, most: int, lease: timedelta) -> list[PushJob]:
    """Due pushes, leased."""
    now = context.clock.now()
    return await context.store.claim_pushes(most, now, now + lease, context.new_id())


async def send(
    context: Context, sender: Sender, policy: PushPolicy, job: PushJob, chance: float
) -> PushResult:
    """One attempt, signed twice: 17TRACK's ``sign`` and Standard Webhooks."""
    at = context.clock.now()
    began = context.clock.monotonic()
    try:
        answered = await sender.send(job.url, job.body, headers(job, at), policy.timeout_s)
    except PushError as error:
        ms = round((context.clock.monotonic() - began) * 1000)
        now = context.clock.now()
        again_at = next_attempt(policy.schedule, job.attempts + 1, error, now, chance)
        return PushResult(job, at, False, error.http_status, ms, error.detail, again_at)
    return PushResult(job, at, True, answered.http_status, answered.ms, "accepted")


def headers(job: PushJob, at: datetime) -> dict[str, str]:
    """The headers of one attempt; the body is the same in all."""
    return {
        "Content-Type": CONTENT_TYPE,
        "sign": sign(job.body, job.sign_key),
        **standard_headers(job.id, at, job.body, job.secrets),
    }
