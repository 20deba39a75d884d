"""The sandbox: our own carrier, answered inside the process, that plays whole journeys and every fault.

Everything but the parcel is real: registration, quota, refreshes, back-off, statuses, pushes. The protocol is
described in standins/sandbox.py. Numbers that play a fault have a lane for each kind of fault, so that its
back-off and its breaker never hold up the others.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from parcelwire.carriers._reading import check_status, code_table, country, each, get, json_of, text
from parcelwire.domain.errors import CarrierError, MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import Address, Event, Report, joined
from parcelwire.domain.times import from_iso

EVENTS = code_table("sandbox.csv")["event"]

_FAULT = re.compile(r"SANDBOX(SLOW|TIMEOUT|429|500|BADJSON|AUTH)\d*")


class Sandbox:
    """See ports.Carrier."""

    slug = "sandbox"
    serves = ("sandbox",)
    base_url = "inprocess:sandbox"
    secrets = ()
    batch = 20
    limits = Limits()
    reach = Reach.ANY

    def lane(self, number: str) -> str:
        """``sandbox``, or ``sandbox:<fault>``."""
        fault = _FAULT.fullmatch(number.replace("-", ""))
        return f"{self.slug}:{fault[1].lower()}" if fault else self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        """None is needed."""
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:  # noqa: ARG002
        """One call for all."""
        shipments = [{"number": query.number, "since": query.since} for query in queries]
        reply = yield Request(
            "POST",
            "/v1/shipments",
            {"Content-Type": "application/json"},
            body=msgspec.json.encode({"shipments": shipments}),
        )
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        """See ports.Carrier."""
        return parse(reply, [query.number for query in queries])


def parse(reply: Reply, numbers: Sequence[str]) -> Answers:
    """An answer for every number. CarrierError when the call failed."""
    check_status(reply)
    items = {text(item, "number"): item for item in each(json_of(reply), "shipments")}
    return {number: _answer(items.get(number), number) for number in numbers}


def _answer(item: dict[str, object] | None, number: str) -> Report | CarrierError:
    if item is None:
        return MalformedReply("the answer does not contain this number")
    try:
        return _report(item, number)
    except CarrierError as error:
        return error


def _report(item: dict[str, object], number: str) -> Report:
    """The report of one number. CarrierError by its ``result``, an HTTP status of its own."""
    result = get(item, "result")
    if not isinstance(result, int):
        raise MalformedReply("a shipment without a result")
    if result == 404:
        raise UnknownNumber("the sandbox has no such number")
    check_status(Reply(result, {"retry-after": text(item, "retry_after") or ""}))
    if not isinstance(get(item, "events"), list):
        raise MalformedReply("a shipment without a list of events")
    events = tuple(_event(node) for node in each(item, "events"))
    current = EVENTS.get(text(item, "current") or "")
    return Report(
        number,
        events,
        current=current.sub_status if current else None,
        origin=Address(country=country(item, "from", "country")),
        destination=Address(country=country(item, "to", "country")),
        service=text(item, "service"),
        unmapped=tuple(sorted({event.code for event in events if event.code not in EVENTS})),
    )


def _event(node: dict[str, object]) -> Event:
    code = text(node, "code") or ""
    known = EVENTS.get(code)
    city, region = text(node, "place", "city"), text(node, "place", "region")
    at = country(node, "place", "country")
    return Event(
        time=from_iso(get(node, "time")),
        description=text(node, "text") or (known.meaning if known else code),
        sub_status=known.sub_status if known else None,
        code=code,
        location=joined([city, region, at]),
        address=Address(at, region, city, None, text(node, "place", "postal_code")),
        informative=known.informative if known else False,
        reason=text(node, "reason"),
    )


CARRIER = Sandbox()
