"""The service beside karrio, the open-source project that is nearest to it, in the same units.

    # half a minute
    python3 dev.py bench peers [--json] [--calls 200] [--rows 10000]

Creating one tracker, reading one and reading a page of the list: milliseconds of CPU of the server for one
call over HTTP, each about one number, in an account of so many rows (SQLite). Webhooks: signed, sent to a
receiver on the loopback interface and kept with what came of them, a second of the clock, by one process.

karrio's figures were not measured by this bench, but with its release 2026.1 on a machine of the same kind: a
range of several runs. It was not given the same work in every detail: a tracker is created there with a call
to a carrier's sandbox.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench._child import Child
from bench._machine import machine
from bench.wire import CODE, ITEMS, SEEDED, Client, numbers, run_service

FIRST = SEEDED  # numbers from here on are new
PAGES = 20


class Peer(NamedTuple):
    """One line of the table. ``least`` and ``most``: karrio's figures."""

    what: str
    unit: str
    least: float
    most: float


CREATE, GET, PAGE, WEBHOOKS = PEERS = (
    Peer("create one", "CPU ms", 102, 131),
    Peer("get one", "CPU ms", 36, 38),
    Peer("list page, 10,000 rows", "CPU ms", 4_800, 4_800),
    Peer("webhooks", "a second", 13, 14.5),
)


def cpu_ms(child: Child, client: Client, path: str, bodies: Sequence[object]) -> float:
    """CPU of the server for one of these calls."""
    encoded = [json.dumps(body).encode() for body in bodies]
    began: float = child.ask(None)
    answers = [client.request(f"/track/v2.2/{path}", body) for body in encoded]
    spent: float = child.ask(None) - began
    assert not any(json.loads(answer)["data"]["rejected"] for answer in answers)
    return spent / len(bodies) * 1000


def calls(rows: int, count: int) -> dict[Peer, float]:
    """Milliseconds of the three calls."""
    with tempfile.TemporaryDirectory(prefix="parcelwire-peers-") as folder:
        child = Child(run_service, folder)
        try:
            client = Client(child.ready[0])
            known = numbers(FIRST, rows - SEEDED)
            for start in range(0, len(known), ITEMS):
                items = [{"number": number, "carrier": CODE} for number in known[start : start + ITEMS]]
                client.request("/track/v2.2/register", json.dumps(items).encode())
            new = [[{"number": number, "carrier": CODE}] for number in numbers(FIRST + rows, count)]
            told = [[{"number": number, "carrier": CODE}] for number in numbers(0, count)]
            return {
                CREATE: cpu_ms(child, client, "register", new),
                GET: cpu_ms(child, client, "gettrackinfo", told),
                PAGE: cpu_ms(child, client, "gettracklist", [{"page_no": 1}] * PAGES),
            }
        finally:
            child.close()


def webhooks_per_s() -> float:
    """What the bench of pushes says."""
    command = [sys.executable, "-m", "bench.push", "--json", "--rounds", "3"]
    ran = subprocess.run(command, capture_output=True, check=False)
    per_s: float = json.loads(ran.stdout)["service"]["pushes_per_s"]
    return per_s


def summary(ours: dict[Peer, float]) -> list[dict[str, Any]]:
    """A row of the table for each figure; ``times`` better than the best of theirs."""
    rows = []
    for peer in PEERS:
        mine, more = ours[peer], peer is WEBHOOKS
        times = mine / peer.most if more else peer.least / mine
        rows.append(
            {
                "what": peer.what, "unit": peer.unit, "ours": round(mine, 2),
                "karrio": [peer.least, peer.most], "times": round(times),
            }
        )  # fmt: skip
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures as text."""
    lines = [f"{'':34}{'ours':>10}{'karrio 2026.1':>18}{'times better':>14}"]
    for row in rows:
        low, high = row["karrio"]
        theirs = f"{low:,}" if low == high else f"{low:,} - {high:,}"
        lines.append(
            f"{row['what'] + ', ' + row['unit']:34}{row['ours']:10,.2f}{theirs:>18}{row['times']:14,}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rows", type=int, default=10_000)
    given = parser.parse_args()
    before = machine()
    rows = summary(calls(given.rows, given.calls) | {WEBHOOKS: webhooks_per_s()})
    print(json.dumps({"machine": before, "figures": rows}) if given.json else f"{before}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
