"""Who is asked about a shipment (docs/why/0005-who-is-asked.md).

1. The carrier itself, with the operator's credential.
2. For an S10 number whose destination the caller gave: the post there.
3. 17TRACK as an upstream.
4. Nobody; the shipment says which settings are missing.

A source that goes on not knowing a number, or refusing it, is given up for the upstream, once and for good.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from hashlib import blake2b

from parcelwire.domain.errors import CarrierError, MissingCredential, Refused, UnknownNumber
from parcelwire.domain.exchange import Reply
from parcelwire.domain.limits import Reach
from parcelwire.domain.numbers import normalise
from parcelwire.domain.posts import posts_of
from parcelwire.domain.queue import home
from parcelwire.domain.report import Report
from parcelwire.domain.values import dataclass
from parcelwire.ports import Alerts, Carrier, Due, Told
from parcelwire.wire.directory import STRANGER

NO_SOURCE = "none"  # the lane of shipments that nobody can be asked about
# How many days a source may know nothing of a number before the upstream is asked instead.
PATIENCE_DAYS: Mapping[Reach, float] = {Reach.OWN: 0.5, Reach.ANY: 3}

_S10 = re.compile(r"[A-Z]{2}\d{9}[A-Z]{2}", re.ASCII)
_DESTINATION = re.compile(r"([A-Z]{2})(?:-.*)?", re.ASCII)  # 17TRACK's param: FR-1000AA


@dataclass(frozen=True, slots=True)
class Upstream:
    """17TRACK as a source, and what the operator allows it to cost."""

    source: Carrier
    cap: int | None = None  # quota units a month; None: as far as the quota there goes
    real_time: bool = False  # whether real-time questions may be bought there


@dataclass(frozen=True, slots=True)
class Said:
    """What came of asking about one shipment. ``whole``: it is an error of the whole conversation."""

    answer: Report | CarrierError | Told
    ms: int = 0
    raw: Reply | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Who is asked, and why (a phrase for ``explain``). ``source`` None: nobody can be."""

    source: Carrier | None
    why: str


@dataclass(frozen=True, slots=True)
class Routes:
    """All sources that have their credentials.

    ``sources``: carrier slug -> the carrier file that asks it. ``missing``: carrier slug -> the settings that
    would give it one.
    """

    sources: Mapping[str, Carrier] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upstream: Upstream | None = None
    upstream_setting: str = ""  # what would give us an upstream
    alerts: Mapping[str, Alerts] = field(default_factory=dict)  # who may push to us: source slug -> its file

    def route(
        self, carrier: str, number: str, param: str | None = None, given_up: str | None = None
    ) -> Route:
        """The source for a number of this carrier. ``given_up``: why its first source is no longer asked."""
        upstream = self.upstream_for(carrier)
        if given_up and upstream:
            return Route(upstream.source, f"17TRACK upstream: {given_up}")
        direct = self.sources.get(carrier)
        if direct is not None:
            return Route(direct, "the carrier itself, with your credential")
        post = self._destination_post(number, param)
        if post is not None:
            return Route(post, "the post of the destination, with your credential")
        if upstream:
            return Route(upstream.source, "17TRACK upstream: no credential for the carrier itself")
        return Route(None, str(self.trouble(carrier)))

    def lane(self, carrier: str, number: str, param: str | None = None) -> str:
        """The lane in which a new number of this carrier is refreshed."""
        source = self.route(carrier, number, param).source
        return source.lane(number) if source else NO_SOURCE

    def keeps(self, carrier: str, lane: str) -> bool:
        """Whether the shipments of a carrier in a lane can stay there after a change of the settings."""
        source, direct = self.named(lane), self.sources.get(carrier)
        if source is None:
            return lane == NO_SOURCE and self.route(carrier, "").source is None
        return source is direct or direct is None

    def moved(self, carrier: str, lane: str) -> str | None:
        """Where shipments go that cannot stay in a lane: without a source to where a new number would, else
        to where it is decided one by one."""
        if self.keeps(carrier, lane):
            return None
        return self.lane(carrier, "") if lane == NO_SOURCE else NO_SOURCE

    @property
    def signature(self) -> str:
        """Another one when some shipments may have to move."""
        known = sorted((carrier, source.slug) for carrier, source in self.sources.items())
        upstream = self.upstream and (self.upstream.source.slug, sorted(self.upstream.source.serves))
        return blake2b(repr((known, upstream)).encode(), digest_size=16).hexdigest()

    def trouble(self, carrier: str) -> MissingCredential:
        """What stands in the way of asking about a carrier."""
        return MissingCredential(carrier, self.missing.get(carrier, ()), self.upstream_setting)

    def named(self, lane: str) -> Carrier | None:
        """The source that a lane asks; a lane is named ``slug`` or ``slug:credential``."""
        slug = home(lane).partition(":")[0]
        if self.upstream and self.upstream.source.slug == slug:
            return self.upstream.source
        return next((source for source in self.sources.values() if source.slug == slug), None)

    def upstream_for(self, carrier: str) -> Upstream | None:
        """The upstream, when it can answer for this carrier."""
        upstream = self.upstream
        return upstream if upstream and upstream_serves(upstream.source, carrier) else None

    def gives_up(self, source: Carrier, due: Due, said: Said, now: datetime, day: timedelta) -> str | None:
        """Why the upstream is asked from now on; None to go on with this source. ``day``: its pace."""
        shipment, answer = due.shipment, said.answer
        if source.reach is Reach.BOUGHT or self.upstream_for(shipment.carrier) is None:
            return None
        if any(history.source == source.slug for history in due.histories):
            return None
        if not isinstance(answer, UnknownNumber | Refused):
            return None
        refused = isinstance(answer, Refused)
        if refused and source.reach is Reach.OWN and not said.whole:
            return f"{source.slug} does not show this parcel to your credential"
        days = PATIENCE_DAYS[source.reach]
        if now - shipment.since < days * day:
            return None
        return f"{source.slug} {'refused' if refused else 'did not know'} the number for {days:g} days"

    def _destination_post(self, number: str, param: str | None) -> Carrier | None:
        given = _DESTINATION.fullmatch((param or "").strip().upper())
        if given is None or not _S10.fullmatch(normalise(number) or ""):
            return None
        posts = (post.carrier for post in posts_of(number[:2], given[1]))
        return next((self.sources[post] for post in posts if post in self.sources), None)


def upstream_serves(source: Carrier, carrier: str) -> bool:
    """Whether an upstream can be asked about a carrier: not about our own sandbox."""
    return carrier != "sandbox" and (carrier in source.serves or carrier.startswith(STRANGER))
