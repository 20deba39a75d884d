"""The counts of the list, brought up to date at the end of each transaction.

Triggers note each change of the list as steps (migrations/sqlite/0008_steps.sql). Here they are added up, for
each kind and for all kinds together (the negative axis, kind 0), into their buckets of every level.
"""

import sqlite3

_ADD_UP = """
WITH leaf AS MATERIALIZED (
  SELECT account, axis, at >> 20 AS bucket, kind, sum(n) AS n FROM tally_step WHERE at IS NOT NULL
  GROUP BY account, axis, at >> 20, kind HAVING sum(n) <> 0
), counted AS (
  SELECT account, axis, bucket, kind, n FROM leaf
  UNION ALL
  SELECT account, -axis, bucket, 0, sum(n) FROM leaf GROUP BY account, axis, bucket HAVING sum(n) <> 0
)
INSERT INTO tally (account, axis, level, bucket, kind, n)
SELECT account, axis, level, bucket >> (level - 20), kind, n FROM counted CROSS JOIN tally_level WHERE true
ON CONFLICT DO UPDATE SET n = n + excluded.n
"""


def add_up(c: sqlite3.Connection) -> None:
    """Count the steps of a transaction; call it before the commit."""
    if c.execute("SELECT 1 FROM tally_step LIMIT 1").fetchone():
        c.execute(_ADD_UP)
        c.execute("DELETE FROM tally_step")
