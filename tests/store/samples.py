"""Values for store tests."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.errors import CallerError
from parcelwire.domain.exchange import Reply
from parcelwire.domain.merge import History, begin
from parcelwire.domain.push import NewPush, PushEvent, PushJob, PushResult
from parcelwire.domain.report import Address, Event, Moment, Report
from parcelwire.domain.shipment import Phase, Shipment, StopReason, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.ports import Attempt, Changed, Document, Due, Old, Refreshed, Store, Wanted

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEASE = timedelta(seconds=60)
LOGIN_KEY = "login-key-0001-canary"
SIGN_KEY = "sign-key-0001-canary"
SECRET = "whsec_c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5"
URL = "https://shop.example/hook"
UNSTORABLE = 2**70  # no SQL store takes it: makes one piece of work fail

_numbers = count(1)


def number() -> str:
    """A number that no other call has given."""
    return f"T{next(_numbers):09}"


def wanted(
    name: str | None = None,
    carrier: str = "ups",
    *,
    code: int = 100001,
    origin: int = 2,
    lane: str = "",
    wish: Wish | None = None,
) -> Wanted:
    return Wanted(name or number(), carrier, code, origin, lane or carrier, wish or Wish())


async def account_in(
    store: Store, quota: int = 1000, *, name: str = "main", login_key: str = LOGIN_KEY
) -> Account:
    new = NewAccount(name, str(quota), quota, login_key, SIGN_KEY)
    return await store.open_account(new, NOW)


async def registered(
    store: Store, account: int, items: Sequence[Wanted], at: datetime = NOW
) -> list[Shipment | CallerError]:
    """``Store.register``, with the shipments that it made instead of their ids."""
    outcomes = await store.register(account, items, at)
    found = {
        shipment.id: shipment for shipment, _ in await store.find(account, [one.number for one in items])
    }
    return [found[outcome] if isinstance(outcome, int) else outcome for outcome in outcomes]


async def tracked(
    store: Store, account: Account, *, at: datetime = NOW, carrier: str = "ups", lane: str = ""
) -> Shipment:
    """One registered shipment."""
    (shipment,) = await registered(store, account.id, [wanted(carrier=carrier, lane=lane)], at)
    assert isinstance(shipment, Shipment)
    return shipment


async def claimed(
    store: Store, lane: str = "ups", *, most: int = 100, now: datetime = NOW, lease: str | None = None
) -> list[Due]:
    """What is due in a lane, under a lease of its own."""
    return await store.claim(lane, most, now, now + LEASE, lease or secrets.token_hex(8))


async def stored(store: Store, shipment: Shipment) -> Shipment:
    """The shipment as it is stored now."""
    found = await store.find(shipment.account, [shipment.number])
    return next(row for row, _ in found if row.id == shipment.id)


def history(source: str = "ups", *texts: str, at: datetime = NOW) -> History:
    events = tuple(
        Event(
            Moment(at - HOUR * place, 120, "2026-05-04", "14:00:00", "+02:00"), text,
            SubStatus.IN_TRANSIT, "I", "Łódź, PL", Address("PL", None, "Łódź"), order_at=at - HOUR * place,
        )
        for place, text in enumerate(texts or ("Picked up",))
    )  # fmt: skip
    return begin(source, Report("ignored", events, weight_kg="1.2"), at)


def update(version: int, body: bytes = b"") -> NewPush:
    return NewPush(PushEvent.UPDATED, version, body or b'{"version":%d}' % version)


def attempt(at: datetime = NOW, text: str = "in transit") -> Attempt:
    return Attempt(at, "ups", "report", 12, text)


def refreshed(
    shipment: Shipment,
    *pushes: NewPush,
    at: datetime = NOW,
    again: timedelta = HOUR,
    told: History | None = None,
    document: Document | None = None,
    raw: Reply | None = None,
    ms: int = 12,
) -> Refreshed:
    """A finished refresh of a claimed shipment."""
    after = replace(
        shipment,
        sub_status=SubStatus.IN_TRANSIT,
        asked_at=at,
        answered_at=at,
        refresh_at=at + again,
        version=max([shipment.version, *(push.version for push in pushes)]),
    )
    return Refreshed(after, replace(attempt(at), ms=ms), (told,) if told else (), document, pushes, raw)


async def change_of(
    store: Store, shipment: Shipment, *pushes: NewPush, at: datetime = NOW
) -> tuple[Shipment, int]:
    """A claimed shipment is refreshed with these pushes; answers it and how many results were dropped."""
    due = await store.claim_one(shipment.id, at + LEASE, secrets.token_hex(8))
    assert due is not None
    result = refreshed(due.shipment, *pushes, at=at)
    return result.shipment, await store.complete([result])


def stop(shipment: Shipment, *, at: datetime = NOW, by_request: bool = True) -> Changed:
    """The end of a registration."""
    reason = StopReason.BY_REQUEST if by_request else StopReason.EXPIRED
    after = replace(
        shipment, phase=Phase.STOPPED, stopped_at=at, stop_reason=reason, refresh_at=None,
        version=shipment.version + 1,
    )  # fmt: skip
    push = NewPush(PushEvent.STOPPED, after.version, b'{"event":"TRACKING_STOPPED"}', by_request)
    return Changed(shipment, after, (push,))


async def receiver(store: Store, account: Account, *, stopped_by_request: bool = True) -> None:
    await store.set_endpoint(account.id, URL, SECRET, stopped_by_request=stopped_by_request)


async def jobs_due(store: Store, now: datetime = NOW, most: int = 100) -> list[PushJob]:
    """Claimed pushes."""
    return await store.claim_pushes(most, now, now + LEASE, secrets.token_hex(8))


def sent(job: PushJob, at: datetime = NOW) -> PushResult:
    return PushResult(job, at, True, 200, 5, "accepted")


def failed(job: PushJob, at: datetime = NOW, again_at: datetime | None = None) -> PushResult:
    return PushResult(job, at, False, 500, 5, "HTTP 500", again_at)


async def fail_times(store: Store, job: PushJob, times: int) -> PushJob:
    """Fail a claimed push again and again; answers the job of the last attempt."""
    for _ in range(times - 1):
        assert await store.finish_pushes([failed(job, again_at=NOW)]) == 0
        (job,) = [again for again in await jobs_due(store) if again.id == job.id]
    assert await store.finish_pushes([failed(job, again_at=NOW + HOUR)]) == 0
    return job


LOGS = (Old.REFRESH, Old.PUSH, Old.CHANGE)


async def prune(store: Store, before: datetime, *kinds: Old, most: int = 100) -> int:
    """Forget all that is older; the logs when no kinds are named."""
    count = 0
    for old in kinds or LOGS:
        after = None
        while True:
            pruned = await store.prune(old, before, most, after)
            count += pruned.count
            after = pruned.upto
            if after is None:
                break
    return count


def units(outcomes: Sequence[object]) -> int:
    """How many of the outcomes of register cost a unit."""
    return sum(isinstance(outcome, Shipment | int) for outcome in outcomes)
