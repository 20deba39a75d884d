"""Halving a call finds the number that spoils it, and nobody else waits for that number."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.queue import batch_of, home, queue_after

BROKEN = MalformedReply("HTTP 400")
SLOW = Unavailable("no answer in time", timed_out=True)


def test_a_broken_call_is_halved_at_once_and_an_outage_the_second_time() -> None:
    assert queue_after("fedex", BROKEN, [0] * 30) == "fedex/15"
    assert queue_after("fedex/15", BROKEN, [1] * 15) == "fedex/8"
    assert queue_after("fedex", SLOW, [0] * 30) == "fedex"
    assert queue_after("fedex", SLOW, [1] * 30) == "fedex/15"
    assert queue_after("fedex", SLOW, [1] * 29 + [0]) == "fedex"


def test_a_number_alone_stays_where_it_is() -> None:
    assert queue_after("fedex/1", BROKEN, [7]) == "fedex/1"
    assert queue_after("dhl", BROKEN, [7]) == "dhl"


@pytest.mark.parametrize(
    "error", [None, Throttled("429"), Refused("401"), UnknownNumber("no"), InvalidNumber("no")]
)
def test_what_no_number_can_be_blamed_for_moves_nobody(error: CarrierError | None) -> None:
    assert queue_after("fedex/8", error, [3] * 8) == "fedex/8"


def test_a_side_queue_belongs_to_its_lane_and_bounds_its_calls() -> None:
    assert (home("sandbox:429/4"), home("fedex")) == ("sandbox:429", "fedex")
    assert (batch_of("fedex", 30), batch_of("fedex/8", 30), batch_of("fedex/8", 5)) == (30, 8, 5)


@given(size=st.integers(1, 40), data=st.data())
def test_all_but_the_culprits_are_answered(size: int, data: st.DataObject) -> None:
    """Property: whatever numbers are poisonous, every other one gets its answer in a bounded number of calls,
    and in the end exactly the poisonous ones are alone (one call with one number is never halved)."""
    numbers = range(size)
    poison = data.draw(st.sets(st.sampled_from(numbers), max_size=3))
    batch = data.draw(st.integers(1, 40))
    queues: dict[str, deque[int]] = {"lane": deque(numbers)}
    answered: set[int] = set()
    parked: set[int] = set()
    calls = 0
    while any(queues.values()):
        name = next(name for name, queue in queues.items() if queue)
        asked = [queues[name].popleft() for _ in range(min(batch_of(name, batch), len(queues[name])))]
        calls += 1
        after = queue_after(name, BROKEN, [0] * len(asked))
        if poison.isdisjoint(asked):
            answered.update(asked)
        elif len(asked) == 1:
            parked.update(asked)
            assert after == name
        else:
            assert home(after) == "lane"
            assert batch_of(after, batch) < len(asked)
            queues.setdefault(after, deque()).extend(asked)
    assert answered == set(numbers) - poison
    assert parked == poison
    assert calls <= -(-size // batch) + len(poison) * 2 * (batch.bit_length() + 2)
