"""Every seam on one screen."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Protocol

from parcelwire.domain.exchange import Access, Conversation, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits
from parcelwire.domain.report import Address


class Clock(Protocol):
    """Time as an argument: wall time for stored due times, monotonic time for durations."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Zones(Protocol):
    """Places to time zones, offline. None when the place does not decide it."""

    def __call__(self, place: Address) -> tzinfo | None: ...


class Carrier(Protocol):
    """One carrier file (carriers/*.py): it knows a protocol and does no I/O."""

    slug: str  # names the settings PARCELWIRE_CARRIER_<SLUG>_*
    serves: Sequence[str]  # slugs of the carriers (wire/carriers.csv) whose numbers it can answer
    base_url: str
    secrets: Sequence[str]  # names of the credentials it cannot work without; () = none needed
    batch: int  # numbers a call
    limits: Limits

    def lane(self, number: str) -> str:
        """The lane that a number belongs to; nearly always just the slug."""
        ...

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:
        """How to get an access token; None when the carrier needs none."""
        ...

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """Ask about up to ``batch`` numbers. Raises CarrierError when the whole call failed."""
        ...


class Fetcher(Protocol):
    """Holds conversations with carriers: base URL, access token, deadlines, size limits."""

    async def ask(self, carrier: Carrier, queries: Sequence[Query]) -> Conversation:
        """An answer for every query. Never raises CarrierError: what failed is in the conversation."""
        ...


class StandIn(Protocol):
    """Something that answers like a carrier's HTTP API (standins/*.py), for tests and for trying out."""

    slug: str

    def answer(self, request: Request, now: datetime) -> Reply: ...
