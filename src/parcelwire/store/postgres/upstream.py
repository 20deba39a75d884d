"""The upstream's tables and the inbox.

Who spends units holds the upstream's row until the commit, so that a cap is exact whatever the processes.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from operator import itemgetter

from parcelwire.domain.quota import period
from parcelwire.ports import BoughtNumber, Inbound, InboxState, Pair, ParkedInbound, Spent, Told
from parcelwire.store.postgres.pool import Connection
from parcelwire.store.rows import SHIPMENT, history_of, micros, moment, moment_or_none, shipment_of

_S_COLUMNS = ", ".join(f"s.{name}" for name in SHIPMENT)
_NUMBERS = """
SELECT number, carrier, buyer, registered_at, bought_at, given_up, stopped_at FROM upstream_number
WHERE source = $1 AND number = ANY($2)
"""
_TOLD = f"""
SELECT {_S_COLUMNS}, r.history
FROM shipment AS s JOIN source_report AS r ON r.shipment = s.id AND r.account = s.account
WHERE s.number = ANY($1) AND s.answered_at >= $2 AND (r.source = $3 OR starts_with(r.source, $3 || '/'))
ORDER BY s.answered_at DESC, s.id, r.source
"""
# Spent units of a month, and those that may be: a begun registration counts until settled. One statement,
# because settling moves a unit from one to the other.
_COMMITTED = """
SELECT (
  SELECT coalesce(sum(amount), 0) FROM upstream_entry
  WHERE source = $1 AND period = $2 AND kind IN ('register', 'realtime')
) + (
  SELECT count(*) FROM upstream_number
  WHERE source = $1 AND reserved_at IS NOT NULL AND registered_at IS NULL
)
"""
_RESERVE = """
INSERT INTO upstream_number (source, number, carrier, buyer, reserved_at)
SELECT $1, number, carrier, buyer, $5
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS given (number, carrier, buyer)
ON CONFLICT (source, number, carrier) DO UPDATE
  SET reserved_at = excluded.reserved_at, buyer = excluded.buyer
