"""Tell endpoints what changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError, PushError
from parcelwire.domain.push import COMPAT_SCHEDULE, NewPush, PushEvent, PushJob, PushResult, next_attempt
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.documents import updated_body
from parcelwire.flows.items import for_each, registrations
from parcelwire.ports import Changed, Document
from parcelwire.wire.signature import sign, standard_headers
from parcelwire.wire.v22 import Numbered, NumberItem

CONTENT_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PushPolicy:
    """How pushes are sent: delays in seconds after each failed attempt, and the time limit of one."""

    schedule: Sequence[float]
    timeout_s: float


async def exchange(
    context: Context, results: Sequence[PushResult], most: int, lease: timedelta
) -> tuple[int, list[PushJob]]:
    """Save attempts, and get due pushes, leased. Answers also how many results were dropped."""
    now = context.clock.now()
    until = now + lease
    dropped, jobs = await context.store.exchange_pushes(results, most, now, until, context.new_id())
    if context.clock.now() >= until:
        jobs = []  # we were stopped meanwhile: by now others have sent them, and newer ones
    return dropped, jobs


async def send(context: Context, policy: PushPolicy, job: PushJob, chance: float) -> PushResult:
    """One attempt, signed twice: 17TRACK's ``sign`` and Standard Webhooks."""
    at = context.clock.now()
    began = context.clock.monotonic()
    context.failpoint("push.before")
    timeout_s = job.timeout_s or policy.timeout_s
    try:
        answered = await context.sender.send(job.url, job.body, headers(job, at), timeout_s)
        context.failpoint("push.after")
    except PushError as error:
        ms = round((context.clock.monotonic() - began) * 1000)
        now = context.clock.now()
        schedule = COMPAT_SCHEDULE if job.compat else policy.schedule
        again_at = next_attempt(schedule, job.tries + 1, error, now, chance)
        wait_s = error.retry_after_s
        not_before = now + timedelta(seconds=wait_s) if wait_s else None
        return PushResult(
            job, at, False, error.http_status, ms, error.detail, again_at, not_before, error.body_start
        )
    return PushResult(
        job, at, True, answered.http_status, answered.ms, "accepted", body_start=answered.body_start
    )


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
    has_endpoint = bool(await context.store.endpoints(account.id))

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
