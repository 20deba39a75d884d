"""The pull feed: changes of an account in the order of their commits."""

from parcelwire.domain.push import FeedItem, PushEvent
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import moment

PAGE_BYTES = 4 * 1024 * 1024  # of bodies: a page of the largest ones stays far below what a reader can hold

# The sizes first: bodies that are not part of the page are not read.
_ITEMS = """
WITH sized AS (
  SELECT id, sum(octet_length(body)) OVER (ORDER BY id) AS size FROM (
    SELECT id, body FROM change WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3
  ) AS next
)
SELECT c.id, c.at, c.event, c.body FROM change AS c
WHERE c.account = $1 AND c.id > $2
  AND c.id <= (SELECT greatest(min(id), max(id) FILTER (WHERE size <= $4)) FROM sized)
ORDER BY c.id
"""
_ENDS = """
SELECT f.forgotten, greatest(f.forgotten, (SELECT max(id) FROM change WHERE account = $1))
FROM feed AS f WHERE f.account = $1
"""


async def items(c: Connection, account: int, after: int, most: int) -> list[FeedItem]:
    """What came after a cursor."""
    rows = await c.fetch(_ITEMS, account, after, most, PAGE_BYTES)
    return [FeedItem(cursor, moment(at), PushEvent(event), body) for cursor, at, event, body in rows]


async def ends(c: Connection, account: int) -> tuple[int, int]:
    """The newest forgotten cursor, and the newest of all."""
    row = await c.fetchrow(_ENDS, account)
    return (row[0], row[1]) if row else (0, 0)