"""
_REGISTERED = """
WITH bought AS (
  UPDATE upstream_number AS u SET registered_at = $4, bought_at = $4
  FROM unnest($2::text[], $3::text[]) AS given (number, carrier)
  WHERE u.source = $1 AND u.number = given.number AND u.carrier = given.carrier AND u.registered_at IS NULL
  RETURNING u.number, u.carrier, u.reserved_at
)
INSERT INTO upstream_entry (source, period, at, kind, amount, reference)
SELECT $1, $5, $4, 'register', 1, number || '/' || carrier || '/' || coalesce(reserved_at::text, 'None')
FROM bought ON CONFLICT DO NOTHING
"""
_OF_PAIRS = """
FROM unnest($2::text[], $3::text[]) AS given (number, carrier)
WHERE u.source = $1 AND u.number = given.number AND u.carrier = given.carrier
"""
_REFUSED = f"UPDATE upstream_number AS u SET reserved_at = NULL {_OF_PAIRS} AND u.registered_at IS NULL"
_FORGET = f"UPDATE upstream_number AS u SET reserved_at = NULL, registered_at = NULL {_OF_PAIRS}"
_ENTER = """
INSERT INTO upstream_entry (source, period, at, kind, amount, reference)
SELECT $1, $2, $3, $4, amount, reference FROM unnest($5::bigint[], $6::text[]) AS given (amount, reference)
ON CONFLICT DO NOTHING
"""


async def numbers(c: Connection, source: str, wanted: Sequence[str]) -> list[BoughtNumber]:
    """What is known of numbers there."""
    rows = await c.fetch(_NUMBERS, source, list(wanted))
    return [
        BoughtNumber(
            (number, carrier), buyer, moment_or_none(registered_at), moment_or_none(bought_at), given_up,
            moment_or_none(stopped_at),
        )
        for number, carrier, buyer, registered_at, bought_at, given_up, stopped_at in rows
    ]  # fmt: skip


async def reserve(
    c: Connection, source: str, wanted: Sequence[tuple[Pair, int]], cap: int | None, now: datetime
) -> set[Pair]:
    """The pairs that may be registered without spending more than ``cap``; begun ones cost nothing more."""
    await _lock(c, source)
    left = None if cap is None else cap - await _committed(c, source, now)
    rows = await c.fetch(
        """SELECT number, carrier FROM upstream_number
        WHERE source = $1 AND number = ANY($2) AND reserved_at IS NOT NULL""",
        source,
        [number for (number, _), _ in wanted],
    )
    begun = {(row[0], row[1]) for row in rows}
    new: dict[Pair, int] = {}
    for pair, buyer in wanted:
        if pair not in begun and (pair in new or left is None or len(new) < left):
            new.setdefault(pair, buyer)
    await c.execute(_RESERVE, source, *_columns(list(new)), list(new.values()), micros(now))
    return {pair for pair, _ in wanted if pair in begun or pair in new}


async def settle(
    c: Connection, source: str, registered: Sequence[Pair], refused: Sequence[Pair], now: datetime
) -> None:
    """What became of reserved pairs."""
    await c.execute(_REGISTERED, source, *_columns(registered), micros(now), period(now))
    await c.execute(_REFUSED, source, *_columns(refused))


async def forget(c: Connection, source: str, pairs: Sequence[Pair]) -> None:
    """The upstream no longer has them."""
    await c.execute(_FORGET, source, *_columns(pairs))


async def stopped(c: Connection, source: str, pair: Pair, now: datetime) -> None:
    """The upstream stopped tracking it."""
    await c.execute(
        "UPDATE upstream_number SET stopped_at = $1 WHERE source = $2 AND number = $3 AND carrier = $4",
        micros(now),
        source,
        *pair,
    )


async def enter(
    c: Connection, source: str, kind: str, entries: Sequence[tuple[int, str]], now: datetime
) -> None:
    """Ledger entries, each an amount with a reference that counts once."""
    amounts, references = [entry[0] for entry in entries], [entry[1] for entry in entries]
    await c.execute(_ENTER, source, period(now), micros(now), kind, amounts, references)


async def spend(
    c: Connection, source: str, amount: int, reference: str, cap: int | None, now: datetime, *, again: bool
) -> bool:
    """Units for a question, if ``cap`` allows. ``again``: an earlier try may have been committed."""
    await _lock(c, source)
    known = again and await c.fetchval(
        "SELECT true FROM upstream_entry WHERE source = $1 AND kind = 'realtime' AND reference = $2",
        source,
        reference,
    )
    if known:
        return True
    if cap is not None and await _committed(c, source, now) + amount > cap:
        return False
    await enter(c, source, "realtime", [(amount, reference)], now)
    return True


async def spent(c: Connection, source: str, now: datetime) -> Spent:
    """The ledger of this month."""
    sums = dict.fromkeys(("register", "realtime", "shared", "fresh"), 0)
    rows = await c.fetch(
        """SELECT kind, sum(amount)::bigint FROM upstream_entry WHERE source = $1 AND period = $2
        GROUP BY kind""",
        source,
        period(now),
    )
    sums |= dict(rows)
    begun, known = await c.fetchrow(
        """SELECT count(*) FILTER (WHERE reserved_at IS NOT NULL AND registered_at IS NULL),
        count(*) FILTER (WHERE registered_at IS NOT NULL) FROM upstream_number WHERE source = $1""",
        source,
    )
    return Spent(sums["register"], sums["realtime"], begun, sums["shared"], sums["fresh"], known)


async def told(c: Connection, source: str, wanted: Sequence[str], since: datetime) -> list[Told]:
    """What a source has told about numbers since then, the newest first."""
    found: dict[int, Told] = {}
    for row in await c.fetch(_TOLD, list(wanted), micros(since), source):
        shipment = shipment_of(row)
        before = found.get(shipment.id)
        histories = (*(before.histories if before else ()), history_of(row[len(SHIPMENT)]))
        found[shipment.id] = Told(shipment, histories)
    return list(found.values())


async def _lock(c: Connection, source: str) -> None:
    """Nobody else spends units of the upstream until the end of the transaction."""
    await c.execute("INSERT INTO upstream (source) VALUES ($1) ON CONFLICT DO NOTHING", source)
    await c.fetchval("SELECT 1 FROM upstream WHERE source = $1 FOR UPDATE", source)


async def _committed(c: Connection, source: str, now: datetime) -> int:
    return int(await c.fetchval(_COMMITTED, source, period(now)))


def _columns(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [number for number, _ in pairs], [carrier for _, carrier in pairs]


# --- the inbox --------------------------------------------------------------------------------------------


async def keep(c: Connection, source: str, body: bytes, now: datetime) -> bool:
    """Put it in; False when the same bytes are there."""
    row = await c.fetchval(
        """INSERT INTO inbox (source, digest, at, state, body) VALUES ($1, $2, $3, 'waiting', $4)
        ON CONFLICT DO NOTHING RETURNING id""",
        source,
        blake2b(body, digest_size=32).digest(),
        micros(now),
        zlib.compress(body, 1),
    )
    return row is not None


async def claim_inbound(c: Connection, most: int, now: datetime, until: datetime) -> list[Inbound]:
    """The oldest that wait and that nobody has claimed (what is claimed for longer, a clock had set that was
    ahead)."""
    rows = await c.fetch(
        """UPDATE inbox AS i SET claimed_until = $1 FROM (
          SELECT id FROM inbox WHERE state = 'waiting'
            AND (claimed_until IS NULL OR claimed_until <= $2 OR claimed_until > $1)
          ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
        ) AS free WHERE i.id = free.id RETURNING i.id, i.source, i.at, i.body""",
        micros(until), micros(now), most,
    )  # fmt: skip
    return [
        Inbound(row[0], row[1], moment(row[2]), zlib.decompress(row[3]))
        for row in sorted(rows, key=itemgetter(0))
    ]


async def finish(c: Connection, inbound: int, state: InboxState, detail: str) -> None:
    """What became of it."""
    await c.execute("UPDATE inbox SET state = $1, detail = $2 WHERE id = $3", state.value, detail, inbound)


async def parked(c: Connection, most: int) -> list[ParkedInbound]:
    """The oldest that are parked."""
    rows = await c.fetch(
        "SELECT id, source, at, detail FROM inbox WHERE state = 'parked' ORDER BY id LIMIT $1", most
    )
    return [ParkedInbound(row[0], row[1], moment(row[2]), row[3]) for row in rows]


async def inbound_body(c: Connection, inbound: int) -> bytes | None:
    """What was pushed."""
    body = await c.fetchval("SELECT body FROM inbox WHERE id = $1", inbound)
    return None if body is None else zlib.decompress(body)


async def release(c: Connection, pushes: Sequence[int], state: InboxState, detail: str) -> int:
    """Those that are parked are in another state now."""
    rows = await c.fetch(
        """UPDATE inbox SET state = $1, detail = $2, claimed_until = NULL
        WHERE state = 'parked' AND id = ANY($3) RETURNING id""",
        state.value, detail, list(pushes),
    )  # fmt: skip
    return len(rows)


async def count(c: Connection) -> dict[InboxState, int]:
    """How many there are in each state."""
    rows = await c.fetch("SELECT state, count(*) FROM inbox GROUP BY state")
    return {InboxState(state): amount for state, amount in rows}
