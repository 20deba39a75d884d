"""All answers of one source, merged: idempotent, without order, never less."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import HOUR, NOW, START, event, history, hourly, zone_of

from parcelwire.domain.merge import (
    CORRECTION_MAX,
    History,
    add,
    begin,
    earlier,
    event_key,
    merge,
    unchanged,
    visible,
)
from parcelwire.domain.report import Address, Estimate, Event, Moment, Report
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import assemble
from parcelwire.domain.times import local, settle

DAY = timedelta(days=1)
LABEL, PICKED, MOVING, DONE = hourly(
    SubStatus.INFO_RECEIVED, SubStatus.PICKED_UP, SubStatus.IN_TRANSIT, SubStatus.DELIVERED
)


def texts(one: History) -> list[str]:
    return [item.description for item in visible(one)]


def answers(*lists: Sequence[Event], **facts: Any) -> History:
    """One answer a day with these events, merged in order."""
    return reduce(merge, (history(each, asked_at=NOW + day * DAY, **facts) for day, each in enumerate(lists)))


# --- identity of events ---------------------------------------------------------------------------------


def test_the_same_scan_in_other_spelling_and_zone_is_one_event() -> None:
    one = event(
        Moment(START, 0, "2026-05-01", "08:00:00", "+00:00"), None, "Left Hub", code="X", location="Köln"
    )
    two = event(
        Moment(START, 120, "2026-05-01", "10:00:00", "+02:00"), None, "LEFT HUB", code="X", location="KÖLN"
    )
    assert event_key(one) == event_key(two)
    assert len(history([one, two]).seen) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"code": "Y"},
        {"location": "Bonn"},
        {"description": "Arrived"},
        {"time": local(START.replace(tzinfo=None))},
    ],
)
def test_one_difference_makes_two_events(other: dict[str, Any]) -> None:
    one = event(START, None, "Left", code="X", location="Köln")
    assert len(history([one, replace(one, **other)]).seen) == 2


def test_a_local_time_is_its_own_identity_even_when_a_zone_is_found_later() -> None:
    before = event(Moment(date="2026-05-01", time="08:00:00"), None, "scan")
    after = replace(before, time=Moment(START, 120, "2026-05-01", "08:00:00"))
    assert event_key(before) == event_key(after)


# --- more answers ---------------------------------------------------------------------------------------


def test_a_longer_answer_adds_its_new_events() -> None:
    assert texts(answers([LABEL], [LABEL, PICKED])) == ["InTransit_PickedUp", "InfoReceived"]


@pytest.mark.parametrize("later", [[], [DONE], [LABEL]])
def test_an_empty_or_shorter_answer_removes_nothing(later: list[Event]) -> None:
    everything = [LABEL, PICKED, MOVING, DONE]
    assert texts(answers(everything, later)) == texts(history(everything))


def test_the_first_answer_is_the_history() -> None:
    report = settle(Report("A12345", (PICKED, LABEL)), zone_of, NOW)
    assert add(None, "post", report, NOW) == begin("post", report, NOW)
    assert add(history([LABEL]), "post", report, NOW + DAY).asked_at == NOW + DAY


def test_an_answer_that_says_nothing_leaves_the_current_status() -> None:
    said = history([], current=SubStatus.DELIVERED, current_authoritative=True, current_reason="porch")
    for merged in (
        merge(said, history([], asked_at=NOW + DAY)),
        merge(history([], asked_at=NOW + DAY), said),
    ):
        assert merged.asked_at == NOW + DAY
        assert merged.report.current is SubStatus.DELIVERED
        assert merged.report.current_authoritative
        assert merged.report.current_reason == "porch"
        assert assemble([merged], NOW + DAY).sub_status is SubStatus.DELIVERED


def test_an_answer_with_events_brings_its_own_current_status_even_none() -> None:
    said = history([LABEL], current=SubStatus.DELAYED)
    newer = history([LABEL, PICKED], asked_at=NOW + DAY)
    silent = history([], asked_at=NOW + 2 * DAY)
    assert merge(merge(said, newer), silent).report.current is None
    assert merge(said, merge(newer, silent)).report.current is None


def test_a_fact_is_that_of_the_newest_answer_that_has_one() -> None:
    one = history([], service="Parcel", weight_kg="1.2", pieces="1")
    two = history([], asked_at=NOW + DAY, service="Express", lang="de")
    three = history([], asked_at=NOW + 2 * DAY, destination=Address(country="DE"))
    for merged in (
        merge(merge(one, two), three),
        merge(one, merge(three, two)),
        merge(three, merge(one, two)),
    ):
        report = merged.report
        assert (report.service, report.weight_kg, report.pieces, report.lang) == ("Express", "1.2", "1", "de")
        assert report.destination == Address(country="DE")
        assert merged.older == {"service": NOW + DAY, "lang": NOW + DAY, "weight_kg": NOW, "pieces": NOW}


def test_a_return_once_told_stays_told() -> None:
    assert answers([LABEL], [LABEL]).report.returning is False
    assert merge(history([], returning=True), history([], asked_at=NOW + DAY)).report.returning


# --- corrections ----------------------------------------------------------------------------------------


def moved(by: timedelta, **change: Any) -> Event:
    return replace(event(START + by, SubStatus.IN_TRANSIT, "scan"), **change)


@pytest.mark.parametrize("by", [CORRECTION_MAX, -CORRECTION_MAX, timedelta(minutes=1)])
def test_a_scan_moved_by_minutes_in_a_later_answer_hides_the_old_one_and_keeps_it_stored(
    by: timedelta,
) -> None:
    merged = answers([moved(timedelta())], [moved(by)])
    assert [item.time.utc for item in visible(merged)] == [START + by]
    assert len(merged.seen) == 2


@pytest.mark.parametrize(
    "other",
    [
        moved(CORRECTION_MAX + timedelta(seconds=1)),
        moved(timedelta(minutes=1), code="Y"),
        moved(timedelta(minutes=1), location="Bonn"),
        moved(timedelta(minutes=1), description="other"),
        replace(moved(timedelta()), time=Moment(date="2026-05-01")),
    ],
)
def test_any_other_difference_is_another_scan(other: Event) -> None:
    assert len(texts(answers([moved(timedelta())], [other]))) == 2


def test_a_date_alone_is_not_corrected_by_a_time_near_midnight() -> None:
    day, minute = Moment(date="2026-05-01"), local(datetime.fromisoformat("2026-05-01T00:02:00"))
    for old, new in ((day, minute), (minute, day)):
        assert len(texts(answers([event(old, None, "scan")], [event(new, None, "scan")]))) == 2


def test_a_scan_never_corrects_itself_though_the_clock_went_back() -> None:
    """An answer that said nothing new moves asked_at back with the clock; the next one holds no events."""
    before = begin("ups", Report("1", (event(START, None, "scan"),)), NOW + 24 * HOUR)
    again = replace(before, asked_at=NOW)
    emptied = add(again, "ups", Report("1", ()), NOW + HOUR)
    assert texts(emptied) == ["scan"]


def test_two_scans_of_one_answer_never_correct_each_other() -> None:
    both = [moved(timedelta()), moved(timedelta(minutes=2))]
    assert len(texts(answers(both))) == 2
    assert len(texts(answers(both, [both[1]]))) == 2
    assert len(texts(answers([both[0]], both))) == 2


def test_a_scan_that_comes_back_is_shown_again() -> None:
    first, second = [moved(timedelta())], [moved(timedelta(minutes=2))]
    assert len(texts(answers(first, second, [*first, *second]))) == 2


def test_an_event_that_was_taken_back_is_hidden_whichever_answer_comes_first() -> None:
    key = event_key(DONE)
    told, voided = history([LABEL, DONE]), history([LABEL], asked_at=NOW + DAY, voided=(key, key))
    for merged in (
        merge(told, voided),
        merge(voided, told),
        merge(merge(told, voided), history([], asked_at=NOW)),
    ):
        assert texts(merged) == ["InfoReceived"]
        assert merged.report.voided == (key,)


def test_a_journey_can_be_moved_back_while_its_answers_stay() -> None:
    moved_back = earlier(history([LABEL, event(Moment(), None, "no time")]), DAY)
    assert [item.order_at for item in visible(moved_back)] == [START - DAY, START - DAY]
    shown = {item.description: item.time for item in visible(moved_back)}
    assert shown["InfoReceived"].utc == START - DAY
    assert shown["no time"] == Moment()
    assert moved_back.asked_at == NOW


# --- laws -----------------------------------------------------------------------------------------------

POOL = [
    event(START + minutes * timedelta(minutes=1), sub, text)
    for minutes in (0, 3, 7, 90)
    for sub in (SubStatus.INFO_RECEIVED, SubStatus.IN_TRANSIT, SubStatus.DELIVERED)
    for text in ("a", "b")
] + [event(Moment(date="2026-05-02"), SubStatus.PICKED_UP), event(Moment(), None, "no time")]
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "service": st.sampled_from(["x", "y"]),
        "current": st.sampled_from(
            [SubStatus.DELIVERED, SubStatus.INFO_RECEIVED, SubStatus.OUT_FOR_DELIVERY]
        ),
        "current_authoritative": st.booleans(),
        "current_reason": st.sampled_from(["r", "s"]),
        "returning": st.booleans(),
        "estimate": st.just(Estimate(Moment(date="2026-05-09"))),
        "voided": st.lists(st.sampled_from(POOL).map(event_key), max_size=2).map(tuple),
    },
)
ANSWER = st.tuples(st.lists(st.sampled_from(POOL), max_size=6), FACTS)
ANSWERS = st.lists(ANSWER, min_size=1, max_size=5)


def made(given_answers: list[tuple[list[Event], dict[str, Any]]]) -> list[History]:
    return [
        history(events, asked_at=NOW + hours * HOUR, now=NOW, **facts)
        for hours, (events, facts) in enumerate(given_answers)
    ]


def grouped(items: list[History], draw: st.DataObject) -> History:
    """Merged in any grouping."""
    if len(items) == 1:
        return items[0]
    cut = draw.draw(st.integers(1, len(items) - 1))
    return merge(grouped(items[:cut], draw), grouped(items[cut:], draw))


@given(ANSWERS, st.data())
def test_order_and_grouping_of_answers_do_not_matter(
    given_answers: list[tuple[list[Event], dict[str, Any]]], data: st.DataObject
) -> None:
    items = made(given_answers)
    shuffled = data.draw(st.permutations(items))
    assert grouped(shuffled, data) == reduce(merge, items)


@given(ANSWERS, st.data())
def test_an_answer_that_is_already_in_changes_nothing(
    given_answers: list[tuple[list[Event], dict[str, Any]]], data: st.DataObject
) -> None:
    items = made(given_answers)
    whole = reduce(merge, items)
    assert merge(whole, data.draw(st.sampled_from(items))) == whole
    assert merge(whole, whole) == whole


@given(ANSWERS, ANSWER)
def test_events_are_only_added(
    given_answers: list[tuple[list[Event], dict[str, Any]]], more: tuple[list[Event], dict[str, Any]]
) -> None:
    *items, extra = made([*given_answers, more])
    before = reduce(merge, items)
    after = merge(before, extra)
    keys = {event_key(item.event) for item in after.seen}
    assert keys == {event_key(item.event) for item in before.seen} | {
        event_key(item.event) for item in extra.seen
    }
    times = {event_key(item.event): (item.event.time.date, item.event.time.time) for item in after.seen}
    for item in before.seen:
        assert times[event_key(item.event)] == (item.event.time.date, item.event.time.time)


@given(
    st.lists(st.sampled_from([LABEL, PICKED, MOVING, DONE]), unique=True, max_size=3),
    st.booleans(),
    FACTS.map(lambda facts: {k: v for k, v in facts.items() if k not in ("returning", "voided")}),
)
def test_no_further_answer_takes_delivered_back(
    part: list[Event], newer: bool, facts: dict[str, Any]
) -> None:
    """Older or newer, shorter or empty, whatever it says of the current status."""
    whole = history([LABEL, PICKED, MOVING, DONE])
    asked_at = NOW + DAY if newer else NOW - DAY
    oldest_first = sorted(part, key=lambda item: item.time.utc or NOW)
    merged = merge(whole, history(oldest_first, asked_at=asked_at, now=NOW, **facts))
    assert assemble([merged], NOW + DAY).sub_status is SubStatus.DELIVERED


def test_two_answers_of_one_instant_merge_the_same_in_either_order() -> None:
    one, two = history([LABEL], service="a"), history([PICKED], service="b")
    assert merge(one, two) == merge(two, one)


@given(ANSWERS, st.integers(0, 6))
def test_an_answer_that_goes_on_adds_what_merging_would(
    given_answers: list[tuple[list[Event], dict[str, Any]]], before: int
) -> None:
    """Property: the short way through ``add`` ends where the long one does."""
    events, facts = given_answers[-1]
    report = settle(Report("A12345", events=tuple(reversed(events)), **facts), zone_of, NOW + DAY)
    shorter = replace(report, events=report.events[before:])
    known = begin("ups", settle(shorter, zone_of, NOW), NOW)
    after = add(known, "ups", report, NOW + DAY)
    assert after == merge(known, begin("ups", report, NOW + DAY))


# --- nothing new ------------------------------------------------------------------------------------------


def settled(newest_first: Sequence[Event], **facts: Any) -> Report:
    return settle(Report("A12345", events=tuple(newest_first), **facts), zone_of, NOW)


@given(ANSWERS, ANSWER)
def test_an_answer_that_repeats_what_is_known_would_change_nothing(
    given_answers: list[tuple[list[Event], dict[str, Any]]], again: tuple[list[Event], dict[str, Any]]
) -> None:
    """Property: what ``unchanged`` promises is what merging would do: same events, same facts."""
    known = reduce(merge, made(given_answers))
    for events, facts in (again, given_answers[-1]):
        report = settled(list(reversed(events)), **facts)
        if unchanged(known, report):
            after = add(known, known.source, report, NOW + DAY)
            assert (after.seen, after.report, after.older) == (known.seen, known.report, {})


def test_the_same_answer_again_is_recognised_and_every_difference_too() -> None:
    """One event more or less, another text, another fact: each is news."""
    report = settled([PICKED, LABEL], service="Parcel")
    known = begin("ups", report, NOW)
    assert unchanged(known, report)
    assert unchanged(add(known, "ups", report, NOW + DAY), report)
    for other in (
        settled([MOVING, PICKED, LABEL], service="Parcel"),
        settled([LABEL], service="Parcel"),
        settled([replace(PICKED, description="Collected"), LABEL], service="Parcel"),
        settled([PICKED, LABEL], service="Letter"),
        settled([PICKED, LABEL]),
    ):
        assert not unchanged(known, other)
    assert not unchanged(add(known, "ups", settled([LABEL], service="Parcel"), NOW + DAY), report)
