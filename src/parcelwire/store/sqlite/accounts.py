"""Accounts and their login keys inside one transaction."""

import sqlite3
from datetime import datetime

from parcelwire.domain.account import LIVE_KEYS_MAX, Account, LoginKey, NewAccount
from parcelwire.store.rows import ACCOUNT, account_of, micros, moment, moment_or_none, networks_text
from parcelwire.store.vault import PREFIX_CHARACTERS, Vault, sign_key_place

_SELECT = f"SELECT {', '.join(ACCOUNT)} FROM account"


def all_of(c: sqlite3.Connection) -> list[Account]:
    """In the order in which they were opened."""
    return [account_of(row) for row in c.execute(f"{_SELECT} ORDER BY id")]


def of_key(c: sqlite3.Connection, digest: bytes) -> Account | None:
    """Whose live key it is."""
    row = c.execute(
        f"{_SELECT} WHERE id = (SELECT account FROM api_key WHERE hash = ? AND revoked_at IS NULL)", (digest,)
    ).fetchone()
    return account_of(row) if row else None


def open_account(c: sqlite3.Connection, vault: Vault, new: NewAccount, now: datetime) -> Account:
    """A new account with its login key."""
    cursor = c.execute(
        """INSERT INTO account (name, plan, quota_total, max_daily, networks, sign_key)
        VALUES (?, ?, ?, ?, ?, x'')""",
        (new.name, new.plan, new.quota_total, new.max_daily, networks_text(new)),
    )
    account = cursor.lastrowid
    assert account is not None  # noqa: S101
    set_sign_key(c, vault, account, new.sign_key)
    _insert_key(c, vault, account, new.login_key, now)
    return Account(
        account, new.name, new.plan, new.quota_total, max_daily=new.max_daily, networks=new.networks
    )


def save(c: sqlite3.Connection, account: Account) -> None:
    """What its owner decides about it."""
    c.execute(
        "UPDATE account SET max_daily = ?, enabled = ?, networks = ? WHERE id = ?",
        (account.max_daily, account.enabled, networks_text(account), account.id),
    )


def set_sign_key(c: sqlite3.Connection, vault: Vault, account: int, sign_key: str) -> None:
    """Another signing key."""
    sealed = vault.seal(sign_key, sign_key_place(account))
    c.execute("UPDATE account SET sign_key = ? WHERE id = ?", (sealed, account))


def keys(c: sqlite3.Connection, vault: Vault, account: int) -> list[LoginKey]:
    """Oldest first. The one that signs is known by its hash."""
    rows = c.execute(
        """SELECT k.prefix, k.created_at, k.revoked_at, k.hash, a.sign_key
        FROM account a JOIN api_key k ON k.account = a.id WHERE a.id = ?
        ORDER BY k.created_at, k.prefix""",
        (account,),
    )
    return [
        LoginKey(
            prefix, moment(created_at), moment_or_none(revoked_at),
            signs=digest == vault.digest(vault.open(sealed, sign_key_place(account))),
        )
        for prefix, created_at, revoked_at, digest, sealed in rows
    ]  # fmt: skip


def add_key(c: sqlite3.Connection, vault: Vault, account: int, login_key: str, now: datetime) -> bool:
    """False when there are enough live ones."""
    (live,) = c.execute(
        "SELECT count(*) FROM api_key WHERE account = ? AND revoked_at IS NULL", (account,)
    ).fetchone()
    if live >= LIVE_KEYS_MAX:
        return False
    _insert_key(c, vault, account, login_key, now)
    return True


def revoke_key(c: sqlite3.Connection, account: int, prefix: str, now: datetime) -> bool:
    """The row stays, so that the same key never comes back."""
    changed = c.execute(
        "UPDATE api_key SET revoked_at = ? WHERE account = ? AND prefix = ? AND revoked_at IS NULL",
        (micros(now), account, prefix),
    ).rowcount
    return bool(changed)


def _insert_key(c: sqlite3.Connection, vault: Vault, account: int, login_key: str, now: datetime) -> None:
    c.execute(
        "INSERT INTO api_key (account, hash, prefix, created_at) VALUES (?, ?, ?, ?)",
        (account, vault.digest(login_key), login_key[:PREFIX_CHARACTERS], micros(now)),
    )
