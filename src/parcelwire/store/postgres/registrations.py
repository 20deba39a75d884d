"""Registrations: made, and changed by their owner."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from parcelwire.domain import quota as prices
from parcelwire.domain.errors import CallerError
from parcelwire.domain.shipment import Action, Phase, Shipment, step
from parcelwire.ports import Changed, Wanted
from parcelwire.store.postgres import pushes, quota
from parcelwire.store.postgres.learned import learn
from parcelwire.store.postgres.pool import Connection, TryAgain
from parcelwire.store.rows import MUTABLE, SHIPMENT, micros, mutable_values, shipment_of, wish_text

COLUMNS = ", ".join(SHIPMENT)
_TEXTS = {
    "carrier",
    "phase",
    "wish",
    "stop_reason",
    "sub_status",
    "descr",
    "digest",
    "trouble",
    "lane",
    "doubt",
}
_REASON_FULL = "the plan has {total} a period"
_UNCHANGED = tuple(name for name in MUTABLE if name != "refresh_at")  # a claim moves refresh_at
SET = f"{', '.join(f'{name} = new.{name}' for name in MUTABLE)}, lease = NULL"

_NUMBERED = """
SELECT number, carrier, id, phase, registered_at FROM shipment WHERE account = $1 AND number = ANY($2)
"""
_ONE = f"SELECT {COLUMNS} FROM shipment WHERE account = $1 AND number = $2 AND carrier = $3"
_COLUMNS_OF_WANTED = "number, carrier, code, origin, wish, lane"
_WANTED = f"""
SELECT {_COLUMNS_OF_WANTED}, place
FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
WITH ORDINALITY AS given ({_COLUMNS_OF_WANTED}, place)
"""
_REGISTER = f"""
WITH made AS (
  INSERT INTO shipment (account, {_COLUMNS_OF_WANTED}, phase, since, registered_at, changed_at, refresh_at)
  SELECT $1::bigint, {_COLUMNS_OF_WANTED}, 'tracking', $3::bigint, $3::bigint, $3::bigint, $3::bigint
  FROM ({_WANTED}) AS wanted ORDER BY place
  ON CONFLICT DO NOTHING RETURNING id, number, carrier
), entry AS (
  SELECT 'register' AS kind, {prices.REGISTER} AS amount, id::text AS reference
  FROM (SELECT id FROM made UNION ALL SELECT unnest($10::bigint[])) AS charged
), {quota.BOOK}, today AS (
  UPDATE account SET day = $11, listed = listed + made.n,
    registered_today = made.n + CASE WHEN day = $11 THEN registered_today ELSE 0 END
  FROM (SELECT count(*) AS n FROM entry) AS made WHERE id = $1
)
SELECT id, number, carrier FROM made
"""
_PROMOTE = """
UPDATE shipment SET phase = 'tracking', code = $4, origin = $5, wish = $6, lane = $7, registered_at = $8,
  changed_at = $8, refresh_at = $8, digest = NULL, lease = NULL
