"""From events to status, milestones and measures."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import HOUR, NOW, START, event, history, hourly, note, told, utc

from parcelwire.domain.merge import History, merge
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment
from parcelwire.domain.status import RANK, STAGE_OF, STICKY, Stage, Status, SubStatus
from parcelwire.domain.timeline import AHEAD_MAX, NO_MARKS, Leg, Marks, Timeline, assemble, days
from parcelwire.domain.times import from_iso

S = SubStatus
DAY = timedelta(days=1)
CN, US, NL = (Address(country=code) for code in ("CN", "US", "NL"))
MOVEMENT = [
    sub
    for sub in S
    if sub.status in (Status.IN_TRANSIT, Status.OUT_FOR_DELIVERY, Status.AVAILABLE_FOR_PICKUP)
]


def stages(timeline: Timeline) -> dict[str, Stage]:
    """Which events show which stage, by their text."""
    return {scan.event.description: scan.stage for leg in timeline.legs for scan in leg.scans if scan.stage}


def reached(timeline: Timeline) -> dict[Stage, str | None]:
    return {stage: at.time for stage, at in timeline.milestones.items()}


# --- nothing, or nothing that decides -------------------------------------------------------------------


def test_no_source_and_no_event_is_not_found() -> None:
    assert assemble([], NOW) == Timeline(S.NOT_FOUND_OTHER)
    empty = told()
    assert (empty.sub_status, empty.latest, empty.milestones, empty.marks) == (
        S.NOT_FOUND_OTHER,
        None,
        {},
        NO_MARKS,
    )


@pytest.mark.parametrize("events", [[None], [None, None], [note(S.IN_TRANSIT)], [note(S.DELIVERED), None]])
def test_events_that_decide_nothing_mean_that_the_carrier_knows_the_shipment(
    events: list[Event | None],
) -> None:
    timeline = told(*events)
    assert timeline.sub_status is S.INFO_RECEIVED
    assert timeline.milestones == {}
    assert len(timeline.legs[0].scans) == len(events)


@pytest.mark.parametrize("nothing", [None, note(S.DELIVERED), note(S.RETURNING), note(S.CANCEL)])
def test_informative_and_unmapped_events_are_shown_newest_and_change_nothing(nothing: Event | None) -> None:
    timeline = told(S.PICKED_UP, S.DELAYED, nothing)
    assert timeline.sub_status is S.DELAYED
    assert timeline.latest is not None
    assert timeline.latest.sub_status is (nothing.sub_status if nothing else None)
    assert timeline.latest.stage is None
    assert set(timeline.milestones) == {Stage.PICKED_UP}


# --- the walk -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sub", S)
def test_every_sub_status_stands_when_it_is_the_only_event(sub: SubStatus) -> None:
    assert told(sub).sub_status is sub


@pytest.mark.parametrize("before", [sub for sub in S if RANK[sub] > RANK[S.INFO_RECEIVED]])
def test_shipment_data_never_undoes_a_scan(before: SubStatus) -> None:
    assert told(before, S.INFO_RECEIVED).sub_status is before


def test_shipment_data_ends_not_found() -> None:
    assert told(S.NOT_FOUND_OTHER, S.INFO_RECEIVED).sub_status is S.INFO_RECEIVED


@pytest.mark.parametrize("after", MOVEMENT)
@pytest.mark.parametrize(
    "trouble",
    [sub for sub in S if sub.status in (Status.EXCEPTION, Status.DELIVERY_FAILURE) and sub not in STICKY],
)
def test_exceptions_and_failed_attempts_end_with_the_next_scan(trouble: SubStatus, after: SubStatus) -> None:
    stays = trouble is S.RETURNING
    assert told(S.PICKED_UP, trouble, after).sub_status is (S.RETURNING if stays else after)


@pytest.mark.parametrize("after", S)
@pytest.mark.parametrize("end", sorted(STICKY))
def test_an_end_is_left_only_by_what_may_end_it(end: SubStatus, after: SubStatus) -> None:
    leaves: dict[SubStatus, set[SubStatus]] = {
        S.DELIVERED: {S.RETURNING, S.RETURNED},
        S.RETURNED: set(),
        S.DESTROYED: set(),
        S.CANCEL: {*MOVEMENT} | {sub for sub in S if RANK[sub] > RANK[S.CANCEL]},
    }
    assert told(S.PICKED_UP, end, after).sub_status is (after if after in leaves[end] else end)


@pytest.mark.parametrize(
    "after", [S.DELAYED, S.EXCEPTION_OTHER, S.INFO_RECEIVED, S.EXPIRED, note(S.IN_TRANSIT), None]
)
def test_a_cancelled_shipment_is_brought_back_by_a_scan_only(after: SubStatus | Event | None) -> None:
    assert told(S.INFO_RECEIVED, S.CANCEL, after).sub_status is S.CANCEL
    assert told(S.INFO_RECEIVED, S.CANCEL, after, S.PICKED_UP).sub_status is S.PICKED_UP


@pytest.mark.parametrize("movement", MOVEMENT)
def test_movement_on_the_way_back_keeps_returning_and_its_own_sub_status_stays(movement: SubStatus) -> None:
    timeline = told(S.PICKED_UP, S.RETURNING, movement)
    assert timeline.sub_status is S.RETURNING
    assert timeline.latest is not None
    assert timeline.latest.sub_status is movement


def test_delivered_on_the_way_back_is_returned() -> None:
    timeline = told(S.PICKED_UP, S.RETURNING, S.OUT_FOR_DELIVERY, S.DELIVERED)
    assert timeline.sub_status is S.RETURNED
    assert timeline.latest is not None
    assert (timeline.latest.sub_status, timeline.latest.stage) == (S.RETURNED, Stage.RETURNED)
    assert set(timeline.milestones) == {
        Stage.PICKED_UP,
        Stage.RETURNING,
        Stage.OUT_FOR_DELIVERY,
        Stage.RETURNED,
    }


def test_a_return_after_delivery_keeps_both_milestones() -> None:
    timeline = told(S.PICKED_UP, S.DELIVERED, S.RETURNING, S.DELIVERED)
    assert timeline.sub_status is S.RETURNED
    assert reached(timeline)[Stage.DELIVERED] == "09:00:00"
    assert reached(timeline)[Stage.RETURNED] == "11:00:00"


def test_a_shipment_that_the_carrier_marks_as_a_return_is_returning_from_its_first_movement() -> None:
    assert told(S.INFO_RECEIVED, returning=True).sub_status is S.INFO_RECEIVED
    assert told(S.INFO_RECEIVED, S.PICKED_UP, returning=True).sub_status is S.RETURNING
    assert told(S.PICKED_UP, S.DELIVERED, returning=True).sub_status is S.RETURNED


@pytest.mark.parametrize(
    ("one", "two"), [pair for pair in permutations(S, 2) if RANK[pair[0]] != RANK[pair[1]]]
)
def test_of_two_events_of_one_instant_the_higher_rank_is_the_truth(one: SubStatus, two: SubStatus) -> None:
    higher = max(one, two, key=RANK.__getitem__)
    if {one, two} == {S.RETURNING, S.DELIVERED}:
        higher = S.RETURNED
    timeline = assemble([history([event(START, one), event(START, two)])], NOW)
    assert timeline.sub_status is higher
    assert timeline.latest is not None
    assert timeline.latest.event.description == two.value  # the list keeps the carrier's order


def test_of_equal_ranks_the_carriers_order_decides() -> None:
    for one, two in ((S.LOST, S.DAMAGE), (S.DAMAGE, S.LOST)):
        assert assemble([history([event(START, one), event(START, two)])], NOW).sub_status is two


def test_the_reason_of_the_deciding_event_is_told() -> None:
    late = event(START, S.DELAYED, reason="Snow")
    assert assemble([history([late])], NOW).descr == "Snow"
    assert assemble([history([late, event(START + HOUR, S.IN_TRANSIT)])], NOW).descr is None
    assert (
        assemble([history([late, event(START + HOUR, S.IN_TRANSIT, informative=True)])], NOW).descr == "Snow"
    )


# --- the carrier's own current status -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "current", "authoritative", "expected"),
    [
        ([], S.OUT_FOR_DELIVERY, False, S.OUT_FOR_DELIVERY),  # nothing else is known
        ([None], S.IN_TRANSIT, False, S.IN_TRANSIT),
        ([S.FAILURE_OTHER], S.FAILURE_REJECTED, False, S.FAILURE_REJECTED),  # finer
        ([S.FAILURE_REJECTED], S.FAILURE_OTHER, False, S.FAILURE_REJECTED),  # coarser
        ([S.FAILURE_REJECTED], S.FAILURE_NO_BODY, False, S.FAILURE_REJECTED),  # other, and not finer
        ([S.OUT_FOR_DELIVERY], S.IN_TRANSIT, False, S.OUT_FOR_DELIVERY),  # contradicts: events win
        ([S.OUT_FOR_DELIVERY], S.IN_TRANSIT, True, S.IN_TRANSIT),  # unless the carrier's documents say so
        ([S.OUT_FOR_DELIVERY], S.INFO_RECEIVED, True, S.OUT_FOR_DELIVERY),  # data never undoes a scan
        ([S.DELIVERED], S.IN_TRANSIT, True, S.DELIVERED),  # nothing undoes an end
        ([S.RETURNING, S.DELIVERED], S.DELIVERED, True, S.RETURNED),
        ([S.RETURNING], S.DELIVERED, True, S.RETURNED),
        ([S.RETURNING], S.OUT_FOR_DELIVERY, True, S.RETURNING),
        ([S.DELIVERED], S.RETURNING, True, S.RETURNING),
    ],
)
def test_the_current_status_is_taken_when_it_is_finer_or_authoritative_or_alone(
    events: list[SubStatus | None], current: SubStatus, authoritative: bool, expected: SubStatus
) -> None:
    assert told(*events, current=current, current_authoritative=authoritative).sub_status is expected


def test_the_reason_goes_with_the_status_that_is_told() -> None:
    late = [event(START, S.DELAYED, reason="Snow")]
    assert assemble([history(late, current=S.DELAYED)], NOW).descr == "Snow"
    assert assemble([history(late, current=S.DELAYED, current_reason="Ice")], NOW).descr == "Ice"
    moving = history(late, current=S.OUT_FOR_DELIVERY, current_authoritative=True)
    assert (assemble([moving], NOW).sub_status, assemble([moving], NOW).descr) == (S.OUT_FOR_DELIVERY, None)
    other = history(late, current=S.OUT_FOR_DELIVERY, current_reason="soon")
    assert assemble([other], NOW).descr == "Snow"
    other_trouble = history([event(START, S.EXCEPTION_OTHER, reason="Snow")], current=S.DAMAGE)
    assert assemble([other_trouble], NOW).descr == "Snow"


def test_the_source_with_the_newest_event_says_the_current_status() -> None:
    old = history([event(START, S.IN_TRANSIT)], source="a", current=S.DEPARTURE, asked_at=NOW + DAY)
    new = history([event(START + HOUR, S.IN_TRANSIT)], source="b", current=S.ARRIVAL)
    assert assemble([old, new], NOW).sub_status is S.ARRIVAL
    silent = [
        history([], source="a", current=S.LOST),
        history([], source="b", current=S.DAMAGE, asked_at=NOW + DAY),
    ]
    assert assemble(silent, NOW).sub_status is S.DAMAGE


# --- departure and arrival ------------------------------------------------------------------------------


def journey(*steps: tuple[str, SubStatus | None, str | None], **facts: Any) -> Timeline:
    """Scans (text, sub-status, country), one an hour, of a shipment from China to the US."""
    events = [
        event(START + hours * HOUR, sub, text, country=country)
        for hours, (text, sub, country) in enumerate(steps)
    ]
    return assemble([history(events, **{"origin": CN, "destination": US, **facts})], NOW)


def test_the_border_is_told_by_the_countries_of_the_scans() -> None:
    timeline = journey(
        ("Label", S.INFO_RECEIVED, "US"),
        ("Accepted", S.PICKED_UP, "CN"),
        ("Departed Hangzhou", S.IN_TRANSIT, "CN"),
        ("Departed Shanghai", S.IN_TRANSIT, "CN"),
        ("Note", None, "US"),
        ("Facility", S.IN_TRANSIT, "US"),
        ("Departed Los Angeles", S.IN_TRANSIT, "US"),
    )
    assert stages(timeline) == {
        "Label": Stage.INFO_RECEIVED,
        "Accepted": Stage.PICKED_UP,
        "Departed Shanghai": Stage.DEPARTURE,
        "Facility": Stage.ARRIVAL,
    }
    subs = {scan.event.description: scan.sub_status for scan in timeline.legs[0].scans}
    assert subs["Departed Shanghai"] is S.DEPARTURE
    assert subs["Facility"] is S.ARRIVAL
    assert subs["Departed Hangzhou"] is subs["Departed Los Angeles"] is S.IN_TRANSIT


def test_a_finer_scan_at_the_border_keeps_its_sub_status_and_shows_the_stage() -> None:
    timeline = journey(("Hub", S.IN_TRANSIT, "CN"), ("Customs", S.CUSTOMS_PROCESSING, "US"))
    assert stages(timeline) == {"Hub": Stage.PICKED_UP, "Customs": Stage.ARRIVAL}
    assert timeline.sub_status is S.CUSTOMS_PROCESSING


@pytest.mark.parametrize(
    ("steps", "facts"),
    [
        ([("Departed A", S.IN_TRANSIT, "CN"), ("B", S.IN_TRANSIT, "CN")], {}),  # within one country
        ([("Departed A", S.IN_TRANSIT, "CN")], {}),  # nothing proves that it left
        (
            [("At A", S.IN_TRANSIT, "CN"), ("B", S.IN_TRANSIT, "NL"), ("C", S.IN_TRANSIT, "US")],
            {},
        ),  # third country
        ([("Departed A", S.IN_TRANSIT, None), ("B", S.IN_TRANSIT, None)], {}),  # places are not known
        ([("Departed A", S.IN_TRANSIT, "CN"), ("B", S.IN_TRANSIT, "US")], {"destination": NOWHERE}),
        ([("Departed A", S.IN_TRANSIT, "CN"), ("B", S.IN_TRANSIT, "US")], {"destination": CN}),
    ],
)
def test_without_a_crossing_there_is_neither_departure_nor_arrival(
    steps: list[tuple[str, SubStatus | None, str | None]], facts: dict[str, Address]
) -> None:
    assert not {Stage.DEPARTURE, Stage.ARRIVAL} & set(journey(*steps, **facts).milestones)


def test_what_the_carrier_says_of_the_border_is_not_overruled() -> None:
    timeline = journey(
        ("Departed A", S.IN_TRANSIT, "CN"),
        ("Export", S.DEPARTURE, "CN"),
        ("Left port", S.IN_TRANSIT, "CN"),
        ("In US", S.IN_TRANSIT, "US"),
        ("Import", S.ARRIVAL, "US"),
    )
    assert stages(timeline) == {
        "Departed A": Stage.PICKED_UP,
        "Export": Stage.DEPARTURE,
        "Import": Stage.ARRIVAL,
    }


def test_a_departure_in_the_origin_country_on_the_way_back_is_none() -> None:
    timeline = journey(
        ("Left Shanghai", S.IN_TRANSIT, "CN"),
        ("Hub", S.IN_TRANSIT, "US"),
        ("Left Beijing", S.IN_TRANSIT, "CN"),
    )
    assert stages(timeline) == {"Left Shanghai": Stage.DEPARTURE, "Hub": Stage.ARRIVAL}
    assert timeline.milestones[Stage.PICKED_UP].time == "08:00:00"


def test_the_first_scans_country_stands_for_a_missing_origin_country() -> None:
    steps = [("Left A", S.IN_TRANSIT, "CN"), ("B", S.IN_TRANSIT, "US")]
    timeline = journey(*steps, origin=Address(city="Hangzhou"))
    assert timeline.origin == Address(country="CN", city="Hangzhou")
    assert set(timeline.milestones) == {Stage.PICKED_UP, Stage.DEPARTURE, Stage.ARRIVAL}
    assert journey(("A", S.IN_TRANSIT, None), origin=NOWHERE).origin == NOWHERE


# --- milestones -----------------------------------------------------------------------------------------


def test_every_stage_is_reached_the_first_time_but_delivered_the_last() -> None:
    subs = [sub for sub in STAGE_OF if sub not in (S.RETURNING, S.RETURNED)]
    timeline = told(*subs, *subs)
    for stage, at in timeline.milestones.items():
        index = [STAGE_OF[sub] for sub in subs].index(stage)
        hours = index + len(subs) if stage is Stage.DELIVERED else index
        assert at.utc == START + hours * HOUR
    shown = [scan.stage for scan in timeline.legs[0].scans if scan.stage]
    assert sorted(shown) == sorted(timeline.milestones)


def test_the_first_scan_in_transit_is_the_pickup_when_no_code_says_it() -> None:
    assert reached(told(S.INFO_RECEIVED, S.CUSTOMS_PROCESSING, S.IN_TRANSIT)) == {
        Stage.INFO_RECEIVED: "08:00:00",
        Stage.PICKED_UP: "09:00:00",
    }
    assert reached(told(S.IN_TRANSIT, S.PICKED_UP))[Stage.PICKED_UP] == "09:00:00"
    assert Stage.PICKED_UP not in told(S.INFO_RECEIVED, S.DELIVERED).milestones
    assert Stage.INFO_RECEIVED not in told(S.PICKED_UP).milestones


def test_an_event_of_two_stages_shows_the_one_of_its_own_sub_status() -> None:
    assert stages(told(S.ARRIVAL)) == {"InTransit_Arrival": Stage.ARRIVAL}
    assert set(told(S.ARRIVAL).milestones) == {Stage.ARRIVAL, Stage.PICKED_UP}


GIVEN = from_iso("2026-05-03T10:30:00+02:00")


def test_a_delivery_given_apart_fills_in_for_an_event_without_utc() -> None:
    local_event = event(from_iso("2026-05-03T10:00:00"), S.DELIVERED)
    exact_event = event(utc("05-03 08:00"), S.DELIVERED)
    assert assemble([history([local_event], delivered=GIVEN)], NOW).milestones[Stage.DELIVERED] == GIVEN
    assert (
        assemble([history([exact_event], delivered=GIVEN)], NOW).milestones[Stage.DELIVERED]
        == exact_event.time
    )
    no_better = history([local_event], delivered=from_iso("2026-05-03"))
    timeline = assemble([no_better], NOW)
    assert timeline.milestones[Stage.DELIVERED] == local_event.time
    assert timeline.marks.done == utc("05-03 10:00")


def test_a_delivery_given_apart_stands_for_a_missing_event_of_a_delivered_shipment_only() -> None:
    said = {"current": S.DELIVERED, "current_authoritative": True, "delivered": GIVEN}
    timeline = told(S.PICKED_UP, **said)
    assert timeline.milestones[Stage.DELIVERED] == GIVEN
    assert timeline.marks.done == GIVEN.utc
    day_only = told(S.PICKED_UP, **{**said, "delivered": from_iso("2026-05-03")})
    assert day_only.milestones[Stage.DELIVERED].date == "2026-05-03"
    assert day_only.marks.done is None
    assert Stage.DELIVERED not in told(S.PICKED_UP, delivered=GIVEN).milestones
    assert (
        Stage.DELIVERED not in told(S.PICKED_UP, current=S.DELIVERED, current_authoritative=True).milestones
    )


# --- clocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2026-05-06T00:00:01Z", "2026-05-06T08:00:00", "2026-05-07"])
def test_an_event_too_far_ahead_is_shown_and_decides_nothing(text: str) -> None:
    ahead = event(from_iso(text), S.DELIVERED)
    timeline = assemble([history([*hourly(S.PICKED_UP), ahead])], NOW)
    assert timeline.sub_status is S.PICKED_UP
    assert timeline.latest is not None
    assert timeline.latest.event.description == S.PICKED_UP.value
    assert timeline.marks.newest == START
    assert Stage.DELIVERED not in timeline.milestones
    assert timeline.legs[0].scans[0].event.description == S.DELIVERED.value
    assert assemble([history([ahead])], NOW).sub_status is S.INFO_RECEIVED


def test_an_event_a_little_ahead_of_the_clock_counts() -> None:
    timeline = assemble([history([event(NOW + AHEAD_MAX, S.DELIVERED)])], NOW)
    assert timeline.sub_status is S.DELIVERED
    assert days(timeline.marks.dates, NOW.toordinal()) == (0, 0, 0, 0)


def test_a_year_that_cannot_be_true_neither_hides_the_scan_nor_moves_the_measures() -> None:
    odd = event(from_iso("2062-05-01T08:00:00"), S.OUT_FOR_DELIVERY)
    timeline = assemble([history([*hourly(S.PICKED_UP), odd])], NOW)
    assert timeline.sub_status is S.OUT_FOR_DELIVERY
    assert timeline.marks.newest == START


def test_events_without_any_time_give_a_status_and_no_measures() -> None:
    timeline = assemble([history([event(Moment(), S.PICKED_UP)])], NOW)
    assert timeline.sub_status is S.PICKED_UP
    assert timeline.marks == NO_MARKS
    undated = assemble([history([event(Moment(), S.INFO_RECEIVED), *hourly(S.PICKED_UP)])], NOW)
    assert undated.marks.first == START


def test_the_measures_run_from_pickup_to_the_end() -> None:
    label, pickup, end = utc("04-20 23:59"), utc("04-22 00:01"), utc("04-30 12:00")
    events = [event(label, S.INFO_RECEIVED), event(pickup, S.PICKED_UP)]
    moving = assemble([history(events)], NOW).marks
    assert moving == Marks(label, pickup, None, pickup)
    assert days(moving.dates, NOW.toordinal()) == (14, 12, 0, 12)
    done = assemble([history([*events, event(end, S.DELIVERED)])], NOW).marks
    assert done == Marks(label, pickup, end, end)
    assert days(done.dates, NOW.toordinal()) == (10, 8, 8, 4)
    back = assemble([history([*events, event(end, S.RETURNING), event(end + DAY, S.RETURNED)])], NOW).marks
    assert back.done == end + DAY


def test_without_a_pickup_transit_begins_with_the_second_event_else_the_first() -> None:
    assert told(S.INFO_RECEIVED, S.OUT_FOR_DELIVERY, S.DELIVERED).marks.transit == START + HOUR
    assert told(S.OUT_FOR_DELIVERY).marks.transit == START
    no_utc = event(from_iso("2026-05-01T10:00:00"), S.PICKED_UP)
    events = [event(START, S.INFO_RECEIVED), event(START + HOUR, None), no_utc]
    assert assemble([history(events)], NOW).marks.transit == utc("05-01 10:00")


def test_days_are_never_negative_and_zero_without_facts() -> None:
    assert days(NO_MARKS.dates, NOW.toordinal()) == (0, 0, 0, 0)
    later = NOW + 3 * DAY
    assert days(Marks(later, later, None, later).dates, NOW.toordinal()) == (0, 0, 0, 0)


# --- several sources ------------------------------------------------------------------------------------


def test_legs_are_newest_first_and_a_source_without_events_is_last() -> None:
    origin = history(hourly(S.PICKED_UP), source="origin", service="ePacket", origin=CN)
    last_mile = history(hourly(S.IN_TRANSIT, S.DELIVERED, start=START + HOUR), source="usps", destination=US)
    silent = history(
        [], source="aaa", asked_at=NOW + DAY, estimate=Estimate(Moment(date="2026-05-09")), origin=NL
    )
    timeline = assemble([silent, origin, last_mile], NOW)
    assert [leg.source for leg in timeline.legs] == ["usps", "origin", "aaa"]
    assert [len(leg.scans) for leg in timeline.legs] == [2, 1, 0]
    assert (timeline.origin, timeline.destination) == (CN, US)
    assert timeline.estimate == Estimate(Moment(date="2026-05-09"))
    assert isinstance(timeline.legs[0], Leg)


def test_a_milestone_of_several_sources_is_the_earliest_and_events_stay_with_their_source() -> None:
    one = history([event(START + HOUR, S.PICKED_UP, "b")], source="b")
    two = history([event(START, S.PICKED_UP, "a")], source="a")
    timeline = assemble([one, two], NOW)
    assert timeline.milestones[Stage.PICKED_UP].utc == START
    assert stages(timeline) == {"a": Stage.PICKED_UP}


STEP = st.builds(
    event,
    st.sampled_from([START, START + HOUR, START + 2 * HOUR, START + 90 * HOUR, START + 240 * HOUR]),
    st.sampled_from([None, *S]),
    st.sampled_from(["Departed", "Arrived"]),
    country=st.sampled_from([None, "CN", "US"]),
    informative=st.booleans(),
)
SOURCES = st.lists(
    st.tuples(
        st.lists(STEP, max_size=6),
        st.fixed_dictionaries(
            {},
            optional={
                "current": st.sampled_from(list(S)),
                "current_authoritative": st.booleans(),
                "returning": st.booleans(),
                "delivered": st.just(GIVEN),
                "origin": st.just(CN),
                "destination": st.just(US),
            },
        ),
    ),
    max_size=3,
)


def sources(drawn: list[tuple[list[Event], dict[str, Any]]]) -> list[History]:
    return [history(steps, source=f"s{place}", **facts) for place, (steps, facts) in enumerate(drawn)]


@given(SOURCES, st.randoms(use_true_random=False))
def test_the_order_of_the_sources_means_nothing(
    drawn: list[tuple[list[Event], dict[str, Any]]], chance: Random
) -> None:
    histories = sources(drawn)
    shuffled = list(histories)
    chance.shuffle(shuffled)
    assert assemble(shuffled, NOW) == assemble(histories, NOW)


@given(SOURCES)
def test_every_event_is_shown_once_and_every_milestone_on_one_event(
    drawn: list[tuple[list[Event], dict[str, Any]]],
) -> None:
    histories = sources(drawn)
    timeline = assemble(histories, NOW)
    shown = [scan for leg in timeline.legs for scan in leg.scans]
    assert len(shown) == sum(len(item.seen) for item in histories)
    marked = [scan.stage for scan in shown if scan.stage]
    assert len(marked) == len(set(marked))
    assert set(marked) <= set(timeline.milestones)
    assert min(days(timeline.marks.dates, NOW.toordinal())) >= 0
    assert timeline.sub_status in S


def test_a_correction_hides_the_old_scan_from_the_timeline() -> None:
    scan = event(START, S.PICKED_UP, "scan")
    moved = replace(scan, time=event(START + timedelta(minutes=4), None).time)
    both = merge(history([scan]), history([moved], asked_at=NOW + DAY))
    timeline = assemble([both], NOW + DAY)
    assert [item.event.time.utc for item in timeline.legs[0].scans] == [START + timedelta(minutes=4)]
    assert timeline.milestones[Stage.PICKED_UP].utc == START + timedelta(minutes=4)
