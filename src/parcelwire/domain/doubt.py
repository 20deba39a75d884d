"""A carrier that was a guess, and when to look for the right one (docs/why/0008-guesses-are-checked.md)."""

from datetime import timedelta

from parcelwire.domain.status import Status, SubStatus
from parcelwire.domain.values import dataclass

PATIENCE_ANSWERS = 5  # "not found" so often: about nine hours at the usual pace, before anything is bought
PATIENCE_DAYS = 0.5  # unknown for so long: for a carrier that cannot be asked at all
CANDIDATES_MAX = 5  # other carriers that are asked about one shipment


@dataclass(frozen=True, slots=True)
class Doubt:
    """What has been done to find the carrier of a number."""

    unknown: int = 0  # answers of the first carrier that told nothing
    tried: tuple[str, ...] = ()  # other carriers that did not know it; none is asked twice
    asks: str | None = None  # the carrier that is asked now in place of the first one
    back: str = ""  # the lane to go back to


NO_DOUBT = Doubt()


def found(sub_status: SubStatus | None) -> bool:
    """Whether anybody has ever known the number."""
    return sub_status is not None and sub_status.status is not Status.NOT_FOUND


def ripe(doubt: Doubt, age: timedelta, day: timedelta, *, at_once: bool) -> bool:
    """Whether another carrier is to be asked. ``at_once``: the first one says that the number cannot be its
    own, or the search has begun. ``day``: the pace of the first carrier."""
    if len(doubt.tried) >= CANDIDATES_MAX:
        return False
    return at_once or doubt.unknown >= PATIENCE_ANSWERS or age >= PATIENCE_DAYS * day
