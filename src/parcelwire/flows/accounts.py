"""Accounts and their login keys, for the owner."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network

from parcelwire.domain.account import LIVE_KEYS_MAX, Account, LoginKey, Network, NewAccount
from parcelwire.domain.quota import plan_size
from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, OwnerError, Verb, account_named, account_subject, deed, time_text

NAME_MAX = 50
KEY_SHOWN = 8  # characters that tell the keys of an account apart


async def accounts(context: Context, _values: Mapping[str, str]) -> Answer:
    """All accounts with their quota."""
    return {"accounts": [await _shown(context, account) for account in await context.store.accounts()]}


async def add_account(context: Context, values: Mapping[str, str]) -> Answer:
    """A new account (``name``, ``plan``, ``daily``, ``networks``) and its login key, told only now."""
    name, plan = values["name"].strip(), values.get("plan", "free")
    size = plan_size(plan)
    if size is None:
        raise OwnerError("a plan is free, unlimited or a number of quota units a month")
    if not (0 < len(name) <= NAME_MAX and name.isprintable()):
        raise OwnerError(f"a name has 1 to {NAME_MAX} printable characters")
    if any(account.name == name for account in await context.store.accounts()):
        raise OwnerError(f"there is an account {name!r} already")
    login_key = context.new_id().upper()
    new = NewAccount(
        name, plan, size, login_key, login_key, _daily(values.get("daily", "0")), _networks(values)
    )
    done = deed(context, "account.add", account_subject(name))
    account = await context.store.open_account(new, context.clock.now(), done)
    return await _shown(context, account) | {"login_key": login_key}


async def suspend(context: Context, values: Mapping[str, str]) -> Answer:
    """Refuse the calls of an account (``account``); what it registered is refreshed and pushed as before."""
    account = replace(await account_named(context, values["account"]), enabled=False)
    return await _save(context, account, "account.suspend", "enabled")


async def resume(context: Context, values: Mapping[str, str]) -> Answer:
    """Let a suspended account (``account``) call again."""
    account = replace(await account_named(context, values["account"]), enabled=True)
    return await _save(context, account, "account.resume", "enabled")


async def limit(context: Context, values: Mapping[str, str]) -> Answer:
    """At most ``daily`` registrations a day (UTC) for an account (``account``, default the first); 0: any."""
    account = await account_named(context, values.get("account"))
    account = replace(account, max_daily=_daily(values["daily"]))
    return await _save(context, account, "account.limit", "max_daily")


async def allow(context: Context, values: Mapping[str, str]) -> Answer:
    """Calls of an account (``account``, default the first) may come from ``networks`` only; none: all."""
    account = await account_named(context, values.get("account"))
    return await _save(context, replace(account, networks=_networks(values)), "account.allow", "networks")


async def keys(context: Context, values: Mapping[str, str]) -> Answer:
    """The login keys of an account (``account``, default the first), as far as they can be shown."""
    account = await account_named(context, values.get("account"))
    return {
        "account": account.name,
        "keys": [
            {
                "prefix": key.prefix,
                "created_at": time_text(key.created_at),
                "revoked_at": time_text(key.revoked_at),
                "signs": key.signs,
            }
            for key in await context.store.keys(account.id)
        ],
    }


async def add_key(context: Context, values: Mapping[str, str]) -> Answer:
    """One more login key for an account (``account``, default the first), told only now.

    The signing key of webhooks stays, unless ``sign`` makes the new key the signing key too.
    """
    account = await account_named(context, values.get("account"))
    login_key = context.new_id().upper()
    signs = values.get("sign") == "1"
    done = deed(context, "key.add", _key_subject(login_key), *(("sign_key",) if signs else ()))
    if not await context.store.add_key(account.id, login_key, context.clock.now(), signs=signs, deed=done):
        raise OwnerError(
            f"{account.name} has {LIVE_KEYS_MAX} live keys: revoke one first (parcelwire keys list, "
            "parcelwire keys revoke)"
        )
    return {"account": account.name, "login_key": login_key, "signs": signs}


async def revoke_key(context: Context, values: Mapping[str, str]) -> Answer:
    """End the login key of an account (``account``, default the first) that begins with ``prefix``.

    Refused for the last live key and for the one that signs webhooks, which would go on being signed with it,
    unless ``force`` is 1.
    """
    account = await account_named(context, values.get("account"))
    prefix = values["prefix"]
    if values.get("force") != "1":
        _check_spare(account, prefix, await context.store.keys(account.id))
    done = deed(context, "key.revoke", _key_subject(prefix))
    if not await context.store.revoke_key(account.id, prefix, context.clock.now(), done):
        raise OwnerError(f"{account.name} has no live key {prefix!r}: see 'parcelwire keys list'")
    return {"account": account.name, "prefix": prefix}


VERBS: dict[str, Verb] = {
    "accounts": accounts,
    "add_account": add_account,
    "suspend": suspend,
    "resume": resume,
    "limit": limit,
    "allow": allow,
    "keys": keys,
    "add_key": add_key,
    "revoke_key": revoke_key,
}


async def _save(context: Context, account: Account, action: str, field: str) -> Answer:
    await context.store.save_account(account, deed(context, action, account_subject(account.name), field))
    return await _shown(context, account)


def _check_spare(account: Account, prefix: str, known: Sequence[LoginKey]) -> None:
    """OwnerError when something still needs the live key of this prefix."""
    live = [key for key in known if key.revoked_at is None]
    meant = [key for key in live if key.prefix == prefix]
    if any(key.signs for key in meant):
        todo = "make one that signs first (parcelwire keys add --sign), or give --force"
        if len(live) == LIVE_KEYS_MAX:  # there is no room for another one before
            todo = "give --force, and make one that signs then (parcelwire keys add --sign)"
        raise OwnerError(f"{prefix}... signs the webhooks of {account.name}, also when revoked: {todo}")
    if meant == live != []:
        raise OwnerError(
            f"{prefix}... is the last live key of {account.name}: make one first (parcelwire keys add), or "
            "give --force"
        )


def _key_subject(login_key: str) -> str:
    """As much of a key as is shown anywhere."""
    return f"key {login_key[:KEY_SHOWN]}"


async def _shown(context: Context, account: Account) -> Answer:
    usage = await context.store.usage(account.id, context.clock.now())
    return {
        "name": account.name,
        "plan": account.plan,
        "quota_total": usage.total,
        "quota_used": usage.used,
        "daily": account.max_daily,
        "networks": [str(network) for network in account.networks],
        "suspended": not account.enabled,
    }


def _daily(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise OwnerError("a daily limit is a number of registrations, 0 for none")
    return int(text)


def _networks(values: Mapping[str, str]) -> tuple[Network, ...]:
    try:
        parts = [part.strip() for part in values.get("networks", "").split(",")]
        return tuple(ip_network(part) for part in parts if part)
    except ValueError as error:
        raise OwnerError(f"networks such as 192.168.1.0/24 are expected, comma-separated: {error}") from None
