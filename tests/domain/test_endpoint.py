"""How an endpoint is treated: the table of states, and what holds for any row of attempts."""

import heapq
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.endpoint import (
    BREAKS_AFTER,
    BURST,
    NEXT_STATE,
    PAUSED_AFTER,
    PROBES_S,
    QUICK_S,
    SECRETS_OVERLAP,
    WIDTH_MAX,
    Endpoint,
    EndpointState,
    Health,
    Outcome,
    Signal,
    Wants,
    after,
    secrets_at,
    steered,
)
from parcelwire.domain.push import PushEvent
from parcelwire.domain.status import Status

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HEALTHY, FAILING, PAUSED = EndpointState

SIGNALS = st.sampled_from([Signal.TAKEN, Signal.FAILED, Signal.FAILED, Signal.FAILED, Signal.GONE])
STEPS = st.lists(
    st.tuples(SIGNALS, st.sampled_from("abc"), st.booleans(), st.integers(0, 4 * 86_400)), max_size=60
)


def failed(push: str = "a", *, probe: bool = False, not_before: datetime | None = None) -> Outcome:
    return Outcome(Signal.FAILED, push, "HTTP 500", probe, not_before)


def taken(push: str = "a", *, probe: bool = False) -> Outcome:
    return Outcome(Signal.TAKEN, push, "", probe)


def broken(gap: timedelta = MINUTE) -> Health:
    """An endpoint that came to fail, at NOW."""
    health = Health()
    for number in range(BREAKS_AFTER):
        at = NOW - gap * (BREAKS_AFTER - 1 - number)
        health = after(health, failed("ab"[number % 2]), at)
    assert health.state is FAILING
    return health


def test_every_signal_has_its_place_in_the_table() -> None:
    """But two failures that only one state can read as such."""
    missing = {(state, signal) for state in EndpointState for signal in Signal} - NEXT_STATE.keys()
    assert missing == {
        (HEALTHY, Signal.LASTED), (FAILING, Signal.BROKE), (PAUSED, Signal.BROKE), (PAUSED, Signal.LASTED),
    }  # fmt: skip


@given(STEPS)
def test_any_row_of_attempts_keeps_the_rules(steps: list[tuple[Signal, str, bool, int]]) -> None:
    """Healthy has 1 to 20 places, failing has one and knows its next probe, paused only by cause, and only
    an operator ends a pause."""
    health, now = Health(), NOW
    for signal, push, probe, seconds in steps:
        now += timedelta(seconds=seconds)
        before, health = health, after(health, Outcome(signal, push, "x", probe), now)
        assert 1 <= health.width <= WIDTH_MAX
        if health.state is FAILING:
            assert health.width == 1
            assert health.probe_at is not None
            if before.state is HEALTHY:
                assert health.fails >= BREAKS_AFTER
        if before.state is PAUSED:
            assert health == before
        elif health.state is PAUSED:
            long = before.state is FAILING and before.since and now - before.since >= PAUSED_AFTER
            assert signal is Signal.GONE or long
        if signal is Signal.TAKEN and before.state is not PAUSED:
            assert health.state is HEALTHY


@given(st.lists(st.integers(0, 3600), min_size=1, max_size=40))
def test_one_event_alone_never_makes_an_endpoint_fail(gaps: list[int]) -> None:
    """It follows its own schedule: perhaps the endpoint dislikes only this one."""
    health, now = Health(), NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        health = after(health, failed("the same"), now)
    assert health.state is HEALTHY


def test_failures_count_in_a_row_only() -> None:
    health = Health()
    for _ in range(20):
        for push in "abab":
            health = after(health, failed(push), NOW)
        health = after(health, taken(), NOW)
        assert (health.state, health.fails) == (HEALTHY, 0)


def test_probes_go_slower_and_slower() -> None:
    """5 s, 15 s, 1 min, 5 min, then just below 15 min."""
    health, now, waits = broken(), NOW, []
    for _ in range(8):
        assert health.probe_at is not None
        waits.append((health.probe_at - now).total_seconds())
        now = health.probe_at
        health = after(health, failed(probe=True), now)
    assert waits == [5, 15, 60, 300, 870, 870, 870, 870]


