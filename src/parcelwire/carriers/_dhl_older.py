"""Answers of DHL's older interfaces: MyDHL (JSON), XML-PI and Parcel DE tracking (XML).

The service does not ask these interfaces. It reads their answers so that replies which somebody kept can be
replayed, and their finer codes are the yardstick for the text rules of the unified interface.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from parcelwire.carriers._reading import Code, code_table, country, each, text
from parcelwire.domain.errors import CarrierError, MalformedReply, Refused, UnknownNumber
from parcelwire.domain.report import UNKNOWN_TIME, Address, Event, Moment, Report, clean, joined
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


def parse_xml(body: bytes, number: str) -> Report | CarrierError:
    """XML-PI or Parcel DE tracking, told apart by their root element."""
    root = _root(body)
    if root.tag == "data":
        return _parcel_de(root, number)
    if root.tag.endswith("}TrackingResponse") or root.tag == "TrackingResponse":
        return _xmlpi(root, number)
    raise MalformedReply("the answer is XML of an unknown kind")


def _root(body: bytes) -> ET.Element:
    """The document element. A DOCTYPE is refused: entities could blow up a small answer."""
    try:
        document = body.decode("utf-8-sig")
        if "<!" in document.replace("<!--", "").replace("<![CDATA[", ""):
            raise MalformedReply("XML with a DOCTYPE")
        return ET.fromstring(document)  # noqa: S314  (no DOCTYPE, no entities)
    except (UnicodeDecodeError, ValueError, ET.ParseError) as error:
        raise MalformedReply(f"the answer is not well-formed XML ({len(body)} bytes)") from error


def _xmlpi(root: ET.Element, number: str) -> Report | CarrierError:
    """XML-PI ``TrackingResponse``, oldest event first, local times without a zone."""
    condition = _inner(root, ".//ConditionCode")
    if condition == "103":
        return UnknownNumber(f"condition 103 for {number}")
    if condition == "111":
        raise Refused("condition 111")
    ours = [item for item in root.iter("AWBInfo") if _inner(item, "AWBNumber") == number]
    if not ours:
        return MalformedReply(f"the answer is not about {number}")
    events = [
        _express_event(
            joined([_inner(entry, "Date"), _inner(entry, "Time")], "T"),
            _inner(entry, "ServiceEvent/EventCode"),
            _inner(entry, "ServiceEvent/Description"),
            _inner(entry, "ServiceArea/Description"),
        )
        for entry in ours[0].iter("ShipmentEvent")
    ]
    events.reverse()
    info = "ShipmentInfo/"
    return _express_report(
        number,
        events,
        pieces=_inner(ours[0], info + "Pieces"),
        origin=_party(ours[0], info + "Shipper/"),
        destination=_party(ours[0], info + "Consignee/"),
        reference_number=_inner(ours[0], info + "ShipperReference/ReferenceID"),
    )


def _party(item: ET.Element, path: str) -> Address:
    return Address(
        country({"code": _inner(item, path + "CountryCode")}, "code"),
        _inner(item, path + "DivisionCode"),
        _inner(item, path + "City"),
        None,
        _inner(item, path + "PostalCode"),
    )


def _express_event(when: str | None, code: str | None, words: str | None, place: str | None) -> Event:
    known = EXPRESS.get(code or "")
    return _event(from_iso(when), code or "", words, known, place)


def _express_report(number: str, events: Sequence[Event], **facts: object) -> Report:
    unmapped = tuple(dict.fromkeys(event.code for event in events if event.code not in EXPRESS))
    return Report(number, events=tuple(events), unmapped=unmapped, **facts)  # type: ignore[arg-type]


def _parcel_de(root: ET.Element, number: str) -> Report | CarrierError:
    """``d-get-piece-detail``, oldest event first, German time."""
    code = root.get("code")
    if code == "100":
        return UnknownNumber(f"code 100 for {number}")
    pieces = [
        piece
        for piece in root.iter("data")
        if piece.get("name") == "piece-shipment"
        and number
        in (piece.get("piece-code"), piece.get("searched-piece-code"), piece.get("piece-identifier"))
    ]
    if code != "0" or not pieces:
        return MalformedReply(f"code {clean(code)}, nothing about {number}")
    piece = pieces[0]
    events: list[Event] = []  # oldest first
    for entry in piece.iter("data"):
        if entry.get("name") != "piece-event":
            continue
        if entry.get("ice") == TAKEN_BACK:
            del events[-1:]
        else:
            events.append(_parcel_de_event(entry))
    return Report(
        number,
        events=tuple(reversed(events)),
        returning=piece.get("ruecksendung") == "true",
        origin=Address(country(dict(piece.attrib), "origin-country")),
        destination=Address(country(dict(piece.attrib), "dest-country")),
        service=clean(piece.get("product-name")),
        default_zone="Europe/Berlin",
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in PARCEL_DE)),
    )


def _parcel_de_event(entry: ET.Element) -> Event:
    code = "/".join(clean(entry.get(name)) or "" for name in ("ice", "ric", "standard-event-code"))
    words = clean(entry.get("event-text")) or clean(entry.get("event-status"))
    place = joined([clean(entry.get("event-location")), clean(entry.get("event-country"))])
    return _event(_german(entry.get("event-timestamp")), code, words, PARCEL_DE.get(code), place)


def _event(moment: Moment, code: str, words: str | None, known: Code | None, place: str | None) -> Event:
    return Event(
        moment,
        words or code,
        known.sub_status if known else None,
        code=code,
        location=place,
        informative=known.informative if known else False,
    )


def _german(when: str | None) -> Moment:
    """``dd.mm.yyyy HH:MM``."""
    try:
        return local(datetime.strptime(when or "", "%d.%m.%Y %H:%M"))  # noqa: DTZ007  (local by contract)
    except ValueError:
        return UNKNOWN_TIME


def _inner(item: ET.Element, path: str) -> str | None:
    return clean(item.findtext(path))
