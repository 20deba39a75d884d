"""FedEx: what is asked, and the rules that recordings alone do not pin down."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from parcelwire.carriers.fedex import CARRIER, PLACE_OFTEN_MAX, Fedex, parse, parse_token, question
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, Throttled
from parcelwire.domain.exchange import Access, Query, Reply
from parcelwire.domain.report import NOWHERE, Event, Repeated, Report
from parcelwire.domain.status import SubStatus
from parcelwire.ports import Carrier

SINCE = datetime(2026, 3, 10, 9, tzinfo=UTC)
NUMBER = "700000000011"
QUERY = Query(NUMBER, "fedex", SINCE)


def reply(*results: dict[str, Any]) -> Reply:
    entry = {"trackingNumber": NUMBER, "trackResults": list(results)}
    return Reply(200, {}, json.dumps({"output": {"completeTrackResults": [entry]}}).encode())


def report(*scans: dict[str, Any], **more: Any) -> Report:
    answer = parse(reply({"scanEvents": list(scans), **more}), [QUERY])[NUMBER]
    assert isinstance(answer, Report)
    return answer


def event(kind: str, description: str = "", code: str = "", words: str = "") -> Event:
    scan = {
        "date": "2026-03-11T10:00:00-05:00",
        "eventType": kind,
        "eventDescription": description,
        "exceptionCode": code,
        "exceptionDescription": words,
    }
    return report(scan).events[0]


def test_it_is_a_carrier() -> None:
    carrier: Carrier = CARRIER
    assert isinstance(carrier, Fedex)


def test_the_question_names_each_number_with_its_ship_dates() -> None:
    """Thirty days before and ninety after the registration, because numbers are used again."""
    other = Query("700000000022", "fedex", datetime(2026, 1, 31, tzinfo=UTC))
    (request,) = [next(CARRIER.track([QUERY, other], Access({}, token="t")))]
    assert (request.method, request.path) == ("POST", "/track/v1/trackingnumbers")
    assert request.headers["Authorization"] == "Bearer t"
    assert json.loads(request.body or b"") == question([QUERY, other])
    assert question([QUERY, other])["includeDetailedScans"] is True
    assert question([QUERY, other])["trackingInfo"] == [
        {
            "shipDateBegin": "2026-02-08",
            "shipDateEnd": "2026-06-08",
            "trackingNumberInfo": {"trackingNumber": NUMBER},
        },
        {
            "shipDateBegin": "2026-01-01",
            "shipDateEnd": "2026-05-01",
            "trackingNumberInfo": {"trackingNumber": "700000000022"},
        },
    ]


@pytest.mark.parametrize(
    ("kind", "description", "code", "words", "wanted"),
    [
        ("DE", "Delivery exception", "", "", SubStatus.FAILURE_OTHER),
        ("DE", "Delivery exception", "083", "Local delivery restriction", SubStatus.FAILURE_OTHER),
        ("DE", "Delivery exception", "007", "refused", SubStatus.FAILURE_NO_BODY),
        ("DE", "Delivery exception", "07", "", SubStatus.FAILURE_REJECTED),
        ("DE", "Delivery exception", "07", "Business closed", SubStatus.FAILURE_NO_BODY),
        ("DE", "Delivery exception", "A13", "Redirecting to an office", SubStatus.FAILURE_OTHER),
        ("DE", "Delivery exception", "999", "No one at the address", SubStatus.FAILURE_NO_BODY),
        ("DE", "Delivery exception", "", "COD payment not ready", SubStatus.FAILURE_SECURITY),
        ("DE", "Delivery exception", "", "Unable to locate address", SubStatus.FAILURE_INVALID_ADDRESS),
        ("DE", "Delivery exception", "", "Unable to locate the package", SubStatus.LOST),
        ("DE", "Delivery exception", "", "Returning package to shipper", SubStatus.RETURNING),
        ("SE", "Shipment exception", "099", "", SubStatus.EXCEPTION_OTHER),
        ("SE", "Shipment exception", "", "", SubStatus.EXCEPTION_OTHER),
        ("SE", "Shipment exception", "", "Package damaged", SubStatus.DAMAGE),
        ("SE", "Shipment exception", "", "Abandoned by the recipient", SubStatus.DESTROYED),
        ("SE", "Shipment exception", "A12", "Hold request received", SubStatus.IN_TRANSIT),
        ("CD", "Clearance delay", "", "", SubStatus.CUSTOMS_PROCESSING),
        ("CD", "Clearance delay", "", "Information needed", SubStatus.CUSTOMS_REQUIRING_INFORMATION),
        ("CD", "Clearance delay", "", "Goods are prohibited", SubStatus.EXCEPTION_SECURITY),
        ("CD", "Clearance delay", "", "Weather", SubStatus.CUSTOMS_PROCESSING),
        ("DY", "Delay", "", "", SubStatus.DELAYED),
        ("HL", "Hold at location", "", "", SubStatus.AVAILABLE_FOR_PICKUP),
        ("EA", "Export Approved", "", "", SubStatus.CUSTOMS_RELEASED),
        ("EA", "En route to airport", "", "", SubStatus.IN_TRANSIT),
        ("RC", "Delivery option cancelled", "", "", SubStatus.IN_TRANSIT),
        ("RC", "Returning to sender", "", "", SubStatus.RETURNING),
        ("DL", "Delivered", "", "", SubStatus.DELIVERED),
        ("DL", "Delivered", "", "Returned to shipper", SubStatus.RETURNED),
        ("AF", "At local FedEx facility", "A3", "Tendered, weather delay", SubStatus.IN_TRANSIT),
        ("QQ", "Package delay", "", "", SubStatus.DELAYED),
        ("QQ", "Something new", "", "", None),
    ],
)
def test_code_and_text_tell_what_happened(
    kind: str, description: str, code: str, words: str, wanted: SubStatus | None
) -> None:
    """The exception code first, then the first text rule that hits, else the event's own meaning."""
    assert event(kind, description, code, words).sub_status is wanted


