"""UPS: what the code decides, whose clock counts, and when "delivered" is not."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.carriers.driving import Outcome, outcome

from parcelwire.carriers.ups import CARRIER, parse, parse_alert
from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    UnknownNumber,
)
from parcelwire.domain.exchange import Access, Query, Reply, Request, Token
from parcelwire.domain.report import Estimate, Moment, Report
from parcelwire.domain.status import SubStatus
from parcelwire.standins.ups import UpsStandIn
from parcelwire.zones import zone_of

RECORDED = Path(__file__).parent / "ups"
NUMBER = "1Z4R2W7E0300001011"
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
PLACE = {"address": {"city": "Reno", "stateProvince": "NV", "postalCode": "89501", "countryCode": "US"}}
SECRETS = {"client_id": "id", "client_secret": "secret"}


def recorded(name: str, number: str) -> Report:
    return parse(Reply(200, body=(RECORDED / f"{name}.json").read_bytes()), number)


def activity(day: int, status_code: str, code: str = "", kind: str = "I", text: str = "-") -> dict[str, Any]:
    status = {"type": kind, "code": code, "statusCode": status_code, "description": text}
    when = {
        "date": f"202606{day:02d}",
        "time": "120000",
        "gmtDate": f"202606{day:02d}",
        "gmtTime": "19:00:00",
    }
    return {"location": PLACE, "status": status, **when, "gmtOffset": "-07:00"}


def package(*activities: dict[str, Any], current: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "trackingNumber": NUMBER,
        "activity": list(activities),
        "currentStatus": {"code": current, "description": "-"},
        **fields,
    }


def answer(*packages: dict[str, Any], number: str = NUMBER) -> Reply:
    body = {"trackResponse": {"shipment": [{"inquiryNumber": number, "package": list(packages)}]}}
    return Reply(200, body=json.dumps(body).encode())


def stands(report: Report) -> str:
    return outcome(CARRIER, report, zone_of).sub_status


def meaning(status_code: str, code: str, kind: str, text: str = "-") -> SubStatus | None:
    return parse(answer(package(activity(1, status_code, code, kind, text))), NUMBER).events[0].sub_status


def test_gmt_fields_are_utc_and_local_fields_stay_as_sent() -> None:
    """The evening delivery has the next day's date in UTC and its own date locally."""
    time = recorded("delivered", NUMBER).events[0].time
    assert time.utc == datetime(2026, 2, 4, 2, 40, 12, tzinfo=UTC)
    assert (time.date, time.time, time.zone) == ("2026-02-03", "18:40:12", "-08:00")


def test_a_gmt_time_without_its_leading_zero_is_read() -> None:
    assert recorded("delivered", NUMBER).events[2].time.utc == datetime(2026, 2, 3, 7, 47, tzinfo=UTC)


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 - local wall time
    st.integers(-12 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters)),
)
def test_the_same_instant_comes_out_whatever_the_offset(wall: datetime, offset: timedelta) -> None:
    local = wall.replace(microsecond=0, tzinfo=timezone(offset))
    utc = local.astimezone(UTC)
    zone = f"{local:%z}"[:3] + ":" + f"{local:%z}"[3:]
    times = {
        "date": f"{local:%Y%m%d}",
        "time": f"{local:%H%M%S}",
        "gmtDate": f"{utc:%Y%m%d}",
        "gmtTime": f"{utc:%H%M%S}".lstrip("0") or "0",
        "gmtOffset": zone,
    }
    moment = parse(answer(package({**activity(1, "005"), **times})), NUMBER).events[0].time
    assert (moment.utc, moment.zone) == (utc, zone)
    assert (moment.date, moment.time) == (f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}")


@pytest.mark.parametrize("date", ["00010101", "99991231", "20261301", "2026-1-1", ""])
def test_a_date_that_cannot_be_stays_unknown(date: str) -> None:
    event = {**activity(1, "005"), "date": date, "gmtDate": date}
    assert parse(answer(package(event)), NUMBER).events[0].time.utc is None


