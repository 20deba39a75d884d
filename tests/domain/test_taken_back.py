"""Events that a carrier takes back, and the order of events whose zone is unknown."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import permutations

from parcelwire.domain import merge, timeline, times
from parcelwire.domain.report import Address, Event, Report
from parcelwire.domain.status import SubStatus

NOW = datetime(2026, 7, 1, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))


def scan(text: str, sub_status: SubStatus, wall: str, zone: tzinfo | None = CHINA) -> Event:
    moment = times.from_iso(wall)
    return Event(times.in_zone(moment, zone) if zone else moment, text, sub_status)


def nowhere(place: Address) -> tzinfo | None:
    return None


OUT = scan("out", SubStatus.OUT_FOR_DELIVERY, "2026-06-02T08:00:00")
DELIVERED = scan("delivered", SubStatus.DELIVERED, "2026-06-02T09:30:00")
AGAIN = scan("delivered", SubStatus.DELIVERED, "2026-06-02T16:20:00")


def answer(*events: Event, voided: tuple[Event, ...] = ()) -> Report:
    report = Report("1", events=tuple(reversed(events)), voided=tuple(map(merge.event_key, voided)))
    return times.settle(report, nowhere, NOW)


def test_a_later_answer_takes_back_a_delivery_that_an_earlier_one_held() -> None:
    """The only way out of Delivered besides a return, whichever answer is merged first."""
    first = merge.begin("c", answer(OUT, DELIVERED), NOW - timedelta(hours=2))
    second = merge.begin("c", answer(OUT, voided=(DELIVERED,)), NOW)
    for one, two in permutations((first, second)):
        line = timeline.assemble([merge.merge(one, two)], NOW)
        assert line.sub_status is SubStatus.OUT_FOR_DELIVERY
        assert [shown.event.description for shown in line.legs[0].scans] == ["out"]


def test_the_same_scan_at_another_time_is_not_taken_back() -> None:
    """Delivered again after a withdrawal counts, and an old answer does not bring the first one back."""
    histories = [
        merge.begin("c", answer(OUT, DELIVERED), NOW - timedelta(hours=3)),
        merge.begin("c", answer(OUT, voided=(DELIVERED,)), NOW - timedelta(hours=2)),
        merge.begin("c", answer(OUT, AGAIN, voided=(DELIVERED,)), NOW),
    ]
    results = set()
    for one, two, three in permutations(histories):
        merged = merge.merge(merge.merge(one, two), three)
        line = timeline.assemble([merged], NOW)
        assert line.sub_status is SubStatus.DELIVERED
        assert len(line.legs[0].scans) == 2
        results.add(repr((merged.report, merged.seen)))
    assert len(results) == 1


def test_what_was_taken_back_stays_so_when_the_carrier_forgets() -> None:
    """A shorter answer without the void does not revive the scan; merging twice changes nothing."""
    first = merge.begin("c", answer(OUT, DELIVERED), NOW - timedelta(hours=3))
    second = merge.merge(first, merge.begin("c", answer(voided=(DELIVERED, OUT)), NOW - timedelta(hours=1)))
    third = merge.merge(second, merge.begin("c", answer(AGAIN), NOW))
    assert [event.time.time for event in merge.visible(third)] == ["16:20:00"]
    assert merge.merge(third, third) == third


def test_a_scan_without_a_zone_stays_after_the_scan_that_the_carrier_put_before_it() -> None:
    """Nine in the evening in Vancouver comes after ten in the evening in Shanghai, sent in that order."""
    departed = scan("departed", SubStatus.DEPARTURE, "2026-04-03T20:10:00")
    arrived = scan("arrived", SubStatus.ARRIVAL, "2026-04-03T19:40:00", zone=None)
    customs = scan("customs", SubStatus.CUSTOMS_PROCESSING, "2026-04-03T21:05:00", zone=None)
    report = answer(departed, arrived, customs)
    assert [event.description for event in report.events] == ["customs", "arrived", "departed"]
    assert report.events[1].time.utc is None
    assert times.settle(report, nowhere, NOW) == report


def test_a_scan_without_a_zone_that_no_zone_can_explain_is_sorted_by_its_time() -> None:
    """Two days before its neighbour: that is the carrier's order being wrong, not a zone."""
    late = scan("late", SubStatus.IN_TRANSIT, "2026-04-05T20:10:00")
    early = scan("early", SubStatus.IN_TRANSIT, "2026-04-03T19:40:00", zone=None)
    assert [event.description for event in answer(late, early).events] == ["late", "early"]
