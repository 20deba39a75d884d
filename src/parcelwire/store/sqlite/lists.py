"""Pages of the list, at a cost that does not grow with the number of registrations.

A filter is a set of kinds and spans of time. ``tally`` (0003_wire.sql) counts the registrations of each kind
in nested spans of time, 32 in one: going down it finds the rank of a time, and the time of a rank. So a total
is a difference of ranks, and a page of any depth is read from the index between two times. Only a filter on a
time that the order does not use (two dimensions) is counted row by row, through its narrowest span.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from parcelwire.domain.listing import Axis, Filter, Order, Span
from parcelwire.ports import Listed, ListPage
from parcelwire.store.kinds import Mask, fitting, having, masks_of
from parcelwire.store.rows import LISTED, micros

LEVELS = (45, 40, 35, 30, 25, 20)  # as in tally_level, the widest first
LEAF = LEVELS[-1]
STEP = 5  # bits between two levels
END = 2**62  # after all times

COLUMN = {Axis.REGISTER: "register_at", Axis.TRACK: "track_at", Axis.PUSH: "push_at", Axis.STOP: "stop_at"}
_INDEX = {axis: f"listing_{column.removesuffix('_at')}" for axis, column in COLUMN.items()}
_KINDS = f"SELECT DISTINCT kind FROM tally WHERE account = ? AND axis = 1 AND level = {LEVELS[0]}"
_BUCKETS = "FROM tally WHERE account = ? AND axis = ? AND level = ? AND bucket BETWEEN ? AND ?{masks}"
_OF_KINDS = "AND kind IN (SELECT value FROM json_each(?))"
_OF_NAMED_KINDS = f"""
AND kind IN (
  SELECT kind FROM tally WHERE account = ? AND axis = ? AND level = {LEAF} AND bucket BETWEEN ? AND ?
)
"""
_ROWS = f"""
SELECT {", ".join(LISTED)}
FROM shipment s JOIN listing p ON p.shipment = s.id LEFT JOIN document d ON d.shipment = s.id
WHERE s.id IN (SELECT value FROM json_each(?))
"""
_BY_NUMBER = """
SELECT l.kind, l.shipment, l.register_at, l.track_at, l.push_at, l.stop_at
FROM shipment s JOIN listing l ON l.shipment = s.id
WHERE s.account = ? AND s.number IN (SELECT value FROM json_each(?))
"""


def _json(values: Sequence[int] | Sequence[str] | None) -> str:
    return msgspec.json.encode(values).decode()


class Bounds(NamedTuple):
    """From ``low`` to before ``high``, in microseconds."""

    low: int = 0
    high: int = END


def page(c: sqlite3.Connection, account: int, wanted: Filter, order: Order, skip: int, most: int) -> ListPage:
    """One page of an account's registrations, and how many there are in all. Reads one moment of the file."""
    c.execute("BEGIN")
    try:
        total, ids = _chosen(c, account, wanted, order, skip, most)
        return ListPage(total, _rows(c, ids))
    finally:
        c.execute("COMMIT")


def _chosen(
    c: sqlite3.Connection, account: int, wanted: Filter, order: Order, skip: int, most: int
) -> tuple[int, list[int]]:
    bounds = {axis: _bounds(span) for axis, span in wanted.spans.items()}
    if wanted.numbers is not None:
        return _by_number(c, account, wanted, bounds, order, skip, most)
    masks = masks_of(wanted)
    known = _known_kinds(c, account) if masks or order.axis is not Axis.REGISTER else []
    if set(bounds) - {order.axis}:
        return _row_by_row(c, account, masks, bounds, order, skip, most)
    ladders = [
        Ladder(c, account, axis, known, part) for axis, part in _parts(masks, order, bounded=bool(bounds))
    ]
    limits = bounds.get(order.axis, Bounds())
    counts = [ladder.count(limits) for ladder in ladders]
    ids: list[int] = []
    for ladder, count in zip(ladders, counts, strict=True):
        if len(ids) < most and skip < count:
            ids += ladder.ids(limits, skip, most - len(ids), newest_first=order.newest_first)
        skip = max(0, skip - count)
    return sum(counts), ids


def _known_kinds(c: sqlite3.Connection, account: int) -> list[int]:
    return [kind for (kind,) in c.execute(_KINDS, (account,))]


