"""A made-up parcel's way through time, the same for a number whenever it is played."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Journeys:
    """When each made-up journey began, and how fast all of them go.

    A step takes ``step_s`` seconds; when that is None its usual hours, half to twice of them as the number
    decides.
    """

    step_s: float | None = None
    _begun: dict[str, datetime] = field(default_factory=dict)

    def scans(self, number: str, now: datetime, places: Sequence[Place]) -> list[Scan]:
        """The scans up to ``now``, newest first; there is always the first. The number decides where it goes.

        The label was made an hour before the first question, or one step before it.
        """
        ahead = timedelta(hours=1) if self.step_s is None else timedelta(seconds=self.step_s)
        begun = self._begun.setdefault(number, now - ahead)
        return scans(number, begun, now, places, self.step_s)


def scans(
    number: str, begun: datetime, now: datetime, places: Sequence[Place], step_s: float | None = None
) -> list[Scan]:
    """The scans up to ``now``, newest first, of a parcel whose label (always there) was made at ``begun``."""
    pace = 0.5 + crc32(number.encode()) % 16 / 10
    origin, target = ends(number, places)
    found: list[Scan] = []
    for count, (step, hours) in enumerate(HOURS):
        after = timedelta(hours=hours * pace) if step_s is None else timedelta(seconds=count * step_s)
        if found and begun + after > now:
            break
        place = origin if step in AT_ORIGIN else target
        at = (begun + after).astimezone(ZoneInfo(place.zone)).replace(microsecond=0)
        found.append(Scan(step, at, place))
    found.reverse()
    return found


def ends(number: str, places: Sequence[Place]) -> tuple[Place, Place]:
    """Where the journey of ``number`` begins and ends: two different places."""
    seed = crc32(number.encode())
    first = seed % len(places)
    return places[first], places[(first + 1 + seed // 7 % (len(places) - 1)) % len(places)]
