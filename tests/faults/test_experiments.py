"""The experiments of ``dev.py faults`` run, and their bookkeeping is right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from faults.broken_http import MODES
from faults.figure import percentile
from faults.sick_carriers import BURST, RATE, beyond

ROOT = Path(__file__).parents[2]


def faults(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faults", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.process
def test_an_experiment_prints_one_line_and_says_whether_all_held() -> None:
    ran = faults("--quick", "--json", "clock", "disk_full")
    figures = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [figure["name"] for figure in figures] == ["clock", "disk_full"], ran.stderr
    assert [figure["good"] for figure in figures] == [True, True], ran.stdout
    assert ran.returncode == 0


@pytest.mark.process
def test_an_unknown_experiment_is_refused_with_the_list() -> None:
    ran = faults("kil")
    assert ran.returncode == 2
    assert "no experiment called kil; there are simulation, " in ran.stderr


def test_a_carrier_can_be_sick_in_forty_ways_and_more() -> None:
    assert len(MODES) >= 40


def test_calls_beyond_the_limit_are_counted() -> None:
    within = [0.0] * BURST + [1 / RATE * n for n in range(1, 9)]
    assert beyond(within) == 0
    assert beyond([0.0] * (BURST + 3)) == 3


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([], 0.99) == 0.0
