"""The FedEx stand-in keeps FedEx's rules."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from parcelwire.carriers.fedex import CARRIER, question
from parcelwire.domain.exchange import Access, Query, Reply, Request
from parcelwire.standins.fedex import FedexStandIn

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
NUMBER = "700000000300"
KEYS = {"client_id": "id", "client_secret": "secret"}


def token(stand_in: FedexStandIn, now: datetime = NOW, keys: dict[str, str] = KEYS) -> str:
    answer = stand_in.answer(next(CARRIER.token(keys)), now)
    return str(json.loads(answer.body).get("access_token", answer.status))


def ask(stand_in: FedexStandIn, key: str, now: datetime = NOW, *numbers: str) -> Reply:
    queries = [Query(number, "fedex", NOW) for number in numbers or (NUMBER,)]
    return stand_in.answer(next(CARRIER.track(queries, Access({}, token=key))), now)


def results(reply: Reply, place: int = 0) -> Any:
    return json.loads(reply.body)["output"]["completeTrackResults"][place]["trackResults"]


def test_only_the_named_credentials_get_a_token() -> None:
    stand_in = FedexStandIn("id", "secret")
    assert token(stand_in) == "stand-in-token-1"
    assert token(stand_in, keys={"client_id": "id", "client_secret": "guess"}) == "401"


def test_a_token_ends_after_an_hour_and_an_invented_one_is_none() -> None:
    stand_in = FedexStandIn()
    key = token(stand_in)
    assert ask(stand_in, key, NOW + timedelta(minutes=59)).status == 200
    assert ask(stand_in, key, NOW + timedelta(minutes=60)).status == 401
    assert ask(stand_in, "invented").status == 401


def test_the_calls_of_ten_seconds_and_of_a_day_are_limited() -> None:
    stand_in = FedexStandIn()
    stand_in.gate.calls, stand_in.gate.per_day = 3, 5
    key = token(stand_in)
    assert [ask(stand_in, key).status for _ in range(4)] == [200, 200, 200, 429]
    later = NOW + timedelta(seconds=10)
    assert [ask(stand_in, key, later).status for _ in range(3)] == [200, 200, 429]
    tomorrow = NOW + timedelta(days=1)
    assert ask(stand_in, token(stand_in, tomorrow), tomorrow).status == 200
    assert (stand_in.gate.busiest, stand_in.gate.busiest_day) == (3, 5)


def test_thirty_numbers_are_answered_and_thirty_one_refused() -> None:
    stand_in = FedexStandIn()
    key = token(stand_in)
    numbers = [f"{700000000000 + n}" for n in range(31)]
    whole = json.loads(ask(stand_in, key, NOW, *numbers[:30]).body)
    assert [entry["trackingNumber"] for entry in whole["output"]["completeTrackResults"]] == numbers[:30]
    assert ask(stand_in, key, NOW, *numbers).status == 400


def test_one_bad_number_spoils_the_call() -> None:
    stand_in = FedexStandIn()
    reply = ask(stand_in, token(stand_in), NOW, NUMBER, "no!")
    assert reply.status == 400
    assert b"TRACKING.TRACKINGNUMBER.INVALID" in reply.body


def test_a_shipment_outside_the_ship_dates_is_not_found() -> None:
    stand_in = FedexStandIn()
    old, ours = (
        {"dateAndTimes": [{"type": "SHIP", "dateTime": f"{day}T00:00:00-06:00"}]}
        for day in ("2024-05-04", "2026-05-01")
    )
    stand_in.load(NUMBER, [old, ours])
    key = token(stand_in)
    assert results(ask(stand_in, key)) == [ours]
    stand_in.load(NUMBER, [old])
    assert results(ask(stand_in, key))[0]["error"]["code"] == "TRACKING.TRACKINGNUMBER.NOTFOUND"


def test_a_denied_number_is_not_found_inside_200() -> None:
    stand_in = FedexStandIn()
    stand_in.unknown.add(NUMBER)
    reply = ask(stand_in, token(stand_in))
    assert reply.status == 200
    assert "error" in results(reply)[0]


def test_the_next_replies_can_be_dictated() -> None:
    stand_in = FedexStandIn()
    key = token(stand_in)
    stand_in.next_replies.append(Reply(503))
    assert [ask(stand_in, key).status for _ in range(2)] == [503, 200]


def test_an_unreadable_question_is_refused() -> None:
    stand_in = FedexStandIn()
    bearer = {"Authorization": f"Bearer {token(stand_in)}"}
    whole = json.dumps(question([Query(NUMBER, "fedex", NOW)])).encode()
    for body, status in ((b"{", 400), (b"{}", 400), (whole, 200)):
        request = Request("POST", "/track/v1/trackingnumbers", bearer, body=body)
        assert stand_in.answer(request, NOW).status == status


def test_the_same_number_makes_the_same_journey() -> None:
    """Asked by two who began at the same time; scans only ever come in addition."""
    ways = []
    for _ in range(2):
        stand_in = FedexStandIn()
        seen: list[Any] = []
        for hour in range(0, 150, 10):
            now = NOW + timedelta(hours=hour)
            scans = results(ask(stand_in, token(stand_in, now), now))[0]["scanEvents"]
            assert scans[len(scans) - len(seen) :] == seen
            seen = scans
        ways.append(seen)
    assert ways[0] == ways[1]
    assert ways[0][0]["eventType"] == "DL"
