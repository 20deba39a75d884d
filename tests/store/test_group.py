"""Calls that are written together: store/postgres/group.py."""

import asyncio
from collections.abc import Sequence

import pytest

from parcelwire.store.postgres.group import Group


async def test_who_comes_when_a_writer_has_just_ended_is_written() -> None:
    """Nobody is left to a writer that looks no more."""
    written: list[int] = []

    async def write(pieces: Sequence[int]) -> list[bool]:  # as a transaction: it waits, and is answered
        await asyncio.sleep(0)
        written.extend(pieces)
        return [True] * len(pieces)

    group = Group[int](write)
    async with asyncio.timeout(10):
        for piece in range(20):
            assert await group.save([piece]) == [True]
    assert written == list(range(20))


async def test_calls_that_wait_are_written_together_and_answered_apart() -> None:
    calls: list[list[int]] = []

    async def write(pieces: Sequence[int]) -> list[bool]:
        calls.append(list(pieces))
        await asyncio.sleep(0.01)
        return [piece % 2 == 0 for piece in pieces]

    group = Group[int](write)
    answers = await asyncio.gather(*(group.save([piece, piece + 1]) for piece in range(0, 12, 2)))
    assert answers == [[True, False]] * 6
    assert sorted(piece for call in calls for piece in call) == list(range(12))
    assert len(calls) < 6


async def test_an_error_is_told_to_the_call_that_made_it_alone() -> None:
    async def write(pieces: Sequence[int]) -> list[bool]:
        await asyncio.sleep(0.01)
        if 3 in pieces:
            raise ValueError("three")
        return [True] * len(pieces)

    group = Group[int](write)
    first = asyncio.create_task(group.save([0]))
    await asyncio.sleep(0)
    others = await asyncio.gather(*(group.save([piece]) for piece in range(1, 6)), return_exceptions=True)
    assert await first == [True]
    assert [answer for answer in others if answer != [True]] == [others[2]]
    with pytest.raises(ValueError, match="three"):
        raise others[2]  # type: ignore[misc]