def _bounds(span: Span) -> Bounds:
    def at(given: datetime | None, otherwise: int) -> int:
        return otherwise if given is None else min(max(micros(given), 0), END)

    return Bounds(at(span.start, 0), at(span.end, END))


def _parts(masks: tuple[Mask, ...], order: Order, *, bounded: bool) -> list[tuple[Axis, tuple[Mask, ...]]]:
    """Registrations without the time come as if before all others, among themselves by registration."""
    if order.axis is Axis.REGISTER or bounded:
        return [(order.axis, masks)]
    parts = [(order.axis, masks), (Axis.REGISTER, (*masks, having(order.axis, lacking=True)))]
    return parts if order.newest_first else parts[::-1]


class Found(NamedTuple):
    """The child in which a rank is, how many siblings' registrations are before it, how many it holds."""

    bucket: int
    before: int
    holds: int


class Ladder:
    """Ranks and times on one axis, for some kinds of registrations."""

    def __init__(
        self, c: sqlite3.Connection, account: int, axis: Axis, known: Sequence[int], masks: Sequence[Mask]
    ) -> None:
        self._c = c
        self._account = account
        self._axis = axis
        kinds = fitting(known, masks)
        # All kinds together are counted on the negative axis.
        self._tally = axis if masks else -axis
        self._buckets = _BUCKETS.format(masks="".join(f" AND {mask.sql}" for mask in masks))
        # To look for every kind is work: where all count, only for those that the tally names.
        self._of_kinds = _OF_KINDS if masks else _OF_NAMED_KINDS
        self._kinds = (_json(kinds),) if masks else (account, axis)
        self._total = self._sum(0, 0, END) if kinds or not masks else 0
        self._path: dict[tuple[int, int], Found] = {}
        self._ranks = {0: 0, END: self._total}

    def count(self, limits: Bounds) -> int:
        """How many have a time within."""
        return max(0, self._rank(limits.high) - self._rank(limits.low))

    def ids(self, limits: Bounds, skip: int, most: int, *, newest_first: bool) -> list[int]:
        """The shipments of a page. There must be more than ``skip`` within the limits."""
        low, high = self._rank(limits.low), self._rank(limits.high)
        first, last = (high - skip - most, high - skip) if newest_first else (low + skip, low + skip + most)
        first, last = max(first, low), min(last, high)
        start, before = self._bucket_of(first)
        end, _ = self._bucket_of(last - 1)
        column = COLUMN[self._axis]
        rows = self._c.execute(
            f"""SELECT shipment FROM listing INDEXED BY {_INDEX[self._axis]} WHERE account = ?
            {self._of_kinds} AND {column} BETWEEN ? AND ?
            ORDER BY {column}, shipment LIMIT ? OFFSET ?""",
            (
                self._account, *self._kinds_between(start, end), start << LEAF, (end + 1 << LEAF) - 1,
                last - first, first - before,
            ),
        )  # fmt: skip
        ids = [shipment for (shipment,) in rows]
        return ids[::-1] if newest_first else ids

    def _rank(self, at: int) -> int:
        """How many have a time before ``at``."""
        if at not in self._ranks:
            self._ranks[at] = self._count_before(at)
        return self._ranks[at]

    def _count_before(self, at: int) -> int:
        rank, holds = 0, self._total
        for step, level in enumerate(LEVELS):
            bucket = at >> level
            first, last = _children(step, bucket >> STEP)
            if bucket - first <= last - bucket or not step:  # the fewer of its siblings are counted
                rank += self._sum(step, first, bucket - 1)
            else:
                rank += holds - self._sum(step, bucket, last)
            holds = self._sum(step, bucket, bucket)
            if not holds:
                return rank
        return rank + self._leaf(at >> LEAF << LEAF, at)

    def _bucket_of(self, rank: int) -> tuple[int, int]:
        """The narrowest bucket that holds the registration of a rank, and how many are before it."""
        bucket, before, holds = 0, 0, self._total
        for step in range(len(LEVELS)):
            found = self._child(step, bucket, rank - before, holds)
            bucket, before, holds = found.bucket, before + found.before, found.holds
        return bucket, before

    def _child(self, step: int, parent: int, rank: int, holds: int) -> Found:
        """The child of a bucket that holds a rank, sought from the nearer end."""
        found = self._path.get((step, parent))
        if found is None or not found.before <= rank < found.before + found.holds:
            upwards = 2 * rank < holds
            way = "ASC" if upwards else "DESC"
            found = Found(0, 0, 0) if upwards else Found(0, holds, 0)
            rows = self._c.execute(
                f"SELECT bucket, sum(n) {self._buckets} GROUP BY bucket ORDER BY bucket {way}",
                (self._account, self._tally, LEVELS[step], *_children(step, parent)),
            )
            for bucket, n in rows:
                before = found.before + found.holds if upwards else found.before - n
                found = Found(bucket, before, n)
                if before <= rank < before + n:
                    break
            self._path[step, parent] = found
        return found

    def _sum(self, step: int, first: int, last: int) -> int:
        count: int = self._c.execute(
            f"SELECT coalesce(sum(n), 0) {self._buckets}",
            (self._account, self._tally, LEVELS[step], first, last),
        ).fetchone()[0]
        return count

    def _leaf(self, start: int, end: int) -> int:
        if start == end:
            return 0
        column, bucket = COLUMN[self._axis], start >> LEAF
        count: int = self._c.execute(
            f"""SELECT count(*) FROM listing INDEXED BY {_INDEX[self._axis]} WHERE account = ?
            {self._of_kinds} AND {column} >= ? AND {column} < ?""",
            (self._account, *self._kinds_between(bucket, bucket), start, end),
        ).fetchone()[0]
        return count

    def _kinds_between(self, start: int, end: int) -> tuple[int | str, ...]:
        """The values of the condition on kinds, for two of the narrowest buckets."""
        return self._kinds if self._of_kinds is _OF_KINDS else (*self._kinds, start, end)


