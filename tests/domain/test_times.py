"""From what a carrier wrote to UTC, and the order of one answer's events."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.stories import NOW, event, zone_of

from parcelwire.domain.report import EVENTS_MAX, UNKNOWN_TIME, Address, Estimate, Event, Moment, Report
from parcelwire.domain.times import (
    EARLIEST,
    LATEST_AHEAD,
    day,
    earlier,
    exact,
    from_iso,
    in_zone,
    local,
    naive,
    offset_text,
    settle,
)
from parcelwire.wire.trackinfo import iso

BERLIN = ZoneInfo("Europe/Berlin")
CHICAGO = ZoneInfo("America/Chicago")
GERMANY = Address(country="DE")


def settled(*newest_first: Event, now: datetime = NOW, default_zone: str | None = None) -> tuple[Event, ...]:
    return settle(Report("A12345", newest_first, default_zone=default_zone), zone_of, now).events


def moment(text: str) -> Moment:
    made = from_iso(text)
    assert made != UNKNOWN_TIME
    return made


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01", Moment(date="2026-05-01")),
        ("20260501", Moment(date="2026-05-01")),
        ("2026-05-01T08:05:09", Moment(date="2026-05-01", time="08:05:09")),
        ("2026-05-01 08:05", Moment(date="2026-05-01", time="08:05:00")),
        (
            "2026-05-01T23:05:09.987-03:30",
            Moment(datetime(2026, 5, 2, 2, 35, 9, tzinfo=UTC), -210, "2026-05-01", "23:05:09", "-03:30"),
        ),
        (
            "2026-05-01T08:05:09Z",
            Moment(datetime(2026, 5, 1, 8, 5, 9, tzinfo=UTC), 0, "2026-05-01", "08:05:09", "+00:00"),
        ),
    ],
)
def test_iso_forms_give_what_was_sent_and_utc_only_with_an_offset(text: str, expected: Moment) -> None:
    assert from_iso(text) == expected


@pytest.mark.parametrize(
    "value",
    ["", "1/5/2026", "2026-5-1", "2026-02-30", "tomorrow", "２０２６-05-01", "2026-05-01T25:00", None, True,
     20260501, b"2026-05-01", "2026-05-01T08:05:09" + "0" * 40],
)  # fmt: skip
def test_anything_else_is_an_unknown_time(value: object) -> None:
    assert from_iso(value) == UNKNOWN_TIME


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-05:00"])
def test_a_placeholder_at_the_end_of_the_calendar_keeps_its_text_and_has_no_utc(text: str) -> None:
    made = from_iso(text)
    assert (made.utc, made.offset_min) == (None, None)
    assert (made.date, made.time, made.zone) == (text[:10], text[11:19], text[19:])


def test_an_offset_sent_apart_is_shown_as_it_was_sent() -> None:
    at = datetime(2026, 5, 1, 8, tzinfo=timezone(timedelta(hours=-5)))
    assert exact(at, "-0500").zone == "-0500"
    assert exact(at).zone == "-05:00"


@given(st.datetimes(timezones=st.timezones()))
def test_an_exact_time_never_loses_its_text_and_never_raises(at: datetime) -> None:
    made = exact(at)
    assert made.date == at.date().isoformat()
    assert made.time == at.time().isoformat("seconds")
    assert made.utc is None or abs(made.utc - at) < timedelta(seconds=1)


@given(st.datetimes())
def test_a_local_time_and_a_day_come_back_as_they_were(at: datetime) -> None:
    assert naive(local(at)) == at.replace(microsecond=0)
    assert naive(day(at)) == datetime.combine(at.date(), datetime.min.time())


@pytest.mark.parametrize("broken", [Moment(), Moment(date="2026-02-30"), Moment(date="x", time="08:00:00")])
def test_a_moment_without_a_real_date_has_no_local_time(broken: Moment) -> None:
    assert naive(broken) is None


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "+00:00"), (345, "+05:45"), (-210, "-03:30"), (840, "+14:00")]
)
def test_offsets_are_written_with_sign_hours_and_minutes(minutes: int, text: str) -> None:
    assert offset_text(timedelta(minutes=minutes)) == text


# --- zones ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "utc", "shown"),
    [
        ("2026-01-15T08:00:00", "2026-01-15T07:00:00", "2026-01-15T08:00:00+01:00"),
        ("2026-07-15T08:00:00", "2026-07-15T06:00:00", "2026-07-15T08:00:00+02:00"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00", "2026-03-29T03:30:00+02:00"),  # gap: forward
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00", "2026-10-25T02:30:00+02:00"),  # fold: first
    ],
)
def test_a_zone_is_applied_with_the_rules_of_the_day(wall: str, utc: str, shown: str) -> None:
    made = in_zone(moment(wall), BERLIN)
    assert made.utc == datetime.fromisoformat(utc + "+00:00")
    assert iso(made) == shown
    assert (made.date, made.time, made.zone) == (wall[:10], wall[11:], None)


def test_a_zone_changes_neither_an_exact_time_nor_a_date_alone_nor_nothing() -> None:
    for kept in (moment("2026-05-01T08:00:00+09:00"), moment("2026-05-01"), UNKNOWN_TIME):
        assert in_zone(kept, BERLIN) is kept


@pytest.mark.parametrize(
    ("wall", "zone"), [("0001-01-01T00:00:00", BERLIN), ("9999-12-31T23:59:59", CHICAGO)]
)
def test_a_local_placeholder_stays_without_utc(wall: str, zone: ZoneInfo) -> None:
    assert in_zone(moment(wall), zone) == moment(wall)


def test_an_iso_time_needs_utc() -> None:
    assert iso(moment("2026-05-01T08:00:00")) is None
    assert iso(Moment(utc=NOW)) is None
    assert iso(moment("2026-05-01T08:00:00Z")) == "2026-05-01T08:00:00+00:00"


def test_the_place_decides_the_zone_before_the_carriers_default() -> None:
    here, elsewhere = settled(
        event(moment("2026-05-02T08:00:00"), None, country="DE"),
        event(moment("2026-05-01T08:00:00"), None),
        default_zone="Asia/Shanghai",
    )
    assert here.time.utc == datetime(2026, 5, 2, 6, tzinfo=UTC)
    assert elsewhere.time.utc == datetime(2026, 5, 1, 0, tzinfo=UTC)


def test_a_time_sent_as_utc_is_shown_in_the_places_own_time_and_kept_as_sent() -> None:
    (seen,) = settled(event(moment("2026-05-01T08:00:00Z"), None, country="NP"))
    assert iso(seen.time) == "2026-05-01T13:45:00+05:45"
    assert (seen.time.time, seen.time.zone) == ("08:00:00", "+00:00")
    (lost,) = settled(event(moment("2026-05-01T08:00:00Z"), None), default_zone="Asia/Shanghai")
    assert iso(lost.time) == "2026-05-01T08:00:00+00:00"


def test_the_zone_of_a_neighbour_orders_an_event_and_gives_it_no_utc() -> None:
    newer = event(moment("2026-05-01T12:00:00+08:00"), None, "newer")  # 04:00 UTC
    unknown = event(moment("2026-05-01T11:00:00"), None, "unknown")
    older = event(moment("2026-05-01T01:00:00-05:00"), None, "older")  # 06:00 UTC
    seen = {item.description: item for item in settled(newer, unknown, older)}
    assert seen["unknown"].order_at == datetime(2026, 5, 1, 6, tzinfo=UTC)  # the newer one's zone says 03:00
    assert seen["unknown"].time.utc is None
    (alone, known) = settled(unknown, older)
    assert (alone.time.utc, alone.order_at) == (None, datetime(2026, 5, 1, 16, tzinfo=UTC))
    assert known.order_at == known.time.utc


def test_a_date_alone_stays_a_date_and_stands_at_midnight() -> None:
    scan = event(moment("2026-05-01T09:00:00"), None, "scan", country="DE")
    label = event(moment("2026-05-01"), None, "label", country="DE")
    seen = settled(scan, label)
    assert [item.description for item in seen] == ["scan", "label"]
    assert seen[1].time == moment("2026-05-01")
    assert seen[1].order_at == datetime(2026, 4, 30, 22, tzinfo=UTC)


def test_a_moment_moves_back_with_its_local_time() -> None:
    moved = earlier(moment("2026-05-01T01:00:00+02:00"), timedelta(hours=3))
    assert moved == moment("2026-04-30T22:00:00+02:00")
    for kept in (moment("2026-05-01T01:00:00"), moment("2026-05-01"), UNKNOWN_TIME):
        assert earlier(kept, timedelta(hours=3)) is kept


# --- what cannot be true --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("1999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-05-11T12:00:01Z"),
        *("1970-01-01T00:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00", "2062-05-01"),
    ],
)
def test_an_implausible_time_is_kept_as_text_and_the_event_keeps_its_place(text: str) -> None:
    newer, older = moment("2026-05-03T08:00:00Z"), moment("2026-05-01T08:00:00Z")
    for place in (GERMANY, Address(country="CN"), Address()):
        seen = settled(
            event(newer, None, "newer"),
            event(moment(text), None, "odd", address=place),
            event(older, None, "older"),
        )
        assert [item.description for item in seen] == ["newer", "odd", "older"]
        assert seen[1].time.utc is None
        assert seen[1].time.offset_min is None
        assert (seen[1].time.date, seen[1].time.time) == (moment(text).date, moment(text).time)
        assert seen[1].order_at == older.utc


@pytest.mark.parametrize("at", [EARLIEST, NOW + LATEST_AHEAD])
def test_the_bounds_of_plausible_times_belong_to_them(at: datetime) -> None:
    (seen,) = settled(event(at, None))
    assert seen.time.utc == at


def test_an_event_without_any_time_keeps_its_place_and_is_never_older_than_the_rest_of_the_answer() -> None:
    dated = event(NOW, None, "dated")
    for newest_first in (
        [event(UNKNOWN_TIME, None, "none"), dated],
        [dated, event(UNKNOWN_TIME, None, "none")],
    ):
        seen = settled(*newest_first)
        assert [item.description for item in seen] == [item.description for item in newest_first]
        assert {item.order_at for item in seen} == {NOW}
    (alone,) = settled(event(UNKNOWN_TIME, None))
    assert alone.order_at == EARLIEST


# --- order ----------------------------------------------------------------------------------------------


def test_ties_keep_the_carriers_order() -> None:
    seen = settled(*(event(NOW, None, text) for text in "cba"))
    assert [item.description for item in seen] == ["c", "b", "a"]
    assert [item.tie for item in seen] == [2, 1, 0]


def test_a_carrier_that_mixes_the_order_is_sorted() -> None:
    seen = settled(*(event(NOW - timedelta(hours=age), None, str(age)) for age in (3, 1, 2, 0)))
    assert [item.description for item in seen] == ["0", "1", "2", "3"]


def test_a_local_clock_that_is_behind_does_not_put_an_event_before_its_older_neighbour() -> None:
    arrival = event(moment("2026-05-01T06:00:00"), None, "arrival")
    departure = event(moment("2026-05-01T10:00:00+00:00"), None, "departure")
    seen = settled(arrival, departure)
    assert [item.description for item in seen] == ["arrival", "departure"]


def test_too_many_events_are_cut_at_the_oldest_end() -> None:
    many = [event(NOW - timedelta(minutes=age), None, str(age)) for age in range(EVENTS_MAX + 5)]
    seen = settled(*many)
    assert len(seen) == EVENTS_MAX
    assert (seen[0].description, seen[-1].description) == ("0", str(EVENTS_MAX - 1))


def test_delivery_and_estimate_get_the_zone_of_the_destination() -> None:
    report = Report(
        "A12345",
        delivered=moment("2026-05-01T08:00:00"),
        estimate=Estimate(moment("2026-05-01T08:00:00"), moment("2026-05-02")),
        destination=GERMANY,
    )
    made = settle(report, zone_of, NOW)
    assert made.delivered is not None
    assert made.estimate is not None
    assert made.delivered.utc == datetime(2026, 5, 1, 6, tzinfo=UTC)
    assert made.estimate.start == made.delivered
    assert made.estimate.end == moment("2026-05-02")
    nowhere = Report("A12345", delivered=report.delivered, estimate=report.estimate)
    assert settle(nowhere, zone_of, NOW) == nowhere
    halves = settle(Report("A12345", estimate=Estimate(), destination=GERMANY), zone_of, NOW)
    assert halves.estimate == Estimate()


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "2027-05-01T08:00:00Z"])
def test_an_implausible_delivery_has_no_utc(text: str) -> None:
    made = settle(Report("A12345", delivered=moment(text)), zone_of, NOW)
    assert made.delivered is not None
    assert (made.delivered.utc, made.delivered.date) == (None, text[:10])


MOMENTS = st.one_of(
    st.just(UNKNOWN_TIME),
    st.dates().map(lambda d: Moment(date=d.isoformat())),
    st.datetimes().map(local),
    st.datetimes(timezones=st.timezones()).map(exact),
    st.datetimes(datetime(2026, 4, 1), datetime(2026, 6, 1)).map(local),  # noqa: DTZ001
)
EVENTS = st.lists(
    st.builds(
        event,
        MOMENTS,
        st.none(),
        st.sampled_from("abc"),
        country=st.sampled_from([None, "CN", "DE", "NP"]),
    ),
    max_size=8,
)


@given(EVENTS, st.sampled_from([None, "America/Chicago"]))
def test_settling_never_loses_an_event_nor_its_text_and_always_orders(
    events: list[Event], default_zone: str | None
) -> None:
    seen = settled(*events, default_zone=default_zone)
    texts = [(e.description, e.time.date, e.time.time, e.time.zone) for e in seen]
    assert sorted(map(repr, texts)) == sorted(
        repr((e.description, e.time.date, e.time.time, e.time.zone)) for e in events
    )
    keys = [(e.order_at, e.tie) for e in seen]
    assert keys == sorted(keys, key=lambda key: (key[0] or EARLIEST, key[1]), reverse=True)
    assert len(set(keys)) == len(keys)
    for item in seen:
        assert item.time.utc is None or item.time.utc == item.order_at
        assert item.time.utc is None or iso(item.time) is not None
        assert item.order_at is not None
        assert EARLIEST <= item.order_at <= NOW + LATEST_AHEAD


def test_a_week_date_is_a_date() -> None:
    assert moment("2026-W18-5").date == date(2026, 5, 1).isoformat()