WHERE account = $1 AND number = $2 AND carrier = $3 AND phase = 'looked_up' RETURNING id
"""
_LOOK_UP = f"""
INSERT INTO shipment (account, {_COLUMNS_OF_WANTED}, phase, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'looked_up', $8) ON CONFLICT DO NOTHING RETURNING {COLUMNS}
"""


_LOCK = "SELECT id FROM shipment WHERE account = $1 AND id = ANY($2) ORDER BY id FOR UPDATE"
_HOLD = "SELECT id FROM shipment WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
_KNOWN = ("document", "source_report", "refresh_log", "change", "push", "push_attempt", "push_standing")
_DELETE_KNOWN = ", ".join(
    f"{table}s AS (DELETE FROM {table} WHERE account = $1 AND shipment IN (SELECT id FROM gone))"
    for table in _KNOWN
)
_DELETE = f"""
WITH gone AS (
  DELETE FROM shipment WHERE account = $1 AND id = ANY($2) RETURNING id, phase
), counted AS (
  UPDATE account SET listed = listed - (SELECT count(*) FROM gone WHERE phase <> 'looked_up') WHERE id = $1
), {_DELETE_KNOWN}
SELECT id FROM gone
"""
_SAME = """
SELECT id, phase = 'looked_up' FROM shipment
WHERE account = $1 AND number = $2 AND carrier = $3 AND id <> $4
"""
_FORGET = ("DELETE FROM document WHERE shipment = $1", "DELETE FROM source_report WHERE shipment = $1")


def typed(names: Sequence[str], first: int) -> str:
    """Array parameters, beginning with number ``first``, for columns of a shipment."""
    return ", ".join(
        f"${number}::{'text' if name in _TEXTS else 'bigint'}[]" for number, name in enumerate(names, first)
    )


_BEFORE = tuple(f"before_{name}" for name in _UNCHANGED)
_FIRST_NEW = pushes.PARAMETERS + 1
_FIRST_BEFORE = _FIRST_NEW + 2 + len(MUTABLE)
_CHANGE = f"""
WITH held AS (
  UPDATE shipment AS s SET {SET}
  FROM unnest(
    {typed(("id", "account", *MUTABLE), _FIRST_NEW)}, {typed(_UNCHANGED, _FIRST_BEFORE)}
  ) AS new (id, account, {", ".join((*MUTABLE, *_BEFORE))})
  WHERE s.id = new.id AND s.account = new.account
    AND ({", ".join(f"s.{name}" for name in _UNCHANGED)})
    IS NOT DISTINCT FROM ({", ".join(f"new.{name}" for name in _BEFORE)})
  RETURNING s.id, s.account
), {pushes.ENQUEUE}
SELECT id FROM held
"""


_Key = tuple[str, str]  # number and carrier: with the account they name a shipment


class _Known(NamedTuple):
    """A shipment that there is."""

    id: int
    phase: Phase
    registered_at: int | None


async def register(
    c: Connection, account: int, wanted: Sequence[Wanted], now: datetime, *, again: bool
) -> list[int | CallerError]:
    """Insert and charge in the order given. ``again``: an earlier try may have been committed."""
    usage = await quota.locked_usage(c, account, now)
    left = usage.total - usage.used
    left_today = usage.max_daily - usage.today if usage.max_daily else len(wanted)
    found = await _found(c, account, wanted)
    answers: list[int | CallerError | Wanted] = []
    charged: dict[_Key, Wanted] = {}
    for item in wanted:
        identity = item.number, item.carrier
        known = found.get(identity)
        if again and known is not None and known.registered_at == micros(now) and identity not in charged:
            answers.append(known.id)  # by the earlier try
            continue
        try:
            step(Phase.TRACKING if identity in charged else known.phase if known else None, Action.REGISTER)
        except CallerError as error:
            answers.append(CallerError(error.reason, number=item.number))
            continue
        if len(charged) >= left_today:
            answers.append(CallerError("daily_limit", limit=str(usage.max_daily)))
        elif len(charged) * prices.REGISTER + prices.REGISTER > left:
            answers.append(CallerError("quota", detail=_REASON_FULL.format(total=usage.total)))
        else:
            charged[identity] = item
            answers.append(item)
    made = await _make(c, account, charged, found, now) if charged else {}
    return [made[item.number, item.carrier] if isinstance(item, Wanted) else item for item in answers]


async def _found(c: Connection, account: int, wanted: Sequence[Wanted]) -> dict[_Key, _Known]:
    rows = await c.fetch(_NUMBERED, account, list({item.number for item in wanted}))
    return {(row[0], row[1]): _Known(row[2], Phase(row[3]), row[4]) for row in rows}


async def _make(
    c: Connection, account: int, charged: Mapping[_Key, Wanted], found: Mapping[_Key, _Known], now: datetime
) -> dict[_Key, int]:
    """Ids of new rows, and of those that were only looked up and are promoted; all of them charged."""
    made = {key: await _promote(c, account, item, now) for key, item in charged.items() if key in found}
    new = [item for key, item in charged.items() if key not in found]
    rows = await c.fetch(
        _REGISTER,
        account, prices.period(now), micros(now), *_arrays(new), list(made.values()), now.date().isoformat(),
    )  # fmt: skip
    if len(rows) != len(new):
        raise TryAgain("a number was looked up at this moment")
    return made | {(row[1], row[2]): row[0] for row in rows}


def _arrays(wanted: Sequence[Wanted]) -> tuple[list[Any], ...]:
    return (
        [item.number for item in wanted], [item.carrier for item in wanted], [item.code for item in wanted],
        [item.origin for item in wanted], [wish_text(item.wish) for item in wanted],
        [item.lane for item in wanted],
    )  # fmt: skip


async def _promote(c: Connection, account: int, wanted: Wanted, now: datetime) -> int:
    """A number that was only looked up becomes a registration."""
    promoted: int | None = await c.fetchval(
        _PROMOTE,
        account, wanted.number, wanted.carrier, wanted.code, wanted.origin, wish_text(wanted.wish),
        wanted.lane, micros(now),
    )  # fmt: skip
    if promoted is None:
        raise TryAgain("a number was deleted at this moment")
    return promoted


async def look_up(c: Connection, account: int, wanted: Wanted, now: datetime) -> Shipment:
    """What is there, or a new row in phase looked_up."""
    row = await c.fetchrow(_ONE, account, wanted.number, wanted.carrier)
    if row is None:
        row = await c.fetchrow(
            _LOOK_UP,
            account, wanted.number, wanted.carrier, wanted.code, wanted.origin, wish_text(wanted.wish),
            wanted.lane, micros(now),
        )  # fmt: skip
    if row is None:
        raise TryAgain("a number was looked up at this moment")
    return shipment_of(row)


async def save(
    c: Connection, instance: str, changes: Sequence[Changed], now: datetime, *, again: bool
) -> list[bool]:
    """Which were saved; of two of one shipment the first. ``again``: see register."""
    first = {change.shipment.id: change for change in reversed(changes)}
    todo = list(first.values())
    await hold(c, list(first))
    new = [(one.shipment.id, one.shipment.account, *mutable_values(one.shipment)) for one in todo]
    before = [
        tuple(dict(zip(MUTABLE, mutable_values(one.before), strict=True))[name] for name in _UNCHANGED)
        for one in todo
    ]
    sending = [(one.shipment, push, now) for one in todo for push in one.pushes]
    rows = await c.fetch(
        _CHANGE,
        *pushes.parameters(instance, sending),
        *columns(new, 2 + len(MUTABLE)),
        *columns(before, len(_UNCHANGED)),
    )
    saved = {row[0] for row in rows}
    learned = [one for one in todo if one.shipment.id in saved]
    await learn(c, ((one.shipment.account, count, now) for one in learned for count in one.counts))
    if again:
        saved |= await _as_wanted(c, todo)
    answers = []
    for change in changes:
        answers.append(change.shipment.id in saved)
        saved.discard(change.shipment.id)
    return answers


async def change_carrier(
    c: Connection, instance: str, change: Changed, now: datetime, *, again: bool
) -> bool:
    """A change that forgets what the old carrier said; False also when it would make a second of the same."""
    shipment = change.shipment
    if not await make_room(c, shipment):
        return False
    try:
        (saved,) = await save(c, instance, [change], now, again=again)
    except asyncpg.UniqueViolationError as error:
        raise TryAgain("the same was registered at this moment") from error
    if saved:
        for statement in _FORGET:
            await c.execute(statement, shipment.id)
    return bool(saved)


async def make_room(c: Connection, shipment: Shipment) -> bool:
    """For a shipment with another carrier: one that was only looked up goes; False when one is registered."""
    same = await c.fetchrow(_SAME, shipment.account, shipment.number, shipment.carrier, shipment.id)
    if same is not None and same[1]:
        await delete(c, shipment.account, [same[0]])
    return same is None or bool(same[1])


async def hold(c: Connection, shipments: Sequence[int]) -> None:
    """Nobody else writes to them until the end of the transaction, and the statements after this one see what
    was committed before."""
    await c.fetch(_HOLD, list(shipments))


async def delete(c: Connection, account: int, shipments: Sequence[int]) -> list[bool]:
    """With all that is known of them. Locked first: what a refresh saves at this moment must go too."""
    await quota.lock(c, account)
    await c.fetch(_LOCK, account, list(shipments))
    gone = {row[0] for row in await c.fetch(_DELETE, account, list(shipments))}
    return [
        shipment in gone and shipment not in shipments[:place] for place, shipment in enumerate(shipments)
    ]


async def _as_wanted(c: Connection, changes: Sequence[Changed]) -> set[int]:
    """Those that are stored as they shall be: an earlier try saved them."""
    ids = [change.shipment.id for change in changes]
    rows = await c.fetch(f"SELECT {COLUMNS} FROM shipment WHERE id = ANY($1)", ids)
    stored = {one.id: mutable_values(one) for one in map(shipment_of, rows)}
    return {
        change.shipment.id
        for change in changes
        if stored.get(change.shipment.id) == mutable_values(change.shipment)
        and mutable_values(change.before) != mutable_values(change.shipment)
    }


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into arrays, one a column."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
