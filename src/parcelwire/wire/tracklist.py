"""gettracklist: its one object of filters, and its rows (reference: api-v2.2, section 3.7)."""

from typing import Any

import msgspec

from parcelwire.domain.errors import CallerError
from parcelwire.wire.v22 import NESTING_MAX, UNREADABLE, Rejected, Text, deeper, encode

PAGE_SIZE = 40


class ListItem(msgspec.Struct, kw_only=True):
    """The filters. A text that is empty is no condition."""

    number: Text | None = None
    carrier: int | Text | None = None
    data_origin: Text | None = None
    package_status: Text | None = None
    tracking_status: Text | None = None
    push_status: Text | None = None
    push_status_code: int | Text | None = None
    sync_status: bool | None = None
    register_time_from: Text | None = None
    register_time_to: Text | None = None
    track_time_from: Text | None = None
    track_time_to: Text | None = None
    push_time_from: Text | None = None
    push_time_to: Text | None = None
    stop_track_time_from: Text | None = None
    stop_track_time_to: Text | None = None
    order_by: Text | None = None
    page_no: int | Text | None = None
    page_size: int | Text | None = None


class ListedItem(msgspec.Struct, kw_only=True):
    """One row. ``delievery_time`` is the wire's spelling."""

    number: str
    carrier: int
    param: str | None
    param_type: str = "None"
    data_origin: str = "Api"
    shipping_country: str | None = None
    recipient_country: str | None = None
    final_carrier: int = 0
    register_time: str | None = None
    track_time: str | None = None
    push_time: str | None = None
    stop_track_time: str | None = None
    tracking_status: str
    package_status: str
    push_status: str
    push_status_code: int | None = None
    stop_track_reason: str | None = None
    is_retracked: bool = False
    carrier_change_count: int = 0
    tag: str | None = None
    email: str | None = None
    order_no: str | None = None
    order_time: str | None = None
    lang: str | None = None
    remark: str | None = None
    latest_event_time: str | None = None
    latest_event_info: str | None = None
    delievery_time: str | None = None
    pickup_time: str = ""


class ListedItem24(ListedItem, kw_only=True):
    """One row of v2.4. ``sync_status``: whether the last refresh said something."""

    sync_status: bool


class PageInfo(msgspec.Struct):
    """Which page of how many."""

    data_total: int
    page_total: int
    page_no: int
    page_size: int


class ListData(msgspec.Struct):
    """``data`` of the list."""

    accepted: list[Any]
    rejected: list[Rejected] = []


class ListEnvelope(msgspec.Struct):
    """The answer of gettracklist: ``page`` stands beside ``data``."""

    page: PageInfo
    data: ListData
    code: int = 0


class Place(msgspec.Struct):
    """As much of an address as a row shows."""

    country: str | None = None


class Shipping(msgspec.Struct):
    """Where from and where to."""

    shipper_address: Place
    recipient_address: Place


class Latest(msgspec.Struct):
    """As much of an event as a row shows."""

    time_iso: str | None
    description: str
    location: str | None


class Reached(msgspec.Struct):
    """A milestone."""

    key_stage: str
    time_utc: str | None


class Misc(msgspec.Struct):
    """The last-mile carrier as the carrier named it."""

    local_key: int


class Summary(msgspec.Struct):
    """What a row shows of ``track_info``."""

    shipping_info: Shipping
    latest_event: Latest | None
    milestone: list[Reached]
    misc_info: Misc

    def reached(self, stage: str) -> str | None:
        """When a key stage was reached, UTC."""
        return next((item.time_utc for item in self.milestone if item.key_stage == stage), None)


_decoder = msgspec.json.Decoder(ListItem)
_list_decoder = msgspec.json.Decoder(list[ListItem])
_summary_decoder = msgspec.json.Decoder(Summary)
_MARKS = bytes.maketrans(b"\x01\x02", b"00")  # wire/trackinfo.py leaves these open; a digit is JSON too
_EVENTS = b',"tracking":{"providers_hash":'


def summary(template: bytes) -> Summary:
    """What a row shows, from a stored template: its head, whatever number of events follows."""
    return _summary_decoder.decode(template[: template.index(_EVENTS)].translate(_MARKS) + b"}")


def read_filters(body: bytes) -> ListItem:
    """The filters: one object, an array that holds it, or nothing. CallerError when it is none of these."""
    text = body.strip()
    if text in (b"", b"null", b"[]"):
        return ListItem()
    if deeper(text, NESTING_MAX):
        raise CallerError("bad_body", detail=f"nested deeper than {NESTING_MAX} levels")
    try:
        if not text.startswith(b"["):
            return _decoder.decode(text)
        items = _list_decoder.decode(text)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$")[2].rpartition(".")[2].strip("`")
        if field in ListItem.__struct_fields__:
            raise CallerError("bad_item", field=field) from None
        raise CallerError("bad_body", detail="one JSON object is expected") from None
    except UNREADABLE:
        raise CallerError("bad_body", detail="it is not JSON") from None
    if len(items) > 1:
        raise CallerError("bad_body", detail="one JSON object is expected")
    return items[0] if items else ListItem()


def list_answer(page: PageInfo, rows: list[ListedItem]) -> bytes:
    """The answer."""
    return encode(ListEnvelope(page, ListData(rows)))