def test_a_burst_of_failures_is_looked_into_at_once() -> None:
    """Five failures within seconds may be an endpoint that refuses every third push: two quick probes."""
    health = broken(BURST / 10)
    assert health.probe_at == NOW + timedelta(seconds=QUICK_S[0])
    health = after(health, failed(probe=True), NOW)
    assert health.probe_at == NOW + timedelta(seconds=QUICK_S[1])
    health = after(health, failed(probe=True), NOW)
    assert health.probe_at == NOW + timedelta(seconds=5)


def test_a_probe_waits_as_long_as_the_endpoint_asked_for() -> None:
    later = NOW + timedelta(hours=3)
    health = after(broken(), failed(probe=True, not_before=later), NOW)
    assert health.probe_at == later


def test_what_was_under_way_when_it_came_to_fail_does_not_slow_the_probes() -> None:
    health = broken()
    assert after(health, failed("c"), NOW + MINUTE) is health


def test_every_second_slow_probe_is_the_newest_event() -> None:
    """Else two events that are always refused would keep all others back."""
    health, kinds = broken(), []
    for _ in range(len(PROBES_S) - len(QUICK_S) + 4):
        kinds.append(health.newest_first)
        health = after(health, failed(probe=True), NOW)
    assert kinds[: len(PROBES_S) - len(QUICK_S)] == [False] * 5
    assert kinds[-4:] in ([True, False] * 2, [False, True] * 2)


@pytest.mark.parametrize("probe", [True, False])
def test_one_success_ends_a_failure_and_begins_slowly(*, probe: bool) -> None:
    health = after(broken(), taken(probe=probe), NOW + MINUTE)
    assert health == Health(HEALTHY, NOW + MINUTE)
    assert health.width == 1


def test_the_width_grows_by_one_a_round_and_is_halved_by_a_round_of_failures() -> None:
    health, widths = Health(), []
    for _ in range(sum(range(1, WIDTH_MAX)) + 50):
        widths.append(health.width)
        health = after(health, taken(), NOW)
    for width in range(1, WIDTH_MAX):
        assert widths.count(width) == width
    assert health.width == WIDTH_MAX
    assert after(health, taken(), NOW) is health  # nothing to save
    for _ in range(WIDTH_MAX - 1):
        health = after(health, failed(), NOW)
        assert health.width == WIDTH_MAX
    assert after(health, failed(), NOW).width == WIDTH_MAX // 2


def wide() -> Health:
    """An endpoint that has taken everything for long."""
    health = Health()
    for _ in range(WIDTH_MAX**2):
        health = after(health, taken(), NOW)
    assert health.width == WIDTH_MAX
    return health


def test_a_wide_endpoint_fails_after_a_whole_round_within_seconds() -> None:
    """As many as were under way when it died anyway: five in a row among twenty may be chance."""
    health = wide()
    for number in range(WIDTH_MAX - 1):
        health = after(health, failed(f"{number}"), NOW)
    assert health.state is HEALTHY
    assert after(health, failed("last"), NOW).state is FAILING


def test_a_wide_endpoint_with_little_to_send_fails_after_five_as_any_other() -> None:
    health = wide()
    for number in range(BREAKS_AFTER):
        assert health.state is HEALTHY
        health = after(health, failed(f"{number}"), NOW + BURST / (BREAKS_AFTER - 1) * number)
    assert health.state is FAILING


@pytest.mark.parametrize("share", [0.02, 0.1, 1 / 3])
@pytest.mark.parametrize(("answers_in_s", "seconds"), [(0.005, 30), (0.2, 600)])
def test_an_endpoint_that_refuses_a_share_by_chance_is_sent_to_at_its_full_width(
    share: float, answers_in_s: float, seconds: float
) -> None:
    """A seeded run: nearly as many are taken as if it were always twenty wide, and it never stands still."""
    told = play(share, answers_in_s, seconds, random.Random(6))
    fastest = WIDTH_MAX / answers_in_s * (1 - share) * seconds
    assert len(told) >= 0.9 * fastest
    assert max(later - at for at, later in pairwise(told)) <= 5


