"""17TRACK as an upstream: tracking API v2.2 with the operator's own token. It answers for all carriers.

A number is registered once, which costs quota there, and is read as often as needed, which is free. What was
registered is state and comes with each query (``known``); nothing is ever deleted to be registered again.
Facts: 17TRACK's v2.2 document and its help articles on errors and quota.
"""

from collections.abc import Mapping, Sequence

from parcelwire.carriers._reading import check_status
from parcelwire.domain.errors import (
    CarrierError,
    MalformedReply,
    NoRoom,
    NotRealTime,
    NotRegistered,
    NotTaken,
    NotYet,
    QuotaSpent,
    Refused,
    Throttled,
    Unavailable,
)
from parcelwire.domain.exchange import Access, Answers, Exchange, Query, Reply, Request, TokenExchange
from parcelwire.domain.limits import Limits, Reach
from parcelwire.domain.report import Report
from parcelwire.wire.directory import shipped
from parcelwire.wire.upstream import (
    Answer,
    Item,
    answer_of,
    numbers_body,
    real_time_body,
    register_body,
    report_of,
)

ALREADY, NOT_THERE, NOTHING_YET = -18019901, -18019902, -18019909
_SPENT = frozenset({-18019907, -18019908})  # of the day, of the plan
_NO_REAL_TIME = frozenset({-18019818, -18019912})
_CREDENTIALS = frozenset({-18010001, -18010002, -18010004, -18010005})
# No form or carrier that 17TRACK knows.
_NOT_TAKEN = frozenset({-18010011, -18010012, -18010015, -18010016, -18019903, -18019910, -18019911})
# The carrier tells only those who know more of the parcel than its number.
_LACKS: Mapping[int, str] = {
    -18010018: "lacks_place",
    -18010019: "lacks_postal_code",
    -18010020: "lacks_phone",
    -18010022: "lacks_date",
}


class SeventeenTrack:
    """See ports.Carrier."""

    slug = "seventeentrack"
    serves: Sequence[str] = tuple(entry.slug for entry in shipped())
    base_url = "https://api.17track.net"
    secrets: Sequence[str] = ("token",)
    batch = 40
    limits = Limits(per_s=3, burst=1)  # without a burst: no second, however cut, sees more than three
    reach = Reach.BOUGHT

    def lane(self, number: str) -> str:  # noqa: ARG002
        """One lane: the limit is the token's."""
        return self.slug

    def token(self, secrets: Mapping[str, str]) -> TokenExchange | None:  # noqa: ARG002
        """The token is the operator's own; none is fetched."""
        return None

    def track(self, queries: Sequence[Query], access: Access) -> Exchange:
        """Register what is not known there, then read. One instant query is a real-time call instead."""
        headers = {"17token": access.secrets["token"], "Content-Type": "application/json"}
        if len(queries) == 1 and queries[0].instant:
            reply = yield _request("getRealTimeTrackInfo", headers, real_time_body(queries[0]))
            return {queries[0].number: _tracked(queries[0], _answer(reply))}
        answers: dict[str, Report | CarrierError] = {}
        new = [query for query in queries if not query.known]
        if new:
            reply = yield _request("register", headers, register_body(new))
            answers |= _refused(new, _answer(reply))
        wanted = [query for query in queries if query.number not in answers]
        if wanted:
            try:
                reply = yield _request("gettrackinfo", headers, numbers_body(wanted))
            except NoRoom as no_room:
                if not new:
                    raise
                bought = NotYet("17TRACK has registered it just now")
                return answers | {query.number: no_room if query.known else bought for query in wanted}
            answers |= self.parse(reply, wanted)
        return answers

    def parse(self, reply: Reply, queries: Sequence[Query]) -> Answers:
        """A reply of gettrackinfo."""
        return parse(reply, queries)


def parse(reply: Reply, queries: Sequence[Query]) -> Answers:
    """What gettrackinfo says about each number."""
    answer = _answer(reply)
    return {query.number: _tracked(query, answer) for query in queries}


def _request(endpoint: str, headers: Mapping[str, str], body: bytes) -> Request:
    return Request("POST", f"/track/v2.2/{endpoint}", headers, body=body)


def _answer(reply: Reply) -> Answer:
    """The envelope of a processed call. Raises the CarrierError that a failed one means."""
    if reply.status == 401:
        raise Refused("HTTP 401: the 17TRACK token is not accepted, or not from this address")
    check_status(reply)
    answer = answer_of(reply.body)
    if answer.error:
        raise _of_code(answer.error, "the whole call")
    return answer


def _refused(queries: Sequence[Query], answer: Answer) -> dict[str, CarrierError]:
    """The numbers that could not be registered; one that is registered already is as good as a new one."""
    refused: dict[str, CarrierError] = {}
    accepted = {item.number.upper() for item in answer.accepted}
    for query in queries:
        if query.number.upper() in accepted:
            continue
        item = _about(query, answer.rejected)
        if item is None:
            refused[query.number] = MalformedReply("register: the answer does not contain this number")
        elif item.error != ALREADY:
            refused[query.number] = _of_code(item.error, item.message)
    return refused


def _tracked(query: Query, answer: Answer) -> Report | CarrierError:
    try:
        item = _about(query, answer.accepted)
        if item is not None:
            return report_of(query.number, item.carrier, item.track_info)
        item = _about(query, answer.rejected)
        if item is None:
            return MalformedReply("the answer does not contain this number")
        if item.error == NOT_THERE:  # just registered: it is on its way
            return (
                NotRegistered(item.message) if query.known else NotYet("17TRACK has registered it just now")
            )
        return _of_code(item.error, item.message)
    except CarrierError as error:
        return error


def _about(query: Query, items: Sequence[Item]) -> Item | None:
    """The item about a number. Of several registrations the one with our code: 17TRACK may correct codes."""
    own = [item for item in items if item.number.upper() == query.number.upper()]
    return next((item for item in own if item.carrier == query.code), own[0] if own else None)


def _of_code(code: int, message: str) -> CarrierError:
    detail = f"17TRACK {code}: {message}"
    if code == NOTHING_YET:
        return NotYet("17TRACK has no tracking information yet")
    if code in _SPENT:
        return QuotaSpent(f"the quota of the 17TRACK token is used up ({code})")
    if code in _NO_REAL_TIME:
        return NotRealTime(detail)
    if code in _NOT_TAKEN or code in _LACKS:
        return NotTaken(detail, lacks=_LACKS.get(code, ""))
    if code in _CREDENTIALS:
        return Refused(detail)
    if code == 429:
        return Throttled(detail)
    if code == -18019815:
        return Unavailable(detail, timed_out=True)
    if code in (-18010003, -18019816, -18019817, 500, 503):
        return Unavailable(detail)
    return MalformedReply(detail)


CARRIER = SeventeenTrack()
