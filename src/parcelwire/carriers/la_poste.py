"""La Poste Suivi v2 for letters, Colissimo and Chronopost: ``/suivi/v2/idships/{a,b}``, ten numbers a call.

One answer per number, each with its own ``returnCode``; a single number comes as a bare object, and the HTTP
status of a batch (207) says nothing. The key is free (developer.laposte.fr).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Report
from parcelwire.domain.status import SubStatus

_EVENTS = read.code_table("la_poste.csv")["event"]

# MD2 means "out for delivery", and is also sent while the parcel is being made ready at the delivery site.
_NOT_YET_OUT = re.compile(r"préparons|site de livraison|prepar|delivery (?:site|cent)", re.IGNORECASE)


class LaPoste:
    """The key goes into a header of La Poste's own."""

    slug = "la_poste"
    serves = ("la_poste", "chronopost")
    base_url = "https://api.laposte.fr"
    secrets = ("api_key",)
    batch = 10
    limits = Limits()  # by the key's plan, shown in the portal only
    reach = Reach.ANY

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        numbers = [query.number for query in queries]
        path = "/suivi/v2/idships/" + ",".join(quote(number, safe="") for number in numbers)
        headers = {"X-Okapi-Key": access.secrets["api_key"], "Accept": "application/json"}
        reply = yield Request("GET", path, headers, {"lang": "en_GB"})
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        return parse(reply, [query.number for query in queries])


def parse(reply: Reply, numbers: Sequence[str]) -> Answers:
    """An answer for every number; MalformedReply for those that the carrier left out."""
    if reply.status not in (200, 207, 400, 404):
        read.check_status(reply)
    found: dict[str, Report | CarrierError] = {}
    for item in read.each(read.json_of(reply)):
        named = read.text(item, "shipment", "idShip") or read.text(item, "idShip")
        if named is None and len(numbers) == 1:
            named = numbers[0]
        if named is not None and named in numbers:
            found[named] = _one(item, named)
        else:
            _check_code(item)
    if not found and reply.status in (400, 404):
        raise MalformedReply(f"HTTP {reply.status}")
    return {number: found.get(number) or MalformedReply("no answer for this number") for number in numbers}


def _check_code(item: dict[str, object]) -> None:
    """Raise for an error that is about the call rather than about a number."""
    code = read.text(item, "returnCode") or read.text(item, "code") or ""
    if code in ("401", "403", "UNAUTHORIZED"):
        raise Refused(f"returnCode {code}")
    if code == "429":
        raise Throttled("returnCode 429")
    if len(code) == 3 and code.startswith("5"):
        raise Unavailable(f"returnCode {code}")


def _one(item: dict[str, object], number: str) -> Report | CarrierError:
    _check_code(item)
    code = read.text(item, "returnCode")
    if code == "404":
        return UnknownNumber(number)
    if code == "400":
        return InvalidNumber(number)
    shipment = read.get(item, "shipment")
    if code not in ("200", "207") or not isinstance(shipment, dict):
        return MalformedReply(f"returnCode {code}")
    return _report(item, shipment, number)


def _report(item: dict[str, object], shipment: dict[str, object], number: str) -> Report:
    events = tuple(_events(shipment))
    delivered = times.from_iso(read.get(shipment, "deliveryDate"))
    expected = times.from_iso(read.get(shipment, "estimDate"))
    return Report(
        number,
        events=events,
        delivered=delivered if read.get(shipment, "isFinal") is True and delivered.date else None,
        estimate=Estimate(expected, expected) if expected.date else None,
        origin=_country(shipment, "originCountry"),
        destination=_country(shipment, "arrivalCountry"),
        service=read.text(shipment, "product"),
        lang=(read.text(item, "lang") or "")[:2].lower() or None,
        default_zone="Europe/Paris",
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in _EVENTS)),
    )


def _events(shipment: dict[str, object]) -> Iterator[Event]:
    for scan in read.each(shipment, "event"):
        code, label = read.text(scan, "code"), read.text(scan, "label")
        if code is None:
            continue
        row = _EVENTS.get(code)
        sub_status = row.sub_status if row else None
        if sub_status is SubStatus.OUT_FOR_DELIVERY and _NOT_YET_OUT.search(label or ""):
            sub_status = SubStatus.IN_TRANSIT
        yield Event(
            time=times.from_iso(read.get(scan, "date")),
            description=label or code,
            sub_status=sub_status,
            code=code,
            informative=row.informative if row else False,
        )


def _country(shipment: dict[str, object], key: str) -> Address:
    code = read.country(shipment, "contextData", key)
    return Address(country=code) if code else NOWHERE


CARRIER = LaPoste()