def test_a_dead_endpoint_costs_a_handful_of_requests_however_wide_it_was() -> None:
    """Until it is taken for failing: at most twice what was under way."""
    health, count = wide(), 0
    while health.state is HEALTHY:
        count += 1
        health = after(health, failed(f"{count}"), NOW)
    assert count + WIDTH_MAX <= 2 * WIDTH_MAX


def play(share: float, answers_in_s: float, seconds: float, chance: random.Random) -> list[float]:
    """When pushes were taken by a new endpoint for which more waits than it can take; seconds."""
    health, at = Health(), 0.0
    under_way: list[float] = []  # when their answers come
    told: list[float] = []
    number = 0
    while at < seconds:
        failing = health.state is FAILING
        for _ in range((1 if failing else health.width) - len(under_way)):
            begins = at
            if failing and health.probe_at:
                begins = max(at, (health.probe_at - NOW).total_seconds())
            heapq.heappush(under_way, begins + answers_in_s * chance.uniform(0.8, 1.2))
        at, number = heapq.heappop(under_way), number + 1
        refused = chance.random() < share
        if not refused:
            told.append(at)
        signal = Signal.FAILED if refused else Signal.TAKEN
        health = after(health, Outcome(signal, f"{number}", "x", failing), NOW + timedelta(seconds=at))
    return told


def test_410_pauses_at_once_and_five_days_of_failing_do() -> None:
    gone = after(Health(), Outcome(Signal.GONE, "a", "HTTP 410"), NOW)
    assert (gone.state, gone.why) == (PAUSED, "the endpoint answered 410 Gone")
    almost = after(broken(), failed(probe=True), NOW + PAUSED_AFTER - MINUTE)
    assert almost.state is FAILING
    lasted = after(almost, failed(probe=True), NOW + PAUSED_AFTER)
    assert lasted.state is PAUSED
    assert lasted.why is not None
    assert "5 days" in lasted.why


def test_the_operator_pauses_and_resumes() -> None:
    """What is so already does not change, and a resumed endpoint has a clean slate."""
    paused = steered(broken(), Signal.PAUSE, "by the operator", NOW)
    assert (paused.state, paused.why) == (PAUSED, "by the operator")
    assert steered(paused, Signal.PAUSE, "again", NOW + MINUTE) is paused
    assert steered(paused, Signal.RESUME, None, NOW + MINUTE) == Health(HEALTHY, NOW + MINUTE)
    healthy = Health()
    assert steered(healthy, Signal.RESUME, None, NOW) is healthy


@pytest.mark.parametrize(
    ("wants", "updated_delivered", "updated_nothing", "stopped"),
    [
        (Wants(), True, True, True),
        (Wants(events=(PushEvent.STOPPED,)), False, False, True),
        (Wants(events=(PushEvent.UPDATED,)), True, True, False),
        (Wants(statuses=(Status.DELIVERED,)), True, False, True),
        (Wants((PushEvent.UPDATED,), (Status.EXCEPTION,)), False, False, False),
    ],
)
def test_an_endpoint_hears_what_it_wants(
    wants: Wants, *, updated_delivered: bool, updated_nothing: bool, stopped: bool
) -> None:
    assert wants.hears(PushEvent.UPDATED, Status.DELIVERED) is updated_delivered
    assert wants.hears(PushEvent.UPDATED, None) is updated_nothing
    assert wants.hears(PushEvent.STOPPED, Status.IN_TRANSIT) is stopped


def test_two_secrets_sign_for_a_day() -> None:
    endpoint = Endpoint(1, 1, "https://shop.example", "new")
    assert secrets_at(endpoint, NOW) == ("new",)
    both = replace(endpoint, secret_before="old", both_until=NOW + SECRETS_OVERLAP)
    assert secrets_at(both, NOW + SECRETS_OVERLAP - MINUTE) == ("new", "old")
    assert secrets_at(both, NOW + SECRETS_OVERLAP) == ("new",)
