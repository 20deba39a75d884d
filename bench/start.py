"""How soon the service is there, and what it takes while nothing happens.

    # a minute
    python3 dev.py bench start [--json] [--rounds 5]

Seconds of the clock, from the start of the process (beside them seconds of its CPU, which do not depend on
what else the machine does): until "parcelwire serve" in an empty folder (and in one
that it has used before) has answered its first call, and until "parcelwire demo" has pushed for the first
time. The floor of a start is a bare aiohttp server that answers one path. Memory: what the service holds
after a few seconds without work (resident, shared libraries included). Help: CPU of "parcelwire --help"
beside an interpreter that does nothing. Medians over the rounds.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench._machine import cpu_s, machine, resident_mb

COMMAND = str(Path(sys.executable).with_name("parcelwire"))
KEY = "BENCH0123456789ABCDEF"
QUOTA = "/track/v2.2/getquota"
PATIENCE_S = 30.0
LOOK_S = 0.005
IDLE_S = 3.0
HELPS = 5  # of a round
BARE = """
import sys
from aiohttp import web
async def answer(request): return web.json_response({"code": 0, "data": {}})
app = web.Application()
app.router.add_post("%s", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


class Goal(NamedTuple):
    """One line of the table. ``most``: of the figure, or (``ratio``) of the figure in floors."""

    name: str
    unit: str
    most: float
    ratio: bool = False


GOALS = (
    Goal("first answer, new folder", "s", 1.0),
    Goal("first answer, used folder", "s", 1.0),
    Goal("first push of the demo", "s", 3.0),
    Goal("idle memory", "MB", 90),
    Goal("parcelwire --help", "CPU ms", 12, ratio=True),
)
FRESH, USED, DEMO, IDLE, HELP = (goal.name for goal in GOALS)


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], environ: Mapping[str, str], out: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, and its end."""
    process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=out, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def answered(port: int) -> bool:
    """Whether the service answers a call now."""
    head = f"POST {QUOTA} HTTP/1.1\r\nHost: localhost\r\n17token: {KEY}\r\nContent-Length: 0\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(head.encode())
            return connection.recv(16).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


class Started(NamedTuple):
    """Seconds to the first answer, of the clock and of CPU, and megabytes some seconds later."""

    wall_s: float
    cpu_s: float
    memory_mb: float


def until_answered(command: Sequence[str], environ: Mapping[str, str], port: int) -> Started:
    """Start it, call it, end it."""
    began = time.perf_counter()
    with running(command, environ, subprocess.DEVNULL) as process:
        while not answered(port):
            assert time.perf_counter() - began < PATIENCE_S, "it does not answer"
            time.sleep(LOOK_S)
        wall, cpu = time.perf_counter() - began, cpu_s(process.pid)
        time.sleep(IDLE_S)
        return Started(wall, cpu, resident_mb(process.pid))


def start(folder: str) -> Started:
    """The service in a folder."""
    port = free_port()
    environ = {
        "PARCELWIRE_LISTEN": f"127.0.0.1:{port}",
        "PARCELWIRE_DATA": folder,
        "PARCELWIRE_FIRST_KEY": KEY,
    }
    return until_answered([COMMAND, "serve"], environ, port)


def bare_start() -> Started:
    """The floor."""
    port = free_port()
    return until_answered([sys.executable, "-c", BARE % QUOTA, str(port)], {}, port)


def until_pushed() -> tuple[float, float]:
    """Seconds from the start of the demo to its first push, of the clock and of CPU."""
    began = time.perf_counter()
    with running([COMMAND, "demo", "--json"], {}, subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["verified"]
        took = time.perf_counter() - began, cpu_s(process.pid)
        process.terminate()
        process.stdout.read()  # so that it ends in peace
        return took


def cpu_ms(command: Sequence[str]) -> float:
    """CPU of a short process, HELPS times."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(HELPS):
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / HELPS * 1000


Figures = dict[str, tuple[list[float], list[float], list[float]]]  # ours, the floor's, our CPU; one a round


def measured(rounds: int) -> Figures:
    """All figures, taking turns with their floors."""
    found: Figures = {goal.name: ([], [], []) for goal in GOALS}

    def keep(name: str, ours: float, floor: float | None = None, cpu: float | None = None) -> None:
        for values, value in zip(found[name], (ours, floor, cpu), strict=True):
            if value is not None:
                values.append(value)

    cpu_ms([COMMAND, "--help"])  # from now on it is compiled and in memory
    for _ in range(rounds):
        bare = bare_start()
        with tempfile.TemporaryDirectory(prefix="parcelwire-start-") as folder:
            first, again = start(folder), start(folder)
        keep(FRESH, first.wall_s, bare.wall_s, first.cpu_s)
        keep(USED, again.wall_s, bare.wall_s, again.cpu_s)
        keep(IDLE, first.memory_mb, bare.memory_mb)
        pushed_s, pushed_cpu_s = until_pushed()
        keep(DEMO, pushed_s, cpu=pushed_cpu_s)
        keep(HELP, cpu_ms([COMMAND, "--help"]), cpu_ms([sys.executable, "-c", ""]))
    return found


def summary(found: Figures) -> list[dict[str, Any]]:
    """A row of the table for each figure."""
    rows = []
    for goal in GOALS:
        ours, floors, cpu = found[goal.name]
        row: dict[str, Any] = {
            "what": goal.name,
            "unit": goal.unit,
            "ours": round(statistics.median(ours), 3),
        }
        if floors:
            row |= {
                "floor": round(statistics.median(floors), 3),
                "ratio": round(
                    statistics.median(mine / bare for mine, bare in zip(ours, floors, strict=True)), 2
                ),
            }
        if cpu:
            row["cpu"] = round(statistics.median(cpu), 3)
        judged = row["ratio"] if goal.ratio else row["ours"]
        met = judged <= goal.most
        rows.append(row | {"goal": f"<= {goal.most:g} {'x' if goal.ratio else goal.unit}", "met": met})
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figures as text."""
    lines = [f"{'':28}{'ours':>10}{'its CPU':>10}{'floor':>10}{'ratio':>8}  goal"]
    for row in rows:
        cpu, floor, ratio = (row.get(name, "") for name in ("cpu", "floor", "ratio"))
        verdict = "" if row["met"] else "  NOT met"
        lines.append(
            f"{row['what'] + ', ' + row['unit']:28}{row['ours']:>10}{cpu:>10}{floor:>10}{ratio:>8}  "
            f"{row['goal']}{verdict}"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    before = machine()
    rows = summary(measured(given.rounds))
    print(json.dumps({"machine": before, "figures": rows}) if given.json else f"{before}\n\n{table(rows)}")
    return int(not all(row["met"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
