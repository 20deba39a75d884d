"""Talking to a carrier as plain values: a carrier file yields requests and receives replies; it does no I/O.

The driver (net/ask.py) adds the base URL and the token, keeps limits and time, and moves the bytes.
"""

from collections.abc import Generator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from enum import Enum
from typing import TypeAlias

from parcelwire.domain.errors import CarrierError
from parcelwire.domain.report import Report
from parcelwire.domain.values import dataclass

UNSTATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Query:
    """One number to ask about."""

    number: str
    carrier: str  # slug of the registered carrier; a source that serves several companies picks its service
    since: (
        datetime  # aware UTC: when the journey was registered. Carriers reuse numbers: bounds the ship date
    )
    param: str | None = None  # postal code, phone ... as the caller gave it
    code: int = 0  # 17TRACK's code of the carrier, for an upstream; 0: not known
    known: bool = True  # False: an upstream has to register the number first
    instant: bool = False  # an upstream is to ask the carrier now, at its higher price
    told: str | None = None  # the mark of what it said last (Report.mark): the same words may be Repeated


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request below the carrier's base URL. ``path`` begins with a slash, query values are raw.

    Its repr shows neither headers nor body: they may hold a secret.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are lower case; the body is at most the limit of net/ask.py.

    Its repr shows only the status: the rest may hold a token, or what the carrier knows of people.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """What a carrier file may use to prove who asks. Its repr shows no secret."""

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str = field(default="", repr=False)
    now: datetime = UNSTATED  # aware UTC, set by the driver: for the few requests that state their time


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its life in seconds."""

    value: str = field(repr=False)
    life_s: float


class Proof(Enum):
    """How a push shows that it is from a carrier. The credential is one that the operator gave to both."""

    SHOWN = "the credential itself"
    SIGNED = "base64 of the HMAC-SHA256 of the body, with the credential as the key"


Answers: TypeAlias = Mapping[str, Report | CarrierError]
"""For every number that was asked: a report, or why there is none."""

Exchange: TypeAlias = Generator[Request, Reply, Answers]
TokenExchange: TypeAlias = Generator[Request, Reply, Token]


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that came of asking a carrier once. Every asked number has an answer.

    ``error`` is set when the whole conversation failed; it is then every number's answer. ``replies`` are the
    carrier's raw replies in order; those of its token endpoint are left out, because they hold secrets.
    """

    answers: Answers
    replies: tuple[Reply, ...] = field(repr=False)
    error: CarrierError | None
    ms: int
