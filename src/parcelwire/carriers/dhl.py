"""DHL: Shipment Tracking - Unified. One key, one number a call, all divisions.

What its answers do, and what the code minds therefore:

* five status codes for everything: the texts of the division tell the rest, by tables, first hit wins;
* the status at the top may contradict the newest event: the events count;
* one answer may hold other shipments (parents, other people's with the same short number): the exact id
  counts, of several the newest;
* divisions write local times without offset;
* 404 means "not yet" for half an hour after a label was made.

Source: DHL developer portal, Shipment Tracking - Unified 1.5 and its Push 1.2; codes in dhl.csv. Answers of
DHL's older interfaces are read too (_dhl_older.py), so that kept replies of them can be replayed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from parcelwire.carriers._dhl_older import parse_mydhl, parse_xml
from parcelwire.carriers._reading import Code, check_status, code_table, country, each, get, json_of, text
from parcelwire.domain.errors import CarrierError, InvalidNumber, MalformedReply, Refused, UnknownNumber
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Exchange,
    Proof,
    Query,
    Reply,
    Request,
    TokenExchange,
)
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import Address, Estimate, Event, Moment, Report, joined
from parcelwire.domain.status import SubStatus
from parcelwire.domain.times import EARLIEST, from_iso, naive

# Registered carrier -> ``service`` of the question; a carrier that is not here is asked without one.
SERVICES: Mapping[str, str] = {
    "dhl_paket": "parcel-de",
    "deutsche_post": "post-de",
    "dhl_express": "express",
    "dhl_ecommerce_us": "ecommerce",
    "dhl_ecommerce_asia": "ecommerce",
    "dhl_ecommerce_cn": "ecommerce",
    "dhl_parcel_nl": "parcel-nl",
    "dhl_parcel_pl": "parcel-pl",
    "dhl_parcel_uk": "parcel-uk",
    "dhl_parcel_es": "ecommerce-europe",
    "dhl_freight": "freight",
    "dhl_global_forwarding": "dgf",
    "dhl_supply_chain": "dsc",
}
# People say "DHL" and mean either: when the named division knows nothing, all are asked, once.
SAID_LOOSELY = frozenset({"dhl_paket", "dhl_express"})

ZONES: Mapping[str, str] = {
    "parcel-de": "Europe/Berlin",
    "post-de": "Europe/Berlin",
    "parcel-nl": "Europe/Amsterdam",
}


STATUS = code_table("dhl.csv")["status"]
TOKENS = code_table("dhl.csv")["parcel-nl"]

# References that DHL or its partner gave to the parcel; the rest are the customer's.
OWN_NUMBERS = frozenset({"housebill", "ecommerce-number", "local-tracking-number"})

NO_RESULT = re.compile(r"no (result|shipment|data)", re.IGNORECASE)
BAD_NUMBER = re.compile(r"tracking ?number", re.IGNORECASE)
POSTAL_CODE = re.compile(
    r"\d{4,6}|\d{5}-\d{4}|\d{2}-\d{3}|\d{3}-\d{4}|\d{4} ?[A-Z]{2}"
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d",
    re.IGNORECASE,
)

Rules = tuple[tuple[re.Pattern[str], Code], ...]


def _rules(*rows: tuple[str, SubStatus | None]) -> Rules:
    """Text patterns and what they mean; None: a message that says nothing about where the shipment is."""
    return tuple(
        (re.compile(pattern, re.IGNORECASE), Code(sub_status, sub_status is None, ""))
        for pattern, sub_status in rows
    )


EXPRESS = _rules(
    (r"^(the )?(shipment |piece )?(has been )?(successfully )?delivered\b", SubStatus.DELIVERED),
    (r"out with courier|with delivery courier", SubStatus.OUT_FOR_DELIVERY),
    (r"returned to (the )?shipper", SubStatus.RETURNING),
    (r"\bpicked up", SubStatus.PICKED_UP),
    (r"address information (is )?(needed|required)|incomplete address", SubStatus.FAILURE_INVALID_ADDRESS),
    (r"further clearance processing is required|(documents?|information)\b.{0,60}\brequired",
     SubStatus.CUSTOMS_REQUIRING_INFORMATION),
    (r"awaiting .{1,80} from (the )?receiver", SubStatus.CUSTOMS_REQUIRING_INFORMATION),
    (r"clearance processing complete|released by customs", SubStatus.CUSTOMS_RELEASED),
    (r"clearance event|customs (clearance )?status updated|in clearance|held by customs|inspection",
     SubStatus.CUSTOMS_PROCESSING),
    (r"delivery attempted|not home|customer not available", SubStatus.FAILURE_NO_BODY),
    (r"\brefused", SubStatus.FAILURE_REJECTED),
    (r"(awaiting|ready for) collection|available at .{0,40}service ?point", SubStatus.AVAILABLE_FOR_PICKUP),
    (r"damaged", SubStatus.DAMAGE),
    (r"rescheduled|\bdelay", SubStatus.DELAYED),
    (r"\bon hold", SubStatus.EXCEPTION_OTHER),
    (r"\b(arrived|processed|departed)\b", SubStatus.IN_TRANSIT),
)  # fmt: skip

PARCEL_DE = _rules(
    (r"instruction data|electronically announced|announced electronically", SubStatus.INFO_RECEIVED),
    (r"delivered to (the )?(original )?sender", SubStatus.RETURNED),
    (r"return(ed|ing)? to (the )?(original )?sender|not (been )?collected in time|rücksendung",
     SubStatus.RETURNING),
    (r"loaded onto the delivery vehicle|zustellfahrzeug", SubStatus.OUT_FOR_DELIVERY),
    (r"could not be reached|not at home|nicht angetroffen", SubStatus.FAILURE_NO_BODY),
    (r"\brefused", SubStatus.FAILURE_REJECTED),
    (r"address (is |was )?(incorrect|incomplete)|(incorrect|incomplete) address|recipient (is |was )?unknown",
     SubStatus.FAILURE_INVALID_ADDRESS),
    (r"ready for (pick-?up|collection)|deposited (in|at) .{0,12}packstation", SubStatus.AVAILABLE_FOR_PICKUP),
    (r"retail outlet.{0,40} for collection|abholung bereit", SubStatus.AVAILABLE_FOR_PICKUP),
    (r"(has been|was) (successfully )?delivered|(erfolgreich|wurde) zugestellt", SubStatus.DELIVERED),
    (r"\b(left|departed)\b.{0,40}(export parcel cent|country of origin)", SubStatus.DEPARTURE),
    (r"arrived in (the )?(destination country|country of destination)", SubStatus.ARRIVAL),
    (r"\bcustoms\b", SubStatus.CUSTOMS_PROCESSING),
    (r"has been posted|\bpicked up|parcel cent(er|re) of origin", SubStatus.PICKED_UP),
)  # fmt: skip

RULES: Mapping[str, Rules] = {
    "express": EXPRESS,
    "parcel-de": PARCEL_DE,
    "post-de": PARCEL_DE,
    "parcel-pl": _rules(
        (r"doręczona do odbiorcy", SubStatus.DELIVERED),
        (r"próba doręczenia.*niepowodzeniem|odbiorcy nie było", SubStatus.FAILURE_NO_BODY),
        (r"oczekuje na odbiór", SubStatus.AVAILABLE_FOR_PICKUP),
    ),
    "ecommerce": _rules(
        (r"electronic notification|en route to dhl ecommerce", SubStatus.INFO_RECEIVED),
        (r"out for delivery", SubStatus.OUT_FOR_DELIVERY),
        (r"^delivered", SubStatus.DELIVERED),
        (r"notice left|attempted", SubStatus.FAILURE_OTHER),
        (r"^processed|arrival|arrived|departure|tendered to|sorting complete", SubStatus.IN_TRANSIT),
    ),
    "dsc": _rules(
        (r"estimated time of arrival", None),
        (r"^delivered", SubStatus.DELIVERED),
        (r"^dispatched", SubStatus.PICKED_UP),
        (r"\bcreated\b", SubStatus.INFO_RECEIVED),
    ),
    "dgf": _rules(
        (r"booking|entered into system", SubStatus.INFO_RECEIVED),
        (r"actual vessel arrival", SubStatus.ARRIVAL),
        (r"document handover", SubStatus.DELIVERED),
    ),
}

# What a text may add to a status code that is plain already.
REFINES: Mapping[str, frozenset[SubStatus]] = {
    "delivered": frozenset({SubStatus.AVAILABLE_FOR_PICKUP, SubStatus.RETURNED}),
    "failure": frozenset(SubStatus)
    - {SubStatus.INFO_RECEIVED, SubStatus.PICKED_UP, SubStatus.IN_TRANSIT, SubStatus.DELIVERED},
}


class Dhl:
    """All DHL divisions behind the unified interface."""

    slug = "dhl"
    serves: Sequence[str] = ("dhl_express", "dhl", *(s for s in SERVICES if s != "dhl_express"))
    base_url = "https://api-eu.dhl.com"
    secrets: Sequence[str] = ("api_key",)
    batch = 1
    # Of a new key; more by agreement with DHL. Ten questions a day about one number is its own rule.
    limits = Limits(per_s=1, burst=1, per_day=250, per_number_day=10)
    reach = Reach.ANY
    # A subscription names the header and the token of its pushes; this is what our how-to page names.
    alert_proof = Proof.SHOWN
    alert_header = "dhl-push-token"

    def lane(self, number: str) -> str:  # noqa: ARG002  (one key, one lane)
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002  (the key is all)
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """One call; a second one for all divisions when the named one knows nothing."""
        (query,) = queries
        service = SERVICES.get(query.carrier)
        answers = self.parse((yield _request(query, service, access)), queries)
        if isinstance(answers[query.number], UnknownNumber) and query.carrier in SAID_LOOSELY:
            answers = self.parse((yield _request(query, None, access)), queries)
        return answers

    def alerted(self, body: bytes) -> Sequence[str]:
        """The shipments of a push. About the subscription itself there are others, named by their scope."""
        push = json_of(Reply(200, body=body))
        scope = text(push, "scope") or ""
        if scope == "subscription.ready":
            return ()
        if scope == "subscription.validate":
            raise MalformedReply("a new subscription: activate it with the secret that is in this push")
        numbers = [text(shipment, "id") for shipment in each(push, "shipments")]
        found = tuple(number for number in numbers if number)
        if not found:
            raise MalformedReply(f"push without shipments, scope {scope[:40]!r}")
        return found

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        (query,) = queries
        return {query.number: parse(reply, query.number)}


def _request(query: Query, service: str | None, access: Access) -> Request:
    parameters = {"trackingNumber": query.number, "language": "en"}
    if service:
        parameters["service"] = service
    if query.param and POSTAL_CODE.fullmatch(query.param.strip()):
        parameters["recipientPostalCode"] = query.param.strip()
    return Request("GET", "/track/shipments", {"DHL-API-Key": access.secrets["api_key"]}, parameters)


def parse(reply: Reply, number: str) -> Report | CarrierError:
    """The answer for ``number``. Raises CarrierError when the reply says nothing about it.

    HTTP 429 has one body for "one a second" and for "250 a day": the lane's own count tells them apart.
    """
    if reply.status in (401, 403):
        raise Refused(f"HTTP {reply.status}")
    if reply.status in (400, 404):
        return _problem(reply, number)
    check_status(reply)
    if reply.body.lstrip()[:1] == b"<":
        return parse_xml(reply, number)
    body = json_of(reply)
    shipments = list(each(body, "shipments"))
    if any("shipmentTrackingNumber" in shipment for shipment in shipments):
        return parse_mydhl(shipments, number)
    ours = [shipment for shipment in shipments if number in _names(shipment)]
    exact = [shipment for shipment in ours if text(shipment, "id") == number]
    if not ours:
        return MalformedReply(f"the answer is not about {number}")
    return _report(number, max(exact or ours, key=_newest))


def _problem(reply: Reply, number: str) -> CarrierError:
    body = json_of(reply)
    words = f"{text(body, 'title') or ''} {text(body, 'detail') or ''}"
    if reply.status == 404 and NO_RESULT.search(words):
        return UnknownNumber(f"HTTP 404 for {number}")
    if reply.status == 400 and BAD_NUMBER.search(words):
        return InvalidNumber(f"HTTP 400 for {number}")
    raise MalformedReply(f"HTTP {reply.status}, {text(body, 'title') or 'no title'}")


def _names(shipment: Mapping[str, object]) -> set[str | None]:
    """All numbers that a shipment goes by."""
    pieces = get(shipment, "details", "pieceIds")
    return {
        text(shipment, "id"),
        *(text(piece) for piece in (pieces if isinstance(pieces, list) else [])),
        *(
            text(item, "number")
            for item in each(shipment, "details", "references")
            if text(item, "type") in OWN_NUMBERS
        ),
    }


def _newest(shipment: Mapping[str, object]) -> datetime:
    def at(entry: Mapping[str, object]) -> datetime:
        moment = from_iso(get(entry, "timestamp"))
        wall = naive(moment)
        return moment.utc or (wall.replace(tzinfo=UTC) if wall else EARLIEST)

    return max(map(at, _entries(shipment)), default=EARLIEST)


def _entries(shipment: Mapping[str, object]) -> list[dict[str, object]]:
    """The events, newest first; the status at the top has the same form and stands in for missing ones."""
    return list(each(shipment, "events")) or list(each(shipment, "status"))


def _report(number: str, shipment: Mapping[str, object]) -> Report | CarrierError:
    entries = _entries(shipment)
    if not entries:
        return MalformedReply(f"neither events nor status for {number}")
    service = text(shipment, "service") or ""
    events, unmapped = [], []
    for entry in entries:
        event = _event(service, entry)
        events.append(event)
        if event.sub_status is None and event.code not in STATUS:
            unmapped.append(f"{service}: {event.code or event.description}")
    if service in ("parcel-de", "post-de"):
        events = _first_picked_up(events)
    report = Report(
        number,
        events=tuple(events),
        returning=text(shipment, "returnFlag") == "true" or get(shipment, "returnFlag") is True,
        delivered=_known(from_iso(get(shipment, "details", "proofOfDelivery", "timestamp"))),
        estimate=_estimate(shipment),
        origin=_address(get(shipment, "origin", "address")),
        destination=_address(get(shipment, "destination", "address")),
        default_zone=ZONES.get(service),
        unmapped=tuple(dict.fromkeys(unmapped)),
        lang="en",
    )
    return _with_facts(report, get(shipment, "details"))


def _event(service: str, entry: Mapping[str, object]) -> Event:
    status_code = (text(entry, "statusCode") or "").casefold()
    status = text(entry, "status")
    spoken = None if status is None or status.casefold() == status_code else status
    description = text(entry, "description")
    line = joined([spoken, description if description != spoken else None]) or status_code
    token = TOKENS.get(status or "") if service == "parcel-nl" else None
    remark = text(entry, "remark")
    meaning = _meaning(status_code, token or _by_text(service, joined([line, remark], ". ") or ""))
    place = get(entry, "location", "address")
    return Event(
        from_iso(get(entry, "timestamp")),
        line,
        meaning.sub_status if meaning else None,
        code=status if token and status else status_code,
        location=text(place, "addressLocality") or text(place, "countryCode"),
        address=_address(place),
        informative=meaning.informative if meaning else False,
        reason=remark,
    )


def _by_text(service: str, words: str) -> Code | None:
    return next((code for pattern, code in RULES.get(service, ()) if pattern.search(words)), None)


def _meaning(status_code: str, said: Code | None) -> Code | None:
    """The status code, refined by what token or text say; None when neither is known."""
    plain = STATUS.get(status_code)
    if said is None or said.sub_status is None:
        return said or plain
    if status_code == "delivered" and said.sub_status is SubStatus.RETURNING:
        return replace(said, sub_status=SubStatus.RETURNED)
    allowed = REFINES.get(status_code)
    return said if allowed is None or said.sub_status in allowed else plain


def _first_picked_up(events: Sequence[Event]) -> list[Event]:
    """Parcel DE: the first scan is the pickup, a later one at the parcel centre of origin is not."""
    kept: list[Event] = []
    moving = False
    for event in reversed(events):
        if event.sub_status is SubStatus.PICKED_UP and moving:
            kept.append(replace(event, sub_status=SubStatus.IN_TRANSIT))
        else:
            kept.append(event)
        moving = moving or event.sub_status not in (None, SubStatus.INFO_RECEIVED)
    kept.reverse()
    return kept


def _address(node: object) -> Address:
    """``addressLocality`` is "BRUSSELS - BELGIUM", "Dorsten, Germany", "Wilmette, IL, US" or just a city."""
    locality = text(node, "addressLocality")
    parts = re.split(r" - |, ?", locality) if locality else []
    state = parts[1] if len(parts) == 3 and len(parts[1]) == 2 else None
    return Address(
        country(node, "countryCode"), state, parts[0] if parts else None, None, text(node, "postalCode")
    )


def _known(moment: Moment) -> Moment | None:
    return moment if moment.date else None


def _estimate(shipment: Mapping[str, object]) -> Estimate | None:
    frame = get(shipment, "estimatedDeliveryTimeFrame")
    start = _known(from_iso(get(frame, "estimatedFrom")))
    end = _known(from_iso(get(frame, "estimatedThrough")))
    if start is None and end is None:
        end = _known(from_iso(get(shipment, "estimatedTimeOfDelivery")))
    return Estimate(start, end) if start or end else None


def _with_facts(report: Report, details: object) -> Report:
    references = {text(item, "type"): text(item, "number") for item in each(details, "references")}
    return replace(
        report,
        service=text(details, "product", "productName"),
        weight_raw=joined([text(details, "weight", "value"), text(details, "weight", "unitText")], " "),
        weight_kg=_kg(get(details, "weight")),
        pieces=text(details, "totalNumberOfPieces"),
        dimensions=_dimensions(get(details, "dimensions")),
        customer_number=references.get("customer-confirmation-number"),
        reference_number=references.get("customer-reference"),
        local_number=references.get("local-tracking-number"),
    )


KILOGRAMS = {"kg": 1.0, "kgm": 1.0, "g": 0.001, "grm": 0.001, "lb": 0.45359237, "lbs": 0.45359237}


def _kg(weight: object) -> str | None:
    value = get(weight, "value")
    factor = KILOGRAMS.get((text(weight, "unitText") or "").casefold())
    if factor is None or isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        return None
    return f"{value * factor:.3f}".rstrip("0").rstrip(".")


def _dimensions(node: object) -> str | None:
    sides = [text(node, side, "value") for side in ("length", "width", "height")]
    return joined([joined(sides, "x"), text(node, "length", "unitText")], " ") if all(sides) else None


CARRIER = Dhl()
