"""A short daily budget is shared: the questions of a day fit into it, and those that can wait wait first."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.budget import DAY, LOW_MAX, UNSTRETCHED, Stretch, can_wait, numbers_a_day, stretch
from parcelwire.domain.errors import Unavailable
from parcelwire.domain.limits import Limits
from parcelwire.domain.report import Estimate, Moment
from parcelwire.domain.schedule import (
    HOUR,
    NOT_FOUND_PACE,
    Pace,
    after_failure,
    next_refresh,
    usual_interval,
)
from parcelwire.domain.status import Status, SubStatus

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ANY: list[SubStatus | None] = [None, *SubStatus]
active = st.dictionaries(st.sampled_from(ANY), st.integers(0, 5_000), max_size=12)
DHL = Limits(per_s=1, per_day=250, per_number_day=10)
LEAST = DAY / 10


def plan(counts: Mapping[SubStatus | None, int], numbers: float | None) -> Stretch:
    return stretch(counts, {sub: usual_interval(sub, LEAST) for sub in counts}, numbers)


def asks(counts: Mapping[SubStatus | None, int], found: Stretch) -> float:
    """Questions a day under a stretch."""
    return sum(
        count * (DAY / usual_interval(sub, LEAST)) / (found.low if can_wait(sub) else found.high)
        for sub, count in counts.items()
    )


@given(active, st.floats(1, 5_000))
def test_a_day_fits_into_its_budget(counts: dict[SubStatus | None, int], numbers: float) -> None:
    """Property: never more than the budget, never less than it when it is short (nothing is wasted)."""
    found = plan(counts, numbers)
    planned = asks(counts, found)
    assert planned <= numbers * (1 + 1e-9)
    assert found == UNSTRETCHED or planned >= numbers * (1 - 1e-9)


@given(active, st.floats(1, 5_000))
def test_those_that_can_wait_wait_first(counts: dict[SubStatus | None, int], numbers: float) -> None:
    """Property: nobody waits shorter than usual; the others wait longer only once the first wait four times
    as long; and never longer than those."""
    found = plan(counts, numbers)
    assert found.low >= found.high >= 1
    assert found.high == 1 or found.low >= LOW_MAX


@given(active, st.sampled_from(ANY), st.floats(1, 5_000))
def test_one_more_shipment_shortens_nobodys_interval(
    counts: dict[SubStatus | None, int], more: SubStatus | None, numbers: float
) -> None:
    """Property: the stretch grows with the load."""
    before, after = plan(counts, numbers), plan({**counts, more: counts.get(more, 0) + 1}, numbers)
    assert after.low >= before.low * (1 - 1e-9)
    assert after.high >= before.high * (1 - 1e-9)


def test_without_a_limit_nobody_waits_longer() -> None:
    assert numbers_a_day(Limits(), 30) is None
    assert plan({SubStatus.IN_TRANSIT: 10**9}, None) == UNSTRETCHED


def test_the_budget_counts_calls_of_half_filled_batches_and_keeps_the_reserve() -> None:
    assert numbers_a_day(DHL, 1) == 250 * 0.8 * 0.9
    assert numbers_a_day(Limits(per_s=1 / 60, per_day=1440), 35) == 1440 * 0.8 * 0.9 * 17.5
    assert numbers_a_day(Limits(per_s=1 / 60), 1) == 1440 * 0.9


def test_an_estimate_days_away_can_wait_and_a_van_cannot() -> None:
    """With the budget short, what is announced or far away is put off, what is out for delivery is not."""
    short = Pace(stretch=Stretch(3.0, 1.0))
    far = Estimate(end=Moment(utc=NOW + timedelta(days=6), offset_min=0, date="2026-05-10"))
    moving = SubStatus.IN_TRANSIT
    assert next_refresh(moving, NOW, NOW, short, far).at - NOW == 3 * 8 * HOUR
    assert next_refresh(moving, NOW, NOW, short).at - NOW == 4 * HOUR
    assert next_refresh(SubStatus.INFO_RECEIVED, NOW, NOW, short).at - NOW == 36 * HOUR
    assert next_refresh(SubStatus.OUT_FOR_DELIVERY, NOW, NOW, short).at - NOW == HOUR
    assert "budget" in next_refresh(SubStatus.INFO_RECEIVED, NOW, NOW, short).why


def test_early_questions_about_an_unknown_number_are_never_put_off() -> None:
    for until, wait in NOT_FOUND_PACE[:-1]:
        now = NOW + until - timedelta(seconds=1)
        assert next_refresh(None, NOW, now, Pace(stretch=Stretch(9, 9), least=LEAST)).at - now == wait


@given(st.sampled_from(ANY), st.integers(0, 29))
def test_ten_questions_a_day_about_one_number(sub: SubStatus | None, days: int) -> None:
    """Property: whatever the status, on any day of its life, a number is asked about ten times at most."""
    pace = Pace(least=LEAST)
    now, count = NOW + timedelta(days=days), 0
    end = now + DAY
    while now < end:
        count += 1
        now = next_refresh(sub, NOW, now, pace).at
    assert count <= 10


def test_failures_do_not_ask_much_oftener() -> None:
    """A carrier with such a rule that is down all day is asked about one number 13 times, not hundreds."""
    pace = Pace(least=LEAST)
    now, fails = NOW, 0
    while now < NOW + DAY:
        fails += 1
        normal = next_refresh(SubStatus.IN_TRANSIT, NOW, now, pace)
        now = after_failure(Unavailable("503"), fails, normal, now, pace).at
    assert fails <= 13


def test_statuses_of_one_kind_are_counted_as_they_are_planned() -> None:
    """The census counts with the intervals that next_refresh plans with."""
    for sub in SubStatus:
        if sub.status is not Status.NOT_FOUND:
            planned = next_refresh(sub, NOW, NOW, Pace(least=LEAST)).at - NOW
            assert planned == usual_interval(sub, LEAST), sub
