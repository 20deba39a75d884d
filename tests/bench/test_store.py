"""The bench of the stores runs, and its floor writes what the stores write."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
@pytest.mark.usefixtures("cluster")
def test_a_short_run_measures_every_operation_of_both_stores_beside_the_bare_driver() -> None:
    """It compares both databases of each store at its end, and fails when they differ."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.store", "--json", "--rounds", "1", "--calls", "1"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout, ran.stderr.decode()
    rows = json.loads(ran.stdout)["operations"]
    assert {(row["store"], row["operation"]) for row in rows} == {
        (store, operation)
        for store in ("sqlite", "postgres")
        for operation in ("register", "refresh", "push", "list page")
    }
    for row in rows:
        assert row["client_us"] > 0
        assert row["floor_client_us"] > 0
        assert (row["server_us"] > 0) is (row["store"] == "postgres")
