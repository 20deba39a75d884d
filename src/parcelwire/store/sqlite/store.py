"""The store on one SQLite file: WAL, synchronous=FULL, one writing connection, a few reading ones."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from parcelwire.domain.account import Account, LoginKey, NewAccount, Usage
from parcelwire.domain.audit import Chain, Deed
from parcelwire.domain.endpoint import Endpoint, EndpointTurn, NewEndpoint, Signal
from parcelwire.domain.errors import CallerError, StoreBroken, StoreUnavailable
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
    Failpoint,
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
    no_failpoint,
)
from parcelwire.store.hearers import Hearers, pushing
from parcelwire.store.rows import (
    LEDGER_ERRORS,
    SHIPMENT,
    SHOWN,
    document_of,
    moment,
    moment_or_none,
    shipment_of,
)
from parcelwire.store.sqlite import (
    accounts,
    audit,
    counts,
    endpoints,
    feed,
    file,
    keys,
    learned,
    lists,
    pushes,
    quota,
    refreshes,
    registrations,
    repeats,
    retention,
    sizes,
    strikes,
    upstream,
)
from parcelwire.store.sqlite.reader import Readers
from parcelwire.store.sqlite.writer import Writer
from parcelwire.store.vault import Vault, sign_key_place

INTERRUPT_S = 0.05  # until a statement that was interrupted is interrupted again
READERS = 2  # reading connections; a read is a few hundred microseconds

T = TypeVar("T")
_Connection = sqlite3.Connection

_S_COLUMNS = ", ".join(f"s.{name}" for name in SHIPMENT)
_FIND = f"""
SELECT {_S_COLUMNS}, d.template, d.estimate
FROM shipment s LEFT JOIN document d ON d.shipment = s.id
WHERE s.account = ? AND s.number IN (SELECT value FROM json_each(?))
"""
_SHOWN = f"""
SELECT {", ".join(SHOWN)}, d.template, d.estimate
FROM shipment s LEFT JOIN document d ON d.shipment = s.id
WHERE s.account = ? AND s.number IN (SELECT value FROM json_each(?))
"""
# All rows as one text: a row by itself costs a step of the driver, which lets go of the interpreter for it.
_BARE = f"""
SELECT json_group_array(json_array({", ".join(SHOWN)}, NULL, NULL)) FROM shipment s
WHERE s.account = ? AND s.number IN (SELECT value FROM json_each(?))
"""
_LANES = f"""
WITH {refreshes.LANE_NAMES}
SELECT name, (SELECT min(refresh_at) FROM shipment WHERE lane = name AND refresh_at IS NOT NULL)
FROM names WHERE name IS NOT NULL
"""


_shown_of = msgspec.json.Decoder(list[Shown]).decode


def _json_of(numbers: Collection[str]) -> str:
    return msgspec.json.encode(list(numbers)).decode()


class SqliteStore:
    """``ports.Store`` on a file. Make it with ``await SqliteStore.open(...)``."""

    writer: type[Writer] = Writer
    readers: type[Readers] = Readers

    def __init__(self, path: Path, vault: Vault, failpoint: Failpoint = no_failpoint) -> None:
        self._vault = vault
        self._hearers = Hearers()
        self._turned: list[Callable[[EndpointTurn], None]] = []
        self._path = path
        self._damage: StoreBroken | None = None
        self._told_of_damage: list[Callable[[str], None]] = []
        self._closed = False
        file.check_kind(path)
        with ExitStack() as opened:
            self._lock = file.FileLock(path)
            opened.callback(self._lock.release)
            connection = opened.enter_context(closing(file.connect(path)))
            try:
                file.migrate(connection, path)
                keys.keep_root(connection, vault)
                self._instance = file.instance(connection)
                file.release_leases(connection)
            except sqlite3.Error as error:
                raise file.unusable(path, error) from error
            self._readers = self.readers(path, READERS)
            self._writer = self.writer(connection, counts.add_up, failpoint)
            opened.pop_all()

    @classmethod
    async def open(cls, path: Path, vault: Vault, failpoint: Failpoint = no_failpoint) -> Self:
        """Open or make the file, bring its schema up to date. ConfigError says what stands in the way."""
        return await asyncio.to_thread(cls, path, vault, failpoint)

    def on_work(self, hint: Callable[[], None], *kinds: Work) -> None:
        self._hearers.add(hint, kinds)

    def on_turn(self, tell: Callable[[EndpointTurn], None]) -> None:
        self._turned.append(tell)

    def on_damage(self, tell: Callable[[str], None]) -> None:
        self._told_of_damage.append(tell)

    async def ready(self) -> None:
        if self._damage is not None:
            raise self._damage
        await self.accounts()

    async def examine(self, within_s: float) -> Examined:
        with closing(await asyncio.to_thread(file.connect, self._path, reading=True)) as connection:
            looking = asyncio.create_task(asyncio.to_thread(file.examine, connection))
            await asyncio.wait((looking,), timeout=within_s)
            while not looking.done():  # an interrupt before the statement has begun does nothing
                connection.interrupt()
                await asyncio.wait((looking,), timeout=INTERRUPT_S)
            return await looking

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.close)
        self._lock.release()

    async def _write(self, work: Callable[[_Connection], T], *hints: Work) -> T:
        self._check_open()
        try:
            answer = await self._writer.run(work)
        except StoreBroken as error:
            self._notice(error)
            raise
        self._hearers.tell(*hints)
        return answer

    async def _read(self, work: Callable[[_Connection], T]) -> T:
        self._check_open()
        try:
            return await self._readers.run(work)
        except StoreBroken as error:
            self._notice(error)
            raise

    def _notice(self, damage: StoreBroken) -> None:
        if self._damage is None:
            self._damage = damage
            for tell in self._told_of_damage:
                tell(str(damage))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    # --- accounts, receivers, the audit, quota ---

    async def accounts(self) -> list[Account]:
        return await self._read(accounts.all_of)

    async def open_account(self, new: NewAccount, now: datetime, deed: Deed | None = None) -> Account:
        def work(c: _Connection) -> Account:
            account = accounts.open_account(c, self._vault, new, now)
            audit.enter(c, self._vault, account.id, deed)
            return account

        return await self._write(work)

    async def account_of_key(self, login_key: str) -> Account | None:
        digest = self._vault.digest(login_key)
        return await self._read(lambda c: accounts.of_key(c, digest))

    async def save_account(self, account: Account, deed: Deed | None = None) -> None:
        await self._write_entered(account.id, deed, lambda c: accounts.save(c, account))

    async def keys(self, account: int) -> list[LoginKey]:
        return await self._read(lambda c: accounts.keys(c, self._vault, account))

    async def add_key(
        self, account: int, login_key: str, now: datetime, *, signs: bool, deed: Deed | None = None
    ) -> bool:
        def work(c: _Connection) -> bool:
            added = accounts.add_key(c, self._vault, account, login_key, now)
            if added and signs:
                accounts.set_sign_key(c, self._vault, account, login_key)
            return added

        return await self._write_entered(account, deed, work)

    async def revoke_key(self, account: int, prefix: str, now: datetime, deed: Deed | None = None) -> bool:
        return await self._write_entered(
            account, deed, lambda c: accounts.revoke_key(c, account, prefix, now)
        )

    async def set_plan(self, account: int, plan: str, quota_total: int, deed: Deed | None = None) -> None:
        values = (plan, quota_total, account)
        await self._write_entered(
            account,
            deed,
            lambda c: bool(
                c.execute("UPDATE account SET plan = ?, quota_total = ? WHERE id = ?", values).rowcount
            ),
        )

    async def endpoint(self, account: int) -> Endpoint | None:
        found = await self._endpoints("account = ? AND by_setting", account)
        return found[0] if found else None

    async def endpoints(self, account: int) -> list[Endpoint]:
        return await self._endpoints("account = ?", account)

    async def _endpoints(self, condition: str, account: int) -> list[Endpoint]:
        rows = await self._read(
            lambda c: c.execute(f"{endpoints.SELECT} WHERE {condition} ORDER BY id", (account,)).fetchall()
        )
        return [endpoints.endpoint_of(self._vault, row) for row in rows]

    async def set_endpoint(
        self, account: int, url: str, secret: str, *, stopped_by_request: bool, deed: Deed | None = None
    ) -> None:
        new = NewEndpoint(url, secret, stopped_by_request=stopped_by_request)
        await self._write_entered(
            account, deed, lambda c: endpoints.set_by_setting(c, self._vault, account, new)
        )

    async def add_endpoint(self, account: int, new: NewEndpoint, deed: Deed | None = None) -> Endpoint:
        def work(c: _Connection) -> Endpoint:
            made = endpoints.add(c, self._vault, account, new)
            audit.enter(c, self._vault, account, deed and deed.about(made.id))
            return made

        return await self._write(work)

    async def remove_endpoint(self, account: int, endpoint: int, deed: Deed | None = None) -> bool:
        def work(c: _Connection) -> bool:
            deleted = c.execute("DELETE FROM endpoint WHERE id = ? AND account = ?", (endpoint, account))
            return bool(deleted.rowcount)

        return await self._write_entered(account, deed, work)

    async def steer_endpoint(
        self, account: int, endpoint: int, signal: Signal, now: datetime, deed: Deed | None = None
    ) -> bool:
        def work(c: _Connection) -> tuple[bool, list[EndpointTurn]]:
            there, turns = endpoints.steer(c, account, endpoint, signal, now)
            if turns:
                audit.enter(c, self._vault, account, deed)
            return there, turns

        there, turns = await self._write(work, Work.PUSH)
        self._tell(turns)
        return there

    async def rotate_secret(
        self, account: int, endpoint: int, secret: str, both_until: datetime, deed: Deed | None = None
    ) -> bool:
        return await self._write_entered(
            account,
            deed,
            lambda c: endpoints.rotate(c, self._vault, account, endpoint, secret, both_until),
        )

    async def _write_entered(self, account: int, deed: Deed | None, work: Callable[[_Connection], T]) -> T:
        """The answer of ``work``; unless it is False the deed is entered in the same transaction."""

        def entered(c: _Connection) -> T:
            answer = work(c)
            if answer is not False:
                audit.enter(c, self._vault, account, deed)
            return answer

        return await self._write(entered)

    def _tell(self, turns: Sequence[EndpointTurn]) -> None:
        for turn in turns:
            for call in self._turned:
                call(turn)

    async def set_sign_key(self, account: int, sign_key: str, deed: Deed | None = None) -> None:
        await self._write_entered(
            account, deed, lambda c: accounts.set_sign_key(c, self._vault, account, sign_key)
        )

    async def sign_key(self, account: int) -> str:
        (sealed,) = await self._read(
            lambda c: c.execute("SELECT sign_key FROM account WHERE id = ?", (account,)).fetchone()
        )
        return self._vault.open(sealed, sign_key_place(account))

    async def enter(self, account: int, deed: Deed) -> None:
        await self._write(lambda c: audit.enter(c, self._vault, account, deed))

    async def chains(self) -> list[int]:
        return await self._read(audit.chains)

    async def chain(self, account: int) -> Chain:
        return await self._read(lambda c: audit.chain(c, self._vault, account))

    async def reseal(self, most: int) -> int:
        return await self._write(lambda c: keys.reseal(c, self._vault, most))

    async def usage(self, account: int, now: datetime) -> Usage:
        return await self._read(lambda c: quota.usage(c, account, now))

    async def pay_translation(self, account: int, shipment: int, now: datetime) -> bool:
        return await self._write(lambda c: quota.pay_translation(c, account, shipment, now))

    async def charge(self, account: int, charges: Sequence[Charge], now: datetime) -> list[bool]:
        return await self._write(lambda c: quota.charge(c, account, charges, now))

    async def settle(self, account: int, reference: str, amount: int, now: datetime) -> None:
        await self._write(lambda c: quota.settle(c, account, reference, amount, now))

    async def ledger_errors(self) -> list[tuple[int, str, int, int]]:
        return await self._read(lambda c: c.execute(LEDGER_ERRORS).fetchall())

    async def release_holds(self, before: datetime, now: datetime) -> int:
        return await self._write(lambda c: quota.release_holds(c, before, now))

    # --- registrations ---

    async def register(
        self, account: int, wanted: Sequence[Wanted], now: datetime
    ) -> list[int | CallerError]:
        return await self._write(lambda c: registrations.register(c, account, wanted, now), Work.REFRESH)

    async def register_once(
        self,
        account: int,
        wanted: Sequence[Wanted],
        now: datetime,
        call: KeyedCall,
        encode: Callable[[Sequence[int | CallerError]], bytes],
    ) -> bytes | CallerError:
        return await self._write(
            lambda c: repeats.register(c, account, wanted, now, call, encode), Work.REFRESH
        )

    async def begin_call(self, account: int, call: KeyedCall, now: datetime) -> bytes | CallerError | None:
        return await self._write(lambda c: repeats.begin(c, account, call, now))

    async def end_call(self, account: int, call: KeyedCall, answer: bytes | None) -> None:
        await self._write(lambda c: repeats.end(c, account, call, answer))

    async def look_up(self, account: int, wanted: Wanted, now: datetime) -> Shipment:
        return await self._write(lambda c: registrations.look_up(c, account, wanted, now))

    async def find(self, account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        width = len(SHIPMENT)

        def work(c: _Connection) -> list[tuple[Shipment, Document | None]]:
            rows = c.execute(_FIND, (account, json.dumps(numbers))).fetchall()
            rows.sort(key=itemgetter(0))  # by id, here: the database would copy the documents to sort them
            return [(shipment_of(row), document_of(row[width:])) for row in rows]

        return await self._read(work)

    async def shown(self, account: int, numbers: Collection[str], bare: Collection[str] = ()) -> list[Shown]:
        def work(c: _Connection) -> list[Shown]:
            rows: list[Shown] = []
            if numbers:
                rows += map(Shown._make, c.execute(_SHOWN, (account, _json_of(numbers))))
            if bare:
                (text,) = c.execute(_BARE, (account, _json_of(bare))).fetchone()
                rows += _shown_of(text)
            rows.sort(key=itemgetter(0))
            return rows

        return await self._read(work)

    async def change(self, changes: Sequence[Changed], now: datetime) -> list[bool]:
        return await self._write(
            lambda c: [registrations.change(c, self._instance, change, now) for change in changes],
            Work.REFRESH,
            *pushing(changes),
        )

    async def list_page(self, account: int, wanted: Filter, order: Order, skip: int, most: int) -> ListPage:
        return await self._read(lambda c: lists.page(c, account, wanted, order, skip, most))

    async def delete(self, account: int, shipments: Sequence[int]) -> list[bool]:
        return await self._write(lambda c: [registrations.delete(c, account, one) for one in shipments])

    # --- refreshing ---

    async def lanes(self) -> dict[str, datetime]:
        return await self._read(lambda c: {name: moment(at) for name, at in c.execute(_LANES)})

    async def lane(self, name: str) -> Lane:
        return await self._read(lambda c: refreshes.read_lane(c, name))

    async def save_lane(self, lane: Lane, revision: int) -> bool:
        def work(c: _Connection) -> bool:
            if refreshes.read_lane(c, lane.name).revision != revision:
                return False
            refreshes.write_lane(c, lane)
            return True

        return await self._write(work)

    async def census(self, lane: str) -> dict[SubStatus | None, int]:
        return await self._read(lambda c: refreshes.census(c, lane))

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
        return await self._write(
            lambda c: refreshes.take_turn(c, queue, most, limits, now, until, lease, ahead)
        )

    async def take_call(self, lane: str, taking: Taking, now: datetime) -> Grant:
        return await self._write(lambda c: refreshes.take_call(c, lane, taking, now))

    async def claim(self, lane: str, most: int, now: datetime, until: datetime, lease: str) -> list[Due]:
        return await self._write(lambda c: refreshes.claim(c, lane, most, now, until, lease))

    async def claim_one(self, shipment: int, until: datetime, lease: str) -> Due | None:
        return await self._write(lambda c: refreshes.claim_one(c, shipment, until, lease))

    async def complete(self, results: Sequence[Refreshed]) -> int:
        return await self._write(
            lambda c: refreshes.complete(c, self._instance, results),
            *pushing(results),
        )

    async def begin_reroute(self, routing: str) -> bool:
        return await self._write(lambda c: refreshes.begin_reroute(c, routing))

    async def reroute(
        self, routing: str, target: Callable[[str, str], str | None], most: int, now: datetime
    ) -> int | None:
        return await self._write(lambda c: refreshes.reroute(c, routing, target, most, now), Work.REFRESH)

    async def learned(self, account: int) -> dict[str, dict[str, int]]:
        return await self._read(lambda c: learned.learned(c, account))

    async def attempts(self, shipment: int, most: int) -> list[Attempt]:
        return await self._read(lambda c: refreshes.attempts(c, shipment, most))

    async def prune(self, old: Old, before: datetime, most: int, after: datetime | None = None) -> Pruned:
        return await self._write(lambda c: retention.prune(c, old, before, most, after))

    async def sum_up(self, most: int) -> int:  # noqa: ARG002
        """One writer waits for nobody: nothing is in parts."""
        return 0

    async def take_duty(self, duty: str, every: timedelta, now: datetime) -> bool:
        return await self._write(lambda c: retention.take_duty(c, duty, every, now))

    async def latest(self) -> datetime | None:
        return await self._read(
            lambda c: moment_or_none(c.execute("SELECT max(at) FROM refresh_log").fetchone()[0])
        )

    async def hasten(self, now: datetime, most: timedelta) -> int:
        return await self._write(lambda c: refreshes.hasten(c, now, most), Work.REFRESH, Work.PUSH)

    async def rewind(self, shipment: int, by: timedelta, now: datetime) -> None:
        await self._write(lambda c: refreshes.rewind(c, shipment, by, now), Work.REFRESH)

    # --- work that harms the process ---

    async def strike(self, work: Sequence[Piece], strike: Strike, why: str, now: datetime) -> list[Piece]:
        return await self._write(lambda c: strikes.add(c, work, strike, why, now), Work.PUSH)

    async def absolve(self, work: Sequence[Piece]) -> None:
        await self._write(lambda c: strikes.forget(c, work))

    async def suspects(self) -> set[Piece]:
        return await self._read(strikes.suspects)

    async def parked(self, account: int | None = None) -> list[Parked]:
        return await self._read(lambda c: strikes.parked(c, account))

    async def sizes(self, now: datetime) -> Sizes:
        return await self._read(lambda c: sizes.sizes(c, now))

    async def release_parked(self, account: int, shipments: Sequence[int], now: datetime) -> int:
        return await self._write(lambda c: strikes.release(c, account, shipments, now), Work.REFRESH)

    # --- what is bought at an upstream, and pushes to us (upstream.py) ---

    async def bought(self, source: str, numbers: Sequence[str]) -> list[BoughtNumber]:
        return await self._read(lambda c: upstream.numbers(c, source, numbers))

    async def reserve(
        self, source: str, wanted: Sequence[tuple[Pair, int]], cap: int | None, now: datetime
    ) -> set[Pair]:
        return await self._write(lambda c: upstream.reserve(c, source, wanted, cap, now))

    async def settle_reserved(
        self, source: str, registered: Sequence[Pair], refused: Sequence[Pair], now: datetime
    ) -> None:
        await self._write(lambda c: upstream.settle(c, source, registered, refused, now))

    async def forget_bought(self, source: str, pairs: Sequence[Pair]) -> None:
        await self._write(lambda c: upstream.forget(c, source, pairs))

    async def upstream_stopped(self, source: str, pair: Pair, now: datetime) -> None:
        await self._write(lambda c: upstream.stopped(c, source, pair, now))

    async def spend(self, source: str, amount: int, reference: str, cap: int | None, now: datetime) -> bool:
        return await self._write(lambda c: upstream.spend(c, source, amount, reference, cap, now))

    async def saved(self, source: str, kind: str, entries: Sequence[tuple[int, str]], now: datetime) -> None:
        await self._write(lambda c: upstream.enter(c, source, kind, entries, now))

    async def spent(self, source: str, now: datetime) -> Spent:
        return await self._read(lambda c: upstream.spent(c, source, now))

    async def told(self, source: str, numbers: Sequence[str], since: datetime) -> list[Told]:
        return await self._read(lambda c: upstream.told(c, source, numbers, since))

    async def shipments_of(self, number: str) -> list[Shipment]:
        return await self._read(
            lambda c: [
                shipment_of(row)
                for row in c.execute(
                    f"SELECT {registrations.COLUMNS} FROM shipment WHERE number = ? ORDER BY id", (number,)
                )
            ]
        )

    async def keep_inbound(self, source: str, body: bytes, now: datetime) -> bool:
        return await self._write(lambda c: upstream.keep(c, source, body, now), Work.INBOUND)

    async def claim_inbound(self, most: int, now: datetime, until: datetime) -> list[Inbound]:
        if not await self._read(upstream.inbox_waits):  # mostly nothing: then nobody has to write
            return []
        return await self._write(lambda c: upstream.claim_inbound(c, most, now, until))

    async def finish_inbound(self, inbound: int, state: InboxState, detail: str) -> None:
        await self._write(lambda c: upstream.finish(c, inbound, state, detail))

    async def inbox(self) -> dict[InboxState, int]:
        return await self._read(upstream.count)

    async def parked_inbound(self, most: int) -> list[ParkedInbound]:
        return await self._read(lambda c: upstream.parked(c, most))

    async def inbound_body(self, inbound: int) -> bytes | None:
        return await self._read(lambda c: upstream.inbound_body(c, inbound))

    async def release_inbound(self, pushes: Sequence[int], state: InboxState, detail: str) -> int:
        return await self._write(lambda c: upstream.release(c, pushes, state, detail), Work.INBOUND)

    # --- pushing ---

    async def replay(self, account: int, shipments: Sequence[int], now: datetime) -> list[bool]:
        return await self._write(
            lambda c: [pushes.replay_newest(c, account, shipment, now) for shipment in shipments], Work.PUSH
        )

    async def pushes_due(self) -> datetime | None:
        def work(c: _Connection) -> datetime | None:
            at = c.execute("SELECT min(due_at) FROM endpoint WHERE due_at IS NOT NULL").fetchone()[0]
            return None if at is None else moment(at)

        return await self._read(work)

    async def claim_pushes(self, most: int, now: datetime, until: datetime, lease: str) -> list[PushJob]:
        return await self._write(lambda c: pushes.claim(c, self._vault, most, now, until, lease))

    async def finish_pushes(self, results: Sequence[PushResult]) -> int:
        dropped, turns = await self._write(lambda c: pushes.finish(c, results))
        self._tell(turns)
        return dropped

    async def exchange_pushes(
        self, results: Sequence[PushResult], most: int, now: datetime, until: datetime, lease: str
    ) -> tuple[int, list[PushJob]]:
        def work(c: _Connection) -> tuple[int, list[EndpointTurn], list[PushJob]]:
            return *pushes.finish(c, results), pushes.claim(c, self._vault, most, now, until, lease)

        dropped, turns, jobs = await self._write(work)
        self._tell(turns)
        return dropped, jobs

    async def replay_pushes(self, account: int, chosen: Chosen, now: datetime) -> int:
        return await self._write(lambda c: pushes.replay(c, account, chosen, now), Work.PUSH)

    async def push_counts(self, account: int) -> dict[int, dict[PushState, int]]:
        return await self._read(lambda c: pushes.counts(c, account))

    async def push_log(self, account: int, chosen: Chosen, most: int) -> list[PushRecord]:
        return await self._read(lambda c: pushes.records(c, account, chosen, most))

    # --- the pull feed ---

    async def feed(self, account: int, after: int, most: int) -> list[FeedItem]:
        return await self._read(lambda c: feed.items(c, account, after, most))

    async def feed_ends(self, account: int) -> tuple[int, int]:
        return await self._read(lambda c: feed.ends(c, account))
