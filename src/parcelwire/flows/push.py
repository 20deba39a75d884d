"""Tell endpoints what changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError, PushError
from parcelwire.domain.push import NewPush, PushEvent, PushJob, PushResult, next_attempt
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.documents import updated_body
from parcelwire.flows.items import for_each, registrations
from parcelwire.ports import Changed, Document
from parcelwire.wire.signature import sign, standard_headers
from parcelwire.wire.v22 import Numbered, NumberItem

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


async def push_again(context: Context, account: Account, body: bytes) -> bytes:
    """The answer to POST /push: the current state of each registration is queued again.

    The newest push that is still kept goes out as it was. Where none is (it is a month old, or there was no
    endpoint then), what is known is told as a new version.
    """
    has_endpoint = await context.store.endpoint(account.id) is not None

    async def work(item: NumberItem) -> list[Numbered]:
        if not has_endpoint:
            raise CallerError("no_webhook")
        queued = [
            shipment
            for shipment, document in await registrations(context, account, item)
            if await _queue(context, account, shipment, document)
        ]
        if not queued:
            raise CallerError("no_info", detail="")
        return [Numbered(shipment.number, shipment.code) for shipment in queued]

    return await for_each(body, NumberItem, work)


async def _queue(context: Context, account: Account, shipment: Shipment, document: Document | None) -> bool:
    """Whether there was something to tell."""
    (replayed,) = await context.store.replay(account.id, [shipment.id], context.clock.now())
    if replayed or document is None or shipment.sub_status is None:
        return replayed
    now = context.clock.now()
    after = replace(shipment, version=shipment.version + 1)
    push = NewPush(PushEvent.UPDATED, after.version, updated_body(after, document, now))
    saved = await context.store.change([Changed(shipment, after, (push,))], now)
    return all(saved)  # else a refresh was faster: its own push tells more
