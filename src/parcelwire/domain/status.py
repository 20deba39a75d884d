"""Statuses, sub-statuses and stages of a shipment, and the tables that order them.

Names are 17TRACK's (help article on statuses): nine statuses, thirty sub-statuses, nine key stages.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where a shipment stands, coarse."""

    NOT_FOUND = "NotFound"
    INFO_RECEIVED = "InfoReceived"
    IN_TRANSIT = "InTransit"
    EXPIRED = "Expired"
    AVAILABLE_FOR_PICKUP = "AvailableForPickup"
    OUT_FOR_DELIVERY = "OutForDelivery"
    DELIVERY_FAILURE = "DeliveryFailure"
    DELIVERED = "Delivered"
    EXCEPTION = "Exception"


class SubStatus(StrEnum):
    """Where a shipment stands, fine. The part before the underscore is the status."""

    NOT_FOUND_OTHER = "NotFound_Other"
    NOT_FOUND_INVALID_CODE = "NotFound_InvalidCode"
    INFO_RECEIVED = "InfoReceived"
    PICKED_UP = "InTransit_PickedUp"
    IN_TRANSIT = "InTransit_Other"
    DEPARTURE = "InTransit_Departure"
    ARRIVAL = "InTransit_Arrival"
    CUSTOMS_PROCESSING = "InTransit_CustomsProcessing"
    CUSTOMS_RELEASED = "InTransit_CustomsReleased"
    CUSTOMS_REQUIRING_INFORMATION = "InTransit_CustomsRequiringInformation"
    EXPIRED = "Expired_Other"
    AVAILABLE_FOR_PICKUP = "AvailableForPickup_Other"
    OUT_FOR_DELIVERY = "OutForDelivery_Other"
    FAILURE_OTHER = "DeliveryFailure_Other"
    FAILURE_NO_BODY = "DeliveryFailure_NoBody"
    FAILURE_SECURITY = "DeliveryFailure_Security"
    FAILURE_REJECTED = "DeliveryFailure_Rejected"
    FAILURE_INVALID_ADDRESS = "DeliveryFailure_InvalidAddress"
    DELIVERED = "Delivered_Other"
    EXCEPTION_OTHER = "Exception_Other"
    RETURNING = "Exception_Returning"
    RETURNED = "Exception_Returned"
    EXCEPTION_NO_BODY = "Exception_NoBody"
    EXCEPTION_SECURITY = "Exception_Security"
    DAMAGE = "Exception_Damage"
    EXCEPTION_REJECTED = "Exception_Rejected"
    DELAYED = "Exception_Delayed"
    LOST = "Exception_Lost"
    DESTROYED = "Exception_Destroyed"
    CANCEL = "Exception_Cancel"

    @property
    def status(self) -> Status:
        """The status this sub-status belongs to."""
        return STATUS_OF[self]


STATUS_OF: dict[SubStatus, Status] = {sub: Status(sub.value.partition("_")[0]) for sub in SubStatus}


class Stage(StrEnum):
    """A key stage ("milestone"): the first time that this point of the journey was reached. Fixed order."""

    INFO_RECEIVED = "InfoReceived"
    PICKED_UP = "PickedUp"
    DEPARTURE = "Departure"
    ARRIVAL = "Arrival"
    AVAILABLE_FOR_PICKUP = "AvailableForPickup"
    OUT_FOR_DELIVERY = "OutForDelivery"
    DELIVERED = "Delivered"
    RETURNING = "Returning"
    RETURNED = "Returned"


STAGE_OF: dict[SubStatus, Stage] = {
    SubStatus.INFO_RECEIVED: Stage.INFO_RECEIVED,
    SubStatus.PICKED_UP: Stage.PICKED_UP,
    SubStatus.DEPARTURE: Stage.DEPARTURE,
    SubStatus.ARRIVAL: Stage.ARRIVAL,
    SubStatus.AVAILABLE_FOR_PICKUP: Stage.AVAILABLE_FOR_PICKUP,
    SubStatus.OUT_FOR_DELIVERY: Stage.OUT_FOR_DELIVERY,
    SubStatus.DELIVERED: Stage.DELIVERED,
    SubStatus.RETURNING: Stage.RETURNING,
    SubStatus.RETURNED: Stage.RETURNED,
}

# Ends that later movement does not undo (statuses: only a void, an explicit return, or, for a cancelled
# shipment, a physical scan).
STICKY = frozenset({SubStatus.DELIVERED, SubStatus.RETURNED, SubStatus.DESTROYED, SubStatus.CANCEL})

# Nothing more is expected; the carrier is asked once a day for late corrections, then tracking stops.
FINISHED = frozenset({SubStatus.DELIVERED, SubStatus.RETURNED, SubStatus.DESTROYED})

# Two events with the same time that contradict each other: the higher rank is the truth.
_RANK_GROUPS: tuple[tuple[SubStatus, ...], ...] = (
    (SubStatus.NOT_FOUND_OTHER, SubStatus.NOT_FOUND_INVALID_CODE, SubStatus.EXPIRED),
    (SubStatus.INFO_RECEIVED,),
    (SubStatus.IN_TRANSIT, SubStatus.PICKED_UP, SubStatus.DEPARTURE, SubStatus.ARRIVAL),
    (SubStatus.CUSTOMS_PROCESSING, SubStatus.CUSTOMS_RELEASED, SubStatus.CUSTOMS_REQUIRING_INFORMATION),
    (SubStatus.DELAYED, SubStatus.EXCEPTION_OTHER, SubStatus.CANCEL),
    (SubStatus.OUT_FOR_DELIVERY,),
    (SubStatus.AVAILABLE_FOR_PICKUP,),
    (
        SubStatus.FAILURE_OTHER, SubStatus.FAILURE_NO_BODY, SubStatus.FAILURE_SECURITY,
        SubStatus.FAILURE_REJECTED, SubStatus.FAILURE_INVALID_ADDRESS,
    ),
    (
        SubStatus.DESTROYED, SubStatus.LOST, SubStatus.DAMAGE, SubStatus.EXCEPTION_NO_BODY,
        SubStatus.EXCEPTION_SECURITY, SubStatus.EXCEPTION_REJECTED, SubStatus.RETURNING,
    ),
    (SubStatus.DELIVERED,),
    (SubStatus.RETURNED,),
)  # fmt: skip
RANK: dict[SubStatus, int] = {sub: rank for rank, group in enumerate(_RANK_GROUPS) for sub in group}
