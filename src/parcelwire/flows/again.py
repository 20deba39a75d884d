"""Answers that say what is known already: nothing is made anew of them. Nearly all are such answers.

Those in the very words of the last one are not even read, when the carrier file knows them again
(Query.told). The mark of the words is kept with the day and the version that read them, and the same words
are read anew after that: whatever their reading depends on (code tables, zones) is never older than a day.
"""

from datetime import datetime

from parcelwire import __version__
from parcelwire.domain.merge import unchanged
from parcelwire.domain.report import Report
from parcelwire.domain.schedule import expired
from parcelwire.domain.status import SubStatus
from parcelwire.domain.values import replace
from parcelwire.flows.context import Context
from parcelwire.ports import Carrier, Due


def mark_to_tell(context: Context, source: Carrier, due: Due) -> str | None:
    """The mark of the last answer, if the same answer would change nothing."""
    shipment = due.shipment
    untranslated = (
        shipment.wish.lang and not shipment.wish.translated
    )  # each answer may be the first that is paid
    if shipment.doubt is not None or untranslated or not _holds(context, source, due):
        return None
    read, _, mark = due.histories[0].report.mark.rpartition(" ")
    return mark if mark and read == _reading(context.clock.now()) else None


def marked(report: Report, now: datetime) -> Report:
    """A settled report with its mark as it is kept; without one when the clock may change how it is read."""
    if not report.mark:
        return report
    given = report.delivered
    certain = all(event.time.utc for event in report.events) and (given is None or given.utc is not None)
    return replace(report, mark=f"{_reading(now)} {report.mark}" if certain else "")


def repeats(context: Context, source: Carrier, due: Due, report: Report) -> bool:
    """Whether a settled report says what is known."""
    if report.further or report.behind or report.as_of or not due.histories:
        return False
    return unchanged(due.histories[0], report) and _holds(context, source, due)


def _holds(context: Context, source: Carrier, due: Due) -> bool:
    """Whether what is shown of a shipment is as it would be made now from the same answer."""
    shipment = due.shipment
    if len(due.histories) != 1 or due.histories[0].source != source.slug or shipment.digest is None:
        return False
    if shipment.sub_status is None or shipment.sub_status is SubStatus.EXPIRED:
        return False
    (own,) = due.histories
    newest = own.seen[0].event.order_at if own.seen else None
    if newest is not None and newest > own.asked_at:  # a scan ahead of the clock may count only now
        return False
    now, pace = context.clock.now(), context.pace_of(shipment.carrier)
    return not expired(shipment.sub_status, shipment.marks.newest, now, pace)


def _reading(now: datetime) -> str:
    return f"{__version__} {now.date()}"
