"""Work that harms the process, and when it is parked.

A strike is noted against a piece of work when it ends in an unexpected error, and when the process died while
it was at work on it. Work that comes to an end without any is absolved. What has too many strikes is parked:
nobody takes it up any more until the owner says so, and everything else goes on. (Reference: reliability, 3.)
"""

from enum import IntEnum
from typing import NamedTuple


class Strike(IntEnum):
    """What can be noted, and how heavy it is."""

    ERROR = 2
    DEATH = 5


PARKED_AT = 10  # five errors in a row, or two deaths
TROUBLE = "parked: the operator has to look at it"  # of a parked shipment: callers see this, never the error


class Piece(NamedTuple):
    """A refresh of a shipment; with an endpoint the push of one of its versions."""

    shipment: int
    endpoint: int = 0
    version: int = 0

    def __str__(self) -> str:
        if not self.endpoint:
            return f"shipment {self.shipment}"
        return f"version {self.version} of shipment {self.shipment} for endpoint {self.endpoint}"
