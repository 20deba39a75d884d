"""Canada Post Track v2, ``/vis/track/pin/{pin}/detail``: all events of one item a call, XML both ways.

Basic authentication with the user and password of the free developer programme. Local times come with the
abbreviation of their zone. Event identifiers are written with and without leading zeros.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, timezone
from urllib.parse import quote

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, Throttled, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment, Report, joined
from parcelwire.domain.status import SubStatus

_EVENTS = read.code_table("canada_post.csv")["event"]
_POSTAL_CODE = re.compile(r"[A-Z]\d[A-Z] ?\d[A-Z]\d")

# Hours from UTC of the abbreviations that Canada Post uses. Fixed: "EST" in summer still means -5.
ZONES: Mapping[str, float] = {
    "NST": -3.5, "NDT": -2.5, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
PROVINCES = frozenset(["AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT"])

# One identifier is used for the way to the recipient and for the way back; only the text tells them apart.
_RETURN = re.compile(
    r"(?<!will be )\breturn(?:ed|ing)?\b(?: item| mail| successfully)* to (?:the )?sender", re.IGNORECASE
)
# Held and undeliverable items: the text says why.
_REASONS: Sequence[tuple[SubStatus, re.Pattern[str], SubStatus]] = (
    (SubStatus.EXCEPTION_OTHER, re.compile(r"\bcustoms\b", re.IGNORECASE), SubStatus.CUSTOMS_PROCESSING),
    (SubStatus.FAILURE_OTHER, re.compile(r"\brefused\b", re.IGNORECASE), SubStatus.FAILURE_REJECTED),
    (SubStatus.FAILURE_OTHER, re.compile(r"\baddress\b", re.IGNORECASE), SubStatus.FAILURE_INVALID_ADDRESS),
)


class CanadaPost:
    """One PIN (13 or 16 characters) a call."""

    slug = "canada_post"
    serves = ("canada_post",)
    base_url = "https://soa-gw.canadapost.ca"
    secrets = ("username", "password")
    batch = 1
    limits = Limits()  # throttled per minute; the number is not published
    reach = Reach.ANY

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        (query,) = queries
        login = f"{access.secrets['username']}:{access.secrets['password']}"
        headers = {
            "Authorization": "Basic " + b64encode(login.encode()).decode(),
            "Accept": "application/vnd.cpc.track-v2+xml",
            "Accept-Language": "en-CA",
        }
        reply = yield Request("GET", f"/vis/track/pin/{quote(query.number, safe='')}/detail", headers)
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        (query,) = queries
        return {query.number: parse(reply, query.number)}


def parse(reply: Reply, number: str) -> Report | CarrierError:
    """The events of one PIN. The throttle's 503 is told from an outage by its text."""
    if b"Rejected by SLM Monitor" in reply.body:
        raise Throttled("rejected by the SLM monitor", read.retry_after(reply))
    if reply.status not in (200, 404):
        read.check_status(reply)
    root: object = read.xml_of(reply)
    root = read.get(root, "wrapper", 0) or root  # some gateways put one around it
    codes = {read.text(message, "code", 0) for message in read.each(root, "messages", 0, "message")}
    if "004" in codes:
        return UnknownNumber(number)
    if "E002" in codes:
        raise Refused("message E002")
    read.check_status(reply)
    detail = next(read.each(root, "tracking-detail"), None)
    if detail is None:
        return MalformedReply(f"no tracking-detail, messages {sorted(code or '' for code in codes)}")
    if _text(detail, "pin") != number:
        return MalformedReply("another PIN")
    return _report(detail, number)


def _report(detail: dict[str, object], number: str) -> Report:
    events = tuple(_events(detail))
    day = times.from_iso(_text(detail, "changed-expected-date") or _text(detail, "expected-delivery-date"))
    postal_code = _text(detail, "destination-postal-id")
    return Report(
        number,
        events=events,
        estimate=Estimate(day, day) if day.date else None,
        destination=(
            Address(country="CA", postal_code=postal_code)
            if postal_code and _POSTAL_CODE.fullmatch(postal_code)
            else NOWHERE
        ),
        service=_text(detail, "service-name"),
        customer_number=_text(detail, "mailed-by-customer-number"),
        reference_number=_text(detail, "customer-ref-1"),
        lang="en",
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in _EVENTS)),
    )


def _events(detail: dict[str, object]) -> Iterator[Event]:
    """Newest first, as sent. The name of who signed is dropped."""
    for occurrence in read.each(detail, "significant-events", 0, "occurrence"):
        code = (_text(occurrence, "event-identifier") or "").lstrip("0")
        description = _text(occurrence, "event-description")
        if not code and description is None:
            continue
        row = _EVENTS.get(code)
        site, province = _text(occurrence, "event-site"), _text(occurrence, "event-province")
        yield Event(
            time=_moment(occurrence),
            description=description or code,
            sub_status=_refined(row.sub_status, description or "") if row else None,
            code=code,
            location=joined((site, province)),
            address=Address(country="CA", state=province, city=site) if province in PROVINCES else NOWHERE,
            informative=row.informative if row else False,
        )


def _refined(sub_status: SubStatus | None, description: str) -> SubStatus | None:
    if sub_status is None:
        return None
    if _RETURN.search(description):
        delivered = sub_status in (SubStatus.DELIVERED, SubStatus.RETURNED)
        return SubStatus.RETURNED if delivered else SubStatus.RETURNING
    return next(
        (finer for coarse, text, finer in _REASONS if coarse is sub_status and text.search(description)),
        sub_status,
    )


def _moment(occurrence: dict[str, object]) -> Moment:
    date, time = _text(occurrence, "event-date"), _text(occurrence, "event-time")
    moment = times.from_iso(f"{date}T{time}" if date and time else date)
    hours = ZONES.get((_text(occurrence, "event-time-zone") or "").upper())
    wall = times.naive(moment)
    if hours is None or wall is None or moment.time is None or moment.utc is not None:
        return moment
    try:
        return times.exact(wall.replace(tzinfo=timezone(timedelta(hours=hours))))
    except OverflowError:  # year 1 or 9999
        return moment


def _text(node: dict[str, object], name: str) -> str | None:
    return read.text(node, name, 0)


CARRIER = CanadaPost()
