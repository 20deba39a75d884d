"""Connections to one database: few, replaced when they break, and work repeated when that can help.

Nothing here is kept in a session, so a PgBouncer in transaction mode may stand between: the DSN then carries
``statement_cache_size=0``. Settings of a session are sent at its start, or with every transaction then.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
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
# How long the kernel of the server's host may be silent: 10 s, whether we wait for an answer or it for ours.
SILENCE = {
    "TCP_USER_TIMEOUT": 10_000,  # ms
    "TCP_KEEPIDLE": 4,
    "TCP_KEEPINTVL": 2,
    "TCP_KEEPCNT": 3,
}
TIMEOUTS = {
    "statement_timeout": "30s",
    "lock_timeout": "15s",
    # A process that was stopped in the middle of a transaction must not hold its rows for ever.
    "idle_in_transaction_session_timeout": "10s",
}
# Before each repetition: 3 s together at most. A crashed server is back after one or two.
PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5)
REPEAT_S = 15.0  # none begins later: each may wait for a host that is silent

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


@dataclass(slots=True)
class Target:
    """Where the database is, and whether its server keeps sessions.

    ``dsns``: one for each host. Of several only a primary will do; the host where it was found last is the
    first to be tried.
    """

    dsns: tuple[str, ...]
    sessions: bool
    _first: int = 0

    @classmethod
    def of(cls, dsn: str) -> "Target":
        """Takes our own switch out of a DSN, and its hosts apart."""
        parts = urlsplit(dsn)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        sessions = query.pop(CACHE, None) != "0"
        places = _places(parts.netloc, query)
        if len(places) > 1:
            query.setdefault("target_session_attrs", "read-write")
        return cls(
            tuple(
                urlunsplit(parts._replace(netloc=netloc, query=urlencode(query | place)))
                for netloc, place in places
            ),
            sessions,
        )

    @property
    def where(self) -> str:
        """ " at" hosts and ports, nothing else of the DSN; empty when a part of a password may be in them."""
        places = []
        for parts in map(urlsplit, self.dsns):
            if (
                "@" in f"{parts.path}{parts.query}{parts.fragment}"
            ):  # a special character has ended the host too early
                return ""
            query = dict(parse_qsl(parts.query))
            host = parts.hostname or query.get("host", "localhost")
            places.append(f"{host}:{parts.port or query.get('port', 5432)}")
        return f" at {', '.join(places)}"

    async def connect(self, *_: object, **__: object) -> Connection:
        """A new connection to the first host that lets us in. A host that is silent costs CONNECT_S once."""
        failed: Exception = OSError("no host")
        for place in (*range(self._first, len(self.dsns)), *range(self._first)):
            try:
                connection = await self._connect(self.dsns[place])
            except Exception as error:
                if not _is_of_the_server(error):
                    raise
                failed = error
                if self._first == place:
                    self._first = (place + 1) % len(self.dsns)
            else:
                self._first = place
                return connection
        raise failed

    async def _connect(self, dsn: str) -> Connection:
        settings = {"application_name": "parcelwire"}
        if self.sessions:
            settings |= TIMEOUTS
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_S,
            command_timeout=COMMAND_S,
            statement_cache_size=100 if self.sessions else 0,
            server_settings=settings if self.sessions else None,
        )
        _notice_silence(connection)
        return connection


def _notice_silence(connection: Connection) -> None:
    """A host that lost its power closes nothing; its kernel does not answer ours any more."""
    opened = connection._transport.get_extra_info("socket")  # noqa: SLF001  asyncpg shows it nowhere else
    if opened.family not in (socket.AF_INET, socket.AF_INET6):
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SILENCE.items():
        option = getattr(socket, name, None)  # not every system has them all
        if option is not None:
            opened.setsockopt(socket.IPPROTO_TCP, option, value)


def _places(netloc: str, query: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Of each host the part of the DSN before the path, and what its query says in place of lists.

    libpq's two ways: ``//user@a:1,b:2/`` and ``//user@/?host=a,b&port=1,2``.
    """
    login, at, hosts = netloc.rpartition("@")
    if "," in hosts:
        return [(f"{login}{at}{host}", {}) for host in hosts.split(",")]
    named, ports = query.get("host", "").split(","), query.get("port", "").split(",")
    if len(named) == 1:
        return [(netloc, {})]
    ports = ports if len(ports) == len(named) else ports[:1] * len(named)
    return [
        (netloc, {"host": host} | ({"port": port} if port else {}))
        for host, port in zip(named, ports, strict=True)
    ]


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
                target.dsns[0],
                min_size=0,  # else the driver logs how it fails to connect, while we say so ourselves
                max_size=CONNECTIONS,
                connect=target.connect,
                reset=_keep_as_it_is,
                max_inactive_connection_lifetime=300,
            )
            async with pool.acquire():
                pass
        except ValueError:  # its text may hold a part of a password
            raise ConfigError(
                "PARCELWIRE_DATABASE: postgresql://user:password@host:5432/database is expected, "
                "with special characters of the password percent-encoded"
            ) from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise ConfigError(
                f"PARCELWIRE_DATABASE: cannot open the database{target.where}: {_said(error)}"
            ) from error
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
        ends_at = asyncio.get_running_loop().time() + REPEAT_S
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
            late = asyncio.get_running_loop().time() > ends_at
            if pause is None or hopeless or late or (once and again):
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
