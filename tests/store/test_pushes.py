"""Endpoints, their states, replay, the log and the feed: every store answers the same."""

import asyncio
from datetime import datetime, timedelta

from tests.store.conftest import Place
from tests.store.samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    SECRET,
    SIGN_KEY,
    URL,
    account_in,
    change_of,
    failed,
    jobs_due,
    prune,
    sent,
    stop,
    tracked,
    update,
)

from parcelwire.domain.account import Account
from parcelwire.domain.endpoint import (
    BREAKS_AFTER,
    BURST,
    WIDTH_MAX,
    Endpoint,
    EndpointState,
    EndpointTurn,
    NewEndpoint,
    Signal,
    Wants,
)
from parcelwire.domain.push import Chosen, PushEvent, PushJob, PushResult, PushState
from parcelwire.domain.shipment import Shipment
from parcelwire.domain.status import Status
from parcelwire.ports import Store

HEALTHY, FAILING, PAUSED = EndpointState


async def add(store: Store, account: Account, url: str = URL, wants: Wants | None = None) -> Endpoint:
    return await store.add_endpoint(account.id, NewEndpoint(url, SECRET, wants or Wants()))


async def state(store: Store, account: Account, index: int = 0) -> EndpointState:
    return (await store.endpoints(account.id))[index].health.state


async def shipments_with(
    store: Store, account: Account, count: int, versions: int = 1, at: datetime = NOW
) -> list[Shipment]:
    """Shipments with changes that nobody was told."""
    made = []
    for _ in range(count):
        shipment, _ = await change_of(
            store, await tracked(store, account), *map(update, range(1, versions + 1)), at=at
        )
        made.append(shipment)
    return made


async def break_down(store: Store, at: datetime = NOW) -> None:
    """Due pushes fail, slowly, until the endpoint is failing; it needs two shipments."""
    for number in range(BREAKS_AFTER):
        when = at - MINUTE * (BREAKS_AFTER - 1 - number)
        for job in (await jobs_due(store, when, most=1))[:1]:
            await store.finish_pushes([failed(job, when, when)])


# --- endpoints --------------------------------------------------------------------------------------------


async def test_endpoints_are_kept_as_they_were_added(store: Store) -> None:
    """Each with its filter, schedule and time limit; the one of the setting is found by itself."""
    account = await account_in(store)
    await store.set_endpoint(account.id, URL, SECRET, stopped_by_request=True)
    wants = Wants((PushEvent.UPDATED,), (Status.DELIVERED, Status.EXCEPTION))
    new = NewEndpoint(URL + "/2", "whsec_2", wants, stopped_by_request=False, compat=True, timeout_s=2.5)
    added = await store.add_endpoint(account.id, new)
    first, second = await store.endpoints(account.id)
    assert second == added
    assert (second.wants, second.compat, second.timeout_s, second.stopped_by_request) == (
        wants, True, 2.5, False,
    )  # fmt: skip
    assert await store.endpoint(account.id) == first
    assert (first.by_setting, second.by_setting) == (True, False)
    assert await store.sign_key(account.id) == SIGN_KEY


async def test_every_endpoint_is_told_in_its_own_row(store: Store) -> None:
    """Other ids, the same bytes; what one endpoint does not take does not hold up the other."""
    account = await account_in(store)
    one, two = await add(store, account), await add(store, account, URL + "/2")
    await shipments_with(store, account, 1, versions=2)
    jobs = {job.endpoint: job for job in await jobs_due(store)}
    assert jobs.keys() == {one.id, two.id}
    assert len({job.id for job in jobs.values()}) == 2
    assert len({job.body for job in jobs.values()}) == 1
    await store.finish_pushes([sent(jobs[one.id]), failed(jobs[two.id], NOW, NOW + HOUR)])
    assert [(job.endpoint, job.version) for job in await jobs_due(store)] == [(one.id, 2)]


async def test_an_endpoint_is_told_only_what_it_wants_and_the_feed_everything(store: Store) -> None:
    account = await account_in(store)
    stops = await add(store, account, wants=Wants(events=(PushEvent.STOPPED,)))
    moves = await add(store, account, wants=Wants(statuses=(Status.IN_TRANSIT,)))
    await add(store, account, wants=Wants((PushEvent.UPDATED,), (Status.DELIVERED,)))
    (shipment,) = await shipments_with(store, account, 1)
    told = [(job.endpoint, job.event) for job in await jobs_due(store)]
    assert told == [(moves.id, PushEvent.UPDATED)]
    await store.change([stop(shipment)], NOW)
    assert [(job.endpoint, job.event) for job in await jobs_due(store)] == [(stops.id, PushEvent.STOPPED)]
    assert [item.event for item in await store.feed(account.id, 0, 10)] == [
        PushEvent.UPDATED, PushEvent.STOPPED,
    ]  # fmt: skip


