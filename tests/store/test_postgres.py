"""What only a server can show: several processes, lost connections, crashes, old and new schema."""

import asyncio
import json
import secrets
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

import asyncpg
import pytest
from tests.store.conftest import PostgresPlace, vault
from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    LOGIN_KEY,
    MINUTE,
    NOW,
    SECOND,
    SECRET,
    SIGN_KEY,
    URL,
    account_in,
    change_of,
    claimed,
    history,
    jobs_due,
    number,
    prune,
    receiver,
    refreshed,
    registered,
    sent,
    stop,
    stored,
    tracked,
    units,
    update,
    wanted,
)

from parcelwire.domain.account import Account
from parcelwire.domain.detect import LearnedKey
from parcelwire.domain.endpoint import WIDTH_MAX, NewEndpoint
from parcelwire.domain.errors import CallerError, ConfigError, StoreUnavailable
from parcelwire.domain.exchange import Reply
from parcelwire.domain.lane import take
from parcelwire.domain.limits import Limits
from parcelwire.domain.listing import Filter, Order
from parcelwire.domain.push import Chosen, PushJob
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.ports import Changed, Charge, Document, KeyedCall, Old, Store, Turn, Work
from parcelwire.store.postgres import PostgresStore, pushes, refreshes, schema
from parcelwire.store.postgres.pool import PAUSES_S, TIMEOUTS, Pool, Target
from parcelwire.store.vault import Vault, secret_place, sign_key_place

# --- large tables -----------------------------------------------------------------------------------------


