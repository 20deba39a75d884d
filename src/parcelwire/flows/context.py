"""What every use case works with: the ports and the decisions of the operator."""

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from parcelwire.domain.poison import Piece
from parcelwire.domain.schedule import NORMAL_PACE, Pace
from parcelwire.domain.shipment import Shipment
from parcelwire.flows.load import Loads
from parcelwire.flows.memory import Memory
from parcelwire.flows.metrics import Meters
from parcelwire.flows.routes import Routes
from parcelwire.flows.shelf import Shelf
from parcelwire.ports import (
    Clock,
    Failpoint,
    Fetcher,
    Keyring,
    Sender,
    Store,
    Watch,
    Zones,
    no_failpoint,
    unwatched,
)
from parcelwire.wire.directory import Directory, Entry

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Once(Protocol):
    """Runs work once for each key however many ask for it at the same time (net/flights.py)."""

    def __call__(
        self, keys: Sequence[K], work: Callable[[Sequence[K]], Coroutine[Any, Any, Mapping[K, T]]]
    ) -> Awaitable[Mapping[K, T | BaseException]]: ...


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
    new_id: Callable[[], str]  # random: leases, references, login keys
    new_secret: Callable[[], str]  # random, for endpoints (whsec_...)
    together: Callable[[Sequence[Coroutine[Any, Any, None]]], Awaitable[object]]
    once: Once
    pace: Pace = NORMAL_PACE
    paces: Mapping[str, Pace] = field(default_factory=dict)  # by source slug, where it differs
    lease: timedelta = timedelta(seconds=60)
    loads: Loads = field(default_factory=Loads)
    memory: Memory = field(default_factory=Memory)
    shelf: Shelf = field(default_factory=Shelf)
    failpoint: Failpoint = no_failpoint
    keyring: Keyring | None = None  # None: the secret key stays as it is
    watch: Watch = unwatched
    meters: Meters = field(default_factory=Meters)
    suspects: set[Piece] = field(default_factory=set)  # what has strikes, as far as this process knows

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
        """The code of a source. One behind an upstream that is in no directory has the upstream's code."""
        slug = self._slug(source)
        if slug == self.shipment.carrier:
            return self.shipment.code
        if slug is None or self.context.directory.entry(slug) is None:
            return code_behind(source)
        return self.context.directory.code_of(slug, self.context.book)

    def entry(self, source: str) -> Entry | None:
        """Name, homepage and country of a source; None when the directory does not have it."""
        slug = self._slug(source)
        return self.context.directory.entry(slug) if slug else None

    def _slug(self, source: str) -> str | None:
        """The carrier that a source speaks for."""
        own = self.shipment.carrier
        code = code_behind(source)
        if code:
            entry = self.context.directory.entry(own)
            return own if entry and entry.code == code else self.context.directory.official(code)
        direct = self.context.routes.sources.get(own)
        return own if direct is not None and direct.slug == source else source


def code_behind(source: str) -> int:
    """17TRACK's code of the carrier behind an upstream (``slug/code``), else 0."""
    code = source.partition("/")[2]
    return int(code) if code.isdecimal() else 0
