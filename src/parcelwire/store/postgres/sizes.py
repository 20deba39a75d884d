"""How much waits, for monitoring: look-ups in indexes, and no count goes on for ever."""

from datetime import datetime

from parcelwire.domain.endpoint import EndpointState
from parcelwire.domain.poison import PARKED_AT
from parcelwire.domain.quota import period
from parcelwire.ports import COUNTED_MAX, Backlog, Sizes
from parcelwire.store.postgres import endpoints
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.postgres.refreshes import LANE_NAMES
from parcelwire.store.rows import LANE, LEASE_MAX_US, PUSHES_COUNTED, lane_of, micros, moment_or_none

_OF_LANE = "FROM shipment WHERE lane = name AND refresh_at IS NOT NULL"
_SHIPMENTS = f"""
WITH {LANE_NAMES}
SELECT name, (SELECT count(*) FROM (SELECT 1 {_OF_LANE} AND refresh_at <= $1 LIMIT {COUNTED_MAX}) AS due),
  (SELECT count(*) FROM (SELECT 1 {_OF_LANE} AND refresh_at > $1 AND lease IS NOT NULL
    AND refresh_at <= $1 + {LEASE_MAX_US} LIMIT {COUNTED_MAX}) AS leased),
  (SELECT min(refresh_at) {_OF_LANE})
FROM names WHERE name IS NOT NULL
"""


async def sizes(c: Connection, now: datetime) -> Sizes:
    """See ports.Store."""
    rows = await c.fetch(_SHIPMENTS, micros(now))
    pushes = {
        name: await c.fetchval(
            f"SELECT count(*) FROM (SELECT 1 FROM push WHERE {condition} LIMIT {COUNTED_MAX}) AS found"
        )
        for name, condition in PUSHES_COUNTED.items()
    }
    states = await c.fetch("SELECT state, count(*) FROM endpoint GROUP BY state")
    lanes = await c.fetch(f"SELECT {', '.join(LANE)} FROM lane ORDER BY name")
    used = await c.fetchval(
        "SELECT coalesce(sum(units), 0)::bigint FROM quota_used WHERE period = $1", period(now)
    )
    parked = await c.fetchval("SELECT count(*) FROM strike WHERE endpoint = 0 AND weight >= $1", PARKED_AT)
    return Sizes(
        {row[0]: Backlog(row[1], row[2], moment_or_none(row[3])) for row in rows},
        pushes,
        moment_or_none(await endpoints.due(c)),
        parked,
        {EndpointState(state): count for state, count in states},
        tuple(lane_of(row) for row in lanes),
        used,
    )
