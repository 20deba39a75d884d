"""Rows to values and back; the same for every SQL store."""

import json
import zlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from ipaddress import ip_network
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from parcelwire.domain.account import Account, NewAccount
from parcelwire.domain.audit import Chain, Deed, Head, Record, content, head_content
from parcelwire.domain.doubt import Doubt
from parcelwire.domain.endpoint import EndpointState, Health, Wants
from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import Lane
from parcelwire.domain.merge import History
from parcelwire.domain.push import PushEvent
from parcelwire.domain.shipment import Phase, Shipment, StopReason, Wish
from parcelwire.domain.status import Status, SubStatus
from parcelwire.domain.timeline import Marks
from parcelwire.domain.times import EPOCH
from parcelwire.ports import Document
from parcelwire.store.vault import Vault

_MICROSECOND = timedelta(microseconds=1)

ACCOUNT = ("id", "name", "plan", "quota_total", "max_daily", "enabled", "networks")
SHIPMENT = (
    "id", "account", "number", "carrier", "code", "origin", "phase", "since", "wish", "registered_at",
    "stopped_at", "stop_reason", "version", "sub_status", "descr", "digest", "first_at", "transit_at",
    "done_at", "newest_at", "asked_at", "answered_at", "changed_at", "trouble", "fails", "refresh_at", "lane",
    "lease", "retracked", "carrier_changes", "doubt",
)  # fmt: skip
MUTABLE = (
    SHIPMENT[3:7] + SHIPMENT[8:27] + SHIPMENT[28:]
)  # what a change may write: all but identity, since and lease
# ports.Shown but its document, of a shipment ``s``, as SQL for every store. 719163: the epoch's ordinal.
SHOWN = (
    "s.id", "s.number", "s.carrier", "s.code", "s.phase", "s.since", "s.wish", "s.sub_status", "s.descr",
    "s.digest", "s.changed_at",
    *(f"s.{name} / 86400000000 + 719163" for name in ("first_at", "transit_at", "done_at", "newest_at")),
    "s.asked_at / 1000000", "s.answered_at", "s.trouble",
)  # fmt: skip
# ports.Listed of a shipment ``s``, its document ``d`` and what came of its last push ``p``.
LISTED = (
    "s.id", "s.number", "s.code", "s.phase", "s.wish", "s.registered_at", "s.asked_at", "s.stopped_at",
    "s.stop_reason", "s.sub_status", "s.trouble", "s.retracked", "s.carrier_changes", "d.template",
    "coalesce(p.push, 0)", "nullif(p.push_code, 0)", "p.push_at",
)  # fmt: skip
# For monitoring.
LEASE_MAX_US = 3_600_000_000  # whoever is leased is due again within the hour
PUSHES_COUNTED = {"pending": "state = 'pending'", "leased": "lease IS NOT NULL", "dead": "state = 'dead'"}
LANE = (
    "name", "revision", "stamp", "day", "used", "fails", "refusals", "throttles", "blocked_until",
    "blocked_why", "recent",
)  # fmt: skip
HEALTH = (
    "state", "since", "why", "fails", "first_failed", "first_failed_at", "several", "probes", "probe_at",
    "width", "taken",
)  # fmt: skip

AUDIT = ("account", "seq", "at", "actor", "action", "subject", "fields", "before", "mark")

# A look-up in a dictionary costs a tenth of calling the enumeration.
_PHASES: dict[str, Phase] = {phase.value: phase for phase in Phase}
_SUB_STATUSES: dict[str | None, SubStatus | None] = {item.value: item for item in SubStatus} | {None: None}
_STOP_REASONS: dict[str | None, StopReason | None] = {item.value: item for item in StopReason} | {None: None}

# A wish as it is written: what is not set takes no place.
_StoredWish = msgspec.defstruct(
    "_StoredWish", [(name, Any, None) for name in Wish.__slots__], omit_defaults=True
)
_wish_values = attrgetter(*Wish.__slots__)
_wish_encoder = msgspec.json.Encoder()
_wish_decoder = msgspec.json.Decoder(Wish)
_doubt_encoder = msgspec.json.Encoder()
_doubt_decoder = msgspec.json.Decoder(Doubt)
_history_encoder = msgspec.msgpack.Encoder()
_history_decoder = msgspec.msgpack.Decoder(History)
_rows_encoder = msgspec.json.Encoder()
_NO_WISH = "{}"
_EMPTY_WISH = Wish()


