"""What 17TRACK answers and pushes when it is our upstream, read into reports.

Shapes: reference api-v2.2, sections 2, 4 and 8. Everything may be missing or of another type; a sub-status
that is newer than this program keeps its coarse meaning, which its prefix states, and its own text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from parcelwire.domain.errors import InvalidNumber, MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Query
from parcelwire.domain.reading import country, each, get, text
from parcelwire.domain.report import (
    NOWHERE,
    UNKNOWN_TIME,
    Address,
    Company,
    Estimate,
    Event,
    Moment,
    Report,
)
from parcelwire.domain.status import STAGE_OF, STATUS_OF, Stage, Status, SubStatus
from parcelwire.domain.times import from_iso
from parcelwire.wire.directory import shipped

UPDATED, STOPPED = "TRACKING_UPDATED", "TRACKING_STOPPED"
INSTANT = 1  # cacheLevel: ask the carrier now

_SUB_STATUS = {sub.value: sub for sub in SubStatus}
_STAGED = {stage.value: sub for sub, stage in STAGE_OF.items()}
# The plain sub-status of each status: what is left of one that we do not know.
_PLAIN = {
    status.value: sub for sub, status in reversed(STATUS_OF.items()) if sub.value.endswith("_Other")
} | {Status.INFO_RECEIVED.value: SubStatus.INFO_RECEIVED}
_ZONE = re.compile(r"[+-]\d{2}:\d{2}", re.ASCII)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
# An estimate may come as display text: October 1, 2026 9:00 AM
_SHOWN_DATE = re.compile(
    rf"(?P<m>{'|'.join(_MONTHS)}) (?P<d>\d{{1,2}}), (?P<y>\d{{4}})"
    r"(?: (?P<h>\d{1,2}):(?P<min>\d{2}) (?P<half>AM|PM))?",
    re.ASCII,
)


# --- questions --------------------------------------------------------------------------------------------


def register_body(queries: Sequence[Query]) -> bytes:
    """Register numbers, with official codes. Without a code 17TRACK detects the carrier."""
    return msgspec.json.encode([_named(query) | _param(query) for query in queries])


def numbers_body(queries: Sequence[Query]) -> bytes:
    """Read numbers: by number alone, because 17TRACK may have corrected the carrier."""
    return msgspec.json.encode([{"number": query.number} for query in queries])


def real_time_body(query: Query) -> bytes:
    """Ask the carrier of one number now."""
    return msgspec.json.encode([_named(query) | _param(query) | {"cacheLevel": INSTANT}])


def _named(query: Query) -> dict[str, object]:
    return {"number": query.number} | ({"carrier": query.code} if query.code else {})


def _param(query: Query) -> dict[str, object]:
    return {"param": query.param} if query.param else {}


# --- answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an answer. ``error`` is 0 for an accepted one; ``track_info`` may hold anything."""

    number: str
    carrier: int
    error: int = 0
    message: str = ""
    track_info: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A processed call, or the code of why it was not."""

    accepted: tuple[Item, ...] = ()
    rejected: tuple[Item, ...] = ()
    error: int = 0


def tree(body: bytes) -> object:
    """Decoded JSON. MalformedReply for anything else."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MalformedReply(f"the body is not JSON ({len(body)} bytes)") from error


def answer_of(body: bytes) -> Answer:
    """The envelope. MalformedReply when it is none."""
    node = tree(body)
    error = _int(get(node, "data", "errors", 0, "code")) or _int(get(node, "code"))
    if error:
        return Answer(error=error)
    accepted, rejected = get(node, "data", "accepted"), get(node, "data", "rejected")
    if not isinstance(accepted, list) and not isinstance(rejected, list):
        raise MalformedReply("an answer without accepted and rejected")
    return Answer(
        tuple(_item(item) for item in each(node, "data", "accepted")),
        tuple(_refused(item) for item in each(node, "data", "rejected")),
    )


def _item(node: Mapping[str, object]) -> Item:
    return Item(text(node, "number") or "", _int(get(node, "carrier")), track_info=get(node, "track_info"))


def _refused(node: Mapping[str, object]) -> Item:
    return replace(
        _item(node),
        error=_int(get(node, "error", "code")) or -1,
        message=text(node, "error", "message") or "",
    )


def report_of(number: str, carrier: int, track_info: object) -> Report:
    """What 17TRACK knows of a number: the newest leg's report, the other legs in ``further``.

    Raises UnknownNumber or InvalidNumber when its carrier knows nothing, MalformedReply when this is no
    ``track_info``.
    """
    sub_status, foreign = _sub_status(text(track_info, "latest_status", "sub_status"))
    if sub_status is None:
        sub_status = _PLAIN.get(text(track_info, "latest_status", "status") or "")
    legs = [_leg(number, node) for node in each(track_info, "tracking", "providers")]
    events = any(leg.events for leg in legs)
    if not events and sub_status is SubStatus.NOT_FOUND_INVALID_CODE:
        raise InvalidNumber("17TRACK: not a number of this carrier")
    if not events and sub_status is SubStatus.NOT_FOUND_OTHER:
        raise UnknownNumber("17TRACK: the carrier does not know the number")
    if not events and sub_status is None:
        raise MalformedReply("a track_info without a status and without events")
    if sub_status is not None and sub_status.status is Status.NOT_FOUND:
        sub_status = None
    first, *others = legs or [Report(number, behind=Company(carrier, "", "", ""))]
    reason = text(track_info, "latest_status", "sub_status_descr") or foreign
    newest = replace(first, current=sub_status, current_authoritative=sub_status is not None)
    newest = replace(newest, current_reason=reason if sub_status else None, further=tuple(others))
    return _with_facts(newest, track_info)


