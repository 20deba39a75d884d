"""Calls with an Idempotency-Key inside one transaction."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from parcelwire.domain.errors import CallerError
from parcelwire.ports import KeyedCall, Wanted
from parcelwire.store.rows import micros
from parcelwire.store.sqlite import registrations

KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(seconds=60)  # a call has 30; who is older died with its process


def begin(c: sqlite3.Connection, account: int, call: KeyedCall, now: datetime) -> bytes | CallerError | None:
    """The answer that was kept, why there is none to have, or None: the call is to be made now."""
    c.execute("DELETE FROM kept_answer WHERE at < ?", (micros(now - KEPT),))
    row = c.execute(
        "SELECT body_hash, answer, at FROM kept_answer WHERE account = ? AND endpoint = ? AND key = ?",
        (account, call.endpoint, call.key),
    ).fetchone()
    if row is None or (row[1] is None and row[2] < micros(now - UNDER_WAY)):
        c.execute(
            "INSERT OR REPLACE INTO kept_answer VALUES (?, ?, ?, ?, ?, NULL)",
            (account, call.endpoint, call.key, call.body_hash, micros(now)),
        )
        return None
    if row[0] != call.body_hash:
        return CallerError("key_reused")
    answer: bytes | None = row[1]
    return CallerError("key_in_flight") if answer is None else answer


def end(c: sqlite3.Connection, account: int, call: KeyedCall, answer: bytes | None) -> None:
    """Keep the answer of a call; None: it failed and may be made again."""
    of_call = (account, call.endpoint, call.key)
    if answer is None:
        c.execute("DELETE FROM kept_answer WHERE account = ? AND endpoint = ? AND key = ?", of_call)
    else:
        c.execute(
            "UPDATE kept_answer SET answer = ? WHERE account = ? AND endpoint = ? AND key = ?",
            (answer, *of_call),
        )


def register(
    c: sqlite3.Connection,
    account: int,
    wanted: Sequence[Wanted],
    now: datetime,
    call: KeyedCall,
    encode: Callable[[Sequence[int | CallerError]], bytes],
) -> bytes | CallerError:
    """Register and keep the answer, or give the answer that was kept."""
    kept = begin(c, account, call, now)
    if kept is not None:
        return kept
    answer = encode(registrations.register(c, account, wanted, now))
    end(c, account, call, answer)
    return answer