def micros(at: datetime) -> int:
    """Microseconds since the epoch."""
    return (at - EPOCH) // _MICROSECOND


def micros_or_none(at: datetime | None) -> int | None:
    """Microseconds since the epoch, or None."""
    return None if at is None else (at - EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Aware UTC."""
    return EPOCH + timedelta(0, 0, value)


def moment_or_none(value: int | None) -> datetime | None:
    """Aware UTC, or None."""
    return None if value is None else EPOCH + timedelta(0, 0, value)


def json_of(rows: object) -> str:
    """Numbers and texts of ours for a statement, as JSON; by the cheap encoder."""
    return _rows_encoder.encode(rows).decode()


def account_of(row: Sequence[Any]) -> Account:
    """An account from the columns ACCOUNT."""
    networks = tuple(ip_network(text) for text in json.loads(row[6])) if row[6] else ()
    return Account(row[0], row[1], row[2], row[3], row[4], bool(row[5]), networks)


def networks_text(account: Account | NewAccount) -> str:
    """The column of an account's allow-list: JSON, or nothing."""
    return json.dumps([str(network) for network in account.networks]) if account.networks else ""


def raw_hash(raw: Reply) -> bytes:
    """The name under which a reply is kept once."""
    return blake2b(raw.body, digest_size=16, person=str(raw.status).encode()).digest()


def packed(raw: Reply) -> bytes:
    """The body of a reply as it is kept."""
    return zlib.compress(raw.body, 1)


def shipment_of(row: Sequence[Any]) -> Shipment:
    """A shipment from the columns SHIPMENT."""
    at = moment_or_none
    return Shipment(
        id=row[0], account=row[1], number=row[2], carrier=row[3], code=row[4], origin=row[5],
        phase=_PHASES[row[6]], since=moment(row[7]),
        wish=_EMPTY_WISH if row[8] == _NO_WISH else _wish_decoder.decode(row[8]),
        registered_at=at(row[9]), stopped_at=at(row[10]),
        stop_reason=_STOP_REASONS[row[11]], version=row[12],
        sub_status=_SUB_STATUSES[row[13]], descr=row[14],
        digest=row[15], marks=Marks(at(row[16]), at(row[17]), at(row[18]), at(row[19])),
        asked_at=at(row[20]), answered_at=at(row[21]), changed_at=at(row[22]), trouble=row[23],
        fails=row[24], refresh_at=at(row[25]), lane=row[26], lease=row[27],
        retracked=bool(row[28]), carrier_changes=row[29],
        doubt=None if row[30] is None else _doubt_decoder.decode(row[30]),
    )  # fmt: skip


def mutable_values(shipment: Shipment) -> tuple[Any, ...]:
    """The values of the columns MUTABLE."""
    at = micros_or_none
    s = shipment
    return (
        s.carrier, s.code, s.origin, s.phase.value, wish_text(s.wish), at(s.registered_at), at(s.stopped_at),
        s.stop_reason.value if s.stop_reason else None, s.version,
        s.sub_status.value if s.sub_status else None, s.descr, s.digest, at(s.marks.first),
        at(s.marks.transit), at(s.marks.done), at(s.marks.newest), at(s.asked_at), at(s.answered_at),
        at(s.changed_at), s.trouble, s.fails, at(s.refresh_at), s.lane, s.retracked,
        s.carrier_changes, None if s.doubt is None else _doubt_encoder.encode(s.doubt).decode(),
    )  # fmt: skip


def wish_text(wish: Wish) -> str:
    """JSON of what is set; ``{}`` for nothing."""
    if wish is _EMPTY_WISH:  # as it was read: nearly always
        return _NO_WISH
    return _wish_encoder.encode(_StoredWish(*_wish_values(wish))).decode()


def history_bytes(history: History) -> bytes:
    """A history as stored."""
    return _history_encoder.encode(history)


def history_of(data: bytes) -> History:
    """A stored history."""
    return _history_decoder.decode(data)


def document_of(row: Sequence[Any]) -> Document | None:
    """A document from its template and estimate; None where there is none."""
    return None if row[0] is None else Document(row[0], row[1])


def lane_of(row: Sequence[Any]) -> Lane:
    """A lane from the columns LANE."""
    return Lane(
        row[0], row[1], moment_or_none(row[2]), date.fromisoformat(row[3]) if row[3] else None, row[4],
        row[5], row[6], row[7], moment_or_none(row[8]), row[9], row[10],
    )  # fmt: skip


def lane_values(lane: Lane) -> tuple[Any, ...]:
    """The values of the columns LANE."""
    return (
        lane.name, lane.revision, micros_or_none(lane.stamp), lane.day.isoformat() if lane.day else None,
        lane.used, lane.fails, lane.refusals, lane.throttles, micros_or_none(lane.blocked_until),
        lane.blocked_why, lane.recent,
    )  # fmt: skip


def health_of(row: Sequence[Any]) -> Health:
    """The health of an endpoint from the columns HEALTH."""
    at = moment_or_none
    return Health(
        EndpointState(row[0]), at(row[1]), row[2], row[3], row[4], at(row[5]), bool(row[6]), row[7],
        at(row[8]), row[9], row[10],
    )  # fmt: skip


def health_values(health: Health) -> tuple[Any, ...]:
    """The values of the columns HEALTH."""
    h, at = health, micros_or_none
    return (
        h.state.value, at(h.since), h.why, h.fails, h.first_failed, at(h.first_failed_at), h.several,
        h.probes, at(h.probe_at), h.width, h.taken,
    )  # fmt: skip


def wants_of(events: str, statuses: str) -> Wants:
    """What an endpoint wants to hear, from its two columns."""
    return Wants(
        tuple(PushEvent(name) for name in events.split(",") if name),
        tuple(Status(name) for name in statuses.split(",") if name),
    )


def wants_values(wants: Wants) -> tuple[str, str]:
    """The columns of what an endpoint wants to hear."""
    return ",".join(wants.events), ",".join(wants.statuses)


class Routing(NamedTuple):
    """Which routing was begun last, and the last shipment that was looked at since; None: all were."""

    routing: str
    seen: int | None


def routing_state(text: str | None) -> Routing:
    """As kept; nothing before the first time."""
    routing, _, seen = (text or "").partition(" ")
    return Routing(routing, int(seen) if seen else None)


def routing_text(state: Routing) -> str:
    """To be kept."""
    return f"{state.routing} {'' if state.seen is None else state.seen}"


LEDGER_ERRORS = """
SELECT account, period, CAST(sum(units) AS bigint), CAST(sum(amount) AS bigint) FROM (
  SELECT account, period, units, 0 AS amount FROM quota_used
  UNION ALL SELECT account, period, 0, amount FROM quota_entry
) AS counted GROUP BY account, period HAVING sum(units) <> sum(amount) ORDER BY account, period
"""
CHAIN = f"""
SELECT {", ".join(f"a.{name}" for name in AUDIT)}, h.seq, h.mark, h.seal
FROM (SELECT {{}} AS account) AS one LEFT JOIN audit_head AS h ON h.account = one.account
LEFT JOIN audit AS a ON a.account = one.account ORDER BY a.seq
"""  # one statement: a record that is added meanwhile is in both or in none


def chain_of(vault: Vault, account: int, rows: Sequence[Sequence[Any]]) -> Chain:
    """A chain from the rows of CHAIN: its records, each with the head beside it."""
    seq, mark, seal = rows[0][len(AUDIT) :]
    genuine = seq is not None and seal == vault.mark(head_content(account, seq, mark))
    records = [_record(vault, row[: len(AUDIT)]) for row in rows if row[0] is not None]
    return Chain(records, None if seq is None else Head(seq, mark, genuine))


def _record(vault: Vault, row: Sequence[Any]) -> Record:
    account, seq, at, actor, action, subject, fields, before, mark = row
    deed = Deed(actor, moment(at), action, subject, tuple(fields.split(",")) if fields else ())
    return Record(seq, deed, before, mark, mark == vault.mark(content(account, seq, deed, before)))


def audit_values(account: int, seq: int, deed: Deed, before: bytes, mark: bytes) -> tuple[Any, ...]:
    """The values of the columns AUDIT."""
    return (
        account, seq, micros(deed.at), deed.actor, deed.action, deed.subject, ",".join(deed.fields), before,
        mark,
    )  # fmt: skip
