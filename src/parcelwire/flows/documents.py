"""What is shown of a shipment: made when it changes, filled in when it is read."""

import re
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from parcelwire.domain.shipment import Shipment
from parcelwire.domain.timeline import Timeline
from parcelwire.flows.context import Context, Names
from parcelwire.ports import Document
from parcelwire.wire import trackinfo
from parcelwire.wire.texts import translated
from parcelwire.wire.v22 import Push, Stopped, Tracked, Tracked24, encode
from parcelwire.wire.versions import V2_2, Version

_PROVIDER = re.compile(rb'"provider":\{[^}]*\}')  # name, homepage, country: ours, not news


def document_of(context: Context, shipment: Shipment, timeline: Timeline) -> Document:
    """The document of a timeline."""
    return Document(
        trackinfo.template(timeline, Names(shipment, context)),
        trackinfo.estimate(timeline.estimate),
        tuple(leg.source for leg in timeline.legs),
    )


def digest_of(shipment: Shipment, document: Document) -> str:
    """Changes when anything that is worth a push changes: neither day counters and sync times do, nor how the
    directory names a carrier."""
    status = f"{shipment.sub_status}\0{shipment.descr}".encode()
    told = _PROVIDER.sub(b"", document.template)
    return blake2b(b"\0".join((told, document.estimate, status)), digest_size=12).hexdigest()


def tracked(shipment: Shipment, document: Document, now: datetime, version: Version = V2_2) -> Tracked:
    """One accepted item: the shipment as of ``now``."""
    assert shipment.sub_status is not None, "a document exists once there is a status"  # noqa: S101
    asked_at = shipment.asked_at or now
    sync = trackinfo.Sync(asked_at, shipment.trouble is None)
    track_info = trackinfo.fill(
        document.template,
        sub_status=shipment.sub_status,
        descr=shipment.descr,
        marks=shipment.marks,
        estimate=document.estimate,
        syncs=[sync] * len(document.sources),
        now=now,
    )
    wish = shipment.wish
    if wish.translated:
        track_info = translated(track_info, wish.lang)
    raw = msgspec.Raw(version.shape(track_info))
    if version.more:
        more: dict[str, Any] = dict(wish.more or {})
        return Tracked24(
            shipment.number, shipment.code, wish.param, wish.tag, raw, lang=wish.lang,
            final_carrier=wish.final_carrier, order_no=wish.order_no, order_time=wish.order_time,
            email=wish.email, remark=wish.remark, **more,
        )  # fmt: skip
    return Tracked(shipment.number, shipment.code, wish.param, wish.tag, raw)


def updated_body(shipment: Shipment, document: Document, now: datetime) -> bytes:
    """The body of TRACKING_UPDATED."""
    return encode(Push("TRACKING_UPDATED", tracked(shipment, document, now)))


def stopped_body(shipment: Shipment) -> bytes:
    """The body of TRACKING_STOPPED."""
    wish = shipment.wish
    return encode(Push("TRACKING_STOPPED", Stopped(shipment.number, shipment.code, wish.param, wish.tag)))
