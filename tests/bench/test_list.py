"""The bench of the list runs, and pages what it filled."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_a_short_run_measures_every_filter_and_order_at_every_size() -> None:
    """Totals grow with the size, so every case really finds its rows."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.list",
            "--json",
            "--sizes",
            "400,2000",
            "--rounds",
            "1",
            "--calls",
            "1",
        ],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    rows = json.loads(ran.stdout)["cases"]
    cases = {(row["case"], row["page"]) for row in rows}
    assert len(cases) == len(rows) == 2 * len({case for case, _ in cases})
    for row in rows:
        small, large = row["rows"]
        assert small == large == 1 if row["case"] == "number" else 20 < small < large
        assert all(us > 0 for us in row["us"])


@pytest.mark.process
@pytest.mark.usefixtures("cluster")
def test_a_short_run_on_a_server_measures_what_is_flat_there() -> None:
    ran = subprocess.run(
        [
            sys.executable, "-m", "bench.list", "--json", "--store", "postgres", "--sizes", "400,2000",
            "--rounds", "1", "--calls", "1",
        ],
        cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    rows = json.loads(ran.stdout)["cases"]
    assert len(rows) == 8
    for row in rows:
        small, large = row["rows"]
        assert small == large == 1 if row["case"] == "number" else 10 < small < large
