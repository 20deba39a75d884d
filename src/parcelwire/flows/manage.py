"""What the owner does: from the command line, directly or through the running service."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.audit import BY_OWNER, BY_SERVICE, OPERATOR, Deed
from parcelwire.domain.errors import ParcelwireError
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.quota import plan_size
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.flows.context import Context
from parcelwire.flows.identify import AS_GIVEN, DETECTED, GUESS
from parcelwire.ports import Attempt, InboxState
from parcelwire.wire.carrierlist import ListError, read_stored

EXPLAIN_ATTEMPTS = 20
_ORIGINS = {DETECTED: "detected", AS_GIVEN: "as given", GUESS: "a guess"}
SANDBOX = "sandbox"
STEPS_MAX = 10_000  # of a sandbox journey at once; the longest has a few dozen


class OwnerError(ParcelwireError):
    """The owner asked for something that is not there or not possible; the text says what to do."""


Answer = dict[str, Any]
Verb = Callable[[Context, Mapping[str, str]], Awaitable[Answer]]


async def open_first_account(context: Context, plan: str, login_key: str, sign_key: str) -> Account:
    """The account of the first start."""
    size = plan_size(plan)
    if size is None:
        raise OwnerError(f"there is no plan {plan!r}")
    new = NewAccount("main", plan, size, login_key, sign_key)
    now = context.clock.now()
    deed = Deed(BY_SERVICE, now, "account.add", account_subject(new.name))
    return await context.store.open_account(new, now, deed)


async def plan(context: Context, values: Mapping[str, str]) -> Answer:
    """Give an account (``account``, default the first) another plan (``plan``)."""
    size = plan_size(values["plan"])
    if size is None:
        raise OwnerError("a plan is free, unlimited or a number of quota units a month")
    account = await account_named(context, values.get("account"))
    done = deed(context, "account.plan", account_subject(account.name), "plan", "quota_total")
    await context.store.set_plan(account.id, values["plan"], size, done)
    return {"name": account.name, "plan": values["plan"], "quota_total": size}


async def explain(context: Context, values: Mapping[str, str]) -> Answer:
    """Why a shipment (``number``) stands where it stands: its registrations and their last refreshes."""
    rows = []
    for account in await context.store.accounts():
        for shipment in await _shipments(context, account, values["number"]):
            attempts = await context.store.attempts(shipment.id, EXPLAIN_ATTEMPTS)
            rows.append(
                _explained(account, shipment)
                | await _route(context, shipment)
                | await _lane(context, shipment)
                | await _parked(context, shipment)
                | {"refreshes": [_attempt(item) for item in attempts]}
            )
    if not rows:
        raise OwnerError(f"{values['number']} is not registered")
    return {"shipments": rows}


async def advance(context: Context, values: Mapping[str, str]) -> Answer:
    """Move a sandbox journey (``number``) on by ``steps``, at once."""
    moved = 0
    step = context.paces[SANDBOX].day
    for account in await context.store.accounts():
        for shipment in await _shipments(context, account, values["number"]):
            if shipment.carrier == SANDBOX and shipment.phase is Phase.TRACKING:
                by = step * min(int(values.get("steps", "1")), STEPS_MAX)
                await context.store.rewind(shipment.id, by, context.clock.now())
                moved += 1
    if not moved:
        raise OwnerError(f"{values['number']} is not a sandbox number that is being tracked")
    return {"number": values["number"], "advanced": moved}


async def upstream(context: Context, _values: Mapping[str, str]) -> Answer:
    """What the 17TRACK upstream has cost this month, and what the firewall in front of it has saved."""
    bought = context.routes.upstream
    if bought is None:
        raise OwnerError(f"there is no upstream: set {context.routes.upstream_setting}")
    spent = await context.store.spent(bought.source.slug, context.clock.now())
    inbox = await context.store.inbox()
    used = spent.registered + spent.begun + spent.real_time
    return {
        "upstream": bought.source.slug,
        "cap": bought.cap,
        "spent": {
            "registrations": spent.registered,
            "registrations_begun": spent.begun,
            "real_time": spent.real_time,
            "total": used,
            "left": None if bought.cap is None else max(0, bought.cap - used),
        },
        "saved": {"registrations": spent.shared, "questions": spent.fresh},
        "numbers_registered": spent.known,
        "pushes": {state.value: inbox.get(state, 0) for state in InboxState},
    }


async def learn_carriers(context: Context, values: Mapping[str, str]) -> Answer:
    """Know the imported carriers (``list``: what was kept of them) from now on."""
    try:
        context.directory.learn(read_stored(values["list"].encode()))
    except ListError as error:
        raise OwnerError(f"the list of carriers cannot be read: {error}") from None
    await context.store.enter(OPERATOR, deed(context, "carriers.import", "carriers"))
    return {"carriers": sum(1 for _ in context.directory)}


VERBS: dict[str, Verb] = {
    "plan": plan,
    "explain": explain,
    "advance": advance,
    "upstream": upstream,
    "carriers": learn_carriers,
}


def deed(context: Context, action: str, subject: str, *fields: str) -> Deed:
    """What the owner does now, for the audit."""
    return Deed(BY_OWNER, context.clock.now(), action, subject, fields)


def account_subject(name: str) -> str:
    """How the audit names an account."""
    return f"account {name}"


async def account_named(context: Context, name: str | None) -> Account:
    """The account of this name; the first one without a name."""
    known = await context.store.accounts()
    account = next((item for item in known if name in (None, item.name)), None)
    if account is None:
        raise OwnerError(
            f"there is no account {name!r}" if name else "there is no account yet: start the service"
        )
    return account


async def _shipments(context: Context, account: Account, text: str) -> list[Shipment]:
    number = normalise(text)
    if number is None:
        return []
    return [shipment for shipment, _ in await context.store.find(account.id, [identity(number)])]


def _explained(account: Account, shipment: Shipment) -> Answer:
    return {
        "account": account.name,
        "number": shipment.number,
        "carrier": shipment.carrier,
        "code": shipment.code,
        "carrier_is": _ORIGINS[shipment.origin],
        "carrier_doubt": _doubt_text(shipment),
        "phase": shipment.phase.value,
        "status": shipment.sub_status.value if shipment.sub_status else None,
        "lane": shipment.lane,
        "trouble": shipment.trouble,
        "version": shipment.version,
        "next_refresh": time_text(shipment.refresh_at),
        "stopped_at": time_text(shipment.stopped_at),
        "stop_reason": shipment.stop_reason.value if shipment.stop_reason else None,
    }


def _doubt_text(shipment: Shipment) -> str | None:
    """How the search for another carrier stands; None when there is no reason for one."""
    doubt = shipment.doubt
    if doubt is None:
        return None
    asked = f", asked now: {doubt.asks}" if doubt.asks else ""
    tried = f", not known to {', '.join(doubt.tried)}" if doubt.tried else ""
    return f"unknown {doubt.unknown} times{tried}{asked}"


async def _lane(context: Context, shipment: Shipment) -> Answer:
    """Whether the lane of a shipment has to wait, and why."""
    lane = await context.store.lane(shipment.lane)
    waits = lane.blocked_until is not None and lane.blocked_until > context.clock.now()
    return {
        "lane_waits_until": time_text(lane.blocked_until) if waits else None,
        "lane_waits_why": lane.blocked_why if waits else None,
    }


async def _parked(context: Context, shipment: Shipment) -> Answer:
    """Why nobody refreshes it any more."""
    why = [one.why for one in await context.store.parked(shipment.account) if one.shipment == shipment.id]
    return {"parked_why": why[0] if why else None}


async def _route(context: Context, shipment: Shipment) -> Answer:
    """Who is asked about a shipment and why, and what the upstream knows of it."""
    routes = context.routes
    bought = None
    if routes.upstream:
        rows = await context.store.bought(routes.upstream.source.slug, [shipment.number])
        pair = shipment.number, shipment.carrier
        bought = next((row for row in rows if row.pair == pair), None)
    given_up = bought.given_up if bought else None
    route = routes.route(shipment.carrier, shipment.number, shipment.wish.hint, given_up)
    return {
        "source": route.source.slug if route.source else None,
        "source_why": route.why,
        "upstream_registered": time_text(bought.registered_at) if bought else None,
        "upstream_stopped": time_text(bought.stopped_at) if bought else None,
    }


def _attempt(attempt: Attempt) -> Answer:
    return {"at": time_text(attempt.at), "outcome": attempt.outcome, "ms": attempt.ms, "why": attempt.text}


def time_text(at: datetime | None) -> str | None:
    """As shown to the owner: ISO, UTC, whole seconds."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