async def test_a_census_of_a_large_table_counts_a_part_of_it(
    schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And answers for the whole, near enough to share a budget by."""
    store = await schema_place.open()
    account = await account_in(store, 2_000)
    for _ in range(50):
        await store.register(account.id, [wanted(number()) for _ in range(40)], NOW)
    await schema_place.rows("ANALYZE shipment")
    assert await store.census("ups") == {None: 2_000}
    monkeypatch.setattr(refreshes, "CENSUS_ROWS", 1_000)  # half of some sixty pages
    counts = [(await store.census("ups"))[None] for _ in range(5)]
    assert all(1_000 < count < 4_000 for count in counts)
    assert len(set(counts)) > 1


_ENDED = """
INSERT INTO push (shipment, endpoint, version, account, id, change, event, state, created_at, done_at)
SELECT n, $1, 1, $2, 'sent' || n, n, 'TRACKING_UPDATED', 'sent', 1, 1 FROM generate_series(1, 20000) AS n
"""
_TOLD = """
INSERT INTO change (account, id, shipment, version, at, event, body)
SELECT $1, n, n, 2, 1, 'TRACKING_UPDATED', 'body' FROM generate_series(1, 20000) AS n
"""
# Of each shipment two changes wait, the first of them since the beginning of the outage.
_BACKLOG = """
INSERT INTO push (shipment, endpoint, version, account, id, change, event, state, send_at, created_at)
SELECT n, $1, version, $2, version || 'waits' || n, n, 'TRACKING_UPDATED', 'pending',
  CASE WHEN version = 2 THEN n END, n
FROM generate_series(20001 - $3::bigint, 20000) AS n, generate_series(2, 3) AS version
"""


async def blocks_read(connection: Any, name: str, statement: str, values: str) -> int:
    """Blocks that a statement touches with the plan that every number of pushes shares."""
    await connection.execute(f"PREPARE {name} AS {statement}")
    plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name} ({values})")
    root = json.loads(plan)[0]["Plan"]
    blocks: int = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
    return blocks


async def blocks_of_an_exchange(place: PostgresPlace, endpoint: int, account: int) -> dict[str, int]:
    """Of a claim of the 20 oldest pushes, and of what keeps that they were sent."""
    connection = await asyncpg.connect(place.dsn)
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        at = 10**6
        claim = f"'lease', {at}, ARRAY[{endpoint}], ARRAY[20], ARRAY[NULL::bigint], {at}, 500"
        none = "ARRAY[]::bigint[]"
        first = f"{at}, 500, {none}, {none}, {none}, ARRAY[]::text[]"
        blocks = {
            "choose": await blocks_read(connection, "choose", pushes._HOLD_AT_HAND, first),
            "take": await blocks_read(connection, "take", pushes._OLDEST, claim),
        }
        leased = await connection.fetch("SELECT shipment FROM push WHERE lease = 'lease'")
        assert len(leased) == 20
        shipments = f"ARRAY{[row[0] for row in leased]}"
        same = [f"array_fill({one}, ARRAY[20])" for one in (endpoint, 2, account)]
        key = f"{shipments}, {same[0]}, {same[1]}"
        ended = "array_fill('sent'::text, ARRAY[20]), array_fill(NULL::bigint, ARRAY[20]), "
        ended += ", ".join(["array_fill(1, ARRAY[20])"] * 4)
        ended += ", array_fill('accepted'::text, ARRAY[20]), array_fill(''::bytea, ARRAY[20])"
        held = f"{at}, 500, {key}, array_fill('lease'::text, ARRAY[20])"
        blocks["hold"] = await blocks_read(connection, "hold", pushes._HOLD_AT_HAND, held)
        blocks["end"] = await blocks_read(connection, "ended", pushes._FINISH, f"{key}, {ended}")
        gone = await connection.fetchval(
            "SELECT count(*) FROM push WHERE version = 3 AND send_at IS NOT NULL"
        )
        assert gone == 20
        chains = f"{shipments}, {same[0]}, {same[2]}"
        blocks["next"] = await blocks_read(connection, "next", pushes._LET_NEXT_GO, chains)
        return blocks
    finally:
        await connection.close()


async def test_pushes_cost_the_same_however_many_wait(schema_place: PostgresPlace) -> None:
    """Also when the statistics are of a quiet hour, in which none did: then an index of what is pending looks
    like a short way to whatever is sought, and an outage makes it the longest."""
    store = await schema_place.open()
    account = await account_in(store)
    await receiver(store, account)
    await schema_place.widen()
    (endpoint,) = await store.endpoints(account.id)
    await schema_place.rows(_ENDED, endpoint.id, account.id)
    await schema_place.rows(_TOLD, account.id)
    await schema_place.rows("ANALYZE")
    await schema_place.rows(_BACKLOG, endpoint.id, account.id, 100)
    few = await blocks_of_an_exchange(schema_place, endpoint.id, account.id)
    await schema_place.rows("DELETE FROM push WHERE version > 1")
    await schema_place.rows("DELETE FROM push_attempt")
    await schema_place.rows("VACUUM push")
    await schema_place.rows(_BACKLOG, endpoint.id, account.id, 20_000)
    many = await blocks_of_an_exchange(schema_place, endpoint.id, account.id)
    assert {step: (few[step], many[step]) for step in few if many[step] > 1.5 * few[step] + 20} == {}


# --- several processes ------------------------------------------------------------------------------------


async def two(place: PostgresPlace) -> tuple[Store, Store]:
    """Two stores with connections of their own, as two processes have them."""
    return await place.open(), await place.another()


async def test_processes_share_out_what_is_due(schema_place: PostgresPlace) -> None:
    stores = await two(schema_place)
    account = await account_in(stores[0])
    for _ in range(5):
        await stores[0].register(account.id, [wanted() for _ in range(40)], NOW)
    batches = await asyncio.gather(*(claimed(store, most=7) for store in stores * 20))
    ids = [due.shipment.id for batch in batches for due in batch]
    assert len(ids) == len(set(ids)) == 200


async def test_processes_never_overdraw_one_quota(schema_place: PostgresPlace) -> None:
    """Registrations and real-time charges together, down to the last unit."""
    stores = await two(schema_place)
    account = await account_in(stores[0], quota=155)
    registered = [store.register(account.id, [wanted() for _ in range(5)], NOW) for store in stores * 10]
    charged = [
        store.charge(account.id, [Charge(secrets.token_hex(8), 10, held=True)], NOW) for store in stores * 10
    ]
    made, granted = await asyncio.gather(asyncio.gather(*registered), asyncio.gather(*charged))
    spent = sum(units(outcomes) for outcomes in made) + 10 * sum(answer for (answer,) in granted)
    assert 145 < spent <= 155  # a charge of 10 may find less than that left
    assert (await stores[1].usage(account.id, NOW)).used == spent
    assert await schema_place.ledger(account.id) == {"2026-05": spent}


async def test_a_lane_is_exact_over_processes(schema_place: PostgresPlace) -> None:
    stores = await two(schema_place)
    limits = Limits(per_day=25, reserved=0)

    async def call(store: Store) -> bool:
        while True:
            lane = await store.lane("ups")
            grant = take(lane, limits, NOW)
            if not grant.granted or await store.save_lane(grant.lane, lane.revision):
                return grant.granted

    assert sum(await asyncio.gather(*(call(store) for store in stores * 25))) == 25
    assert (await stores[0].lane("ups")).used == 25


async def test_calls_of_a_lane_are_exact_over_processes_and_none_is_for_nothing(
    schema_place: PostgresPlace,
) -> None:
    stores = await two(schema_place)
    account = await account_in(stores[0])
    await stores[0].register(account.id, [wanted() for _ in range(30)], NOW)
    limits = Limits(per_day=25, reserved=0)

    async def turn(store: Store, most: int) -> Turn:
        return await store.take_turn("ups", most, limits, NOW, NOW + LEASE, secrets.token_hex(8))

    turns = await asyncio.gather(*(turn(store, 2) for store in stores * 12))
    ids = [due.shipment.id for one in turns for due in one.due]
    assert len(ids) == len(set(ids)) == 30
    calls = sum(one.grant is not None and one.grant.granted for one in turns)
    assert calls == sum(bool(one.due) for one in turns) == (await stores[0].lane("ups")).used
    await stores[0].register(account.id, [wanted() for _ in range(30)], NOW)
    turns = await asyncio.gather(*(turn(store, 1) for store in stores * 15))
    assert sum(bool(one.due) for one in turns) == 25 - calls
    assert (await stores[1].lane("ups")).used == 25


async def test_a_call_counts_from_when_it_is_made(schema_place: PostgresPlace) -> None:
    """Turns that waited for the lane go on together, not as of the different times at which they began."""
    store = await schema_place.open()
    account = await account_in(store)
    await store.register(account.id, [wanted(), wanted(), wanted()], NOW)
    limits = Limits(per_s=1000.0)
    first = await store.take_turn("ups", 1, limits, NOW, NOW + LEASE, "first")
    holder = await asyncpg.connect(schema_place.dsn)
    held = holder.transaction()
    await held.start()
    await holder.execute("SELECT FROM lane FOR UPDATE")
    second = asyncio.create_task(store.take_turn("ups", 1, limits, NOW + SECOND, NOW + LEASE, "second"))
    await asyncio.sleep(0.5)
    await held.rollback()
    await holder.close()
    grants = [first.grant, (await second).grant]
    stamps = [grant.lane.stamp for grant in grants if grant is not None and grant.lane.stamp is not None]
    assert stamps[0] - NOW < SECOND
    assert stamps[1] - NOW > SECOND * 1.4


async def test_a_turn_does_not_pass_over_what_became_due_before_the_head_of_its_queue(
    schema_place: PostgresPlace,
) -> None:
    """The other process' clock is behind: its shipment is seen when the rest is done, or within 10 s."""
    store, behind = await two(schema_place)
    account = await account_in(store)

    async def turn(at: datetime) -> list[int]:
        taken = await store.take_turn("ups", 1, Limits(per_s=1000.0), at, at + DAY, secrets.token_hex(8))
        return [due.shipment.id for due in taken.due]

    async def register(by: Store, at: datetime) -> int:
        (made,) = await by.register(account.id, [wanted()], at)
        assert isinstance(made, int)
        return made

    ours = [await register(store, NOW) for _ in range(2)]
    assert await turn(NOW) == ours[:1]
    late = await register(behind, NOW - SECOND)
    assert await turn(NOW + SECOND) == ours[1:]
    assert await turn(NOW + SECOND * 2) == [late]
    ours = [await register(store, NOW + SECOND * 2) for _ in range(3)]
    assert await turn(NOW + SECOND * 3) == ours[:1]
    late = await register(behind, NOW)
    assert await turn(NOW + SECOND * 4) == ours[1:2]
    assert await turn(NOW + SECOND * 14) == [late]


async def test_a_process_that_starts_leaves_the_leases_of_others_alone(schema_place: PostgresPlace) -> None:
    store = await schema_place.open()
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    await change_of(store, shipment, update(1))
    due = await store.claim_one(shipment.id, NOW + LEASE, "mine")
    (job,) = await jobs_due(store)
    other = await schema_place.another()
    assert await claimed(other, now=NOW + LEASE - SECOND) == []
    assert await jobs_due(other, NOW + LEASE - SECOND) == []
    assert due is not None
    assert await store.complete([refreshed(due.shipment)]) == 0
    assert await store.finish_pushes([sent(job)]) == 0


async def test_a_hint_reaches_the_other_process(schema_place: PostgresPlace) -> None:
    store, other = await two(schema_place)
    account = await account_in(store)
    heard = asyncio.Event()
    pushed: list[None] = []
    other.on_work(heard.set, Work.REFRESH)
    other.on_work(lambda: pushed.append(None), Work.PUSH)
    while not await schema_place.rows("SELECT 1 FROM pg_stat_activity WHERE query ILIKE 'listen%'"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert not heard.is_set()
    await store.register(account.id, [wanted()], NOW)
    await asyncio.wait_for(heard.wait(), 5)
    assert pushed == [], "there is nothing to push"


async def test_no_push_waits_for_ever(schema_place: PostgresPlace) -> None:
    """New changes come in one process at the moment when another finishes the push before them."""
    store, other = await two(schema_place)
    account = await account_in(store)
    await receiver(store, account)
    shipments = await registered(store, account.id, [wanted() for _ in range(12)], NOW)
    pushed: dict[int, int] = {}

    async def changes(shipment: Shipment) -> None:
        for version in range(1, 9):
            await change_of(store, shipment, update(version))

    async def push(pusher: Store) -> int:
        jobs = await jobs_due(pusher)
        for job in jobs:
            assert job.version == pushed.get(job.shipment, 0) + 1
            pushed[job.shipment] = job.version
        assert await pusher.finish_pushes([sent(job) for job in jobs]) == 0
        return len(jobs)

    async def pusher(pusher: Store, done: asyncio.Event) -> None:
        while not done.is_set():
            await push(pusher)

    done = asyncio.Event()
    pushers = [asyncio.create_task(pusher(one, done)) for one in (store, other, other)]
    await asyncio.gather(*(changes(one) for one in shipments if isinstance(one, Shipment)))
    done.set()
    await asyncio.gather(*pushers)
    while await other.pushes_due() is not None:
        assert await push(other)
    assert await schema_place.rows("SELECT count(*) FROM push WHERE state <> 'sent'") == [(0,)]
    assert pushed == {one.id: 8 for one in shipments if isinstance(one, Shipment)}


async def test_a_replay_at_the_moment_of_a_new_change_keeps_the_order(schema_place: PostgresPlace) -> None:
    """Never is a push under way while an older one of the shipment is pending."""
    store, other = await two(schema_place)
    account = await account_in(store)
    await receiver(store, account)
    await schema_place.widen()
    shipments = [await tracked(store, account) for _ in range(6)]
    heads = """SELECT count(*) FROM push p WHERE p.state = 'pending' AND p.send_at IS NOT NULL AND EXISTS (
      SELECT FROM push o WHERE o.shipment = p.shipment AND o.endpoint = p.endpoint AND o.state = 'pending'
        AND o.version < p.version
    )"""
    for version in range(1, 7):
        await asyncio.gather(
            *(change_of(store, shipment, update(version)) for shipment in shipments),
            *(other.replay_pushes(account.id, Chosen(number=one.number), NOW) for one in shipments),
        )
        assert await schema_place.rows(heads) == [(0,)]
        while jobs := await jobs_due(other):
            assert await other.finish_pushes([sent(job) for job in jobs]) == 0
    assert await schema_place.rows("SELECT count(*) FROM push WHERE state = 'pending'") == [(0,)]


async def test_places_of_an_endpoint_are_exact_over_processes(schema_place: PostgresPlace) -> None:
    stores = await two(schema_place)
    account = await account_in(stores[0])
    await receiver(stores[0], account)
    await schema_place.widen()
    for _ in range(WIDTH_MAX + 10):
        await change_of(stores[0], await tracked(stores[0], account), update(1))
    batches = await asyncio.gather(*(jobs_due(store, most=3) for store in stores * 10))
    ids = [job.id for batch in batches for job in batch]
    assert len(ids) == len(set(ids)) == WIDTH_MAX


async def test_processes_that_exchange_pushes_never_wait_in_a_circle(schema_place: PostgresPlace) -> None:
    """Each holds endpoints whose results it saves, while it looks for others that have something to send."""
    stores = await two(schema_place)
    account = await account_in(stores[0])
    for name in range(6):
        await stores[0].add_endpoint(account.id, NewEndpoint(f"{URL}/{name}", SECRET))
    await schema_place.widen()
    for _ in range(20):
        await change_of(stores[0], await tracked(stores[0], account), update(1), update(2))

    async def exchange(store: Store) -> int:
        done = 0
        jobs: list[PushJob] = []
        for _ in range(400):
            results = [sent(job) for job in jobs]
            lease = secrets.token_hex(8)
            dropped, jobs = await store.exchange_pushes(results, 7, NOW, NOW + LEASE, lease)
            assert dropped == 0
            done += len(jobs)
            if not jobs and await store.pushes_due() is None:
                break
        return done

    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = await schema_place.rows(deadlocks)
    assert sum(await asyncio.gather(*(exchange(store) for store in stores * 2))) == 6 * 20 * 2
    assert await schema_place.rows("SELECT count(*) FROM push WHERE state <> 'sent'") == [(0,)]
    assert await schema_place.rows(deadlocks) == before


async def test_what_changed_while_an_exchange_waited_counts(schema_place: PostgresPlace) -> None:
    """Another process has the endpoint: it takes over one of two leases, and writes the endpoint's health."""
    store = await schema_place.open()
    account = await account_in(store)
    await receiver(store, account)
    await schema_place.widen()
    shipments = [await tracked(store, account) for _ in range(2)]
    for shipment in shipments:
        await change_of(store, shipment, update(1))
    jobs = await jobs_due(store)
    other = await asyncpg.connect(schema_place.dsn)
    try:
        async with other.transaction():
            await other.execute("UPDATE endpoint SET fails = 3, first_failed = 'msg_x', taken = 7")
            await other.execute("UPDATE push SET lease = 'other' WHERE shipment = $1", shipments[0].id)
            exchange = store.exchange_pushes([sent(job) for job in jobs], 9, NOW, NOW + LEASE, "mine")
            waiting = asyncio.create_task(exchange)
            while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await waiting == (1, [])
    finally:
        await other.close()
    rows = await schema_place.rows("SELECT state, lease FROM push ORDER BY shipment")
    assert rows == [("pending", "other"), ("sent", None)]
    assert await schema_place.rows("SELECT fails, first_failed, taken FROM endpoint") == [(0, None, 9)]


async def test_a_removed_endpoint_leaves_nothing_behind(schema_place: PostgresPlace) -> None:
    """Also when changes are told to it in another process at the same moment."""
    store, other = await two(schema_place)
    account = await account_in(store)
    for _ in range(10):
        endpoint = await store.add_endpoint(account.id, NewEndpoint(URL, SECRET))
        shipments = [await tracked(store, account) for _ in range(4)]
        changes = [change_of(store, shipment, update(1)) for shipment in shipments]
        removed, *_ = await asyncio.gather(other.remove_endpoint(account.id, endpoint.id), *changes)
        assert removed
    assert await schema_place.rows("SELECT count(*) FROM push") == [(0,)]
    assert len(await store.feed(account.id, 0, 100)) == 40


async def test_no_reader_of_the_feed_finds_a_lower_cursor_later(schema_place: PostgresPlace) -> None:
    """Two processes write, of several accounts at once; a third reads all the time."""
    stores = await two(schema_place)
    reader = await schema_place.another()
    accounts = [await account_in(stores[0], name=str(n), login_key=f"key {n}") for n in range(3)]
    shipments = [await tracked(stores[0], accounts[n % 3]) for n in range(60)]
    seen: dict[int, list[int]] = {account.id: [] for account in accounts}

    async def read() -> None:
        while any(len(cursors) < 60 for cursors in seen.values()):
            for account, cursors in seen.items():
                page = await reader.feed(account, cursors[-1] if cursors else 0, 7)
                cursors += [item.cursor for item in page]

    writing = asyncio.gather(
        *(change_of(stores[n % 2], one, *map(update, (1, 2, 3))) for n, one in enumerate(shipments))
    )
    async with asyncio.timeout(30):
        await asyncio.gather(read(), writing)
    assert all(cursors == list(range(1, 61)) for cursors in seen.values())


async def test_counts_of_what_is_learned_are_exact_over_processes(schema_place: PostgresPlace) -> None:
    stores = await two(schema_place)
    account = await account_in(stores[0])
    await stores[0].register(account.id, [wanted() for _ in range(40)], NOW)
    counts = tuple((LearnedKey(f"d{n}", "gls"), 1) for n in range(5))
    results = [
        replace(refreshed(due.shipment), counts=counts if n % 2 else counts[::-1])
        for n, due in enumerate(await claimed(stores[0]))
    ]
    await asyncio.gather(*(stores[n % 2].complete([one]) for n, one in enumerate(results)))
    assert await stores[1].learned(account.id) == {f"d{n}": {"gls": 40} for n in range(5)}


async def test_a_call_with_a_key_happens_once_over_processes(schema_place: PostgresPlace) -> None:
    stores = await two(schema_place)
    account = await account_in(stores[0])
    call = KeyedCall("register", "order-1", b"hash")
    item = wanted()

    def told(outcomes: Sequence[int | CallerError]) -> bytes:
        return b"registered" if units(outcomes) else b"refused"

    calls = [store.register_once(account.id, [item], NOW, call, told) for store in stores * 6]
    assert set(await asyncio.gather(*calls)) == {b"registered"}
    begun = [
        store.begin_call(account.id, KeyedCall("gettrackinfo", "k", b"hash"), NOW) for store in stores * 6
    ]
    assert (await asyncio.gather(*begun)).count(None) == 1


async def test_a_taken_over_shipment_comes_with_what_was_saved_last(schema_place: PostgresPlace) -> None:
    """Else the one that takes over would write an older history back."""
    store, other = await two(schema_place)
    account = await account_in(store)
    shipment = await tracked(store, account)
    for turn in range(30):
        due = await store.claim_one(shipment.id, NOW + LEASE, f"first {turn}")
        assert due is not None
        told = history("ups", f"Event {turn}")
        dropped, taken = await asyncio.gather(
            store.complete([refreshed(due.shipment, told=told)]),
            other.claim_one(shipment.id, NOW + LEASE, f"second {turn}"),
        )
        assert taken is not None
        assert dropped == 1 or taken.histories == (told,)
        await store.rewind(shipment.id, MINUTE * 0, NOW)


# --- lost connections and crashes -------------------------------------------------------------------------


class Load:
    """Callers that register without end, and what they were told; every item costs one unit."""

    def __init__(self, stores: Sequence[Store], account: Account) -> None:
        self.stores = stores
        self.account = account
        self.acknowledged: dict[int, str] = {}
        self.refused = 0
        self.unavailable = 0
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, callers: int = 6) -> None:
        self._tasks = [
            asyncio.create_task(self._register(self.stores[n % len(self.stores)])) for n in range(callers)
        ]

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            assert task.cancelled(), task.exception()

    async def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        goal = len(self.acknowledged) + count
        while len(self.acknowledged) < goal:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def _register(self, store: Store) -> None:
        while True:
            try:
                outcomes = await registered(store, self.account.id, [wanted(), wanted()], NOW)
            except StoreUnavailable:
                self.unavailable += 1
                continue
            for outcome in outcomes:
                if isinstance(outcome, Shipment):
                    self.acknowledged[outcome.id] = outcome.number
                else:
                    self.refused += 1


async def nothing_is_lost(place: PostgresPlace, store: Store, load: Load) -> int:
    """Every acknowledged registration is stored, and charged once; answers how many are stored."""
    found = await store.find(load.account.id, list(load.acknowledged.values()))
    assert {shipment.id: shipment.number for shipment, _ in found} == load.acknowledged
    ((count,),) = await place.rows("SELECT count(*) FROM shipment")
    assert (await store.usage(load.account.id, NOW)).used == count
    assert await place.ledger(load.account.id) == {"2026-05": count}
    return int(count)


async def test_killed_connections_are_replaced_and_nobody_notices(schema_place: PostgresPlace) -> None:
    """A transaction that was cut off is repeated, even when it had been committed just before."""
    stores = await two(schema_place)
    load = Load(stores, await account_in(stores[0], 1_000_000))
    load.begin()
    for _ in range(15):
        await load.more(20)
        await schema_place.rows(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'parcelwire' AND pid <> pg_backend_pid()"""
        )
    await load.more(20)
    await load.end()
    assert (load.unavailable, load.refused) == (0, 0)
    assert await nothing_is_lost(schema_place, stores[0], load) >= 320


async def test_a_server_that_crashes_loses_nothing_acknowledged(schema_place: PostgresPlace) -> None:
    stores = await two(schema_place)
    load = Load(stores, await account_in(stores[0], 1_000_000))
    load.begin()
    for _ in range(4):
        await load.more(60)
        await asyncio.to_thread(schema_place.cluster.stop, signal.SIGQUIT)
        await asyncio.to_thread(schema_place.cluster.start)
    await load.more(60)
    await load.end()
    stored_now = await nothing_is_lost(schema_place, stores[1], load)
    assert load.refused == 0
    print(
        f"\n  immediate restarts: 4, acknowledged {len(load.acknowledged)}, lost 0, stored {stored_now}, "
        f"calls refused for a while {load.unavailable}"
    )


async def test_a_server_that_is_gone_is_told_and_found_again(schema_place: PostgresPlace) -> None:
    """Without a restart of ours; the listening connection too."""
    store = await schema_place.open()
    account = await account_in(store)
    heard = asyncio.Event()
    store.on_work(heard.set)
    await asyncio.to_thread(schema_place.cluster.stop)
    try:
        outcomes = await asyncio.gather(
            store.register(account.id, [wanted()], NOW), store.accounts(), return_exceptions=True
        )
    finally:
        await asyncio.to_thread(schema_place.cluster.start)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert units(await store.register(account.id, [wanted()], NOW)) == 1
    other = await schema_place.another()
    for _ in range(100):
        heard.clear()
        await other.register(account.id, [wanted()], NOW)
        with suppress(TimeoutError):
            await asyncio.wait_for(heard.wait(), 0.2)
            break
    assert heard.is_set()


class Cut(Pool):
    """A pool whose next work is committed, but its answer is lost."""

    cuts = 0

    async def _try(self, work: Any, again: bool) -> Any:
        answer = await super()._try(work, again)
        if self.cuts:
            self.cuts -= 1
            raise asyncpg.ConnectionDoesNotExistError("cut off")
        return answer


@pytest.fixture
def cut(schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> Callable[[PostgresStore], None]:
    """Lets the answer to the next transaction of a store get lost."""

    def cut_next(store: PostgresStore) -> None:
        monkeypatch.setattr(store._pool, "__class__", Cut)
        store._pool.cuts = 1  # type: ignore[attr-defined]

    return cut_next


Call = Callable[[PostgresStore, Account, Shipment], Awaitable[object]]
KEYED = KeyedCall("register", "order-1", b"hash")


def encoded(outcomes: Sequence[int | CallerError]) -> bytes:
    return str(units(outcomes)).encode()


CALLS: dict[str, tuple[Call, object]] = {
    "register": (
        lambda store, account, _: store.register(account.id, [wanted("CUTOFF1"), wanted("CUTOFF2")], NOW),
        2,
    ),
    "charge": (
        lambda store, account, _: store.charge(account.id, [Charge("r1", 10, held=True)], NOW),
        [True],
    ),
    "change": (lambda store, _, shipment: store.change([stop(shipment)], NOW), [True]),
    "register_once": (
        lambda store, account, _: store.register_once(account.id, [wanted("CUTOFF4")], NOW, KEYED, encoded),
        b"1",
    ),
    "begin_call": (lambda store, account, _: store.begin_call(account.id, KEYED, NOW), None),
    "add_key": (lambda store, account, _: store.add_key(account.id, "key-0002", NOW, signs=True), True),
    "revoke_key": (lambda store, account, _: store.revoke_key(account.id, LOGIN_KEY[:8], NOW), True),
    "look_up": (lambda store, account, _: store.look_up(account.id, wanted("CUTOFF3"), NOW), None),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_whose_answer_got_lost_is_answered_as_if_it_had_not(
    schema_place: PostgresPlace, cut: Callable[[PostgresStore], None], name: str
) -> None:
    """And happens once."""
    store = await schema_place.open()
    account = await account_in(store)
    await receiver(store, account)
    shipment = await tracked(store, account)
    call, expected = CALLS[name]
    cut(store)
    answer = await call(store, account, shipment)
    if name == "register":
        assert isinstance(answer, list)
        assert units(answer) == expected
    elif name != "look_up":
        assert answer == expected
    used = {"register": 3, "register_once": 2, "charge": 11}.get(name, 1)
    assert (await store.usage(account.id, NOW)).used == used
    assert await schema_place.ledger(account.id) == {"2026-05": used}
    ((count,),) = await schema_place.rows("SELECT count(*) FROM shipment")
    assert count == {"register": 3, "register_once": 2, "look_up": 2}.get(name, 1)
    assert len(await jobs_due(store)) == (1 if name == "change" else 0)


async def test_what_must_not_happen_twice_is_not_repeated(
    schema_place: PostgresPlace, cut: Callable[[PostgresStore], None]
) -> None:
    store = await schema_place.open()
    shipment = await tracked(store, await account_in(store))
    cut(store)
    with pytest.raises(StoreUnavailable):
        await store.rewind(shipment.id, HOUR, NOW)
    assert (await stored(store, shipment)).since == NOW - HOUR


async def test_a_closed_store_says_so(schema_place: PostgresPlace) -> None:
    store = await schema_place.open()
    account = await account_in(store)
    await schema_place.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.register(account.id, [wanted()], NOW)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.accounts()


async def test_a_statement_that_takes_too_long_is_ended_and_not_repeated(
    schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TIMEOUTS, "statement_timeout", "100ms")
    pool = await Pool.open(Target.of(schema_place.dsn), Random(3).random)
    tries: list[bool] = []

    async def slow(c: Any, again: bool) -> None:
        tries.append(again)
        await c.execute("SELECT pg_sleep(5)")

    try:
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            await pool.statement(slow)
    finally:
        await pool.close()
    assert tries == [False]


# --- behind a connection pooler ---------------------------------------------------------------------------


async def test_without_sessions_nothing_is_left_in_one(schema_place: PostgresPlace) -> None:
    """``statement_cache_size=0``: no prepared statement has a name, time limits come with the transaction."""
    schema_place.dsn += "&statement_cache_size=0"
    target = Target.of(schema_place.dsn)
    assert not target.sessions
    assert "statement_cache_size" not in target.dsns[0]
    pool = await Pool.open(target, Random(3).random)

    async def looks(c: Any, _again: bool) -> tuple[str, int]:
        return await c.fetchval("SHOW statement_timeout"), await c.fetchval(
            "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"
        )

    async def outside(c: Any, _again: bool) -> str:
        text: str = await c.fetchval("SHOW statement_timeout")
        return text

    try:
        assert await pool.statement(looks) == ("30s", 0)
        assert await pool._run(outside, once=False) == "0"
    finally:
        await pool.close()
    schema_place.dsn = schema_place.dsn.removesuffix("&statement_cache_size=0")


async def test_the_store_works_without_sessions(schema_place: PostgresPlace) -> None:
    store = await PostgresStore.open(schema_place.dsn + "&statement_cache_size=0", vault(), Random(2).random)
    try:
        store.on_work(lambda: None)
        account = await account_in(store)
        await receiver(store, account)
        await store.register(account.id, [wanted() for _ in range(20)], NOW)
        results = [
            refreshed(due.shipment, update(1), told=history(), raw=Reply(200)) for due in await claimed(store)
        ]
        assert await store.complete(results) == 0
        while jobs := await jobs_due(store):
            assert await store.finish_pushes([sent(job) for job in jobs]) == 0
        assert await prune(store, NOW + DAY) == 60
        assert (await store.usage(account.id, NOW)).used == 20
    finally:
        await store.close()


async def test_every_primary_key_holds_the_account(schema_place: PostgresPlace) -> None:
    """So that a sharded server can distribute by it; except of what all accounts share."""
    await schema_place.open()
    rows = await schema_place.rows(
        """SELECT k.table_name::text, k.column_name::text FROM information_schema.table_constraints AS t
        JOIN information_schema.key_column_usage AS k USING (constraint_schema, constraint_name)
        WHERE t.constraint_type = 'PRIMARY KEY' AND t.constraint_schema = current_schema()"""
    )
    keys: dict[str, set[str]] = {}
    for table, column in rows:
        keys.setdefault(table, set()).add(column)
    assert {table for table, columns in keys.items() if "account" not in columns} == {
        "account", "inbox", "lane", "meta", "strike", "upstream", "upstream_entry", "upstream_number",
    }  # fmt: skip


# --- starting ---------------------------------------------------------------------------------------------


async def test_processes_that_start_together_make_one_schema(schema_place: PostgresPlace) -> None:
    stores = await asyncio.gather(*(schema_place.another() for _ in range(5)))
    await account_in(stores[0])
    assert [len(await store.accounts()) for store in stores] == [1] * 5
    assert await schema_place.rows("SELECT value FROM meta WHERE key = 'schema'") == [
        (str(schema.steps()[-1][0]),)
    ]


async def test_a_newer_schema_is_refused_untouched(schema_place: PostgresPlace) -> None:
    await schema_place.open()
    await schema_place.close()
    await schema_place.rows("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(ConfigError, match=r"newer parcelwire \(schema 99"):
        await schema_place.open()
    assert await schema_place.rows("SELECT value FROM meta WHERE key = 'schema'") == [("99",)]


async def test_a_step_that_fails_changes_nothing(
    schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await schema_place.open()
    shipment = await tracked(store, await account_in(store))
    await schema_place.close()
    known = schema.steps()
    newest = known[-1][0] + 1
    broken = "DELETE FROM shipment;\nALTER TABLE nowhere ADD COLUMN colour text;"
    monkeypatch.setattr("parcelwire.store.postgres.schema.steps", lambda: [*known, (newest, broken)])
    with pytest.raises(ConfigError, match=f"schema {newest}.*nowhere"):
        await schema_place.open()
    monkeypatch.undo()
    assert await stored(await schema_place.open(), shipment) == shipment


async def test_pushes_of_an_older_schema_go_on(
    schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their ids, bodies, attempts and order; and what they told is in the feed."""
    known = schema.steps()
    monkeypatch.setattr(schema, "steps", lambda: known[:3])
    await schema_place.open()
    await schema_place.close()
    sealed = vault().seal(SECRET, secret_place(1))
    await schema_place.rows(
        "INSERT INTO account (name, plan, quota_total, sign_key) VALUES ('a', 'p', 9, $1)",
        vault().seal(SIGN_KEY, sign_key_place(1)),
    )
    await schema_place.rows(
        "INSERT INTO endpoint (account, url, secret, stopped_by_request) VALUES (1, $1, $2, true)",
        URL,
        sealed,
    )
    await schema_place.rows(
        """INSERT INTO shipment (
          account, number, carrier, code, origin, phase, since, wish, registered_at, version, lane
        ) SELECT 1, 'N' || n, 'ups', 1, 1, 'tracking', 0, '{}', 0, 3, 'ups' FROM generate_series(1, 2) AS n"""
    )
    await schema_place.rows(
        """INSERT INTO push (
          id, account, shipment, endpoint, version, event, body, state, send_at, attempts, created_at
        ) SELECT 'msg_' || s || v, 1, s, 1, v, 'TRACKING_UPDATED', convert_to('body ' || s || v, 'UTF8'),
          CASE v WHEN 1 THEN 'sent' ELSE 'pending' END, CASE v WHEN 2 THEN 20 END, 2 - v / 2, v
        FROM generate_series(1, 2) AS s, generate_series(1, 3) AS v"""
    )
    await schema_place.rows(
        """INSERT INTO push_attempt SELECT shipment, account, id, 1, 5, 500, 7, 'HTTP 500' FROM push
        WHERE version < 3"""
    )
    monkeypatch.undo()
    store = await schema_place.open()
    assert [item.body for item in await store.feed(1, 0, 9)] == [
        b"body 11", b"body 21", b"body 12", b"body 22", b"body 13", b"body 23",
    ]  # fmt: skip
    (endpoint,) = await store.endpoints(1)
    assert (endpoint.secret, endpoint.by_setting) == (SECRET, True)
    told = []
    while jobs := await jobs_due(store):
        told += [(job.id, job.body, job.attempts, job.tries) for job in jobs]
        assert await store.finish_pushes([sent(job) for job in jobs]) == 0
    assert sorted(told) == [
        ("msg_12", b"body 12", 1, 1), ("msg_13", b"body 13", 1, 1),
        ("msg_22", b"body 22", 1, 1), ("msg_23", b"body 23", 1, 1),
    ]  # fmt: skip
    records = await store.push_log(1, Chosen(ids=("msg_11", "msg_12")), 9)
    assert [[one.http_status for one in record.log] for record in records] == [[500, 200], [500]]
    shipment = (await store.shipments_of("N1"))[0]
    await change_of(store, shipment, update(4))
    assert [job.version for job in await jobs_due(store)] == [4]


async def test_registrations_of_an_older_schema_are_listed(
    schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, by what they are, without what was only looked up; and the list goes on being kept."""
    known = schema.steps()
    monkeypatch.setattr(schema, "steps", lambda: known[:13])
    await schema_place.open()
    await schema_place.close()
    await schema_place.rows(
        "INSERT INTO account (name, plan, quota_total, sign_key, listed) VALUES ('a', 'p', 9, $1, 2)",
        vault().seal(SIGN_KEY, sign_key_place(1)),
    )
    await schema_place.rows(
        """INSERT INTO shipment (
          account, number, carrier, code, origin, phase, since, wish, registered_at, sub_status, lane
        ) VALUES (1, 'N1', 'ups', 7, 1, 'tracking', 0, '{}', 20, NULL, 'ups'),
          (1, 'N2', 'ups', 7, 1, 'stopped', 0, '{}', 10, 'Delivered_Other', 'ups'),
          (1, 'N3', 'ups', 7, 1, 'looked_up', 0, '{}', NULL, NULL, 'ups')"""
    )
    monkeypatch.undo()
    store = await schema_place.open()

    async def listed(wanted: Filter) -> tuple[int, list[str]]:
        page = await store.list_page(1, wanted, Order(), 0, 9)
        return page.total, [row.number for row in page.rows]

    stopped, tracking = Filter(phase=Phase.STOPPED), Filter(phase=Phase.TRACKING)
    assert await listed(Filter()) == (2, ["N1", "N2"])
    assert (await listed(stopped), await listed(tracking)) == ((1, ["N2"]), (1, ["N1"]))
    shipment = (await store.shipments_of("N1"))[0]
    stop = Changed(shipment, replace(shipment, phase=Phase.STOPPED, stopped_at=NOW))
    assert await store.change([stop], NOW) == [True]
    assert (await listed(stopped), await listed(tracking)) == ((2, ["N1", "N2"]), (0, []))
    await store.delete(1, [shipment.id])
    assert await listed(stopped) == (1, ["N2"])


async def test_another_secret_key_is_refused(schema_place: PostgresPlace) -> None:
    await schema_place.open()
    with pytest.raises(ConfigError, match="PARCELWIRE_SECRET_KEY"):
        await PostgresStore.open(schema_place.dsn, Vault(bytes(32), bytes), Random(2).random)


async def test_settings_that_can_lose_data_are_told(schema_place: PostgresPlace) -> None:
    store = await schema_place.open()
    assert [warning.split(" = ")[0].split()[-1] for warning in store.warnings] == ["fsync"]
    await schema_place.close()
    store = await PostgresStore.open(schema_place.dsn + "&synchronous_commit=off", vault(), Random(2).random)
    assert any("synchronous_commit = off" in warning for warning in store.warnings)
    assert list((await store.examine(10)).unsafe) == store.warnings
    await store.close()


async def test_an_older_server_is_refused(
    schema_place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "VERSION_MIN", 99)
    with pytest.raises(ConfigError, match="PostgreSQL 99 or newer is needed, this is"):
        await schema_place.open()


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql://u:CANARY@127.0.0.1:1/nowhere", "cannot open the database at 127.0.0.1:1: Conn"),
        ("postgresql://u:1@CANARY.invalid/x@127.0.0.1:1/nowhere", "cannot open the database: "),
        ("postgresql://u:CANARY/x@127.0.0.1:5/db", "PARCELWIRE_DATABASE"),
        ("{dsn}", "nowhere"),
    ],
)
async def test_a_server_that_cannot_be_opened_is_told_without_a_password(
    schema_place: PostgresPlace, dsn: str, said: str
) -> None:
    other = schema_place.dsn.replace("/postgres?", "/nowhere?")
    with pytest.raises(ConfigError, match=said) as refused:
        await PostgresStore.open(dsn.format(dsn=other), vault(), Random(2).random)
    assert "CANARY" not in str(refused.value)


def test_repetitions_end_before_a_caller_gives_up() -> None:
    assert sum(PAUSES_S) * 1.5 < 5


# --- what is kept -----------------------------------------------------------------------------------------


async def test_no_secret_is_readable_in_any_table(schema_place: PostgresPlace) -> None:
    store = await schema_place.open()
    account = await account_in(store)
    await receiver(store, account)
    await change_of(store, await tracked(store, account), update(1))
    tables = await schema_place.rows("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    contents = ""
    for (name,) in tables:
        contents += str(await schema_place.rows(f"SELECT t::text FROM {name} AS t"))  # noqa: S608
    assert account.name in contents  # the right tables were read
    for secret in (LOGIN_KEY, SIGN_KEY, SECRET):
        for text in (secret, secret.encode().hex(), secret[8:], secret[8:].encode().hex()):
            assert text not in contents


async def test_a_raw_reply_is_kept_once(
    schema_place: PostgresPlace,
) -> None:
    store = await schema_place.open()
    account = await account_in(store)
    one, other = await tracked(store, account), await tracked(store, account)

    async def replies() -> list[int]:
        rows = await schema_place.rows("SELECT http_status FROM raw_reply ORDER BY http_status")
        return [status for (status,) in rows]

    async def refresh(shipment_id: int, status: int, *, told: bool) -> None:
        due = await store.claim_one(shipment_id, NOW + LEASE, "x")
        assert due is not None
        raw = Reply(status, {}, b"the same body")
        await store.complete([refreshed(due.shipment, told=history() if told else None, raw=raw)])

    await refresh(one.id, 200, told=True)
    await refresh(other.id, 200, told=True)
    await refresh(one.id, 503, told=False)
    assert await replies() == [200, 503]
    await prune(store, NOW, Old.REPLY)
    assert await replies() == [200, 503]
    await prune(store, NOW + DAY, Old.REPLY)
    assert await replies() == []


async def test_a_refresh_that_fails_in_a_group_harms_no_other(schema_place: PostgresPlace) -> None:
    """Results that come together are written together; one of them cannot be stored."""
    store = await schema_place.open()
    account = await account_in(store)
    await store.register(account.id, [wanted() for _ in range(20)], NOW)
    dues = await claimed(store)
    results = [refreshed(due.shipment, ms=2**70 if n == 7 else 1) for n, due in enumerate(dues)]
    outcomes = await asyncio.gather(*(store.complete([one]) for one in results), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [7]
    rows = await store.find(account.id, [due.shipment.number for due in dues])
    assert sum(shipment.asked_at is not None for shipment, _ in rows) == 19


async def test_a_number_looked_up_while_it_is_registered_is_one_shipment(schema_place: PostgresPlace) -> None:
    store, other = await two(schema_place)
    account = await account_in(store)
    for _ in range(30):
        item = wanted(number())
        made, looked_up = await asyncio.gather(
            store.register(account.id, [item], NOW), other.look_up(account.id, item, NOW)
        )
        assert made == [looked_up.id]
        assert (await stored(store, looked_up)).phase is Phase.TRACKING


async def test_a_deleted_shipment_leaves_nothing_behind(schema_place: PostgresPlace) -> None:
    """Also when a refresh is saved in another process at the same moment."""
    store, other = await two(schema_place)
    account = await account_in(store)
    await receiver(store, account)
    for _ in range(20):
        shipment = await tracked(store, account)
        due = await store.claim_one(shipment.id, NOW + LEASE, "x")
        assert due is not None
        document = Document(b"{}", b"null")
        result = refreshed(due.shipment, update(1), told=history(), document=document)
        deleted, _ = await asyncio.gather(other.delete(account.id, [shipment.id]), store.complete([result]))
        assert deleted == [True]
    for table in ("shipment", "document", "source_report", "refresh_log", "change", "push", "push_standing"):
        assert await schema_place.rows(f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608
    assert await schema_place.rows("SELECT listed FROM account") == [(0,)]
