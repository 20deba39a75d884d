"""FedEx: Track API v1. OAuth2 client credentials, up to 30 numbers a call.

What its answers do, and what the code minds therefore:

* "not found" stands inside HTTP 200, number by number;
* numbers are used again: the question carries a ship-date window, and of several results the one with the
  newest scan counts;
* ``derivedStatusCode`` and ``derivedCode`` are never read: they say "delivered" on a scan that goes back;
* midnight without an offset is a date without a time; so is any midnight in ``dateAndTimes``.

Source: FedEx Track API specification 1.0.0 and rate limit page; code list in fedex.csv.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from parcelwire.carriers._reading import (
    Code,
    check_status,
    code_table,
    country,
    each,
    get,
    json_as,
    json_of,
    json_part,
    mark_of,
    text,
)  # fmt: skip
from parcelwire.domain.errors import (
    CarrierError,
    InvalidNumber,
    MalformedReply,
    Refused,
    Throttled,
    Unavailable,
    UnknownNumber,
)  # fmt: skip
from parcelwire.domain.exchange import (
    Access,
    Answers,
    Exchange,
    Proof,
    Query,
    Reply,
    Request,
    Token,
    TokenExchange,
)  # fmt: skip
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import NOWHERE, Address, Estimate, Event, Moment, Repeated, Report, joined
from parcelwire.domain.status import SubStatus
from parcelwire.domain.times import EARLIEST, from_iso, naive
from parcelwire.domain.values import replace

# Ship dates that belong to a registration: labels are made before it, parcels leave after it.
SHIPPED_BEFORE = timedelta(days=30)
SHIPPED_AFTER = timedelta(days=90)

OAUTH_BAN_S = 600.0  # too many token calls from one address: HTTP 403 for ten minutes
TOKEN_LIFE_S = 300.0  # of a token that does not say how long it lives; usual is an hour

EVENTS = code_table("fedex.csv")["eventType"]
REASONS = code_table("fedex.csv")["exceptionCode"]

# Events that only say "something happened": exception code, then text, tell what.
REFINED = frozenset({"DE", "SE", "CD", "DY", "HL"})
REDIRECTED = frozenset({"A13", "A47"})  # with DE: FedEx moved it, nobody refused or was absent
TEXT_FIRST = frozenset({"07"})  # means "refused" in older lists only

Rules = tuple[tuple[re.Pattern[str], SubStatus], ...]


def _rules(*rows: tuple[str, SubStatus]) -> Rules:
    return tuple((re.compile(pattern, re.IGNORECASE), sub_status) for pattern, sub_status in rows)


CLEARANCE = _rules(
    (r"documents|information needed|invoice|missing or incomplete|duty payment",
     SubStatus.CUSTOMS_REQUIRING_INFORMATION),
    (r"prohibited|seized", SubStatus.EXCEPTION_SECURITY),
    (r"abandoned|disposed", SubStatus.DESTROYED),
)  # fmt: skip
AT_THE_DOOR = _rules(
    (r"not available|business closed|\bno one\b", SubStatus.FAILURE_NO_BODY),
    (r"refused", SubStatus.FAILURE_REJECTED),
    (r"\blost\b|unable to locate the package", SubStatus.LOST),
    (r"incorrect (\w+ )?address|address correction|unable to locate|\bmoved\b",
     SubStatus.FAILURE_INVALID_ADDRESS),
    (r"duty payment", SubStatus.CUSTOMS_REQUIRING_INFORMATION),
    (r"\bcod\b|payment|duties and taxes due", SubStatus.FAILURE_SECURITY),
    (r"return(ing|ed)?( package)? to shipper", SubStatus.RETURNING),
)  # fmt: skip
ON_THE_WAY = _rules(
    (r"regulatory review|clearance delay|customs", SubStatus.CUSTOMS_PROCESSING),
    (r"damaged", SubStatus.DAMAGE),
    (r"weather|delay|beyond our control|disaster|operational", SubStatus.DELAYED),
    (r"hold at|(ready|available) for pickup", SubStatus.AVAILABLE_FOR_PICKUP),
)
TEXTS = AT_THE_DOOR + CLEARANCE + ON_THE_WAY  # first hit wins

# Codes with two meanings, and those that only some texts may change.
OWN_TEXTS: Mapping[str, Rules] = {
    "CD": CLEARANCE,
    "DL": _rules((r"return(ed)? to shipper", SubStatus.RETURNED)),
    "EA": _rules((r"export approved", SubStatus.CUSTOMS_RELEASED)),
    "RC": _rules((r"return(ing|ed)", SubStatus.RETURNING)),
}


class Fedex:
    """FedEx Express, Ground, Ground Economy, Freight: one interface for all."""

    slug = "fedex"
    serves: Sequence[str] = ("fedex",)
    base_url = "https://apis.fedex.com"
    secrets: Sequence[str] = ("client_id", "client_secret")
    batch = 30
    # 1,400 calls in any 10 s and 100,000 a day: 100 + 10 x 130 stays inside.
    limits = Limits(per_s=130.0, burst=100, per_day=100_000)
    reach = Reach.ANY
    # Advanced Integrated Visibility, "Validation Process": keyed with the security token of the webhook.
    alert_proof = Proof.SIGNED
    alert_header = "fdx-signature"

    def lane(self, number: str) -> str:  # noqa: ARG002  (one project, one lane)
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange:
        """Client credentials for a bearer token of an hour."""
        form = {
            "grant_type": "client_credentials",
            "client_id": secrets["client_id"],
            "client_secret": secrets["client_secret"],
        }
        reply = yield Request(
            "POST",
            "/oauth/token",
            {"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        return parse_token(reply)

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """One call for all numbers."""
        reply = yield Request(
            "POST",
            "/track/v1/trackingnumbers",
            {
                "Authorization": f"Bearer {access.token}",
                "Content-Type": "application/json",
                "X-locale": "en_US",
            },
            body=msgspec.json.encode(question(queries)),
        )
        return self.parse(reply, queries)

    def alerted(self, body: bytes) -> Sequence[str]:
        """The numbers of a push: in the frame of an answer, or only its results."""
        push = json_of(Reply(200, body=body))
        entries = [*each(push, "output", "completeTrackResults"), *each(push, "trackResults")]
        numbers = [
            text(entry, "trackingNumber") or text(entry, "trackingNumberInfo", "trackingNumber")
            for entry in entries
        ]
        found = tuple(number for number in numbers if number)
        if not found:
            raise MalformedReply("push without a tracking number")
        return found

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        return parse(reply, queries)


class Place(msgspec.Struct, gc=False):
    """Where a scan was made."""

    city: object = None
    stateOrProvinceCode: object = None  # noqa: N815  (the carrier's name, as below)
    postalCode: object = None  # noqa: N815
    countryCode: object = None  # noqa: N815
    countryName: object = None  # noqa: N815
    streetLines: object = None  # noqa: N815


NO_PLACE = Place()
NULL = b"null"
NOT_SAID = msgspec.Raw(NULL)


class Scan(msgspec.Struct, gc=False):
    """One scan: most of what is read."""

    date: object = None
    eventType: object = None  # noqa: N815
    eventDescription: object = None  # noqa: N815
    exceptionCode: object = None  # noqa: N815
    exceptionDescription: object = None  # noqa: N815
    scanLocation: msgspec.Raw = NOT_SAID  # noqa: N815  (a Place, or null)


class Party(msgspec.Struct):
    """Who sends or gets it, or where it begins or ends."""

    address: msgspec.Raw = NOT_SAID  # a Place, or null


class Station(msgspec.Struct):
    """A place of FedEx's own."""

    locationContactAndAddress: Party | None = None  # noqa: N815


