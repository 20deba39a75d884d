"""When another carrier is asked in place of a guess."""

from datetime import timedelta

import pytest

from parcelwire.domain.doubt import CANDIDATES_MAX, PATIENCE_ANSWERS, Doubt, found, ripe
from parcelwire.domain.status import Status, SubStatus

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("unknown", "age", "at_once", "ready"),
    [
        (PATIENCE_ANSWERS - 1, HOUR, False, False),
        (PATIENCE_ANSWERS, HOUR, False, True),
        (1, 11 * HOUR, False, False),
        (1, 12 * HOUR, False, True),
        (0, timedelta(), True, True),
    ],
)
def test_patience_has_an_end(unknown: int, age: timedelta, at_once: bool, ready: bool) -> None:
    """Enough answers, enough time, or the word of the carrier that it cannot be."""
    assert ripe(Doubt(unknown), age, DAY, at_once=at_once) is ready


def test_a_search_has_an_end() -> None:
    tried = tuple(f"carrier_{index}" for index in range(CANDIDATES_MAX))
    assert ripe(Doubt(99, tried[1:]), 9 * DAY, DAY, at_once=True)
    assert not ripe(Doubt(99, tried), 9 * DAY, DAY, at_once=True)


def test_time_runs_as_fast_as_the_carrier_does() -> None:
    """A sandbox day is a few seconds."""
    assert ripe(Doubt(1), timedelta(seconds=1), timedelta(seconds=2), at_once=False)


def test_only_a_status_that_a_carrier_gave_means_found() -> None:
    assert not found(None)
    for sub_status in SubStatus:
        assert found(sub_status) is (sub_status.status is not Status.NOT_FOUND)
