"""Accounts and their login keys inside one transaction."""

from datetime import datetime

from parcelwire.domain.account import LIVE_KEYS_MAX, Account, LoginKey, NewAccount
from parcelwire.store.postgres import quota
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import ACCOUNT, account_of, micros, moment, moment_or_none, networks_text
from parcelwire.store.vault import PREFIX_CHARACTERS, Vault, sign_key_place

_SELECT = f"SELECT {', '.join(ACCOUNT)} FROM account"
_OF_KEY = f"{_SELECT} WHERE id = (SELECT account FROM api_key WHERE hash = $1 AND revoked_at IS NULL)"


async def all_of(c: Connection) -> list[Account]:
    """In the order in which they were opened."""
    return [account_of(row) for row in await c.fetch(f"{_SELECT} ORDER BY id")]


async def of_key(c: Connection, digest: bytes) -> Account | None:
    """Whose live key it is."""
    row = await c.fetchrow(_OF_KEY, digest)
    return account_of(row) if row else None


async def open_account(c: Connection, vault: Vault, new: NewAccount, now: datetime) -> Account:
    """A new account with its login key."""
    account = await c.fetchval(
        """INSERT INTO account (name, plan, quota_total, max_daily, networks, sign_key)
        VALUES ($1, $2, $3, $4, $5, '') RETURNING id""",
        new.name, new.plan, new.quota_total, new.max_daily, networks_text(new),
    )  # fmt: skip
    await set_sign_key(c, vault, account, new.sign_key)
    await _insert_key(c, vault, account, new.login_key, now)
    return Account(
        account, new.name, new.plan, new.quota_total, max_daily=new.max_daily, networks=new.networks
    )


async def save(c: Connection, account: Account) -> None:
    """What its owner decides about it."""
    await c.execute(
        "UPDATE account SET max_daily = $1, enabled = $2, networks = $3 WHERE id = $4",
        account.max_daily, account.enabled, networks_text(account), account.id,
    )  # fmt: skip


async def set_sign_key(c: Connection, vault: Vault, account: int, sign_key: str) -> None:
    """Another signing key."""
    sealed = vault.seal(sign_key, sign_key_place(account))
    await c.execute("UPDATE account SET sign_key = $1 WHERE id = $2", sealed, account)


async def keys(c: Connection, vault: Vault, account: int) -> list[LoginKey]:
    """Oldest first. The one that signs is known by its hash."""
    rows = await c.fetch(
        """SELECT k.prefix, k.created_at, k.revoked_at, k.hash, a.sign_key
        FROM account a JOIN api_key k ON k.account = a.id WHERE a.id = $1
        ORDER BY k.created_at, k.prefix COLLATE "C" """,
        account,
    )
    return [
        LoginKey(
            prefix, moment(created_at), moment_or_none(revoked_at),
            signs=digest == vault.digest(vault.open(sealed, sign_key_place(account))),
        )
        for prefix, created_at, revoked_at, digest, sealed in rows
    ]  # fmt: skip


async def add_key(
    c: Connection, vault: Vault, account: int, login_key: str, now: datetime, *, signs: bool, again: bool
) -> bool:
    """False when there are enough live ones. ``again``: an earlier try may have been committed."""
    await quota.lock(c, account)
    known = again and await c.fetchval(
        "SELECT true FROM api_key WHERE account = $1 AND hash = $2 AND created_at = $3",
        account, vault.digest(login_key), micros(now),
    )  # fmt: skip
    if known:
        return True
    live = await c.fetchval("SELECT count(*) FROM api_key WHERE account = $1 AND revoked_at IS NULL", account)
    if live >= LIVE_KEYS_MAX:
        return False
    await _insert_key(c, vault, account, login_key, now)
    if signs:
        await set_sign_key(c, vault, account, login_key)
    return True


async def revoke_key(c: Connection, account: int, prefix: str, now: datetime, *, again: bool) -> bool:
    """The row stays, so that the same key never comes back. ``again``: see add_key."""
    revoked = await c.fetchval(
        """UPDATE api_key SET revoked_at = $1 WHERE account = $2 AND prefix = $3
        AND (revoked_at IS NULL OR $4 AND revoked_at = $1) RETURNING true""",
        micros(now), account, prefix, again,
    )  # fmt: skip
    return bool(revoked)


async def _insert_key(c: Connection, vault: Vault, account: int, login_key: str, now: datetime) -> None:
    await c.execute(
        "INSERT INTO api_key (account, hash, prefix, created_at) VALUES ($1, $2, $3, $4)",
        account, vault.digest(login_key), login_key[:PREFIX_CHARACTERS], micros(now),
    )  # fmt: skip
