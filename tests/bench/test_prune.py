"""The bench of pruning runs, and prunes all that it wrote."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import Cluster

ROOT = Path(__file__).parents[2]


@pytest.mark.process
@pytest.mark.usefixtures("cluster")
def test_a_short_run_prunes_all_rows_of_both_stores_in_bounded_transactions(cluster: Cluster) -> None:
    assert cluster.dsn  # there is a server to be had
    ran = subprocess.run(
        [sys.executable, "-m", "bench.prune", "--json", "--rows", "3000", "--calls", "4"],
        cwd=ROOT, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    for one in json.loads(ran.stdout):
        assert (one["rows"], one["transactions"], one["rows_at_once"]) == (3000, 7, 500)
