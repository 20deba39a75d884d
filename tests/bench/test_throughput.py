"""The bench of the whole service runs: it refreshes and pushes, with a database and without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_a_short_run_measures_the_service_beside_the_same_loops_without_a_database() -> None:
    """It waits for every push of every round, and fails when one does not come."""
    command = ["bench.throughput", "--json", "--rounds", "1", "--shipments", "60", "--only", "sqlite"]
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert ran.stdout, ran.stderr.decode()
    figures = json.loads(ran.stdout)
    subjects = [(row["subject"], row["round"]) for row in figures["subjects"]]
    assert subjects == [
        (name, kind) for name in ("no database", "sqlite") for kind in ("something new", "nothing new")
    ]
    assert all(row["per_s"] > 0 and row["worker_us"] > 0 for row in figures["subjects"])
    assert figures["active_millions"]["sqlite"] > 0
