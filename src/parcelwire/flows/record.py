"""Make a recording of a carrier's answer that can be kept beside the tests."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from parcelwire.domain.errors import CarrierError, InvalidNumber, UnknownNumber
from parcelwire.domain.exchange import Reply
from parcelwire.domain.scrub import scrub
from parcelwire.flows.parse import outline_of, parse_reply
from parcelwire.ports import Carrier, Zones


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, its row for ``index.json``, and what was taken out of the reply, in words with counts."""

    file: str
    body: bytes
    row: Mapping[str, object]
    taken: Mapping[str, int]


def record(
    carrier: Carrier, reply: Reply, number: str, secrets: Collection[str], zone_of: Zones, now: datetime
) -> Recording:
    """The recording of one reply. Its row says what the scrubbed reply comes to: to be checked by people."""
    scrubbed = scrub(reply.body, secrets, number)
    kept = Reply(reply.status, {}, scrubbed.body)
    file = _file(number, kept)
    row = {"file": file, "http_status": reply.status, **_said(carrier, kept, number, zone_of, now)}
    return Recording(file, scrubbed.body, row, scrubbed.taken)


def _said(carrier: Carrier, reply: Reply, number: str, zone_of: Zones, now: datetime) -> dict[str, object]:
    answer = parse_reply(carrier, reply, number, now)
    if isinstance(answer, CarrierError) and not isinstance(answer, UnknownNumber | InvalidNumber):
        return {"error": type(answer).__name__}
    made = outline_of(carrier, number, answer, zone_of, now)
    numbers = {
        "number": number,
        "status": made.status,
        "sub_status": made.sub_status,
        "events": len(made.events),
        "latest_event_utc": made.latest_event_utc,
        "delivered_utc": made.delivered_utc,
    }
    return {"numbers": [numbers]}


def _file(number: str, reply: Reply) -> str:
    start = reply.body.lstrip()[:1]
    kind = "json" if start in (b"{", b"[") else "xml" if start == b"<" else "txt"
    return f"{re.sub(r'[^a-z0-9]+', '_', number.lower())}.{kind}"
