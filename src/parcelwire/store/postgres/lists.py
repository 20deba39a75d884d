"""Pages of the list (docs/why/0012-list-counts-on-postgresql.md).

In the order of registration, and filtered by carrier, status, phase and whether the last refresh said
something, a page reads as many rows as it skips and shows, and its total is the sum of a few counts. Whatever
asks for pushes or times reads the registrations of the account, or those with the wanted numbers.
"""

from datetime import datetime
from typing import Any

from parcelwire.domain.listing import Axis, Filter, Order
from parcelwire.domain.shipment import Phase
from parcelwire.domain.status import Status
from parcelwire.ports import Listed, ListPage
from parcelwire.store.kinds import fitting, masks_of
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import LISTED, micros

_COLUMN = {
    Axis.REGISTER: "l.register_at",
    Axis.TRACK: "s.asked_at",
    Axis.PUSH: "p.push_at",
    Axis.STOP: "s.stopped_at",
}
_SHIPMENTS = """
JOIN shipment AS s ON s.id = l.shipment AND s.account = l.account AND s.registered_at = l.register_at
LEFT JOIN push_standing AS p ON p.shipment = s.id AND p.account = s.account
"""
_STATUS = f"coalesce(split_part(s.sub_status, '_', 1), '{Status.NOT_FOUND.value}')"
_ROWS = f"""
SELECT {", ".join(LISTED)}
FROM shipment AS s LEFT JOIN push_standing AS p ON p.shipment = s.id AND p.account = s.account
LEFT JOIN document AS d ON d.shipment = s.id AND d.account = s.account
WHERE s.account = $1 AND s.id = ANY($2)
"""


_COUNTS = "SELECT kind, sum(n)::bigint FROM listed_count WHERE account = $1 GROUP BY kind HAVING sum(n) > 0"
# Kind by kind from the index, as many of each as the page may need.
_OF_KINDS = """
SELECT one.shipment FROM unnest($2::bigint[]) AS wanted (kind)
CROSS JOIN LATERAL (
  SELECT l.shipment, l.register_at FROM listing AS l WHERE l.account = $1 AND l.kind = wanted.kind
  ORDER BY l.register_at {way}, l.shipment {way} LIMIT $3::bigint + $4::bigint
) AS one
ORDER BY one.register_at {way}, one.shipment {way} LIMIT $3 OFFSET $4
"""
_OLDEST, _NEWEST = _OF_KINDS.format(way="ASC"), _OF_KINDS.format(way="DESC")
_SUM_UP = """
WITH many AS (
  SELECT account, kind FROM listed_count GROUP BY account, kind HAVING count(*) > 1
), part AS MATERIALIZED (
  SELECT c.account, c.kind, c.id FROM listed_count AS c
  JOIN many ON many.account = c.account AND many.kind = c.kind
  ORDER BY c.account, c.kind LIMIT $1 FOR UPDATE OF c SKIP LOCKED
), gone AS (
  DELETE FROM listed_count AS c USING part
  WHERE c.account = part.account AND c.kind = part.kind AND c.id = part.id RETURNING c.*
), summed AS (
  INSERT INTO listed_count (account, kind, n)
  SELECT account, kind, sum(n) FROM gone GROUP BY account, kind HAVING sum(n) <> 0
)
SELECT count(*) - count(DISTINCT (account, kind)) FROM gone
"""


async def sum_up(c: Connection, most: int) -> int:
    """Make one row of some parts of counts; answers how many rows less there are."""
    fewer: int = await c.fetchval(_SUM_UP, most)
    return fewer


async def page(c: Connection, account: int, wanted: Filter, order: Order, skip: int, most: int) -> ListPage:
    """One page of an account's registrations, and how many there are in all."""
    if _is_of_kinds(wanted, order):
        return await _page_of_kinds(c, account, wanted, order, skip, most)
    asked = _conditions(wanted)
    values = [account, *asked.values()]
    shipments = _SHIPMENTS if asked or order.axis is not Axis.REGISTER else ""
    conditions = "".join(f" AND {text.format(f'${number}')}" for number, text in enumerate(asked, 2))
    source = f"FROM listing AS l {shipments} WHERE l.account = $1{conditions}"
    count = f"SELECT count(*) {source}" if asked else "SELECT listed FROM account WHERE id = $1"
    # The server makes a plan for these values each time, of two tables; the rows are asked for apart.
    # With the limit in the text it would keep one plan, maybe of a time when tables were small.
    limit = f"LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}"
    total, ids = await c.fetchrow(
        f"SELECT ({count}), ARRAY(SELECT l.shipment {source} ORDER BY {_order(order)} {limit})",
        *values,
        most,
        skip,
    )
    return ListPage(total or 0, await _listed(c, account, ids))


def _is_of_kinds(wanted: Filter, order: Order) -> bool:
    """A filter, but of nothing that a kind does not tell; the page without any filter needs no kinds."""
    beyond = wanted.numbers, wanted.push, wanted.push_code
    filtered = bool(masks_of(wanted)) and order.axis is Axis.REGISTER
    return filtered and not wanted.spans and all(value is None for value in beyond)


async def _page_of_kinds(
    c: Connection, account: int, wanted: Filter, order: Order, skip: int, most: int
) -> ListPage:
    counts = dict(await c.fetch(_COUNTS, account))
    kinds = fitting(counts, masks_of(wanted))
    statement = _NEWEST if order.newest_first else _OLDEST
    rows = await c.fetch(statement, account, kinds, most, skip)
    return ListPage(sum(counts[kind] for kind in kinds), await _listed(c, account, [row[0] for row in rows]))


def _conditions(wanted: Filter) -> dict[str, Any]:
    """What a filter asks: conditions, each with the value that belongs into it."""
    given: dict[str, Any] = {
        "s.number = ANY({})": None if wanted.numbers is None else list(wanted.numbers),
        "s.code = {}": wanted.code,
        f"{_STATUS} = {{}}": None if wanted.status is None else wanted.status.value,
        "(s.phase = 'stopped') = {}": None if wanted.phase is None else wanted.phase is Phase.STOPPED,
        "coalesce(p.push, 0) = {}": None if wanted.push is None else int(wanted.push),
        "p.push_code = {}": wanted.push_code,
        "(s.asked_at IS NOT NULL AND s.trouble IS NULL) = {}": wanted.synced,
    }
    for axis, span in wanted.spans.items():
        given[f"{_COLUMN[axis]} >= {{}}"] = _at(span.start) or 0  # who has no such time is not in any span
        given[f"{_COLUMN[axis]} < {{}}"] = _at(span.end)
    return {condition: value for condition, value in given.items() if value is not None}


def _at(given: datetime | None) -> int | None:
    return None if given is None else max(micros(given), 0)


def _order(order: Order) -> str:
    """Registrations without the time come as if before all others, among themselves by registration."""
    way = "DESC" if order.newest_first else "ASC"
    nulls = "NULLS LAST" if order.newest_first else "NULLS FIRST"
    first = "" if order.axis is Axis.REGISTER else f"{_COLUMN[order.axis]} {way} {nulls}, "
    return f"{first}l.register_at {way}, l.shipment {way}"


async def _listed(c: Connection, account: int, ids: list[int]) -> list[Listed]:
    rows = {row[0]: row for row in await c.fetch(_ROWS, account, ids)}
    return [Listed._make(rows[shipment]) for shipment in ids if shipment in rows]
