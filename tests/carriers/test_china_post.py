"""Traps of the EMS platform: the sealed form, withdrawn scans, codes that refine, clocks abroad."""

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from parcelwire.carriers import china_post
from parcelwire.domain import merge, timeline, times
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, Throttled, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Query, Reply
from parcelwire.domain.report import Address, Report
from parcelwire.domain.status import SubStatus
from parcelwire.standins.china_post import STAND_IN, ChinaPostStandIn

RECORDINGS = Path(__file__).parent / "china_post"
NOW = datetime(2026, 6, 3, 17, 5, 6, tzinfo=UTC)
KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="  # 0123456789abcdef
SECRETS = {"sender_no": "1100000000017", "authorization": "may I", "sm4_key": KEY}


def recorded(file: str, number: str) -> Report:
    report = china_post.parse(Reply(200, {}, (RECORDINGS / file).read_bytes()), number)
    assert isinstance(report, Report)
    return report


def traces(*items: dict[str, str]) -> Reply:
    body = {"retCode": "00000", "retBody": {"responseItems": items}}
    return Reply(200, {}, json.dumps(body).encode())


def one_code(code: str, number: str = "1199000000013", **more: str) -> Report:
    item = {"waybillNo": number, "opTime": "2026-06-01 10:00:00", "opCode": code, "opDesc": "text", **more}
    report = china_post.parse(traces(item), number)
    assert isinstance(report, Report)
    return report


def test_the_form_carries_the_number_sealed_with_the_contracts_key() -> None:
    """SM4-ECB with PKCS#7 over the JSON and the key's own text; the stamp is the local time in China."""
    request = china_post.trace_request("EZ000100027CN", Access(SECRETS, now=NOW))
    form = {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}
    sealed = form.pop("logitcsInterface")
    assert form == {
        "apiCode": "040001",
        "senderNo": "1100000000017",
        "authorization": "may I",
        "msgType": "0",
        "timeStamp": "2026-06-04 01:05:06",
        "version": "V1.0.0",
    }
    assert sealed.startswith("|$4|")
    cipher = Cipher(algorithms.SM4(b64decode(KEY)), modes.ECB())  # noqa: S305
    opened = cipher.decryptor().update(b64decode(sealed[4:]))
    assert opened[: -opened[-1]].decode() == '{"waybillNo":"EZ000100027CN"}' + KEY
    assert (request.method, request.path) == ("POST", "/amp-prod-api/f/amp/api/open")


def test_sm4_gives_the_block_of_the_standards_own_example() -> None:
    """GB/T 32907 appendix A: the cipher is the real one, not another of the same shape."""
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encryptor = Cipher(algorithms.SM4(block), modes.ECB()).encryptor()  # noqa: S305
    assert encryptor.update(block).hex() == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize("key", ["", "not base64!", "c2hvcnQ=", "ключ"])
