"""Three PostgreSQL nodes under Patroni, synchronous; whichever leads is killed under load, several times."""

import asyncio
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

from faults.figure import Figure
from faults.fleet import APIS, WORKERS, clock, fleet
from faults.patroni import NODES, TTL_S, Nodes
from faults.signals import until

LOAD_S = 5.0
AGAIN_S = 10.0  # after the leader's key has run out


async def ha(quick: bool) -> Figure:
    """A node is killed as if its machine lost its power, and comes back when another one leads."""
    kills = 1 if quick else 5
    nodes = await asyncio.to_thread(Nodes.make)
    try:
        await nodes.until_safe()
        with tempfile.TemporaryDirectory() as folder:
            async with fleet(nodes.dsn, Path(folder)) as running:
                again_s = []
                for _ in range(kills):
                    leader = await nodes.until_safe()
                    await asyncio.sleep(LOAD_S)
                    await asyncio.to_thread(leader.kill)
                    killed_at = clock.monotonic()
                    await until(partial(running.answered_since, killed_at), 2 * (TTL_S + AGAIN_S))
                    again_s.append(clock.monotonic() - killed_at)
                    nodes.start(leader)
                await nodes.until_safe()
                found = await running.end(nodes.dsn)
    finally:
        await asyncio.to_thread(nodes.remove)
    return Figure(
        "ha",
        found.good(TTL_S + AGAIN_S),
        f"{NODES} PostgreSQL nodes under Patroni and etcd, ttl {TTL_S} s, {APIS} APIs and {WORKERS} workers: "
        f"leader killed {kills} times, clients answered again after {_spread(again_s)} s; {found.line}",
        {"kills": kills, "ttl_s": TTL_S, "again_max_s": max(again_s)} | asdict(found),
    )


def _spread(seconds: list[float]) -> str:
    least, most = f"{min(seconds):.0f}", f"{max(seconds):.0f}"
    return least if least == most else f"{least} to {most}"
