"""A conversation that needs more than one call pays for all of them."""

from datetime import UTC, datetime, timedelta

from parcelwire.domain.lane import Lane, charge, take
from parcelwire.domain.limits import Limits

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
DHL = Limits(per_s=1, per_day=250)


def test_further_calls_count_for_the_day_and_keep_the_rate() -> None:
    """Taken at noon, a second call 1.2 s later: the next conversation waits a whole second after that."""
    lane = take(Lane("dhl"), DHL, NOW).lane
    later = NOW + timedelta(seconds=1.2)
    charged = charge(lane, DHL, 1, later)
    assert charged.used == 2
    assert charged.revision > lane.revision
    assert take(charged, DHL, later).retry_at == later + timedelta(seconds=1)


def test_one_call_or_none_costs_nothing_more() -> None:
    lane = take(Lane("dhl"), DHL, NOW).lane
    assert charge(lane, DHL, 0, NOW) is lane
    assert charge(lane, DHL, -1, NOW) is lane


def test_a_carrier_without_limits_needs_no_books() -> None:
    """And so no write: the sandbox asks number by number."""
    lane = Lane("sandbox")
    assert charge(lane, Limits(), 19, NOW) is lane