async def test_a_removed_endpoint_takes_its_pushes_along(store: Store) -> None:
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    endpoint = await add(store, account)
    await shipments_with(store, account, 2)
    (job,) = await jobs_due(store)
    assert not await store.remove_endpoint(other.id, endpoint.id)
    assert await store.remove_endpoint(account.id, endpoint.id)
    assert not await store.remove_endpoint(account.id, endpoint.id)
    assert await store.finish_pushes([sent(job)]) == 1
    assert await store.pushes_due() is None
    assert await store.push_log(account.id, Chosen(), 10) == []
    again = await add(store, account)
    assert again.id != endpoint.id


async def test_after_a_rotation_both_secrets_sign_until_the_time_given(store: Store) -> None:
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    endpoint = await add(store, account)
    await shipments_with(store, account, 1)
    assert not await store.rotate_secret(other.id, endpoint.id, "whsec_new", NOW + DAY)
    assert await store.rotate_secret(account.id, endpoint.id, "whsec_new", NOW + DAY)
    (job,) = await jobs_due(store)
    assert job.secrets == ("whsec_new", SECRET)
    await store.finish_pushes([failed(job, NOW, NOW + DAY)])
    (job,) = await jobs_due(store, NOW + DAY)
    assert job.secrets == ("whsec_new",)


# --- states -----------------------------------------------------------------------------------------------