@pytest.mark.parametrize(
    ("status_code", "code", "kind", "text", "expected"),
    [
        ("014", "RZ", "X", "Released", SubStatus.CUSTOMS_RELEASED),  # type X is no exception
        ("005", "29", "X", "-", SubStatus.IN_TRANSIT),  # not a generic code: nothing refines it
        ("046", "AZ", "X", "-", SubStatus.DELAYED),
        ("049", "29", "X", "-", SubStatus.CUSTOMS_REQUIRING_INFORMATION),
        ("049", "29", "I", "-", SubStatus.DELAYED),  # 2-character codes mean this only beside type X
        ("013", "F8", "X", "-", SubStatus.LOST),
        ("022", "48", "X", "Refused", SubStatus.FAILURE_NO_BODY),  # code before text
        ("022", "83", "X", "No one was there", SubStatus.FAILURE_NO_BODY),  # a code of another kind
        ("023", "", "X", "The receiver refused it", SubStatus.FAILURE_REJECTED),
        ("024", "", "X", "The street address is wrong", SubStatus.FAILURE_INVALID_ADDRESS),
        ("060", "", "X", "COD was not paid", SubStatus.FAILURE_SECURITY),
        ("145", "", "X", "Attempted", SubStatus.FAILURE_OTHER),
        ("", "", "D", "DELIVERED", SubStatus.DELIVERED),
        ("", "OT", "D", "Out For Delivery Today", SubStatus.OUT_FOR_DELIVERY),
        ("", "F8", "X", "-", SubStatus.LOST),
        ("999", "FS", "D", "DELIVERED", None),  # a new code is not guessed from its type
    ],
)
def test_the_status_code_decides_and_some_are_refined(
    status_code: str, code: str, kind: str, text: str, expected: SubStatus | None
) -> None:
    assert meaning(status_code, code, kind, text) is expected


def test_a_code_that_is_not_in_the_table_is_counted_as_unmapped() -> None:
    report = parse(answer(package(activity(2, "999", "ZZ"), activity(1, "000"))), NUMBER)
    assert report.unmapped == ("999/ZZ",)


@pytest.mark.parametrize("current", ["000", "148", "154", "107", "999", ""])
def test_a_current_status_that_says_nothing_leaves_the_events_to_decide(current: str) -> None:
    """Messages like "delivery date updated" are no status of the shipment."""
    assert (
        stands(parse(answer(package(activity(1, "021"), current=current)), NUMBER)) == "OutForDelivery_Other"
    )


def test_the_current_status_decides_against_the_newest_event() -> None:
    assert (
        stands(parse(answer(package(activity(1, "005"), current="017")), NUMBER))
        == "AvailableForPickup_Other"
    )


def test_the_current_status_is_as_fine_as_its_event() -> None:
    failed = activity(2, "022", "", "X", "Nobody: the receiver was not available")
    report = parse(answer(package(failed, activity(1, "021"), current="022")), NUMBER)
    assert (report.current, report.current_reason) == (
        SubStatus.FAILURE_NO_BODY,
        "Nobody: the receiver was not available",
    )


def test_delivered_after_a_return_is_returned() -> None:
    report = recorded("returned", "1Z4R2W7E0300004045")
    assert report.current is SubStatus.DELIVERED
    assert stands(report) == "Exception_Returned"


def test_delivered_after_a_return_that_was_only_asked_for_is_delivered() -> None:
    assert stands(recorded("return_dropped", "1Z4R2W7E0300005053")) == "Delivered_Other"


def test_a_return_that_was_asked_for_and_nothing_since_is_returning() -> None:
    report = parse(answer(package(activity(2, "119"), activity(1, "005"), current="119")), NUMBER)
    assert stands(report) == "Exception_Returning"


def test_of_several_pieces_the_asked_one_counts_and_of_a_whole_shipment_the_least_advanced() -> None:
    assert recorded("pieces", "1Z4R2W7E0300008096").current is SubStatus.DELIVERED
    assert recorded("pieces", "1Z4R2W7E0300008087").current is SubStatus.IN_TRANSIT


def test_of_two_shipments_with_one_number_the_newer_counts() -> None:
    old, new = package(activity(1, "011"), current="011"), package(activity(9, "005"), current="005")
    assert parse(answer(old, new), NUMBER).current is SubStatus.IN_TRANSIT
    assert parse(answer(new, old), NUMBER).current is SubStatus.IN_TRANSIT


def test_an_answer_about_another_number_is_malformed() -> None:
    with pytest.raises(MalformedReply):
        parse(answer(package(activity(1, "011")), number="1ZOTHER"), "1Z4R2W7E0300009999")


def test_an_unknown_number_is_told_inside_http_200() -> None:
    with pytest.raises(UnknownNumber):
        recorded("not_found_warning", "1Z4R2W7E0300010127")


def test_a_404_that_is_not_from_the_api_is_not_an_unknown_number() -> None:
    with pytest.raises(MalformedReply):
        parse(Reply(404, body=b"<html>wrong host</html>"), NUMBER)


def test_the_last_mile_number_of_usps_is_kept() -> None:
    report = recorded("ground_saver", "1Z4R2W7EYW00007071")
    assert (report.local_number, report.local_carrier) == ("92612999989830510120000017", "usps")


def test_a_new_delivery_day_replaces_the_planned_one_and_keeps_the_hours() -> None:
    assert recorded("attempt", "1Z4R2W7E0300003037").estimate == Estimate(
        start=Moment(date="2026-03-06", time="13:00:00"), end=Moment(date="2026-03-06", time="17:00:00")
    )


