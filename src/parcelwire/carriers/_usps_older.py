"""The written dates of USPS, and its forms of an answer that are text: SUMMARY, and the retired TrackV2 XML.

Both give local times without any zone, and places as one text; so they stay.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from parcelwire.carriers._reading import text
from parcelwire.domain.report import UNKNOWN_TIME, Moment, joined
from parcelwire.domain.times import day, local

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DATE = (
    r"(?:(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})"
    r"|(?P<month>[A-Z][a-z]{2,8}) (?P<day>\d{1,2}), (?P<year>\d{4}))"
)
_CLOCK = r"(?P<clock>\d{1,2}:\d{2} ?[ap]m)"
_WHEN = re.compile(rf"{_DATE}(?:, {_CLOCK})?")
_LINES = (
    re.compile(rf"(?P<what>.+?), {_DATE}(?:, {_CLOCK})?(?:, (?P<where>.+))?"),
    re.compile(rf"(?P<what>.+) at {_CLOCK} on {_DATE}(?: in (?P<where>.+?))?\.?"),
)
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})? ?([ap]m)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """One event as text. ``code`` is empty where the form has none."""

    what: str
    when: Moment
    where: str | None
    code: str = ""


def summary_line(line: str) -> Written:
    """``What, 09/18/2025, 3:12 am, PLACE`` or ``What at 3:12 am on September 18, 2025 in PLACE.``"""
    found = next((match for form in _LINES if (match := form.fullmatch(line))), None)
    return (
        Written(found["what"], _moment(found), found["where"]) if found else Written(line, UNKNOWN_TIME, None)
    )


def xml_scan(scan: Mapping[str, object]) -> Written:
    """A TrackSummary or TrackDetail element."""
    date, clock = text(scan, "EventDate", 0) or "", text(scan, "EventTime", 0)
    found = _WHEN.fullmatch(f"{date}, {clock}" if clock else date)
    return Written(
        text(scan, "Event", 0) or "",
        _moment(found) if found else UNKNOWN_TIME,
        joined([text(scan, f"Event{part}", 0) for part in ("City", "State", "ZIPCode", "Country")]),
        text(scan, "EventCode", 0) or "",
    )


def time_of_day(date: datetime, clock: str | None) -> datetime | None:
    """``date`` at ``clock``: 9:00 pm or 21:00; None for anything else."""
    found = _TIME_OF_DAY.fullmatch(clock or "")
    if found is None:
        return None
    hour, half = int(found[1]), (found[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return date.replace(hour=hour, minute=int(found[2]), second=0)
    except ValueError:
        return None


def _moment(found: re.Match[str]) -> Moment:
    try:
        if found["month"]:
            month = MONTHS.index(found["month"]) + 1
            date = datetime(int(found["year"]), month, int(found["day"]))  # noqa: DTZ001 - zone unknown
        else:
            date = datetime(int(found["y"]), int(found["m"]), int(found["d"]))  # noqa: DTZ001
    except ValueError:
        return UNKNOWN_TIME
    at = time_of_day(date, found["clock"])
    return local(at) if at else day(date)
