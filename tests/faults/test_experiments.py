"""The experiments of ``dev.py faults`` run, and their bookkeeping is right."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from faults.broken_http import MODES
from faults.figure import Figure, Missing, percentile
from faults.fleet import Found, beyond, busiest
from faults.sick_carriers import BURST, RATE
from faults.sick_carriers import beyond as beyond_bucket

from faults import __main__ as experiments
from parcelwire.domain.limits import Limits

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
    assert beyond_bucket(within) == 0
    assert beyond_bucket([0.0] * (BURST + 3)) == 3


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([], 0.99) == 0.0


def test_calls_of_the_busiest_window_are_counted() -> None:
    assert busiest([0.0, 0.5, 0.9, 1.0, 1.2], 1.0) == 4
    limits = Limits(per_s=5, burst=5)
    as_fast_as_can_be = [0.0] * 5 + [0.2 * n for n in range(1, 100)]
    assert beyond(as_fast_as_can_be, limits) == 0
    assert beyond([*as_fast_as_can_be, *[20.0] * 7], limits) == 1


def test_one_broken_promise_is_enough() -> None:
    found = Found(9, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, late_s=9.0, away_s=3.0, silent_s=4.0)
    assert found.good(4.0)
    assert not found.good(3.5)
    for name in ("lost", "quota_errors", "untrue", "untold", "two_bodies", "state_errors", "calls_beyond"):
        assert not replace(found, **{name: 1}).good(4.0)


def test_what_could_not_be_tried_is_said_and_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lacks_etcd(_quick: bool) -> Figure:
        raise Missing("there is no etcd: apt-get install etcd-server")

    monkeypatch.setitem(experiments.EXPERIMENTS, "ha", lacks_etcd)
    monkeypatch.setattr(sys, "argv", ["faults", "ha"])
    assert experiments.main() == 1
    assert "skip  ha: not tried: there is no etcd: apt-get install etcd-server" in capsys.readouterr().out
