"""Answers like 17TRACK's tracking API v2.2: keys, quota, three calls a second, made-up journeys.

Its ledger says what every token was charged. A number has no data in the first minutes after registration.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header, json_reply
from parcelwire.standins._journey import US, Scan, Step, ends, scans
from parcelwire.wire.directory import shipped

ITEMS_MAX = 40
FIRST_DATA = timedelta(minutes=2)
REAL_TIME_PRICE = {0: 1, 1: 10}
SAID: Mapping[Step, tuple[str, str | None, str]] = {
    Step.LABEL: ("InfoReceived", "InfoReceived", "Shipment data received"),
    Step.PICKED_UP: ("InTransit_PickedUp", "PickedUp", "Collected from the sender"),
    Step.LEFT: ("InTransit_Other", None, "Left the sorting hub"),
    Step.ARRIVED: ("InTransit_Other", None, "Arrived at the next hub"),
    Step.AT_STATION: ("InTransit_Other", None, "At the delivering station"),
    Step.OUT: ("OutForDelivery_Other", "OutForDelivery", "On the vehicle for delivery"),
    Step.DELIVERED: ("Delivered_Other", "Delivered", "Handed to the recipient"),
}


@dataclass(slots=True)
class Key:
    """What one token has. ``real_time``: whether real-time questions are sold to it."""

    quota: int = 10_000
    used: int = 0
    real_time: bool = False


@dataclass(slots=True)
class _Registration:
    number: str
    carrier: int
    at: datetime
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the ledger."""

    token: str
    what: str
    number: str
    amount: int


