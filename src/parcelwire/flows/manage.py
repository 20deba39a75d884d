"""What the owner does: from the command line, directly or through the running service."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.errors import ParcelwireError
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.quota import plan_size
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.context import Context
from parcelwire.ports import Attempt

EXPLAIN_ATTEMPTS = 20
SANDBOX = "sandbox"


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
    return await context.store.open_account(new, context.clock.now())


async def accounts(context: Context, _values: Mapping[str, str]) -> Answer:
    """All accounts with their quota."""
    rows = []
    for account in await context.store.accounts():
        usage = await context.store.usage(account.id, context.clock.now())
        rows.append(
            {"name": account.name, "plan": account.plan, "quota_total": usage.total, "quota_used": usage.used}
        )
    return {"accounts": rows}


async def plan(context: Context, values: Mapping[str, str]) -> Answer:
    """Give an account (``account``, default the first) another plan (``plan``)."""
    size = plan_size(values["plan"])
    if size is None:
        raise OwnerError("a plan is free, unlimited or a number of quota units a month")
    account = await account_named(context, values.get("account"))
    await context.store.set_plan(account.id, values["plan"], size)
    return {"name": account.name, "plan": values["plan"], "quota_total": size}


async def explain(context: Context, values: Mapping[str, str]) -> Answer:
    """Why a shipment (``number``) stands where it stands: its registrations and their last refreshes."""
    rows = []
    for account in await context.store.accounts():
        for shipment in await _shipments(context, account, values["number"]):
            attempts = await context.store.attempts(shipment.id, EXPLAIN_ATTEMPTS)
            rows.append(_explained(account, shipment) | {"refreshes": [_attempt(item) for item in attempts]})
    if not rows:
        raise OwnerError(f"{values['number']} is not registered")
    return {"shipments": rows}


async def advance(context: Context, values: Mapping[str, str]) -> Answer:
    """Move a sandbox journey (``number``) on by ``steps``, at once."""
    moved = 0
    step = context.paces[SANDBOX].day
    for account in await context.store.accounts():
        for shipment in await _shipments(context, account, values["number"]):
            if shipment.carrier == SANDBOX:
                by = step * int(values.get("steps", "1"))
                await context.store.rewind(shipment.id, by, context.clock.now())
                moved += 1
    if not moved:
        raise OwnerError(f"{values['number']} is not a registered sandbox number")
    return {"number": values["number"], "advanced": moved}


VERBS: dict[str, Verb] = {"accounts": accounts, "plan": plan, "explain": explain, "advance": advance}


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
        raise OwnerError(f"{text!r} is not a tracking number")
    return [shipment for shipment, _ in await context.store.find(account.id, [identity(number)])]


def _explained(account: Account, shipment: Shipment) -> Answer:
    return {
        "account": account.name,
        "number": shipment.number,
        "carrier": shipment.carrier,
        "code": shipment.code,
        "phase": shipment.phase.value,
        "status": shipment.sub_status.value if shipment.sub_status else None,
        "lane": shipment.lane,
        "trouble": shipment.trouble,
        "version": shipment.version,
        "next_refresh": time_text(shipment.refresh_at),
        "stop_reason": shipment.stop_reason.value if shipment.stop_reason else None,
    }


def _attempt(attempt: Attempt) -> Answer:
    return {"at": time_text(attempt.at), "outcome": attempt.outcome, "ms": attempt.ms, "why": attempt.text}


def time_text(at: datetime | None) -> str | None:
    """As shown to the owner: ISO, UTC, whole seconds."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
