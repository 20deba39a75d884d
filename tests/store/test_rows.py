"""Values to rows and back without loss."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.store.samples import DAY, history

from parcelwire.domain.doubt import Doubt
from parcelwire.domain.lane import Lane
from parcelwire.domain.merge import History, merge
from parcelwire.domain.report import Estimate, Moment
from parcelwire.domain.shipment import Phase, Shipment, StopReason, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Marks
from parcelwire.store.rows import (
    LANE,
    MUTABLE,
    SHIPMENT,
    history_bytes,
    history_of,
    lane_of,
    lane_values,
    micros,
    moment,
    mutable_values,
    shipment_of,
    wish_text,
)

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
MAYBE = st.none() | TIMES
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WISHES = st.builds(
    Wish,
    **{field.name: st.none() | TEXTS for field in fields(Wish)}
    | {
        "final_carrier": st.none() | st.integers(0, 2**31),
        "translated": st.none() | st.booleans(),
        "more": st.none() | st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS) | st.dictionaries(TEXTS, TEXTS)),
    },
)
COUNTS = st.integers(0, 2**62)
DOUBTS = st.builds(Doubt, COUNTS, st.lists(TEXTS, max_size=5).map(tuple), st.none() | TEXTS, TEXTS)
SHIPMENTS = st.builds(
    Shipment,
    id=COUNTS, account=COUNTS, number=TEXTS, carrier=TEXTS, code=COUNTS, origin=st.integers(1, 3),
    phase=st.sampled_from(Phase), since=TIMES, wish=WISHES, registered_at=MAYBE, stopped_at=MAYBE,
    stop_reason=st.none() | st.sampled_from(StopReason), version=COUNTS,
    sub_status=st.none() | st.sampled_from(SubStatus), descr=st.none() | TEXTS, digest=st.none() | TEXTS,
    marks=st.builds(Marks, MAYBE, MAYBE, MAYBE, MAYBE), asked_at=MAYBE, answered_at=MAYBE, changed_at=MAYBE,
    trouble=st.none() | TEXTS, fails=COUNTS, refresh_at=MAYBE, lane=TEXTS, lease=st.none() | TEXTS,
    retracked=st.booleans(), carrier_changes=COUNTS, doubt=st.none() | DOUBTS,
)  # fmt: skip
LANES = st.builds(
    Lane, TEXTS, COUNTS, MAYBE, st.none() | st.dates(), COUNTS, COUNTS, COUNTS, COUNTS, MAYBE,
    st.none() | TEXTS,
)  # fmt: skip


@given(TIMES)
def test_times_keep_every_microsecond(at: datetime) -> None:
    assert moment(micros(at)) == at
    assert micros(at + timedelta(microseconds=1)) == micros(at) + 1


@given(SHIPMENTS)
def test_a_shipment_survives_its_row(shipment: Shipment) -> None:
    values = dict(zip(MUTABLE, mutable_values(shipment), strict=True))
    fixed = {
        "id": shipment.id, "account": shipment.account, "number": shipment.number,
        "since": micros(shipment.since), "lease": shipment.lease,
    }  # fmt: skip
    assert set(values).isdisjoint(fixed)
    assert shipment_of([(values | fixed)[name] for name in SHIPMENT]) == shipment


@given(WISHES)
def test_a_wish_holds_only_what_was_given(wish: Wish) -> None:
    given_names = {item.name for item in fields(Wish) if getattr(wish, item.name) is not None}
    assert set(msgspec.json.decode(wish_text(wish))) == given_names


@given(LANES)
def test_a_lane_survives_its_row(lane: Lane) -> None:
    assert len(lane_values(lane)) == len(LANE)
    assert lane_of(lane_values(lane)) == lane


def test_a_history_survives_its_bytes() -> None:
    """With events, estimates, and facts that come from an older answer."""
    old = history("ups", "A", "B")
    estimate = Estimate(Moment(None, None, "2026-05-09", None, None), None)
    old = replace(old, report=replace(old.report, estimate=estimate, unmapped=("X1",)))
    both: History = merge(old, history("ups", "C", at=old.asked_at + DAY))
    assert both.older
    assert history_of(history_bytes(both)) == both
