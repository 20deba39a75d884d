"""The bench of the wire runs, and checks what it measures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_a_short_run_measures_every_operation_beside_both_floors() -> None:
    """It also asserts for every answer that all items were accepted and show their whole timeline."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.wire", "--json", "--rounds", "1", "--requests", "2"],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    figures = json.loads(ran.stdout)
    assert [row["operation"] for row in figures["operations"]] == [
        "register, carrier given",
        "register, carrier detected",
        "gettrackinfo",
        "gettrackinfo, not at hand",
        "getRealTimeTrackInfo, cached",
    ]
    for row in figures["operations"]:
        assert 0 < row["http_us"] < row["service_us"]
        assert row["rows_us"] > 0
    assert figures["answer_bytes"]["gettrackinfo"] > 40 * 4_000
