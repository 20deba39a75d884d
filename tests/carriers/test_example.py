"""The walk-through of docs/how-to/add-a-carrier.md works: the example is a carrier like any other."""

import json
from pathlib import Path

import pytest
from tests.carriers.driving import Outcome, converse, outcome, queries
from tests.carriers.test_contract import NONSENSE

from parcelwire.carriers import _example, carriers
from parcelwire.carriers._example import CARRIER
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, Throttled
from parcelwire.domain.exchange import Reply, Request
from parcelwire.ports import Carrier
from parcelwire.zones import zone_of

NUMBER = "EX/100"
HISTORY = [
    {"at": "2026-03-12T14:00:00", "code": "HANDED", "text": "Handed over", "city": "OSLO", "country": "NO"},
    {"at": "2026-03-12T09:00:00", "code": "XRAY", "text": "Delivered to the X-ray", "country": "NO"},
    {"at": "2026-03-12T08:00:00", "code": "ETA", "text": "Expected today"},
    {"at": "2026-03-10T08:00:00+00:00", "code": "COLLECTED", "text": "Collected", "country": "GB"},
]


def told(status: int, body: object) -> Outcome:
    reply = Reply(status, {}, json.dumps(body).encode())
    answers = converse(CARRIER, queries(CARRIER, [NUMBER]), lambda _: reply)
    return outcome(CARRIER, answers[NUMBER], zone_of)


def test_it_has_the_shape_of_a_carrier_and_is_not_found_by_the_scan() -> None:
    carrier: Carrier = CARRIER
    assert carrier.slug not in carriers()


def test_it_asks_as_its_documents_say() -> None:
    asked: list[Request] = []

    def answering(request: Request) -> Reply:
        asked.append(request)
        return Reply(404, {}, b'{"error":"unknown"}')

    converse(CARRIER, queries(CARRIER, [NUMBER]), answering)
    assert [(request.method, request.path) for request in asked] == [("GET", "/parcels/EX%2F100")]


def test_a_delivered_parcel_with_a_local_time_and_an_unknown_code() -> None:
    answer = told(200, {"number": NUMBER, "history": HISTORY})
    at = "2026-03-12T13:00:00Z"
    assert answer == Outcome("Delivered", "Delivered_Other", 4, at, at)


def test_unknown_and_impossible_numbers() -> None:
    assert told(404, {"error": "unknown"}).sub_status == "NotFound_Other"
    assert told(400, {"error": "number"}).sub_status == "NotFound_InvalidCode"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {}, Refused),
        (429, {}, Throttled),
        (404, {"error": "no such page"}, MalformedReply),
        (200, {"number": "other", "history": []}, MalformedReply),
        (200, {"number": NUMBER}, MalformedReply),
    ],
)
def test_errors(status: int, body: object, error: type[CarrierError]) -> None:
    with pytest.raises(error):
        told(status, body)


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_malformed(kind: str) -> None:
    with pytest.raises(MalformedReply):
        converse(CARRIER, queries(CARRIER, [NUMBER]), lambda _: Reply(404, {}, NONSENSE[kind]))


def test_its_table_stands_beside_it() -> None:
    assert Path(_example.__file__).with_suffix(".csv").exists()