@pytest.mark.parametrize("kind", ["AO", "AE", "RR", "RM", "RC", "SP"])
def test_messages_about_the_shipment_are_no_scans(kind: str) -> None:
    assert event(kind, "A message").informative


def test_an_unknown_code_is_reported_and_means_nothing() -> None:
    answer = report({"eventType": "QQ", "exceptionCode": "42", "date": "2026-03-11T10:00:00-05:00"})
    assert answer.unmapped == ("QQ/42",)
    assert answer.events[0].sub_status is None


def test_midnight_without_offset_is_a_date_and_with_offset_a_time() -> None:
    scans = ({"date": "2026-03-11T00:00:00"}, {"date": "2026-03-11T00:00:00-05:00"})
    without, with_offset = report(*scans).events
    assert (without.time.date, without.time.time, without.time.utc) == ("2026-03-11", None, None)
    assert with_offset.time.utc == datetime(2026, 3, 11, 5, tzinfo=UTC)


def test_the_delivery_window_beats_the_estimated_day_and_memphis_midnight_is_a_date() -> None:
    dates = [{"type": "ESTIMATED_DELIVERY", "dateTime": "2026-03-13T00:00:00-06:00"}]
    day_only = report(dateAndTimes=dates).estimate
    assert day_only is not None
    assert day_only.end is not None
    assert (day_only.end.date, day_only.end.time, day_only.end.utc) == ("2026-03-13", None, None)
    window = {"window": {"begins": "2026-03-12T09:00:00-04:00", "ends": "2026-03-12T13:00:00-04:00"}}
    both = report(dateAndTimes=dates, estimatedDeliveryTimeWindow=window).estimate
    assert both is not None
    assert both.start is not None
    assert both.end is not None
    assert both.start.utc == datetime(2026, 3, 12, 13, tzinfo=UTC)
    assert both.end.utc == datetime(2026, 3, 12, 17, tzinfo=UTC)


def test_of_two_shipments_the_one_inside_the_window_counts_though_a_newer_exists() -> None:
    def result(date: str, city: str) -> dict[str, Any]:
        scan = {"date": date, "eventType": "PU", "scanLocation": {"city": city}}
        return {"scanEvents": [scan]}

    asked = reply(
        result("2024-03-11T10:00:00Z", "OLD"),
        result("2026-03-11T10:00:00Z", "OURS"),
        result("2026-09-11T10:00:00Z", "LATER"),
    )
    answer = parse(asked, [QUERY])[NUMBER]
    assert isinstance(answer, Report)
    assert [item.location for item in answer.events] == ["OURS"]


def test_a_scan_without_a_place_is_somewhere_and_one_in_something_else_cannot_be_read() -> None:
    """Places are read apart from their scans: what is wrong with one concerns its number alone."""
    without, nowhere = report({"eventType": "PU"}, {"eventType": "PU", "scanLocation": None}).events
    assert (without.location, nowhere.location) == (None, None)
    assert (without.address, nowhere.address) == (NOWHERE, NOWHERE)
    wrong = reply({"scanEvents": [{"eventType": "PU", "scanLocation": "Memphis"}]})
    assert isinstance(parse(wrong, [QUERY])[NUMBER], MalformedReply)


def test_a_place_in_many_words_is_read_like_any_other() -> None:
    place = {"city": "MEMPHIS", "countryCode": "US", "note": "x" * 2 * PLACE_OFTEN_MAX}
    assert report({"eventType": "PU", "scanLocation": place}).events[0].location == "MEMPHIS"


def test_one_bad_number_among_several_condemns_none() -> None:
    """FedEx does not say which; the driver halves the call until it knows."""
    body = b'{"errors":[{"code":"TRACKING.TRACKINGNUMBER.INVALID","message":"not valid"}]}'
    with pytest.raises(MalformedReply):
        parse(Reply(400, {}, body), [QUERY, Query("700000000022", "fedex", SINCE)])


def test_a_stale_token_can_be_renewed_and_a_forbidden_project_cannot() -> None:
    for status, stale in ((401, True), (403, False)):
        with pytest.raises(Refused) as caught:
            parse(Reply(status), [QUERY])
        assert caught.value.stale_token is stale


