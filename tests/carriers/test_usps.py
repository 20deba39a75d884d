"""USPS: whose clock counts, what the text may change, and errors that are about one number of many."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.carriers.driving import outcome

from parcelwire.carriers.usps import CARRIER, parse
from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import Access, Answers, Query, Reply, Token
from parcelwire.domain.report import Estimate, Event, Moment, Report
from parcelwire.domain.status import SubStatus
from parcelwire.standins.usps import UspsStandIn
from parcelwire.zones import zone_of

RECORDED = Path(__file__).parent / "usps"
NUMBER = "9405511206213999001010"
OTHER = "9405511206213999002024"
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
SECRETS = {"client_id": "id", "client_secret": "secret"}


def recorded(name: str, number: str) -> Report:
    path = RECORDED / name
    return report_in(parse(Reply(200, body=path.read_bytes()), [number]), number)


def report_in(answers: Answers, number: str = NUMBER) -> Report:
    report = answers[number]
    assert isinstance(report, Report)
    return report


def event(code: str, text: str = "-", **fields: Any) -> dict[str, Any]:
    where = {"eventCity": "RENO", "eventState": "NV", "eventZIPCode": "89502", "eventCountry": None}
    when = {"eventTimestamp": "2026-06-01T12:00:00", "GMTOffset": "-07:00"}
    return {"eventType": text, "eventCode": code, **when, **where, **fields}


def entry(*events: dict[str, Any], number: str = NUMBER, **fields: Any) -> dict[str, Any]:
    return {"trackingNumber": number, "trackingEvents": list(events), **fields}


def read(*entries: dict[str, Any], number: str = NUMBER) -> Report:
    return report_in(parse(Reply(200, body=json.dumps(entries).encode()), [number]), number)


def only(*events: dict[str, Any]) -> Event:
    (found,) = read(entry(*events)).events
    return found


def failed(status: int, code: str = "", number: str = NUMBER) -> dict[str, Any]:
    errors = [{"title": "-", "detail": "", "code": code}]
    error = {"code": str(status), "message": "-", "errors": errors}
    return {"trackingNumber": number, "statusCode": str(status), "error": error}


def test_an_evening_event_gets_the_next_day_in_utc() -> None:
    """GMTTimestamp says the 11th, because the carrier moves the clock and not the date."""
    time = recorded("batch_207.json", NUMBER).events[0].time
    assert time.utc == datetime(2026, 2, 12, 1, 20, tzinfo=UTC)
    assert (time.date, time.time, time.zone) == ("2026-02-11", "17:20:00", "-08:00")


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 - local wall time
    st.integers(-12 * 4, 14 * 4).map(lambda quarters: 15 * quarters),
    st.text(max_size=30),
)
def test_utc_is_local_time_less_offset_whatever_the_gmt_stamp_says(
    wall: datetime, minutes: int, stamp: str
) -> None:
    wall = wall.replace(microsecond=0)
    sign = "-" if minutes < 0 else "+"
    written = f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    for offset in (written, minutes):
        fields: dict[str, Any] = {
            "eventTimestamp": wall.isoformat(),
            "GMTOffset": offset,
            "GMTTimestamp": stamp,
        }
        time = only(event("10", **fields)).time
        assert time.utc == (wall - timedelta(minutes=minutes)).replace(tzinfo=UTC)
        assert time.zone == written


def test_the_z_on_a_local_time_is_dropped() -> None:
    time = only(event("10", eventTimestamp="2023-06-01T20:00:00Z")).time
    assert time.utc == datetime(2023, 6, 2, 3, tzinfo=UTC)


def test_midnight_without_an_offset_is_a_date_and_with_one_it_is_midnight() -> None:
    bare = only(event("MA", eventTimestamp="2026-06-01T00:00:00", GMTOffset=None)).time
    assert bare == Moment(date="2026-06-01")
    assert only(event("10", eventTimestamp="2026-06-01T00:00:00")).time.time == "00:00:00"


@pytest.mark.parametrize("offset", [None, "", "+25:00", "-7", 5000, 7, True, []])
def test_an_offset_that_cannot_be_leaves_utc_open(offset: object) -> None:
    assert only(event("10", GMTOffset=offset)).time.utc is None


@pytest.mark.parametrize("stamp", [None, "", "yesterday", "9999-12-31T23:59:59", "0001-01-01T00:00:01", 5])
def test_a_time_that_cannot_be_leaves_utc_open(stamp: object) -> None:
    assert only(event("10", eventTimestamp=stamp)).time.utc is None


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("01", "Delivered, Parcel Locker", SubStatus.DELIVERED),
        ("01", "Delivered, To Original Sender", SubStatus.RETURNED),
        ("01", "Delivered, Refused Nothing", SubStatus.DELIVERED),  # only a return changes code 01
        ("02", "Notice Left", SubStatus.FAILURE_OTHER),
        ("02", "Notice Left (Business Closed)", SubStatus.FAILURE_NO_BODY),
        ("10", "Held in Customs", SubStatus.CUSTOMS_PROCESSING),
        ("10", "Customs clearance processing complete", SubStatus.CUSTOMS_RELEASED),
        ("10", "Arrived at USPS Regional Facility", SubStatus.IN_TRANSIT),
        ("22", "Insufficient Address", SubStatus.FAILURE_INVALID_ADDRESS),
        ("22", "Insufficient Address, Return to Sender", SubStatus.RETURNING),
        ("31", "Unclaimed", SubStatus.RETURNING),
        ("82", "Departed Shipping Partner Facility, USPS Awaiting Item", SubStatus.IN_TRANSIT),
        ("NT", "In Transit, Delayed", SubStatus.IN_TRANSIT),  # a known code: its text changes nothing
        ("Q9", "Out for Delivery, Expected Today", SubStatus.OUT_FOR_DELIVERY),
        ("Q9", "Could not be delivered", None),
        ("Q9", "Arrived somewhere", None),  # a new code: only the carrier's text rules, no guess
        ("", "Arrived at USPS Facility", SubStatus.IN_TRANSIT),
    ],
)
def test_code_first_and_text_where_the_reference_says_so(
    code: str, text: str, expected: SubStatus | None
) -> None:
    assert only(event(code, text)).sub_status is expected


def test_the_service_center_is_an_arrival_for_inbound_mail_only() -> None:
    arrived = event("AR", "Arrived", eventCity="ISC MIAMI FL(USPS)", eventState=None, eventZIPCode=None)
    assert only(arrived).sub_status is SubStatus.ARRIVAL
    outbound = read(entry(arrived, destinationCountryCode="BR"))
    assert outbound.events[0].sub_status is SubStatus.IN_TRANSIT
    by_number = read(entry(arrived, number="LZ488102731US"), number="LZ488102731US")
    assert by_number.events[0].sub_status is SubStatus.IN_TRANSIT


def test_messages_of_the_machine_end_no_return() -> None:
    assert outcome(CARRIER, recorded("returning.json", "9405511206213999006060"), zone_of).sub_status == (
        "Exception_Returning"
    )


def test_the_category_counts_only_while_the_newest_code_is_unknown() -> None:
    old, new = event("07", "Arrived at Post Office"), event("Q9", "Something of a new kind")
    pending = read(entry(new, old, statusCategory="Available for Pickup"))
    assert (pending.current, pending.unmapped) == (SubStatus.AVAILABLE_FOR_PICKUP, ("Q9",))
    assert read(entry(old, new, statusCategory="Available for Pickup")).current is None
    assert read(entry(new, old, statusCategory="Something else")).current is None


def test_foreign_places_get_their_country_and_domestic_ones_the_us() -> None:
    abroad: dict[str, Any] = {
        "eventCity": "SHANGHAI",
        "eventState": None,
        "eventZIPCode": None,
        "eventCountry": "CHINA",
    }
    assert only(event("A0", **abroad)).address.country == "CN"
    assert only(event("A0", **{**abroad, "eventCountry": "ATLANTIS"})).address.country is None
    assert only(event("10")).address.country == "US"


def test_both_versions_name_the_zip_code_and_the_service_is_plain_text() -> None:
    fields = {"destinationCity": "RENO", "destinationState": "NV", "mailClass": "Ground<SUP>&#153;</SUP>"}
    for name in ("destinationZIP", "destinationZIPCode"):
        report = read(entry(event("10"), **fields, **{name: "89502"}))
        assert report.destination.postal_code == "89502"
        assert report.service == "Ground™"


EVENING = Moment(date="2026-06-03", time="21:00:00")
WHOLE_DAY = Moment(date="2026-06-03")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"expectedDeliveryTimeStamp": "2026-06-03T21:00:00"}, Estimate(EVENING, EVENING)),
        ({"expectedDeliveryTimeStamp": "2026-06-03T00:00:00"}, Estimate(WHOLE_DAY, WHOLE_DAY)),
        (
            {"deliveryDateExpectation": {"expectedDeliveryDate": "2026-06-03", "endOfDay": "9:00 pm"}},
            Estimate(WHOLE_DAY, EVENING),
        ),
        (
            {
                "deliveryDateExpectation": {
                    "expectedDeliveryDate": "2026-06-05",
                    "predictedDeliveryDate": "2026-06-03",
                    "predictedDeliveryWindowStartTime": "14:15",
                    "predictedDeliveryWindowEndTime": "12:30 am",
                }
            },
            Estimate(Moment(date="2026-06-03", time="14:15:00"), Moment(date="2026-06-03", time="00:30:00")),
        ),
        ({"expectedDeliveryDate": "soon"}, None),
        ({"deliveryDateExpectation": {"endOfDay": "9:00 pm"}}, None),
    ],
)
def test_estimates_in_the_forms_of_both_versions(fields: dict[str, Any], expected: Estimate | None) -> None:
    assert read(entry(event("10"), **fields)).estimate == expected


def test_errors_inside_a_batch_are_each_about_their_own_number() -> None:
    errors = {
        "1": failed(400, "150001", "1"),
        "2": failed(400, "150010", "2"),
        "3": failed(403, number="3"),
        "4": failed(429, number="4"),
        "5": failed(503, number="5"),
        "6": failed(400, "150005", "6"),
        "7": failed(404, number="7"),
    }
    body = json.dumps([*errors.values(), entry(event("01"))]).encode()
    answers = parse(Reply(207, body=body), [*errors, "8", NUMBER])
    assert [type(answers[number]) for number in "12345678"] == [
        UnknownNumber,
        InvalidNumber,
        Refused,
        Throttled,
        Unavailable,
        MalformedReply,
        UnknownNumber,
        MalformedReply,  # the answer has no such number
    ]
    assert report_in(answers).events[0].sub_status is SubStatus.DELIVERED


def test_a_parcel_with_false_postage_is_stopped_by_an_error() -> None:
    report = read(failed(400, "150012"))
    assert outcome(CARRIER, report, zone_of).sub_status == "Exception_Security"


def test_an_error_for_a_call_with_many_numbers_says_nothing_about_one_of_them() -> None:
    body = (RECORDED / "not_found.json").read_bytes()
    assert isinstance(parse(Reply(400, body=body), [NUMBER])[NUMBER], UnknownNumber)
    with pytest.raises(MalformedReply):
        parse(Reply(400, body=body), [NUMBER, OTHER])


def test_of_two_entries_with_one_number_the_newer_counts() -> None:
    old = entry(event("01", eventTimestamp="2025-01-01T12:00:00"))
    new = entry(event("OF", eventTimestamp="2026-01-01T12:00:00"))
    assert read(old, new) == read(new, old) == read(new)


def test_summary_lines_are_read_in_their_three_forms() -> None:
    report = recorded("summary.json", "9405511206213999005056")
    assert [item.time for item in report.events] == [
        Moment(date="2026-07-02", time="13:10:00"),
        Moment(date="2026-07-02", time="07:12:00"),
        Moment(date="2026-07-01", time="23:40:00"),
        Moment(date="2026-06-30", time="16:31:00"),
        Moment(date="2026-06-30"),
    ]
    assert [item.location for item in report.events[:3]] == ["AMES, IA 50010", "AMES, IA 50010", None]
    assert report.events[1].description == "Out for Delivery"


@pytest.mark.parametrize(
    "line",
    [
        "Something",
        "Arrived, 13/45/2026, 3:12 am",
        "Arrived, Smarch 3, 2026",
        "Arrived, July 2, 2026, 99:99 pm",
    ],
)
def test_a_summary_line_without_a_sound_date_gets_no_time_of_day(line: str) -> None:
    report = read({"trackingNumber": NUMBER, "eventSummaries": [line]})
    assert report.events[0].time.time is None


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><TrackResponse>&b;</TrackResponse>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE r><TrackResponse/>'.encode("utf-16"),
        b"<html><body>Down for maintenance</body></html>",
        b"<TrackResponse><TrackInfo ID='1'>",
        b"<a>" * 10_000,
        b"<TrackResponse/>\x00",
        b'<?xml version="1.0" encoding="no-such"?><TrackResponse/>',
    ],
)
def test_xml_that_is_not_a_sound_answer_is_malformed(body: bytes) -> None:
    """Above all nothing with a document type, so that no entity can grow."""
    with pytest.raises(MalformedReply):
        parse(Reply(200, body=body), [NUMBER])


def test_an_xml_error_of_an_unknown_kind_is_not_an_unknown_number() -> None:
    info = f'<TrackInfo ID="{NUMBER}"><Error><Number>80040b1a</Number></Error></TrackInfo>'
    body = f"<TrackResponse>{info}</TrackResponse>"
    assert isinstance(parse(Reply(200, body=body.encode()), [NUMBER])[NUMBER], MalformedReply)


def test_a_batch_asks_for_all_numbers_in_detail_and_a_zip_code_tells_shipments_apart() -> None:
    asked = [Query(NUMBER, "usps", NOW, param="89502"), Query(OTHER, "usps", NOW, param="+1 555 0100")]
    request = next(CARRIER.track(asked, Access(SECRETS, "t0k")))
    assert request.headers["Authorization"] == "Bearer t0k"
    assert json.loads(request.body or b"") == [
        {"trackingNumber": NUMBER, "expand": "DETAIL", "destinationZIPCode": "89502"},
        {"trackingNumber": OTHER, "expand": "DETAIL"},
    ]


# --- against the stand-in


def token_of(stand_in: UspsStandIn, now: datetime) -> str:
    talk = CARRIER.token(SECRETS)
    try:
        talk.send(stand_in.answer(next(talk), now))
    except StopIteration as end:
        token: Token = end.value
        return token.value
    raise AssertionError("the token exchange asks twice")


def ask(stand_in: UspsStandIn, token: str, now: datetime, *numbers: str) -> Answers:
    talk = CARRIER.track([Query(number, "usps", now) for number in numbers], Access(SECRETS, token))
    request = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send(stand_in.answer(request, now))
    answers: Answers = end.value.value
    return answers


def test_a_made_up_shipment_goes_from_label_to_delivery() -> None:
    stand_in, seen = UspsStandIn(), []
    for hours in range(0, 120, 3):
        now = NOW + timedelta(hours=hours)
        report = report_in(ask(stand_in, token_of(stand_in, now), now, NUMBER))
        seen.append(outcome(CARRIER, report, zone_of))
    assert seen[0].sub_status == "InfoReceived"
    assert seen[-1].sub_status == "Delivered_Other"
    assert [item.events for item in seen] == sorted(item.events for item in seen)
    assert seen[-1].delivered_utc == seen[-1].latest_event_utc


def test_a_full_batch_is_answered_number_by_number() -> None:
    stand_in = UspsStandIn()
    numbers = [f"94055112062139990{index:05d}" for index in range(CARRIER.batch)]
    stand_in.unknown.add(numbers[0])
    stand_in.foreign.add(numbers[1])
    stand_in.load(numbers[2], entry(event("09"), number=numbers[2]))
    answers = ask(stand_in, token_of(stand_in, NOW), NOW, *numbers)
    assert [type(answers[number]) for number in numbers[:2]] == [UnknownNumber, Refused]
    assert report_in(answers, numbers[2]).events[0].sub_status is SubStatus.RETURNING
    assert all(isinstance(answers[number], Report) for number in numbers[2:])


def test_more_numbers_than_a_batch_are_refused() -> None:
    stand_in = UspsStandIn()
    with pytest.raises(MalformedReply):
        ask(stand_in, token_of(stand_in, NOW), NOW, *(f"{index:020d}" for index in range(CARRIER.batch + 1)))


def test_the_sixty_first_call_of_an_hour_is_throttled_and_told_how_long_to_wait() -> None:
    stand_in = UspsStandIn()
    token = token_of(stand_in, NOW)
    for _ in range(60):
        ask(stand_in, token, NOW, NUMBER)
    with pytest.raises(Throttled) as throttled:
        ask(stand_in, token, NOW, NUMBER)
    assert throttled.value.retry_after_s == 60.0
    assert ask(stand_in, token, NOW + timedelta(hours=1), NUMBER)


def test_a_call_every_minute_stays_inside_the_quota_of_a_day() -> None:
    """The pace of Limits is what the carrier allows."""
    stand_in = UspsStandIn()
    assert CARRIER.limits.per_s is not None
    step = timedelta(seconds=1 / CARRIER.limits.per_s)
    token = ""
    for call in range(CARRIER.limits.per_day or 0):
        now = NOW.replace(hour=0) + call * step
        if call % 400 == 0:
            token = token_of(stand_in, now)
        ask(stand_in, token, now, NUMBER)
    assert (stand_in.gate.busiest, stand_in.gate.busiest_day) == (60, 1440)


def test_an_old_token_is_refused_so_that_it_is_renewed() -> None:
    stand_in = UspsStandIn()
    token = token_of(stand_in, NOW)
    with pytest.raises(Refused) as refused:
        ask(stand_in, token, NOW + timedelta(hours=8), NUMBER)
    assert refused.value.stale_token


def test_wrong_credentials_are_refused_without_a_second_try() -> None:
    stand_in = UspsStandIn("id", "another secret")
    with pytest.raises(Refused) as refused:
        token_of(stand_in, NOW)
    assert not refused.value.stale_token


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"access_token":"t"}', b'{"access_token":"t","expires_in":true}', b"<html>"]
)
def test_a_token_answer_without_a_token_is_malformed(body: bytes) -> None:
    talk = CARRIER.token(SECRETS)
    next(talk)
    with pytest.raises(CarrierError) as error:
        talk.send(Reply(200, body=body))
    assert isinstance(error.value, MalformedReply)
