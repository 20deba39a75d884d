"""When to ask again, and when tracking ends."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import HOUR, NOW

from parcelwire.domain.errors import MalformedReply, Throttled, Unavailable
from parcelwire.domain.report import Estimate, Moment
from parcelwire.domain.schedule import (
    NORMAL_PACE,
    NOT_FOUND_LATE,
    NOT_FOUND_PACE,
    SILENT_DAYS,
    Next,
    Pace,
    after_failure,
    ends,
    expired,
    next_refresh,
)
from parcelwire.domain.status import FINISHED, SubStatus
from parcelwire.domain.times import exact

S = SubStatus
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def interval(sub: SubStatus | None, age: timedelta = DAY, estimate: Estimate | None = None) -> timedelta:
    return next_refresh(sub, NOW - age, NOW, NORMAL_PACE, estimate).at - NOW


@pytest.mark.parametrize(
    ("sub", "hours", "why"),
    [
        (S.INFO_RECEIVED, 12, "InfoReceived"),
        (S.PICKED_UP, 4, "InTransit"),
        (S.IN_TRANSIT, 4, "InTransit"),
        (S.DEPARTURE, 4, "InTransit"),
        (S.ARRIVAL, 4, "InTransit"),
        (S.CUSTOMS_PROCESSING, 8, "in customs"),
        (S.CUSTOMS_RELEASED, 8, "in customs"),
        (S.CUSTOMS_REQUIRING_INFORMATION, 8, "in customs"),
        (S.OUT_FOR_DELIVERY, 1, "OutForDelivery"),
        (S.AVAILABLE_FOR_PICKUP, 12, "AvailableForPickup"),
        (S.FAILURE_NO_BODY, 6, "DeliveryFailure"),
        (S.DELAYED, 6, "Exception"),
        (S.RETURNING, 6, "Exception"),
        (S.CANCEL, 6, "Exception"),
        (S.EXPIRED, 24, "Expired"),
        (S.DELIVERED, 24, "Delivered_Other: late corrections only"),
        (S.RETURNED, 24, "Exception_Returned: late corrections only"),
        (S.DESTROYED, 24, "Exception_Destroyed: late corrections only"),
    ],
)
def test_each_status_has_its_interval_and_reason(sub: SubStatus, hours: int, why: str) -> None:
    assert next_refresh(sub, NOW - DAY, NOW, NORMAL_PACE) == Next(NOW + hours * HOUR, why)


@pytest.mark.parametrize("sub", [None, *S])
def test_every_status_has_an_interval(sub: SubStatus | None) -> None:
    assert timedelta(0) < interval(sub) <= DAY


@pytest.mark.parametrize("sub", [None, S.NOT_FOUND_OTHER, S.NOT_FOUND_INVALID_CODE])
@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (timedelta(0), 5 * MINUTE),
        (5 * MINUTE, 30 * MINUTE),
        (35 * MINUTE, 2 * HOUR),
        (155 * MINUTE, 6 * HOUR),
        (9 * HOUR, 12 * HOUR),
        (5 * DAY, DAY),
        (60 * DAY, DAY),
    ],
)
def test_a_number_that_is_not_found_is_asked_slower_as_it_gets_older(
    sub: SubStatus | None, age: timedelta, wait: timedelta
) -> None:
    assert next_refresh(sub, NOW - age, NOW, NORMAL_PACE) == Next(NOW + wait, "not found yet")


def test_the_pace_of_not_found_only_gets_slower() -> None:
    assert list(NOT_FOUND_PACE) == sorted(NOT_FOUND_PACE)
    assert max(wait for _, wait in NOT_FOUND_PACE) <= NOT_FOUND_LATE


@pytest.mark.parametrize(
    ("estimate", "hours"),
    [
        (None, 4),
        (Estimate(), 4),
        (Estimate(start=exact(NOW + 4 * DAY)), 8),
        (Estimate(exact(NOW + DAY), exact(NOW + 4 * DAY)), 8),
        (Estimate(exact(NOW + 4 * DAY), exact(NOW + DAY)), 4),  # the end decides
        (Estimate(end=exact(NOW + 3 * DAY)), 4),
        (Estimate(end=Moment(date="2026-12-24")), 4),  # a date alone is no instant
    ],
)
def test_an_estimate_days_away_halves_the_pace_in_transit(estimate: Estimate | None, hours: int) -> None:
    assert interval(S.IN_TRANSIT, estimate=estimate) == hours * HOUR
    assert interval(S.OUT_FOR_DELIVERY, estimate=estimate) == HOUR
    assert interval(S.CUSTOMS_PROCESSING, estimate=estimate) == 8 * HOUR


def test_a_setting_overrides_every_interval() -> None:
    pace = Pace(every=timedelta(seconds=2.5))
    for sub in (None, *S):
        assert next_refresh(sub, NOW, NOW, pace) == Next(NOW + timedelta(seconds=2.5), "every 2.5 s")


@given(st.floats(0, 1e6), st.floats(0.05, 100))
def test_a_fixed_pace_keeps_its_grid_however_late_a_refresh_is(age: float, every: float) -> None:
    """Being late once makes no later refresh late, so that no step of a sandbox journey is passed over."""
    pace, now = Pace(every=timedelta(seconds=every)), NOW + timedelta(seconds=age)
    assert pace.every is not None
    at = next_refresh(S.IN_TRANSIT, NOW, now, pace).at
    assert now < at <= now + pace.every
    assert (at - NOW) % pace.every == timedelta()


# --- after a failure ------------------------------------------------------------------------------------

DOWN = Unavailable("HTTP 503")
NORMAL = Next(NOW + 4 * HOUR, "InTransit")


@pytest.mark.parametrize(("fails", "minutes"), [(1, 1), (2, 2), (3, 4), (8, 128), (9, 240), (10_000, 240)])
def test_failures_are_retried_soon_and_slower_up_to_the_normal_interval(fails: int, minutes: int) -> None:
    planned = after_failure(DOWN, fails, NORMAL, NOW)
    assert planned == Next(NOW + minutes * MINUTE, f"unavailable, attempt {fails}")


def test_the_reason_names_the_outcome() -> None:
    assert after_failure(MalformedReply("html"), 1, NORMAL, NOW).why == "malformed, attempt 1"


def test_a_carrier_that_asks_for_patience_gets_it() -> None:
    assert after_failure(Throttled("429", 5 * 3600), 1, NORMAL, NOW).at == NOW + 5 * HOUR
    assert after_failure(Throttled("429", 3), 2, NORMAL, NOW).at == NOW + 2 * MINUTE
    assert after_failure(Throttled("429"), 1, NORMAL, NOW).at == NOW + MINUTE


def test_a_fast_pace_retries_as_fast() -> None:
    pace = Pace(every=timedelta(seconds=2))
    normal = next_refresh(S.IN_TRANSIT, NOW, NOW, pace)
    assert after_failure(DOWN, 1, normal, NOW, pace).at == NOW + timedelta(seconds=2)
    assert after_failure(DOWN, 9, normal, NOW, pace).at == NOW + timedelta(seconds=2)
    overdue = Next(NOW - HOUR, "late")
    assert after_failure(DOWN, 5, overdue, NOW).at == NOW + MINUTE


@given(st.integers(1, 10**6), st.integers(0, 86_400))
def test_a_retry_is_never_in_the_past_nor_later_than_the_normal_refresh(fails: int, normal_s: int) -> None:
    normal = Next(NOW + timedelta(seconds=normal_s), "")
    planned = after_failure(DOWN, fails, normal, NOW)
    assert NOW + MINUTE <= planned.at <= max(normal.at, NOW + MINUTE)


# --- the end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sub", S)
def test_a_shipment_expires_after_thirty_silent_days_unless_it_has_an_end(sub: SubStatus) -> None:
    silent = NOW - SILENT_DAYS * DAY
    assert expired(sub, silent, NOW, NORMAL_PACE) is (sub not in {*FINISHED, S.CANCEL})
    assert not expired(sub, silent + timedelta(seconds=1), NOW, NORMAL_PACE)
    assert not expired(sub, None, NOW, NORMAL_PACE)


@pytest.mark.parametrize("sub", [None, *S])
def test_tracking_ends_after_15_days_when_finished_3_when_invalid_else_30(sub: SubStatus | None) -> None:
    days = 15 if sub in FINISHED else 3 if sub is S.NOT_FOUND_INVALID_CODE else 30
    patience = days * DAY
    assert ends(sub, NOW - patience, NOW, NORMAL_PACE)
    assert not ends(sub, NOW - patience + timedelta(seconds=1), NOW, NORMAL_PACE)


def test_the_sandboxs_day_is_a_step() -> None:
    pace = Pace(day=timedelta(seconds=2))
    assert ends(S.DELIVERED, NOW - timedelta(seconds=30), NOW, pace)
    assert expired(S.IN_TRANSIT, NOW - timedelta(seconds=60), NOW, pace)
    assert not ends(S.DELIVERED, NOW - timedelta(seconds=29), NOW, pace)