def _leg(number: str, node: Mapping[str, object]) -> Report:
    """What one provider said."""
    events = tuple(_event(item) for item in each(node, "events"))
    synced = from_iso(text(node, "latest_sync_time"))
    return Report(
        number=number,
        events=events,
        service=text(node, "service_type"),
        lang=text(node, "provider_lang"),
        unmapped=tuple(dict.fromkeys(event.foreign for event in events if event.foreign)),
        behind=Company(
            _int(get(node, "provider", "key")),
            text(node, "provider", "name") or "",
            text(node, "provider", "homepage") or "",
            country(node, "provider", "country") or "",
        ),
        as_of=synced.utc,
    )


def _with_facts(report: Report, track_info: object) -> Report:
    misc = get(track_info, "misc_info")
    local = shipped().official(_int(get(misc, "local_key")))
    return replace(
        report,
        delivered=_delivered(track_info),
        estimate=_estimate(get(track_info, "time_metrics", "estimated_delivery_date")),
        origin=_address(get(track_info, "shipping_info", "shipper_address")),
        destination=_address(get(track_info, "shipping_info", "recipient_address")),
        service=text(misc, "service_type") or report.service,
        weight_raw=text(misc, "weight_raw"),
        weight_kg=text(misc, "weight_kg"),
        pieces=text(misc, "pieces"),
        dimensions=text(misc, "dimensions"),
        customer_number=text(misc, "customer_number"),
        reference_number=text(misc, "reference_number"),
        local_number=text(misc, "local_number"),
        local_carrier=local,
    )


def _event(node: Mapping[str, object]) -> Event:
    sub_status, foreign = _sub_status(text(node, "sub_status"))
    return Event(
        time=_moment(node),
        description=text(node, "description") or "",
        sub_status=sub_status or _STAGED.get(text(node, "stage") or ""),
        location=text(node, "location"),
        address=_address(get(node, "address")),
        foreign=foreign,
    )


def _sub_status(name: str | None) -> tuple[SubStatus | None, str | None]:
    """Ours, and the text of one that is not in our list."""
    if name is None or name in _SUB_STATUS:
        return _SUB_STATUS.get(name or ""), None
    return _PLAIN.get(name.partition("_")[0]), name


def _moment(node: object) -> Moment:
    """Date, time and zone as the carrier said them; UTC as 17TRACK gives it, unless only a date is known."""
    at = from_iso(text(node, "time_iso"))
    if at.utc is None:
        at = from_iso(text(node, "time_utc"))
    date, time = text(node, "time_raw", "date"), text(node, "time_raw", "time")
    if date is None:
        return at if at.utc else UNKNOWN_TIME
    said = from_iso(f"{date}T{time}" if time else date)
    if said.date is None or said.time is None:
        return said
    zone = text(node, "time_raw", "timezone")
    zone = zone if zone and _ZONE.fullmatch(zone) else None
    if at.utc is not None:
        return replace(said, utc=at.utc, offset_min=at.offset_min, zone=zone)
    return from_iso(f"{said.date}T{said.time}{zone}") if zone else said


def _delivered(track_info: object) -> Moment | None:
    for node in each(track_info, "milestone"):
        if text(node, "key_stage") == Stage.DELIVERED.value:
            moment = _moment(node)
            return moment if moment.date else None
    return None


def _estimate(node: object) -> Estimate | None:
    start, end = _bound(text(node, "from")), _bound(text(node, "to"))
    if start is None and end is None:
        return None
    return Estimate(start, end, text(node, "source") or "17TRACK")


def _bound(given: str | None) -> Moment | None:
    moment = from_iso(given)
    if moment.date:
        return moment
    match = _SHOWN_DATE.fullmatch(given or "")
    if match is None:
        return None
    shown = f"{match['y']}-{_MONTHS.index(match['m']) + 1:02d}-{int(match['d']):02d}"
    if match["h"]:
        shown += f"T{int(match['h']) % 12 + (12 if match['half'] == 'PM' else 0):02d}:{match['min']}:00"
    moment = from_iso(shown)
    return moment if moment.date else None


def _address(node: object) -> Address:
    return (
        Address(
            country(node, "country"),
            text(node, "state"),
            text(node, "city"),
            text(node, "street"),
            text(node, "postal_code"),
        )
        if isinstance(node, dict)
        else NOWHERE
    )


def _int(value: object) -> int:
    """An int, or the int in a text; 0 for anything else."""
    if isinstance(value, str) and value.lstrip("-").isdecimal() and value.isascii() and len(value) < 12:
        value = int(value)
    usable = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    return value if usable and isinstance(value, int) else 0


# --- pushes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pushed:
    """One verified push. ``item.track_info`` is None when tracking stopped."""

    event: str
    item: Item


def pushed(body: bytes) -> Pushed:
    """A push of 17TRACK. MalformedReply when it is none."""
    node = tree(body)
    event, data = text(node, "event"), get(node, "data")
    if event not in (UPDATED, STOPPED) or not isinstance(data, dict):
        raise MalformedReply("neither TRACKING_UPDATED nor TRACKING_STOPPED")
    item = _item(data)
    if not item.number:
        raise MalformedReply("a push without a number")
    return Pushed(event, item)
