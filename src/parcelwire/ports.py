"""Every seam on one screen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from parcelwire.domain.account import Account, NewAccount, Usage
from parcelwire.domain.endpoint import Endpoint, NewEndpoint, Signal, Turn
from parcelwire.domain.errors import CallerError
from parcelwire.domain.exchange import Access, Conversation, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.lane import Lane
from parcelwire.domain.limits import Limits
from parcelwire.domain.merge import History
from parcelwire.domain.push import Chosen, FeedItem, NewPush, PushJob, PushRecord, PushResult, PushState
from parcelwire.domain.report import Address
from parcelwire.domain.shipment import Shipment, Wish


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

    @property
    def slug(self) -> str:
        """Names the settings PARCELWIRE_CARRIER_<SLUG>_*."""
        ...

    @property
    def serves(self) -> Sequence[str]:
        """Slugs of the carriers (wire/carriers.csv) whose numbers it can answer."""
        ...

    @property
    def base_url(self) -> str: ...

    @property
    def secrets(self) -> Sequence[str]:
        """Names of the credentials that it cannot work without; () = none needed."""
        ...

    @property
    def batch(self) -> int:
        """Numbers a call."""
        ...

    @property
    def limits(self) -> Limits: ...

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


@dataclass(frozen=True, slots=True)
class Document:
    """``track_info`` as stored: encoded once, its moving parts open (wire/trackinfo.py)."""

    template: bytes
    estimate: bytes
    sources: tuple[str, ...]  # of the legs, in their order


@dataclass(frozen=True, slots=True)
class Charge:
    """Quota for one real-time question. ``held``: to be settled when its outcome is known."""

    reference: str  # never used again
    amount: int
    held: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """One number to register. ``lane`` is where it will be refreshed."""

    number: str
    carrier: str
    code: int
    origin: int
    lane: str
    wish: Wish


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed shipment and what its sources have said so far."""

    shipment: Shipment
    histories: tuple[History, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refresh for the log: what ``explain`` shows."""

    at: datetime
    lane: str
    outcome: str
    ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh changed. Saved only while ``shipment.lease`` is still held."""

    shipment: Shipment  # as it is after the refresh
    attempt: Attempt
    history: History | None = None  # None: the source said nothing about the number
    document: Document | None = None  # None: as before
    pushes: tuple[NewPush, ...] = ()
    raw: Reply | None = None  # the carrier's reply, kept as it came


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of a registration by its owner: ``before`` as it was read, ``shipment`` as it shall be.

    Saved only while what is stored differs from ``before`` in nothing but ``refresh_at`` and ``lease``.
    """

    before: Shipment
    shipment: Shipment
    pushes: tuple[NewPush, ...] = ()


class Store(Protocol):
    """State on disk. Every method that writes is one transaction: it happened whole or not at all."""

    def on_work(self, hint: Callable[[], None]) -> None:
        """Call ``hint`` when something may have become due (a hint only; the due times are the truth)."""
        ...

    def on_turn(self, tell: Callable[[Turn], None]) -> None:
        """Call ``tell`` after each commit in which an endpoint came into another state."""
        ...

    async def close(self) -> None: ...

    # accounts and quota
    async def accounts(self) -> list[Account]: ...
    async def open_account(self, new: NewAccount, now: datetime) -> Account: ...
    async def account_of_key(self, login_key: str) -> Account | None: ...
    async def set_plan(self, account: int, plan: str, quota_total: int) -> None: ...
    async def endpoint(self, account: int) -> Endpoint | None:
        """The webhook receiver that ``set_endpoint`` made; an account has at most one of these."""
        ...

    async def set_endpoint(self, account: int, url: str, secret: str, *, stopped_by_request: bool) -> None:
        """Make it (``by_setting``), or replace its URL and secret at once."""
        ...

    async def endpoints(self, account: int) -> list[Endpoint]:
        """All webhook receivers of the account, in the order in which they were added."""
        ...

    async def add_endpoint(self, account: int, new: NewEndpoint) -> Endpoint:
        """One more receiver. It hears of changes that are made from now on."""
        ...

    async def remove_endpoint(self, account: int, endpoint: int) -> bool:
        """Remove a receiver with its pushes and their log; False when the account has none of this id.

        The result of an attempt that is under way will be dropped.
        """
        ...

    async def steer_endpoint(self, account: int, endpoint: int, signal: Signal, now: datetime) -> bool:
        """Pause or resume (domain.endpoint.steered); False when the account has none of this id.

        Resumed: everything that waits is due, oldest first, with no attempt used up.
        """
        ...

    async def rotate_secret(self, account: int, endpoint: int, secret: str, both_until: datetime) -> bool:
        """A new secret; the one before signs too until ``both_until``. False: no endpoint of this id."""
        ...

    async def set_sign_key(self, account: int, sign_key: str) -> None: ...
    async def sign_key(self, account: int) -> str:
        """The key of the ``sign`` header."""
        ...

    async def usage(self, account: int, now: datetime) -> Usage: ...
    async def charge(self, account: int, charges: Sequence[Charge], now: datetime) -> list[bool]:
        """Charge in the order given; False where the quota does not suffice."""
        ...

    async def settle(self, account: int, reference: str, amount: int, now: datetime) -> None:
        """Keep ``amount`` of what is held under ``reference`` and give the rest back."""
        ...

    async def release_holds(self, before: datetime, now: datetime) -> int:
        """Give back what calls that died left held. Answers how many."""
        ...

    # registrations
    async def register(
        self, account: int, wanted: Sequence[Wanted], now: datetime
    ) -> list[Shipment | CallerError]:
        """Insert and charge in the order given; the quota's last units go to the first items."""
        ...

    async def look_up(self, account: int, wanted: Wanted, now: datetime) -> Shipment:
        """The shipment of (number, carrier); made in phase looked_up when there is none."""
        ...

    async def find(self, account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        """All shipments of the account with these numbers, in order of registration."""
        ...

    async def change(self, changes: Sequence[Changed], now: datetime) -> list[bool]:
        """Which changes were saved, in their order; False: the shipment was another by now, read it again.

        A saved change ends the lease: the result of a refresh that is under way will be dropped.
        """
        ...

    # refreshing
    async def lanes(self) -> dict[str, datetime]:
        """Lanes that have something to refresh, and when first."""
        ...

    async def lane(self, name: str) -> Lane: ...
    async def save_lane(self, lane: Lane, revision: int) -> bool:
        """Compare and set: False when the lane is no longer at ``revision``."""
        ...

    async def claim(self, lane: str, most: int, now: datetime, until: datetime, lease: str) -> list[Due]:
        """Due shipments of a lane, leased until ``until``.

        Of shipments with the same number only one: answers of a conversation are told apart by number.
        """
        ...

    async def claim_one(self, shipment: int, until: datetime, lease: str) -> Due | None:
        """One shipment whether due or not; a lease that somebody else holds is taken over."""
        ...

    async def complete(self, results: Sequence[Refreshed]) -> int:
        """Save results; answers how many were dropped because their lease had gone."""
        ...

    async def reroute(self, carrier: str, lane: str, now: datetime) -> int:
        """Move the shipments of a carrier to another lane; moved ones are due now."""
        ...

    async def attempts(self, shipment: int, most: int) -> list[Attempt]:
        """The newest refreshes of a shipment."""
        ...

    async def prune(self, before: datetime) -> int:
        """Forget log rows, pushes done and unused raw replies of earlier times; answers how many.

        A change is forgotten with the last push that refers to it, if it is older.
        """
        ...

    async def rewind(self, shipment: int, by: timedelta, now: datetime) -> None:
        """Let a sandbox journey, with all that is known of it, be older by ``by``, and due now."""
        ...

    # pushing
    #
    # A change that is saved with pushes becomes one row of the feed and, for every endpoint of the account
    # that wants it (Wants.hears with the main status of the shipment), one push. Of the pending pushes of an
    # endpoint and a shipment only the one with the lowest version is *at the head*: it has a send time, the
    # others wait for it. An endpoint's state decides what of that is due:
    #   healthy  heads whose time has come, oldest first, while fewer than ``width`` are under way;
    #   failing  from ``probe_at`` on one head, whatever its time, while none is under way;
    #   paused   nothing.
    async def pushes_due(self) -> datetime | None:
        """Not later than when the next push is due; None: nothing waits. It may be too early, never late."""
        ...

    async def claim_pushes(self, most: int, now: datetime, until: datetime, lease: str) -> list[PushJob]:
        """Due pushes of all endpoints, leased until ``until``; no endpoint can take the places of others.

        The one of a failing endpoint is a probe. A lease that ends makes its push due again.
        """
        ...

    async def finish_pushes(self, results: Sequence[PushResult]) -> int:
        """Save attempts in their order; answers how many were dropped because their lease had gone.

        Each goes into the log and to its endpoint's health (domain.endpoint.after). Sent: done. Failed: again
        at ``again_at``, or dead without one; but when the endpoint is failing or paused by now the push waits
        with its old place in the queue (its send time is that of its creation) and no attempt used up. An
        endpoint that comes to fail, and one that is healthy again, has all its heads due like that. Whatever
        is done lets the next version go. A failed UPDATED with SUPERSEDE_AFTER attempts and all older ones
        are superseded by the newest pending UPDATED of the shipment when there is a newer one.
        """
        ...

    async def exchange_pushes(
        self, results: Sequence[PushResult], most: int, now: datetime, until: datetime, lease: str
    ) -> tuple[int, list[PushJob]]:
        """``finish_pushes``, then ``claim_pushes``, in one transaction; both answers."""
        ...

    async def replay_pushes(self, account: int, chosen: Chosen, now: datetime) -> int:
        """Make pushes that are done pending again, with their ids and bytes; answers how many.

        Those that are pending already are left alone. The order of versions of a shipment holds among all
        that is pending.
        """
        ...

    async def push_counts(self, account: int) -> dict[int, dict[PushState, int]]:
        """By endpoint: how many pushes are pending, how many dead."""
        ...

    async def push_log(self, account: int, chosen: Chosen, most: int) -> list[PushRecord]:
        """The newest pushes, newest first, each with its attempts."""
        ...

    # the pull feed
    async def feed(self, account: int, after: int, most: int) -> list[FeedItem]:
        """Changes with a cursor above ``after``, ascending: ``most``, or fewer when they are large.

        Cursors grow in the order of commits within an account: who has seen one will never find a lower one
        later. They are above 0 and never used again.
        """
        ...

    async def feed_ends(self, account: int) -> tuple[int, int]:
        """The newest cursor that was forgotten (``prune``), and the newest that there is; 0 without one."""
        ...


class Answered(Protocol):
    """An endpoint took a message. ``body_start``: at most the first 2 KiB of what it said."""

    @property
    def http_status(self) -> int: ...
    @property
    def ms(self) -> int: ...
    @property
    def body_start(self) -> bytes: ...


class Sender(Protocol):
    """Sends webhook messages to URLs given by users (net/push.py)."""

    def check(self, url: str) -> None:
        """Raises UrlRefused, with the reason, for a URL that would never be called."""
        ...

    async def send(self, url: str, body: bytes, headers: dict[str, str], total_s: float) -> Answered:
        """One attempt. PushError for anything but a 2xx answer."""
        ...


class StandIn(Protocol):
    """Something that answers like a carrier's HTTP API (standins/*.py), for tests and for trying out."""

    slug: str

    def answer(self, request: Request, now: datetime) -> Reply: ...
