"""Dates that callers write in free forms."""

import re
from datetime import UTC, datetime, timedelta

from parcelwire.domain.errors import CallerError
from parcelwire.domain.times import from_iso
from parcelwire.wire.codes import shown
from parcelwire.wire.trackinfo import iso

# Year first, so that day and month cannot be confused: 2023/1/1, 2023-1-1 8:05, 2023.01.01T08:05:00
_YEAR_FIRST = re.compile(
    r"(?P<y>\d{4})[/.-](?P<m>\d{1,2})[/.-](?P<d>\d{1,2})"
    r"(?:[T ]+(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:\.\d{1,9})?)?)?",
    re.ASCII,
)


def order_time(text: str) -> str:
    """An order time in ISO form; as given when its form is not one that can be read without a guess.

    CallerError for a text that holds no date at all.
    """
    text = text.strip()
    moment = from_iso(text)
    if moment.date is not None:
        return iso(moment) or (
            f"{moment.date}T{moment.time}{moment.zone or ''}" if moment.time else moment.date
        )
    read = _year_first(text, "order_time")
    if read is None and not re.search(r"\d", text, re.ASCII):
        raise CallerError("bad_value", field="order_time", value=shown(text))
    return read or text


def bound(text: str, field: str, *, end: bool) -> datetime:
    """One end of a span of time, UTC where no offset is given. As an end it is the moment after the second,
    or the day, that was named. CallerError when it cannot be read."""
    text = text.strip()
    moment = from_iso(_year_first(text, field) or text)
    try:
        at = moment.utc
        if at is None and moment.date is not None:
            at = datetime.fromisoformat(f"{moment.date}T{moment.time or '00:00:00'}").replace(tzinfo=UTC)
        if at is not None:
            return at + (timedelta(seconds=1) if moment.time else timedelta(days=1)) if end else at
    except (ValueError, OverflowError):
        pass
    raise CallerError("bad_value", field=field, value=shown(text))


def _year_first(text: str, field: str) -> str | None:
    """ISO form; None when it is another form. CallerError when there is no such day."""
    match = _YEAR_FIRST.fullmatch(text)
    if match is None:
        return None
    part = {name: int(value) for name, value in match.groupdict("0").items()}
    try:
        at = datetime(part["y"], part["m"], part["d"], part["h"], part["min"], part["s"])  # noqa: DTZ001
    except ValueError:
        raise CallerError("bad_value", field=field, value=shown(text)) from None
    return at.isoformat()[: None if match["h"] else 10]
