"""DHL: what is asked, and the text rules of each division."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from parcelwire.carriers.dhl import CARRIER, SERVICES, Dhl, parse
from parcelwire.domain.errors import MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Access, Query, Reply, Request
from parcelwire.domain.report import Report
from parcelwire.domain.status import SubStatus
from parcelwire.ports import Carrier
from parcelwire.wire import directory

NUMBER = "4100000012"
SINCE = datetime(2026, 3, 10, tzinfo=UTC)
NOTHING = Reply(404, {}, b'{"status":404,"title":"No result found","detail":"No shipment"}')


def asked(carrier: str, *replies: Reply, param: str | None = None) -> tuple[list[Request], Any]:
    """The requests of a talk about one number, and its answer."""
    talk = CARRIER.track([Query(NUMBER, carrier, SINCE, param)], Access({"api_key": "k"}))
    requests = [next(talk)]
    try:
        for reply in replies:
            following = talk.send(reply)
            requests.append(following)
    except StopIteration as end:
        return requests, end.value[NUMBER]
    raise AssertionError("the talk goes on")


def reply(service: str, *events: dict[str, Any], **more: Any) -> Reply:
    shipment = {"id": NUMBER, "service": service, "events": list(events), **more}
    return Reply(200, {}, json.dumps({"shipments": [shipment]}).encode())


def report(service: str, *events: dict[str, Any], **more: Any) -> Report:
    answer = parse(reply(service, *events, **more), NUMBER)
    assert isinstance(answer, Report)
    return answer


def test_it_is_a_carrier_of_companies_in_the_directory() -> None:
    carrier: Carrier = CARRIER
    assert isinstance(carrier, Dhl)
    known = {slug for slug in CARRIER.serves if directory.entry(slug) is not None}
    assert {"dhl", "dhl_express", "dhl_paket", "deutsche_post", "dhl_ecommerce_us"} <= known


@pytest.mark.parametrize(("carrier", "service"), SERVICES.items())
def test_each_company_is_asked_at_its_division(carrier: str, service: str) -> None:
    (request,), answer = asked(carrier, reply(service, {"statusCode": "transit"}))
    assert (request.method, request.path) == ("GET", "/track/shipments")
    assert request.query == {"trackingNumber": NUMBER, "language": "en", "service": service}
    assert request.headers == {"DHL-API-Key": "k"}
    assert isinstance(answer, Report)


@pytest.mark.parametrize("carrier", ["dhl_paket", "dhl_express"])
def test_what_people_call_dhl_is_looked_for_everywhere_once(carrier: str) -> None:
    requests, answer = asked(carrier, NOTHING, NOTHING)
    assert isinstance(answer, UnknownNumber)
    assert [request.query.get("service") for request in requests] == [SERVICES[carrier], None]
    _, answer = asked(carrier, NOTHING, reply("ecommerce", {"statusCode": "transit"}))
    assert isinstance(answer, Report)


def test_a_certain_division_is_asked_alone() -> None:
    requests, answer = asked("dhl_parcel_nl", NOTHING)
    assert len(requests) == 1
    assert isinstance(answer, UnknownNumber)


@pytest.mark.parametrize(
    ("param", "sent"),
    [
        ("53113", True),
        ("4817 BL", True),
        ("SW1A 1AA", True),
        ("H0H 0H0", True),
        ("97301-1234", True),
        ("0171 2345678", False),
        ("Anna", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_postal_code_is_sent_as_one(param: str | None, sent: bool) -> None:
    (request,), _ = asked("dhl_parcel_nl", NOTHING, param=param)
    assert request.query.get("recipientPostalCode") == (param if sent else None)


EXPRESS, DE, PL, EC, DSC, DGF = "express", "parcel-de", "parcel-pl", "ecommerce", "dsc", "dgf"


@pytest.mark.parametrize(
    ("service", "status_code", "words", "wanted"),
    [
        (EXPRESS, "transit", "Shipment picked up", SubStatus.PICKED_UP),
        (EXPRESS, "transit", "Shipment is scheduled to be delivered", SubStatus.IN_TRANSIT),
        (EXPRESS, "transit", "Shipment is out with courier for delivery", SubStatus.OUT_FOR_DELIVERY),
        (EXPRESS, "transit", "Clearance processing complete at OSLO", SubStatus.CUSTOMS_RELEASED),
        (EXPRESS, "transit", "Clearance event", SubStatus.CUSTOMS_PROCESSING),
        (EXPRESS, "transit", "Delivery attempted; recipient not home", SubStatus.FAILURE_NO_BODY),
        (EXPRESS, "failure", "Recipient refused delivery", SubStatus.FAILURE_REJECTED),
        (EXPRESS, "failure", "Address information needed; contact DHL", SubStatus.FAILURE_INVALID_ADDRESS),
        (EXPRESS, "failure", "Documents for clearance are required", SubStatus.CUSTOMS_REQUIRING_INFORMATION),
        (EXPRESS, "failure", "Arrived at facility", SubStatus.EXCEPTION_OTHER),
        (EXPRESS, "failure", "Shipment on hold", SubStatus.EXCEPTION_OTHER),
        (EXPRESS, "failure", "Returned to shipper", SubStatus.RETURNING),
        (EXPRESS, "delivered", "Returned to shipper", SubStatus.RETURNED),
        (EXPRESS, "delivered", "Signed for; recipient not home before", SubStatus.DELIVERED),
        (EXPRESS, "transit", "Awaiting collection by recipient", SubStatus.AVAILABLE_FOR_PICKUP),
        (EXPRESS, "transit", "Scheduled delivery has been rescheduled", SubStatus.DELAYED),
        (EXPRESS, "unknown", "Processed at OSLO - NORWAY", SubStatus.IN_TRANSIT),
        (EXPRESS, "unknown", "A word from us", None),
        (DE, "delivered", "The recipient has picked up the shipment", SubStatus.DELIVERED),
        (DE, "delivered", "The shipment has been delivered to the sender", SubStatus.RETURNED),
        (DE, "transit", "The shipment could not be delivered", SubStatus.IN_TRANSIT),
        (DE, "transit", "The shipment has been loaded onto the delivery vehicle", SubStatus.OUT_FOR_DELIVERY),
        (DE, "failure", "The recipient refused to accept. It is being returned.", SubStatus.FAILURE_REJECTED),
        (DE, "failure", "Refused. The shipment is being returned to the sender", SubStatus.RETURNING),
        (DE, "failure", "The recipient is unknown", SubStatus.FAILURE_INVALID_ADDRESS),
        (DE, "transit", "Die Sendung wurde in das Zustellfahrzeug geladen", SubStatus.OUT_FOR_DELIVERY),
        (DE, "failure", "Die Sendung konnte nicht zugestellt werden", SubStatus.EXCEPTION_OTHER),
        (DE, "transit", "The shipment has arrived in the destination country", SubStatus.ARRIVAL),
        (DE, "transit", "The shipment has left the export parcel center", SubStatus.DEPARTURE),
        ("post-de", "transit", "Ready for pick-up at the retail outlet", SubStatus.AVAILABLE_FOR_PICKUP),
        (PL, "transit", "przesyłka oczekuje na odbiór", SubStatus.AVAILABLE_FOR_PICKUP),
        (PL, "failure", "Odbiorcy nie było w domu", SubStatus.FAILURE_NO_BODY),
        (EC, "pre-transit", "ELECTRONIC NOTIFICATION: ORDER HAS BEEN PROCESSED", SubStatus.INFO_RECEIVED),
        (EC, "failure", "NOTICE LEFT", SubStatus.FAILURE_OTHER),
        (EC, "unknown", "TENDERED TO DELIVERY SERVICE PROVIDER", SubStatus.IN_TRANSIT),
        (DSC, "unknown", "Order Created", SubStatus.INFO_RECEIVED),
        (DGF, "", "Actual Vessel Arrival", SubStatus.ARRIVAL),
        ("parcel-uk", "failure", "Delivery attempted", SubStatus.EXCEPTION_OTHER),
        ("parcel-uk", "transit", "delivered to depot", SubStatus.IN_TRANSIT),
    ],
)
def test_the_text_of_a_division_refines_the_status_code(
    service: str, status_code: str, words: str, wanted: SubStatus | None
) -> None:
    """First hit wins; a plain "delivered" or "failure" is not talked away; no rules, no guess."""
    event = report(service, {"statusCode": status_code, "description": words}).events[0]
    assert event.sub_status is wanted


def test_a_parcel_nl_token_decides_and_an_unknown_one_leaves_it_to_the_status_code() -> None:
    shown = report(
        "parcel-nl",
        {"statusCode": "delivered", "status": "SOMETHING_NEW"},
        {"statusCode": "transit", "status": "DELIVERED_AT_PARCELSHOP"},
    )
    assert [event.sub_status for event in shown.events] == [
        SubStatus.DELIVERED,
        SubStatus.AVAILABLE_FOR_PICKUP,
    ]
    assert shown.unmapped == ()


def test_an_estimate_among_the_events_is_a_message() -> None:
    event = report("dsc", {"statusCode": "unknown", "description": "Estimated Time of Arrival"}).events[0]
    assert event.informative
    assert event.sub_status is None


def test_a_status_code_that_is_not_in_the_table_is_reported() -> None:
    shown = report("freight", {"statusCode": "ready-for-pickup", "description": "x"}, {"description": "y"})
    assert shown.unmapped == ("freight: ready-for-pickup", "freight: y")


@pytest.mark.parametrize("flag", [True, "true"])
def test_a_return_is_marked_for_the_whole_shipment(flag: object) -> None:
    assert report("parcel-de", {"statusCode": "delivered"}, returnFlag=flag).returning


def test_parcels_of_others_in_the_answer_are_not_taken_for_ours() -> None:
    body = {"shipments": [{"id": "4100000099", "events": [{"statusCode": "delivered"}]}]}
    assert isinstance(parse(Reply(200, {}, json.dumps(body).encode()), NUMBER), MalformedReply)


def test_a_customer_reference_that_looks_like_our_number_is_not_our_number() -> None:
    references = [{"type": "customer-reference", "number": NUMBER}]
    body = {"shipments": [{"id": "1", "events": [{}], "details": {"references": references}}]}
    assert isinstance(parse(Reply(200, {}, json.dumps(body).encode()), NUMBER), MalformedReply)


def test_places_are_taken_apart() -> None:
    localities = ["BRUSSELS - BELGIUM", "Dorsten, Germany", "Wilmette, IL, US", "Gdynia"]
    events = [{"location": {"address": {"addressLocality": text}}} for text in localities]
    shown = report("express", *events)
    assert [event.address.city for event in shown.events] == ["BRUSSELS", "Dorsten", "Wilmette", "Gdynia"]
    assert [event.address.state for event in shown.events] == [None, None, "IL", None]
    assert [event.location for event in shown.events] == localities


@pytest.mark.parametrize(
    ("value", "unit", "kg"),
    [(2.5, "lbs", "1.134"), (500, "g", "0.5"), (2, "kg", "2"), (3, "stone", None), (0, "kg", None)],
)
def test_weights_become_kilograms_only_from_known_units(value: float, unit: str, kg: str | None) -> None:
    shown = report("express", {}, details={"weight": {"value": value, "unitText": unit}})
    assert shown.weight_kg == kg
    assert shown.weight_raw == f"{value} {unit}"


def test_the_time_frame_beats_the_estimated_time() -> None:
    frame = {"estimatedFrom": "2026-03-12T09:00:00Z", "estimatedThrough": "2026-03-12T13:00:00Z"}
    shown = report(
        "express", {}, estimatedDeliveryTimeFrame=frame, estimatedTimeOfDelivery="2026-03-14T00:00:00Z"
    )
    assert shown.estimate is not None
    assert shown.estimate.start is not None
    assert shown.estimate.end is not None
    assert (shown.estimate.start.time, shown.estimate.end.time) == ("09:00:00", "13:00:00")
