"""The store on PostgreSQL: set-based statements, leases by SKIP LOCKED, nothing kept in a session."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TypeVar

from parcelwire.domain.account import Account, LoginKey, NewAccount, Usage
from parcelwire.domain.audit import Chain, Deed
from parcelwire.domain.endpoint import Endpoint, EndpointTurn, NewEndpoint, Signal
from parcelwire.domain.errors import CallerError, ConfigError, StoreUnavailable
from parcelwire.domain.lane import Grant, Lane
from parcelwire.domain.limits import Limits
from parcelwire.domain.listing import Filter, Order
from parcelwire.domain.poison import Piece, Strike
from parcelwire.domain.push import Chosen, FeedItem, PushJob, PushRecord, PushResult, PushState
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.status import SubStatus
from parcelwire.ports import (
    Attempt,
    BoughtNumber,
    Changed,
    Charge,
    Document,
    Due,
    Examined,
    Inbound,
    InboxState,
    KeyedCall,
    ListPage,
    Old,
    Pair,
    Parked,
    ParkedInbound,
    Pruned,
    Refreshed,
    Shown,
    Sizes,
    Spent,
    Taking,
    Told,
    Turn,
    Wanted,
    Work,
)
from parcelwire.store.hearers import pushing
from parcelwire.store.postgres import (
    accounts,
    audit,
    deliveries,
    endpoints,
    feed,
    keys,
    learned,
    lists,
    pushes,
    quota,
    refreshes,
    registrations,
    repeats,
    retention,
    schema,
    sizes,
    strikes,
    upstream,
)
from parcelwire.store.postgres.group import Group
from parcelwire.store.postgres.hints import Hints
from parcelwire.store.postgres.pool import Connection, Pool, Target
from parcelwire.store.postgres.pool import Work as Transaction
from parcelwire.store.rows import (
    LANE,
    LEDGER_ERRORS,
    SHIPMENT,
    SHOWN,
    document_of,
    lane_of,
    lane_values,
    moment,
    moment_or_none,
    shipment_of,
)
from parcelwire.store.vault import Vault, sign_key_place

T = TypeVar("T")

USUAL_S = 0.2  # what a statement may take before that matters
_S_COLUMNS = ", ".join(f"s.{name}" for name in SHIPMENT)
_FIND = f"""
SELECT {_S_COLUMNS}, d.template, d.estimate
FROM shipment AS s LEFT JOIN document AS d ON d.shipment = s.id AND d.account = s.account
WHERE s.account = $1 AND s.number = ANY($2)
"""
_SHOWN = f"""
SELECT {", ".join(SHOWN)}, d.template, d.estimate
FROM shipment AS s LEFT JOIN document AS d ON d.shipment = s.id AND d.account = s.account
WHERE s.account = $1 AND s.number = ANY($2)
"""
_BARE = f"""
SELECT {", ".join(SHOWN)}, NULL, NULL FROM shipment AS s WHERE s.account = $1 AND s.number = ANY($2)
"""
_LANES = f"""
WITH {refreshes.LANE_NAMES}
SELECT name, (SELECT min(refresh_at) FROM shipment WHERE lane = name AND refresh_at IS NOT NULL)
FROM names WHERE name IS NOT NULL
"""
_LANE_MARKS = ", ".join(f"${number}" for number in range(1, len(LANE) + 1))
_LANE_SET = ", ".join(f"{name} = excluded.{name}" for name in LANE[1:])
# A lane that was never saved is at revision 0.
_SAVE_LANE = f"""
INSERT INTO lane AS l ({", ".join(LANE)}) SELECT {_LANE_MARKS}
WHERE ${len(LANE) + 1}::bigint = 0 OR EXISTS (SELECT FROM lane WHERE name = $1)
ON CONFLICT (name) DO UPDATE SET {_LANE_SET} WHERE l.revision = ${len(LANE) + 1}
"""


def _from(now: datetime) -> Callable[[], datetime]:
    """What time it is after ``now``; as long as usual waits take, it does not go on."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def then() -> datetime:
        seconds = loop.time() - began
        return now + timedelta(seconds=seconds) if seconds > USUAL_S else now

    return then