def test_a_key_that_is_no_key_is_refused_before_anything_is_sent(key: str) -> None:
    """The operator hears which credential is wrong, and not its value."""
    with pytest.raises(Refused, match="sm4_key") as caught:
        china_post.sealed(b"{}", key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("void", sorted(china_post.VOIDS))
def test_every_void_removes_the_newest_scan_it_names_and_itself(void: str) -> None:
    """Twice the same scan and one void: the older one stays, and nothing is counted as unmapped."""
    for target in china_post.VOIDS[void]:
        items = [
            {"waybillNo": "1", "opTime": f"2026-06-0{day} 10:00:00", "opCode": code, "opDesc": code}
            for day, code in enumerate((target, "954", target, void), start=1)
        ]
        report = china_post.parse(traces(*items), "1")
        assert isinstance(report, Report)
        assert [event.code for event in report.events] == ["954", target]
        assert [key[0] for key in report.voided] == ["2026-06-03 10:00:00"]
        assert report.unmapped == ()


def test_a_delivery_withdrawn_between_two_answers_is_undone() -> None:
    """Delivered in the first answer, taken back in the second: out for delivery again."""
    history = None
    for hours, file in enumerate(("delivered_by_mistake", "delivery_withdrawn")):
        report = times.settle(recorded(f"{file}.json", "1199000000037"), lambda _: None, NOW)
        history = merge.add(history, "china_post", report, NOW + timedelta(hours=hours))
    assert history is not None
    line = timeline.assemble([history], NOW + timedelta(hours=1))
    assert line.sub_status is SubStatus.OUT_FOR_DELIVERY


def test_a_void_without_its_scan_is_not_shown() -> None:
    assert one_code("743", opTime="2026-06-01 10:00:00").events == ()


@pytest.mark.parametrize(
    ("code", "field", "finer", "sub_status"),
    [
        ("704", "deliverCode", "180", SubStatus.EXCEPTION_OTHER),
        ("704", "deliverCode", "50", SubStatus.DELIVERED),
        ("704", "deliverCode", "999", SubStatus.DELIVERED),
        ("705", "attemptDeliveryCode", "4", SubStatus.FAILURE_NO_BODY),
        ("705", "attemptDeliveryCode", "13", SubStatus.LOST),
        ("705", "attemptDeliveryCode", "999", SubStatus.FAILURE_OTHER),
        ("705", "deliverCode", "180", SubStatus.FAILURE_OTHER),
    ],
)
def test_the_reason_code_refines_the_result(code: str, field: str, finer: str, sub_status: SubStatus) -> None:
    """Only the field of the result counts; an unknown reason leaves the result and is counted."""
    report = one_code(code, **{field: finer})
    assert report.events[0].sub_status is sub_status
    assert report.unmapped == ((f"{code}/999",) if finer == "999" else ())


@pytest.mark.parametrize("code", ["505", "911", "912"])
def test_a_flight_crosses_a_border_only_for_international_numbers(code: str) -> None:
    assert one_code(code).events[0].sub_status is SubStatus.IN_TRANSIT
    abroad = one_code(code, number="EZ000100027CN").events[0].sub_status
    assert abroad in (SubStatus.DEPARTURE, SubStatus.ARRIVAL)


def test_an_unmapped_code_says_nothing_and_is_counted() -> None:
    report = one_code("Q77")
    assert report.events[0].sub_status is None
    assert report.unmapped == ("Q77",)


def test_scans_in_china_have_utc_and_scans_abroad_wait_for_their_zone() -> None:
    """A foreign office code means that clock; without an office, codes of other posts stay open."""
    home = one_code("954", opOrgCode="32000100", opOrgProvName="江苏省").events[0]
    assert home.time.utc == datetime(2026, 6, 1, 2, tzinfo=UTC)
    assert home.time.zone is None
    abroad = one_code("459", opOrgCode="USJFKA", opOrgCity="NEW YORK").events[0]
    assert (abroad.time.utc, abroad.address) == (None, Address(country="US"))
    assert one_code("463", number="EZ000100027CN").events[0].time.utc is None
    assert one_code("O_016").events[0].time.utc is None


def test_clocks_abroad_do_not_turn_the_journey_round() -> None:
    """Arrived in Vancouver by its own clock "before" leaving Shanghai: the platform's order is kept."""
    report = times.settle(recorded("export_america_local_clock.json", "LZ000100013CN"), lambda _: None, NOW)
    assert [event.code for event in report.events] == ["466", "459", "457", "203"]


def test_names_of_the_staff_are_dropped() -> None:
    assert "王五" not in repr(one_code("954", operatorName="王五", operatorNo="12345678"))


def test_traces_of_another_number_are_not_taken() -> None:
    answer = china_post.parse(
        traces({"waybillNo": "2", "opTime": "2026-06-01 10:00:00", "opCode": "704"}), "1"
    )
    assert isinstance(answer, MalformedReply)


@pytest.mark.parametrize(
    ("remark", "sub_status"),
    [
        ("邮件未妥投，明日再投", SubStatus.FAILURE_OTHER),
        ("邮件已妥投，家人代收", SubStatus.DELIVERED),
        ("退回妥投", SubStatus.RETURNED),
        ("妥投退回登记", SubStatus.RETURNING),
        ("未妥投，原因：收件人拒收", SubStatus.FAILURE_REJECTED),
        ("已暂存至自提点，请取件", SubStatus.AVAILABLE_FOR_PICKUP),
        ("离开【上海互换局】，发往德国", SubStatus.IN_TRANSIT),
        ("到达【上海互换局】", SubStatus.IN_TRANSIT),
        ("到达【德国】进口互换局", SubStatus.ARRIVAL),
        ("进口海关查验中", SubStatus.CUSTOMS_PROCESSING),
        ("进口海关放行", SubStatus.CUSTOMS_RELEASED),
    ],
)
def test_texts_decide_only_where_there_are_no_codes(remark: str, sub_status: SubStatus) -> None:
    """ "Not delivered" contains "delivered", and an export office is no arrival."""
    item = {"acceptTime": "2026-06-01 10:00:00", "acceptAddress": "", "remark": remark}
    report = china_post.parse(Reply(200, {}, json.dumps({"traces": [item]}).encode()), "RZ000100035CN")
    assert isinstance(report, Report)
    assert report.events[0].sub_status is sub_status


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"null", b"[]", b"<html>", b'{"retCode":"00000"}', b'{"retCode":"00000","retBody":"{"}',
        b'{"retCode":0,"retBody":[]}', b'{"retCode":"00000","retBody":{"responseItems":[1,null,"x"]}}',
        b'{"retCode":"00000","retBody":{"responseItems":[{"opTime":5,"opCode":[]}]}}', b'{"traces":{}}',
    ],
)  # fmt: skip
def test_nonsense_is_malformed_and_never_not_found(body: bytes) -> None:
    try:
        outcome: Report | CarrierError = china_post.parse(Reply(200, {}, body), "1")
    except CarrierError as error:
        outcome = error
    assert isinstance(outcome, MalformedReply)


