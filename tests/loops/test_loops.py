"""The loops as they run by themselves: they survive what the store and the carrier do, and stop in time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.service import SECRET, World

from parcelwire.domain.endpoint import NewEndpoint
from parcelwire.domain.errors import StoreUnavailable
from parcelwire.loops.janitor import Janitor
from parcelwire.loops.pusher import Pusher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.ports import Charge, unlimited


async def until(true: Callable[[], bool], world: World) -> None:
    """Let time pass until something is so; fails after a while."""
    for _ in range(400):
        if true():
            return
        await asyncio.sleep(0.005)
        await world.clock.advance(0.5)
    raise AssertionError("it never came")


class Sick:
    """A store whose next reads fail."""

    def __init__(self, store: Any, failing: int) -> None:
        self._store = store
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def lanes(self) -> Any:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("disk I/O error")
        return await self._store.lanes()

    async def pushes_due(self) -> Any:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("disk I/O error")
        return await self._store.pushes_due()


async def test_the_refresher_outlives_a_database_that_fails(world: World) -> None:
    sick = Sick(world.store, failing=3)
    world.refresher._context = replace(world.context, store=sick)
    await world.register("SANDBOXDELIVERED1")
    running = asyncio.create_task(world.refresher.run())
    pushing = asyncio.create_task(world.pusher.run())
    await until(lambda: bool(world.sink.bodies("SANDBOXDELIVERED1")), world)
    assert sick.failing == 0
    assert not running.done()
    for task in (running, pushing):
        task.cancel()
    await asyncio.gather(running, pushing, return_exceptions=True)


async def test_the_pusher_outlives_a_database_that_fails(world: World) -> None:
    sick = Sick(world.store, failing=3)
    world.pusher._context = replace(world.context, store=sick)
    await world.register("SANDBOXDELIVERED1")
    await world.refresher.tick()
    running = asyncio.create_task(world.pusher.run())
    await until(lambda: bool(world.sink.bodies("SANDBOXDELIVERED1")), world)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_conversation_under_way_is_finished_and_kept_at_a_stop(world: World) -> None:
    """The carrier has been asked already: its answer is worth the wait."""
    asked = asyncio.Event()
    go_on = asyncio.Event()
    ask = world.context.fetcher.ask

    class Slow:
        async def ask(self, carrier: Any, queries: Any, permit: Any = unlimited) -> Any:
            asked.set()
            await go_on.wait()
            return await ask(carrier, queries, permit)

    world.refresher._context = replace(world.context, fetcher=Slow())
    await world.register("SANDBOXDELIVERED1")
    running = asyncio.create_task(world.refresher.run())
    await asyncio.wait_for(asked.wait(), 5)
    running.cancel()
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(running, return_exceptions=True)
    assert (await world.shipment("SANDBOXDELIVERED1")).sub_status is not None


async def test_a_push_under_way_is_finished_and_kept_at_a_stop(world: World) -> None:
    """What an endpoint has acknowledged is not sent again."""
    sending = asyncio.Event()
    go_on = asyncio.Event()
    send = world.sink.send

    class Slow:
        def check(self, url: str) -> None: ...

        async def send(self, *arguments: Any) -> Any:
            sending.set()
            await go_on.wait()
            return await send(*arguments)

    pusher = Pusher(replace(world.context, sender=Slow()), world.pusher._policy, lambda: 0.5, Telemetry())
    await world.register("SANDBOXDELIVERED1")
    await world.refresher.tick()
    running = asyncio.create_task(pusher.run())
    await asyncio.wait_for(sending.wait(), 5)
    running.cancel()
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(running, return_exceptions=True)
    assert await world.store.pushes_due() is None
    assert len(world.sink.bodies("SANDBOXDELIVERED1")) == 1


async def test_the_end_of_the_last_attempt_under_way_is_saved_at_once(world: World) -> None:
    """There is nothing more to gather: the clock stands still all the time."""
    send = world.sink.send
    delays = iter((0.0, 0.05))  # the first end begins to gather, the second is the last

    class Staggered:
        def check(self, url: str) -> None: ...

        async def send(self, *arguments: Any) -> Any:
            await asyncio.sleep(next(delays))
            return await send(*arguments)

    await world.store.add_endpoint(world.account.id, NewEndpoint("https://two.example/hook", SECRET))
    context = replace(world.context, sender=Staggered())
    pusher = Pusher(context, world.pusher._policy, lambda: 0.5, Telemetry())
    await world.register("SANDBOXDELIVERED1")
    await world.refresher.tick()
    running = asyncio.create_task(pusher.run())
    for _ in range(400):
        await asyncio.sleep(0.005)
        if await world.store.pushes_due() is None:
            break
    assert await world.store.pushes_due() is None
    assert len(world.sink.bodies("SANDBOXDELIVERED1")) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_janitor_gives_back_what_dead_calls_held(world: World) -> None:
    """A call that died between question and answer leaves its charge held; five minutes later it is free."""
    now = world.clock.now()
    await world.store.charge(world.account.id, [Charge("call", 10, held=True)], now)
    janitor = Janitor(world.context, Telemetry())
    await janitor.tick()
    assert (await world.store.usage(world.account.id, now)).used == 10
    await world.clock.advance(301)
    await janitor.tick()
    assert (await world.store.usage(world.account.id, world.clock.now())).used == 0
