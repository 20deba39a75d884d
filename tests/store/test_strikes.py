"""Work that harms the process: noted, parked, taken up again. Every store answers the same."""

from tests.store.samples import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    account_in,
    change_of,
    claimed,
    jobs_due,
    sent,
    stored,
    tracked,
    update,
)

from parcelwire.domain.endpoint import NewEndpoint
from parcelwire.domain.poison import PARKED_AT, TROUBLE, Piece, Strike
from parcelwire.domain.push import Chosen, PushJob, PushState
from parcelwire.ports import Store

WHY = "KeyError: 'events'"


def work_of(job: PushJob) -> Piece:
    return Piece(job.shipment, job.endpoint, job.version)


async def test_the_fifth_error_in_a_row_parks_a_shipment(store: Store) -> None:
    """It has no schedule and no lease, says why, and a result that is still under way is dropped."""
    account = await account_in(store)
    shipment, other = await tracked(store, account), await tracked(store, account)
    for _ in range(4):
        assert await store.strike([Piece(shipment.id)], Strike.ERROR, WHY, NOW) == []
    assert await store.suspects() == {Piece(shipment.id)}
    (due, _) = await claimed(store)
    assert due.shipment.id == shipment.id
    assert await store.strike([Piece(shipment.id)], Strike.ERROR, WHY, NOW) == [Piece(shipment.id)]
    now = await stored(store, shipment)
    assert (now.refresh_at, now.lease, now.trouble) == (None, None, TROUBLE)
    assert await store.suspects() == set()
    (parked,) = await store.parked(account.id)
    assert (parked.shipment, parked.number, parked.at, parked.why) == (shipment.id, shipment.number, NOW, WHY)
    assert [one.shipment.id for one in await claimed(store, now=NOW + DAY)] == [other.id]


async def test_two_deaths_park_and_what_ended_well_between_does_not_count(store: Store) -> None:
    account = await account_in(store)
    work = Piece((await tracked(store, account)).id)
    assert await store.strike([work], Strike.DEATH, "died", NOW) == []
    await store.absolve([work, Piece(work.shipment + 1)])
    assert await store.suspects() == set()
    assert await store.strike([work], Strike.DEATH, "died", NOW) == []
    assert await store.strike([work], Strike.DEATH, "died", NOW) == [work]
    assert 2 * Strike.DEATH >= PARKED_AT == 5 * Strike.ERROR


async def test_suspects_of_one_call_are_asked_about_alone(store: Store) -> None:
    """One is to blame and nobody knows which: nothing is noted. Whose turn it was alone stays in its lane."""
    account = await account_in(store)
    first, second = await tracked(store, account), await tracked(store, account, lane="ups/4")
    single = await tracked(store, account)
    await store.strike([Piece(first.id), Piece(second.id)], Strike.DEATH, "died", NOW)
    await store.strike([Piece(single.id)], Strike.DEATH, "died", NOW)
    lanes = [(await stored(store, one)).lane for one in (first, second, single)]
    assert lanes == ["ups/1", "ups/1", "ups"]
    assert await store.suspects() == {Piece(single.id)}


async def test_a_parked_shipment_is_taken_up_again(store: Store) -> None:
    """Only what is parked, and only of the account."""
    account, other = await account_in(store), await account_in(store, name="two", login_key="two")
    shipment, free = await tracked(store, account), await tracked(store, account)
    for _ in range(2):
        await store.strike([Piece(shipment.id)], Strike.DEATH, "died", NOW)
    ids = [shipment.id, free.id]
    assert await store.parked(other.id) == []
    assert len(await store.parked()) == 1
    assert await store.release_parked(other.id, ids, NOW) == 0
    assert await store.release_parked(account.id, ids, NOW + HOUR) == 1
    now = await stored(store, shipment)
    assert (now.refresh_at, now.trouble) == (NOW + HOUR, None)
    assert await store.parked() == []
    assert await store.strike([Piece(shipment.id)], Strike.DEATH, "died", NOW) == [], "with a clean slate"


async def test_a_parked_push_is_given_up_and_the_next_version_goes(store: Store) -> None:
    """The log says why; it can be sent again like any other, with its id and bytes."""
    account = await account_in(store)
    endpoint = await store.add_endpoint(account.id, NewEndpoint("https://shop.example/hook", "whsec_1"))
    shipment, _ = await change_of(store, await tracked(store, account), update(1), update(2))
    (job,) = await jobs_due(store)
    assert await store.strike([work_of(job)], Strike.DEATH, "died", NOW) == []
    assert await store.strike([work_of(job)], Strike.DEATH, "died", NOW + LEASE) == [work_of(job)]
    assert await store.finish_pushes([sent(job)]) == 1, "whoever comes back from the dead is dropped"
    assert await store.push_counts(account.id) == {endpoint.id: {PushState.PENDING: 1, PushState.DEAD: 1}}
    (record,) = await store.push_log(account.id, Chosen(ids=(job.id,)), 1)
    assert (record.state, record.log[-1].detail, record.log[-1].n) == (PushState.DEAD, "parked: died", 1)
    (later,) = await jobs_due(store, NOW + LEASE)
    assert (later.shipment, later.version) == (shipment.id, 2)
    await store.finish_pushes([sent(later, NOW + LEASE)])
    assert await store.replay_pushes(account.id, Chosen(state=PushState.DEAD), NOW + HOUR) == 1
    (again,) = await jobs_due(store, NOW + HOUR)
    assert (again.id, again.body) == (job.id, job.body)
    assert await store.strike([work_of(job)], Strike.DEATH, "died", NOW + HOUR) == []
