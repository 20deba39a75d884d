"""A DSN with several hosts: one of them is the primary, others may be standbys, dead or silent."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.postgres import Cluster
from tests.store.conftest import vault

from parcelwire.domain.errors import ConfigError
from parcelwire.store.postgres import PostgresStore, pool
from parcelwire.store.postgres.pool import Target

PRIMARY_ONLY = "target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("dsn", "each"),
    [
        ("postgresql://u:p@a/db", ["postgresql://u:p@a/db"]),
        ("postgresql:///db?host=/run/postgresql", ["postgresql:///db?host=%2Frun%2Fpostgresql"]),
        (
            "postgresql://u:p@a:1,[::1]:2/db?target_session_attrs=primary",
            [
                "postgresql://u:p@a:1/db?target_session_attrs=primary",
                "postgresql://u:p@[::1]:2/db?target_session_attrs=primary",
            ],
        ),
        ("postgresql://a,b/db", [f"postgresql://{host}/db?{PRIMARY_ONLY}" for host in "ab"]),
        (
            "postgresql://u@/db?host=a,b&port=1,2&statement_cache_size=0",
            [f"postgresql://u@/db?host={place}&{PRIMARY_ONLY}" for place in ("a&port=1", "b&port=2")],
        ),
        (
            "postgresql:///db?host=a,b&port=5",
            [f"postgresql:///db?host={host}&port=5&{PRIMARY_ONLY}" for host in "ab"],
        ),
        (
            "postgresql:///db?host=a,b",
            [f"postgresql:///db?host={host}&{PRIMARY_ONLY}" for host in "ab"],
        ),
    ],
)
def test_hosts_are_taken_apart(dsn: str, each: list[str]) -> None:
    """As libpq reads them; of several only a primary will do unless the DSN says otherwise."""
    assert list(map(urlsplit, Target.of(dsn).dsns)) == list(map(urlsplit, each))


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Port of a server that takes connections and says nothing, like a host that has just lost its power."""
    held = []

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()


def with_hosts(cluster: Cluster, *ports: int) -> str:
    return cluster.dsn.replace(f"127.0.0.1:{cluster.port}", ",".join(f"127.0.0.1:{port}" for port in ports))


async def test_a_silent_host_is_waited_for_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_S", 0.4)
    loop = asyncio.get_running_loop()
    async with silent() as port:
        target = Target.of(with_hosts(cluster, port, 1, cluster.port))
        began = loop.time()
        connections = [await target.connect()]
        assert loop.time() - began >= 0.4
        monkeypatch.setattr(pool, "CONNECT_S", 60.0)  # waiting again would be noticed
        async with asyncio.timeout(20):
            connections.append(await target.connect())
        for connection in connections:
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()


async def test_the_error_of_the_last_host_is_told_when_none_will_do(cluster: Cluster) -> None:
    """A server that is read-only is no place for a service."""
    asks_for_a_standby = with_hosts(cluster, 1, cluster.port) + "?target_session_attrs=standby"
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        await Target.of(asks_for_a_standby).connect()
    with pytest.raises(ConfigError, match=r"cannot open the database at .*:1, .*: TargetServer"):
        await PostgresStore.open(asks_for_a_standby, vault(), Random(2).random)


async def test_a_host_without_power_is_noticed_by_its_silence(cluster: Cluster) -> None:
    """Nothing closes its connections: our kernel must give them up."""
    connection = await Target.of(cluster.dsn).connect()
    opened = connection._transport.get_extra_info("socket")
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for name, value in pool.SILENCE.items():
        if option := getattr(socket, name, None):
            assert opened.getsockopt(socket.IPPROTO_TCP, option) == value
    await connection.close()
