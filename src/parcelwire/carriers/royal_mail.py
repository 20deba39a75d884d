"""Royal Mail Mailpieces v2, ``/{id}/events``: all scans of one item a call.

Needs a client id and secret of the developer portal. The free plan "assessment" allows 50 calls a day. The
summary endpoint takes 30 items but shows only the last scan of each, so it is not used.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import CarrierError, MalformedReply, Throttled, Unavailable, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment, Report

_EVENTS = read.code_table("royal_mail.csv")["event"]

# Errors that mean "nothing to show": unknown barcode, product without tracking, no update (yet).
NOTHING_KNOWN = frozenset({"E1142", "E1283", "E1284", "E1307", "E1308"})


class RoyalMail:
    """One number a call; the credentials go into the headers."""

    slug = "royal_mail"
    serves = ("royal_mail",)
    base_url = "https://api.royalmail.net"
    secrets = ("client_id", "client_secret")
    batch = 1
    # Plan "assessment": 50 a day, which may mean any 24 hours: 10 + 30 stays inside. Others are by contract.
    limits = Limits(per_s=30 / 86_400, burst=10, per_day=50)
    reach = Reach.ANY

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        (query,) = queries
        headers = {
            "X-IBM-Client-Id": access.secrets["client_id"],
            "X-IBM-Client-Secret": access.secrets["client_secret"],
            "X-Accept-RMG-Terms": "yes",
            "Accept": "application/json",
        }
        reply = yield Request("GET", f"/mailpieces/v2/{quote(query.number, safe='')}/events", headers)
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        (query,) = queries
        return {query.number: parse(reply, query.number)}


def parse(reply: Reply, number: str) -> Report | CarrierError:
    """The scans of one number. Errors have the same form under every HTTP status, 200 included."""
    if reply.status in (401, 403):
        read.check_status(reply)
    if reply.status != 200:
        code = _error_code(reply)
        if code in NOTHING_KNOWN:
            return UnknownNumber(number)
        _check_code(code, reply)
        read.check_status(reply)
    answer = read.json_of(reply)
    code = read.text(answer, "errors", 0, "errorCode") or read.text(
        answer, "mailPieces", "error", "errorCode"
    )
    if code in NOTHING_KNOWN:
        return UnknownNumber(number)
    _check_code(code, reply)
    piece = next(read.each(answer, "mailPieces"), None)
    if piece is None or code is not None:
        return MalformedReply("no mail piece" if code is None else f"error {code}")
    names = {
        read.text(piece, "mailPieceId"),
        read.text(piece, "summary", "uniqueItemId"),
        read.text(piece, "summary", "oneDBarcode"),
    }
    return _report(piece, number) if number in names else MalformedReply("another mail piece")


def _error_code(reply: Reply) -> str | None:
    try:
        return read.text(read.json_of(reply), "errors", 0, "errorCode")
    except MalformedReply:
        return None  # the HTTP status decides


def _check_code(code: str | None, reply: Reply) -> None:
    if code == "E0010":
        raise Throttled("error E0010", read.retry_after(reply))
    if code in ("E0001", "E0009"):
        raise Unavailable(f"error {code}")


def _report(piece: dict[str, object], number: str) -> Report:
    summary = read.get(piece, "summary")
    events = tuple(_events(piece)) or tuple(_last_event(summary))
    return Report(
        number,
        events=events,
        estimate=_estimate(read.get(piece, "estimatedDelivery")),
        origin=_country(summary, "originCountryName"),
        destination=_country(summary, "destinationCountryName"),
        service=read.text(summary, "productName"),
        lang="en",
        default_zone="Europe/London",
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in _EVENTS)),
    )


def _events(piece: dict[str, object]) -> Iterator[Event]:
    for scan in read.each(piece, "events"):
        code = read.text(scan, "eventCode")
        if code is not None:
            yield _event(
                code,
                times.from_iso(read.get(scan, "eventDateTime")),
                read.text(scan, "eventName"),
                read.text(scan, "locationName"),
            )


def _last_event(summary: object) -> Iterator[Event]:
    """The scan that the summary names, for answers without a list."""
    code = read.text(summary, "lastEventCode")
    if code is not None:
        yield _event(
            code,
            times.from_iso(read.get(summary, "lastEventDateTime")),
            read.text(summary, "lastEventName"),
            read.text(summary, "lastEventLocationName"),
        )


def _event(code: str, moment: Moment, name: str | None, place: str | None) -> Event:
    row = _EVENTS.get(code)
    return Event(
        time=moment,
        description=name or code,
        sub_status=row.sub_status if row else None,
        code=code,
        location=place,
        informative=row.informative if row else False,
    )


def _estimate(node: object) -> Estimate | None:
    date = times.from_iso(read.get(node, "date"))
    start = times.from_iso(read.get(node, "startOfEstimatedWindow"))
    end = times.from_iso(read.get(node, "endOfEstimatedWindow"))
    bounds = [moment if moment.date else date if date.date else None for moment in (start, end)]
    return Estimate(bounds[0], bounds[1]) if any(bounds) else None


def _country(summary: object, key: str) -> Address:
    """From the English name: the code beside it has three letters."""
    code = read.named_country(summary, key)
    return Address(country=code) if code else NOWHERE


CARRIER = RoyalMail()
