"""A lane never asks a carrier more than it allows."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import HOUR, NOW

from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    NotYet,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.lane import (
    BLOCK_MAX_S,
    BREAKER_AFTER,
    LATE_S,
    PROBE,
    PROBE_LOOK_S,
    PROBE_S,
    REFUSED_AFTER,
    Lane,
    settle,
    take,
    take_more,
)
from parcelwire.domain.limits import Limits

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
DOWN = Unavailable("HTTP 503")
FREE = Lane("usps")


def play(limits: Limits, times: list[datetime], *, urgent: bool = False) -> list[datetime]:
    """When calls were granted, of the times at which one was wanted."""
    lane, granted = FREE, []
    for now in times:
        grant = take(lane, limits, now, urgent=urgent)
        lane = grant.lane
        if grant.granted:
            granted.append(now)
    return granted


# --- rate -----------------------------------------------------------------------------------------------


def test_without_limits_every_call_is_granted_and_counted() -> None:
    assert len(play(Limits(), [NOW] * 50)) == 50
    lane = take(take(FREE, Limits(), NOW).lane, Limits(), NOW).lane
    assert (lane.used, lane.day, lane.revision) == (2, NOW.date(), 2)


LATE = timedelta(seconds=LATE_S)


def test_a_burst_then_one_call_a_gap() -> None:
    """The burst is smaller by what may arrive late; the gap stays what it is."""
    limits = Limits(per_s=2, burst=4)
    grant = take(FREE, limits, NOW)
    for _ in range(2):
        grant = take(grant.lane, limits, NOW)
        assert grant.granted
    refused = take(grant.lane, limits, NOW)
    assert refused == type(refused)(grant.lane, NOW, False, NOW + LATE, "rate of 2 calls/s")
    assert refused.retry_at is not None
    assert take(grant.lane, limits, refused.retry_at).granted
    assert not take(grant.lane, limits, refused.retry_at - timedelta(microseconds=1)).granted


def test_a_pause_refills_the_burst_and_no_more() -> None:
    limits = Limits(per_s=1, burst=3)
    assert len(play(limits, [NOW] * 5 + [NOW + HOUR] * 5)) == 4


@pytest.mark.parametrize(
    ("limits", "seconds", "calls"),
    [
        (Limits(per_s=1, burst=1), 100, 80),  # DHL: a gap of 1.25 s
        (Limits(per_s=1 / 60, burst=1), 6025, 100),  # USPS
        (Limits(per_s=5, burst=5), 100, 503),  # UPS: the rate is whole
        (Limits(per_s=130, burst=100), 10, 1367),  # FedEx
        (Limits(per_s=30 / 86_400, burst=10), 86_400, 39),  # Royal Mail: 9 at once and soon a 10th
    ],
)
def test_what_may_be_late_costs_little(limits: Limits, seconds: float, calls: int) -> None:
    """Asked as often as is granted: a burst is smaller; without one gaps are a quarter of a second longer."""
    lane, now, count = FREE, NOW, 0
    while now < NOW + timedelta(seconds=seconds):
        grant = take(lane, limits, now)
        lane, count = grant.lane, count + grant.granted
        now = grant.retry_at or now
    assert count == calls


GAPS_US = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60)


@given(GAPS_US, st.sampled_from([0.5, 1, 3, 7, 10, 333.3]), st.integers(1, 5))
def test_no_window_ever_holds_more_calls_than_rate_times_time_plus_burst(
    gaps_us: list[int], per_s: float, burst: int
) -> None:
    now, times = NOW, []
    for gap in gaps_us:
        now += timedelta(microseconds=gap)
        times += [now] * 3
    granted = play(Limits(per_s=per_s, burst=burst), times)
    assert granted
    for first, start in enumerate(granted):
        for last in range(first, len(granted)):
            window_s = (granted[last] - start).total_seconds()
            assert last - first + 1 <= per_s * window_s + burst + 1e-9


@given(
    st.lists(
        st.tuples(st.integers(0, 700_000), st.one_of(st.sampled_from([0, 250_000]), st.integers(0, 250_000))),
        min_size=2,
        max_size=60,
    ),
    st.sampled_from([0.5, 1, 3, 5, 7, 10, 130, 333.3]),
    st.integers(1, 8),
)
def test_however_late_calls_arrive_the_carrier_sees_no_more_than_its_bucket_lets_through(
    wishes: list[tuple[int, int]], per_s: float, burst: int
) -> None:
    """Each is up to LATE_S on its way, overtaking others. Microseconds; three are wanted at each moment."""
    limits, lane, now, arrivals = Limits(per_s=per_s, burst=burst), FREE, NOW, list[float]()
    for gap_us, late_us in wishes:
        now += timedelta(microseconds=gap_us)
        for late in (late_us, 250_000 - late_us, late_us):
            grant = take(lane, limits, now)
            lane = grant.lane
            if grant.granted:
                arrivals.append(((now - NOW) + timedelta(microseconds=late)).total_seconds())
    arrivals.sort()
    tokens, last = float(burst), arrivals[0]
    for at in arrivals:  # the bucket
        tokens, last = min(burst, tokens + (at - last) * per_s) - 1, at
        assert tokens >= -1e-6
    for first, start in enumerate(arrivals):  # and any window
        for count, at in enumerate(arrivals[first:], 1):
            assert count <= floor(burst + per_s * (at - start) + 1e-6)


@given(GAPS_US, st.sampled_from([0.5, 3, 10]), st.integers(1, 5))
def test_a_refusal_names_the_first_moment_at_which_a_call_is_granted(
    gaps_us: list[int], per_s: float, burst: int
) -> None:
    limits = Limits(per_s=per_s, burst=burst)
    lane, now = FREE, NOW
    for gap in gaps_us:
        now += timedelta(microseconds=gap)
        grant = take(lane, limits, now)
        if not grant.granted:
            assert grant.lane is lane
            assert grant.retry_at is not None
            assert grant.retry_at > now
            assert not take(lane, limits, grant.retry_at - timedelta(microseconds=1)).granted
            grant = take(lane, limits, grant.retry_at)
            assert grant.granted
        lane = grant.lane


def test_a_clock_that_is_set_back_stalls_nothing() -> None:
    limits = Limits(per_s=1, burst=1)
    lane = take(FREE, limits, NOW).lane
    assert take(lane, limits, NOW - DAY).granted
    assert not take(lane, limits, NOW - SECOND).granted  # clocks of two machines are never quite equal


# --- daily budget ---------------------------------------------------------------------------------------


def test_a_share_of_the_daily_budget_is_kept_for_urgent_calls() -> None:
    limits = Limits(per_day=10, reserved=0.2)
    lane = FREE
    for _ in range(8):
        lane = take(lane, limits, NOW).lane
    refused = take(lane, limits, NOW)
    assert (refused.granted, refused.why) == (False, "daily budget of 8 calls is used up")
    assert refused.retry_at == datetime(2026, 5, 5, tzinfo=NOW.tzinfo)
    for _ in range(2):
        grant = take(lane, limits, NOW, urgent=True)
        assert grant.granted
        lane = grant.lane
    assert take(lane, limits, NOW, urgent=True).why == "daily budget of 10 calls is used up"
    assert take(lane, limits, refused.retry_at).granted
    assert take(lane, limits, refused.retry_at).lane.used == 1


@pytest.mark.parametrize(
    ("per_day", "reserved", "budget"), [(100, 0.9, 10), (1, 0.2, 1), (250, 0.2, 200), (5, 0, 5)]
)
def test_the_budget_of_ordinary_calls_is_exact(per_day: int, reserved: float, budget: int) -> None:
    assert len(play(Limits(per_day=per_day, reserved=reserved), [NOW] * (per_day + 1))) == budget
    assert (
        len(play(Limits(per_day=per_day, reserved=reserved), [NOW] * (per_day + 1), urgent=True)) == per_day
    )


# --- further calls of a conversation --------------------------------------------------------------------

DHL = Limits(per_s=1, per_day=250)


def test_a_further_call_is_a_call_like_any_other() -> None:
    first = take(FREE, DHL, NOW).lane
    refused = take_more(first, first, DHL, NOW, made=True)
    assert (refused.granted, refused.retry_at) == (False, NOW + SECOND + LATE)
    assert refused.retry_at is not None
    second = take_more(first, first, DHL, refused.retry_at, made=True)
    assert (second.granted, second.lane.used) == (True, 2)


def test_a_call_that_was_not_made_is_as_if_it_had_never_been_taken() -> None:
    """Its place goes to the one in its stead, which waits for nothing and costs no call of the day more."""
    first = take(FREE, DHL, NOW).lane
    later = NOW + SECOND / 2
    other = take_more(first, first, DHL, later, made=False)
    assert other.granted
    assert other.lane == replace(take(FREE, DHL, later).lane, revision=2)


def test_a_call_that_was_not_made_gives_no_rate_back_once_others_were_taken() -> None:
    """They were granted as if it had been made: nobody knows any more what there would be without it."""
    first = take(FREE, DHL, NOW).lane
    lane = take(first, DHL, NOW + 5 * SECOND).lane
    assert not take_more(lane, first, DHL, NOW + 5 * SECOND, made=False).granted
    other = take_more(lane, first, DHL, NOW + 9 * SECOND, made=False)
    assert (other.granted, other.lane.used) == (True, 2)


def test_a_call_of_yesterday_that_was_not_made_is_none_of_today() -> None:
    first = take(FREE, DHL, NOW).lane
    today = take(first, DHL, NOW + DAY).lane
    other = take_more(today, first, DHL, NOW + DAY + HOUR, made=False)
    assert (other.granted, other.lane.used) == (True, 2)


def test_the_conversation_that_tries_whether_a_carrier_is_back_may_go_on() -> None:
    """No other may, and one that was under way when the breaker opened may not either."""
    before = take(FREE, Limits(), NOW).lane
    now = NOW + 30 * SECOND
    probe = take(failed(DOWN, BREAKER_AFTER), Limits(), now).lane
    more = take_more(probe, probe, Limits(), now + SECOND, made=True)
    assert more.granted
    assert more.lane.blocked_why == PROBE
    assert not take(more.lane, Limits(), now + SECOND).granted
    assert not take_more(more.lane, before, Limits(), now + SECOND, made=True).granted


# --- what a conversation means --------------------------------------------------------------------------


def failed(error: CarrierError, times: int, lane: Lane = FREE, now: datetime = NOW) -> Lane:
    for _ in range(times):
        lane = settle(lane, error, now)
    return lane


def blocked_s(lane: Lane, now: datetime = NOW) -> float:
    return (lane.blocked_until - now).total_seconds() if lane.blocked_until else 0


def test_a_blocked_lane_grants_nothing_until_then_and_says_why() -> None:
    lane = settle(FREE, Throttled("HTTP 429", 60), NOW)
    grant = take(lane, Limits(), NOW + 59 * SECOND, urgent=True)
    assert (grant.granted, grant.retry_at) == (False, NOW + 60 * SECOND)
    assert grant.why == "carrier asks to wait: HTTP 429"
    assert take(lane, Limits(), NOW + 60 * SECOND).granted


def test_retry_after_is_kept_whatever_its_length() -> None:
    assert blocked_s(settle(FREE, Throttled("429", 7_200), NOW)) == 7_200
    assert blocked_s(settle(FREE, Throttled("429", 1), NOW)) == 1


def test_a_shorter_block_never_ends_a_longer_one() -> None:
    lane = settle(settle(FREE, Throttled("429", 600), NOW), Throttled("429", 5), NOW + SECOND)
    assert blocked_s(lane) == 600


def test_throttling_without_a_time_grows_to_its_bound() -> None:
    waits = [blocked_s(failed(Throttled("429"), times)) for times in range(1, 8)]
    assert waits == [30, 45, 67.5, 101.25, 151.875, 227.8125, 341.71875]
    assert blocked_s(failed(Throttled("429"), 100)) == BLOCK_MAX_S


def test_the_breaker_opens_after_five_failures_in_a_row_and_grows_with_every_probe_that_fails() -> None:
    assert failed(DOWN, BREAKER_AFTER - 1).blocked_until is None
    lane, now, waits = failed(DOWN, BREAKER_AFTER), NOW, []
    assert lane.blocked_why == "breaker open after 5 failures: HTTP 503"
    for _ in range(12):
        waits.append(blocked_s(lane, now))
        assert lane.blocked_until is not None
        now = lane.blocked_until
        lane = settle(take(lane, Limits(), now).lane, DOWN, now, probe=True)
    assert [round(wait) for wait in waits] == [20, 30, 45, 68, 101, 152, 228, 342, 513, 769, 900, 900]
    opened = [sum(waits[:count]) for count in range(len(waits))]  # how long it had been open by then
    assert all(wait <= 20 + before / 2 + 1e-4 for wait, before in zip(waits, opened, strict=True))


def test_failures_of_questions_from_before_do_not_keep_the_breaker_open_for_longer() -> None:
    lane = failed(DOWN, BREAKER_AFTER)
    assert settle(lane, DOWN, NOW + SECOND) is lane


def test_one_conversation_alone_tries_whether_the_carrier_is_back() -> None:
    """Others look again after seconds, and a probe whose process died does not block the lane for ever."""
    lane = failed(DOWN, BREAKER_AFTER)
    now = NOW + 30 * SECOND
    probe = take(lane, Limits(), now)
    assert probe.granted
    other = take(probe.lane, Limits(), now, urgent=True)
    assert (other.granted, other.retry_at, other.why) == (False, now + PROBE_LOOK_S * SECOND, PROBE)
    assert take(probe.lane, Limits(), now + PROBE_S * SECOND).granted
    assert settle(probe.lane, DOWN, now) is settle(probe.lane, None, now) is probe.lane, "asked before"
    back = settle(probe.lane, None, now + SECOND, probe=True)
    assert (back.blocked_until, back.blocked_why, back.fails, back.recent) == (None, None, 0, 0)
    assert take(take(back, Limits(), now).lane, Limits(), now).granted


@pytest.mark.parametrize(
    ("error", "seconds"), [(Throttled("429", 7), 7.0), (Refused("401"), 0.0), (NotYet("later"), 0.0)]
)
def test_whatever_a_probe_ends_in_it_is_over(error: CarrierError, seconds: float) -> None:
    now = NOW + 30 * SECOND
    probe = take(failed(DOWN, BREAKER_AFTER), Limits(), now).lane
    lane = settle(probe, error, now, probe=True)
    assert blocked_s(lane, now) == seconds
    assert lane.revision > probe.revision


def test_the_breaker_opens_when_half_of_the_last_twenty_failed() -> None:
    """Never five in a row: two of three fail."""
    lane, count = FREE, 0
    while lane.blocked_until is None:
        lane = settle(lane, None if count % 3 == 2 else DOWN, NOW)
        count += 1
    assert count == 20
    assert lane.blocked_why == "breaker open after 14 failures in 20 conversations: HTTP 503"
    assert blocked_s(lane) == 20
    later = NOW + HOUR
    assert blocked_s(settle(take(lane, Limits(), later).lane, DOWN, later, probe=True), later) == 30


@given(st.lists(st.booleans(), max_size=120))
def test_less_than_half_never_opens_it_and_an_old_failure_is_forgotten(row: list[bool]) -> None:
    """The window is that of a plain list; without five in a row nothing else opens it."""
    lane, seen = FREE, list[bool]()
    for fails in row:
        lane = settle(lane, DOWN if fails else None, NOW)
        seen = [*seen, fails] if any(seen) or fails else []
        window = seen[-20:]
        in_a_row = len(seen) >= BREAKER_AFTER and all(seen[-BREAKER_AFTER:])
        half = len(seen) >= 20 and sum(window) >= 10 and fails
        assert (lane.blocked_until is not None) is (in_a_row or half)
        if lane.blocked_until is not None:
            return
    assert lane.recent == 0 or any(seen[-20:])


@pytest.mark.parametrize("answer", [None, UnknownNumber("404"), InvalidNumber("no")])
def test_an_answer_ends_the_row_of_failures(answer: CarrierError | None) -> None:
    lane = settle(failed(DOWN, BREAKER_AFTER - 1), answer, NOW)
    assert (lane.fails, lane.refusals, lane.throttles) == (0, 0, 0)
    assert failed(DOWN, BREAKER_AFTER - 1, lane).blocked_until is None


def test_credentials_are_tried_three_times_and_then_rested() -> None:
    refused = Refused("HTTP 401")
    assert failed(refused, REFUSED_AFTER - 1).blocked_until is None
    lane = failed(refused, REFUSED_AFTER)
    assert blocked_s(lane) == BLOCK_MAX_S
    assert lane.blocked_why == "credential refused 3 times: HTTP 401"


def test_an_answer_to_an_earlier_question_does_not_end_a_block() -> None:
    lane = settle(FREE, Throttled("429", 600), NOW)
    assert settle(lane, None, NOW + 599 * SECOND) is lane
    after = settle(lane, None, NOW + 600 * SECOND)
    assert (after.blocked_until, after.blocked_why, after.throttles) == (None, None, 0)


def test_nothing_is_written_when_nothing_changes() -> None:
    assert settle(FREE, None, NOW) is FREE
    assert settle(FREE, UnknownNumber("no"), NOW) is FREE


def test_answers_that_cannot_be_read_open_the_breaker_like_an_outage() -> None:
    """A maintenance page comes with HTTP 200 as often as not."""
    lane = FREE
    for _ in range(BREAKER_AFTER):
        assert lane.blocked_until is None
        lane = settle(lane, MalformedReply("html"), NOW)
    assert lane.blocked_until is not None


@pytest.mark.parametrize("error", [DOWN, Refused("401"), Throttled("429", 5)])
def test_every_change_is_a_new_revision(error: CarrierError) -> None:
    changed = settle(FREE, error, NOW)
    assert changed.revision == 1
    assert settle(changed, None, NOW + HOUR).revision == 2


# --- a clock that went back ------------------------------------------------------------------------------


def blocked_today(seconds: float) -> Lane:
    taken = take(FREE, Limits(), NOW).lane
    return settle(taken, Throttled("429", seconds), NOW)


def test_a_block_made_on_a_later_day_ends_when_the_clock_goes_back() -> None:
    """Else the lane would wait for a day and more."""
    grant = take(blocked_today(90), Limits(), NOW - DAY)
    assert (grant.granted, grant.lane.blocked_until, grant.lane.blocked_why) == (True, None, None)


def test_a_block_of_today_holds_though_the_clock_went_back_a_little() -> None:
    assert not take(blocked_today(90), Limits(), NOW - SECOND).granted


def test_a_carrier_can_ask_for_a_day_of_patience_and_no_more() -> None:
    lane = blocked_today(900_000)
    assert lane.blocked_until == NOW + DAY
    assert not take(lane, Limits(), NOW + DAY - SECOND).granted
    assert take(lane, Limits(), NOW + DAY).granted
