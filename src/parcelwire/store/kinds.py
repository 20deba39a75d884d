"""Kinds of registrations: all that a list filter can ask for except times, packed into one integer.

The packing is that of the column ``listing.kind`` (sqlite/0003_wire.sql and postgres/0014_listing.sql of the
migrations).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from parcelwire.domain.listing import Axis, Filter
from parcelwire.domain.shipment import Phase
from parcelwire.domain.status import Status

NEVER_ASKED, SYNCED, FAILED = 0, 1, 2
STATUSES = tuple(Status)


class Part(NamedTuple):
    """Where in a kind one thing stands."""

    shift: int
    bits: int


STATUS, STOPPED, SYNC, PUSH, PUSH_CODE, CODE = (
    Part(0, 4), Part(4, 1), Part(5, 2), Part(7, 2), Part(9, 10), Part(19, 32),
)  # fmt: skip


class Mask(NamedTuple):
    """A condition: a part is (or, ``other``, is not) a value."""

    part: Part
    value: int
    other: bool = False

    def fits(self, kind: int) -> bool:
        """Whether a kind meets it."""
        return (kind >> self.part.shift & (1 << self.part.bits) - 1 == self.value) is not self.other

    @property
    def sql(self) -> str:
        """The same in SQL."""
        return (
            f"(kind >> {self.part.shift}) & {(1 << self.part.bits) - 1} "
            f"{'<>' if self.other else '='} {self.value:d}"
        )


def masks_of(wanted: Filter) -> tuple[Mask, ...]:
    """What a filter asks of a kind."""
    masks = []
    if wanted.code is not None:
        masks.append(Mask(CODE, wanted.code))
    if wanted.status is not None:
        masks.append(Mask(STATUS, STATUSES.index(wanted.status)))
    if wanted.phase is not None:
        masks.append(Mask(STOPPED, int(wanted.phase is Phase.STOPPED)))
    if wanted.push is not None:
        masks.append(Mask(PUSH, wanted.push))
    if wanted.push_code is not None:
        masks += [Mask(PUSH_CODE, wanted.push_code), having(Axis.PUSH)]
    if wanted.synced is not None:
        masks.append(Mask(SYNC, SYNCED, other=not wanted.synced))
    return tuple(masks)


def having(axis: Axis, *, lacking: bool = False) -> Mask:
    """Registrations that have (or lack) the time of last question or of the last push."""
    return Mask(PUSH if axis is Axis.PUSH else SYNC, 0, other=not lacking)


def fitting(kinds: Iterable[int], masks: Sequence[Mask]) -> list[int]:
    """The kinds that meet all conditions."""
    return [kind for kind in kinds if all(mask.fits(kind) for mask in masks)]
