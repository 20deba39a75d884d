"""What the owner does with webhook receivers: add, steer, test, look into the log, send again."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from parcelwire.domain.account import Account
from parcelwire.domain.audit import Deed
from parcelwire.domain.endpoint import (
    SECRETS_OVERLAP,
    TIMEOUT_S,
    Endpoint,
    NewEndpoint,
    Signal,
    Wants,
    secrets_at,
)
from parcelwire.domain.errors import PushError, UrlRefused
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.push import Chosen, PushEvent, PushJob, PushRecord, PushState, Try
from parcelwire.domain.status import Status
from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, OwnerError, Verb, account_named, deed, time_text
from parcelwire.flows.push import headers
from parcelwire.wire.signature import secret_bytes
from parcelwire.wire.v22 import Push, Stopped, encode

LOG_MAX = 1_000
TEST_NUMBER = "PARCELWIRETEST"  # no carrier's: whoever believes it looks it up in vain
TEST_TIMEOUT_S = 10.0
_AGO = re.compile(r"(\d{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Values = Mapping[str, str]
E = TypeVar("E", bound=StrEnum)


async def listed(context: Context, values: Values) -> Answer:
    """All webhook receivers, of one ``account`` or of all, and what waits for them."""
    rows: list[Answer] = []
    now = context.clock.now()
    for account in await _accounts(context, values):
        counts = await context.store.push_counts(account.id)
        endpoints = await context.store.endpoints(account.id)
        rows += [_shown(account, one, now) | _waiting(counts.get(one.id, {})) for one in endpoints]
    return {"webhooks": rows}


async def add(context: Context, values: Values) -> Answer:
    """One more receiver (``url``) for an account; the answer is the only one that shows its secret."""
    account = await account_named(context, values.get("account"))
    try:
        context.sender.check(values["url"])
        secret = values.get("secret") or context.new_secret()
        secret_bytes(secret)
        timeout_s = _timeout(values["timeout"]) if values.get("timeout") else None
        wants = Wants(
            tuple(_one_of(PushEvent, name) for name in _names(values.get("events"))),
            tuple(_one_of(Status, name) for name in _names(values.get("statuses"))),
        )
    except (UrlRefused, ValueError) as error:
        raise OwnerError(str(error)) from None
    new = NewEndpoint(
        values["url"],
        secret,
        wants,
        stopped_by_request=values.get("stopped_by_request", "1") == "1",
        compat=values.get("compat", "0") == "1",
        timeout_s=timeout_s,
    )
    endpoint = await context.store.add_endpoint(account.id, new, deed(context, "webhook.add", "webhook"))
    return _shown(account, endpoint, context.clock.now()) | {"secret": secret}


async def remove(context: Context, values: Values) -> Answer:
    """Remove a receiver (``id``) with everything that waits for it."""
    account, endpoint = await _endpoint(context, values["id"])
    await context.store.remove_endpoint(account.id, endpoint.id, _deed(context, "remove", endpoint))
    return {"id": endpoint.id, "url": endpoint.url, "removed": True}


async def pause(context: Context, values: Values) -> Answer:
    """Send nothing to a receiver (``id``); what happens is kept for it."""
    return await _steer(context, values, Signal.PAUSE)


async def resume(context: Context, values: Values) -> Answer:
    """Send again to a receiver (``id``), oldest first."""
    return await _steer(context, values, Signal.RESUME)


async def rotate(context: Context, values: Values) -> Answer:
    """A new secret for a receiver (``id``). For a day both sign, so that nothing is refused meanwhile; until
    then another rotation would drop the one that receivers may still have, so it needs ``force`` = 1."""
    account, endpoint = await _endpoint(context, values["id"])
    if values.get("force") != "1":
        _check_rotated(endpoint, context.clock.now())
    secret = values.get("secret") or context.new_secret()
    try:
        secret_bytes(secret)
    except ValueError as error:
        raise OwnerError(str(error)) from None
    both_until = context.clock.now() + SECRETS_OVERLAP
    done = _deed(context, "rotate", endpoint, "secret")
    await context.store.rotate_secret(account.id, endpoint.id, secret, both_until, done)
    return {"id": endpoint.id, "secret": secret, "both_until": time_text(both_until)}


async def test(context: Context, values: Values) -> Answer:
    """Send one signed message that is about no shipment to a receiver (``id``), now, whatever its state."""
    account, endpoint = await _endpoint(context, values["id"])
    now = context.clock.now()
    body = encode(Push("TRACKING_STOPPED", Stopped(TEST_NUMBER, 0, None, "test")))
    sign_key = await context.store.sign_key(account.id)
    job = PushJob(
        f"msg_test_{context.new_id()}", account.id, 0, endpoint.id, PushEvent.STOPPED, 0, endpoint.url,
        body, sign_key, secrets_at(endpoint, now), 0, "",
    )  # fmt: skip
    answer = {"id": endpoint.id, "url": endpoint.url, "push": job.id}
    try:
        answered = await context.sender.send(
            job.url, body, headers(job, now), endpoint.timeout_s or TEST_TIMEOUT_S
        )
    except PushError as error:
        return answer | {"taken": False, "http_status": error.http_status, "detail": error.detail}
    return answer | {"taken": True, "http_status": answered.http_status, "ms": answered.ms}


async def replay(context: Context, values: Values) -> Answer:
    """Send pushes again that are done: by ``ids``, ``id`` of the receiver, ``number``, ``state``, times."""
    chosen = _chosen(context, values)
    if chosen == Chosen():
        raise OwnerError("say which: ids, a receiver, a number, a state or times")
    if chosen.state is PushState.PENDING:
        raise OwnerError("what is pending will be sent anyway")
    count = 0
    for account in await _accounts(context, values):
        count += await context.store.replay_pushes(account.id, chosen, context.clock.now())
    return {"replayed": count}


async def log(context: Context, values: Values) -> Answer:
    """The newest pushes with every attempt and the beginning of what the receiver said."""
    most = min(int(values.get("limit", "20")), LOG_MAX)
    chosen = _chosen(context, values)
    records: list[PushRecord] = []
    for account in await _accounts(context, values):
        records += await context.store.push_log(account.id, chosen, most)
    records.sort(key=lambda record: record.created_at, reverse=True)
    return {"pushes": [_record(record) for record in records[:most]]}


VERBS: dict[str, Verb] = {
    "webhooks-list": listed,
    "webhooks-add": add,
    "webhooks-remove": remove,
    "webhooks-pause": pause,
    "webhooks-resume": resume,
    "webhooks-rotate": rotate,
    "webhooks-test": test,
    "webhooks-replay": replay,
    "webhooks-log": log,
}


async def _accounts(context: Context, values: Values) -> list[Account]:
    if values.get("account"):
        return [await account_named(context, values["account"])]
    return await context.store.accounts()


async def _steer(context: Context, values: Values, signal: Signal) -> Answer:
    account, endpoint = await _endpoint(context, values["id"])
    done = _deed(context, signal.value, endpoint, "state")
    now = context.clock.now()
    await context.store.steer_endpoint(account.id, endpoint.id, signal, now, done)
    return _shown(*await _endpoint(context, values["id"]), now)


def _check_rotated(endpoint: Endpoint, now: datetime) -> None:
    """OwnerError while the secret before the last rotation signs too."""
    if len(secrets_at(endpoint, now)) > 1:
        raise OwnerError(
            f"webhook {endpoint.id} was rotated lately: until {time_text(endpoint.both_until)} the secret "
            "before signs too, and another rotation would end that now: if the new one leaked, give --force"
        )


def _deed(context: Context, what: str, endpoint: Endpoint, *fields: str) -> Deed:
    return deed(context, f"webhook.{what}", f"webhook {endpoint.id}", *fields)


async def _endpoint(context: Context, text: str) -> tuple[Account, Endpoint]:
    for account in await context.store.accounts():
        for endpoint in await context.store.endpoints(account.id):
            if str(endpoint.id) == text:
                return account, endpoint
    raise OwnerError(f"there is no webhook {text}: see 'parcelwire webhooks list'")


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _one_of(kind: type[E], text: str) -> E:
    """The member of this name. ValueError tells which there are."""
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is none of {', '.join(member.value for member in kind)}") from None


def _timeout(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not TIMEOUT_S[0] <= value <= TIMEOUT_S[1]:
        raise ValueError(f"a time limit is {TIMEOUT_S[0]:g} to {TIMEOUT_S[1]:g} seconds")
    return value


def _chosen(context: Context, values: Values) -> Chosen:
    now = context.clock.now()
    number = normalise(values["number"]) if values.get("number") else None
    if values.get("number") and number is None:
        raise OwnerError(f"{values['number']!r} is not a tracking number")
    try:
        return Chosen(
            ids=tuple(_names(values.get("ids"))) or None,
            endpoint=int(values["id"]) if values.get("id") else None,
            number=identity(number) if number else None,
            state=_one_of(PushState, values["state"]) if values.get("state") else None,
            since=_time(values["since"], now) if values.get("since") else None,
            before=_time(values["before"], now) if values.get("before") else None,
        )
    except ValueError as error:
        raise OwnerError(str(error)) from None


def _time(text: str, now: datetime) -> datetime:
    """``2026-05-04T12:00:00Z`` (UTC without an offset), or how long ago: 90s, 30m, 2h, 3d."""
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: give 2026-05-04T12:00:00Z, or how long ago: 90s, 30m, 2h, 3d"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _shown(account: Account, endpoint: Endpoint, now: datetime) -> Answer:
    health, wants = endpoint.health, endpoint.wants
    both = len(secrets_at(endpoint, now)) > 1
    return {
        "id": endpoint.id,
        "account": account.name,
        "url": endpoint.url,
        "state": health.state.value,
        "since": time_text(health.since),
        "why": health.why,
        "next_probe": time_text(health.probe_at),
        "fails": health.fails,
        "at_a_time": health.width,
        "events": list(wants.events),
        "statuses": list(wants.statuses),
        "stopped_by_request": endpoint.stopped_by_request,
        "schedule": "compat" if endpoint.compat else "usual",
        "timeout_s": endpoint.timeout_s,
        "by_setting": endpoint.by_setting,
        "both_secrets_until": time_text(endpoint.both_until) if both else None,
    }


def _waiting(counts: Mapping[PushState, int]) -> Answer:
    return {"pending": counts.get(PushState.PENDING, 0), "dead": counts.get(PushState.DEAD, 0)}


def _record(record: PushRecord) -> Answer:
    return {
        "push": record.id,
        "webhook": record.endpoint,
        "number": record.number,
        "carrier": record.carrier,
        "event": record.event.value,
        "version": record.version,
        "state": record.state.value,
        "created_at": time_text(record.created_at),
        "send_at": time_text(record.send_at),
        "attempts": record.attempts,
        "log": [_try(one) for one in record.log],
    }


def _try(one: Try) -> Answer:
    return {
        "n": one.n,
        "at": time_text(one.at),
        "http_status": one.http_status,
        "ms": one.ms,
        "detail": one.detail,
        "body_start": one.body_start.decode(errors="replace"),
    }
