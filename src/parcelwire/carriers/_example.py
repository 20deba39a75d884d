"""Copy me to ``<slug>.py``, and ``_example.csv`` to ``<slug>.csv``. This carrier does not exist.

Its documents say: ``GET /parcels/<number>`` with the header ``X-Key``; 404 with ``{"error":"unknown"}`` while
a number is not known, 400 with ``{"error":"number"}`` for one that can never be; 60 calls a minute. An answer
is ``{"number", "service"?, "history": [{"at", "code", "text", "city"?, "country"?}]}``, newest first; ``at``
is ISO 8601, without an offset when the scan was made abroad.

A file whose name begins with ``_`` is not found by the folder scan, so this one is only read by people and by
its test (tests/carriers/test_example.py).
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from parcelwire.carriers._reading import check_status, code_table, country, each, get, json_of, text
from parcelwire.domain.errors import CarrierError, InvalidNumber, MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import Address, Event, Report, joined
from parcelwire.domain.times import from_iso

EVENTS = code_table("_example.csv")["event"]


class Example:
    """What the service has to know before it asks."""

    slug = "example"
    serves: Sequence[str] = ("example",)
    base_url = "https://api.carrier.example"
    secrets: Sequence[str] = ("key",)  # the setting PARCELWIRE_CARRIER_EXAMPLE_KEY
    batch = 1
    limits = Limits(per_s=1.0)
    reach = Reach.ANY

    def lane(self, number: str) -> str:  # noqa: ARG002  (one key, one lane)
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002  (fedex.py has one)
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """Every ``yield`` is one request; what comes back is its reply."""
        (query,) = queries
        path = f"/parcels/{quote(query.number, safe='')}"
        reply = yield Request("GET", path, {"X-Key": access.secrets["key"]})
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        """What one reply says; ``parcelwire carriers parse`` asks for nothing else."""
        (query,) = queries
        return {query.number: parse(reply, query.number)}


def parse(reply: Reply, number: str) -> Report | CarrierError:
    """Pure, so that a recorded reply is all that a test needs.

    What concerns the number is returned, what concerns the whole call is raised. In doubt: MalformedReply,
    never UnknownNumber.
    """
    if reply.status in (400, 404):
        error = text(json_of(reply), "error")
        if error == "unknown":
            return UnknownNumber(f"HTTP 404 for {number}")
        if error == "number":
            return InvalidNumber(f"HTTP 400 for {number}")
    check_status(reply)  # 401, 403, 429, 5xx and the rest
    body = json_of(reply)
    if text(body, "number") != number or not isinstance(get(body, "history"), list):
        return MalformedReply(f"the answer is not about {number}")
    events = tuple(_event(entry) for entry in each(body, "history"))
    return Report(
        number,
        events=events,
        service=text(body, "service"),
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.code not in EVENTS)),
    )


def _event(entry: Mapping[str, object]) -> Event:
    """Missing parts and wrong types are normal: ``text`` and ``from_iso`` never fail."""
    code = text(entry, "code") or ""
    meaning = EVENTS.get(code)  # None: shown as unmapped, counted, and never guessed from the text
    return Event(
        from_iso(get(entry, "at")),  # without an offset it stays local; the service infers the zone
        text(entry, "text") or code,
        meaning.sub_status if meaning else None,
        code=code,
        location=joined([text(entry, "city"), text(entry, "country")]),
        address=Address(country(entry, "country"), city=text(entry, "city")),
        informative=meaning.informative if meaning else False,
    )


CARRIER = Example()
