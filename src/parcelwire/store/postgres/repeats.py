"""Calls with an Idempotency-Key inside one transaction. The account is held, so that two are never one."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from parcelwire.domain.errors import CallerError
from parcelwire.ports import KeyedCall, Wanted
from parcelwire.store.postgres import quota, registrations
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import micros

KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(seconds=60)  # a call has 30; who is older died with its process

_OF_CALL = "account = $1 AND endpoint = $2 AND key = $3"
_BEGIN = """
INSERT INTO kept_answer (account, endpoint, key, body_hash, at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account, endpoint, key) DO UPDATE
  SET body_hash = excluded.body_hash, at = excluded.at, answer = NULL
"""


async def begin(
    c: Connection, account: int, call: KeyedCall, now: datetime, *, again: bool
) -> bytes | CallerError | None:
    """The answer that was kept, why there is none to have, or None: the call is to be made now.

    ``again``: an earlier try may have been committed.
    """
    await quota.lock(c, account)
    await c.execute("DELETE FROM kept_answer WHERE account = $1 AND at < $2", account, micros(now - KEPT))
    row = await c.fetchrow(
        f"SELECT body_hash, answer, at FROM kept_answer WHERE {_OF_CALL}", account, call.endpoint, call.key
    )
    if row is None or (row[1] is None and row[2] < micros(now - UNDER_WAY)):
        await c.execute(_BEGIN, account, call.endpoint, call.key, call.body_hash, micros(now))
        return None
    if row[0] != call.body_hash:
        return CallerError("key_reused")
    answer: bytes | None = row[1]
    if answer is not None:
        return answer
    return None if again and row[2] == micros(now) else CallerError("key_in_flight")


async def end(c: Connection, account: int, call: KeyedCall, answer: bytes | None) -> None:
    """Keep the answer of a call; None: it failed and may be made again."""
    if answer is None:
        await c.execute(f"DELETE FROM kept_answer WHERE {_OF_CALL}", account, call.endpoint, call.key)
    else:
        await c.execute(
            f"UPDATE kept_answer SET answer = $4 WHERE {_OF_CALL}", account, call.endpoint, call.key, answer
        )


async def register(
    c: Connection,
    account: int,
    wanted: Sequence[Wanted],
    now: datetime,
    call: KeyedCall,
    encode: Callable[[Sequence[int | CallerError]], bytes],
    *,
    again: bool,
) -> bytes | CallerError:
    """Register and keep the answer, or give the answer that was kept (by an earlier try, too)."""
    kept = await begin(c, account, call, now, again=again)
    if kept is not None:
        return kept
    answer = encode(await registrations.register(c, account, wanted, now, again=again))
    await end(c, account, call, answer)
    return answer
