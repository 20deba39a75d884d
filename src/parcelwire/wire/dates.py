"""Dates that callers write in free forms."""

import re
from datetime import datetime

from parcelwire.domain.errors import CallerError
from parcelwire.domain.times import from_iso, iso
from parcelwire.wire.codes import shown

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
    match = _YEAR_FIRST.fullmatch(text)
    if match:
        part = {name: int(value) for name, value in match.groupdict("0").items()}
        try:
            at = datetime(part["y"], part["m"], part["d"], part["h"], part["min"], part["s"])  # noqa: DTZ001
        except ValueError:
            raise CallerError("bad_value", field="order_time", value=shown(text)) from None
        return at.isoformat()[: None if match["h"] else 10]
    if not re.search(r"\d", text, re.ASCII):
        raise CallerError("bad_value", field="order_time", value=shown(text))
    return text