class Result(msgspec.Struct):
    """What is known of one shipment with the number, or an error."""

    error: object = None
    scanEvents: list[Scan] | None = None  # noqa: N815
    latestStatusDetail: object = None  # noqa: N815
    dateAndTimes: object = None  # noqa: N815
    estimatedDeliveryTimeWindow: object = None  # noqa: N815
    standardTransitTimeWindow: object = None  # noqa: N815
    shipperInformation: Party | None = None  # noqa: N815
    originLocation: Station | None = None  # noqa: N815
    recipientInformation: Party | None = None  # noqa: N815
    destinationLocation: Station | None = None  # noqa: N815
    serviceDetail: object = None  # noqa: N815
    packageDetails: object = None  # noqa: N815
    shipmentDetails: object = None  # noqa: N815
    additionalTrackingInfo: object = None  # noqa: N815


class Entry(msgspec.Struct):
    """What an answer says about one number, not read yet."""

    trackingNumber: str  # noqa: N815
    trackResults: msgspec.Raw = msgspec.Raw(b"[]")  # noqa: N815


class Output(msgspec.Struct):
    """The part of an answer that says something."""

    completeTrackResults: list[Entry] = []  # noqa: N815
    alerts: object = None


class Body(msgspec.Struct):
    """An answer."""

    output: Output = msgspec.field(default_factory=Output)


