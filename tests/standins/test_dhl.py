"""The DHL stand-in keeps DHL's rules."""

import json
from datetime import UTC, datetime, timedelta

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins.dhl import DhlStandIn

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
EXPRESS, PARCEL = "4100000309", "410000000309"


def ask(stand_in: DhlStandIn, seconds: float = 0, key: str = "k", **query: str) -> Reply:
    query = {"trackingNumber": EXPRESS, "language": "en", **query}
    request = Request("GET", "/track/shipments", {"DHL-API-Key": key} if key else {}, query)
    return stand_in.answer(request, NOW + timedelta(seconds=seconds))


def test_a_key_is_needed_and_the_named_one_when_one_is_named() -> None:
    assert ask(DhlStandIn(), key="").status == 401
    assert ask(DhlStandIn("right"), key="wrong").status == 401
    assert ask(DhlStandIn("right"), key="right").status == 200


def test_one_call_a_second_and_250_a_day() -> None:
    stand_in = DhlStandIn()
    assert [ask(stand_in, seconds).status for seconds in (0, 0.5, 1)] == [200, 429, 200]
    assert [ask(stand_in, 2 + n).status for n in range(249)] == [200] * 248 + [429]
    assert ask(stand_in, 86_400).status == 200
    assert (stand_in.gate.busiest, stand_in.gate.busiest_day) == (1, 250)


def test_both_limits_have_the_same_body() -> None:
    stand_in = DhlStandIn()
    ask(stand_in)
    too_fast = ask(stand_in)
    stand_in.gate.per_day = 1
    assert ask(stand_in, 100) == too_fast


def test_a_number_is_found_at_its_own_division_only() -> None:
    stand_in = DhlStandIn()
    assert ask(stand_in, 0, service="express").status == 200
    assert ask(stand_in, 1, service="parcel-de").status == 404
    assert ask(stand_in, 2).status == 200
    assert ask(stand_in, 3, trackingNumber=PARCEL, service="parcel-de").status == 200


def test_loaded_shipments_are_told_and_denied_numbers_are_not() -> None:
    stand_in = DhlStandIn()
    stand_in.load("77120", [{"id": "77120", "service": "ecommerce"}, {"id": "77120", "service": "dsc"}])
    stand_in.unknown.add(EXPRESS)
    both = ask(stand_in, 0, trackingNumber="77120")
    one = ask(stand_in, 1, trackingNumber="77120", service="dsc")
    assert [len(json.loads(reply.body)["shipments"]) for reply in (both, one)] == [2, 1]
    assert ask(stand_in, 2).status == 404


def test_bad_questions_are_refused() -> None:
    stand_in = DhlStandIn()
    language, number = ask(stand_in, 0, language="en_de"), ask(stand_in, 1, trackingNumber="1")
    assert (language.status, number.status) == (400, 400)
    assert b"language" in language.body
    assert b"tracking number" in number.body


def test_the_next_replies_can_be_dictated() -> None:
    stand_in = DhlStandIn()
    stand_in.next_replies.append(Reply(503))
    assert [ask(stand_in, seconds).status for seconds in (0, 1)] == [503, 200]
