"""China Post and China EMS through the EMS platform for contract customers (api.ems.com.cn, apiCode 040001).

One number a call. The business part of the form is encrypted with SM4; answers are plain JSON whose
``retBody`` is an object or a JSON string, scans oldest first. Errors come as a ``retCode`` other than 00000
and a Chinese text; the codes are not public, so the text decides. Answers of the older cotrackapi (texts
only) are read too.

Local times: scans in China are UTC+8. Scans of offices abroad are written in the local time there and stay
without UTC until the zone resolver knows the country to have one zone.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, timezone
from urllib.parse import urlencode

import msgspec

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import (
    CarrierError,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.merge import event_key
from parcelwire.domain.report import NOWHERE, Address, Event, Report
from parcelwire.domain.status import SubStatus

PATH = "/amp-prod-api/f/amp/api/open"
FORM = "application/x-www-form-urlencoded; charset=UTF-8"
CHINA = timezone(timedelta(hours=8))  # no summer time since 1991

# A void takes back the newest earlier scan with one of these codes, and is not shown itself.
VOIDS: Mapping[str, frozenset[str]] = {
    "207": frozenset({"203"}),
    "212": frozenset({"208"}),
    "304": frozenset({"303", "336", "345"}),
    "424": frozenset({"423"}),
    "448": frozenset({"447"}),
    "472": frozenset({"404"}),
    "474": frozenset({"405"}),
    "483": frozenset({"482"}),
    "742": frozenset({"702"}),
    "743": frozenset({"704"}),
    "744": frozenset({"705"}),
    **{f"{code}D": frozenset({code}) for code in ("EDA", "EDC", "EME", "EXA", "EXB", "EXC", "EXD")},
}
REFINED = {"704": ("delivered", "deliverCode"), "705": ("attempt", "attemptDeliveryCode")}
FLIGHTS = frozenset({"505", "911", "912"})  # border crossings for international numbers only

# Texts of sources without codes, first hit wins. "Not delivered" contains "delivered": failures come first.
TEXT_RULES: Sequence[tuple[re.Pattern[str], SubStatus]] = [
    (re.compile(pattern), sub_status)
    for pattern, sub_status in (
        ("退回妥投", SubStatus.RETURNED),
        ("拒收", SubStatus.FAILURE_REJECTED),
        ("未妥投", SubStatus.FAILURE_OTHER),
        ("妥投(?!退回)|已签收|已取走", SubStatus.DELIVERED),
        ("退回|退件", SubStatus.RETURNING),
        ("安排投递|派送|投递员", SubStatus.OUT_FOR_DELIVERY),
        ("(?:自提|包裹柜|代收点)(?!.*已取)", SubStatus.AVAILABLE_FOR_PICKUP),
        ("海关.*(?:留存|查验)", SubStatus.CUSTOMS_PROCESSING),
        ("海关.*放行|清关完成", SubStatus.CUSTOMS_RELEASED),
        ("扣留|查扣", SubStatus.EXCEPTION_SECURITY),
        ("启运|起飞|离境", SubStatus.DEPARTURE),
        ("到达境外|到达【[^】]+】(?!出口).*互换局", SubStatus.ARRIVAL),
        ("揽收|收寄", SubStatus.PICKED_UP),
    )
]

_S10 = re.compile(r"[A-Z]{2}\d{9}[A-Z]{2}")
_IMPC = re.compile(r"[A-Z]{5}[A-Z0-9]")  # UPU office code: country, place, kind. Offices in China have digits
_REASON = re.compile(r"原因[:：]\s*(.+)")
_CODES = read.code_table("china_post.csv")


class ChinaPost:
    """Works with a contract: customer number, authorization code and the SM4 key in Base64."""

    slug = "china_post"
    serves = ("china_post", "china_ems")
    base_url = "https://api.ems.com.cn"
    secrets = ("sender_no", "authorization", "sm4_key")
    batch = 1
    limits = Limits()  # by contract, not published
    reach = Reach.OWN

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        (query,) = queries
        reply = yield trace_request(query.number, access)
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        (query,) = queries
        return {query.number: parse(reply, query.number)}


def trace_request(number: str, access: Access) -> Request:
    """The form that asks for the traces of one number, stamped with the local time in China."""
    form = {
        "apiCode": "040001",
        "senderNo": access.secrets["sender_no"],
        "authorization": access.secrets["authorization"],
        "msgType": "0",
        "timeStamp": (access.now + CHINA.utcoffset(None)).strftime("%Y-%m-%d %H:%M:%S"),
        "userCode": "",
        "version": "V1.0.0",
        "logitcsInterface": sealed(msgspec.json.encode({"waybillNo": number}), access.secrets["sm4_key"]),
    }
    return Request("POST", PATH, {"Content-Type": FORM}, body=urlencode(form).encode())


def sealed(business: bytes, key_text: str) -> str:
    """``|$4|`` and the Base64 of SM4-ECB (PKCS#7 padding) over the business JSON followed by the key's text.

    ``key_text`` is the key as the platform shows it: 16 bytes in Base64. Refused when it is anything else.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    try:
        key = b64decode(key_text, validate=True)
        encryptor = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()  # noqa: S305  # the platform's choice
    except ValueError as error:
        raise Refused("sm4_key is not 16 bytes in Base64") from error
    plain = business + key_text.encode()
    padding = 16 - len(plain) % 16
    return "|$4|" + b64encode(encryptor.update(plain + bytes([padding]) * padding)).decode()


def parse(reply: Reply, number: str) -> Report | CarrierError:
    """The traces of one number; UnknownNumber when there are none. Raises when the whole call failed."""
    read.check_status(reply)
    answer = read.json_of(reply)
    body = answer
    if read.get(answer, "retCode") is not None:
        _check_code(answer)
        body = _body(answer)
    items = read.get(body, "responseItems")
    if items is None:
        items = read.get(body, "traces")
    if not isinstance(items, list):
        return MalformedReply("no list of traces")
    if not items:
        return UnknownNumber(number)
    return _report(number, list(read.each(items)))


def _check_code(answer: object) -> None:
    code = read.text(answer, "retCode")
    if code == "00000":
        return
    message = read.text(answer, "retMsg") or ""
    detail = f"retCode {code}"
    if re.search("授权|签名|权限", message):
        raise Refused(detail)
    if re.search("频率|流量|频繁", message):
        raise Throttled(detail)
    if re.search("系统异常|系统繁忙|超时", message):
        raise Unavailable(detail)
    raise MalformedReply(detail)


def _body(answer: object) -> object:
    """``retBody``, which is an object or the same object as a JSON string."""
    body = read.get(answer, "retBody")
    if not isinstance(body, str):
        return body
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedReply("retBody is not JSON") from error


def _report(number: str, items: Sequence[dict[str, object]]) -> Report | CarrierError:
    """``items`` oldest first."""
    named = {read.text(item, "waybillNo") or read.text(item, "traceNo") for item in items} - {None, number}
    if named:
        return MalformedReply("traces of another number")
    by_code = [item for item in items if read.text(item, "opCode")]
    events = list(_coded(by_code, number) if by_code else _texts(items, number))
    if not events:
        return MalformedReply("no readable trace")
    shown, voided = _without_voided(events)
    return Report(
        number,
        events=tuple(reversed(shown)),
        origin=Address(country="CN") if _S10.fullmatch(number) and number.endswith("CN") else NOWHERE,
        service=next((name for item in reversed(items) if (name := read.text(item, "productName"))), None),
        lang="zh",
        unmapped=tuple(dict.fromkeys(_unmapped(by_code))),
        voided=tuple(event_key(event) for event in voided),
    )


def _coded(items: Sequence[dict[str, object]], number: str) -> Iterator[Event]:
    for item in items:
        code = read.text(item, "opCode") or ""
        description = read.text(item, "opDesc") or read.text(item, "opName") or code
        refinement = _refinement(item, code)
        row = _CODES["operation"].get(code)
        if refinement:
            kind, finer = refinement
            row = _CODES[kind].get(finer, row)
            code = f"{code}/{finer}"
        sub_status = row.sub_status if row else None
        if code in FLIGHTS and not _S10.fullmatch(number):
            sub_status = SubStatus.IN_TRANSIT
        reason = _REASON.search(description)
        address = _address(item, code)
        moment = times.from_iso(read.get(item, "opTime"))
        yield Event(
            time=times.in_zone(moment, CHINA) if address.country == "CN" else moment,
            description=description,
            sub_status=sub_status,
            code=code,
            location=read.text(item, "opOrgName") or read.text(item, "opOrgCity"),
            address=address,
            informative=row.informative if row else False,
            reason=reason.group(1) if reason else None,
        )


def _refinement(item: dict[str, object], code: str) -> tuple[str, str] | None:
    """Table and code of what makes a delivery result finer."""
    kind, field = REFINED.get(code, ("", ""))
    finer = read.text(item, field)
    return (kind, finer) if kind and finer else None


def _unmapped(items: Sequence[dict[str, object]]) -> Iterator[str]:
    for item in items:
        code = read.text(item, "opCode") or ""
        refinement = _refinement(item, code)
        if code not in _CODES["operation"]:
            yield code
        elif refinement and refinement[1] not in _CODES[refinement[0]]:
            yield f"{code}/{refinement[1]}"


def _address(item: dict[str, object], code: str) -> Address:
    """The office. Abroad only its country: that scans abroad are in local time is likely, not documented, so
    it is relied on for countries with one zone and not for cities of the others."""
    office = read.text(item, "opOrgCode") or ""
    if _IMPC.fullmatch(office) and not office.startswith("CN"):
        return Address(country=office[:2])
    province = read.text(item, "opOrgProvName")
    if province or office or not _may_be_abroad(code):
        return Address(country="CN", state=province, city=read.text(item, "opOrgCity"))
    return NOWHERE


def _may_be_abroad(code: str) -> bool:
    """Operations that other posts and partners report, wherever they are."""
    return code.startswith(("O_", "C_")) or (code.isdigit() and 457 <= int(code) <= 500)


def _without_voided(events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """Events to show, and events taken back; both oldest first."""
    shown: list[Event] = []
    voided: list[Event] = []
    for event in events:
        targets = VOIDS.get(event.code)
        if targets is None:
            shown.append(event)
            continue
        for index in range(len(shown) - 1, -1, -1):
            if shown[index].code.partition("/")[0] in targets:
                voided.append(shown.pop(index))
                break
    return shown, voided


def _texts(items: Sequence[dict[str, object]], number: str) -> Iterator[Event]:
    """Scans of sources without codes: the text decides. After an arrival abroad the zone is not China's."""
    international = bool(_S10.fullmatch(number))
    abroad = False
    for item in items:
        remark = read.text(item, "remark")
        if remark is None:
            continue
        sub_status = next((sub for rule, sub in TEXT_RULES if rule.search(remark)), SubStatus.IN_TRANSIT)
        if sub_status in (SubStatus.DEPARTURE, SubStatus.ARRIVAL) and not international:
            sub_status = SubStatus.IN_TRANSIT
        abroad = abroad or sub_status is SubStatus.ARRIVAL
        place = read.text(item, "acceptAddress")
        moment = times.from_iso(read.get(item, "acceptTime"))
        yield Event(
            time=moment if abroad else times.in_zone(moment, CHINA),
            description=remark,
            sub_status=sub_status,
            location=place,
            address=NOWHERE if abroad else Address(country="CN", city=place),
        )


CARRIER = ChinaPost()
