"""Every seam on one screen."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from parcelwire.domain.account import Account, LoginKey, NewAccount, Usage
from parcelwire.domain.audit import Chain, Deed
from parcelwire.domain.detect import LearnedKey
from parcelwire.domain.endpoint import Endpoint, EndpointState, EndpointTurn, NewEndpoint, Signal
from parcelwire.domain.errors import CallerError
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Conversation,
    Exchange,
    Proof,
    Query,
    Reply,
    Request,
    TokenExchange,
)
from parcelwire.domain.lane import Grant, Lane
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.listing import Filter, Order
from parcelwire.domain.merge import History
from parcelwire.domain.poison import Piece, Strike
from parcelwire.domain.push import Chosen, FeedItem, NewPush, PushJob, PushRecord, PushResult, PushState
from parcelwire.domain.report import Address
from parcelwire.domain.shipment import Shipment, Wish
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Dates
from parcelwire.domain.values import dataclass

T = TypeVar("T")


class Clock(Protocol):
    """Time as an argument: wall time for stored due times, monotonic time for durations."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Failpoint(Protocol):
    """Called at every boundary that a crash may fall on, with its name: one of FAILPOINTS.

    Tests stop the service there: what it raises is what happens at that point (faults/points.py).
    """

    def __call__(self, name: str, /) -> None: ...


FAILPOINTS = (
    "commit.before",  # a transaction has done its work
    "commit.after",  # it is on disk, and nobody has been told
    "ask.before",  # a request to a carrier, also one for an access token
    "ask.after",  # its reply is here
    "complete.before",  # what a refresh changed is decided
    "complete.after",
    "push.before",  # an attempt to push
    "push.after",  # its answer is here
    "finish.before",  # what came of it is decided
    "finish.after",
)


def no_failpoint(_name: str, /) -> None:
    """Nothing ever happens."""


class Watch(Protocol):
    """Does something, so that it is known afterwards if the process dies while this work is being done."""

    def __call__(self, work: Sequence[Piece], doing: Coroutine[Any, Any, T], /) -> Awaitable[T]: ...


def unwatched(_work: Sequence[Piece], doing: Coroutine[Any, Any, T], /) -> Awaitable[T]:
    """Nobody will know."""
    return doing


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

    @property
    def reach(self) -> Reach:
        """Whose parcels it sees: decides who is asked (flows/routes.py)."""
        ...

    def lane(self, number: str) -> str:
        """The lane that a number belongs to; nearly always just the slug."""
        ...

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:
        """How to get an access token; None when the carrier needs none."""
        ...

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """Ask about up to ``batch`` numbers. Raises CarrierError when the whole call failed."""
        ...

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        """What one reply to ``track`` says. Raises CarrierError when the whole call failed."""
        ...


@runtime_checkable
class Alerts(Protocol):
    """A carrier file whose carrier pushes to us, too: what it says is taken as a reason to ask it now."""

    @property
    def slug(self) -> str: ...

    @property
    def serves(self) -> Sequence[str]: ...

    @property
    def alert_proof(self) -> Proof: ...

    @property
    def alert_header(self) -> str:
        """Where the proof is, unless a setting says other."""
        ...

    def alerted(self, body: bytes) -> Sequence[str]:
        """The numbers that a push is about; none when it is about nothing that we need.

        MalformedReply, which parks it for the operator, when it cannot be read or needs a human.
        """
        ...


class Permit(Protocol):
    """Awaited just before a request is sent: whether it may be. Raises NoRoom when it may not be within
    ``patience_s``, and StoreUnavailable when nobody knows."""

    def __call__(self, patience_s: float, /) -> Awaitable[None]: ...


async def unlimited(_patience_s: float, /) -> None:
    """Nobody counts."""


