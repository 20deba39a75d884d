"""A process is stopped for longer than its lease, just after it has claimed something."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.service import World, story

LONG_S = 61.0  # more than a lease of a refresh or a push
NUMBER = "SANDBOXDELIVERED1"


def frozen(world: World, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The first answer to a call of the store is read much later."""
    times = 0

    async def answer_read_late(*values: Any) -> Any:
        nonlocal times
        answer = await call(*values)
        times += 1
        if times == 1:
            await world.clock.advance(LONG_S)
        return answer

    return answer_read_late


async def test_nobody_is_asked_after_the_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its calls came on top of those of the process that took over, beyond what the lane allows."""
    await world.register(NUMBER)
    monkeypatch.setattr(world.store, "take_turn", frozen(world, world.store.take_turn))
    assert await world.refresher.tick() == 0
    assert await world.refresher.tick() == 1


async def test_nothing_is_pushed_after_the_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an old change could be told after a newer one."""
    await world.register(NUMBER)
    await world.refresher.tick()
    monkeypatch.setattr(world.store, "exchange_pushes", frozen(world, world.store.exchange_pushes))
    assert await world.pusher.tick() == 0
    assert world.sink.got == []
    assert await world.pusher.tick() == 1
    assert story(world.sink.bodies(NUMBER)) == ["Delivered_Other"]
