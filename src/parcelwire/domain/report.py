"""What one carrier said about one number, normalised.

Every field says whether it is *normalised* (ours) or *as sent* (the carrier's own text, cleaned of control
characters). An unknown value is None: a status, a time zone or a date is never guessed.
"""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime

from parcelwire.domain.status import SubStatus
from parcelwire.domain.values import dataclass

EVENTS_MAX = 2_000  # events per tracking number; a carrier that sends more is cut at the oldest end
TEXT_MAX = 500  # characters of one free text from a carrier


@dataclass(frozen=True, slots=True)
class Address:
    """A place, as far as the carrier told it. ``country`` is normalised to ISO 3166 alpha-2."""

    country: str | None = None
    state: str | None = None
    city: str | None = None
    street: str | None = None
    postal_code: str | None = None


NOWHERE = Address()


@dataclass(frozen=True, slots=True)
class Moment:
    """One point in time as a carrier gave it, and what is known of it in UTC.

    ``date`` (YYYY-MM-DD), ``time`` (HH:MM:SS) and ``zone`` (+HH:MM) are as sent; each may be None.
    ``utc`` is aware UTC, None while the zone is unknown. ``offset_min`` is the offset from UTC in minutes
    that ``utc`` was made with: given by the carrier when ``zone`` is set, else inferred from the place.
    """

    utc: datetime | None = None
    offset_min: int | None = None
    date: str | None = None
    time: str | None = None
    zone: str | None = None


UNKNOWN_TIME = Moment()


@dataclass(frozen=True, slots=True)
class Event:
    """One dated fact from a carrier (a scan)."""

    time: Moment
    description: str  # as sent
    sub_status: SubStatus | None  # normalised; None: the code is not in the carrier's table (unmapped)
    code: str = ""  # as sent; the carrier's own code(s) that decided sub_status
    location: str | None = None  # one line, as sent
    address: Address = NOWHERE
    # A message about the shipment rather than a scan of it: shown, but changes no status or milestone.
    informative: bool = False
    reason: str | None = None  # as sent; why, when the carrier gives a reason text
    foreign: str | None = None  # as sent; a finer sub-status than ours, from a source in 17TRACK's own words
    # Order inside the timeline, set by domain.times.settle: aware UTC, never shown.
    order_at: datetime | None = None
    tie: int = 0  # place among the events of one answer with equal order_at, oldest first


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated delivery window. Either end may be missing."""

    start: Moment | None = None
    end: Moment | None = None
    by: str = "Official"  # the carrier itself; else who reckoned it


@dataclass(frozen=True, slots=True)
class Company:
    """A carrier that an upstream speaks for. ``code`` is 17TRACK's; the texts are as sent, maybe empty."""

    code: int
    name: str
    homepage: str
    country: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that one carrier said about one number in one answer."""

    number: str
    events: tuple[Event, ...] = ()  # newest first after domain.times.settle
    # The carrier's own current status. Finer than the newest event: taken. Contradicting it: the events win,
    # unless the carrier's documents call the current status authoritative.
    current: SubStatus | None = None
    current_authoritative: bool = False
    current_reason: str | None = None  # as sent; reason text of the current status
    returning: bool = False  # the carrier marks the whole shipment as a return
    delivered: Moment | None = None  # given apart from the events
    estimate: Estimate | None = None
    origin: Address = NOWHERE
    destination: Address = NOWHERE
    service: str | None = None  # product name, as sent
    weight_raw: str | None = None
    weight_kg: str | None = None
    pieces: str | None = None
    dimensions: str | None = None
    customer_number: str | None = None
    reference_number: str | None = None
    local_number: str | None = None  # number at the last-mile carrier
    local_carrier: str | None = None  # slug of the last-mile carrier
    lang: str | None = None  # language of the texts
    default_zone: str | None = None  # zone name for local times of places that are not known otherwise
    unmapped: tuple[str, ...] = field(default=())  # codes that are not in the table, for the counters
    mark: str = ""  # stands for the carrier's very words, so that they need not be read twice; or nothing
    # Keys (domain.merge.event_key) of events that the carrier has taken back. Earlier answers may hold them.
    voided: tuple[tuple[str, str, str, str], ...] = ()
    # Of a source that speaks for others (an upstream): for whom, when it learned this, and what the other
    # carriers of the same shipment said.
    behind: Company | None = None
    as_of: datetime | None = None
    further: tuple["Report", ...] = ()


@dataclass(frozen=True, slots=True)
class Repeated(Report):
    """A report in the very words of the last one (exchange.Query.told). It is not read: all but ``number`` is
    empty, and means what it meant then."""


def clean(text: object) -> str | None:
    """A carrier's text without control and bidirectional characters and lone surrogates, blanks collapsed.

    None for anything that is not a non-empty string. Cut at TEXT_MAX characters.
    """
    if not isinstance(text, str):
        return None
    if text.isascii() and text.isprintable():
        if "  " not in text and 0 < len(text) <= TEXT_MAX and text[0] != " " and text[-1] != " ":
            return text  # clean as it is: nearly always
    else:
        text = "".join(_safe(character) for character in text)
    return " ".join(text.split())[:TEXT_MAX].rstrip() or None


_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def _safe(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    if character in _BIDI:
        return ""
    return character if character.isprintable() else " "


def joined(parts: Sequence[str | None], separator: str = ", ") -> str | None:
    """The parts that are there, as one line; None when there are none."""
    return separator.join(part for part in parts if part) or None
