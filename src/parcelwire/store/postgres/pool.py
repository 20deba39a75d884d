"""Connections to one database: few, replaced when they break, and work repeated when that can help.

Nothing here is kept in a session, so a PgBouncer in transaction mode may stand between: the DSN then carries
``statement_cache_size=0``. Settings of a session are sent at its start, or with every transaction then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from parcelwire.domain.errors import ConfigError, StoreUnavailable

CONNECTIONS = 7  # of a process; one more listens for hints
CACHE = "statement_cache_size"
CONNECT_S = 5.0
ACQUIRE_S = 10.0  # to wait for a free connection: longer than any transaction takes
COMMAND_S = 40.0  # the server ends a statement before that; this is for a server that is gone
TIMEOUTS = {
    "statement_timeout": "30s",
    "lock_timeout": "15s",
    # A process that was stopped in the middle of a transaction must not hold its rows for ever.
    "idle_in_transaction_session_timeout": "10s",
}
# Before each repetition: 3 s together at most. A crashed server is back after one or two.
PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5)

T = TypeVar("T")
Connection = Any  # asyncpg has no types
Work = Callable[[Connection, bool], Awaitable[T]]  # True: an earlier try may have been committed

_ROLLED_BACK = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
_OF_THE_SERVER = (
    OSError,  # and TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # how the driver notices some connections that were cut off
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # it became a standby
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class TryAgain(Exception):
    """Raised by work that met a rare race: roll back and do it once more."""


@dataclass(frozen=True, slots=True)
class Target:
    """A DSN, and whether its server keeps sessions."""

    dsn: str
    sessions: bool

    @classmethod
    def of(cls, dsn: str) -> "Target":
        """Takes our own switch out of a DSN."""
        parts = urlsplit(dsn)
        query = parse_qsl(parts.query, keep_blank_values=True)
        kept = [(name, value) for name, value in query if name != CACHE]
        sessions = (CACHE, "0") not in query
        return cls(urlunsplit(parts._replace(query=urlencode(kept))), sessions)

    async def connect(self, *_: object, **__: object) -> Connection:
        """A new connection."""
        settings = {"application_name": "parcelwire"}
        if self.sessions:
            settings |= TIMEOUTS
        return await asyncpg.connect(
            self.dsn,
            timeout=CONNECT_S,
            command_timeout=COMMAND_S,
            statement_cache_size=100 if self.sessions else 0,
            server_settings=settings if self.sessions else None,
        )


class Pool:
    """Make it with ``await Pool.open(...)``. ``chance`` in [0, 1) spreads repetitions."""

    def __init__(self, target: Target, pool: Any, chance: Callable[[], float]) -> None:
        self._target = target
        self._pool = pool
        self._chance = chance
        self._closed = False

    @classmethod
    async def open(cls, target: Target, chance: Callable[[], float]) -> "Pool":
        """ConfigError when the server cannot be reached or does not let us in."""
        try:
            pool = await asyncpg.create_pool(
                target.dsn,
                min_size=1,
                max_size=CONNECTIONS,
                connect=target.connect,
                reset=_keep_as_it_is,
                max_inactive_connection_lifetime=300,
            )
        except ValueError:  # its text may hold a part of a password
            raise ConfigError(
                "PARCELWIRE_DATABASE: postgresql://user:password@host:5432/database is expected, "
                "with special characters of the password percent-encoded"
            ) from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ConfigError(f"PARCELWIRE_DATABASE: cannot open the database: {_said(error)}") from error
        return cls(target, pool, chance)

    async def close(self) -> None:
        """Finish what is under way, at most for a few seconds."""
        self._closed = True
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def transaction(self, work: Work[T], *, once: bool = False) -> T:
        """The answer of ``work``, all statements of which are one transaction.

        ``once``: work that must not be done twice is not repeated when nobody knows whether it was done.
        """

        async def together(connection: Connection, again: bool) -> T:
            async with connection.transaction():
                if not self._target.sessions:
                    await connection.execute("; ".join(_local_settings()))
                return await work(connection, again)

        return await self._run(together, once)

    async def statement(self, work: Work[T], *, once: bool = False) -> T:
        """The answer of ``work``, each statement of which may be committed by itself."""
        if not self._target.sessions:
            return await self.transaction(work, once=once)
        return await self._run(work, once)

    async def _run(self, work: Work[T], once: bool) -> T:
        again = False
        failed: Exception
        for pause in (*PAUSES_S, None):
            try:
                return await self._try(work, again)
            except (*_ROLLED_BACK, TryAgain) as error:
                failed = error
            except asyncpg.InvalidCachedStatementError as error:  # the schema was changed under a plan
                failed = error
            except Exception as error:
                if not _is_of_the_server(error):
                    raise
                failed, again = error, True
            hopeless = isinstance(failed, asyncpg.QueryCanceledError)  # it took too long, and would again
            if pause is None or hopeless or (once and again):
                break
            await asyncio.sleep(pause * (0.5 + self._chance()))
        raise StoreUnavailable(f"the database does not answer: {_said(failed)}") from failed

    async def _try(self, work: Work[T], again: bool) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        async with self._pool.acquire(timeout=ACQUIRE_S) as connection:
            try:
                return await work(connection, again)
            except Exception as error:
                if _is_of_the_server(error):
                    connection.terminate()
                raise


def _local_settings() -> list[str]:
    return [f"SET LOCAL {name} = '{value}'" for name, value in TIMEOUTS.items()]


def _is_of_the_server(error: BaseException) -> bool:
    """Not of the statement or its values (a value that cannot be bound is a ValueError too)."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    return isinstance(error, _OF_THE_SERVER)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


async def _keep_as_it_is(_connection: Connection) -> None:
    """We leave nothing in a session that would have to be reset."""
