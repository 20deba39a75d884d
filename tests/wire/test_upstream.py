"""What 17TRACK answers and pushes, read into reports: several carriers, foreign words, missing parts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import CarrierError, InvalidNumber, MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Query
from parcelwire.domain.merge import extend, visible
from parcelwire.domain.report import Moment, Report
from parcelwire.domain.status import Stage, Status, SubStatus
from parcelwire.domain.timeline import assemble
from parcelwire.domain.times import settle
from parcelwire.wire import upstream
from parcelwire.wire.upstream import pushed, report_of
from parcelwire.zones import zone_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NUMBER = "LP204500111CN"


def event(at: str, text: str = "x", **more: Any) -> dict[str, Any]:
    return {"time_iso": at, "time_utc": None, "description": text} | more


def leg(code: int, *events: dict[str, Any], sync: str | None = "2026-05-20T00:00:00Z") -> dict[str, Any]:
    return {"provider": {"key": code, "name": f"C{code}"}, "latest_sync_time": sync, "events": list(events)}


def info(*legs: dict[str, Any], sub_status: str | None = "InTransit_Other", **more: Any) -> dict[str, Any]:
    return {"latest_status": {"sub_status": sub_status}, "tracking": {"providers": list(legs)}} | more


def one(**fields: Any) -> Moment:
    """The moment of the one event that has these fields."""
    return report_of(NUMBER, 3011, info(leg(3011, {"description": "x"} | fields))).events[0].time


def shown(*answers: dict[str, Any]) -> Any:
    """The timeline after these answers, one an hour."""
    histories: dict[str, Any] = {}
    for hour, answer in enumerate(answers):
        now = NOW + timedelta(hours=hour)
        report = settle(report_of(NUMBER, 3011, answer), zone_of, now)
        for history in extend(histories.values(), "seventeentrack", report, now):
            histories[history.source] = history
    return assemble(list(histories.values()), NOW + timedelta(days=1))


def test_each_carrier_of_an_answer_becomes_a_history_of_its_own() -> None:
    """With the newest leg first, and the status of the whole parcel with it."""
    usps = leg(21051, event("2026-05-10T10:00:00-05:00", sub_status="OutForDelivery_Other"))
    post = leg(3011, event("2026-05-01T10:00:00+08:00", sub_status="InTransit_PickedUp"))
    line = shown(info(usps, post, sub_status="OutForDelivery_Other"))
    assert [leg.source for leg in line.legs] == ["seventeentrack/21051", "seventeentrack/3011"]
    assert line.sub_status is SubStatus.OUT_FOR_DELIVERY
    assert line.legs[0].facts.behind is not None
    assert line.legs[0].facts.behind.name == "C21051"


@pytest.mark.parametrize("status", list(Status))
def test_a_newer_sub_status_keeps_its_status_and_its_text(status: Status) -> None:
    """Property over all nine statuses: the prefix says the coarse meaning, and nothing else is made up."""
    name = f"{status.value}_SomethingNew"
    report = report_of(NUMBER, 1, info(leg(1, event("2026-05-10T10:00:00Z", sub_status=name))))
    (told,) = report.events
    assert told.sub_status is not None
    assert told.sub_status.status is status
    assert told.foreign == name
    assert report.unmapped == (name,)


def test_a_sub_status_that_is_no_ones_is_shown_and_changes_nothing() -> None:
    strange = event("2026-05-11T10:00:00Z", sub_status="Teleported")
    known = event("2026-05-10T10:00:00Z", sub_status="InTransit_PickedUp")
    line = shown(info(leg(1, strange, known), sub_status=None))
    assert line.sub_status is SubStatus.PICKED_UP
    assert line.legs[0].scans[0].event.foreign == "Teleported"


def test_the_known_sub_statuses_pass_as_they_are() -> None:
    for sub_status in SubStatus:
        answer = info(leg(1, event("2026-05-10T10:00:00Z", sub_status=sub_status.value)))
        assert report_of(NUMBER, 1, answer).events[0].sub_status is sub_status


def test_a_stage_stands_for_a_sub_status_that_is_not_given() -> None:
    answer = info(leg(1, event("2026-05-10T10:00:00Z", stage=Stage.RETURNING.value)))
    assert report_of(NUMBER, 1, answer).events[0].sub_status is SubStatus.RETURNING


def test_a_day_without_an_hour_stays_a_day() -> None:
    """Even when 17TRACK has made it midnight somewhere."""
    moment = one(
        time_iso="2026-05-10T00:00:00+00:00", time_raw={"date": "2026-05-10", "time": None, "timezone": None}
    )
    assert moment == Moment(date="2026-05-10")


def test_what_the_carrier_said_is_kept_beside_the_instant() -> None:
    raw = {"date": "2026-05-10", "time": "22:00:00", "timezone": None}
    moment = one(time_iso="2026-05-10T22:00:00+08:00", time_raw=raw)
    assert moment == Moment(datetime(2026, 5, 10, 14, tzinfo=UTC), 480, "2026-05-10", "22:00:00", None)
    given_zone = one(time_iso="2026-05-10T22:00:00+08:00", time_raw=raw | {"timezone": "+08:00"})
    assert given_zone.zone == "+08:00"
    assert one(time_raw=raw) == Moment(date="2026-05-10", time="22:00:00")
    assert one(time_raw=raw | {"timezone": "+08:00"}).utc == datetime(2026, 5, 10, 14, tzinfo=UTC)
    assert one(time_utc="2026-05-10T14:00:00Z").utc == datetime(2026, 5, 10, 14, tzinfo=UTC)
    assert one(time_utc="yesterday", time_raw={"date": "soon"}) == Moment()


@pytest.mark.parametrize(
    ("text", "date", "time"),
    [
        ("October 1, 2026 9:00 AM", "2026-10-01", "09:00:00"),
        ("October 1, 2026 12:05 AM", "2026-10-01", "00:05:00"),
        ("October 11, 2026 12:05 PM", "2026-10-11", "12:05:00"),
        ("October 1, 2026", "2026-10-01", None),
        ("2026-10-01T09:00:00-05:00", "2026-10-01", "09:00:00"),
        ("February 30, 2026", None, None),
        ("tomorrow", None, None),
    ],
)
def test_an_estimate_may_be_display_text(text: str, date: str | None, time: str | None) -> None:
    metrics = {"estimated_delivery_date": {"source": "17TRACK", "from": text, "to": None}}
    estimate = report_of(NUMBER, 1, info(time_metrics=metrics)).estimate
    if date is None:
        assert estimate is None
    else:
        assert estimate is not None
        assert estimate.start is not None
        assert (estimate.start.date, estimate.start.time, estimate.by) == (date, time, "17TRACK")


def test_an_answer_that_comes_late_does_not_take_the_status_back() -> None:
    """What 17TRACK says that it learned on an earlier day is older, whenever it arrives."""
    early = event("2026-05-10T10:00:00Z", "a", sub_status="InTransit_PickedUp")
    late = event("2026-05-12T10:00:00Z", "b", sub_status="Delivered_Other")
    new = info(leg(1, late, early, sync="2026-05-13T00:00:00Z"), sub_status="Delivered_Other")
    old = info(leg(1, early, sync="2026-05-11T00:00:00Z"), sub_status="InTransit_PickedUp")
    assert shown(new, old).sub_status is shown(old, new).sub_status is SubStatus.DELIVERED
    assert len(shown(new, old).legs[0].scans) == 2


def test_a_reclassified_event_is_the_same_event() -> None:
    """17TRACK fills sub-statuses in later: the event is not shown twice."""
    before = event("2026-05-10T10:00:00Z", "a")
    after = event("2026-05-10T10:00:00Z", "a", sub_status="InTransit_CustomsReleased")
    line = shown(info(leg(1, before)), info(leg(1, after, sync="2026-05-21T00:00:00Z")))
    assert [scan.sub_status for scan in line.legs[0].scans] == [SubStatus.CUSTOMS_RELEASED]


def test_nothing_found_is_an_answer_and_nothing_readable_is_not() -> None:
    with pytest.raises(UnknownNumber):
        report_of(NUMBER, 1, info(sub_status="NotFound_Other"))
    with pytest.raises(InvalidNumber):
        report_of(NUMBER, 1, info(sub_status="NotFound_InvalidCode"))
    empty: list[object] = [None, 7, "x", [], {}, {"latest_status": 7}, info(sub_status=None)]
    for nonsense in empty:
        with pytest.raises(MalformedReply):
            report_of(NUMBER, 1, nonsense)


def test_questions_carry_official_codes_and_what_the_carrier_needs() -> None:
    queries = [
        Query("A1", "ups", NOW, code=100002),
        Query("A2", "x", NOW, "FR-1000", code=7041),
        Query("A3", "y", NOW),
    ]
    assert upstream.register_body(queries) == (
        b'[{"number":"A1","carrier":100002},{"number":"A2","carrier":7041,"param":"FR-1000"},{"number":"A3"}]'
    )
    assert upstream.numbers_body(queries[:1]) == b'[{"number":"A1"}]'
    assert upstream.real_time_body(queries[0]) == b'[{"number":"A1","carrier":100002,"cacheLevel":1}]'


def test_the_short_push_of_the_reference_document_is_read() -> None:
    """Events with three fields, and a STOPPED without track_info."""
    push = pushed(
        b'{"event":"TRACKING_UPDATED","data":{"number":"RR123456789CN","carrier":3011,"tag":null,'
        b'"track_info":{"latest_status":{"status":"InTransit","sub_status":"InTransit_Other"},"tracking":'
        b'{"providers":[{"events":[{"time_utc":"2026-05-10T10:00:00Z","description":"d","location":"l"}]}]}}}}'
    )
    report = report_of(push.item.number, push.item.carrier, push.item.track_info)
    assert (report.events[0].description, report.current) == ("d", SubStatus.IN_TRANSIT)
    stopped = pushed(b'{"event":"TRACKING_STOPPED","data":{"number":"RR123456789CN","carrier":3011}}')
    assert stopped.event == upstream.STOPPED


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"event":"OTHER","data":{}}', b'{"event":"TRACKING_UPDATED","data":{"carrier":1}}']
)
def test_what_is_no_push_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        pushed(body)


KEYS = ["latest_status", "tracking", "providers", "events", "provider", "key", "time_raw", "x"]
WORDS = ["2026-05-10", "Delivered_Other"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(anything)
def test_whatever_a_track_info_holds_only_carrier_errors_come_out(node: Any) -> None:
    try:
        report = settle(report_of(NUMBER, 1, node), zone_of, NOW)
    except CarrierError:
        return
    assert isinstance(report, Report)
    for history in extend([], "seventeentrack", report, NOW):
        assert len(list(visible(history))) == len(history.seen)
    assemble(extend([], "seventeentrack", report, NOW), NOW)
