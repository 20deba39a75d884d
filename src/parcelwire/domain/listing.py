"""What a caller can ask the list of registrations for, and in which order it comes."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from parcelwire.domain.shipment import Phase
from parcelwire.domain.status import Status


class Axis(IntEnum):
    """A time of a registration; a list is ordered by one, and a filter bounds one."""

    REGISTER = 1
    TRACK = 2  # the last time that a carrier was asked
    PUSH = 3  # the last attempt to push
    STOP = 4


class PushStanding(IntEnum):
    """What came of the last attempt to push."""

    NOT_PUSHED = 0
    SUCCESS = 1
    FAILURE = 2


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to before ``end``; None is open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """All must hold; None is no condition. ``synced``: whether the last refresh said something."""

    numbers: tuple[str, ...] | None = None
    code: int | None = None
    status: Status | None = None
    phase: Phase | None = None
    push: PushStanding | None = None
    push_code: int | None = None
    synced: bool | None = None
    spans: dict[Axis, Span] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """By which time. A registration without it comes as if it were before all others."""

    axis: Axis = Axis.REGISTER
    newest_first: bool = True
