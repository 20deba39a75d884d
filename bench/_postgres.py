"""A PostgreSQL server for a bench: the one of the tests, but durable, with memory as an operator gives it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench._machine import Meter, server_cpu_s
from tests.postgres import Cluster

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "log_min_messages": "fatal",
}
# While a database is filled that nobody would miss.
FILLING = SETTINGS | {"fsync": "off", "wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off"}


@contextmanager
def server(parent: Path | None = None, settings: Mapping[str, str] = SETTINGS) -> Iterator[Cluster]:
    """A new one in a folder below ``parent``, removed at the end."""
    cluster = Cluster.make(settings, parent)
    try:
        yield cluster
    finally:
        cluster.remove()


def meter(cluster: Cluster) -> Meter:
    """Counts this process and the server's."""
    return Meter(partial(server_cpu_s, cluster.pid))
