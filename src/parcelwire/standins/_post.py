"""What the stand-ins of the posts have in common: whose turn it is to answer, and journeys of their own."""

from base64 import b64decode
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, header
from parcelwire.standins._journey import Journeys, Place, Scan


class PostStandIn:
    """Knows the numbers it was given (``load``) and makes up a journey for any other plausible one.

    ``unknown`` holds numbers to deny, ``next_replies`` what to say instead of the next answers, ``gate`` the
    limits. Any credential is right unless ``credentials`` names them.
    """

    slug: str
    places: Sequence[Place]

    def __init__(self, gate: Gate, credentials: tuple[str, ...] | None = None) -> None:
        self.gate = gate
        self.credentials = credentials
        self.unknown: set[str] = set()
        self.next_replies: deque[Reply] = deque()
        self._loaded: dict[str, object] = {}
        self.journeys = Journeys()

    def load(self, number: str, fragment: object) -> None:
        """What to say about ``number``, in the carrier's form for one number."""
        self._loaded[number] = fragment

    def answer(self, request: Request, now: datetime) -> Reply:
        refusal = self.refusal(request, now)
        if refusal is not None:
            return refusal
        if not self.gate.opens(now):
            return self.throttled(now)
        if self.next_replies:
            return self.next_replies.popleft()
        return self.tracked(request, now)

    def refusal(self, request: Request, now: datetime) -> Reply | None:
        """The answer to what is no question, or does not prove who asks."""
        raise NotImplementedError

    def throttled(self, now: datetime) -> Reply:
        """The answer to one call too many."""
        raise NotImplementedError

    def tracked(self, request: Request, now: datetime) -> Reply:
        """The answer to a good question."""
        raise NotImplementedError

    def accepts(self, *shown: str) -> bool:
        """Whether these credentials are there, and the right ones."""
        return all(shown) and (self.credentials is None or shown == self.credentials)

    def loaded(self, number: str) -> object | None:
        """What was given for ``number``."""
        return self._loaded.get(number)

    def journey(self, number: str, now: datetime) -> list[Scan]:
        """The scans up to ``now``, newest first."""
        return self.journeys.scans(number, now, self.places)


def login(request: Request) -> str:
    """``user:password`` of a Basic header; empty when there is none."""
    kind, _, value = header(request, "authorization").partition(" ")
    try:
        return b64decode(value, validate=True).decode() if kind == "Basic" else ""
    except ValueError:
        return ""
