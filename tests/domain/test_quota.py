"""Plans and periods."""

from datetime import UTC, datetime

import pytest

from parcelwire.domain.quota import PLANS, REAL_TIME, REAL_TIME_CACHED, REGISTER, period, plan_size


def test_the_prices_and_the_free_plan_are_those_of_the_contract() -> None:
    assert (REGISTER, REAL_TIME_CACHED, REAL_TIME, PLANS["free"]) == (1, 1, 10, 100)


@pytest.mark.parametrize(
    ("plan", "size"), [("free", 100), ("unlimited", 10**9), ("1", 1), ("2500", 2500), ("1000000000", 10**9)]
)
def test_a_plan_is_a_name_or_a_number(plan: str, size: int) -> None:
    assert plan_size(plan) == size


@pytest.mark.parametrize(
    "plan",
    ["", "0", "-5", "1.5", "gold", "Free", "1000000001", "9" * 5_000, "0" * 11 + "5", "١٠٠", "²", " 5"],
)
def test_anything_else_is_no_plan(plan: str) -> None:
    assert plan_size(plan) is None


def test_a_period_is_a_calendar_month_of_utc() -> None:
    assert period(datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC)) == "2026-04"
    assert period(datetime(2026, 5, 1, tzinfo=UTC)) == "2026-05"
