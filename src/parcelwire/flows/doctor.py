"""A look at everything that may be wrong, for whoever is called at night."""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from parcelwire.domain.endpoint import EndpointState
from parcelwire.domain.errors import StoreUnavailable
from parcelwire.domain.push import PushState
from parcelwire.flows.audit import verify
from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, Verb, time_text
from parcelwire.ports import InboxState


class State(StrEnum):
    """Of one check."""

    OK = "ok"
    WARNING = "warning"  # somebody should look at it
    WRONG = "wrong"  # a promise does not hold


Finding = tuple[State, str]

EXAMINE_S = 10.0  # for a look at every page: some gigabytes


async def doctor(context: Context, values: Mapping[str, str]) -> Answer:
    """Every check with what it found. ``ledger``: the counters of quota are added up again, too."""
    checks = CHECKS | (LEDGER if values.get("ledger") == "1" else {})
    found = {name: await _tried(check, context) for name, check in checks.items()}
    return {
        "checks": [
            {"name": name, "state": state.value, "detail": detail} for name, (state, detail) in found.items()
        ]
    }


async def _tried(check: "Check", context: Context) -> Finding:
    try:
        return await check(context)
    except StoreUnavailable as error:
        return State.WRONG, str(error)


async def _database(context: Context) -> Finding:
    found = await context.store.examine(EXAMINE_S)
    if found.damage:
        return State.WRONG, found.damage
    if found.unsafe:
        return State.WARNING, "; ".join(found.unsafe)
    return State.OK, found.seen


async def _accounts(context: Context) -> Finding:
    accounts = await context.store.accounts()
    suspended = [account.name for account in accounts if not account.enabled]
    return _listed(f"{len(accounts)} accounts", "suspended", suspended)


async def _secret_key(context: Context) -> Finding:
    if context.keyring is None or context.keyring.count() == 1:
        return State.OK, "one"
    return State.WARNING, "two: finish with 'parcelwire secrets rotate', then --finish"


async def _audit(context: Context) -> Finding:
    chains = (await verify(context, {}))["chains"]
    broken = [f"{row['account']}: {row['broken']}" for row in chains if row["broken"]]
    if broken:
        return State.WRONG, "; ".join(broken)
    return State.OK, f"{sum(row['records'] for row in chains)} records in {len(chains)} chains, whole"


async def _lanes(context: Context) -> Finding:
    now = context.clock.now()
    lanes = [await context.store.lane(name) for name in await context.store.lanes()]
    resting = [
        f"{lane.name} until {time_text(lane.blocked_until)} ({lane.blocked_why})"
        for lane in lanes
        if lane.blocked_until is not None and lane.blocked_until > now
    ]
    return _listed(f"{len(lanes)} in use", "resting", resting)


async def _receivers(context: Context) -> Finding:
    bad, pending, dead = [], 0, 0
    for account in await context.store.accounts():
        bad += [
            f"{one.id} {one.health.state} ({one.health.why})"
            for one in await context.store.endpoints(account.id)
            if one.health.state is not EndpointState.HEALTHY
        ]
        for counts in (await context.store.push_counts(account.id)).values():
            pending += counts.get(PushState.PENDING, 0)
            dead += counts.get(PushState.DEAD, 0)
    return _listed(f"{pending} pushes waiting, {dead} given up", "not healthy", bad)


async def _inbox(context: Context) -> Finding:
    counts = await context.store.inbox()
    parked, waiting = counts.get(InboxState.PARKED, 0), counts.get(InboxState.WAITING, 0)
    if parked:
        return State.WARNING, f"{waiting} waiting, {parked} parked: parcelwire inbox list"
    return State.OK, f"{waiting} waiting"


async def _ledger(context: Context) -> Finding:
    names = {account.id: account.name for account in await context.store.accounts()}
    wrong = [
        f"{names.get(account, account)} in {period}: counted {counter}, the ledger has {total}"
        for account, period, counter, total in await context.store.ledger_errors()
    ]
    return (State.WRONG, "; ".join(wrong)) if wrong else (State.OK, "every counter is the sum of its entries")


Check = Callable[[Context], Awaitable[Finding]]
CHECKS: dict[str, Check] = {
    "database": _database,
    "accounts": _accounts,
    "secret key": _secret_key,
    "audit": _audit,
    "lanes": _lanes,
    "receivers": _receivers,
    "inbox": _inbox,
}
LEDGER: dict[str, Check] = {"quota": _ledger}  # reads the whole ledger
VERBS: dict[str, Verb] = {"doctor": doctor}


def _listed(text: str, what: str, bad: list[str]) -> Finding:
    return (State.WARNING, f"{text}; {what}: {'; '.join(bad)}") if bad else (State.OK, text)
