"""Answers of DHL's older interfaces: MyDHL (JSON), XML-PI and Parcel DE tracking (XML).

The service does not ask these interfaces. It reads their answers so that replies which somebody kept can be
replayed, and their finer codes are the yardstick for the text rules of the unified interface.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from parcelwire.carriers._reading import Code, code_table, country, each, get, named_country, text, xml_of
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, UnknownNumber
from parcelwire.domain.exchange import Reply
from parcelwire.domain.report import NOWHERE, UNKNOWN_TIME, Address, Event, Moment, Report, joined
from parcelwire.domain.times import from_iso, local

EXPRESS = code_table("dhl.csv")["express"]
PARCEL_DE = code_table("dhl.csv")["parcel-de"]
TAKEN_BACK = "STORN"  # a driver deleted the previous event


def parse_mydhl(shipments: Sequence[Mapping[str, object]], number: str) -> Report | CarrierError:
    """MyDHL ``GET /tracking``. Date and time are local, the places name no country: UTC stays unknown."""
    ours = [shipment for shipment in shipments if text(shipment, "shipmentTrackingNumber") == number]
    if not ours:
        return MalformedReply(f"the answer is not about {number}")
    events = [
        _express_event(
            joined([text(entry, "date"), text(entry, "time")], "T"),
            text(entry, "typeCode"),
            text(entry, "description"),
            text(entry, "serviceArea", 0, "description"),
        )
        for entry in each(ours[0], "events")
    ]
    return _express_report(number, events, service=text(ours[0], "description"))


def parse_xml(reply: Reply, number: str) -> Report | CarrierError:
    """XML-PI or Parcel DE tracking, told apart by their root element."""
    for tag, roots in xml_of(reply).items():
        for root in each(roots):
            if tag == "data":
                return _parcel_de(root, number)
            if tag.rpartition(":")[2] == "TrackingResponse":
                return _xmlpi(root, number)
    raise MalformedReply("the answer is XML of an unknown kind")


def _xmlpi(root: Mapping[str, object], number: str) -> Report | CarrierError:
    """XML-PI ``TrackingResponse``, oldest event first, local times without a zone."""
    condition = text(root, "Response", 0, "Status", 0, "Condition", 0, "ConditionCode", 0)
    if condition == "103":
        return UnknownNumber(f"condition 103 for {number}")
    if condition == "111":
        raise Refused("condition 111")
    ours = [item for item in each(root, "AWBInfo") if text(item, "AWBNumber", 0) == number]
    if not ours:
        return MalformedReply(f"the answer is not about {number}")
    info = get(ours[0], "ShipmentInfo", 0)
    events = [
        _express_event(
            joined([text(entry, "Date", 0), text(entry, "Time", 0)], "T"),
            text(entry, "ServiceEvent", 0, "EventCode", 0),
            text(entry, "ServiceEvent", 0, "Description", 0),
            text(entry, "ServiceArea", 0, "Description", 0),
        )
        for entry in each(info, "ShipmentEvent")
    ]
    events.reverse()
    return _express_report(
        number,
        events,
        pieces=text(info, "Pieces", 0),
        origin=_party(get(info, "Shipper", 0)),
        destination=_party(get(info, "Consignee", 0)),
        reference_number=text(info, "ShipperReference", 0, "ReferenceID", 0),
    )


def _party(node: object) -> Address:
    return Address(
        country(node, "CountryCode", 0),
        text(node, "DivisionCode", 0),
        text(node, "City", 0),
        None,
        text(node, "PostalCode", 0),
    )


def _express_event(when: str | None, code: str | None, words: str | None, place: str | None) -> Event:
    return _event(from_iso(when), code or "", words, EXPRESS.get(code or ""), place)


def _express_report(number: str, events: Sequence[Event], **facts: object) -> Report:
    unmapped = tuple(dict.fromkeys(event.code for event in events if event.code not in EXPRESS))
    return Report(number, events=tuple(events), unmapped=unmapped, **facts)  # type: ignore[arg-type]


def _parcel_de(root: Mapping[str, object], number: str) -> Report | CarrierError:
    """``d-get-piece-detail``, oldest event first, German time."""
    code = text(root, "@code")
    if code == "100":
        return UnknownNumber(f"code 100 for {number}")
    names = ("@piece-code", "@piece-identifier", "@searched-piece-code")
    pieces = [
        piece for piece in _named(root, "piece-shipment") if number in (text(piece, name) for name in names)
    ]
    if code != "0" or not pieces:
        return MalformedReply(f"code {code}, nothing about {number}")
    piece = pieces[0]
    events: list[Event] = []  # oldest first
    for history in _named(piece, "piece-event-list"):
        for entry in _named(history, "piece-event"):
            if text(entry, "@ice") == TAKEN_BACK:
                del events[-1:]
            else:
                events.append(_parcel_de_event(entry))
    return Report(
        number,
        events=tuple(reversed(events)),
        returning=text(piece, "@ruecksendung") == "true",
        origin=Address(country(piece, "@origin-country")),
        destination=Address(country(piece, "@dest-country")),
        service=text(piece, "@product-name"),
        default_zone="Europe/Berlin",
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in PARCEL_DE)),
    )


def _named(node: object, name: str) -> list[dict[str, object]]:
    """The ``data`` elements of that name; everything is called ``data`` here."""
    return [item for item in each(node, "data") if text(item, "@name") == name]


def _parcel_de_event(entry: Mapping[str, object]) -> Event:
    code = "/".join(text(entry, name) or "" for name in ("@ice", "@ric", "@standard-event-code"))
    words = text(entry, "@event-text") or text(entry, "@event-status")
    city = text(entry, "@event-location")
    return _event(
        _german(text(entry, "@event-timestamp")),
        code,
        words,
        PARCEL_DE.get(code),
        joined([city, text(entry, "@event-country")]),
        Address(named_country(entry, "@event-country"), city=city),
    )


def _event(
    moment: Moment,
    code: str,
    words: str | None,
    known: Code | None,
    place: str | None,
    address: Address = NOWHERE,
) -> Event:
    return Event(
        moment,
        words or code,
        known.sub_status if known else None,
        code=code,
        location=place,
        address=address,
        informative=known.informative if known else False,
    )


def _german(when: str | None) -> Moment:
    """``dd.mm.yyyy HH:MM``."""
    try:
        return local(datetime.strptime(when or "", "%d.%m.%Y %H:%M"))  # noqa: DTZ007  (local by contract)
    except ValueError:
        return UNKNOWN_TIME