def question(queries: Sequence[Query]) -> dict[str, object]:
    """The body that asks about ``queries``, each within its ship-date window."""
    return {
        "includeDetailedScans": True,
        "trackingInfo": [
            {
                "shipDateBegin": (query.since - SHIPPED_BEFORE).date().isoformat(),
                "shipDateEnd": (query.since + SHIPPED_AFTER).date().isoformat(),
                "trackingNumberInfo": {"trackingNumber": query.number},
            }
            for query in queries
        ],
    }


def parse_token(reply: Reply) -> Token:
    """The token of an answer to the token call."""
    if reply.status == 403:  # wrong credentials give 401
        raise Throttled("HTTP 403 from the token endpoint", OAUTH_BAN_S)
    if reply.status in (400, 401):
        raise Refused(f"HTTP {reply.status} from the token endpoint")
    check_status(reply)
    body = json_of(reply)
    value = text(body, "access_token")
    if value is None:
        raise MalformedReply("the token answer holds no token")
    life = text(body, "expires_in") or ""
    return Token(value, float(life) if re.fullmatch(r"[0-9]{1,8}", life) else TOKEN_LIFE_S)


def parse(reply: Reply, queries: Sequence[Query]) -> Answers:
    """An answer for every query. Raises CarrierError when the reply says nothing about any of them."""
    if reply.status == 400:
        return _refused_question(reply, queries)
    check_status(reply)
    output = json_as(reply, Body).output
    results = {entry.trackingNumber: entry.trackResults for entry in output.completeTrackResults}
    no_data = any(text(alert, "code") == "TRACKING.DATA.NOTFOUND" for alert in each(output.alerts))
    answers: dict[str, Report | CarrierError] = {}
    for query in queries:
        words = results.get(query.number)
        if words is not None:
            answers[query.number] = _answer(query, words)
        elif no_data and not results:
            answers[query.number] = UnknownNumber(f"no data for {query.number}")
        else:
            answers[query.number] = MalformedReply(f"{query.number} is missing from the answer")
    return answers


def _refused_question(reply: Reply, queries: Sequence[Query]) -> Answers:
    """HTTP 400 concerns the token, one of the numbers, or FedEx itself.

    A bad number spoils the whole call and is not named. With several numbers that is MalformedReply: the one
    class that harms no neighbour (nothing is learnt about any of them), and the driver halves such a call
    until it has found the number.
    """
    body = json_of(reply)
    code = text(body, "errors", 0, "code") or "no code"
    message = (text(body, "errors", 0, "message") or "").casefold()
    if code == "NOT.AUTHORIZED.ERROR" or (code == "BAD.REQUEST.ERROR" and "jwt" in message):
        raise Refused(f"HTTP 400, {code}", stale_token=True)
    if code.startswith("TRACKING.TRACKINGNUMBER.") and len(queries) == 1:
        return {queries[0].number: InvalidNumber(f"{queries[0].number}: {code}")}
    if code.startswith("VALIDATION.ERRCD") or code == "INTERNAL.SERVER.ERROR":
        raise Unavailable(f"HTTP 400, {code}")
    raise MalformedReply(f"HTTP 400, {code}")


