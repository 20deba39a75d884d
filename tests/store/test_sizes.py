"""How much there is, for monitoring. Every store answers the same."""

from tests.store.samples import (
    HOUR,
    MINUTE,
    NOW,
    account_in,
    change_of,
    claimed,
    failed,
    jobs_due,
    sent,
    tracked,
    update,
)

from parcelwire.domain.endpoint import EndpointState, NewEndpoint, Signal
from parcelwire.domain.lane import Lane
from parcelwire.domain.poison import Piece, Strike
from parcelwire.ports import Backlog, Sizes, Store


async def test_an_empty_store_has_no_sizes(store: Store) -> None:
    empty = Sizes({}, {"pending": 0, "leased": 0, "dead": 0}, None, 0, {}, (), 0)
    assert await store.sizes(NOW) == empty


async def test_shipments_are_counted_by_queue(store: Store) -> None:
    """Due, under way, and parked; those whose time has not come are none of these."""
    account = await account_in(store)
    for lane in ("ups", "ups", "ups", "fedex"):
        await tracked(store, account, lane=lane)
    later = await tracked(store, account, at=NOW + HOUR)
    due = await claimed(store, most=2)
    await store.strike([Piece(due[0].shipment.id)], Strike.DEATH, "died", NOW)
    await store.strike([Piece(due[0].shipment.id)], Strike.DEATH, "died", NOW)
    sizes = await store.sizes(NOW + MINUTE / 2)
    assert sizes.shipments == {
        "fedex": Backlog(1, 0, NOW),
        "ups": Backlog(1, 1, NOW),
    }
    assert sizes.parked == 1
    assert sizes.quota_used == 5
    assert later.refresh_at == NOW + HOUR


async def test_pushes_endpoints_and_lanes_are_counted(store: Store) -> None:
    account = await account_in(store)
    endpoint = await store.add_endpoint(account.id, NewEndpoint("https://shop.example/1", "whsec_1"))
    lane = Lane("ups", 1, NOW, NOW.date(), used=3)
    await store.save_lane(lane, 0)
    for _ in range(3):
        await change_of(store, await tracked(store, account), update(1), update(2))
    (job,) = await jobs_due(store)
    await store.finish_pushes([sent(job)])
    given_up, under_way = await jobs_due(store)
    await store.finish_pushes([failed(given_up, NOW)])
    sizes = await store.sizes(NOW)
    assert under_way.id
    assert sizes.pushes == {"pending": 4, "leased": 1, "dead": 1}
    assert sizes.push_due is not None
    assert sizes.endpoints == {EndpointState.HEALTHY: 1}
    assert sizes.lanes == (lane,)
    await store.steer_endpoint(account.id, endpoint.id, Signal.PAUSE, NOW)
    sizes = await store.sizes(NOW)
    assert sizes.endpoints == {EndpointState.PAUSED: 1}
    assert sizes.push_due is None
