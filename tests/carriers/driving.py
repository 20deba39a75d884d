"""Drives a carrier file by hand: replies in, answers out, then on to what the service would show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from parcelwire.domain import merge, timeline
from parcelwire.domain.errors import CarrierError, InvalidNumber, UnknownNumber
from parcelwire.domain.exchange import Access, Answers, Query, Reply, Request
from parcelwire.domain.report import Report
from parcelwire.domain.status import Stage, Status, SubStatus
from parcelwire.domain.times import ZoneOf, settle
from parcelwire.ports import Carrier

NOW = datetime(2030, 1, 1, tzinfo=UTC)  # later than every scan in every recording
SECRET = "s3cr3t-of-the-test"
SECRETS = {"sm4_key": "MDEyMzQ1Njc4OWFiY2RlZg=="}  # credentials that have to have a form
CALLS_MAX = 4  # a carrier that asks more often for one answer has lost its way

Answering = Callable[[Request], Reply]


@dataclass(frozen=True)
class Outcome:
    """What comes of one number, as the index files write it."""

    status: str
    sub_status: str
    events: int
    latest_event_utc: str | None
    delivered_utc: str | None

    @classmethod
    def expected(cls, row: Mapping[str, Any]) -> "Outcome":
        return cls(
            row["status"], row["sub_status"], row["events"], row["latest_event_utc"], row["delivered_utc"]
        )


def access(carrier: Carrier) -> Access:
    return Access({name: SECRETS.get(name, SECRET) for name in carrier.secrets}, token=SECRET)


def queries(carrier: Carrier, numbers: Sequence[str], since: datetime | None = None) -> list[Query]:
    return [
        Query(number, carrier.serves[0], since or NOW - timedelta(days=5), param=None) for number in numbers
    ]


def converse(carrier: Carrier, asked: Sequence[Query], answering: Answering) -> Answers:
    """The carrier's answers when ``answering`` plays the other side."""
    talk = carrier.track(asked, access(carrier))
    try:
        request = next(talk)
        for _ in range(CALLS_MAX):
            request = talk.send(answering(request))
    except StopIteration as end:
        answers: Answers = end.value
        return answers
    raise AssertionError(f"{carrier.slug} asks more than {CALLS_MAX} times")


def outcome(carrier: Carrier, answer: Report | CarrierError, zone_of: ZoneOf) -> Outcome:
    """Through settle, merge and assemble. Errors that say nothing about the number are raised."""
    if isinstance(answer, UnknownNumber):
        return Outcome(Status.NOT_FOUND, SubStatus.NOT_FOUND_OTHER, 0, None, None)
    if isinstance(answer, InvalidNumber):
        return Outcome(Status.NOT_FOUND, SubStatus.NOT_FOUND_INVALID_CODE, 0, None, None)
    if isinstance(answer, CarrierError):
        raise answer
    histories = merge.extend([], carrier.slug, settle(answer, zone_of, NOW), NOW)
    line = timeline.assemble(histories, NOW)
    delivered = line.milestones.get(Stage.DELIVERED)
    return Outcome(
        line.sub_status.status,
        line.sub_status,
        sum(len(leg.scans) for leg in line.legs),
        _text(line.latest.event.time.utc if line.latest else None),
        _text(delivered.utc if delivered else None),
    )


def since_of(rows: Sequence[Mapping[str, Any]]) -> datetime:
    """A registration a few days before the newest scan that is expected."""
    newest = max((row.get("latest_event_utc") or "" for row in rows), default="")
    return (datetime.fromisoformat(newest) if newest else NOW) - timedelta(days=5)


def _text(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