def test_a_ban_of_the_token_endpoint_is_waited_out() -> None:
    with pytest.raises(Throttled) as caught:
        parse_token(Reply(403))
    assert caught.value.retry_after_s == 600


@pytest.mark.parametrize(
    ("life", "wanted"), [(b"3599", 3599), (b'"3599"', 3599), (b"null", 300), (b'"soon"', 300)]
)
def test_a_token_lives_as_long_as_it_says(life: bytes, wanted: float) -> None:
    token = parse_token(Reply(200, {}, b'{"access_token":"abc","expires_in":' + life + b"}"))
    assert (token.value, token.life_s) == ("abc", wanted)


def test_facts_of_the_shipment_are_kept() -> None:
    answer = report(
        latestStatusDetail={"code": "DE", "ancillaryDetails": [{"reason": "03", "reasonDescription": "Bad"}]},
        dateAndTimes=[{"type": "ACTUAL_DELIVERY", "dateTime": "2026-03-12T10:00:00-04:00"}],
        serviceDetail={"description": "FedEx Ground"},
        packageDetails={
            "count": "2",
            "weightAndDimensions": {
                "weight": [{"value": "2.2", "unit": "LB"}, {"value": "1.0", "unit": "KG"}],
                "dimensions": [{"length": 10, "width": 8, "height": 4, "units": "IN"}],
            },
        },
        recipientInformation={"address": {"city": "ULM", "countryCode": "de"}},
        originLocation={"locationContactAndAddress": {"address": {"countryCode": "US"}}},
    )
    assert answer.current is SubStatus.FAILURE_INVALID_ADDRESS
    assert answer.current_reason == "Bad"
    assert answer.delivered is not None
    assert answer.delivered.utc == datetime(2026, 3, 12, 14, tzinfo=UTC)
    facts = (answer.service, answer.weight_raw, answer.weight_kg, answer.pieces, answer.dimensions)
    assert facts == ("FedEx Ground", "2.2 LB", "1.0", "2", "10x8x4 IN")
    assert (answer.destination.country, answer.origin.country) == ("DE", "US")


def test_scans_of_the_wrong_type_are_malformed_not_unknown() -> None:
    answer = parse(reply({"scanEvents": "none"}), [QUERY])[NUMBER]
    assert isinstance(answer, CarrierError)
    assert isinstance(answer, MalformedReply)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("TRACKING.TRACKINGNUMBER.NOTFOUND", "UnknownNumber"),
        ("TRACKING.TRACKINGNUMBER.INVALID", "InvalidNumber"),
        ("SYSTEM.UNEXPECTED.ERROR", "Unavailable"),
    ],
)
def test_an_error_inside_200_concerns_one_number(code: str, wanted: str) -> None:
    answer = parse(reply({"error": {"code": code}}), [QUERY])[NUMBER]
    assert type(answer).__name__ == wanted


def test_a_shipment_beside_an_error_of_the_same_number_counts() -> None:
    answer = parse(reply({"error": {"code": "X"}}, {"scanEvents": [{"eventType": "PU"}]}), [QUERY])[NUMBER]
    assert isinstance(answer, Report)


def test_a_token_answer_without_a_token_is_malformed() -> None:
    with pytest.raises(MalformedReply):
        parse_token(Reply(200, {}, b'{"expires_in":3599}'))


# --- the same words again ---------------------------------------------------------------------------------

SCAN = {"date": "2026-03-11T10:00:00-05:00", "eventType": "PU"}


def test_the_words_of_last_time_are_not_read_again_and_all_others_are() -> None:
    """Blanks are words, too: nothing but the same bytes will do."""
    first = report(SCAN)
    told = Query(NUMBER, "fedex", SINCE, told=first.mark)
    assert parse(reply({"scanEvents": [SCAN]}), [told])[NUMBER] == Repeated(NUMBER)
    assert parse(reply({"scanEvents": [SCAN]}), [QUERY])[NUMBER] == first
    other = report({**SCAN, "eventType": "PU "})
    assert parse(reply({"scanEvents": [SCAN, SCAN]}), [told])[NUMBER] != Repeated(NUMBER)
    assert other.mark != first.mark
    assert other.events == first.events


@pytest.mark.parametrize("words", [b'"\xff"', b"[" * 100_000 + b"]" * 100_000])
def test_unreadable_words_about_one_number_leave_its_neighbours_alone(words: bytes) -> None:
    entry = json.dumps({"trackingNumber": "700000000022", "trackResults": [{"scanEvents": [SCAN]}]}).encode()
    body = b'{"output":{"completeTrackResults":[{"trackingNumber":"%b","trackResults":%b},%b]}}'
    whole = Reply(200, {}, body % (NUMBER.encode(), words, entry))
    try:
        answers = parse(whole, [QUERY, Query("700000000022", "fedex", SINCE)])
    except MalformedReply:
        return  # when the body as a whole cannot be read
    assert isinstance(answers[NUMBER], MalformedReply)
    assert isinstance(answers["700000000022"], Report)
