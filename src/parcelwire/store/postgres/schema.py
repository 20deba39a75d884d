"""The database: whether it can be used, and its schema brought up to date."""

from importlib import resources

import asyncpg

from parcelwire.domain.errors import ConfigError
from parcelwire.store.postgres.pool import Connection, Pool, TryAgain

VERSION_MIN = 15
# What a crash must not take away: a server that is set otherwise may lose what was acknowledged.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
MIGRATION_S = 6 * 3600.0  # a step may rewrite a big table


async def warnings(connection: Connection, _again: bool = False) -> list[str]:
    """What is wrong with the server's settings. ConfigError when it is too old."""
    version = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    if version < VERSION_MIN * 10_000:
        raise ConfigError(
            f"PARCELWIRE_DATABASE: PostgreSQL {VERSION_MIN} or newer is needed, this is {version // 10_000}"
        )
    off = [name for name in DURABLE if await connection.fetchval("SELECT current_setting($1)", name) == "off"]
    return [f"the database server has {name} = off: a crash can lose what was acknowledged" for name in off]


def steps() -> list[tuple[int, str]]:
    """The migrations, oldest first: the number in the file name is the schema version that it makes."""
    folder = resources.files("parcelwire.store").joinpath("migrations/postgres")
    return sorted(
        (int(item.name.partition("_")[0]), item.read_text(encoding="utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".sql")
    )


async def migrate(pool: Pool) -> None:
    """Bring the schema up to date, one transaction a step; other processes wait for the version's row."""
    known = steps()
    newest = known[-1][0]
    await pool.transaction(_make_meta)

    async def next_step(c: Connection, _again: bool) -> bool:
        await c.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        row = "SELECT value FROM meta WHERE key = 'schema' FOR UPDATE"
        have = int(await c.fetchval(row, timeout=MIGRATION_S))
        if have > newest:
            raise ConfigError(
                f"the database was written by a newer parcelwire (schema {have}, this one knows "
                f"{newest}): use the newer program, or restore the backup made before"
            )
        if have == newest:
            return False
        version, script = next(step for step in known if step[0] > have)
        try:
            await c.execute(script, timeout=MIGRATION_S)
        except (asyncpg.SyntaxOrAccessError, asyncpg.IntegrityConstraintViolationError) as error:
            raise ConfigError(f"cannot bring the database to schema {version}: {error}") from error
        await c.execute("UPDATE meta SET value = $1 WHERE key = 'schema'", str(version))
        return True

    while await pool.transaction(next_step):
        pass


async def _make_meta(c: Connection, _again: bool) -> None:
    try:
        await c.execute("CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value text NOT NULL)")
        await c.execute("INSERT INTO meta VALUES ('schema', '0') ON CONFLICT DO NOTHING")
    except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.DuplicateTableError) as error:
        # Another process makes it at this moment.
        raise TryAgain from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigError(f"PARCELWIRE_DATABASE: {error}: give its user the schema to own") from error


async def instance(pool: Pool) -> str:
    """A random name of this database: part of every push id."""

    async def work(c: Connection, _again: bool) -> str:
        await c.execute(
            """INSERT INTO meta VALUES ('instance', substr(replace(gen_random_uuid()::text, '-', ''), 1, 16))
            ON CONFLICT DO NOTHING"""
        )
        name: str = await c.fetchval("SELECT value FROM meta WHERE key = 'instance'")
        return name

    return await pool.transaction(work)


async def check_move(pool: Pool, moving_from: str | None) -> None:
    """A database is used when it is whole, and copied into when it is empty or half of the same copy."""

    async def work(c: Connection, _again: bool) -> str | None:
        if moving_from and not await c.fetchval("SELECT EXISTS (SELECT FROM account)"):
            await c.execute("INSERT INTO meta VALUES ('moving_from', $1) ON CONFLICT DO NOTHING", moving_from)
        found: str | None = await c.fetchval("SELECT value FROM meta WHERE key = 'moving_from'")
        return found

    found = await pool.transaction(work)
    if found == moving_from:
        return
    if moving_from:
        raise ConfigError("the database holds something already: parcelwire migrate-store needs an empty one")
    raise ConfigError(
        "the copy into this database is not finished: run the same parcelwire migrate-store again"
    )