@dataclass(slots=True)
class SeventeenTrackStandIn:
    """``keys``: the tokens that it knows; None takes any, each with a key of its own.

    ``load`` gives a number a ``track_info`` of its own, ``unknown`` holds numbers that no carrier knows,
    ``corrected`` the official code by number where the registered one is wrong, ``no_carriers`` codes that
    are none, ``lacking`` the code by number that is answered as long as no ``param`` comes with it,
    ``no_real_time`` the carriers without real-time answers, ``next_replies`` what to say instead of the next
    answers, ``lost`` how many of the next calls are processed and answered with HTTP 502,
    ``first_data`` how long a new number has no data.
    """

    slug = "seventeentrack"
    keys: dict[str, Key] | None = None
    unknown: set[str] = field(default_factory=set)
    corrected: dict[str, int] = field(default_factory=dict)
    no_carriers: set[int] = field(default_factory=set)
    lacking: dict[str, int] = field(default_factory=dict)
    no_real_time: set[int] = field(default_factory=lambda: {21051})
    next_replies: deque[Reply] = field(default_factory=deque)
    lost: int = 0
    first_data: timedelta = FIRST_DATA
    gate: Gate = field(default_factory=lambda: Gate(calls=3, seconds=1, per_day=1_000_000))
    ledger: list[Charge] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    _own: dict[str, Key] = field(default_factory=dict)
    _registered: dict[tuple[str, str, int], _Registration] = field(default_factory=dict)
    _loaded: dict[str, object] = field(default_factory=dict)

    def load(self, number: str, track_info: object) -> None:
        """What to tell about ``number``."""
        self._loaded[number] = track_info

    def charges(self) -> Counter[str]:
        """Units that each number has cost, over all tokens."""
        total: Counter[str] = Counter()
        for charge in self.ledger:
            total[charge.number] += charge.amount
        return total

    def answer(self, request: Request, now: datetime) -> Reply:
        token = header(request, "17token")
        key = self._key(token)
        if key is None:
            return _failed(401, -18010002, "Invalid security key.")
        if not self.gate.opens(now):
            return _failed(429, 429, "Too many requests.")
        if self.next_replies:
            return self.next_replies.popleft()
        endpoint = request.path.lower().removeprefix("/track/v2.2/").rstrip("/")
        self.calls[endpoint] += 1
        if endpoint == "getquota":
            return self._quota(key)
        try:
            items = msgspec.json.decode(request.body or b"", type=list[dict[str, object]])
        except (msgspec.DecodeError, ValueError):
            return _failed(200, -18010013, "Submitted data is invalid.")
        if len(items) > ITEMS_MAX:
            return _failed(200, -18010014, "More than 40 tracking numbers.")
        answer = self._processed(endpoint, token, key, items, now)
        if self.lost:
            self.lost -= 1
            return Reply(502)
        return answer

    def push(self, token: str, number: str, carrier: int, now: datetime) -> bytes:
        """The body of TRACKING_UPDATED about a number as it stands."""
        data = self._shown(_Registration(number, carrier, self._begun(token, number, carrier, now)), now)
        return msgspec.json.encode({"event": "TRACKING_UPDATED", "data": data})

    def _processed(
        self, endpoint: str, token: str, key: Key, items: Sequence[Mapping[str, object]], now: datetime
    ) -> Reply:
        accepted: list[object] = []
        rejected: list[object] = []
        for item in items:
            number, carrier = str(item.get("number", "")), item.get("carrier")
            code = carrier if isinstance(carrier, int) else 0
            try:
                if endpoint != "gettrackinfo" and number in self.lacking and not item.get("param"):
                    raise _Rejected(self.lacking[number], "The 'param' field is required.")
                if endpoint == "register":
                    accepted.append(self._register(token, key, number, code, now))
                elif endpoint == "gettrackinfo":
                    accepted += self._read(token, number, code, now)
                elif endpoint == "getrealtimetrackinfo":
                    accepted.append(self._real_time(token, key, number, code, item, now))
                else:
                    return json_reply(404, {"message": "Not Found"})
            except _Rejected as no:
                rejected.append(
                    {"number": number, "carrier": code, "error": {"code": no.code, "message": no.message}}
                )
        return json_reply(200, {"code": 0, "data": {"accepted": accepted, "rejected": rejected}})

    def _register(self, token: str, key: Key, number: str, code: int, now: datetime) -> object:
        if code in self.no_carriers:
            raise _Rejected(-18019910, f"The carrier {code} is incorrect.")
        if not code:
            raise _Rejected(-18019903, "Carrier cannot be detected.")
        final = self.corrected.get(number, code)
        if (token, number, final) in self._registered:
            raise _Rejected(-18019901, f"The tracking number {number} has been registered already.")
        self._charge(token, key, "register", number, 1)
        self._registered[token, number, final] = _Registration(number, final, now)
        return {"origin": 2 if final == code else 1, "number": number, "carrier": final}

    def _read(self, token: str, number: str, code: int, now: datetime) -> list[object]:
        found = [
            row
            for (whose, known, carrier), row in self._registered.items()
            if (whose, known) == (token, number) and code in (0, carrier)
        ]
        if not found:
            raise _Rejected(-18019902, f"The tracking number {number} is not registered.")
        if now - found[0].at < self.first_data:
            raise _Rejected(-18019909, "No tracking information at this time.")
        return [self._shown(row, now) for row in found]

    def _real_time(
        self, token: str, key: Key, number: str, code: int, item: Mapping[str, object], now: datetime
    ) -> object:
        if not key.real_time:
            raise _Rejected(-18019912, "The account is not authorised.")
        if code in self.no_real_time:
            raise _Rejected(-18019818, "The carrier is not supported.")
        level = item.get("cacheLevel", 0)
        self._charge(token, key, "realtime", number, REAL_TIME_PRICE[level if level == 1 else 0])
        return self._shown(_Registration(number, code, self._begun(token, number, code, now)), now)

    def _begun(self, token: str, number: str, carrier: int, now: datetime) -> datetime:
        known = self._registered.get((token, number, carrier))
        return known.at if known else now

    def _charge(self, token: str, key: Key, what: str, number: str, amount: int) -> None:
        if key.used + amount > key.quota:
            raise _Rejected(-18019908, "The quota is used up.")
        key.used += amount
        self.ledger.append(Charge(token, what, number, amount))

    def _key(self, token: str) -> Key | None:
        if self.keys is not None:
            return self.keys.get(token)
        return self._own.setdefault(token, Key()) if token else None

    def _quota(self, key: Key) -> Reply:
        data = {
            "quota_total": key.quota, "quota_used": key.used, "quota_remain": key.quota - key.used,
            "today_used": key.used, "max_track_daily": 0, "free_email_quota": 0, "free_email_quotaused": 0,
        }  # fmt: skip
        return json_reply(200, {"code": 0, "data": data})

    def _shown(self, row: _Registration, now: datetime) -> dict[str, object]:
        info = self._loaded.get(row.number)
        if info is None:
            journey = scans(row.number, row.at - timedelta(hours=1), now, US)
            info = track_info(row.number, row.carrier, [] if row.number in self.unknown else journey, now)
        return {"number": row.number, "carrier": row.carrier, "param": None, "tag": None, "track_info": info}


