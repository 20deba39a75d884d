"""The secret key of a database: whether a process has the right one, and values encrypted again."""

from typing import Any

from parcelwire.domain.errors import ConfigError
from parcelwire.store.postgres.pool import Connection, Pool
from parcelwire.store.vault import PREFIX_BYTES, SEALED_COLUMNS, Vault

_KEY_CHECK = "the secret key of this database"  # of databases from before they kept a root
_FOREIGN = (
    "this database belongs to another secret key: give PARCELWIRE_SECRET_KEY (or secret.key in the data "
    "folder) the key of the process that made it"
)


async def keep_root(pool: Pool, vault: Vault) -> None:
    """Adopt the root of the database, or make the vault's own its root.

    All processes must have the secret key of the first one. ConfigError when this one's is another.
    """
    mark, root = vault.digest(_KEY_CHECK).hex(), vault.seal_root().hex()

    async def work(c: Connection, _again: bool) -> str | None:
        check = await c.fetchval("SELECT value FROM meta WHERE key = 'key_check'")
        if check not in (None, mark):
            return None
        await c.execute("INSERT INTO meta VALUES ('root', $1) ON CONFLICT DO NOTHING", root)
        await c.execute("DELETE FROM meta WHERE key = 'key_check'")
        kept: str = await c.fetchval("SELECT value FROM meta WHERE key = 'root'")
        return kept

    kept = await pool.transaction(work)
    if kept is None:
        raise ConfigError(_FOREIGN)
    try:
        vault.adopt(bytes.fromhex(kept))
    except ConfigError:
        raise ConfigError(_FOREIGN) from None


async def reseal(pool: Pool, vault: Vault, most: int) -> int:
    """Encrypt at most so many values again, each in a transaction of its own; answers how many it was.

    A value that somebody else changes meanwhile is left to them.
    """
    vault.refresh()
    done = 0
    for table, column, place_of in SEALED_COLUMNS:
        stale = f"SELECT id, {column} FROM {table} WHERE substr({column}, 1, $1) <> $2 LIMIT $3"
        change = f"UPDATE {table} SET {column} = $3 WHERE id = $1 AND {column} = $2"
        values = (PREFIX_BYTES, vault.newest, most - done)
        for row, sealed in await _fetch(pool, stale, *values):
            again = vault.seal(vault.open(sealed, place_of(row)), place_of(row))
            await _fetch(pool, change, row, sealed, again)
            done += 1
    return done + (await _reseal_root(pool, vault) if done < most else 0)


async def _reseal_root(pool: Pool, vault: Vault) -> int:
    ((kept,),) = await _fetch(pool, "SELECT value FROM meta WHERE key = 'root'")
    if bytes.fromhex(kept).startswith(vault.newest):
        return 0
    await _fetch(pool, "UPDATE meta SET value = $1 WHERE key = 'root'", vault.seal_root().hex())
    return 1


async def _fetch(pool: Pool, statement: str, *values: object) -> list[Any]:
    rows: list[Any] = await pool.statement(lambda c, _: c.fetch(statement, *values))
    return rows
