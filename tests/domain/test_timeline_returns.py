"""A return in the cross-check with the carrier's own current status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from parcelwire.domain.merge import add
from parcelwire.domain.report import Event, Report
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import assemble
from parcelwire.domain.times import exact, settle

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


def standing(report: Report) -> SubStatus:
    settled = settle(report, lambda _: None, NOW)
    return assemble([add(None, "ups", settled, NOW)], NOW).sub_status


def scan(days_ago: int, sub_status: SubStatus) -> Event:
    return Event(exact(NOW - timedelta(days=days_ago)), sub_status.value, sub_status)


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (SubStatus.DELIVERED, SubStatus.RETURNED),
        (SubStatus.IN_TRANSIT, SubStatus.RETURNING),
        (SubStatus.OUT_FOR_DELIVERY, SubStatus.RETURNING),
        (SubStatus.DAMAGE, SubStatus.DAMAGE),
    ],
)
def test_an_authoritative_current_status_is_read_as_part_of_the_return(
    current: SubStatus, expected: SubStatus
) -> None:
    """A returned shipment whose carrier says "delivered" is not delivered."""
    report = Report(
        "1Z",
        events=(scan(1, current), scan(2, SubStatus.RETURNING), scan(3, SubStatus.PICKED_UP)),
        current=current,
        current_authoritative=True,
    )
    assert standing(report) is expected


def test_without_a_return_the_authoritative_current_status_stands() -> None:
    report = Report(
        "1Z", events=(scan(2, SubStatus.IN_TRANSIT),), current=SubStatus.DELIVERED, current_authoritative=True
    )
    assert standing(report) is SubStatus.DELIVERED


def test_a_message_about_a_return_is_no_return() -> None:
    """An informative "return asked for" does not turn a delivery into a return."""
    asked = replace(scan(2, SubStatus.RETURNING), informative=True)
    report = Report(
        "1Z",
        events=(scan(1, SubStatus.DELIVERED), asked),
        current=SubStatus.DELIVERED,
        current_authoritative=True,
    )
    assert standing(report) is SubStatus.DELIVERED
