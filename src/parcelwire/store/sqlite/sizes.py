"""How much waits, for monitoring: look-ups in indexes, and no count goes on for ever."""

import sqlite3
from datetime import datetime

from parcelwire.domain.endpoint import EndpointState
from parcelwire.domain.poison import PARKED_AT
from parcelwire.domain.quota import period
from parcelwire.ports import COUNTED_MAX, Backlog, Sizes
from parcelwire.store.rows import LANE, LEASE_MAX_US, PUSHES_COUNTED, lane_of, micros, moment_or_none
from parcelwire.store.sqlite.refreshes import LANE_NAMES

_OF_LANE = "FROM shipment WHERE lane = name AND refresh_at IS NOT NULL"
_SHIPMENTS = f"""
WITH {LANE_NAMES}
SELECT name, (SELECT count(*) FROM (SELECT 1 {_OF_LANE} AND refresh_at <= ?1 LIMIT {COUNTED_MAX})),
  (SELECT count(*) FROM (SELECT 1 {_OF_LANE} AND refresh_at > ?1 AND lease IS NOT NULL
    AND refresh_at <= ?1 + {LEASE_MAX_US} LIMIT {COUNTED_MAX})),
  (SELECT min(refresh_at) {_OF_LANE})
FROM names WHERE name IS NOT NULL
"""


def sizes(c: sqlite3.Connection, now: datetime) -> Sizes:
    """See ports.Store."""
    rows = c.execute(_SHIPMENTS, (micros(now),)).fetchall()
    (parked,) = c.execute(
        "SELECT count(*) FROM strike WHERE endpoint = 0 AND weight >= ?", (PARKED_AT,)
    ).fetchone()
    (push_due,) = c.execute("SELECT min(due_at) FROM endpoint WHERE due_at IS NOT NULL").fetchone()
    (used,) = c.execute(
        "SELECT coalesce(sum(units), 0) FROM quota_used WHERE period = ?", (period(now),)
    ).fetchone()
    return Sizes(
        {row[0]: Backlog(row[1], row[2], moment_or_none(row[3])) for row in rows},
        {
            name: c.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM push WHERE {condition} LIMIT {COUNTED_MAX})"
            ).fetchone()[0]
            for name, condition in PUSHES_COUNTED.items()
        },
        moment_or_none(push_due),
        parked,
        {
            EndpointState(state): count
            for state, count in c.execute("SELECT state, count(*) FROM endpoint GROUP BY state")
        },
        tuple(lane_of(row) for row in c.execute(f"SELECT {', '.join(LANE)} FROM lane ORDER BY name")),
        used,
    )
