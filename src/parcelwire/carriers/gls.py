"""GLS track-and-trace v1 of the group: ``/tracking/simple/trackids/{a,b}``, ten numbers a call.

OAuth2 client credentials, 500 calls a day by default. Unknown numbers are errors inside HTTP 200. A parcel is
asked by its printed number or Track ID (``requested``) and answers with its unit number (``unitno``), which
may differ. Offsets have no colon.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, Token, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import Address, Event, Moment, Report, joined
from parcelwire.domain.status import SubStatus

_TABLE = read.code_table("gls.csv")
TRACK_PATH = "/track-and-trace-v1/tracking/simple/trackids/"


class Gls:
    """One application key serves all national companies of the group."""

    slug = "gls"
    serves = ("gls", "gls_group", "gls_de")
    base_url = "https://api.gls-group.net"
    secrets = ("client_id", "client_secret")
    batch = 10
    limits = Limits(per_day=500)
    reach = Reach.ANY

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:
        return _token(secrets)

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        numbers = [query.number for query in queries]
        path = TRACK_PATH + ",".join(quote(number, safe="") for number in numbers)
        headers = {"Authorization": f"Bearer {access.token}", "Accept": "application/json"}
        reply = yield Request("GET", path, headers)
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        return parse(reply, [query.number for query in queries])


def _token(secrets: Mapping[str, str]) -> TokenExchange:
    form = {
        "grant_type": "client_credentials",
        "client_id": secrets["client_id"],
        "client_secret": secrets["client_secret"],
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    reply = yield Request("POST", "/oauth2/v2/token", headers, body=urlencode(form).encode())
    if reply.status in (400, 401, 403):
        raise Refused(f"token: HTTP {reply.status}")
    read.check_status(reply)
    answer = read.json_of(reply)
    value, life_s = read.text(answer, "access_token"), read.text(answer, "expires_in") or ""
    if value is None or not life_s.isascii() or not life_s.isdigit():
        raise MalformedReply("token: no access_token or expires_in")
    return Token(value, float(life_s))


def parse(reply: Reply, numbers: Sequence[str]) -> Answers:
    """An answer for every number. Of several parcels for one number the newest is taken."""
    read.check_status(reply)
    found: dict[str, dict[str, object]] = {}
    for parcel in read.each(read.json_of(reply), "parcels"):
        number = read.text(parcel, "requested")
        if number in numbers and number and _newer(parcel, found.get(number)):
            found[number] = parcel
    if not found:
        raise MalformedReply("no answer for any number")
    return {
        number: _one(found[number], number) if number in found else MalformedReply("not answered")
        for number in numbers
    }


def _newer(parcel: dict[str, object], known: dict[str, object] | None) -> bool:
    if known is None:
        return True
    new, old = _status_time(parcel).utc, _status_time(known).utc
    return new is not None and (old is None or new > old)


def _status_time(parcel: dict[str, object]) -> Moment:
    return times.from_iso(read.get(parcel, "statusDateTime"))


def _one(parcel: dict[str, object], number: str) -> Report | CarrierError:
    error = read.text(parcel, "errorCode")
    if error is not None:
        return UnknownNumber(number) if error.startswith("E_404") else MalformedReply(f"error {error}")
    status = read.text(parcel, "status")
    if status is None:
        return MalformedReply("no status")
    return _report(parcel, status, number)


def _report(parcel: dict[str, object], status: str, number: str) -> Report:
    row = _TABLE["status"].get(status)
    current = row.sub_status if row else None
    at = _status_time(parcel)
    scans = list(_events(parcel))
    events = tuple(_explained(event, current, at) for event in scans)
    newest = max(events, key=lambda event: event.time.utc or times.EARLIEST, default=None)
    behind = newest is None or newest.sub_status is None or _before(newest.time, at)
    unmapped = [event.code for event in scans if event.code not in _TABLE["event"]]
    return Report(
        number,
        events=events,
        current=current,
        # GLS's list of event codes is not public, its list of statuses is: a newer status leads.
        current_authoritative=behind,
        delivered=at if status in ("DELIVERED", "FINAL") and at.date else None,
        lang="en",
        unmapped=tuple(dict.fromkeys([*unmapped, *([] if row else [status])])),
    )


def _explained(event: Event, current: SubStatus | None, at: Moment) -> Event:
    """An event of a code that we do not know, at the very moment of the status, is what the status says."""
    if event.sub_status is None and event.time.utc is not None and event.time.utc == at.utc:
        return replace(event, sub_status=current)
    return event


def _before(event: Moment, status: Moment) -> bool:
    return event.utc is not None and status.utc is not None and event.utc < status.utc


def _events(parcel: dict[str, object]) -> Iterator[Event]:
    """Newest first, as sent. Empty strings stand for what GLS does not say."""
    for scan in read.each(parcel, "events"):
        code = read.text(scan, "code")
        if code is None:
            continue
        row = _TABLE["event"].get(code)
        city, postal_code = read.text(scan, "city"), read.text(scan, "postalCode")
        country = read.country(scan, "country")
        yield Event(
            time=times.from_iso(read.get(scan, "eventDateTime")),
            description=read.text(scan, "description") or code,
            sub_status=row.sub_status if row else None,
            code=code,
            location=joined((city, postal_code, country)),
            address=Address(country=country, city=city, postal_code=postal_code),
            informative=row.informative if row else False,
        )


CARRIER = Gls()
