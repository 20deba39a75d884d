"""python3 dev.py faults [--quick] [--json] [--seed N] [NAME ...]: every experiment, one line each.

All of them take about three quarters of an hour, each alone about as long as is said here; --quick is a tenth
of everything, for a first look. --json gives one JSON object a line; --seed N replays one life of the
simulation, step by step.

    simulation    Whole lives of the service under a simulated clock, with crashes at any moment. 2 minutes.
    crash_points  One scenario dies once at each boundary of a transaction, and goes on. 2 minutes.
    clock         The wall clock jumps a month forward and a day back. Less than a minute.
    disk_full     No file can grow for five seconds while clients write and read. Less than a minute.
    corrupt       The database file is damaged in four ways before a start. Less than a minute.
    kill          kill -9, 200 times, while clients register and parcels move. 10 minutes.
    sigterm       SIGTERM, 50 times, while pushes are under way. 2 minutes.
    sigstop       The process is frozen for longer than its leases last. 2 minutes.
    cluster       Processes and the server of one PostgreSQL die, freeze and fail over. 10 minutes.
    ha            The leader of three PostgreSQL nodes under Patroni is killed, five times. 5 minutes.
    carriers      74 ways of a carrier to be sick, all at once. 3 minutes.
    receivers     29 ways of a webhook receiver to be sick, beside healthy ones. 2 minutes.
    canary        Marked secrets are looked for in everything that is written, sent or shown. 5 minutes.

What is promised and what was found: docs/reference/reliability.md.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from faults.canary import canary
from faults.figure import Figure, Missing
from faults.sick_carriers import sick_carriers
from faults.sick_receivers import sick_receivers

from faults import clocks, cluster, crash_points, ha, signals, simulation, storage

Experiment = Callable[[bool], Coroutine[Any, Any, Figure]]

EXPERIMENTS: dict[str, Experiment] = {
    "simulation": simulation.simulation,
    "crash_points": crash_points.crash_points,
    "clock": clocks.jumps,
    "disk_full": storage.disk_full,
    "corrupt": storage.corrupt,
    "kill": signals.kill,
    "sigterm": signals.sigterm,
    "sigstop": signals.sigstop,
    "cluster": cluster.cluster,
    "ha": ha.ha,
    "carriers": sick_carriers,
    "receivers": sick_receivers,
    "canary": canary,
}


def machine() -> str:
    """What the figures depend on."""
    return (
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def replay(seed: int) -> int:
    """One life: what happened, and which promise broke."""
    life = simulation.live(seed)
    print("\n".join(life.trace))
    print(life.violation or "every promise held")
    return int(life.violation is not None)


def run(name: str, *, quick: bool) -> Figure:
    """What an experiment found. One that lacks something was not tried, and that is not good."""
    try:
        return asyncio.run(EXPERIMENTS[name](quick))
    except Missing as missing:
        return Figure(name, False, f"{name}: not tried: {missing}", tried=False)


def shown(figure: Figure, *, as_json: bool) -> str:
    """One line."""
    if as_json:
        return json.dumps(asdict(figure))
    mark = "ok  " if figure.good else "FAIL" if figure.tried else "skip"
    return f"{mark}  {figure.line}"


def main() -> int:
    """Run them; 1 when a promise did not hold, or could not be tried."""
    parser = argparse.ArgumentParser(
        prog="dev.py faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, for a first look")
    parser.add_argument("--seed", type=int, help="replay one life of the simulation, step by step")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    if given.seed is not None:
        return replay(given.seed)
    unknown = set(given.names) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"no experiment called {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    good = True
    if not given.json:
        print(machine(), flush=True)
    for name in given.names or EXPERIMENTS:
        figure = run(name, quick=given.quick)
        good = good and figure.good
        print(shown(figure, as_json=given.json), flush=True)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
