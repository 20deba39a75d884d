"""What the numbers of an account turned out to be, inside one transaction."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from parcelwire.ports import LEARNED_MAX, Count
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import micros

Counted = tuple[int, Count, datetime]  # of an account
_Key = tuple[int, str, str]
_Sums = dict[_Key, tuple[int, int]]  # by how many, and when last

_GIVEN = """
unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
AS given (account, shape, carrier, count, at)
"""
# Everybody takes the rows in the same order, so that nobody waits in a circle.
_MORE = f"""
INSERT INTO learned AS l (account, shape, carrier, count, at)
SELECT * FROM {_GIVEN} ORDER BY given.account, given.shape COLLATE "C", given.carrier COLLATE "C"
ON CONFLICT (account, shape, carrier) DO UPDATE SET count = l.count + excluded.count, at = excluded.at
RETURNING account, shape, carrier, xmax = 0
"""
_LESS = f"""
UPDATE learned AS l SET count = l.count + given.count FROM {_GIVEN}
WHERE l.account = given.account AND l.shape = given.shape AND l.carrier = given.carrier
"""
_NONE = f"""
DELETE FROM learned AS l USING {_GIVEN}
WHERE l.account = given.account AND l.shape = given.shape AND l.carrier = given.carrier AND l.count <= 0
"""
_FORGET = f"""
DELETE FROM learned WHERE account = $1 AND (shape, carrier) IN (
  SELECT shape, carrier FROM learned WHERE account = $1 AND NOT (shape = $2 AND carrier = $3)
  ORDER BY count, at LIMIT greatest(0, (SELECT count(*) FROM learned WHERE account = $1) - {LEARNED_MAX})
)
"""


async def learned(c: Connection, account: int) -> dict[str, dict[str, int]]:
    """Counts by shape and carrier."""
    counts: dict[str, dict[str, int]] = {}
    rows = await c.fetch("SELECT shape, carrier, count FROM learned WHERE account = $1", account)
    for shape, carrier, count in rows:
        counts.setdefault(shape, {})[carrier] = count
    return counts


async def learn(c: Connection, counted: Iterable[Counted]) -> None:
    """Add to the counts, in the order given."""
    for more, sums in _runs(counted):
        if not more:
            await c.execute(_LESS, *_columns(sums))
            await c.execute(_NONE, *_columns(sums))
            continue
        made = [tuple(row[:3]) for row in await c.fetch(_MORE, *_columns(sums)) if row[3]]
        newest = {account: (shape, carrier) for account, shape, carrier in sums}
        for account in sorted({account for account, _, _ in made}):
            await c.execute(_FORGET, account, *newest[account])


def _runs(counted: Iterable[Counted]) -> Iterator[tuple[bool, _Sums]]:
    """Counts of one sign that come together, summed up: what is zero does not go below, so order matters."""
    sums: _Sums = {}
    more = True
    for account, (key, count), at in counted:
        if sums and (count >= 0) is not more:
            yield more, sums
            sums = {}
        more = count >= 0
        known, last = sums.pop((account, *key), (0, 0))
        sums[account, *key] = known + count, max(last, micros(at))
    if sums:
        yield more, sums


def _columns(sums: _Sums) -> tuple[list[int] | list[str], ...]:
    return (
        [key[0] for key in sums], [key[1] for key in sums], [key[2] for key in sums],
        [count for count, _ in sums.values()], [at for _, at in sums.values()],
    )  # fmt: skip
