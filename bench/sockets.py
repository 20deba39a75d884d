"""Sockets that hold on to us: when they are closed, and what honest calls notice.

    # half a minute
    python3 dev.py bench sockets [--json] [--sockets 500] [--per-address 1000]

The real command in a process of its own, on a file of its own. A third of the sockets says nothing, a third
drips a head, a third drips a body, a byte a second each. Meanwhile a client on a new connection registers and
asks for its quota, four times a second. ``--per-address`` is the service's cap: below the number of sockets
it closes those that wait longest at once, an honest call of the same address among them if it comes in the
middle of the flood; above it the deadlines do it.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

KEY = "BENCH0123456789ABCDEF"
KINDS = ("silent", "head", "body")
BEGUN = {
    "silent": b"",
    "head": b"POST /track/v2.2/register HTTP/1.1\r\nHost: bench\r\nX-Slow: ",
    "body": b"POST /track/v2.2/register HTTP/1.1\r\nHost: bench\r\nContent-Length: 5000\r\n\r\n[",
}
WITHIN_S = 35.0
CALL_S = 1.0


@dataclass
class Held:
    """One bad socket."""

    kind: str
    closed_after_s: float | None = None


@asynccontextmanager
async def service(per_address: int) -> AsyncIterator[str]:
    """The URL of a running service."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PARCELWIRE_")}
        environ |= {
            "PARCELWIRE_DATA": folder,
            "PARCELWIRE_LISTEN": "127.0.0.1:0",
            "PARCELWIRE_FIRST_KEY": KEY,
            "PARCELWIRE_FIRST_PLAN": "unlimited",
            "PARCELWIRE_RATE_LIMIT": "0",
            "PARCELWIRE_CONNECTIONS_PER_ADDRESS": str(per_address),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parcelwire", "serve", env=environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield (await process.stdout.readline()).decode().split()[-1]
        finally:
            process.terminate()
            await process.wait()


async def hold(host: str, port: int, held: Held) -> None:
    """Open, begin, drip; note when the other end closes."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(BEGUN[held.kind])
    dripping = asyncio.create_task(_drip(writer)) if held.kind != "silent" else None
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass
    held.closed_after_s = time.perf_counter() - begun
    if dripping:
        dripping.cancel()
    writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(1)
            writer.write(b" ")
            await writer.drain()


async def call(url: str, count: int) -> float:
    """Seconds for one honest call on a connection of its own."""
    begun = time.perf_counter()
    body = [{"number": f"SANDBOXINTRANSIT{count}"}] if count % 2 else None
    endpoint = "register" if count % 2 else "getquota"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/track/v2.2/{endpoint}", json=body, headers={"17token": KEY}) as response,
    ):
        assert response.status == 200
        assert (await response.json())["code"] == 0
    return time.perf_counter() - begun


async def measure(sockets: int, per_address: int) -> dict[str, object]:
    """Run it; figures in seconds."""
    async with service(per_address) as url:
        parts = urlsplit(url)
        bad = [Held(KINDS[place % 3]) for place in range(sockets)]
        quiet = [await call(url, count) for count in range(20)]
        holding = [asyncio.create_task(hold(str(parts.hostname), int(parts.port or 0), one)) for one in bad]
        calls: list[float] = []
        dropped = 0
        begun = time.perf_counter()
        while not all(task.done() for task in holding) and time.perf_counter() - begun < 2 * WITHIN_S:
            try:
                calls.append(await call(url, 100 + len(calls)))
            except aiohttp.ClientError:  # closed to make room, before it could say anything
                dropped += 1
            await asyncio.sleep(0.25)
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
    times = {kind: [one.closed_after_s for one in bad if one.kind == kind] for kind in KINDS}
    closed = [one.closed_after_s for one in bad if one.closed_after_s is not None]
    return {
        "sockets": sockets,
        "per_address": per_address,
        "closed": len(closed),
        "closed_within_35_s": sum(after <= WITHIN_S for after in closed),
        "last_closed_s": {
            kind: round(max(after or 999.0 for after in of_kind), 1) for kind, of_kind in times.items()
        },
        "calls": len(calls),
        "calls_dropped": dropped,
        "call_median_ms": round(statistics.median(calls) * 1000, 1),
        "call_slowest_ms": round(max(calls) * 1000, 1),
        "call_median_before_ms": round(statistics.median(quiet) * 1000, 1),
    }


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--per-address", type=int, default=1000)
    given = parser.parse_args()
    found = asyncio.run(measure(given.sockets, given.per_address))
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:24} {value}")
    slowest = found["call_slowest_ms"]
    assert isinstance(slowest, float)
    return 0 if found["closed_within_35_s"] == given.sockets and slowest < CALL_S * 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
