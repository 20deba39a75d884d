"""Chains of records of who changed what, inside one transaction.

Whoever adds a record holds the chain's head until the commit, and takes nothing else after it: so chains have
no gaps, whatever the processes, and nobody waits in a circle.
"""

from parcelwire.domain.audit import Chain, Deed, content, head_content
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import AUDIT, CHAIN, audit_values, chain_of
from parcelwire.store.vault import Vault

_MARKS = ", ".join(f"${number}" for number in range(1, len(AUDIT) + 1))
_ENTER = f"INSERT INTO audit ({', '.join(AUDIT)}) VALUES ({_MARKS})"


async def enter(c: Connection, vault: Vault, account: int, deed: Deed | None, *, again: bool) -> None:
    """Add one record, in the transaction of the change; nothing for None.

    ``again``: an earlier try may have been committed; then its record is there already.
    """
    if deed is None:
        return
    await c.execute("INSERT INTO audit_head VALUES ($1, 0, '', '') ON CONFLICT DO NOTHING", account)
    last, before = await c.fetchrow("SELECT seq, mark FROM audit_head WHERE account = $1 FOR UPDATE", account)
    seq = last + 1
    mark = vault.mark(content(account, seq, deed, before))
    values = audit_values(account, seq, deed, before, mark)
    if again and await c.fetchval(
        """SELECT true FROM audit WHERE account = $1 AND at = $2 AND actor = $3 AND action = $4
        AND subject = $5""",
        account, *values[2:6],
    ):  # fmt: skip
        return
    await c.execute(_ENTER, *values)
    await c.execute(
        "UPDATE audit_head SET seq = $2, mark = $3, seal = $4 WHERE account = $1",
        account, seq, mark, vault.mark(head_content(account, seq, mark)),
    )  # fmt: skip


async def chain(c: Connection, vault: Vault, account: int) -> Chain:
    """All that was entered."""
    return chain_of(vault, account, await c.fetch(CHAIN.format("$1::bigint"), account))


async def chains(c: Connection) -> list[int]:
    """Whose chains there are."""
    rows = await c.fetch("SELECT account FROM audit UNION SELECT account FROM audit_head ORDER BY account")
    return [account for (account,) in rows]