async def test_a_new_endpoint_gets_one_push_at_a_time_and_more_with_every_round(store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    await shipments_with(store, account, 30)
    widths = []
    while jobs := await jobs_due(store):
        widths.append(len(jobs))
        await store.finish_pushes([sent(job) for job in jobs])
    assert widths == [1, 2, 3, 4, 5, 6, 7, 2]


async def test_no_endpoint_takes_the_places_of_others(place: Place, store: Store) -> None:
    """One with a thousand due pushes and one with one, few places: both get theirs."""
    account = await account_in(store)
    await add(store, account, wants=Wants(statuses=(Status.IN_TRANSIT,)))
    other = await account_in(store, name="two", login_key="two")
    second = await add(store, other)
    await place.widen()
    await shipments_with(store, account, 40, at=NOW - HOUR)
    await shipments_with(store, other, 1)
    jobs = await jobs_due(store, most=WIDTH_MAX + 5)
    assert len(jobs) == WIDTH_MAX + 1
    assert [job.endpoint for job in jobs].count(second.id) == 1
    assert await jobs_due(store) == []  # the first is full, the second has nothing more


async def test_a_failing_endpoint_gets_the_oldest_event_as_its_only_probe(store: Store) -> None:
    """The others wait and use up no attempt; one success lets all of them go, oldest first."""
    account = await account_in(store)
    await add(store, account)
    turns: list[EndpointTurn] = []
    store.on_turn(turns.append)
    early = NOW - HOUR
    oldest, *_ = await shipments_with(store, account, 2, at=early)
    await break_down(store)
    assert await state(store, account) is FAILING
    await shipments_with(store, account, 3)
    assert await store.pushes_due() == NOW + SECOND * 5 + timedelta(milliseconds=5)  # the attempt took 5 ms
    assert await jobs_due(store, NOW + SECOND * 5) == []
    (probe,) = await jobs_due(store, NOW + SECOND * 6)
    assert (probe.shipment, probe.probe) == (oldest.id, True)
    assert await jobs_due(store, NOW + MINUTE) == []  # one at a time
    await store.finish_pushes([failed(probe, NOW + SECOND * 6, None)])  # an outage is no reason to give up
    (again,) = await jobs_due(store, NOW + HOUR)
    assert (again.id, again.tries, again.attempts) == (probe.id, probe.tries, probe.attempts + 1)
    await store.finish_pushes([sent(again, NOW + HOUR)])
    assert await state(store, account) is HEALTHY
    assert [(turn.before, turn.health.state) for turn in turns] == [(HEALTHY, FAILING), (FAILING, HEALTHY)]
    arrived = []
    while jobs := await jobs_due(store, NOW + HOUR):
        arrived += [job.shipment for job in jobs]
        await store.finish_pushes([sent(job, NOW + HOUR) for job in jobs])
    assert arrived == sorted(arrived)
    assert len(arrived) == 4


async def test_one_event_that_fails_while_others_are_taken_follows_its_own_schedule(store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    bad, *_ = await shipments_with(store, account, 1)
    for round_ in range(6):
        now = NOW + HOUR * round_
        await shipments_with(store, account, 1, at=now)
        while jobs := await jobs_due(store, now):
            for job in jobs:
                refused = job.shipment == bad.id
                await store.finish_pushes([failed(job, now, now + HOUR) if refused else sent(job, now)])
    assert await state(store, account) is HEALTHY
    (record,) = await store.push_log(account.id, Chosen(number=bad.number), 1)
    assert (record.state, record.attempts) == (PushState.PENDING, 6)


async def test_what_was_under_way_when_the_endpoint_came_to_fail_waits_too(
    place: Place, store: Store
) -> None:
    account = await account_in(store)
    await add(store, account)
    await place.widen()
    await shipments_with(store, account, BREAKS_AFTER + 3)
    jobs = await jobs_due(store)
    step = BURST / (BREAKS_AFTER - 1)
    await store.finish_pushes([failed(job, NOW + step * n, NOW + DAY) for n, job in enumerate(jobs)])
    assert await state(store, account) is FAILING
    log = await store.push_log(account.id, Chosen(), 100)
    assert {record.state for record in log} == {PushState.PENDING}
    assert {record.send_at for record in log} == {NOW}  # in the queue as they came, not in a day
    later = await jobs_due(store, NOW + DAY)
    assert len(later) == 1


async def test_410_pauses_and_what_happens_is_kept_until_it_is_resumed(store: Store) -> None:
    account = await account_in(store)
    endpoint = await add(store, account)
    await shipments_with(store, account, 2)
    (job,) = await jobs_due(store)
    gone = PushResult(job, NOW, False, 410, 5, "HTTP 410", None)
    assert await store.finish_pushes([gone]) == 0
    assert await state(store, account) is PAUSED
    await shipments_with(store, account, 1)
    assert await store.pushes_due() is None
    assert await jobs_due(store, NOW + DAY) == []
    assert await store.push_counts(account.id) == {endpoint.id: {PushState.PENDING: 3}}
    assert await store.steer_endpoint(account.id, endpoint.id, Signal.RESUME, NOW + DAY)
    told = await drain(store, NOW + DAY)
    assert told == sorted(told)
    assert len(told) == 3


async def test_the_operator_pauses_and_a_resumed_event_has_its_whole_schedule(store: Store) -> None:
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    endpoint = await add(store, account)
    await shipments_with(store, account, 1)
    (job,) = await jobs_due(store)
    await store.finish_pushes([failed(job, NOW, NOW + DAY)])
    assert not await store.steer_endpoint(other.id, endpoint.id, Signal.PAUSE, NOW)
    assert await store.steer_endpoint(account.id, endpoint.id, Signal.PAUSE, NOW)
    assert await jobs_due(store, NOW + DAY) == []
    await store.steer_endpoint(account.id, endpoint.id, Signal.RESUME, NOW + MINUTE)
    (again,) = await jobs_due(store, NOW + MINUTE)
    assert (again.id, again.attempts, again.tries) == (job.id, 1, 0)


async def test_states_survive_a_restart(place: Place, store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    await shipments_with(store, account, 2, at=NOW - HOUR)
    await break_down(store)
    before = await store.endpoints(account.id)
    due_at = await store.pushes_due()
    store = await place.open()
    assert await store.endpoints(account.id) == before
    assert await store.pushes_due() == due_at
    assert (await jobs_due(store, NOW + HOUR))[0].probe


async def drain(store: Store, now: datetime) -> list[int]:
    """All that is due is taken; the shipments in the order in which they were told."""
    told = []
    while jobs := await jobs_due(store, now):
        told += [job.shipment for job in jobs]
        await store.finish_pushes([sent(job, now) for job in jobs])
    return told


async def test_an_exchange_saves_first_and_claims_what_that_lets_go(store: Store) -> None:
    """The next version of a shipment comes with the answer to the one before."""
    account = await account_in(store)
    await add(store, account)
    await shipments_with(store, account, 1, versions=2)
    dropped, (one,) = await store.exchange_pushes([], 9, NOW, NOW + MINUTE, "a")
    assert (dropped, one.version) == (0, 1)
    dropped, (two,) = await store.exchange_pushes([sent(one), sent(one)], 9, NOW, NOW + MINUTE, "b")
    assert (dropped, two.version) == (1, 2)
    assert await store.exchange_pushes([sent(two)], 0, NOW, NOW + MINUTE, "c") == (0, [])
    assert await store.pushes_due() is None


# --- replay and log ---------------------------------------------------------------------------------------


async def drained(store: Store, account: Account, count: int, versions: int = 1) -> dict[str, PushJob]:
    """Shipments whose pushes were all taken; the jobs by id."""
    await shipments_with(store, account, count, versions)
    seen: dict[str, PushJob] = {}
    while jobs := await jobs_due(store):
        seen |= {job.id: job for job in jobs}
        await store.finish_pushes([sent(job) for job in jobs])
    return seen


async def test_a_replay_keeps_ids_bytes_and_the_order_of_versions(store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    first = await drained(store, account, 2, versions=3)
    assert await store.replay_pushes(account.id, Chosen(), NOW + HOUR) == 6
    assert await store.replay_pushes(account.id, Chosen(), NOW + HOUR) == 0  # pending already
    order: dict[int, list[int]] = {}
    while jobs := await jobs_due(store, NOW + HOUR):
        for job in jobs:
            order.setdefault(job.shipment, []).append(job.version)
            assert (job.body, job.attempts) == (first[job.id].body, 1)
        await store.finish_pushes([sent(job, NOW + HOUR) for job in jobs])
    assert list(order.values()) == [[1, 2, 3]] * 2


async def test_a_replayed_version_goes_before_newer_ones_that_wait(store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    first = await drained(store, account, 1)
    (job,) = first.values()
    (found,) = [row for row, _ in await store.find(account.id, [(await numbers(store, account))[0]])]
    await change_of(store, found, update(2))
    assert await store.replay_pushes(account.id, Chosen(ids=(job.id,)), NOW) == 1
    versions = []
    while jobs := await jobs_due(store):
        versions += [one.version for one in jobs]
        await store.finish_pushes([sent(one) for one in jobs])
    assert versions == [1, 2]


async def numbers(store: Store, account: Account) -> list[str]:
    return [record.number for record in await store.push_log(account.id, Chosen(), 100)]


async def test_a_replay_waits_for_what_is_under_way(store: Store) -> None:
    """Never two of a shipment at the same time."""
    account = await account_in(store)
    await add(store, account)
    await shipments_with(store, account, 1, versions=2)
    (one,) = await jobs_due(store)
    await store.finish_pushes([sent(one)])
    (two,) = await jobs_due(store)
    await store.replay_pushes(account.id, Chosen(ids=(one.id,)), NOW)
    assert await jobs_due(store) == []
    await store.finish_pushes([sent(two)])
    assert [job.id for job in await jobs_due(store)] == [one.id]


async def test_the_only_place_goes_to_who_has_waited_longest(store: Store) -> None:
    """Not to the endpoint whose push has just ended."""
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    busy, quiet = await add(store, account), await add(store, other)
    await shipments_with(store, account, 1, at=NOW)
    (job,) = await jobs_due(store, NOW)
    await shipments_with(store, account, 1, at=NOW + SECOND * 3)
    await shipments_with(store, other, 1, at=NOW + SECOND)
    now, jobs = NOW + SECOND * 4, [job]
    given = []
    while jobs:
        given.append(jobs[0].endpoint)
        results = [sent(job, now) for job in jobs]
        _, jobs = await store.exchange_pushes(results, 1, now, now + HOUR, f"lease {len(given)}")
    assert given == [busy.id, quiet.id, busy.id]


async def test_pushes_are_chosen_by_id_number_endpoint_state_and_time(store: Store) -> None:
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    endpoint, second = await add(store, account), await add(store, account, URL + "/2")
    early, _ = await shipments_with(store, account, 2, at=NOW - DAY)
    (late,) = await shipments_with(store, account, 1)
    for job in await jobs_due(store, most=1):
        await store.finish_pushes([failed(job)])  # dead
    await drain(store, NOW)
    dead = await store.push_log(account.id, Chosen(state=PushState.DEAD), 10)
    assert len(dead) == 1

    async def chosen(**values: object) -> int:
        return len(await store.push_log(account.id, Chosen(**values), 100))  # type: ignore[arg-type]

    assert await chosen() == 6
    assert await chosen(ids=(dead[0].id, "msg_unknown")) == 1
    assert await chosen(number=early.number) == 2
    assert await chosen(endpoint=endpoint.id) == await chosen(endpoint=second.id) == 3
    assert await chosen(since=NOW) == 2
    assert await chosen(before=NOW) == 4
    assert await chosen(number=late.number, endpoint=second.id, state=PushState.SENT) == 1
    assert await store.push_log(other.id, Chosen(), 10) == []
    assert await store.replay_pushes(other.id, Chosen(), NOW) == 0
    assert await store.replay_pushes(account.id, Chosen(state=PushState.DEAD), NOW) == 1
    assert await chosen(state=PushState.DEAD) == 0


async def test_the_log_keeps_every_attempt_and_what_was_said(store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    (shipment,) = await shipments_with(store, account, 1, versions=2)
    (job,) = await jobs_due(store)
    said = b"\xff<html>no</html>\x00"
    await store.finish_pushes([PushResult(job, NOW, False, 500, 7, "HTTP 500", NOW, None, said)])
    (job,) = await jobs_due(store)
    await store.finish_pushes([sent(job, NOW + SECOND)])
    newest, oldest = await store.push_log(account.id, Chosen(), 10)
    assert (newest.version, newest.state, newest.log) == (2, PushState.PENDING, ())
    assert (oldest.number, oldest.state, oldest.send_at) == (shipment.number, PushState.SENT, None)
    assert [(one.n, one.at, one.http_status, one.ms) for one in oldest.log] == [
        (1, NOW, 500, 7), (2, NOW + SECOND, 200, 5),
    ]  # fmt: skip
    assert oldest.log[0].body_start == said
    assert len(await store.push_log(account.id, Chosen(), 1)) == 1


async def test_dead_letters_are_kept_as_long_as_the_log(store: Store) -> None:
    account = await account_in(store)
    await add(store, account)
    await shipments_with(store, account, 1, at=NOW - DAY * 8)
    (job,) = await jobs_due(store)
    await store.finish_pushes([failed(job)])
    await prune(store, NOW - MINUTE)  # the change is older, but the push died only now
    (record,) = await store.push_log(account.id, Chosen(state=PushState.DEAD), 10)
    assert await store.replay_pushes(account.id, Chosen(ids=(record.id,)), NOW) == 1
    (again,) = await jobs_due(store)
    assert again.body == job.body
    await store.finish_pushes([failed(again)])
    await prune(store, NOW + MINUTE)
    assert await store.push_log(account.id, Chosen(), 10) == []


# --- the feed ---------------------------------------------------------------------------------------------


async def test_the_feed_has_every_change_of_the_account_once_in_order(store: Store) -> None:
    """Without any endpoint, and nothing of other accounts."""
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    assert await store.feed_ends(account.id) == (0, 0)
    for _ in range(3):
        await shipments_with(store, account, 2, versions=2)
        await shipments_with(store, other, 1)
    seen = []
    after = 0
    while page := await store.feed(account.id, after, 5):
        assert len(page) <= 5
        seen += page
        after = page[-1].cursor
    assert len(seen) == 12
    cursors = [item.cursor for item in seen]
    assert cursors == sorted(set(cursors))
    assert cursors[0] > 0
    assert {item.at for item in seen} == {NOW}
    assert await store.feed_ends(account.id) == (0, cursors[-1])
    assert len(await store.feed(other.id, 0, 100)) == 3


async def test_a_reader_of_the_feed_misses_nothing_that_is_written_meanwhile(store: Store) -> None:
    account = await account_in(store)
    shipments = [await tracked(store, account) for _ in range(30)]
    seen: list[int] = []

    async def read() -> None:
        while len(seen) < 30:
            page = await store.feed(account.id, seen[-1] if seen else 0, 7)
            seen.extend(item.cursor for item in page)
            await asyncio.sleep(0.002)

    writing = asyncio.gather(*(change_of(store, shipment, update(1)) for shipment in shipments))
    async with asyncio.timeout(20):
        await asyncio.gather(read(), writing)
    assert seen == [item.cursor for item in await store.feed(account.id, 0, 100)]


async def test_large_changes_make_short_pages(store: Store) -> None:
    account = await account_in(store)
    body = b'{"x":"%b"}' % (b"y" * 1_500_000)
    await change_of(store, await tracked(store, account), *(update(n, body) for n in range(1, 5)))
    first = await store.feed(account.id, 0, 100)
    assert 1 <= len(first) < 4
    assert len(await store.feed(account.id, first[-1].cursor, 100)) >= 1


async def test_what_was_forgotten_of_the_feed_is_told(store: Store) -> None:
    account = await account_in(store)
    await shipments_with(store, account, 2, at=NOW - timedelta(days=40))
    await shipments_with(store, account, 1)
    old, newer, newest = [item.cursor for item in await store.feed(account.id, 0, 10)]
    assert old < newer
    await prune(store, NOW - DAY)
    assert [item.cursor for item in await store.feed(account.id, 0, 10)] == [newest]
    assert await store.feed_ends(account.id) == (newer, newest)
    await prune(store, NOW + DAY)
    assert await store.feed_ends(account.id) == (newest, newest)