def _answer(query: Query, words: msgspec.Raw) -> Report | CarrierError:
    mark = mark_of(words)
    if mark == query.told:
        return Repeated(query.number)
    try:
        results = json_part(words, list[Result])
        found = [result for result in results if not isinstance(result.error, dict)]
        if found:
            return _report(query.number, _ours(found, query.since), mark)
    except MalformedReply as error:
        return error
    code = text(results[0].error, "code") if results else None
    if code is None:
        return MalformedReply(f"no result for {query.number}")
    if code.endswith("NOTFOUND"):
        return UnknownNumber(f"{query.number}: {code}")
    if code.startswith("TRACKING.TRACKINGNUMBER."):
        return InvalidNumber(f"{query.number}: {code}")
    return Unavailable(f"{query.number}: {code}")


def _ours(results: Sequence[Result], since: datetime) -> Result:
    """Of several shipments with the same number the one with the newest scan inside the window."""
    if len(results) == 1:
        return results[0]
    dated = [(_newest_scan(result), result) for result in results]
    inside = [pair for pair in dated if since - SHIPPED_BEFORE <= pair[0] <= since + SHIPPED_AFTER]
    return max(inside or dated, key=lambda pair: pair[0])[1]


def _newest_scan(result: Result) -> datetime:
    moments = (from_iso(scan.date) for scan in result.scanEvents or ())
    return max((_comparable(moment) or EARLIEST for moment in moments), default=EARLIEST)


def _comparable(moment: Moment) -> datetime | None:
    wall = naive(moment)
    return moment.utc or (wall.replace(tzinfo=UTC) if wall else None)


def _report(number: str, result: Result, mark: str) -> Report | CarrierError:
    latest = result.latestStatusDetail
    if result.scanEvents is None and text(latest, "code") is None:
        return MalformedReply(f"no scans and no status for {number}")
    events = tuple([_event(scan) for scan in result.scanEvents or ()])
    dates = {text(item, "type"): item for item in each(result.dateAndTimes)}
    reason = _reason(latest)
    current = _meaning(text(latest, "code") or "", reason.code, _words(latest, reason))
    sizes = get(result.packageDetails, "weightAndDimensions")
    weights = [*each(sizes, "weight")] or [*each(result.shipmentDetails, "weight")]
    identifiers = {
        text(item, "type"): text(item, "values", 0) or text(item, "value")
        for item in each(result.additionalTrackingInfo, "packageIdentifiers")
    }
    return Report(
        number,
        events=events,
        current=current.sub_status if current and not current.informative else None,
        current_reason=reason.text or None,
        delivered=_date(dates.get("ACTUAL_DELIVERY")),
        estimate=_estimate(result, dates),
        origin=_place(result.shipperInformation, result.originLocation),
        destination=_place(result.recipientInformation, result.destinationLocation),
        service=text(result.serviceDetail, "description"),
        weight_raw=joined([text(weights, 0, "value"), text(weights, 0, "unit")], " "),
        weight_kg=next((text(item, "value") for item in weights if text(item, "unit") == "KG"), None),
        pieces=text(result.packageDetails, "count"),
        dimensions=_dimensions(each(sizes, "dimensions")),
        customer_number=identifiers.get("CUSTOMER_REFERENCE"),
        reference_number=identifiers.get("SHIPPER_REFERENCE"),
        unmapped=tuple(dict.fromkeys(event.code for event in events if event.sub_status is None)),
        lang="en",
        mark=mark,
    )


class Reason(NamedTuple):
    """Why, as FedEx codes and words it. Empty: not given."""

    code: str
    text: str


class Sense(NamedTuple):
    """What a scan says, whenever and wherever it was made."""

    description: str
    sub_status: SubStatus | None
    code: str
    informative: bool


class Spot(NamedTuple):
    """Where a scan was made, and that in one line."""

    address: Address
    line: str | None


def _event(scan: Scan) -> Event:
    why = text(scan.exceptionDescription)
    sense = _sense(text(scan.eventType) or "", text(scan.eventDescription), text(scan.exceptionCode), why)
    moment = from_iso(scan.date)
    if moment.zone is None and moment.time == "00:00:00":
        moment = replace(moment, time=None)
    address, line = _spot(scan.scanLocation)
    return Event(
        moment, sense.description, sense.sub_status, sense.code, line, address, sense.informative, why
    )  # fmt: skip


