"""The list of an account's registrations: free, a page at a time."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from parcelwire.domain.account import Account
from parcelwire.domain.errors import CallerError
from parcelwire.domain.listing import Axis, Filter, Order, PushStanding, Span
from parcelwire.domain.numbers import identity, normalise
from parcelwire.domain.shipment import Phase
from parcelwire.domain.status import Status
from parcelwire.domain.times import EPOCH
from parcelwire.flows.context import Context
from parcelwire.flows.documents import wish_of
from parcelwire.ports import Listed, ListPage
from parcelwire.wire.codes import shown
from parcelwire.wire.dates import bound
from parcelwire.wire.trackinfo import utc_text
from parcelwire.wire.tracklist import (
    PAGE_SIZE,
    ListedItem,
    ListedItem24,
    ListItem,
    PageInfo,
    list_answer,
    read_filters,
    summary,
)
from parcelwire.wire.v22 import carrier_code
from parcelwire.wire.versions import V2_2, Version

PAGES_MAX = 10**9

_PHASES = {"tracking": Phase.TRACKING, "stopped": Phase.STOPPED}
_PHASE_NAMES: dict[str, str] = {Phase.TRACKING: "Tracking", Phase.STOPPED: "Stopped"}
_PUSH_NAMES: dict[int, str] = {
    PushStanding.NOT_PUSHED: "NotPushed",
    PushStanding.SUCCESS: "Success",
    PushStanding.FAILURE: "Failure",
}
_PUSHES = {name.casefold(): PushStanding(standing) for standing, name in _PUSH_NAMES.items()}
_STATUSES = {status.value.casefold(): status for status in Status}
_ORDERS = {
    f"{axis}time{way}": Order(place, newest_first=way == "desc")
    for axis, place in (("register", Axis.REGISTER), ("track", Axis.TRACK), ("push", Axis.PUSH))
    for way in ("asc", "desc")
}
_SPANS = {
    Axis.REGISTER: "register_time",
    Axis.TRACK: "track_time",
    Axis.PUSH: "push_time",
    Axis.STOP: "stop_track_time",
}

E = TypeVar("E")


async def track_list(context: Context, account: Account, body: bytes, version: Version = V2_2) -> bytes:
    """The answer to POST /gettracklist. CallerError when a filter has no meaning."""
    given = read_filters(body)
    wanted, order = _filter(given), _order(given)
    size = min(_count(given.page_size, "page_size") or PAGE_SIZE, PAGE_SIZE)
    number = min(_count(given.page_no, "page_no") or 1, PAGES_MAX)
    found = ListPage(0, [])
    if not _from_elsewhere(given.data_origin):
        found = await context.store.list_page(account.id, wanted, order, (number - 1) * size, size)
    page = PageInfo(found.total, -(-found.total // size), number, size)
    return list_answer(page, [_row(item, version) for item in found.rows])


def _filter(given: ListItem) -> Filter:
    spans = {}
    for axis, name in _SPANS.items():
        start, end = _bound(given, f"{name}_from", end=False), _bound(given, f"{name}_to", end=True)
        if start or end:
            spans[axis] = Span(start, end)
    return Filter(
        numbers=_numbers(given.number),
        code=carrier_code(given.carrier) or None,
        status=_word(given.package_status, _STATUSES, "package_status"),
        phase=_word(given.tracking_status, _PHASES, "tracking_status"),
        push=_word(given.push_status, _PUSHES, "push_status"),
        push_code=_count(given.push_status_code, "push_status_code"),
        synced=given.sync_status,
        spans=spans,
    )


def _order(given: ListItem) -> Order:
    """As asked; else the newest first, by the time that is filtered, or else by registration."""
    order = _word(given.order_by, _ORDERS, "order_by")
    if order is None:
        axis = next((axis for axis in _SPANS if axis in _filter_axes(given)), Axis.REGISTER)
        return Order(axis)
    return order


def _filter_axes(given: ListItem) -> set[Axis]:
    return {
        axis
        for axis, name in _SPANS.items()
        if getattr(given, f"{name}_from") or getattr(given, f"{name}_to")
    }


def _bound(given: ListItem, field: str, *, end: bool) -> datetime | None:
    text: str | None = getattr(given, field)
    return bound(text, field, end=end) if text and text.strip() else None


def _numbers(text: str | None) -> tuple[str, ...] | None:
    """Comma-separated; what is no number matches nothing."""
    if not text or not text.strip():
        return None
    normal: Iterable[str | None] = map(normalise, text.split(","))
    return tuple(identity(number) for number in normal if number)


def _word(text: str | None, known: dict[str, E], field: str) -> E | None:
    if not text or not text.strip():
        return None
    value = known.get(text.strip().casefold())
    if value is None:
        raise CallerError("bad_value", field=field, value=shown(text))
    return value


def _from_elsewhere(origin: str | None) -> bool:
    """Whether only registrations are asked for that came another way than ours do."""
    return _word(origin, {"api": False, "manual": True, "import": True}, "data_origin") is True


def _count(value: int | str | None, field: str) -> int | None:
    """A count; None for none and for less than nothing."""
    if isinstance(value, str):
        text = value.strip()
        if text and not (text.isascii() and text.lstrip("-").isdigit() and len(text) <= 18):
            raise CallerError("bad_value", field=field, value=shown(value))
        value = int(text) if text else None
    return value if value is None or value >= 0 else None


def _row(listed: Listed, version: Version) -> ListedItem:
    wish = wish_of(listed.wish)
    told = summary(listed.template) if listed.template is not None else None
    latest = told.latest_event if told else None
    local = told.misc_info.local_key if told else 0
    make: Callable[..., ListedItem] = ListedItem
    extra = {}
    if version.more:
        make, extra = ListedItem24, {"sync_status": listed.asked_us is not None and listed.trouble is None}
    return make(
        number=listed.number,
        carrier=listed.code,
        param=wish.param,
        shipping_country=told.shipping_info.shipper_address.country if told else None,
        recipient_country=told.shipping_info.recipient_address.country if told else None,
        final_carrier=wish.final_carrier or local,
        register_time=_text(listed.registered_us),
        track_time=_text(listed.asked_us),
        push_time=_text(listed.push_us),
        stop_track_time=_text(listed.stopped_us),
        tracking_status=_PHASE_NAMES[listed.phase],
        package_status=_status(listed.sub_status),
        push_status=_PUSH_NAMES[listed.push],
        push_status_code=listed.push_code,
        stop_track_reason=listed.stop_reason,
        is_retracked=bool(listed.retracked),
        carrier_change_count=listed.carrier_changes,
        tag=wish.tag,
        email=wish.email,
        order_no=wish.order_no,
        order_time=wish.order_time,
        lang=wish.lang,
        remark=wish.remark,
        latest_event_time=latest.time_iso if latest else None,
        latest_event_info=(",".join(filter(None, (latest.location, latest.description))) if latest else None),
        delievery_time=told.reached("Delivered") if told else None,
        pickup_time=(told.reached("PickedUp") if told else None) or "",
        **extra,
    )


def _text(us: int | None) -> str | None:
    return None if us is None else utc_text(EPOCH + timedelta(0, 0, us))


def _status(sub_status: str | None) -> str:
    return sub_status.partition("_")[0] if sub_status else Status.NOT_FOUND.value
