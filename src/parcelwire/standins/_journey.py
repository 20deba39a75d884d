"""A made-up parcel's way through time, the same for a number whenever it is played."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32
from zoneinfo import ZoneInfo


class Step(StrEnum):
    """What happens to the parcel."""

    LABEL = "label"
    PICKED_UP = "picked up"
    LEFT = "left"
    ARRIVED = "arrived"
    AT_STATION = "at station"
    OUT = "out"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Place:
    """A town and its time zone."""

    city: str
    state: str
    postal_code: str
    country: str
    country_name: str
    zone: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One step, at the local time of its place."""

    step: Step
    at: datetime
    place: Place


HOURS: Sequence[tuple[Step, float]] = (
    (Step.LABEL, 0),
    (Step.PICKED_UP, 5),
    (Step.LEFT, 9),
    (Step.ARRIVED, 30),
    (Step.AT_STATION, 44),
    (Step.OUT, 47),
    (Step.DELIVERED, 53),
)
AT_ORIGIN = frozenset({Step.LABEL, Step.PICKED_UP, Step.LEFT})

US = (
    Place("SALEM", "OR", "97301", "US", "United States", "America/Los_Angeles"),
    Place("BOISE", "ID", "83702", "US", "United States", "America/Boise"),
    Place("MADISON", "WI", "53703", "US", "United States", "America/Chicago"),
    Place("CONCORD", "NH", "03301", "US", "United States", "America/New_York"),
)
GERMANY = (
    Place("Kassel", "", "34117", "DE", "Germany", "Europe/Berlin"),
    Place("Rostock", "", "18055", "DE", "Germany", "Europe/Berlin"),
    Place("Ulm", "", "89073", "DE", "Germany", "Europe/Berlin"),
)


def scans(number: str, begun: datetime, now: datetime, places: Sequence[Place]) -> list[Scan]:
    """The scans up to ``now``, newest first, of a parcel whose label (always there) was made at ``begun``.

    The number decides the pace (half to twice the usual hours) and the two ends of the journey.
    """
    pace = 0.5 + crc32(number.encode()) % 16 / 10
    origin, target = ends(number, places)
    found: list[Scan] = []
    for step, hours in HOURS:
        at = begun + timedelta(hours=hours * pace)
        if found and at > now:
            break
        place = origin if step in AT_ORIGIN else target
        found.append(Scan(step, at.astimezone(ZoneInfo(place.zone)).replace(microsecond=0), place))
    found.reverse()
    return found


def ends(number: str, places: Sequence[Place]) -> tuple[Place, Place]:
    """Where the journey of ``number`` begins and ends: two different places."""
    seed = crc32(number.encode())
    first = seed % len(places)
    return places[first], places[(first + 1 + seed // 7 % (len(places) - 1)) % len(places)]
