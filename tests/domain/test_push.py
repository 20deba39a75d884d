"""One change, one id; and when to try again."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import NOW

from parcelwire.domain.errors import PushError
from parcelwire.domain.push import (
    COMPAT_SCHEDULE,
    JITTER_MAX_S,
    SCHEDULE,
    PushEvent,
    PushJob,
    next_attempt,
    push_id,
)
from parcelwire.domain.times import EPOCH

FAILED = PushError("HTTP 500", http_status=500)
TIMES = st.timedeltas(timedelta(0), timedelta(days=100_000)).map(lambda passed: EPOCH + passed)
IDS = st.tuples(st.text(max_size=8), st.integers(0, 99), st.integers(0, 10**9), st.integers(0, 99), TIMES)


def delay_s(attempts: int, chance: float = 0.0, error: PushError = FAILED) -> float | None:
    again = next_attempt(SCHEDULE, attempts, error, NOW, chance)
    return None if again is None else (again - NOW).total_seconds()


def test_there_are_twenty_three_attempts_over_seven_days() -> None:
    attempts, now, again = 0, NOW, NOW
    while again is not None:
        attempts, now = attempts + 1, again
        again_or_none = next_attempt(SCHEDULE, attempts, FAILED, now, 0)
        if again_or_none is None:
            break
        again = again_or_none
    assert attempts == 23
    assert timedelta(days=7.1) < now - NOW < timedelta(days=7.2)


def test_the_delays_are_those_of_the_reference() -> None:
    hours = (1, 2, 4, 8, *[12] * 13)
    assert (5, 30, 120, 600, 1_800, *(hour * 3_600 for hour in hours)) == SCHEDULE
    assert COMPAT_SCHEDULE == (600, 1_800, 3_600)
    assert next_attempt(COMPAT_SCHEDULE, 4, FAILED, NOW, 0) is None


@given(st.integers(1, len(SCHEDULE)), st.floats(0, 1, exclude_max=True))
def test_jitter_is_only_added(attempts: int, chance: float) -> None:
    listed, made = SCHEDULE[attempts - 1], delay_s(attempts, chance)
    assert made is not None
    if listed <= 10:
        assert made == listed
    else:
        assert listed + 1 <= made <= listed + min(max(listed * 0.1, 1), JITTER_MAX_S)


def test_chance_spreads_the_attempts() -> None:
    assert delay_s(6, 0.0) == 3_601
    assert delay_s(6, 0.5) == 3_780
    assert delay_s(23, 0.999) is None
    assert delay_s(22, 0.999) == 43_200 + JITTER_MAX_S


@given(st.integers(1, len(SCHEDULE)), st.floats(0, 1, exclude_max=True), st.floats(0, 86_400))
def test_retry_after_is_a_lower_bound(attempts: int, chance: float, retry_after_s: float) -> None:
    asked = delay_s(attempts, chance, PushError("HTTP 429", http_status=429, retry_after_s=retry_after_s))
    plain = delay_s(attempts, chance)
    assert asked is not None
    assert plain is not None
    assert asked == pytest.approx(max(plain, retry_after_s), abs=1e-6)


@given(IDS, IDS)
def test_an_id_is_the_same_for_the_same_change_and_another_for_another(
    one: tuple[str, int, int, int, datetime], two: tuple[str, int, int, int, datetime]
) -> None:
    assert re.fullmatch(r"msg_[0-9a-f]{26}", push_id(*one))
    assert (push_id(*one) == push_id(*two)) is (one == two)


def test_an_id_never_changes_between_releases() -> None:
    assert push_id("store-1", 1, 2, 3, NOW) == "msg_19df2dc0a000ac47e1f7409460"


def test_ids_are_in_the_order_of_their_changes() -> None:
    """An index of them grows at its end, whichever shipment changed."""
    ids = [push_id("s", 1, shipment, 1, NOW + timedelta(milliseconds=shipment)) for shipment in range(100)]
    assert ids == sorted(ids)


def test_a_job_shows_no_secret() -> None:
    job = PushJob(
        "msg_1",
        1,
        2,
        3,
        PushEvent.UPDATED,
        4,
        "https://a.example/",
        b"body-x",
        "key-x",
        ("whsec_x",),
        0,
        "lease",
    )
    assert not re.search("body-x|key-x|whsec_x", repr(job))
