"""Kinds of registrations: all that a list filter can ask for except times, packed into one integer.

The packing is that of the column ``listing.kind`` (migrations/*/0003_wire.sql).
"""

from collections.abc import Iterable
from typing import NamedTuple

from parcelwire.domain.listing import Filter, PushStanding
from parcelwire.domain.shipment import Phase
from parcelwire.domain.status import Status

NEVER_ASKED, SYNCED, FAILED = 0, 1, 2
STATUSES = tuple(Status)


class Kind(NamedTuple):
    """One kind, unpacked."""

    status: Status
    phase: Phase
    sync: int
    push: PushStanding
    push_code: int
    code: int


def unpack(kind: int) -> Kind:
    """What a kind means."""
    return Kind(
        STATUSES[kind & 15],
        Phase.STOPPED if kind >> 4 & 1 else Phase.TRACKING,
        kind >> 5 & 3,
        PushStanding(kind >> 7 & 3),
        kind >> 9 & 1023,
        kind >> 19,
    )


def fitting(kinds: Iterable[int], wanted: Filter) -> list[int]:
    """The kinds that a filter lets through."""
    return [kind for kind in kinds if _fits(unpack(kind), wanted)]


def _fits(kind: Kind, wanted: Filter) -> bool:
    return (
        wanted.code in (None, kind.code)
        and wanted.status in (None, kind.status)
        and wanted.phase in (None, kind.phase)
        and wanted.push in (None, kind.push)
        and (wanted.push_code is None or (bool(kind.push) and wanted.push_code == kind.push_code))
        and (wanted.synced is None or wanted.synced == (kind.sync == SYNCED))
    )