class _Rejected(Exception):
    """One item is refused."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def track_info(number: str, carrier: int, journey: Sequence[Scan], now: datetime) -> dict[str, object]:
    """A whole ``track_info`` of a journey (newest scan first) that one carrier saw."""
    slug = shipped().official(carrier)
    entry = shipped().entry(slug) if slug else None
    name = entry.name if entry else f"Carrier {carrier}"
    events = [_event(scan) for scan in journey]
    sub_status = SAID[journey[0].step][0] if journey else "NotFound_Other"
    origin, target = ends(number, US)
    return {
        "shipping_info": {
            "shipper_address": _address(origin.city, origin.state, None),
            "recipient_address": _address(target.city, target.state, target.postal_code),
        },
        "latest_status": {
            "status": sub_status.partition("_")[0], "sub_status": sub_status, "sub_status_descr": None,
        },
        "latest_event": events[0] if events else None,
        "time_metrics": {"estimated_delivery_date": {"source": None, "from": None, "to": None}},
        "milestone": [],
        "misc_info": {"risk_factor": 0, "service_type": None, "weight_raw": "0.9KG", "weight_kg": "0.9",
                      "local_number": None, "local_provider": None, "local_key": 0},
        "tracking": {
            "providers_hash": len(events),
            "providers": [
                {
                    "provider": {"key": carrier, "name": name, "alias": name, "tel": None,
                                 "homepage": entry.homepage if entry else "", "country": "US"},
                    "provider_lang": "en",
                    "service_type": None,
                    "latest_sync_status": "Success",
                    "latest_sync_time": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                    "events_hash": len(events),
                    "events": events,
                }
            ] if events else [],
        },
    }  # fmt: skip


def _event(scan: Scan) -> dict[str, object]:
    sub_status, stage, description = SAID[scan.step]
    place = scan.place
    return {
        "time_iso": scan.at.isoformat(timespec="seconds"),
        "time_utc": f"{scan.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "time_raw": {"date": f"{scan.at:%Y-%m-%d}", "time": f"{scan.at:%H:%M:%S}", "timezone": None},
        "description": description,
        "location": f"{place.city}, {place.state}",
        "stage": stage,
        "sub_status": sub_status,
        "address": _address(place.city, place.state, place.postal_code),
    }


def _address(city: str, state: str, postal_code: str | None) -> dict[str, object]:
    return {
        "country": "US", "state": state, "city": city, "street": None, "postal_code": postal_code,
        "coordinates": {"longitude": None, "latitude": None},
    }  # fmt: skip


def _failed(status: int, code: int, message: str) -> Reply:
    body = {"code": code, "data": {"errors": [{"code": code, "message": message}]}}
    return json_reply(status, body)


STAND_IN = SeventeenTrackStandIn
