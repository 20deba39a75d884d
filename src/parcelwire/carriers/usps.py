"""USPS: tracking v3r2, 35 numbers a call. Answers of v3, its SUMMARY form and the retired XML are read too.

Facts: tracking OpenAPI of developers.usps.com (v3, v3r2), issues and error workbook of USPS/api-examples,
event codes of Publication 199 (usps.csv). What has to be known to read it right:

* ``eventTimestamp`` is local time, ``GMTOffset`` belongs to it. ``GMTTimestamp`` keeps the local date when
  the clock passes midnight on the way to GMT, so it is never read. A "Z" on eventTimestamp is false.
* An answer of HTTP 207 holds an error for some of the numbers; each error is about its own number.
* A credential sees its own mailpieces and those of mailers that allowed it; the rest is refused (403).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from html import unescape

import msgspec

from parcelwire.carriers._reading import (
    check_status,
    code_table,
    each,
    get,
    json_of,
    named_country,
    text,
    xml_of,
)
from parcelwire.carriers._usps_older import Written, summary_line, time_of_day, xml_scan
from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Exchange,
    Query,
    Reply,
    Request,
    Token,
    TokenExchange,
)
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment, Report, joined
from parcelwire.domain.status import Status, SubStatus
from parcelwire.domain.times import day, exact, from_iso, local, naive

TABLE = code_table("usps.csv")

# First hit wins. They refine a few codes and stand in for unknown and missing ones.
_TEXTS: tuple[tuple[str, SubStatus], ...] = (
    (r"to (the )?original sender|delivered to (the )?sender", SubStatus.RETURNED),
    (r"\brefused\b", SubStatus.FAILURE_REJECTED),
    (
        r"no authorized recipient|no secure location|business closed|addressee not available",
        SubStatus.FAILURE_NO_BODY,
    ),
    (r"notice left|delivery attempt|attempted to deliver|no access|\banimal\b", SubStatus.FAILURE_OTHER),
    (r"insufficient address|no such number|addressee unknown", SubStatus.FAILURE_INVALID_ADDRESS),
    (r"\bvacant\b|\bmoved\b|forward expired", SubStatus.FAILURE_INVALID_ADDRESS),
    (r"undeliverable as addressed", SubStatus.FAILURE_INVALID_ADDRESS),
    (r"return to sender|being returned|\bunclaimed\b", SubStatus.RETURNING),
    (r"out of customs|customs clearance processing complete", SubStatus.CUSTOMS_RELEASED),
    (r"held in customs|into customs|customs clearance", SubStatus.CUSTOMS_PROCESSING),
    (r"\bdamaged\b", SubStatus.DAMAGE),
    (r"\blost\b", SubStatus.LOST),
    (r"dead mail", SubStatus.EXCEPTION_OTHER),
    (r"weather delay|\bdelayed\b", SubStatus.DELAYED),
    (r"available for pickup|ready for pickup|held at post office", SubStatus.AVAILABLE_FOR_PICKUP),
    (r"out for delivery", SubStatus.OUT_FOR_DELIVERY),
    (r"(?<!not )(?<!be )\bdelivered\b", SubStatus.DELIVERED),
    (
        r"label created|pre-shipment|electronic shipping info|origin post is preparing",
        SubStatus.INFO_RECEIVED,
    ),
)
# The names of the codes 03, 07, 10, A1, SF, T1 ...: only for forms of the answer that have no codes at all.
_MOVES: tuple[tuple[str, SubStatus], ...] = (
    (r"in possession of item|\baccept(ed|ance)\b|\bpicked up\b", SubStatus.PICKED_UP),
    (r"\b(arrived|departed|processed|in transit)\b", SubStatus.IN_TRANSIT),
)
_TEXT_RULES = [(re.compile(pattern, re.IGNORECASE), sub_status) for pattern, sub_status in _TEXTS]
_MOVE_RULES = [(re.compile(pattern, re.IGNORECASE), sub_status) for pattern, sub_status in _MOVES]
_MACHINE_TEXT = re.compile(r"in transit(,| to next facility)", re.IGNORECASE)

_TEXT_FIRST = frozenset({"02", "10", "11", "31", "H8"})  # sources disagree, or the reason is in the text
_GOES_BACK = re.compile(r"return to sender|being returned", re.IGNORECASE)
_AT_THE_DOOR = frozenset(
    {"21", "22", "23", "24", "25", "26"}
)  # wrong address; on its way back if the text says so

_TAG = re.compile(r"<[^<>]{0,30}>")
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_S10_OUTBOUND = re.compile(r"[A-Z]{2}\d{9}US")
_ZIP = re.compile(r"\d{5}")


class Usps:
    """Tracking v3r2."""

    slug = "usps"
    serves: Sequence[str] = ("usps",)
    base_url = "https://apis.usps.com"
    secrets: Sequence[str] = ("client_id", "client_secret")
    batch = 35
    limits = Limits(per_s=1 / 60, burst=1, per_day=1440)  # 60 an hour; more only on request at USPS
    reach = Reach.OWN

    def lane(self, number: str) -> str:  # noqa: ARG002
        """One lane: the quota is the credential's."""
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange:
        """OAuth2 client credentials. A token lives eight hours."""
        reply = yield Request(
            "POST",
            "/oauth2/v3/token",
            headers={"Content-Type": "application/json"},
            body=msgspec.json.encode(
                {
                    "grant_type": "client_credentials",
                    "client_id": secrets["client_id"],
                    "client_secret": secrets["client_secret"],
                    "scope": "tracking",
                }
            ),
        )
        if reply.status in (400, 401, 403):
            raise Refused(f"HTTP {reply.status}")
        check_status(reply)
        body = json_of(reply)
        value, life_s = text(body, "access_token"), get(body, "expires_in")
        if not value or not isinstance(life_s, int) or isinstance(life_s, bool) or not 0 < life_s < 10**9:
            raise MalformedReply("token answer without access_token and expires_in")
        return Token(value, float(life_s))

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """Ask about up to 35 numbers in one call."""
        reply = yield Request(
            "POST",
            "/tracking/v3r2/tracking",
            headers={
                "Authorization": f"Bearer {access.token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            body=msgspec.json.encode([_item(query) for query in queries]),
        )
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        return parse(reply, [query.number for query in queries])


def _item(query: Query) -> dict[str, str]:
    item = {"trackingNumber": query.number, "expand": "DETAIL"}
    if query.param and _ZIP.fullmatch(query.param):  # tells shipments with the same number apart
        item["destinationZIPCode"] = query.param
    return item


def parse(reply: Reply, numbers: Sequence[str]) -> Answers:
    """The answer for every one of ``numbers``. Raises CarrierError when the whole call failed."""
    if reply.status not in (200, 207, 400, 404):
        check_status(reply)
    if reply.body.lstrip()[:1] == b"<":
        check_status(reply)
        return _xml_answers(reply, numbers)
    body = json_of(reply)
    if isinstance(body, list):
        return _answers(list(each(body)), numbers)
    if get(body, "error") is not None:
        return _whole_error(reply, body, numbers)
    if get(body, "trackingNumber") is None:
        raise MalformedReply(f"HTTP {reply.status}, neither an answer nor an error")
    return _answers(list(each(body)), numbers)


def _whole_error(reply: Reply, body: object, numbers: Sequence[str]) -> Answers:
    """An error for the whole call: about the number when only one was asked."""
    answer = _of_error(get(body, "error"), str(reply.status), numbers[0])
    if len(numbers) == 1 and isinstance(answer, Report | UnknownNumber | InvalidNumber):
        return {numbers[0]: answer}
    if isinstance(answer, Refused | Throttled | Unavailable):
        raise answer
    raise MalformedReply(f"HTTP {reply.status} for {len(numbers)} numbers: {_codes(get(body, 'error'))}")


def _answers(entries: Sequence[Mapping[str, object]], numbers: Sequence[str]) -> Answers:
    found: dict[str, Mapping[str, object]] = {}
    for entry in entries:
        number = (text(entry, "trackingNumber") or "").upper()
        if number not in found or _newest(entry) > _newest(found[number]):  # numbers are used again
            found[number] = entry
    return {
        number: _answer(found[number.upper()], number)
        if number.upper() in found
        else MalformedReply("number missing in the answer")
        for number in numbers
    }


def _newest(entry: Mapping[str, object]) -> str:
    return text(entry, "trackingEvents", 0, "eventTimestamp") or ""


def _answer(entry: Mapping[str, object], number: str) -> Report | CarrierError:
    error = get(entry, "error")
    if error is not None:
        status = text(entry, "statusCode") or text(error, "code") or ""
        return _of_error(error, status, number)
    return _report(entry, number)


def _of_error(error: object, status: str, number: str) -> Report | CarrierError:
    codes = _codes(error)
    detail = f"{status} {codes} {text(error, 'message') or ''}"[:200]
    row = next((TABLE["error"][code] for code in codes.split() if code in TABLE["error"]), None)
    if row is None:
        return _of_status(status, detail)
    if row.sub_status is SubStatus.NOT_FOUND_OTHER:
        return UnknownNumber(detail)
    if row.sub_status is SubStatus.NOT_FOUND_INVALID_CODE:
        return InvalidNumber(detail)
    return Report(
        number, current=row.sub_status, current_authoritative=True, current_reason=text(error, "message")
    )


def _of_status(status: str, detail: str) -> CarrierError:
    if status in ("401", "403"):
        return Refused(detail)
    if status == "404":
        return UnknownNumber(detail)
    if status == "429":
        return Throttled(detail)
    if status[:1] == "5" and len(status) == 3:
        return Unavailable(detail)
    return MalformedReply(detail)


def _codes(error: object) -> str:
    return " ".join(code for item in each(error, "errors") if (code := text(item, "code")))


def _report(entry: Mapping[str, object], number: str) -> Report:
    origin, destination = _address(entry, "origin"), _address(entry, "destination")
    outbound = destination.country not in (None, "US") or _S10_OUTBOUND.fullmatch(number.upper()) is not None
    summaries = get(entry, "eventSummaries")
    if isinstance(summaries, list) and get(entry, "trackingEvents") is None:
        events = [_written_event(summary_line(line)) for summary in summaries if (line := text(summary))]
    else:
        events = [_event(raw, outbound=outbound) for raw in each(entry, "trackingEvents")]
    category = TABLE["category"].get(text(entry, "statusCategory") or "")
    current = category.sub_status if category and _is_needed(events) else None
    service = text(entry, "mailClass")
    return Report(
        number=number,
        events=tuple(events),
        current=current,
        current_authoritative=current is not None,
        estimate=_estimate(entry),
        origin=origin,
        destination=destination,
        service=_without_html(service) if service else None,
        lang="en",
        unmapped=_unmapped(events),
    )


def _unmapped(events: Sequence[Event]) -> tuple[str, ...]:
    codes = (event.code for event in events if event.code and event.code not in TABLE["event"])
    return tuple(dict.fromkeys(codes))


def _is_needed(events: Sequence[Event]) -> bool:
    """The status of the whole mailpiece counts only while its newest event says nothing."""
    return not events or events[0].sub_status is None


def _event(raw: Mapping[str, object], *, outbound: bool) -> Event:
    where = _address(raw, "event")
    scan = Written(
        text(raw, "eventType") or "",
        _moment(raw),
        joined((where.city, where.state, where.postal_code, text(raw, "eventCountry"))),
        text(raw, "eventCode") or "",
    )
    return replace(_written_event(scan, outbound=outbound), address=where)


def _written_event(scan: Written, *, outbound: bool = False) -> Event:
    row = TABLE["event"].get(scan.code)
    sub_status = _sub_status(scan.code, scan.what, outbound=outbound)
    failed = sub_status is not None and sub_status.status in (Status.DELIVERY_FAILURE, Status.EXCEPTION)
    return Event(
        time=scan.when,
        description=scan.what,
        sub_status=sub_status,
        code=scan.code,
        location=scan.where,
        informative=row.informative if row else not scan.code and _MACHINE_TEXT.match(scan.what) is not None,
        reason=scan.what or None if failed else None,
    )


def _sub_status(code: str, description: str, *, outbound: bool) -> SubStatus | None:
    row = TABLE["event"].get(code)
    said = _by_text(description, _TEXT_RULES)
    if row is None:
        return said or (None if code else _by_text(description, _MOVE_RULES))
    if code in _TEXT_FIRST and said:
        return said
    if code == "01" and said is SubStatus.RETURNED:
        return said
    if code in _AT_THE_DOOR and _GOES_BACK.search(description):
        return SubStatus.RETURNING
    if code == "AR" and outbound:
        return SubStatus.IN_TRANSIT
    return row.sub_status


def _by_text(description: str, rules: Sequence[tuple[re.Pattern[str], SubStatus]]) -> SubStatus | None:
    return next((sub_status for pattern, sub_status in rules if pattern.search(description)), None)


def _moment(raw: Mapping[str, object]) -> Moment:
    """Local time with its own offset. Midnight without an offset is how a bare date is written."""
    moment = from_iso((text(raw, "eventTimestamp") or "").removesuffix("Z"))
    wall = naive(moment)
    if wall is None or moment.zone is not None or moment.time is None:
        return moment
    zone = _zone(get(raw, "GMTOffset"))
    if zone is None:
        return day(wall) if moment.time == "00:00:00" else local(wall)
    return exact(wall.replace(tzinfo=zone)) if 1990 < wall.year < 2990 else local(wall)


def _zone(offset: object) -> timezone | None:
    """Real answers have "-06:00", the specification has minutes."""
    minutes: int | None = None
    if isinstance(offset, str) and (found := _OFFSET.fullmatch(offset)):
        minutes = (int(found[2]) * 60 + int(found[3])) * (-1 if found[1] == "-" else 1)
    elif isinstance(offset, int) and not isinstance(offset, bool):
        minutes = offset
    if minutes is None or abs(minutes) > 14 * 60 or minutes % 15:
        return None
    return timezone(timedelta(minutes=minutes))


def _address(node: Mapping[str, object], end: str) -> Address:
    """``<end>City``, ``<end>State`` ...; names differ a little between v3 and v3r2. Domestic places have no
    country, foreign ones no state and no ZIP code."""
    state = text(node, f"{end}State")
    postal_code = text(node, f"{end}ZIPCode") or text(node, f"{end}ZIP")
    country = named_country(node, f"{end}CountryCode") or named_country(node, f"{end}Country")
    if text(node, f"{end}CountryCode") is None and text(node, f"{end}Country") is None:
        country = "US" if state or postal_code else None
    address = Address(country=country, state=state, city=text(node, f"{end}City"), postal_code=postal_code)
    return NOWHERE if address == NOWHERE else address


def _estimate(entry: Mapping[str, object]) -> Estimate | None:
    """The predicted day, else the expected one, else the guaranteed one; hours when there are any."""
    node = get(entry, "deliveryDateExpectation") or entry
    names = (
        f"{kind}Delivery{form}"
        for kind in ("predicted", "expected", "guaranteed")
        for form in ("TimeStamp", "Date")
    )
    date = next((stamp for name in names if (stamp := from_iso(text(node, name))).date), None)
    if date is None:
        return None
    ends = (
        text(node, name) for name in ("predictedDeliveryWindowEndTime", "endOfDay", "expectedDeliveryTime")
    )
    start = _at(date, text(node, "predictedDeliveryWindowStartTime"))
    end = _at(date, next((end for end in ends if end), None))
    return Estimate(start or _bare(date), end or _bare(date))


def _bare(date: Moment) -> Moment:
    """Midnight in a time stamp means that only the day is known."""
    wall = naive(date)
    return day(wall) if wall and date.time == "00:00:00" else date


def _at(date: Moment, clock: str | None) -> Moment | None:
    """That time of day on ``date``. ``clock`` is 9:00 pm, 21:00 or a whole time stamp."""
    stamp, wall = from_iso(clock), naive(date)
    if stamp.time is not None or wall is None:
        return stamp
    moment = time_of_day(wall, clock)
    return local(moment) if moment else None


def _without_html(words: str) -> str:
    return unescape(_TAG.sub("", words))


def _xml_answers(reply: Reply, numbers: Sequence[str]) -> Answers:
    """The retired TrackV2 interface. Its times are local without any zone, and stay so."""
    root = get(xml_of(reply), "TrackResponse", 0)
    if root is None:
        raise MalformedReply("XML without TrackResponse")
    found = {(text(info, "@ID") or "").upper(): info for info in each(root, "TrackInfo")}
    return {
        number: _xml_answer(found[number.upper()], number)
        if number.upper() in found
        else MalformedReply("number missing in the answer")
        for number in numbers
    }


def _xml_answer(info: Mapping[str, object], number: str) -> Report | CarrierError:
    error = get(info, "Error", 0)
    if error is not None:
        code = text(error, "Number", 0) or ""
        return UnknownNumber(code) if code in TABLE["error"] else MalformedReply(f"TrackV2 error {code}")
    scans = [*each(info, "TrackSummary"), *each(info, "TrackDetail")]
    events = [_written_event(xml_scan(scan)) for scan in scans]
    return Report(
        number, tuple(events), service=text(info, "Class", 0), lang="en", unmapped=_unmapped(events)
    )


CARRIER = Usps()
