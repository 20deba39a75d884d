"""Work that many ask for at the same time is done once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from parcelwire.net.flights import Flights


class Work:
    """Answers each key with its capital, once it may; keeps which keys it was run for."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.may_end = asyncio.Event()

    async def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.runs.append(list(keys))
        await self.may_end.wait()
        if "broken" in keys:
            raise ValueError(keys)
        return {key: key.upper() for key in keys}


@pytest.fixture
async def work() -> Work:
    return Work()


@pytest.fixture
async def flights() -> AsyncIterator[Flights]:
    made = Flights(patience_s=0.05)
    yield made
    await made.close()


async def started(flights: Flights, work: Work, *keys: str) -> asyncio.Task[dict[str, str | BaseException]]:
    """A call that waits for its answers."""
    task = asyncio.create_task(flights(keys, work))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_only_what_nobody_asks_for_yet_is_run(flights: Flights, work: Work) -> None:
    one = await started(flights, work, "a", "b")
    two = await started(flights, work, "b", "c")
    three = await started(flights, work, "c", "a")
    work.may_end.set()
    assert await one == {"a": "A", "b": "B"}
    assert await two == {"b": "B", "c": "C"}
    assert await three == {"c": "C", "a": "A"}
    assert work.runs == [["a", "b"], ["c"]]
    assert await flights(["a"], work) == {"a": "A"}, "what has ended is run again"
    assert len(work.runs) == 3
    assert await flights([], work) == {}


async def test_a_broken_run_breaks_its_own_keys_alone(flights: Flights, work: Work) -> None:
    one = await started(flights, work, "a")
    two = await started(flights, work, "broken", "a", "b")
    work.may_end.set()
    assert await one == {"a": "A"}
    answers = await two
    assert answers["a"] == "A"
    assert isinstance(answers["broken"], ValueError)
    assert answers["broken"] is answers["b"]


async def test_who_waits_too_long_is_told_and_the_work_goes_on(flights: Flights, work: Work) -> None:
    late = await flights(["a"], work)
    assert isinstance(late["a"], TimeoutError)
    again = await started(flights, work, "a")
    work.may_end.set()
    assert await again == {"a": "A"}
    assert work.runs == [["a"]]


async def test_who_gives_up_does_not_take_it_from_the_others(flights: Flights, work: Work) -> None:
    one, two = await started(flights, work, "a"), await started(flights, work, "a")
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    work.may_end.set()
    assert await two == {"a": "A"}


async def test_the_end_of_the_service_ends_what_is_under_way(flights: Flights, work: Work) -> None:
    waiting = await started(flights, work, "a")
    await flights.close()
    assert isinstance((await waiting)["a"], asyncio.CancelledError)
