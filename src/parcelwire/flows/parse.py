"""Read one raw reply of a carrier as the service would, without a store: for authors of carrier files."""

from datetime import datetime

from parcelwire.domain.errors import CarrierError, InvalidNumber, MalformedReply, UnknownNumber
from parcelwire.domain.exchange import Query, Reply
from parcelwire.domain.merge import extend
from parcelwire.domain.report import Report
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import Timeline, assemble
from parcelwire.domain.times import settle
from parcelwire.ports import Carrier, Zones
from parcelwire.wire.outline import Outline, outline

REPORT = "report"  # the outcome of an answer that is one


def query_of(carrier: Carrier, number: str, now: datetime) -> Query:
    """A question about a number that was registered just now."""
    return Query(number, carrier.serves[0], now)


def parse_reply(carrier: Carrier, reply: Reply, number: str, now: datetime) -> Report | CarrierError:
    """What a reply says about ``number``; an error of the whole call is returned too."""
    try:
        answers = carrier.parse(reply, [query_of(carrier, number, now)])
    except CarrierError as error:
        return error
    return answers.get(number) or MalformedReply("the answer does not contain this number")


def outline_of(
    carrier: Carrier, number: str, answer: Report | CarrierError, zone_of: Zones, now: datetime
) -> Outline:
    """The answer as it would be shown if it were all that is known. Expiry by silence is left out: it depends
    on when one looks, not on what the carrier said."""
    if isinstance(answer, Report):
        histories = extend([], carrier.slug, settle(answer, zone_of, now), now)
        return outline(number, carrier.slug, REPORT, assemble(histories, now))
    timeline = None
    if isinstance(answer, UnknownNumber):
        timeline = Timeline(SubStatus.NOT_FOUND_OTHER)
    elif isinstance(answer, InvalidNumber):
        timeline = Timeline(SubStatus.NOT_FOUND_INVALID_CODE)
    return outline(number, carrier.slug, answer.outcome, timeline)
