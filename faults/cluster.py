"""Two API and three worker processes on one PostgreSQL: all of them die, freeze and come back under load."""

import asyncio
import random
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from faults.figure import Figure, Missing
from faults.fleet import APIS, LEASE_S, WORKERS, fleet
from tests.postgres import Cluster, PostgresMissing, several

HELD_S = 1.0  # what commits within this before the primary's end never reaches the replica
RECOVERY_MAX_S = 30.0


@contextmanager
def pair() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary, and a replica that has what is acknowledged."""
    try:
        primary = Cluster.make()
    except PostgresMissing as missing:
        raise Missing(str(missing)) from missing
    try:
        replica = primary.replica()
        yield primary, replica
        replica.remove()
    finally:
        primary.remove()


async def cluster(quick: bool) -> Figure:
    """In each round the server crashes, a process is killed, another is frozen for longer than leases last;
    half-way the server is gone for good and its replica promoted."""
    rounds = 2 if quick else 20
    chance = random.Random(20261127)
    with tempfile.TemporaryDirectory() as folder, pair() as (primary, replica):
        server = primary
        async with fleet(several(primary, replica), Path(folder)) as running:
            for turn in range(rounds):
                if turn == rounds // 2:
                    await asyncio.to_thread(primary.die, HELD_S)
                    await asyncio.to_thread(replica.promote)
                    server = replica
                frozen, killed = chance.sample(range(APIS + WORKERS), 2)
                freezing = asyncio.create_task(running.freeze(frozen, LEASE_S * 1.5))
                await asyncio.to_thread(server.stop, signal.SIGQUIT)
                await asyncio.to_thread(server.start)
                await running.kill(killed)
                await freezing
            await asyncio.sleep(LEASE_S)
            found = await running.end(server.dsn)
    return Figure(
        "cluster",
        found.good(RECOVERY_MAX_S),
        f"{APIS} APIs and {WORKERS} workers: immediate restarts of PostgreSQL {rounds}, kill -9 {rounds}, "
        f"SIGSTOP for {LEASE_S * 1.5:g} s (lease {LEASE_S} s) {rounds}, a promotion: {found.line}",
        {"rounds": rounds} | asdict(found),
    )
