"""A carrier of the simulation: it knows the truth about its parcels and tells it as badly as it is told to.

It speaks the sandbox's protocol (standins/sandbox.py), so that the real carrier file, driver and merge read
what it says.
"""

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from parcelwire.carriers.sandbox import Sandbox
from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.limits import Limits
from parcelwire.ports import Clock

Event = dict[str, Any]
Items = list[dict[str, Any]]

RATE, BURST = 2.0, 5
THROTTLED_S = 30.0  # how long a 429 without Retry-After is kept
FORGIVEN_S = 0.01  # of rounding

ROUTE = ("IR", "PU", "TR", "TR", "TR", "CU", "TR", "OD", "DL")
PLACE = {"city": "Reno", "region": "NV", "postal_code": "89502", "country": "US"}


class PacedSandbox(Sandbox):
    """The sandbox with a rate, to see that it is kept."""

    limits = Limits(per_s=RATE, burst=BURST)
    batch = 5


class Parcels:
    """What really happened: events of each number, newest first. A delivered parcel moves no more."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}

    def move(self, number: str, now: datetime) -> None:
        """One scan more."""
        known = self.events.setdefault(number, [])
        if len(known) == len(ROUTE):
            return
        at = now
        if known:  # the carrier's own clock never goes back
            at = max(now, datetime.fromisoformat(known[0]["time"]) + timedelta(seconds=1))
        text = f"{number}: scan {len(known) + 1}"
        scan = {"code": ROUTE[len(known)], "time": at.isoformat(timespec="seconds"), "text": text}
        known.insert(0, {**scan, "place": PLACE})

    def texts(self, number: str) -> set[str]:
        """What can be learned of a number; every scan has a text of its own."""
        return {event["text"] for event in self.events.get(number, ())}


class Gate:
    """What a carrier's gate would have let through: a bucket, and the pauses that it asked for.

    Only the monotonic clock counts. ``forget``: what it knows may not bind the service any more.
    """

    def __init__(self, clock: Clock) -> None:
        self.beyond = 0
        self._clock = clock
        self._full_at = 0.0
        self._closed_from = self._closed_until = 0.0

    def pass_one(self) -> None:
        """A call arrives."""
        now = self._clock.monotonic()
        full_at = max(self._full_at, now)
        early = full_at - (BURST - 1) / RATE > now + FORGIVEN_S
        # A call of the same moment was under way when the other one was answered.
        if early or self._closed_from + FORGIVEN_S < now < self._closed_until - FORGIVEN_S:
            self.beyond += 1
        self._full_at = full_at + 1 / RATE

    def close(self, seconds: float) -> None:
        """No call for so long."""
        now = self._clock.monotonic()
        if now >= self._closed_until - FORGIVEN_S:
            self._closed_from = now
        self._closed_until = max(self._closed_until, now + seconds)

    def forget_pauses(self) -> None:
        """A pause may not have been stored: the process died, or the disk was full."""
        self._closed_until = 0.0

    def forget(self) -> None:
        """The wall clock was set."""
        self._full_at = self._closed_until = 0.0


class SickCarrier:
    """See ports.StandIn. ``sickness``: the share of answers that have something wrong with them."""

    slug = "sandbox"

    def __init__(self, parcels: Parcels, chance: random.Random, clock: Clock) -> None:
        self.parcels = parcels
        self.gate = Gate(clock)
        self.sickness = 0.0
        self.calls: list[datetime] = []
        self._chance = chance
        self._last: dict[str, Items] = {}  # an older answer, to be given again

    def answer(self, request: Request, now: datetime) -> Reply:
        """The truth, or one of FAULTS."""
        self.calls.append(now)
        self.gate.pass_one()
        numbers = [item["number"] for item in json.loads(request.body or b"{}")["shipments"]]
        items = [self._item(number) for number in numbers]
        if self._chance.random() >= self.sickness:
            self._last = {item["number"]: [item] for item in items}
            return _reply(items)
        return self._chance.choice(FAULTS)(self, items)

    def _item(self, number: str) -> dict[str, Any]:
        events = self.parcels.events.get(number)
        if not events:
            return {"number": number, "result": 404}
        return {"number": number, "result": 200, "events": list(events), "current": events[0]["code"]}

    # --- what can be wrong ---

    def delayed(self, items: Items) -> Reply:
        """Late, but in time."""
        return _reply(items, {"x-delay-s": str(self._chance.choice((0.5, 3, 15)))})

    def lost(self, _: Items) -> Reply:
        """No answer at all."""
        return Reply(200, {"x-fault": self._chance.choice(("timeout", "reset"))}, b"")

    def failing(self, _: Items) -> Reply:
        """An error of the server."""
        return Reply(self._chance.choice((500, 502, 503)), {}, b"<html>sorry</html>")

    def throttling(self, _: Items) -> Reply:
        """Too many calls, with and without a hint when to come back."""
        pause = self._chance.choice(("", "7", "90"))
        self.gate.close(float(pause or THROTTLED_S))
        return Reply(429, {"retry-after": pause} if pause else {}, b"{}")

    def refusing(self, _: Items) -> Reply:
        """The credential is not accepted."""
        return Reply(401, {}, b"{}")

    def cut(self, items: Items) -> Reply:
        """The beginning of the answer."""
        body = _reply(items).body
        return Reply(200, {}, body[: self._chance.randrange(len(body))])

    def garbage(self, _: Items) -> Reply:
        """Not what was agreed on."""
        bodies = (b"", b"null", b"[]", b"{}", b'{"shipments": 5}', b'{"shipments": [null, 3]}', b"\xff\xfe")
        return Reply(200, {}, self._chance.choice(bodies))

    def emptied(self, items: Items) -> Reply:
        """All events are gone."""
        return _reply([{**item, "events": [], "current": None} for item in items])

    def shortened(self, items: Items) -> Reply:
        """The newest events are gone."""
        return _reply([{**item, "events": item.get("events", [])[2:], "current": None} for item in items])

    def shuffled(self, items: Items) -> Reply:
        """Events in any order, some of them twice."""
        for item in items:
            events = item.get("events", []) + item.get("events", [])[:2]
            self._chance.shuffle(events)
            item["events"] = events
        return _reply(items)

    def forgetful(self, items: Items) -> Reply:
        """Never heard of these numbers."""
        return _reply([{"number": item["number"], "result": 404} for item in items])

    def swapped(self, items: Items) -> Reply:
        """Answers for numbers that nobody asked about."""
        return _reply([{**item, "number": f"SANDBOXOTHER{place}"} for place, item in enumerate(items)])

    def missing(self, items: Items) -> Reply:
        """Some numbers are not answered."""
        return _reply(items[1:])

    def mixed(self, items: Items) -> Reply:
        """Every second number fails by itself."""
        return _reply([{**item, "result": 500} if at % 2 else item for at, item in enumerate(items)])

    def repeated(self, items: Items) -> Reply:
        """An answer from before, in place of today's."""
        return _reply([self._last.get(item["number"], [item])[0] for item in items])


FAULTS: tuple[Callable[[SickCarrier, Items], Reply], ...] = (
    SickCarrier.delayed, SickCarrier.lost, SickCarrier.failing, SickCarrier.throttling, SickCarrier.refusing,
    SickCarrier.cut, SickCarrier.garbage, SickCarrier.emptied, SickCarrier.shortened, SickCarrier.shuffled,
    SickCarrier.forgetful, SickCarrier.swapped, SickCarrier.missing, SickCarrier.mixed, SickCarrier.repeated,
)  # fmt: skip


def _reply(items: Items, headers: dict[str, str] | None = None) -> Reply:
    return Reply(200, headers or {}, json.dumps({"shipments": items}).encode())