@lru_cache(maxsize=4_096)  # the same few words come with all shipments
def _sense(kind: str, description: str | None, code: str | None, why: str | None) -> Sense:
    description = description or kind
    meaning = _meaning(kind, code or "", f"{description} {why or ''}")
    refined = kind in REFINED or kind not in EVENTS
    return Sense(
        description,
        meaning.sub_status if meaning else None,
        code=joined([kind, code], "/") or "" if refined else kind,
        informative=meaning.informative if meaning else False,
    )


def _meaning(kind: str, code: str, words: str) -> Code | None:
    """What an event or the current status says; None when neither code nor text is known."""
    known = EVENTS.get(kind)
    own = OWN_TEXTS.get(kind)
    if known is not None and kind not in REFINED:
        return _by_text(words, own or ()) or known
    if kind == "DE" and code in REDIRECTED:
        return known
    by_text, by_code = _by_text(words, own or TEXTS), REASONS.get(code)
    first, second = (by_text, by_code) if code in TEXT_FIRST else (by_code, by_text)
    return first or second or known


def _by_text(words: str, rules: Rules) -> Code | None:
    return next((Code(sub_status, False, "") for pattern, sub_status in rules if pattern.search(words)), None)


def _reason(latest: object) -> Reason:
    """Code and text of the first detail of the current status that has a text."""
    for detail in each(latest, "ancillaryDetails"):
        words = text(detail, "reasonDescription")
        if words:
            return Reason(text(detail, "reason") or "", words)
    return Reason("", "")


def _words(latest: object, reason: Reason) -> str:
    return f"{text(latest, 'description') or ''} {reason.text}"


def _spot(words: msgspec.Raw) -> Spot:
    """A place as it is read. Raises MalformedReply for one that is none."""
    said = bytes(words)
    return _known_spot(said) if len(said) <= PLACE_OFTEN_MAX else _spot_of(said)


def _spot_of(said: bytes) -> Spot:
    place = NO_PLACE if said == NULL else json_part(msgspec.Raw(said), Place)
    address = Address(
        country(place.countryCode),
        text(place.stateOrProvinceCode),
        text(place.city),
        text(place.streetLines, 0),
        text(place.postalCode),
    )
    return Spot(address, joined([address.city, address.state, text(place.countryName)]))


PLACE_OFTEN_MAX = 512  # bytes; one of a hub or a town, which comes again and again, has about 160
_known_spot = lru_cache(maxsize=4_096)(_spot_of)


def _place(party: Party | None, station: Station | None) -> Address:
    """The party's own address; the station's when there is none."""
    own = _spot(party.address).address if party else NOWHERE
    if own != NOWHERE or station is None or station.locationContactAndAddress is None:
        return own
    return _spot(station.locationContactAndAddress.address).address


def _date(node: object) -> Moment | None:
    """A moment of ``dateAndTimes``; its midnights are placeholders in Memphis time."""
    return _known(from_iso(get(node, "dateTime")))


def _known(moment: Moment) -> Moment | None:
    if moment.date is None:
        return None
    return Moment(date=moment.date) if moment.time == "00:00:00" else moment


def _estimate(result: Result, dates: Mapping[str | None, object]) -> Estimate | None:
    """The delivery window; else the estimated day; else the usual transit window."""
    for start, end in (
        _window(get(result.estimatedDeliveryTimeWindow, "window")),
        (None, _date(dates.get("ESTIMATED_DELIVERY"))),
        _window(get(result.standardTransitTimeWindow, "window")),
    ):
        if start or end:
            return Estimate(start, end)
    return None


def _window(node: object) -> tuple[Moment | None, Moment | None]:
    if node is None:
        return None, None
    return _known(from_iso(get(node, "begins"))), _known(from_iso(get(node, "ends")))


def _dimensions(sizes: Iterable[Mapping[str, object]]) -> str | None:
    for size in sizes:
        sides = [text(size, side) for side in ("length", "width", "height")]
        if all(sides):
            return joined([joined(sides, "x"), text(size, "units")], " ")
    return None


CARRIER = Fedex()
