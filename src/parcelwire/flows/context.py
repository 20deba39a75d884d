"""What every use case works with: the ports and the decisions of the operator."""

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from parcelwire.domain.schedule import NORMAL_PACE, Pace
from parcelwire.domain.shipment import Shipment
from parcelwire.ports import Carrier, Clock, Fetcher, Sender, Store, Zones
from parcelwire.wire.directory import Directory, Entry

T = TypeVar("T")

NO_SOURCE = "none"  # the lane of shipments that nobody can be asked about


class Once(Protocol):
    """Runs a piece of work once however many ask for it at the same time (net/flights.py)."""

    def __call__(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Routes:
    """Who is asked about the numbers of a carrier.

    ``sources``: carrier slug -> the carrier file that has its credentials. ``missing``: carrier slug -> the
    settings that would give it a source.
    """

    sources: Mapping[str, Carrier] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lane(self, carrier: str, number: str) -> str:
        """The lane in which a number of this carrier is refreshed."""
        source = self.sources.get(carrier)
        return source.lane(number) if source else NO_SOURCE


@dataclass(frozen=True, slots=True)
class Context:
    """Ports and decisions, made once in app.py."""

    store: Store
    fetcher: Fetcher
    sender: Sender
    clock: Clock
    zone_of: Zones
    routes: Routes
    directory: Directory
    book: str  # reference or official: the codes that we answer when nobody gave one
    new_id: Callable[[], str]  # random, for leases and references
    new_secret: Callable[[], str]  # random, for endpoints (whsec_...)
    together: Callable[[Sequence[Coroutine[Any, Any, None]]], Awaitable[object]]
    once: Once
    pace: Pace = NORMAL_PACE
    paces: Mapping[str, Pace] = field(default_factory=dict)  # by source slug, where it differs
    lease: timedelta = timedelta(seconds=60)

    def pace_of(self, carrier: str) -> Pace:
        """How time runs for a carrier."""
        source = self.routes.sources.get(carrier)
        return self.paces.get(source.slug, self.pace) if source else self.pace


@dataclass(frozen=True, slots=True)
class Names:
    """How the sources of one shipment are shown (wire.trackinfo.Naming): the registered carrier under the
    caller's own code, every other one under the book's."""

    shipment: Shipment
    context: Context

    def code(self, source: str) -> int:
        """The code of a source."""
        if self._is_own(source):
            return self.shipment.code
        return self.context.directory.code_of(source, self.context.book)

    def entry(self, source: str) -> Entry:
        """Name, homepage and country of a source."""
        slug = self.shipment.carrier if self._is_own(source) else source
        return self.context.directory.entry(slug) or Entry(slug, 0, slug, "", "")

    def _is_own(self, source: str) -> bool:
        carrier = self.context.routes.sources.get(self.shipment.carrier)
        return source == self.shipment.carrier or (carrier is not None and carrier.slug == source)
