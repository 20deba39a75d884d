"""The pull feed: changes of an account in the order of their commits."""

import sqlite3

from parcelwire.domain.push import FeedItem, PushEvent
from parcelwire.store.rows import moment

PAGE_BYTES = 4 * 1024 * 1024  # of bodies: a page of the largest ones stays far below what a reader can hold


def items(c: sqlite3.Connection, account: int, after: int, most: int) -> list[FeedItem]:
    """What came after a cursor."""
    found: list[FeedItem] = []
    size = 0
    for cursor, at, event, body in c.execute(
        "SELECT id, at, event, body FROM change WHERE account = ? AND id > ? ORDER BY id LIMIT ?",
        (account, after, most),
    ):
        size += len(body)
        if found and size > PAGE_BYTES:
            break
        found.append(FeedItem(cursor, moment(at), PushEvent(event), body))
    return found


def ends(c: sqlite3.Connection, account: int) -> tuple[int, int]:
    """The newest forgotten cursor, and the newest of all."""
    row = c.execute(
        """SELECT forgotten, coalesce((SELECT max(id) FROM change WHERE account = account.id), 0)
        FROM account WHERE id = ?""",
        (account,),
    ).fetchone()
    return (row[0], max(row)) if row else (0, 0)
