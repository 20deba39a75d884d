"""The experiments of ``dev.py faults`` run, and their bookkeeping is right."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest
from faults.arrivals import beyond, request_of, stamping
from faults.broken_http import MODES
from faults.figure import Figure, Missing, percentile
from faults.fleet import Found

from faults import __main__ as experiments
from parcelwire.domain.limits import Limits
from parcelwire.net.clock import SystemClock

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


LIMITS = Limits(per_s=2, burst=5)


@pytest.mark.parametrize(
    ("times", "count"),
    [
        ([0.0] * 5 + [0.5 * n for n in range(1, 9)], 0),
        ([0.0] * 8, 3),
        ([0.0] * 5 + [0.499], 1),
        ([0.0] * 5 + [10.0] * 5 + [10.4, 10.5], 1),
    ],
)
def test_calls_beyond_the_limit_are_counted_and_nothing_is_forgiven(times: list[float], count: int) -> None:
    assert beyond([1.8e9 + at for at in times], LIMITS) == count


async def test_a_request_is_stamped_when_it_arrives_not_when_it_is_read() -> None:
    """The server is kept from running for a third of a second."""
    stamped: list[float] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at: float) -> None:
        request = await request_of(reader)
        stamped.append(at)
        writer.write(f"{request.method} {request.path} {request.query} {request.body!r}".encode())

    async with stamping(handle) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        before = SystemClock().now().timestamp()
        writer.write(b"POST /a%20b?c=d HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy")
        sleep(0.3)  # noqa: ASYNC251  that is what it is about
        assert await reader.read() == b"POST /a b {'c': 'd'} b'xy'"
        writer.close()
    assert 0 <= stamped[0] - before < 0.15


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    assert percentile([], 0.99) == 0.0


def test_one_broken_promise_is_enough() -> None:
    found = Found(9, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, away_s=3.0, silent_s=4.0)
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