class PostgresStore:
    """``ports.Store`` on a database. Make it with ``await PostgresStore.open(...)``.

    ``warnings``: what is wrong with the server's settings, for the operator.
    """

    def __init__(self, pool: Pool, hints: Hints, vault: Vault, instance: str, warnings: list[str]) -> None:
        self.warnings = warnings
        self.pool = self._pool = pool
        self._hints = hints
        self._vault = vault
        self._instance = instance
        self._heads: dict[str, refreshes.Head] = {}
        self._turned: list[Callable[[EndpointTurn], None]] = []
        self._completing = Group(self._complete)
        self._finishing = Group(self._finish)

    @classmethod
    async def open(
        cls, dsn: str, vault: Vault, chance: Callable[[], float], *, moving_from: str | None = None
    ) -> "PostgresStore":
        """Connect and bring the schema up to date. ConfigError says what stands in the way.

        ``moving_from``: the SQLite database that is being copied into this one (store/moving.py).
        """
        target = Target.of(dsn)
        pool = await Pool.open(target, chance)
        try:
            warnings = await pool.statement(schema.warnings)
            await schema.migrate(pool)
            await keys.keep_root(pool, vault)
            await schema.check_move(pool, moving_from)
            instance = await schema.instance(pool)
        except StoreUnavailable as error:
            await pool.close()
            raise ConfigError(f"PARCELWIRE_DATABASE: {error}") from error
        except BaseException:
            await pool.close()
            raise
        return cls(pool, Hints(target, pool, secrets.token_hex(8)), vault, instance, warnings)

    def on_work(self, hint: Callable[[], None], *kinds: Work) -> None:
        self._hints.on_work(hint, kinds)

    def on_turn(self, tell: Callable[[EndpointTurn], None]) -> None:
        self._turned.append(tell)

    def on_damage(self, tell: Callable[[str], None]) -> None:
        """The server looks after its files."""

    async def ready(self) -> None:
        await self.accounts()

    async def examine(self, within_s: float) -> Examined:
        async with asyncio.timeout(within_s):
            unsafe = await self._pool.statement(schema.warnings)
        return Examined("the server keeps what it has acknowledged", unsafe=tuple(unsafe))

    async def close(self) -> None:
        await self._hints.close()
        await self._pool.close()

    # --- accounts, receivers, the audit, quota ---

    async def accounts(self) -> list[Account]:
        return await self._pool.statement(lambda c, _: accounts.all_of(c))

    async def open_account(self, new: NewAccount, now: datetime, deed: Deed | None = None) -> Account:
        async def work(c: Connection, _again: bool) -> Account:
            account = await accounts.open_account(c, self._vault, new, now)
            await audit.enter(c, self._vault, account.id, deed, again=False)
            return account

        return await self._pool.transaction(work)

    async def account_of_key(self, login_key: str) -> Account | None:
        digest = self._vault.digest(login_key)
        return await self._pool.statement(lambda c, _: accounts.of_key(c, digest))

    async def save_account(self, account: Account, deed: Deed | None = None) -> None:
        await self._entered(account.id, deed, lambda c, _: accounts.save(c, account))

    async def keys(self, account: int) -> list[LoginKey]:
        return await self._pool.statement(lambda c, _: accounts.keys(c, self._vault, account))

    async def add_key(
        self, account: int, login_key: str, now: datetime, *, signs: bool, deed: Deed | None = None
    ) -> bool:
        return await self._entered(
            account,
            deed,
            lambda c, again: accounts.add_key(
                c, self._vault, account, login_key, now, signs=signs, again=again
            ),
        )

    async def revoke_key(self, account: int, prefix: str, now: datetime, deed: Deed | None = None) -> bool:
        return await self._entered(
            account, deed, lambda c, again: accounts.revoke_key(c, account, prefix, now, again=again)
        )

    async def set_plan(self, account: int, plan: str, quota_total: int, deed: Deed | None = None) -> None:
        statement = "UPDATE account SET plan = $1, quota_total = $2 WHERE id = $3"
        await self._entered(account, deed, lambda c, _: c.execute(statement, plan, quota_total, account))

    async def endpoint(self, account: int) -> Endpoint | None:
        return await self._pool.statement(lambda c, _: endpoints.by_setting(c, self._vault, account))

    async def set_endpoint(
        self, account: int, url: str, secret: str, *, stopped_by_request: bool, deed: Deed | None = None
    ) -> None:
        new = NewEndpoint(url, secret, stopped_by_request=stopped_by_request)
        await self._entered(
            account, deed, lambda c, _: endpoints.set_by_setting(c, self._vault, account, new)
        )

    async def endpoints(self, account: int) -> list[Endpoint]:
        return await self._pool.statement(lambda c, _: endpoints.all_of(c, self._vault, account))

    async def add_endpoint(self, account: int, new: NewEndpoint, deed: Deed | None = None) -> Endpoint:
        """Not repeated when nobody knows whether it was done: a second one would get every push too."""

        async def work(c: Connection, _again: bool) -> Endpoint:
            made = await endpoints.add(c, self._vault, account, new)
            await audit.enter(c, self._vault, account, deed and deed.about(made.id), again=False)
            return made

        return await self._pool.transaction(work, once=True)

    async def remove_endpoint(self, account: int, endpoint: int, deed: Deed | None = None) -> bool:
        return await self._entered(account, deed, lambda c, _: endpoints.remove(c, account, endpoint))

    async def steer_endpoint(
        self, account: int, endpoint: int, signal: Signal, now: datetime, deed: Deed | None = None
    ) -> bool:
        async def work(c: Connection, again: bool) -> tuple[bool, list[EndpointTurn]]:
            there, turns = await endpoints.steer(c, account, endpoint, signal, now)
            if turns:
                await audit.enter(c, self._vault, account, deed, again=again)
            return there, turns

        there, turns = await self._pool.transaction(work)
        self._hints.tell(Work.PUSH)
        self._tell(turns)
        return there

    async def rotate_secret(
        self, account: int, endpoint: int, secret: str, both_until: datetime, deed: Deed | None = None
    ) -> bool:
        return await self._entered(
            account,
            deed,
            lambda c, _: endpoints.rotate(c, self._vault, account, endpoint, secret, both_until),
        )

    async def _entered(self, account: int, deed: Deed | None, work: Transaction[T]) -> T:
        """The answer of ``work``; unless it is False the deed is entered in the same transaction."""

        async def both(c: Connection, again: bool) -> T:
            answer = await work(c, again)
            if answer is not False:
                await audit.enter(c, self._vault, account, deed, again=again)
            return answer

        return await self._pool.transaction(both)

    def _tell(self, turns: Sequence[EndpointTurn]) -> None:
        for turn in turns:
            for call in self._turned:
                call(turn)

    async def set_sign_key(self, account: int, sign_key: str, deed: Deed | None = None) -> None:
        await self._entered(
            account, deed, lambda c, _: accounts.set_sign_key(c, self._vault, account, sign_key)
        )

    async def sign_key(self, account: int) -> str:
        statement = "SELECT sign_key FROM account WHERE id = $1"
        sealed = await self._pool.statement(lambda c, _: c.fetchval(statement, account))
        return self._vault.open(sealed, sign_key_place(account))

    async def enter(self, account: int, deed: Deed) -> None:
        await self._pool.transaction(lambda c, again: audit.enter(c, self._vault, account, deed, again=again))

    async def chains(self) -> list[int]:
        return await self._pool.statement(lambda c, _: audit.chains(c))

    async def chain(self, account: int) -> Chain:
        return await self._pool.statement(lambda c, _: audit.chain(c, self._vault, account))

    async def reseal(self, most: int) -> int:
        return await keys.reseal(self._pool, self._vault, most)

    async def usage(self, account: int, now: datetime) -> Usage:
        return await self._pool.statement(lambda c, _: quota.usage(c, account, now))

    async def pay_translation(self, account: int, shipment: int, now: datetime) -> bool:
        return await self._pool.transaction(lambda c, _: quota.pay_translation(c, account, shipment, now))

    async def charge(self, account: int, charges: Sequence[Charge], now: datetime) -> list[bool]:
        return await self._pool.transaction(
            lambda c, again: quota.charge(c, account, charges, now, again=again)
        )

    async def settle(self, account: int, reference: str, amount: int, now: datetime) -> None:
        await self._settle(account, reference, amount, now)

    async def _settle(self, account: int, reference: str, amount: int, now: datetime) -> int:
        return await self._pool.statement(lambda c, _: quota.settle(c, account, reference, amount, now))

    async def ledger_errors(self) -> list[tuple[int, str, int, int]]:
        async def work(c: Connection, _again: bool) -> list[tuple[int, str, int, int]]:
            await c.execute("SET LOCAL statement_timeout = 0")  # it reads the whole ledger
            return [tuple(row) for row in await c.fetch(LEDGER_ERRORS)]

        return await self._pool.transaction(work)

    async def release_holds(self, before: datetime, now: datetime) -> int:
        """One transaction for each hold: no transaction spans accounts."""
        later = now + (now - before)
        held = await self._pool.statement(lambda c, _: quota.held_outside(c, before, later))
        return sum([await self._settle(account, reference, 0, now) for account, reference in held])

    # --- registrations ---

    async def register(
        self, account: int, wanted: Sequence[Wanted], now: datetime
    ) -> list[int | CallerError]:
        answers = await self._pool.transaction(
            lambda c, again: registrations.register(c, account, wanted, now, again=again)
        )
        self._hints.tell(Work.REFRESH)
        return answers

    async def register_once(
        self,
        account: int,
        wanted: Sequence[Wanted],
        now: datetime,
        call: KeyedCall,
        encode: Callable[[Sequence[int | CallerError]], bytes],
    ) -> bytes | CallerError:
        answer = await self._pool.transaction(
            lambda c, again: repeats.register(c, account, wanted, now, call, encode, again=again)
        )
        self._hints.tell(Work.REFRESH)
        return answer

    async def begin_call(self, account: int, call: KeyedCall, now: datetime) -> bytes | CallerError | None:
        return await self._pool.transaction(
            lambda c, again: repeats.begin(c, account, call, now, again=again)
        )

    async def end_call(self, account: int, call: KeyedCall, answer: bytes | None) -> None:
        await self._pool.statement(lambda c, _: repeats.end(c, account, call, answer))

    async def look_up(self, account: int, wanted: Wanted, now: datetime) -> Shipment:
        return await self._pool.statement(lambda c, _: registrations.look_up(c, account, wanted, now))

    async def find(self, account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        width, given = len(SHIPMENT), list(numbers)
        rows = await self._pool.statement(lambda c, _: c.fetch(_FIND, account, given))
        rows.sort(key=itemgetter(0))  # by id, here: the database would copy the documents to sort them
        return [(shipment_of(row), document_of(row[width:])) for row in rows]

    async def shown(self, account: int, numbers: Collection[str], bare: Collection[str] = ()) -> list[Shown]:
        asked = [(sql, list(given)) for sql, given in ((_SHOWN, numbers), (_BARE, bare)) if given]

        async def work(c: Connection, _again: bool) -> list[Shown]:
            return [Shown._make(row) for sql, given in asked for row in await c.fetch(sql, account, given)]

        return sorted(await self._pool.statement(work), key=itemgetter(0))

    async def change(self, changes: Sequence[Changed], now: datetime) -> list[bool]:
        saved = await self._pool.transaction(lambda c, again: self._change(c, changes, now, again=again))
        self._hints.tell(Work.REFRESH, *pushing(changes))
        return saved

    async def _change(
        self, c: Connection, changes: Sequence[Changed], now: datetime, *, again: bool
    ) -> list[bool]:
        if not any(change.forgets for change in changes):
            return await registrations.save(c, self._instance, changes, now, again=again)
        saved = []
        for change in changes:
            if change.forgets:
                done = await registrations.change_carrier(c, self._instance, change, now, again=again)
            else:
                (done,) = await registrations.save(c, self._instance, [change], now, again=again)
            saved.append(done)
        return saved

    async def list_page(self, account: int, wanted: Filter, order: Order, skip: int, most: int) -> ListPage:
        return await self._pool.statement(lambda c, _: lists.page(c, account, wanted, order, skip, most))

    async def delete(self, account: int, shipments: Sequence[int]) -> list[bool]:
        return await self._pool.transaction(lambda c, _: registrations.delete(c, account, shipments))

    # --- refreshing ---

    async def lanes(self) -> dict[str, datetime]:
        rows = await self._pool.statement(lambda c, _: c.fetch(_LANES))
        return {name: moment(at) for name, at in rows if at is not None}

    async def lane(self, name: str) -> Lane:
        statement = f"SELECT {', '.join(LANE)} FROM lane WHERE name = $1"
        row = await self._pool.statement(lambda c, _: c.fetchrow(statement, name))
        return lane_of(row) if row else Lane(name)

    async def save_lane(self, lane: Lane, revision: int) -> bool:
        values = lane_values(lane)
        done = await self._pool.statement(lambda c, _: c.execute(_SAVE_LANE, *values, revision))
        return refreshes.count_of(done) == 1

    async def census(self, lane: str) -> dict[SubStatus | None, int]:
        return await self._pool.statement(lambda c, _: refreshes.census(c, lane))

    async def take_turn(
        self,
        queue: str,
        most: int,
        limits: Limits,
        now: datetime,
        until: datetime,
        lease: str,
        ahead: timedelta = timedelta(),
    ) -> Turn:
        then = _from(now)
        head = self._heads.setdefault(queue, refreshes.Head(queue))
        grant, rows = await self._pool.transaction(
            lambda c, _: refreshes.take_turn(c, head, most, limits, then, until, lease, ahead)
        )
        if not rows:
            return Turn(grant)
        return Turn(grant, tuple(await self._pool.statement(lambda c, _: refreshes.with_histories(c, rows))))

    async def take_call(self, lane: str, taking: Taking, now: datetime) -> Grant:
        then = _from(now)
        return await self._pool.transaction(lambda c, _: refreshes.take_call(c, lane, taking, then))

    async def claim(self, lane: str, most: int, now: datetime, until: datetime, lease: str) -> list[Due]:
        return await self._pool.statement(lambda c, _: refreshes.claim(c, lane, most, now, until, lease))

    async def claim_one(self, shipment: int, until: datetime, lease: str) -> Due | None:
        return await self._pool.statement(lambda c, _: refreshes.claim_one(c, shipment, until, lease))

    async def complete(self, results: Sequence[Refreshed]) -> int:
        saved = await self._completing.save(results)
        self._hints.tell(*pushing(results))
        return saved.count(False)

    async def _complete(self, results: Sequence[Refreshed]) -> list[bool]:
        alone = not any(one.pushes or one.corrects or one.counts for one in results)
        run = self._pool.statement if alone else self._pool.transaction
        return await run(lambda c, _: refreshes.complete(c, self._instance, results))

    async def begin_reroute(self, routing: str) -> bool:
        return await self._pool.transaction(lambda c, _: refreshes.begin_reroute(c, routing))

    async def reroute(
        self, routing: str, target: Callable[[str, str], str | None], most: int, now: datetime
    ) -> int | None:
        moved = await self._pool.transaction(lambda c, _: refreshes.reroute(c, routing, target, most, now))
        if moved:
            self._hints.tell(Work.REFRESH)
        return moved

    async def learned(self, account: int) -> dict[str, dict[str, int]]:
        return await self._pool.statement(lambda c, _: learned.learned(c, account))

    async def attempts(self, shipment: int, most: int) -> list[Attempt]:
        statement = """
        SELECT at, lane, outcome, ms, text FROM refresh_log WHERE shipment = $1 ORDER BY id DESC LIMIT $2
        """
        rows = await self._pool.statement(lambda c, _: c.fetch(statement, shipment, most))
        return [Attempt(moment(at), lane, outcome, ms, text) for at, lane, outcome, ms, text in rows]

    async def prune(self, old: Old, before: datetime, most: int, after: datetime | None = None) -> Pruned:
        return await retention.prune(self._pool, old, before, most, after)

    async def sum_up(self, most: int) -> int:
        return await self._pool.statement(lambda c, _: lists.sum_up(c, most))

    async def take_duty(self, duty: str, every: timedelta, now: datetime) -> bool:
        return await self._pool.statement(lambda c, _: retention.take_duty(c, duty, every, now))

    async def latest(self) -> datetime | None:
        statement = "SELECT max(at) FROM refresh_log"
        return moment_or_none(await self._pool.statement(lambda c, _: c.fetchval(statement)))

    async def hasten(self, now: datetime, most: timedelta) -> int:
        count = await self._pool.transaction(lambda c, _: refreshes.hasten(c, now, most))
        self._hints.tell(Work.REFRESH, Work.PUSH)
        return count

    async def rewind(self, shipment: int, by: timedelta, now: datetime) -> None:
        await self._pool.transaction(lambda c, _: refreshes.rewind(c, shipment, by, now), once=True)
        self._hints.tell(Work.REFRESH)

    # --- work that harms the process ---

    async def strike(self, work: Sequence[Piece], strike: Strike, why: str, now: datetime) -> list[Piece]:
        return await self._pool.transaction(lambda c, _: strikes.add(c, work, strike, why, now), once=True)

    async def absolve(self, work: Sequence[Piece]) -> None:
        await self._pool.statement(lambda c, _: strikes.forget(c, work))

    async def suspects(self) -> set[Piece]:
        return await self._pool.statement(lambda c, _: strikes.suspects(c))

    async def parked(self, account: int | None = None) -> list[Parked]:
        return await self._pool.statement(lambda c, _: strikes.parked(c, account))

    async def sizes(self, now: datetime) -> Sizes:
        return await self._pool.statement(lambda c, _: sizes.sizes(c, now))

    async def release_parked(self, account: int, shipments: Sequence[int], now: datetime) -> int:
        count = await self._pool.transaction(lambda c, _: strikes.release(c, account, shipments, now))
        self._hints.tell(Work.REFRESH)
        return count

    # --- what is bought at an upstream, and pushes to us (upstream.py) ---

    async def bought(self, source: str, numbers: Sequence[str]) -> list[BoughtNumber]:
        return await self._pool.statement(lambda c, _: upstream.numbers(c, source, numbers))

    async def reserve(
        self, source: str, wanted: Sequence[tuple[Pair, int]], cap: int | None, now: datetime
    ) -> set[Pair]:
        return await self._pool.transaction(lambda c, _: upstream.reserve(c, source, wanted, cap, now))

    async def settle_reserved(
        self, source: str, registered: Sequence[Pair], refused: Sequence[Pair], now: datetime
    ) -> None:
        await self._pool.transaction(lambda c, _: upstream.settle(c, source, registered, refused, now))

    async def forget_bought(self, source: str, pairs: Sequence[Pair]) -> None:
        await self._pool.statement(lambda c, _: upstream.forget(c, source, pairs))

    async def upstream_stopped(self, source: str, pair: Pair, now: datetime) -> None:
        await self._pool.statement(lambda c, _: upstream.stopped(c, source, pair, now))

    async def spend(self, source: str, amount: int, reference: str, cap: int | None, now: datetime) -> bool:
        return await self._pool.transaction(
            lambda c, again: upstream.spend(c, source, amount, reference, cap, now, again=again)
        )

    async def saved(self, source: str, kind: str, entries: Sequence[tuple[int, str]], now: datetime) -> None:
        await self._pool.statement(lambda c, _: upstream.enter(c, source, kind, entries, now))

    async def spent(self, source: str, now: datetime) -> Spent:
        return await self._pool.statement(lambda c, _: upstream.spent(c, source, now))

    async def told(self, source: str, numbers: Sequence[str], since: datetime) -> list[Told]:
        return await self._pool.statement(lambda c, _: upstream.told(c, source, numbers, since))

    async def shipments_of(self, number: str) -> list[Shipment]:
        statement = f"SELECT {registrations.COLUMNS} FROM shipment WHERE number = $1 ORDER BY id"
        rows = await self._pool.statement(lambda c, _: c.fetch(statement, number))
        return [shipment_of(row) for row in rows]

    async def keep_inbound(self, source: str, body: bytes, now: datetime) -> bool:
        kept = await self._pool.statement(lambda c, _: upstream.keep(c, source, body, now))
        self._hints.tell(Work.INBOUND)
        return kept

    async def claim_inbound(self, most: int, now: datetime, until: datetime) -> list[Inbound]:
        return await self._pool.statement(lambda c, _: upstream.claim_inbound(c, most, now, until))

    async def finish_inbound(self, inbound: int, state: InboxState, detail: str) -> None:
        await self._pool.statement(lambda c, _: upstream.finish(c, inbound, state, detail))

    async def inbox(self) -> dict[InboxState, int]:
        return await self._pool.statement(lambda c, _: upstream.count(c))

    async def parked_inbound(self, most: int) -> list[ParkedInbound]:
        return await self._pool.statement(lambda c, _: upstream.parked(c, most))

    async def inbound_body(self, inbound: int) -> bytes | None:
        return await self._pool.statement(lambda c, _: upstream.inbound_body(c, inbound))

    async def release_inbound(self, pushes: Sequence[int], state: InboxState, detail: str) -> int:
        released = await self._pool.statement(lambda c, _: upstream.release(c, pushes, state, detail))
        self._hints.tell(Work.INBOUND)
        return released

    # --- pushing (pushes.py, deliveries.py, endpoints.py) ---

    # What is sent again keeps its place in the queue, so the time of a replay does not matter.
    async def replay(self, account: int, shipments: Sequence[int], now: datetime) -> list[bool]:  # noqa: ARG002
        kept = await self._pool.transaction(lambda c, _: deliveries.replay_newest(c, account, shipments))
        self._hints.tell(Work.PUSH)
        return kept

    async def pushes_due(self) -> datetime | None:
        return moment_or_none(await self._pool.statement(lambda c, _: endpoints.due(c)))

    async def claim_pushes(self, most: int, now: datetime, until: datetime, lease: str) -> list[PushJob]:
        _, jobs = await self.exchange_pushes([], most, now, until, lease)
        return jobs

    async def finish_pushes(self, results: Sequence[PushResult]) -> int:
        return (await self._finishing.save(results)).count(False)

    async def _finish(self, results: Sequence[PushResult]) -> list[bool]:
        saved, turns = await self._pool.transaction(lambda c, _: pushes.finish(c, results))
        self._tell(turns)
        return saved

    async def exchange_pushes(
        self, results: Sequence[PushResult], most: int, now: datetime, until: datetime, lease: str
    ) -> tuple[int, list[PushJob]]:
        saved, turns, jobs = await self._pool.transaction(
            lambda c, _: pushes.exchange(c, self._vault, results, most, now, until, lease)
        )
        self._tell(turns)
        return saved.count(False), jobs

    async def replay_pushes(self, account: int, chosen: Chosen, now: datetime) -> int:  # noqa: ARG002
        """Not repeated when nobody knows whether it was done: some may have been sent since."""
        count = await self._pool.transaction(lambda c, _: deliveries.replay(c, account, chosen), once=True)
        self._hints.tell(Work.PUSH)
        return count

    async def push_counts(self, account: int) -> dict[int, dict[PushState, int]]:
        return await self._pool.statement(lambda c, _: deliveries.counts(c, account))

    async def push_log(self, account: int, chosen: Chosen, most: int) -> list[PushRecord]:
        return await self._pool.statement(lambda c, _: deliveries.records(c, account, chosen, most))

    # --- the pull feed ---

    async def feed(self, account: int, after: int, most: int) -> list[FeedItem]:
        return await self._pool.statement(lambda c, _: feed.items(c, account, after, most))

    async def feed_ends(self, account: int) -> tuple[int, int]:
        return await self._pool.statement(lambda c, _: feed.ends(c, account))
