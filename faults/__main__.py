"""python3 dev.py faults [--quick] [--json] [--seed N] [NAME...]: every experiment, one line each."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from faults.figure import Figure
from faults.sick_carriers import sick_carriers
from faults.sick_receivers import sick_receivers

from faults import clocks, crash_points, signals, simulation, storage

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
    "carriers": sick_carriers,
    "receivers": sick_receivers,
}


def main() -> int:
    """Run them; 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(prog="dev.py faults", description=__doc__.partition(": ")[2])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, for a first look")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    unknown = set(given.names) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"no experiment called {', '.join(sorted(unknown))}; there are {', '.join(EXPERIMENTS)}")
    good = True
    for name in given.names or EXPERIMENTS:
        figure = asyncio.run(EXPERIMENTS[name](given.quick))
        good = good and figure.good
        shown = (
            json.dumps(asdict(figure))
            if given.json
            else f"{'ok  ' if figure.good else 'FAIL'}  {figure.line}"
        )
        print(shown, flush=True)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
