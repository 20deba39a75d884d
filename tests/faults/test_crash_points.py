"""A process may die at any boundary: the next one finds a whole database and goes on."""

import pytest
from faults.crash_points import never_hit, run

POINTS = 24  # of the hits of the scenario; all of them: python3 dev.py faults crash_points


def test_the_scenario_passes_every_failpoint_that_there_is() -> None:
    through = run(0)
    assert through.violation is None
    assert never_hit(through) == set()


def test_stopped_at_points_all_over_the_scenario_every_promise_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hits = run(0).hits
    stops = [1 + place * hits // POINTS for place in range(POINTS)]
    runs = [run(stop) for stop in stops]
    violations = [(stop, one.violation) for stop, one in zip(stops, runs, strict=True) if one.violation]
    with capsys.disabled():
        print(f"\n  crash points: {hits}, tried {len(runs)}, violations {len(violations)}")
    assert violations == []
    assert all(one.stopped for one in runs), "each of them died once"