def ask(stand_in: ChinaPostStandIn, number: str, now: datetime, **secrets: str) -> Answers:
    """One whole conversation of the carrier with its stand-in."""
    access = Access({**SECRETS, **secrets}, now=now)
    talk = china_post.CARRIER.track([Query(number, "china_post", now)], access)
    try:
        talk.send(stand_in.answer(next(talk), now))
    except StopIteration as end:
        answers: Answers = end.value
        return answers
    raise AssertionError("the carrier asked twice")


def zone_of(place: Address) -> tzinfo | None:
    return china_post.CHINA if place.country == "CN" else None


@pytest.mark.parametrize("number", ["1199000000013", "1199000000120", "EZ000100027CN"])
def test_the_stand_in_leads_every_number_to_its_end(number: str) -> None:
    """Within ten days a made-up journey is delivered and only grew; both forms of the body are read."""
    stand_in = STAND_IN()
    counts = []
    report: object = None
    for day in range(11):
        report = ask(stand_in, number, NOW + timedelta(days=day))[number]
        assert isinstance(report, Report)
        counts.append(len(report.events))
    assert isinstance(report, Report)
    assert counts == sorted(counts)
    assert report.events[0].sub_status is SubStatus.DELIVERED
    assert not report.unmapped


def test_the_stand_in_refuses_what_the_platform_refuses() -> None:
    """A wrong contract, a wrong key, a wrong clock, too many calls, and numbers nobody sent."""
    stand_in = STAND_IN(credentials=(SECRETS["sender_no"], SECRETS["authorization"]))
    with pytest.raises(Refused):
        ask(stand_in, "1199000000013", NOW, authorization="someone else")
    with pytest.raises(Refused):
        ask(stand_in, "1199000000013", NOW, sm4_key="ZmVkY2JhOTg3NjU0MzIxMA==")
    talk = china_post.CARRIER.track(
        [Query("1199000000013", "china_post", NOW)], Access(SECRETS, now=NOW - timedelta(hours=1))
    )
    with pytest.raises(MalformedReply):
        talk.send(stand_in.answer(next(talk), NOW))
    assert isinstance(ask(stand_in, "12", NOW)["12"], UnknownNumber)
    stand_in.gate.calls = 1
    with pytest.raises(Throttled):
        ask(stand_in, "1199000000013", NOW)


def test_a_loaded_answer_and_a_planned_fault_come_first() -> None:
    stand_in = STAND_IN()
    stand_in.load("77", [{"waybillNo": "77", "opTime": "2026-06-01 10:00:00", "opCode": "711"}])
    stand_in.next_replies.append(Reply(429, {"retry-after": "9"}))
    with pytest.raises(Throttled) as caught:
        ask(stand_in, "77", NOW)
    assert caught.value.retry_after_s == 9
    report = ask(stand_in, "77", NOW)["77"]
    assert isinstance(report, Report)
    assert report.events[0].sub_status is SubStatus.RETURNED
