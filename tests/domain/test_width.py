"""The number of conversations at once follows what the carrier can do."""

from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.width import FIRST, MOST, Width, after

answers = st.lists(st.tuples(st.floats(0, 60_000), st.booleans(), st.booleans()))


@given(answers)
def test_there_is_always_one_place_and_never_too_many(said: list[tuple[float, bool, bool]]) -> None:
    """Property: whatever happens."""
    width = Width()
    for ms, failed, full in said:
        width = after(width, ms, failed=failed, full=full)
        assert 1 <= width.places <= MOST


def test_it_grows_one_by_one_while_all_goes_well() -> None:
    """About one place more for each time that all places were used once."""
    width = Width()
    for _ in range(int(FIRST) + 1):
        width = after(width, 100, failed=False, full=True)
    assert width.places == int(FIRST) + 1
    for _ in range(500):
        width = after(width, 100, failed=False, full=True)
    assert width.places == MOST


def test_it_does_not_grow_while_places_are_free() -> None:
    assert after(Width(), 100, failed=False, full=False).size == FIRST


def test_a_failure_halves_it_and_slow_answers_shrink_it() -> None:
    usual = Width(16, 200)
    assert after(usual, 200, failed=True, full=True).places == 8
    slow = usual
    for _ in range(4):
        slow = after(slow, 2_000, failed=False, full=True)
    assert slow.places < 8


def test_a_carrier_that_is_always_slow_is_not_punished_for_ever() -> None:
    """Slow is twice its own usual; and quick answers are never slow."""
    width = Width(4, 3_000)
    for _ in range(20):
        width = after(width, 4_000, failed=False, full=True)
    assert width.places > 4
    assert after(Width(4, 2), 90, failed=False, full=True).size > 4
