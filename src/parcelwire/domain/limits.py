"""How fast one lane (carrier x credential) may be asked. Values are the carrier's published limits."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

# Nothing is put off by more than this, whatever a carrier asks for; what is due later than that was written
# by a clock that was ahead of today's.
DELAY_MAX = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls per lane. ``per_s`` calls a second with bursts of ``burst``; ``per_day`` resets at 00:00 UTC.

    None means that the carrier publishes none. ``reserved`` is the share of the day kept for real-time calls;
    ``per_number_day`` is how often a day one number may be asked about.
    """

    per_s: float | None = None
    burst: int = 1
    per_day: int | None = None
    reserved: float = 0.2
    per_number_day: int | None = None


class Reach(Enum):
    """Whose parcels a source can see with the operator's credential."""

    ANY = "any parcel of its carriers"
    OWN = "parcels that were shipped with this credential, and few others"
    BOUGHT = "parcels of all carriers; each new number costs the operator quota"
