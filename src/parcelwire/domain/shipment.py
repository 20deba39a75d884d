"""A shipment and its life cycle.

    (none) --look up--> looked_up --register--> tracking --stop / end--> stopped --retrack--> tracking
    (none) --register--------------------------> tracking        any --delete--> (none)

``looked_up`` is what a real-time question about an unregistered number leaves behind: it is never refreshed
by itself, never listed and never pushed, and registering it later finds what is already known.
"""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from parcelwire.domain.doubt import Doubt
from parcelwire.domain.errors import CallerError
from parcelwire.domain.status import SubStatus
from parcelwire.domain.timeline import NO_MARKS, Marks
from parcelwire.domain.values import dataclass


class Phase(StrEnum):
    """Where a registration is in its life cycle."""

    LOOKED_UP = "looked_up"
    TRACKING = "tracking"
    STOPPED = "stopped"


class Action(StrEnum):
    """What can happen to a registration."""

    REGISTER = "register"
    STOP = "stop"  # by request
    END = "end"  # by a rule: delivered for 15 days, silent for 30, invalid carrier
    RETRACK = "retrack"
    CHANGE_CARRIER = "change carrier"


# (phase, action) -> next phase, or the reason of the refusal (wire/codes.py).
LIFE_CYCLE: dict[tuple[Phase | None, Action], Phase | str] = {
    (None, Action.REGISTER): Phase.TRACKING,
    (Phase.LOOKED_UP, Action.REGISTER): Phase.TRACKING,
    (Phase.TRACKING, Action.REGISTER): "registered",
    (Phase.STOPPED, Action.REGISTER): "registered",
    (None, Action.STOP): "not_registered",
    (Phase.LOOKED_UP, Action.STOP): "not_registered",
    (Phase.TRACKING, Action.STOP): Phase.STOPPED,
    (Phase.STOPPED, Action.STOP): "not_tracking",
    (None, Action.END): "not_registered",
    (Phase.LOOKED_UP, Action.END): "not_registered",
    (Phase.TRACKING, Action.END): Phase.STOPPED,
    (Phase.STOPPED, Action.END): "not_tracking",
    (None, Action.RETRACK): "not_registered",
    (Phase.LOOKED_UP, Action.RETRACK): "not_registered",
    (Phase.TRACKING, Action.RETRACK): "not_stopped",
    (Phase.STOPPED, Action.RETRACK): Phase.TRACKING,
    (None, Action.CHANGE_CARRIER): "not_of_old_carrier",
    (Phase.LOOKED_UP, Action.CHANGE_CARRIER): "not_of_old_carrier",
    (Phase.TRACKING, Action.CHANGE_CARRIER): Phase.TRACKING,
    (Phase.STOPPED, Action.CHANGE_CARRIER): "carrier_of_stopped",
}
CARRIER_CHANGES_MAX = 5  # of one registration


class StopReason(StrEnum):
    """Why tracking stopped."""

    EXPIRED = "Expired"
    BY_REQUEST = "ByRequest"
    INVALID_CARRIER = "InvalidCarrier"


Extra = str | list[str] | dict[str, str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller gave with a number, kept and echoed."""

    tag: str | None = None
    lang: str | None = None
    param: str | None = None
    order_no: str | None = None
    order_time: str | None = None
    email: str | None = None
    remark: str | None = None
    final_carrier: int | None = None  # the last-mile carrier, by the caller's code
    translated: bool | None = None  # a translation into ``lang`` has been paid for
    more: dict[str, Extra] | None = None  # further fields of register (v2.4), by their wire names

    @property
    def hint(self) -> str | None:
        """What helps a carrier to tell shipments with the same number apart."""
        if self.param or not self.more:
            return self.param
        postal_code = self.more.get("destination_postal_code")
        return postal_code if isinstance(postal_code, str) else None


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class Shipment:
    """One registration. Times are aware UTC."""

    id: int
    account: int
    number: str
    carrier: str  # slug
    code: int  # the caller's code of the carrier: answered, pushed and looked up with
    origin: int  # 1 detected or corrected, 2 as given, 3 a guess
    phase: Phase
    since: datetime  # when the number became known: bounds the ship date of reused numbers
    wish: Wish = NO_WISH
    registered_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_reason: StopReason | None = None
    version: int = 0  # grows by one with every change that is pushed
    sub_status: SubStatus | None = None  # None before the first finished refresh
    descr: str | None = None
    digest: str | None = None  # of what is shown; a change is pushed when it changes
    marks: Marks = NO_MARKS
    asked_at: datetime | None = None  # last refresh, finished or not
    answered_at: datetime | None = None  # last refresh that said something about the number
    changed_at: datetime | None = None  # last change of the timeline
    trouble: str | None = None  # why the last refresh said nothing; None when it did
    fails: int = 0  # refreshes in a row without an answer
    refresh_at: datetime | None = None
    lane: str = ""
    lease: str | None = field(default=None, repr=False)
    retracked: bool = False  # a stopped registration can be tracked again once
    carrier_changes: int = 0
    doubt: Doubt | None = None  # only of a guess that is not known yet


def step(phase: Phase | None, action: Action) -> Phase:
    """The phase after ``action``. CallerError with the reason of the refusal."""
    after = LIFE_CYCLE[phase, action]
    if isinstance(after, Phase):
        return after
    raise CallerError(after)