class Fetcher(Protocol):
    """Holds conversations with carriers: base URL, access token, deadlines, size limits."""

    async def ask(
        self, carrier: Carrier, queries: Sequence[Query], permit: Permit = unlimited
    ) -> Conversation:
        """An answer for every query. Never raises CarrierError: what failed is in the conversation.

        ``permit`` is asked for every request but those for an access token, which carriers count apart."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """``track_info`` as stored: encoded once, its moving parts open (wire/trackinfo.py)."""

    template: bytes
    estimate: bytes


class Shown(NamedTuple):
    """What a read needs of a shipment, as it is stored: to make a whole one costs more than all the rest of a
    read (docs/why/0014-reads-are-narrow.md). Times are since the epoch.

    ``digest`` and ``changed_us`` name the document: when they are the same, so is it.
    """

    id: int
    number: str
    carrier: str
    code: int
    phase: str  # domain.shipment.Phase
    since_us: int
    wish: str  # JSON of domain.shipment.Wish
    sub_status: str | None  # domain.status.SubStatus; None: there is no document
    descr: str | None
    digest: str | None
    changed_us: int | None
    first_day: int | None  # of the marks (domain.timeline.Dates)
    transit_day: int | None
    done_day: int | None
    newest_day: int | None
    asked_s: int | None
    answered_us: int | None
    trouble: str | None
    template: bytes | None  # of the document, as is the estimate; None: there is none, or it was left out
    estimate: bytes | None

    @property
    def dates(self) -> Dates:
        """The dates of the marks."""
        return self.first_day, self.transit_day, self.done_day, self.newest_day


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
class KeyedCall:
    """A call with an Idempotency-Key: the same key with another body is another call by mistake."""

    endpoint: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed shipment and what its sources have said so far."""

    shipment: Shipment
    histories: tuple[History, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One call that may be made, and the shipments that it is for.

    ``grant`` is None when nothing is due; when it is a refusal nothing was claimed.
    """

    grant: Grant | None = None
    due: tuple[Due, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One refresh for the log: what ``explain`` shows."""

    at: datetime
    lane: str
    outcome: str
    ms: int
    text: str


Taking = Callable[[Lane, datetime], Grant]  # domain.lane.take or take_more, at a time not before the given
Count = tuple[LearnedKey, int]  # shipments more of a carrier among the numbers of a shape; -1: one less
LEARNED_MAX = 2000  # carriers of shapes that are remembered of an account


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one refresh changed. Saved only while ``shipment.lease`` is still held."""

    shipment: Shipment  # as it is after the refresh
    attempt: Attempt
    histories: tuple[History, ...] = ()  # those that changed; none: nothing was said about the number
    document: Document | None = None  # None: as before
    pushes: tuple[NewPush, ...] = ()
    raw: Reply | None = None  # the carrier's reply, kept as it came
    given_up: str | None = None  # why another source is asked from now on; ``shipment.lane`` is its lane
    corrects: bool = False  # the carrier, too: dropped when the account has registered it with that one
    counts: tuple[Count, ...] = ()
    error: str | None = None  # an unexpected one, of ours: not what the carrier did


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of a registration by its owner: ``before`` as it was read, ``shipment`` as it shall be.

    Saved only while what is stored differs from ``before`` in nothing but ``refresh_at`` and ``lease``.
    """

    before: Shipment
    shipment: Shipment
    pushes: tuple[NewPush, ...] = ()
    forgets: bool = False  # all that its sources have said: another carrier is asked from now on
    counts: tuple[Count, ...] = ()


class Listed(NamedTuple):
    """What a row of the list needs of a registration, as it is stored (docs/why/0014-reads-are-narrow.md).
    Times are microseconds since the epoch.
    """

    id: int
    number: str
    code: int
    phase: str  # domain.shipment.Phase
    wish: str  # JSON of domain.shipment.Wish
    registered_us: int | None
    asked_us: int | None
    stopped_us: int | None
    stop_reason: str | None  # domain.shipment.StopReason
    sub_status: str | None  # domain.status.SubStatus
    trouble: str | None
    retracked: int  # 1: it was
    carrier_changes: int
    template: bytes | None  # of the document; None: there is none
    push: int  # domain.listing.PushStanding of the last attempt
    push_code: int | None  # its HTTP status; None: no answer
    push_us: int | None


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list, and how many rows all pages have together."""

    total: int
    rows: list[Listed]


Pair = tuple[str, str]  # number and carrier: what an upstream registers once for all accounts


@dataclass(frozen=True, slots=True)
class BoughtNumber:
    """What is known of a pair at an upstream. ``buyer``: the shipment that it was registered for."""

    pair: Pair
    buyer: int | None
    registered_at: datetime | None  # None: not, not confirmed, or no longer
    bought_at: datetime | None  # when it was registered last
    given_up: str | None  # why the carrier's own source is no longer asked
    stopped_at: datetime | None  # the upstream told us that it stopped tracking


@dataclass(frozen=True, slots=True)
class Spent:
    """The ledger of an upstream in one month. Units of quota; ``fresh`` counts questions."""

    registered: int
    real_time: int
    begun: int  # registrations whose outcome is not known yet: they count against the cap
    shared: int  # registrations that were not bought, because another shipment had bought them
    fresh: int  # questions that were answered with what another shipment had been told
    known: int  # numbers registered there, of all months


@dataclass(frozen=True, slots=True)
class Told:
    """What a source has told about a shipment."""

    shipment: Shipment
    histories: tuple[History, ...]


class Old(StrEnum):
    """What is forgotten after a while, and the time that counts."""

    REFRESH = "refresh"  # the log of refreshes; when it was asked
    PUSH = "push"  # pushes that are done, with their attempts; when they were
    CHANGE = "change"  # changes that no push refers to; when they came about
    REPLY = "reply"  # raw replies of carriers; when it came last (a day more or less)
    ANSWER = "answer"  # to calls with an Idempotency-Key; when they came
    INBOX = "inbox"  # pushes to us that were processed; when they came
    LEDGER = "ledger"  # quota entries become one sum by account, month and kind; when they were made
    STOPPED = "stopped"  # registrations with all that is known of them; when they were stopped
    LOOKED_UP = "looked_up"  # what was only asked about; when it was first


@dataclass(frozen=True, slots=True)
class Pruned:
    """``count`` rows were forgotten. ``upto``: go on there; None: all that is old has been looked at."""

    count: int
    upto: datetime | None


@dataclass(frozen=True, slots=True)
class Parked:
    """A shipment that is not refreshed any more, because its refreshes harm the process."""

    shipment: int
    number: str
    carrier: str
    at: datetime
    why: str


class InboxState(StrEnum):
    """Of a verified push."""

    WAITING = "waiting"
    DONE = "done"
    UNKNOWN = "unknown"  # about a number that nobody has registered
    PARKED = "parked"  # it cannot be read: for the operator


@dataclass(frozen=True, slots=True)
class Inbound:
    """A verified push that waits to be processed."""

    id: int
    source: str
    at: datetime
    body: bytes = field(repr=False)  # it tells of people


@dataclass(frozen=True, slots=True)
class ParkedInbound:
    """A verified push that waits for the operator."""

    id: int
    source: str
    at: datetime
    why: str


class Work(StrEnum):
    """What may have become due."""

    REFRESH = "refresh"
    PUSH = "push"
    INBOUND = "inbound"


COUNTED_MAX = 100_000  # a size that is larger is shown as this


@dataclass(frozen=True, slots=True)
class Backlog:
    """Shipments of one queue. ``first``: when the first is due, or was; a leased one at its lease's end."""

    due: int
    leased: int
    first: datetime | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is, for monitoring."""

    shipments: Mapping[str, Backlog]  # by queue of a lane
    pushes: Mapping[str, int]  # pending, leased (these are pending, too) and dead
    push_due: datetime | None  # see Store.pushes_due
    parked: int
    endpoints: Mapping[EndpointState, int]
    lanes: tuple[Lane, ...]
    quota_used: int  # units of the month, of all accounts


class Examined(NamedTuple):
    """What was found about the database itself. ``seen``: how much was looked at, when nothing is wrong."""

    seen: str = ""
    damage: str = ""
    unsafe: tuple[str, ...] = ()


class Store(Protocol):
    """State on disk. Every method that writes is one transaction: it happened whole or not at all, and it is
    durable when it is answered.

    ``deed``: what the owner does with it, entered into the account's chain of the audit in the same
    transaction when it is done; None enters nothing.

    Any method raises StoreUnavailable when the database does not work now, StoreBroken when its file is
    damaged. Methods may run at the same time,
    in many processes. Time comes as an argument; the store never looks at a clock. tests/store/
    test_conformance.py says the same in tests that every implementation passes.
    """

    def on_work(self, hint: Callable[[], None], *kinds: Work) -> None:
        """Call ``hint`` when work of these kinds (none given: of any) may have become due.

        It is a hint only; the due times are the truth.

        Every such hint is called, in the event loop, after the commit.
        """
        ...

    def on_turn(self, tell: Callable[[EndpointTurn], None]) -> None:
        """Call ``tell`` after each commit in which an endpoint came into another state."""
        ...

    def on_damage(self, tell: Callable[[str], None]) -> None:
        """Call ``tell`` once, when a call meets damage for the first time."""
        ...

    async def close(self) -> None:
        """Finish what is under way; later calls raise StoreUnavailable."""
        ...

    async def ready(self) -> None:
        """Raises StoreUnavailable when it does not answer or has met damage since it was opened."""
        ...

    async def examine(self, within_s: float) -> Examined:
        """Look for damage, for so many seconds at most, and for settings that make it possible."""
        ...

    # accounts and receivers
    async def accounts(self) -> list[Account]:
        """In the order in which they were opened."""
        ...

    async def open_account(self, new: NewAccount, now: datetime, deed: Deed | None = None) -> Account:
        """A new account with its login key. Names and login keys must be new."""
        ...

    async def account_of_key(self, login_key: str) -> Account | None:
        """Whose live key it is, enabled or not; None for nobody's."""
        ...

    async def save_account(self, account: Account, deed: Deed | None = None) -> None:
        """Daily limit, allow-list and whether it is enabled, as they are in ``account``."""
        ...

    async def keys(self, account: int) -> list[LoginKey]:
        """Its login keys, revoked ones too, oldest first; with which of them pushes are signed, if any."""
        ...

    async def add_key(
        self, account: int, login_key: str, now: datetime, *, signs: bool, deed: Deed | None = None
    ) -> bool:
        """One more login key; False when LIVE_KEYS_MAX are live. ``signs``: it signs pushes too."""
        ...

    async def revoke_key(self, account: int, prefix: str, now: datetime, deed: Deed | None = None) -> bool:
        """End a login key for ever; False when no live key has this prefix."""
        ...

    async def set_plan(self, account: int, plan: str, quota_total: int, deed: Deed | None = None) -> None:
        """Another plan, at once; what is used stays used."""
        ...

    async def endpoint(self, account: int) -> Endpoint | None:
        """The webhook receiver that ``set_endpoint`` made; an account has at most one of these."""
        ...

    async def set_endpoint(
        self, account: int, url: str, secret: str, *, stopped_by_request: bool, deed: Deed | None = None
    ) -> None:
        """Make it (``by_setting``), or replace its URL and secret at once."""
        ...

    async def endpoints(self, account: int) -> list[Endpoint]:
        """All webhook receivers of the account, in the order in which they were added."""
        ...

    async def add_endpoint(self, account: int, new: NewEndpoint, deed: Deed | None = None) -> Endpoint:
        """One more receiver. It hears of changes that are made from now on. Its id ends the deed's
        subject."""
        ...

    async def remove_endpoint(self, account: int, endpoint: int, deed: Deed | None = None) -> bool:
        """Remove a receiver with its pushes and their log; False when the account has none of this id.

        The result of an attempt that is under way will be dropped.
        """
        ...

    async def steer_endpoint(
        self, account: int, endpoint: int, signal: Signal, now: datetime, deed: Deed | None = None
    ) -> bool:
        """Pause or resume (domain.endpoint.steered); False when the account has none of this id.

        Resumed: everything that waits is due, oldest first, with no attempt used up.
        """
        ...

    async def rotate_secret(
        self, account: int, endpoint: int, secret: str, both_until: datetime, deed: Deed | None = None
    ) -> bool:
        """A new secret; the one before signs too until ``both_until``. False: no endpoint of this id."""
        ...

    async def set_sign_key(self, account: int, sign_key: str, deed: Deed | None = None) -> None:
        """Another signing key, for waiting pushes too."""
        ...

    async def sign_key(self, account: int) -> str:
        """The key of the ``sign`` header."""
        ...

    # the audit (domain/audit.py), and the secret key
    async def enter(self, account: int, deed: Deed) -> None:
        """A deed that changes nothing here, into the chain of an account or of the operator."""
        ...

    async def chains(self) -> list[int]:
        """Whose chains there are, ascending; 0 is the operator's."""
        ...

    async def chain(self, account: int) -> Chain:
        """All that was entered into a chain."""
        ...

    async def reseal(self, most: int) -> int:
        """Encrypt at most so many values again that the newest secret key has not encrypted; answers how many
        it was, 0: there are none."""
        ...

    # quota
    async def usage(self, account: int, now: datetime) -> Usage:
        """Quota of the period (month, UTC) and registrations of the day (UTC) that ``now`` belongs to.

        ``used`` is the sum of the period's ledger, always.
        """
        ...

    async def pay_translation(self, account: int, shipment: int, now: datetime) -> bool:
        """One unit for the translations of a shipment, whatever their language and number; True when it is
        paid, also before. False when the quota does not suffice."""
        ...

    async def charge(self, account: int, charges: Sequence[Charge], now: datetime) -> list[bool]:
        """Charge in the order given; False where the quota does not suffice. One that is refused takes
        nothing from those behind it."""
        ...

    async def settle(self, account: int, reference: str, amount: int, now: datetime) -> None:
        """Keep ``amount`` of what is held under ``reference`` and give the rest back, to the period in which
        it was charged. Nothing happens when nothing is held (any more)."""
        ...

    async def ledger_errors(self) -> list[tuple[int, str, int, int]]:
        """Account and month (YYYY-MM) whose counter is not the sum of their ledger, with both; there should
        be none."""
        ...

    async def release_holds(self, before: datetime, now: datetime) -> int:
        """Give back whatever has been held since earlier than ``before``: its call died. Answers how many.

        So too what was held in a future further away than ``before`` is past: the clock went back since.
        """
        ...

    # registrations
    async def register(
        self, account: int, wanted: Sequence[Wanted], now: datetime
    ) -> list[int | CallerError]:
        """Insert and charge in the order given, quota's last units to the first items: for each the id of its
        shipment, or why it was refused.

        New ones, and looked up ones that become registrations, cost one unit each and are due now.
        CallerError ``registered`` (whatever became of it, in this call too), ``daily_limit`` or ``quota``
        cost nothing. A promoted shipment keeps ``since`` and all that is known of it, and loses its lease.
        """
        ...

    async def register_once(
        self,
        account: int,
        wanted: Sequence[Wanted],
        now: datetime,
        call: KeyedCall,
        encode: Callable[[Sequence[int | CallerError]], bytes],
    ) -> bytes | CallerError:
        """``register`` whose answer, made by ``encode`` within the transaction, is kept for 24 hours.

        A repeat of the call gets the kept answer, also one that comes while the first is under way.
        CallerError ``key_reused``: its key belongs to a call with another body.
        """
        ...

    async def begin_call(self, account: int, call: KeyedCall, now: datetime) -> bytes | CallerError | None:
        """None: the call is to be made now, and ended with ``end_call``. Else the answer that was kept for 24
        hours, or CallerError ``key_reused`` or ``key_in_flight`` (for a minute: then its process died)."""
        ...

    async def end_call(self, account: int, call: KeyedCall, answer: bytes | None) -> None:
        """Keep the answer of a call; None: it failed, and may be made again."""
        ...

    async def look_up(self, account: int, wanted: Wanted, now: datetime) -> Shipment:
        """The shipment of (number, carrier) as it is; made in phase looked_up when there is none. Free."""
        ...

    async def find(self, account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        """All shipments of the account with these numbers, whatever their phase, each once, oldest first.

        The document is None until a source has said something.
        """
        ...

    async def shown(self, account: int, numbers: Collection[str], bare: Collection[str] = ()) -> list[Shown]:
        """The same, as much of it as is shown. Of the numbers in ``bare`` without the documents."""
        ...

    async def change(self, changes: Sequence[Changed], now: datetime) -> list[bool]:
        """Which changes were saved, in their order; False: the shipment was another by now, read it again.

        Each stands for itself. A saved change ends the lease: the result of a refresh that is under way will
        be dropped. Its pushes are due at ``now``.
        """
        ...

    async def list_page(self, account: int, wanted: Filter, order: Order, skip: int, most: int) -> ListPage:
        """At most ``most`` registrations after the first ``skip``."""
        ...

    async def delete(self, account: int, shipments: Sequence[int]) -> list[bool]:
        """Remove registrations with all that is known of them; which there were."""
        ...

    # refreshing
    async def lanes(self) -> dict[str, datetime]:
        """Queues (lanes and their side queues) that have something to refresh, and when first. A leased
        shipment counts with the end of its lease."""
        ...

    async def census(self, lane: str) -> dict[SubStatus | None, int]:
        """About how many shipments of a lane (side queues too) are refreshed by schedule, by sub-status.

        Exact while there are less than some hundred thousand in all.
        """
        ...

    async def take_turn(
        self,
        queue: str,
        most: int,
        limits: Limits,
        now: datetime,
        until: datetime,
        lease: str,
        ahead: timedelta = timedelta(),
    ) -> Turn:
        """Take a call from a queue's lane and claim up to ``most`` shipments for it, as in ``claim``.

        Both or nothing. Once something is due, the call is filled up with shipments that will be due within
        ``ahead`` and have waited for three quarters of their interval.
        """
        ...

    async def lane(self, name: str) -> Lane:
        """As saved last; ``Lane(name)`` before that."""
        ...

    async def save_lane(self, lane: Lane, revision: int) -> bool:
        """Compare and set: False when the lane is no longer at ``revision`` (0: was never saved)."""
        ...

    async def take_call(self, lane: str, taking: Taking, now: datetime) -> Grant:
        """Take a call from a lane, if it has one; a refusal changes nothing."""
        ...

    async def claim(self, lane: str, most: int, now: datetime, until: datetime, lease: str) -> list[Due]:
        """Shipments of a lane that are due at ``now``, those first that have been longest; in any order.

        They are leased: nobody else gets them until ``until``, which is also their new ``refresh_at``.
        Of shipments with the same number only one: answers of a conversation are told apart by number.
        """
        ...

    async def claim_one(self, shipment: int, until: datetime, lease: str) -> Due | None:
        """One shipment, whatever its phase and schedule; None when there is none with this id.

        A lease that somebody else holds is taken over: their result will be dropped. Without a schedule
        (``refresh_at`` None) it gets none.
        """
        ...

    async def complete(self, results: Sequence[Refreshed]) -> int:
        """Save results, all in one transaction; answers how many were dropped because their lease had gone.

        A lease is good for one result, also after its end while nobody else has claimed. A dropped result
        leaves no trace. Its pushes are due at ``attempt.at``. A correction takes the place of a shipment with
        its number and carrier that was only looked up; where a registration has it, the result is dropped.
        """
        ...

    async def begin_reroute(self, routing: str) -> bool:
        """Whether there are shipments to look at with ``reroute``: the last ``routing`` was another one, or
        not all have been seen yet."""
        ...

    async def reroute(
        self, routing: str, target: Callable[[str, str], str | None], most: int, now: datetime
    ) -> int | None:
        """Look at the next ``most`` shipments and move them where ``target``, given carrier and lane, names
        another lane; answers how many. None: all were seen, or another routing was begun meanwhile.

        Moved ones lose their lease and, if they have a schedule, are due now. Processes with the same routing
        share the work, and one that starts later goes on with it.
        """
        ...

    async def learned(self, account: int) -> dict[str, dict[str, int]]:
        """Per shape of number: how many shipments were of which carrier.

        Counted with the ``counts`` of results and changes that were saved, in their transaction. Nothing goes
        below zero, and a carrier with none is not listed. Beyond LEARNED_MAX pairs of shape and carrier the
        rarest goes, of these the one that was counted longest ago, but never the one that is counted now.
        """
        ...

    async def attempts(self, shipment: int, most: int) -> list[Attempt]:
        """The newest refreshes of a shipment, newest first."""
        ...

    async def prune(self, old: Old, before: datetime, most: int, after: datetime | None = None) -> Pruned:
        """Look at the ``most`` oldest rows of a kind before a time, from ``after`` on; forget what can be.

        One short transaction, which waits for nobody; registrations take one for each account. The sum of the
        ledger stays. Charges for translations stay as they are: each is paid once and for ever.
        """
        ...

    async def sum_up(self, most: int) -> int:
        """Put together at most so many parts of what is kept in parts, so that nobody waits; answers how many
        parts less there are."""
        ...

    async def take_duty(self, duty: str, every: timedelta, now: datetime) -> bool:
        """Whether this process shall do something now that one process does every so often."""
        ...

    async def latest(self) -> datetime | None:
        """The time of the newest refresh in the log: the clock showed it once."""
        ...

    async def hasten(self, now: datetime, most: timedelta) -> int:
        """Refreshes and pushes that are due later than ``most`` from now are due now; answers how many rows.

        They were planned by a clock that has been set back since.
        """
        ...

    async def rewind(self, shipment: int, by: timedelta, now: datetime) -> None:
        """Let a sandbox journey, with all that is known of it, be older by ``by``, and due now (if it has a
        schedule). A refresh that is under way is dropped."""
        ...

    # what is bought at an upstream (``source``: its slug); shared by all accounts
    async def bought(self, source: str, numbers: Sequence[str]) -> list[BoughtNumber]:
        """What is known of numbers there."""
        ...

    async def reserve(
        self, source: str, wanted: Sequence[tuple[Pair, int]], cap: int | None, now: datetime
    ) -> set[Pair]:
        """The pairs that may be registered now without spending more than ``cap`` a month; with each pair its
        buyer. A pair that was begun before costs nothing more."""
        ...

    async def settle_reserved(
        self, source: str, registered: Sequence[Pair], refused: Sequence[Pair], now: datetime
    ) -> None:
        """What became of reserved pairs; the registered ones are entered into the ledger."""
        ...

    async def forget_bought(self, source: str, pairs: Sequence[Pair]) -> None:
        """The upstream no longer has these registrations."""
        ...

    async def upstream_stopped(self, source: str, pair: Pair, now: datetime) -> None:
        """The upstream told us that it stopped tracking a pair."""
        ...

    async def spend(self, source: str, amount: int, reference: str, cap: int | None, now: datetime) -> bool:
        """Units for a real-time question, if ``cap`` allows; a negative amount gives back."""
        ...

    async def saved(self, source: str, kind: str, entries: Sequence[tuple[int, str]], now: datetime) -> None:
        """Ledger entries of ``kind`` shared or fresh, each an amount with a reference that counts once."""
        ...

    async def spent(self, source: str, now: datetime) -> Spent:
        """The ledger of this month."""
        ...

    async def told(self, source: str, numbers: Sequence[str], since: datetime) -> list[Told]:
        """What it has told about numbers since then, whatever the account; the newest first."""
        ...

    async def shipments_of(self, number: str) -> list[Shipment]:
        """The shipments with a number, of all accounts."""
        ...

    # work that harms the process (domain/poison.py)
    async def strike(self, work: Sequence[Piece], strike: Strike, why: str, now: datetime) -> list[Piece]:
        """Note a strike; answers the work if it is parked by it.

        A parked shipment has no schedule, no lease, and domain.poison.TROUBLE; stopped and looked up
        ones are left as they are. A parked push is dead, with an attempt that says so, and lets the next
        version go. Of several at once nobody knows which is to blame: they are refreshes of one call, are
        asked about alone from now on, and nothing is noted.
        """
        ...

    async def absolve(self, work: Sequence[Piece]) -> None:
        """Nothing is noted against these any more."""
        ...

    async def suspects(self) -> set[Piece]:
        """What has strikes and is not parked."""
        ...

    async def parked(self, account: int | None = None) -> list[Parked]:
        """Parked shipments, of all accounts without one."""
        ...

    async def release_parked(self, account: int, shipments: Sequence[int], now: datetime) -> int:
        """Those of these that are parked are due now, without strikes; answers how many."""
        ...

    async def sizes(self, now: datetime) -> Sizes:
        """How much there is now; counts of rows end at COUNTED_MAX."""
        ...

    # pushes to us
    async def keep_inbound(self, source: str, body: bytes, now: datetime) -> bool:
        """Put a verified push into the inbox; False when the same bytes are there already."""
        ...

    async def claim_inbound(self, most: int, now: datetime, until: datetime) -> list[Inbound]:
        """The oldest waiting pushes; nobody else gets them until ``until``."""
        ...

    async def finish_inbound(self, inbound: int, state: InboxState, detail: str) -> None: ...
    async def inbox(self) -> dict[InboxState, int]:
        """How many pushes there are in each state."""
        ...

    async def parked_inbound(self, most: int) -> list[ParkedInbound]:
        """The oldest that are parked."""
        ...

    async def inbound_body(self, inbound: int) -> bytes | None:
        """What was pushed, in any state; None when there is no such push."""
        ...

    async def release_inbound(self, pushes: Sequence[int], state: InboxState, detail: str) -> int:
        """Those of these that are parked are in this state now; answers how many."""
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
    async def replay(self, account: int, shipments: Sequence[int], now: datetime) -> list[bool]:
        """Send the newest push of each shipment again to every endpoint that had it, id and bytes as they
        were; False where none is kept.

        One that has not been sent yet is due now.
        """
        ...

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


class Keyring(Protocol):
    """Where the secret keys are kept that encrypt what is stored (store/keyfile.py)."""

    def count(self) -> int:
        """How many there are: one, or during a rotation the newest and older ones."""
        ...

    def add(self) -> bool:
        """A new one, the newest; False when only the operator can do that."""
        ...

    def forget_older(self) -> bool:
        """Keep only the newest; False when only the operator can do that."""
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
