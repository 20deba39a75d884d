"""Australia Post Shipping and Tracking: ``/shipping/v1/track?tracking_ids=a,b``, ten numbers a call.

For customers with an account (API key, password, account number). There are no event codes: the beginning of
the text decides, by a table. Articles stand directly in a result or one level deeper, inside a consignment.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from parcelwire.carriers import _reading as read
from parcelwire.domain import times
from parcelwire.domain.errors import CarrierError, MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import NOWHERE, Address, Event, Report
from parcelwire.domain.status import RANK, SubStatus

_TABLE = read.code_table("australia_post.csv")
_BEGINNINGS = sorted(_TABLE["text"], key=len, reverse=True)

_AUSTRALIAN = re.compile(r"(.+) (ACT|NSW|NT|QLD|SA|TAS|VIC|WA)")
_FOREIGN = re.compile(r"(?:(.+) \(([A-Z]{2})\)|([A-Z]{2})(?:-[A-Z0-9 -]+,.*)?)")

# "Invalid tracking ID" is also what a number gets that has not been scanned yet.
NOT_KNOWN = frozenset({"ESB-10001"})


class AustraliaPost:
    """Ten numbers a call, about ten calls a minute."""

    slug = "australia_post"
    serves = ("australia_post",)
    base_url = "https://digitalapi.auspost.com.au"
    secrets = ("api_key", "password", "account_number")
    batch = 10
    limits = Limits(per_s=5 / 60, burst=5)  # 10 in any minute
    reach = Reach.OWN

    def lane(self, number: str) -> str:  # noqa: ARG002
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        numbers = [query.number for query in queries]
        login = f"{access.secrets['api_key']}:{access.secrets['password']}"
        headers = {
            "Authorization": "Basic " + b64encode(login.encode()).decode(),
            "Account-Number": access.secrets["account_number"],
            "Accept": "application/json",
        }
        reply = yield Request("GET", "/shipping/v1/track", headers, {"tracking_ids": ",".join(numbers)})
        return self.parse(reply, queries)

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        return parse(reply, [query.number for query in queries])


def parse(reply: Reply, numbers: Sequence[str]) -> Answers:
    """An answer for every number; errors of single numbers stand inside HTTP 200."""
    read.check_status(reply)
    found = {
        number: _one(result, number)
        for result in read.each(read.json_of(reply), "tracking_results")
        if (number := read.text(result, "tracking_id")) in numbers and number
    }
    if not found:
        raise MalformedReply("no result for any number")
    return {number: found.get(number) or MalformedReply("no result for this number") for number in numbers}


def _one(result: dict[str, object], number: str) -> Report | CarrierError:
    codes = [read.text(error, "code") for error in read.each(result, "errors")]
    if codes:
        return UnknownNumber(number) if NOT_KNOWN.issuperset(codes) else MalformedReply(f"errors {codes}")
    articles = list(_articles(result))
    if not articles:
        return MalformedReply("no article")
    named = [article for article in articles if read.text(article, "article_id") == number]
    chosen = named[0] if named else min(articles, key=_progress)
    return _report(chosen, number, None if named else len(articles))


def _articles(result: dict[str, object]) -> Iterator[dict[str, object]]:
    for item in read.each(result, "trackable_items"):
        inner = list(read.each(item, "items"))
        yield from inner or [item]


def _progress(article: dict[str, object]) -> tuple[int, datetime]:
    """How far an article has come: of a whole consignment the least advanced article is shown."""
    events = list(_events(article))
    newest = max(events, key=lambda event: event.time.utc or times.EARLIEST, default=None)
    if newest is None:
        return -1, datetime.min.replace(tzinfo=UTC)
    return RANK[newest.sub_status] if newest.sub_status else 0, newest.time.utc or times.EARLIEST


def _report(article: dict[str, object], number: str, pieces: int | None) -> Report:
    events = tuple(_events(article))
    status = _TABLE["status"].get((read.text(article, "status") or "").lower())
    return Report(
        number,
        events=events,
        current=status.sub_status if status else None,
        service=read.text(article, "product_type"),
        pieces=str(pieces) if pieces else None,
        lang="en",
        unmapped=tuple(dict.fromkeys(event.description for event in events if event.sub_status is None)),
    )


def _events(article: dict[str, object]) -> Iterator[Event]:
    for scan in read.each(article, "events"):
        description = read.text(scan, "description")
        if description is not None:
            place = read.text(scan, "location")
            yield Event(
                time=times.from_iso(read.get(scan, "date")),
                description=description,
                sub_status=_sub_status(description),
                location=place,
                address=_address(place or ""),
            )


def _sub_status(description: str) -> SubStatus | None:
    lower = description.lower()
    beginning = next((text for text in _BEGINNINGS if lower.startswith(text)), None)
    return _TABLE["text"][beginning].sub_status if beginning else None


def _address(place: str) -> Address:
    """``KEW VIC``, ``CHICAGO (US)``, ``US-60199, UNITED STATES``, ``NZ``; others name no country."""
    home = _AUSTRALIAN.fullmatch(place)
    if home:
        return Address(country="AU", state=home.group(2), city=home.group(1))
    abroad = _FOREIGN.fullmatch(place)
    if abroad:
        return Address(country=abroad.group(2) or abroad.group(3), city=abroad.group(1))
    return NOWHERE


CARRIER = AustraliaPost()