def test_delivery_time_and_weight_are_read() -> None:
    report = recorded("delivered", NUMBER)
    assert report.delivered is not None
    assert (report.delivered.date, report.delivered.time) == ("2026-02-03", "18:40:12")
    assert (report.weight_raw, report.weight_kg, report.reference_number) == ("10.00 LBS", "4.536", "PO-7741")


def test_an_alert_is_one_event_with_an_offset_written_with_a_dot() -> None:
    (event,) = parse_alert((RECORDED / "alert.json").read_bytes()).events
    assert event.sub_status is SubStatus.OUT_FOR_DELIVERY  # although its type is D
    assert event.time.utc == datetime(2026, 7, 15, 5, 15, 30, tzinfo=UTC)
    assert (event.time.date, event.time.zone) == ("2026-07-14", "-07:00")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"trackingNumber":"1Z","activityStatus":[]}', b"\xff"])
def test_a_body_that_is_no_alert_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        parse_alert(body)


def test_the_token_is_asked_with_basic_authorization_and_its_life_is_a_text() -> None:
    talk = CARRIER.token(SECRETS)
    request = next(talk)
    assert request.headers["Authorization"] == "Basic " + b64encode(b"id:secret").decode()
    with pytest.raises(StopIteration) as end:
        talk.send(Reply(200, body=b'{"access_token":"t0k","expires_in":"14399"}'))
    assert end.value.value == Token("t0k", 14399.0)


def test_the_number_cannot_leave_its_place_in_the_path() -> None:
    request = next(CARRIER.track([Query("1Z/../x?y", "ups", NOW)], Access(SECRETS, "t")))
    assert request.path == "/api/track/v1/details/1Z%2F..%2Fx%3Fy"


# --- against the stand-in


def token_of(stand_in: UpsStandIn, now: datetime) -> str:
    talk = CARRIER.token(SECRETS)
    try:
        talk.send(stand_in.answer(next(talk), now))
    except StopIteration as end:
        token: Token = end.value
        return token.value
    raise AssertionError("the token exchange asks twice")


def ask(stand_in: UpsStandIn, token: str, now: datetime, number: str = NUMBER) -> Report | CarrierError:
    talk = CARRIER.track([Query(number, "ups", now)], Access(SECRETS, token))
    request: Request = next(talk)
    with pytest.raises(StopIteration) as end:
        talk.send(stand_in.answer(request, now))
    found: Report | CarrierError = end.value.value[number]
    return found


def test_a_made_up_shipment_goes_from_label_to_delivery() -> None:
    stand_in, seen = UpsStandIn(), []
    for hours in range(0, 120, 3):
        now = NOW + timedelta(hours=hours)
        report = ask(stand_in, token_of(stand_in, now), now)
        assert isinstance(report, Report)
        seen.append(outcome(CARRIER, report, zone_of))
    assert seen[0].sub_status == "InfoReceived"
    assert seen[-1].sub_status == "Delivered_Other"
    assert [item.events for item in seen] == sorted(item.events for item in seen)
    assert seen[-1].delivered_utc == seen[-1].latest_event_utc


def test_the_stand_in_answers_what_it_was_given() -> None:
    stand_in = UpsStandIn()
    stand_in.load(NUMBER, [package(activity(1, "036"))])
    stand_in.unknown.add("1Z4R2W7E0300010127")
    token = token_of(stand_in, NOW)
    report = ask(stand_in, token, NOW)
    assert isinstance(report, Report)
    assert outcome(CARRIER, report, zone_of) == Outcome(
        "Exception", "Exception_Returning", 1, "2026-06-01T19:00:00Z", None
    )
    assert isinstance(ask(stand_in, token, NOW, "1Z4R2W7E0300010127"), UnknownNumber)
    assert isinstance(ask(stand_in, token, NOW, "1Z!"), InvalidNumber)


def test_an_old_token_is_refused_so_that_it_is_renewed() -> None:
    stand_in = UpsStandIn()
    token = token_of(stand_in, NOW)
    with pytest.raises(Refused) as refused:
        ask(stand_in, token, NOW + timedelta(hours=4))
    assert refused.value.stale_token


def test_too_many_calls_are_throttled() -> None:
    stand_in = UpsStandIn()
    token = token_of(stand_in, NOW)
    for _ in range(10):
        ask(stand_in, token, NOW)
    with pytest.raises(Throttled):
        ask(stand_in, token, NOW)


def test_wrong_credentials_are_refused_without_a_second_try() -> None:
    stand_in = UpsStandIn("id", "another secret")
    with pytest.raises(Refused) as refused:
        token_of(stand_in, NOW)
    assert not refused.value.stale_token
