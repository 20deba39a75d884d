"""What the sandbox answers over the life of each number, read as the service reads it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clocks import SetClock

from parcelwire.carriers.sandbox import CARRIER, parse
from parcelwire.domain import merge, timeline
from parcelwire.domain.errors import (
    CarrierError,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import Access, Answers, Query, Reply, Request
from parcelwire.domain.merge import History
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import Pace, expired
from parcelwire.domain.status import RANK, SubStatus
from parcelwire.domain.times import settle
from parcelwire.net.in_process import send_in_process
from parcelwire.standins.sandbox import AUTH, FAULT_STEPS, FAULTS, JOURNEYS, MANY, STAND_IN, SandboxStandIn
from parcelwire.zones import zone_of

SINCE = datetime(2026, 3, 2, 12, 0, 0, 345_678, tzinfo=UTC)
STEP_S = 2.0
STEP = timedelta(seconds=STEP_S)
STEPS = 9  # longer than any journey


def request_of(*numbers: str, since: datetime = SINCE) -> Request:
    queries = [Query(number, "sandbox", since) for number in numbers]
    return next(CARRIER.track(queries, Access()))


def ask(step: float, *numbers: str, step_s: float = STEP_S) -> Answers:
    """The answers at ``step`` of a journey. CarrierError when the call fails."""
    now = SINCE + step * timedelta(seconds=step_s)
    return parse(SandboxStandIn(step_s).answer(request_of(*numbers), now), numbers)


def report_at(step: float, number: str, step_s: float = STEP_S) -> Report:
    answer = ask(step, number, step_s=step_s)[number]
    assert isinstance(answer, Report), answer
    now = SINCE + step * timedelta(seconds=step_s)
    return settle(answer, zone_of, now)


def life(number: str, steps: int = STEPS, step_s: float = STEP_S) -> Iterator[tuple[int, str, int]]:
    """(step, sub-status, number of events) whenever one of them changes, merged as the service merges."""
    history: History | None = None
    shown: tuple[str, int] | None = None
    for step in range(steps):
        now = SINCE + step * timedelta(seconds=step_s)
        history = merge.add(history, "sandbox", report_at(step, number, step_s), now)
        line = timeline.assemble([history], now)
        events = sum(len(leg.scans) for leg in line.legs)
        if shown != (line.sub_status, events):
            shown = (line.sub_status, events)
            yield step, *shown


LIVES: Mapping[str, list[tuple[int, str, int]]] = {
    "JOURNEY": [
        (0, "InfoReceived", 1),
        (1, "InTransit_PickedUp", 2),
        (2, "InTransit_Departure", 3),
        (3, "InTransit_Arrival", 4),
        (4, "InTransit_CustomsProcessing", 5),
        (5, "OutForDelivery_Other", 6),
        (6, "Delivered_Other", 7),
    ],
    "DELIVERED": [(0, "Delivered_Other", 8)],
    "INTRANSIT": [(0, "InTransit_Other", 6)],
    "OUTFORDELIVERY": [(0, "OutForDelivery_Other", 7)],
    "PICKUP": [(0, "AvailableForPickup_Other", 7)],
    "INFORECEIVED": [(0, "InfoReceived", 1)],
    "FAILED": [(0, "DeliveryFailure_NoBody", 8)],
    "RETURN": [(0, "Exception_Returning", 9), (1, "Exception_Returned", 10)],
    "CUSTOMSHOLD": [(0, "InTransit_CustomsRequiringInformation", 6)],
    "EXPIRED": [(0, "InTransit_Other", 6)],  # Expired is our own timer: see below
    "FLAP": [(0, "InfoReceived", 1), (3, "InTransit_Arrival", 4), (6, "Delivered_Other", 7)],
    "OUTOFORDER": [(0, "OutForDelivery_Other", 7)],
    "DUPLICATE": [(0, "OutForDelivery_Other", 7)],
    "MANY": [(0, "InTransit_Other", 200)],
    "UNICODE": [(0, "InTransit_Other", 5)],
    "SLOW": [(0, "InTransit_Other", 6)],
}
PASSING = sorted(set(FAULTS) - {AUTH})


@pytest.mark.parametrize("kind", LIVES)
def test_a_number_shows_its_life_step_by_step(kind: str) -> None:
    assert list(life(f"SANDBOX{kind}")) == LIVES[kind]


@pytest.mark.parametrize("kind", LIVES)
def test_a_step_may_be_shorter_than_a_second(kind: str) -> None:
    """Times of carriers end at seconds; statuses come out the same, so tests may be fast."""
    assert list(life(f"SANDBOX{kind}7", step_s=0.05)) == LIVES[kind]


def test_every_kind_is_tested() -> None:
    assert set(LIVES) | set(PASSING) == set(JOURNEYS)


@pytest.mark.parametrize("number", ["SANDBOXNOTFOUND", "SANDBOXNOTFOUND3", "SANDBOXWHATEVER", "SANDBOX", "X"])
def test_other_numbers_are_not_known(number: str) -> None:
    assert isinstance(ask(3, number)[number], UnknownNumber)


def test_digits_at_the_end_and_hyphens_make_another_shipment_of_the_same_kind() -> None:
    plain, numbered = report_at(3, "SANDBOXJOURNEY"), report_at(3, "SANDBOX-JOURNEY00017")
    assert plain.events == numbered.events
    assert numbered.number == "SANDBOX-JOURNEY00017"


@pytest.mark.parametrize("step_s", [0.05, 2.0, 86_400.0])
def test_an_expired_number_is_expired_at_its_first_answer_and_no_other_is(step_s: float) -> None:
    pace = Pace(day=timedelta(seconds=step_s))
    for kind in LIVES:
        newest = report_at(0, f"SANDBOX{kind}", step_s).events[0].order_at
        assert expired(SubStatus.IN_TRANSIT, newest, SINCE, pace) == (kind == "EXPIRED"), kind


# --- one event, one time ----------------------------------------------------------------------------------

kinds = st.sampled_from(sorted(LIVES))
moments = st.floats(0, 40, allow_nan=False)


@given(kind=kinds, one=moments, two=moments, step_s=st.sampled_from([0.05, 0.7, 2.0, 3600.0]))
def test_any_two_answers_agree_on_the_events_that_both_hold(
    kind: str, one: float, two: float, step_s: float
) -> None:
    """Property: whenever it is asked, an event has its one time, text and place; a later answer has it too,
    but for the number that forgets."""
    number = f"SANDBOX{kind}"
    early, late = (
        {(event.code, event.description.casefold(), event.location): event.time for event in report.events}
        for report in (report_at(at, number, step_s) for at in sorted((one, two)))
    )
    assert {scan: late[scan].utc for scan in early if scan in late} == {
        scan: moment.utc for scan, moment in early.items() if scan in late
    }
    assert kind == "FLAP" or set(early) <= set(late)


@given(steps=st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_a_flapping_number_never_goes_back(steps: Sequence[int]) -> None:
    """Property: at whatever steps it is asked, in order, the status only rises and events only grow."""
    history: History | None = None
    before = (-1, 0)
    for step in sorted(steps):
        now = SINCE + step * STEP
        history = merge.add(history, "sandbox", report_at(step, "SANDBOXFLAP"), now)
        after = (RANK[timeline.assemble([history], now).sub_status], len(list(merge.visible(history))))
        assert after >= before
        assert after[1] >= before[1]
        before = after


def test_a_flapping_number_does_forget() -> None:
    """Else the property above would prove nothing."""
    assert [len(report_at(step, "SANDBOXFLAP").events) for step in range(6, 10)] == [7, 5, 0, 7]


def test_events_happen_at_their_step_in_the_local_time_of_their_place() -> None:
    delivered, *_, picked_up, announced = report_at(6, "SANDBOXJOURNEY").events
    assert announced.time.utc == SINCE.replace(microsecond=0)
    assert picked_up.time.utc == (SINCE + STEP).replace(microsecond=0)
    assert (picked_up.time.date, picked_up.time.time, picked_up.time.zone) == (
        "2026-03-02", "20:00:02", "+08:00",
    )  # fmt: skip
    assert (delivered.time.time, delivered.time.zone) == ("04:00:12", "-08:00")
    assert delivered.location == "Portland, OR, US"
    assert delivered.address.postal_code == "97218"


# --- odd data ---------------------------------------------------------------------------------------------


def test_events_out_of_order_are_put_in_order() -> None:
    raw = ask(0, "SANDBOXOUTOFORDER")["SANDBOXOUTOFORDER"]
    assert isinstance(raw, Report)
    assert [event.code for event in raw.events] != ["OD", "TR", "CU", "AR", "DP", "PU", "IR"]
    settled = report_at(0, "SANDBOXOUTOFORDER")
    assert [event.code for event in settled.events] == ["OD", "TR", "CU", "AR", "DP", "PU", "IR"]


def test_duplicates_come_twice_and_are_shown_once() -> None:
    """Once in local time, once in UTC and capitals; the first one is kept."""
    report = report_at(0, "SANDBOXDUPLICATE")
    assert len(report.events) == 14
    history = merge.begin("sandbox", report, SINCE)
    shown = list(merge.visible(history))
    assert [event.code for event in shown] == ["OD", "TR", "CU", "AR", "DP", "PU", "IR"]
    assert [event.description for event in shown] == [
        event.description for event in report_at(0, "SANDBOXOUTFORDELIVERY").events
    ]
    assert all(event.time.zone in ("+08:00", "-08:00") for event in shown)


def test_many_events_are_all_there() -> None:
    assert len(report_at(0, "SANDBOXMANY").events) == MANY == 200


def test_foreign_texts_come_through_without_control_and_direction_marks() -> None:
    texts = [event.description for event in report_at(0, "SANDBOXUNICODE").events]
    assert texts == [
        "Straße, Œuvre, İstanbul, 배송 중 📦",
        "وصلت الشحنة إلى بلد المقصد",
        "Отправлено из страны",
        "快件已揽收 ，深圳",
        "已收到 寄件信息 (电子)",
    ]
    raw = SandboxStandIn().answer(request_of("SANDBOXUNICODE"), SINCE).body.decode()
    for mark in ("\u202e", "\u202c", "\u200f", "\ufeff", "\\u0000", "\\u0007"):
        assert mark in raw


# --- faults -----------------------------------------------------------------------------------------------


async def call(step: int, *numbers: str) -> Reply:
    clock = SetClock(SINCE + step * STEP)
    return await send_in_process(STAND_IN(), request_of(*numbers), clock, 20)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("TIMEOUT", Unavailable),
        ("429", Throttled),
        ("500", Unavailable),
        ("BADJSON", MalformedReply),
        (AUTH, Refused),
    ],
)
async def test_a_fault_is_exactly_its_error_until_it_passes(kind: str, error: type[CarrierError]) -> None:
    """The call fails for three steps, then comes the answer of a parcel on its way; AUTH never passes."""
    number = f"SANDBOX{kind}12"
    for step in range(FAULT_STEPS):
        with pytest.raises(CarrierError) as caught:
            parse(await call(step, number, f"{number}3"), [number])
        assert type(caught.value) is error
        if isinstance(caught.value, Unavailable):
            assert caught.value.timed_out == (kind == "TIMEOUT")
        if isinstance(caught.value, Throttled):
            assert caught.value.retry_after_s == STEP_S
    if kind == AUTH:
        with pytest.raises(Refused):
            parse(await call(1000, number), [number])
    else:
        recovered = parse(await call(FAULT_STEPS, number), [number])[number]
        assert isinstance(recovered, Report)
        assert recovered.current is SubStatus.IN_TRANSIT
        assert len(recovered.events) == 6


@pytest.mark.parametrize(
    ("kind", "error"),
    [("TIMEOUT", Unavailable), ("429", Throttled), ("500", Unavailable), ("BADJSON", MalformedReply)],
)
def test_beside_a_number_that_answers_a_fault_is_its_own_matter(kind: str, error: type[CarrierError]) -> None:
    """One call about a fresh and an old number of the same kind: only the fresh one fails."""
    fresh, old = f"SANDBOX{kind}1", f"SANDBOX{kind}2"
    queries = [Query(fresh, "sandbox", SINCE), Query(old, "sandbox", SINCE - 5 * STEP)]
    reply = SandboxStandIn(STEP_S).answer(next(CARRIER.track(queries, Access())), SINCE)
    answers = parse(reply, [fresh, old])
    assert isinstance(answers[old], Report)
    failed = answers[fresh]
    assert type(failed) is error
    assert not isinstance(failed, Throttled) or failed.retry_after_s == STEP_S


async def test_a_slow_number_arrives_late_and_whole() -> None:
    clock = SetClock(SINCE)
    reply = await send_in_process(STAND_IN(), request_of("SANDBOXSLOW"), clock, 20)
    assert clock.passed_s == 3.0
    assert isinstance(parse(reply, ["SANDBOXSLOW"])["SANDBOXSLOW"], Report)


def test_each_kind_of_fault_has_its_own_lane() -> None:
    lanes = {kind: CARRIER.lane(f"SANDBOX{kind}5") for kind in [*JOURNEYS, AUTH, "NOTFOUND"]}
    own = {kind: lane for kind, lane in lanes.items() if lane != "sandbox"}
    assert own == {kind: f"sandbox:{kind.lower()}" for kind in [*FAULTS, "SLOW"]}
    assert CARRIER.lane("SANDBOX-500") == "sandbox:500"


# --- the door ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"[]",
        b"{}",
        b'{"shipments":[]}',
        b'{"shipments":[{"number":"SANDBOXJOURNEY"}]}',
        b'{"shipments":[{"number":"SANDBOXJOURNEY","since":"2026-03-02T12:00:00"}]}',
        b'{"shipments":[{"number":7,"since":"2026-03-02T12:00:00Z"}]}',
        json.dumps(
            {"shipments": [{"number": "SANDBOXJOURNEY", "since": "2026-03-02T12:00:00Z"}] * 21}
        ).encode(),
    ],
)
def test_what_is_no_question_is_refused(body: bytes | None) -> None:
    assert SandboxStandIn().answer(Request("POST", "/v1/shipments", body=body), SINCE).status == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/shipments"), ("POST", "/"), ("POST", "/v1")])
def test_other_paths_do_not_exist(method: str, path: str) -> None:
    asked = request_of("SANDBOXJOURNEY")
    assert SandboxStandIn().answer(Request(method, path, body=asked.body), SINCE).status == 404


def test_the_largest_batch_is_answered_number_by_number() -> None:
    numbers = [f"SANDBOXJOURNEY{index}" for index in range(CARRIER.batch)]
    answers = ask(2, *numbers)
    assert list(answers) == numbers
    assert all(isinstance(answer, Report) and len(answer.events) == 3 for answer in answers.values())


def test_a_clock_behind_the_registration_shows_the_beginning() -> None:
    assert len(report_at(-5, "SANDBOXJOURNEY").events) == 1


def test_the_carrier_reports_what_it_cannot_map() -> None:
    event: dict[str, Any] = {"code": "ZZ", "time": "2026-03-02T12:00:00+00:00"}
    body = {"shipments": [{"number": "N1", "result": 200, "events": [event]}]}
    answer = parse(Reply(200, {}, json.dumps(body).encode()), ["N1"])["N1"]
    assert isinstance(answer, Report)
    assert answer.unmapped == ("ZZ",)
    assert answer.events[0].sub_status is None
    assert answer.events[0].description == "ZZ"
