"""``parcelwire serve`` as a child process, a receiver beside it, and what the database says afterwards."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from tests.process.child import KEY, SECRET, Child, environment, serve

from parcelwire.domain.poison import TROUBLE
from parcelwire.net.clock import SystemClock
from parcelwire.standins.server import listening
from parcelwire.wire.signature import verify

__all__ = ["Child", "Receiver", "environment", "ledger_errors", "parked", "receiver", "serve"]

ORDER = (  # of a whole sandbox journey
    "InfoReceived", "InTransit_PickedUp", "InTransit_Departure", "InTransit_Arrival",
    "InTransit_CustomsProcessing", "OutForDelivery_Other", "Delivered_Other",
)  # fmt: skip


@dataclass
class Receiver:
    """Keeps what arrives; refuses the first attempt of a third of the pushes when ``fails``."""

    fails: bool = False
    url: str = ""
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)  # acknowledgements by id
    stories: dict[str, list[str]] = field(default_factory=dict)  # sub-statuses taken, by number
    forged: int = 0

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """One push."""
        body = await request.read()
        if not verify(request.headers, body, key=KEY, secret=SECRET, now=SystemClock().now()):
            self.forged += 1
            return web.Response(status=401)
        push = request.headers["webhook-id"]
        first = push not in self.bodies
        self.bodies.setdefault(push, set()).add(body)
        if self.fails and first and int(push[-2:], 16) % 3 == 0:
            return web.Response(status=500)
        repeated = push in self.taken
        self.taken[push] = self.taken.get(push, 0) + 1
        data = json.loads(body)["data"]
        if "track_info" in data and not repeated:
            told = data["track_info"]["latest_status"]["sub_status"]
            self.stories.setdefault(data["number"], []).append(told)
        return web.Response()

    @property
    def two_bodies(self) -> int:
        """Ids that came with more than one body."""
        return sum(len(bodies) > 1 for bodies in self.bodies.values())

    @property
    def repeated(self) -> int:
        """Ids that were acknowledged and came again."""
        return sum(count > 1 for count in self.taken.values())

    @property
    def went_back(self) -> int:
        """Numbers whose status was told backwards."""
        ranks = ([ORDER.index(told) for told in story if told in ORDER] for story in self.stories.values())
        return sum(ranked != sorted(ranked) for ranked in ranks)

    def delivered(self, number: str) -> bool:
        """Whether the end of a journey was told."""
        return "Delivered_Other" in self.stories.get(number, ())


@asynccontextmanager
async def receiver(*, fails: bool = False) -> AsyncIterator[Receiver]:
    """A receiver on a free loopback port."""
    made = Receiver(fails)
    async with listening(made.handle) as url:
        made.url = f"{url}/hook"
        yield made


def parked(folder: Path) -> int:
    """Shipments and pushes that were taken for what had killed the process."""
    with closing(sqlite3.connect(folder / "parcelwire.db")) as connection:
        (shipments,) = connection.execute(
            "SELECT count(*) FROM shipment WHERE trouble = ?", (TROUBLE,)
        ).fetchone()
        (pushes,) = connection.execute("SELECT count(*) FROM push WHERE state = 'dead'").fetchone()
    return int(shipments + pushes)


def ledger_errors(folder: Path) -> int:
    """Periods whose counter is not the sum of the ledger, and registrations not charged exactly once."""
    with closing(sqlite3.connect(folder / "parcelwire.db")) as connection:
        (periods,) = connection.execute(
            """SELECT count(*) FROM quota_used u WHERE units <> (SELECT coalesce(sum(amount), 0)
            FROM quota_entry e WHERE e.account = u.account AND e.period = u.period)"""
        ).fetchone()
        (registered,) = connection.execute(
            "SELECT count(*) FROM shipment WHERE registered_at IS NOT NULL"
        ).fetchone()
        (charged,) = connection.execute(
            "SELECT count(*) FROM quota_entry WHERE kind = 'register' AND amount = 1"
        ).fetchone()
    return int(periods + abs(registered - charged))
