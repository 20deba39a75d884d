"""What is shown of a shipment: made when it changes, filled in when it is read."""

import re
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from parcelwire.domain.shipment import Shipment, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Timeline
from parcelwire.domain.times import second_of
from parcelwire.flows.context import Context, Names
from parcelwire.ports import Document, Shown
from parcelwire.wire import trackinfo
from parcelwire.wire.texts import translated
from parcelwire.wire.v22 import Push, Stopped, Tracked, Tracked24, encode
from parcelwire.wire.versions import V2_2, Version

_PROVIDER = re.compile(rb'"provider":\{[^}]*\}')  # name, homepage, country: ours, not news


wish_of = msgspec.json.Decoder(Wish).decode  # of a row as it is stored


def document_of(context: Context, shipment: Shipment, timeline: Timeline) -> Document:
    """The document of a timeline."""
    return Document(
        trackinfo.template(timeline, Names(shipment, context)),
        trackinfo.estimate(timeline.estimate),
    )


def digest_of(sub_status: SubStatus, descr: str | None, document: Document) -> str:
    """Changes when anything that is worth a push changes: neither day counters and sync times do, nor how the
    directory names a carrier."""
    status = f"{sub_status.value}\0{descr}".encode()
    told = _PROVIDER.sub(b"", document.template)
    return blake2b(b"\0".join((told, document.estimate, status)), digest_size=12).hexdigest()


def tracked(shown: Shown, now: datetime, version: Version = V2_2) -> Tracked:
    """One accepted item: a shipment that has a document, as of ``now``."""
    assert shown.sub_status is not None, "a document exists once there is a status"  # noqa: S101
    assert shown.template is not None and shown.estimate is not None  # noqa: S101, PT018
    track_info = trackinfo.fill(
        shown.template,
        sub_status=shown.sub_status,
        descr=shown.descr,
        dates=shown.dates,
        estimate=shown.estimate,
        asked_s=second_of(now) if shown.asked_s is None else shown.asked_s,
        ok=shown.trouble is None,
        now=now,
    )
    return _item(shown.number, shown.code, wish_of(shown.wish), track_info, version)


def _item(number: str, code: int, wish: Wish, track_info: bytes, version: Version) -> Tracked:
    if wish.translated:
        track_info = translated(track_info, wish.lang)
    raw = msgspec.Raw(version.shape(track_info))
    if version.more:
        more: dict[str, Any] = dict(wish.more or {})
        return Tracked24(
            number, code, wish.param, wish.tag, raw, lang=wish.lang,
            final_carrier=wish.final_carrier, order_no=wish.order_no, order_time=wish.order_time,
            email=wish.email, remark=wish.remark, **more,
        )  # fmt: skip
    return Tracked(number, code, wish.param, wish.tag, raw)


def updated_body(shipment: Shipment, document: Document, now: datetime) -> bytes:
    """The body of TRACKING_UPDATED."""
    assert shipment.sub_status is not None  # noqa: S101
    track_info = trackinfo.fill(
        document.template,
        sub_status=shipment.sub_status,
        descr=shipment.descr,
        dates=shipment.marks.dates,
        estimate=document.estimate,
        asked_s=second_of(shipment.asked_at or now),
        ok=shipment.trouble is None,
        now=now,
    )
    item = _item(shipment.number, shipment.code, shipment.wish, track_info, V2_2)
    return encode(Push("TRACKING_UPDATED", item))


def stopped_body(shipment: Shipment) -> bytes:
    """The body of TRACKING_STOPPED."""
    wish = shipment.wish
    return encode(Push("TRACKING_STOPPED", Stopped(shipment.number, shipment.code, wish.param, wish.tag)))
