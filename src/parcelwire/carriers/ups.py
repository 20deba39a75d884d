"""UPS: Track API v1 (one number a call) and the events of Track Alert.

Facts: Tracking.yaml, UPSTrackAlert.yaml and OAuthClientCredentials.yaml of UPS-API/api-documentation, and
the code lists of the UPS tracking appendix (ups.csv).

The 3-digit statusCode decides. Its generic and attempt codes are refined by the 2-character code and the
text. The type counts only without a statusCode; type X does not mean exception. The gmt fields are UTC.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import quote

from parcelwire.carriers._reading import (
    Code,
    check_status,
    code_table,
    country,
    each,
    get,
    json_of,
    retry_after,
    text,
)
from parcelwire.domain.errors import InvalidNumber, MalformedReply, Refused, Throttled, UnknownNumber
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Exchange,
    Proof,
    Query,
    Reply,
    Request,
    Token,
    TokenExchange,
)
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import (
    NOWHERE,
    UNKNOWN_TIME,
    Address,
    Estimate,
    Event,
    Moment,
    Report,
    joined,
)
from parcelwire.domain.status import RANK, Status, SubStatus
from parcelwire.domain.times import day, exact, local, offset_text

TABLE = code_table("ups.csv")

_GENERIC = frozenset({"013", "029", "046", "048", "049", "090"})  # the 2-character code says what happened
_ATTEMPTS = frozenset({"022", "023", "024", "060", "066", "145"})  # the reason is in the code or the text
_RETURN_ASKED = frozenset({"033", "118", "119"})  # a return only after 034-036, 067 or 081 says so
_RETURN_SEEN = frozenset({"034", "035", "036", "067", "081"})
_CREDENTIALS = frozenset({"10004", "10007", "10401", "250002", "250003", "251004", "UJ0001"})

_REASONS = (
    (re.compile(r"not available|no one", re.IGNORECASE), SubStatus.FAILURE_NO_BODY),
    (re.compile(r"refused", re.IGNORECASE), SubStatus.FAILURE_REJECTED),
    (re.compile(r"address", re.IGNORECASE), SubStatus.FAILURE_INVALID_ADDRESS),
    (re.compile(r"\bfunds\b|\bcod\b|\bcharges\b", re.IGNORECASE), SubStatus.FAILURE_SECURITY),
)
_OUT_FOR_DELIVERY = re.compile(r"\bout for delivery\b", re.IGNORECASE)
_OFFSET = re.compile(r"([+-])(\d{1,2})[:.](\d{2})")  # +08:00; Track Alert writes -04.00
_WEIGHT = re.compile(r"\d{1,7}(\.\d{1,4})?")
_KILOGRAMS = {"KGS": Decimal(1), "LBS": Decimal("0.45359237")}
_WINDOWS = frozenset({"CMT", "EOD", "EDW", "CDW", "IDW"})  # types of deliveryTime that are estimates


@dataclass(frozen=True, slots=True)
class _Scan:
    """One activity with the two codes that decide what it means."""

    event: Event
    status_code: str


class Ups:
    """Track API v1."""

    slug = "ups"
    serves: Sequence[str] = ("ups", "ups_mail_innovations")
    base_url = "https://onlinetools.ups.com"
    secrets: Sequence[str] = ("client_id", "client_secret")
    batch = 1
    # UPS publishes no figures (429 with code 10429 is all); these are careful defaults of our own.
    limits = Limits(per_s=5, burst=5, per_day=250_000)
    reach = Reach.ANY
    alert_proof = Proof.SHOWN
    # A guess: UPS documents the credential of a subscription, not where Track Alert shows it. Public
    # receivers look here; PARCELWIRE_CARRIER_UPS_ALERT_HEADER names another one.
    alert_header = "credential"

    def lane(self, number: str) -> str:  # noqa: ARG002
        """One lane: the limit is the credential's."""
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange:
        """OAuth2 client credentials by HTTP Basic. A token lives four hours."""
        pair = f"{secrets['client_id']}:{secrets['client_secret']}".encode()
        reply = yield Request(
            "POST",
            "/security/v1/oauth/token",
            headers={
                "Authorization": f"Basic {b64encode(pair).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=b"grant_type=client_credentials",
        )
        if reply.status in (400, 401, 403):
            raise Refused(f"HTTP {reply.status} {_error_code(reply) or ''}".strip())
        check_status(reply)
        body = json_of(reply)
        value, life = text(body, "access_token"), text(body, "expires_in")  # UPS sends numbers as strings
        if not value or not life or not (life.isascii() and life.isdigit() and len(life) < 10):
            raise MalformedReply("token answer without access_token and expires_in")
        return Token(value, float(life))

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """Ask about the one number of ``queries``."""
        (query,) = queries
        reply = yield Request(
            "GET",
            f"/api/track/v1/details/{quote(query.number, safe='')}",
            headers={
                "Authorization": f"Bearer {access.token}",
                "Accept": "application/json",
                "transId": query.number[:32],  # names the request in the logs of UPS
                "transactionSrc": "parcelwire",
            },
            query={"locale": "en_US", "returnSignature": "false", "returnMilestones": "false"},
        )
        return self.parse(reply, queries)

    def alerted(self, body: bytes) -> Sequence[str]:
        """Track Alert tells of one number at a time."""
        return (parse_alert(body).number,)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        (query,) = queries
        try:
            return {query.number: parse(reply, query.number)}
        except (UnknownNumber, InvalidNumber, MalformedReply) as error:
            return {query.number: error}


def parse(reply: Reply, number: str) -> Report:
    """The report about ``number``. Raises the CarrierError that the answer means."""
    if reply.status != 200:
        _raise_error(reply)
    body = json_of(reply)
    if get(body, "response", "errors") is not None:
        _raise_error(reply)
    if get(body, "activityStatus") is not None:
        return _same_number(parse_alert(reply.body), number)
    return _report(_package(body, number), number)


def parse_alert(body: bytes) -> Report:
    """The event that Track Alert posts: a report with that one event. MalformedReply for anything else.

    It has no statusCode, so its status is coarser than that of the Track API: ask again to know more.
    """
    alert = json_of(Reply(200, body=body))
    number, what = text(alert, "trackingNumber"), get(alert, "activityStatus")
    if number is None or not isinstance(what, dict):
        raise MalformedReply("Track Alert event without trackingNumber and activityStatus")
    when = _moment(
        *(text(alert, name) for name in ("localActivityDate", "localActivityTime")),
        *(text(alert, name) for name in ("gmtActivityDate", "gmtActivityTime", "gmtOffset")),
    )
    scan = _scan(when, what, _address(get(alert, "activityLocation")))
    delivered = _delivered(text(alert, "actualDeliveryDate"), text(alert, "actualDeliveryTime"))
    scheduled = _day(text(alert, "scheduledDeliveryDate"))
    return Report(
        number=number,
        events=(scan.event,),
        delivered=delivered,
        estimate=_window(scheduled, text(alert, "deliveryStartTime"), text(alert, "deliveryEndTime")),
        lang="en",
        unmapped=_unmapped([scan]),
    )


def _raise_error(reply: Reply) -> None:
    code = _error_code(reply)
    detail = f"HTTP {reply.status} {code or ''}".strip()
    if code == "10429":
        raise Throttled(detail, retry_after(reply))
    if code in _CREDENTIALS:
        raise Refused(detail, stale_token=reply.status == 401)
    row = TABLE["error"].get(code or "")
    if row and row.sub_status is SubStatus.NOT_FOUND_OTHER:
        raise UnknownNumber(detail)
    if row:
        raise InvalidNumber(detail)
    check_status(reply)
    raise MalformedReply(detail)


def _error_code(reply: Reply) -> str | None:
    """The first code of an error envelope; None when the body is something else."""
    try:
        return text(json_of(reply), "response", "errors", 0, "code")
    except MalformedReply:
        return None


def _same_number(report: Report, number: str) -> Report:
    if report.number.upper() != number.upper():
        raise MalformedReply("the answer is about another number")
    return replace(report, number=number)


def _package(body: object, number: str) -> dict[str, object]:
    """The piece with the asked number; of a shipment asked by its own number the least advanced piece."""
    shipments = list(each(body, "trackResponse", "shipment"))
    pieces = [
        package
        for shipment in shipments
        for package in each(shipment, "package")
        if _is(number, package, "trackingNumber")
    ]
    if pieces:  # UPS gives numbers out again: the newest shipment
        return max(pieces, key=_newest)
    whole = [shipment for shipment in shipments if _is(number, shipment, "inquiryNumber")]
    pieces = [package for shipment in whole for package in each(shipment, "package")]
    if pieces:
        return min(pieces, key=_advance)
    codes = [text(warning, "code") for shipment in whole for warning in each(shipment, "warnings")]
    if "TW0001" in codes:
        raise UnknownNumber("TW0001 inside HTTP 200")
    raise MalformedReply(f"no package for this number, warnings: {joined(codes) or 'none'}")


def _is(number: str, node: object, key: str) -> bool:
    return (text(node, key) or "").upper() == number.upper()


def _newest(package: object) -> tuple[str, str]:
    first = next(each(package, "activity"), None)
    return text(first, "date") or "", _clock(text(first, "time")) or ""


def _advance(package: object) -> int:
    row = TABLE["status"].get(text(package, "currentStatus", "code") or "")
    return RANK[row.sub_status] if row and row.sub_status else 0


def _report(package: Mapping[str, object], number: str) -> Report:
    scans = _without_dropped_returns(
        [
            _scan(
                _activity_time(activity),
                get(activity, "status"),
                _address(get(activity, "location", "address")),
            )
            for activity in each(package, "activity")
        ]
    )
    current, reason = _current(package, scans)
    weight, kilograms = _weight(package)
    ends = {text(end, "type"): _address(get(end, "address")) for end in each(package, "packageAddress")}
    partner = next(
        (n for n in each(package, "alternateTrackingNumber") if (text(n, "type") or "").startswith("USPS")),
        None,
    )
    return Report(
        number=number,
        events=tuple(scan.event for scan in scans),
        current=current,
        current_authoritative=current is not None,
        current_reason=reason,
        delivered=_delivered_of(package),
        estimate=_estimate(package),
        origin=ends.get("ORIGIN", NOWHERE),
        destination=ends.get("DESTINATION", NOWHERE),
        service=text(package, "service", "description"),
        weight_raw=weight,
        weight_kg=kilograms,
        pieces=text(package, "packageCount"),
        reference_number=text(package, "referenceNumber", 0, "number"),
        local_number=text(partner, "number"),
        local_carrier="usps" if text(partner, "number") else None,
        lang="en",
        unmapped=_unmapped(scans),
    )


def _scan(when: Moment, what: object, where: Address) -> _Scan:
    status_code, code = text(what, "statusCode") or "", text(what, "code") or ""
    kind, description = text(what, "type") or "", text(what, "description") or ""
    meaning = _meaning(status_code, code, kind, description)
    sub_status = meaning.sub_status if meaning else None
    failed = sub_status is not None and sub_status.status in (Status.DELIVERY_FAILURE, Status.EXCEPTION)
    return _Scan(
        Event(
            time=when,
            description=description,
            sub_status=sub_status,
            code=joined((status_code or kind, code), "/") or "",
            location=joined((where.city, where.state, where.postal_code, where.country)),
            address=where,
            informative=meaning is not None and (meaning.informative or sub_status is None),
            reason=description or None if failed else None,
        ),
        status_code,
    )


def _meaning(status_code: str, code: str, kind: str, description: str) -> Code | None:
    """The row that decides; None for an unmapped code."""
    if not status_code:
        return _meaning_by_type(code, kind, description)
    row = TABLE["status"].get(status_code)
    refined = TABLE["exception"].get(code) if kind == "X" else None
    if status_code in _GENERIC and refined:
        return refined
    if row and status_code in _ATTEMPTS:
        if refined and refined.sub_status and refined.sub_status.status is Status.DELIVERY_FAILURE:
            return refined
        reason = next((sub for pattern, sub in _REASONS if pattern.search(description)), row.sub_status)
        return replace(row, sub_status=reason)
    return row


def _meaning_by_type(code: str, kind: str, description: str) -> Code | None:
    if kind in ("D", "I", "O") and _OUT_FOR_DELIVERY.search(description):
        return TABLE["type"]["O"]
    if kind == "X" and code in TABLE["exception"]:
        return TABLE["exception"][code]
    return TABLE["type"].get(kind)


def _unmapped(scans: Sequence[_Scan]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(s.event.code for s in scans if s.event.sub_status is None and not s.event.informative)
    )


def _without_dropped_returns(scans: Sequence[_Scan]) -> list[_Scan]:
    """Newest first. A return that was asked for and not made, as later scans go on as before, is a message.

    Without this a delivery after a dropped return would count as a return that reached the sender.
    """
    kept: list[_Scan] = []
    went_on = seen = False
    for scan in scans:
        event = scan.event
        seen = seen or scan.status_code in _RETURN_SEEN
        if scan.status_code in _RETURN_ASKED:
            if went_on and not seen:
                scan = replace(scan, event=replace(event, informative=True))  # noqa: PLW2901
        elif event.sub_status and not event.informative and event.sub_status is not SubStatus.INFO_RECEIVED:
            went_on = True
        kept.append(scan)
    return kept


def _current(package: Mapping[str, object], scans: Sequence[_Scan]) -> tuple[SubStatus | None, str | None]:
    """UPS's own current status, refined like the newest scan with that code; None when it says nothing."""
    code = text(package, "currentStatus", "code") or text(package, "currentStatus", "statusCode")
    row = TABLE["status"].get(code or "")
    if row is None or row.informative or row.sub_status is None:
        return None, None
    scan = next((scan for scan in scans if scan.status_code == code), None)
    return (scan.event.sub_status, scan.event.reason) if scan else (row.sub_status, None)


def _address(node: object) -> Address:
    address = Address(
        country=country(node, "countryCode") or country(node, "country"),
        state=text(node, "stateProvince"),
        city=text(node, "city"),
        postal_code=text(node, "postalCode"),
    )
    return NOWHERE if address == NOWHERE else address


def _activity_time(activity: Mapping[str, object]) -> Moment:
    return _moment(*(text(activity, name) for name in ("date", "time", "gmtDate", "gmtTime", "gmtOffset")))


def _moment(
    date: str | None, time: str | None, gmt_date: str | None, gmt_time: str | None, offset: str | None
) -> Moment:
    """Local wall time as sent, with UTC from the gmt fields when they are there."""
    wall, utc = _wall(date, time), _wall(gmt_date, gmt_time)
    if utc is None:
        return local(wall) if wall else _day(date) or UNKNOWN_TIME
    utc = utc.replace(tzinfo=UTC)
    zone = _zone(offset)
    if wall is None or zone is None:
        return exact(utc.astimezone(zone or UTC))
    return replace(
        local(wall), utc=utc, offset_min=_minutes(zone), zone=offset_text(timedelta(minutes=_minutes(zone)))
    )


def _minutes(zone: timezone) -> int:
    return int(zone.utcoffset(None).total_seconds() // 60)


def _zone(offset: str | None) -> timezone | None:
    found = _OFFSET.fullmatch(offset or "")
    if not found or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def _clock(time: str | None) -> str | None:
    """HHMMSS. UPS leaves leading zeros out and sometimes writes colons; an empty text is no time."""
    digits = (time or "").replace(":", "")
    return digits.zfill(6) if digits.isascii() and digits.isdigit() and len(digits) <= 6 else None


def _wall(date: str | None, time: str | None) -> datetime | None:
    """YYYYMMDD and a time of day. A year that no shipment has is a placeholder."""
    clock = _clock(time)
    if not date or not clock or not date.isascii() or not date.isdigit() or not "1990" < date < "2990":
        return None
    try:
        return datetime.fromisoformat(f"{date}T{clock}")
    except ValueError:
        return None


def _day(date: str | None) -> Moment | None:
    midnight = _wall(date, "000000")
    return day(midnight) if midnight else None


def _delivered(date: str | None, time: str | None) -> Moment | None:
    wall = _wall(date, time)
    return local(wall) if wall else _day(date)


def _delivered_of(package: Mapping[str, object]) -> Moment | None:
    date = next((text(d, "date") for d in each(package, "deliveryDate") if text(d, "type") == "DEL"), None)
    exact_time = text(package, "deliveryTime", "type") == "DEL"
    return _delivered(date, text(package, "deliveryTime", "endTime") if exact_time else None)


def _estimate(package: Mapping[str, object]) -> Estimate | None:
    """The rescheduled day, else the scheduled one; hours when UPS gives a window."""
    dates = {text(item, "type"): _day(text(item, "date")) for item in each(package, "deliveryDate")}
    date = dates.get("RDD") or dates.get("SDD")
    if text(package, "deliveryTime", "type") not in _WINDOWS:
        return _window(date, None, None)
    return _window(date, text(package, "deliveryTime", "startTime"), text(package, "deliveryTime", "endTime"))


def _window(date: Moment | None, start: str | None, end: str | None) -> Estimate | None:
    if date is None or date.date is None:
        return None
    digits = date.date.replace("-", "")
    first, last = _wall(digits, start), _wall(digits, end)
    return Estimate(local(first) if first else date, local(last) if last else date)


def _weight(package: Mapping[str, object]) -> tuple[str | None, str | None]:
    """As sent, and in kilograms."""
    number, unit = text(package, "weight", "weight"), text(package, "weight", "unitOfMeasurement")
    if not number or not _WEIGHT.fullmatch(number):
        return None, None
    factor = _KILOGRAMS.get(unit or "")
    kilograms = (Decimal(number) * factor).quantize(Decimal("0.001")) if factor else None
    return joined((number, unit), " "), f"{kilograms:f}" if kilograms is not None else None


CARRIER = Ups()
