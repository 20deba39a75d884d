"""Chains of records of who changed what, inside one transaction."""

import sqlite3

from parcelwire.domain.audit import Chain, Deed, content, head_content
from parcelwire.store.rows import AUDIT, CHAIN, audit_values, chain_of
from parcelwire.store.vault import Vault


def enter(c: sqlite3.Connection, vault: Vault, account: int, deed: Deed | None) -> None:
    """Add one record, in the transaction of the change; nothing for None."""
    if deed is None:
        return
    found = c.execute("SELECT seq, mark FROM audit_head WHERE account = ?", (account,)).fetchone()
    seq, before = (found[0] + 1, found[1]) if found else (1, b"")
    mark = vault.mark(content(account, seq, deed, before))
    c.execute(
        f"INSERT INTO audit ({', '.join(AUDIT)}) VALUES ({', '.join('?' * len(AUDIT))})",
        audit_values(account, seq, deed, before, mark),
    )
    c.execute(
        "INSERT OR REPLACE INTO audit_head (account, seq, mark, seal) VALUES (?, ?, ?, ?)",
        (account, seq, mark, vault.mark(head_content(account, seq, mark))),
    )


def chain(c: sqlite3.Connection, vault: Vault, account: int) -> Chain:
    """All that was entered."""
    return chain_of(vault, account, c.execute(CHAIN.format("?"), (account,)).fetchall())


def chains(c: sqlite3.Connection) -> list[int]:
    """Whose chains there are."""
    rows = c.execute("SELECT account FROM audit UNION SELECT account FROM audit_head ORDER BY account")
    return [account for (account,) in rows]