def _children(step: int, parent: int) -> tuple[int, int]:
    """First and last bucket of a level inside its parent; all at the top."""
    return (parent << STEP, (parent + 1 << STEP) - 1) if step else (0, END)


def _row_by_row(
    c: sqlite3.Connection,
    account: int,
    masks: tuple[Mask, ...],
    bounds: dict[Axis, Bounds],
    order: Order,
    skip: int,
    most: int,
) -> tuple[int, list[int]]:
    """Through the index of the span that holds the fewest."""

    known = _known_kinds(c, account)

    def size(axis: Axis) -> int:
        return Ladder(c, account, axis, known, masks).count(bounds[axis])

    narrowest = min(bounds, key=size)
    within = " ".join(f"AND {COLUMN[axis]} >= ? AND {COLUMN[axis]} < ?" for axis in bounds)
    source = f"FROM listing INDEXED BY {_INDEX[narrowest]} WHERE account = ? {_OF_KINDS} {within}"
    values = (
        account,
        _json(fitting(known, masks)),
        *(bound for pair in bounds.values() for bound in pair),
    )
    total = c.execute(f"SELECT count(*) {source}", values).fetchone()[0]
    way = "DESC" if order.newest_first else "ASC"
    rows = c.execute(
        f"""SELECT shipment {source} ORDER BY {COLUMN[order.axis]} {way}, register_at {way}, shipment {way}
        LIMIT ? OFFSET ?""",
        (*values, most, skip),
    )
    return total, [shipment for (shipment,) in rows]


def _by_number(
    c: sqlite3.Connection,
    account: int,
    wanted: Filter,
    bounds: dict[Axis, Bounds],
    order: Order,
    skip: int,
    most: int,
) -> tuple[int, list[int]]:
    """A few numbers have a few registrations: all of them are looked at."""
    found = c.execute(_BY_NUMBER, (account, _json(wanted.numbers))).fetchall()
    fit = set(fitting({row[0] for row in found}, masks_of(wanted)))
    chosen = []
    for kind, shipment, *times in found:
        at = dict(zip(Axis, times, strict=True))
        if kind in fit and all(low <= (at[axis] or -1) < high for axis, (low, high) in bounds.items()):
            chosen.append((at[order.axis] or 0, at[Axis.REGISTER], shipment))
    chosen.sort(reverse=order.newest_first)
    return len(chosen), [shipment for *_, shipment in chosen[skip : skip + most]]


def _rows(c: sqlite3.Connection, ids: list[int]) -> list[Listed]:
    rows = {row[0]: row for row in c.execute(_ROWS, (_json(ids),)).fetchall()}
    return list(map(Listed._make, map(rows.__getitem__, ids)))
