"""Calls that change many registrations: one transaction, and each item answered as if it came alone."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.service import World

from parcelwire.domain.account import Account
from parcelwire.domain.shipment import Phase, Shipment
from parcelwire.flows.amend import change_info, delete
from parcelwire.flows.context import Context
from parcelwire.flows.stop import retrack, stop
from parcelwire.ports import Document

Flow = Callable[[Context, Account, bytes], Awaitable[bytes]]

NUMBERS = [f"SANDBOXJOURNEY{place}" for place in range(40)]
SANDBOX, USPS = 999001, 21051
FLOWS: dict[str, Flow] = {"stop": stop, "retrack": retrack, "change info": change_info, "delete": delete}


async def called(world: World, flow: Flow, items: Sequence[Any]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(await flow(world.context, world.account, json.dumps(items).encode()))[
        "data"
    ]
    return data


def writes(world: World, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """An entry for each transaction that writes from now on."""
    made: list[None] = []
    run = world.store._writer.run

    async def counted(work: Callable[[Any], Any]) -> Any:
        made.append(None)
        return await run(work)

    monkeypatch.setattr(world.store._writer, "run", counted)
    return made


@pytest.mark.parametrize("name", FLOWS)
async def test_forty_registrations_change_in_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    await world.register(*NUMBERS)
    if name == "retrack":
        await called(world, stop, [{"number": number} for number in NUMBERS])
    made = writes(world, monkeypatch)
    data = await called(world, FLOWS[name], [{"number": number, "items": {"tag": "x"}} for number in NUMBERS])
    assert [item["number"] for item in data["accepted"]] == NUMBERS
    assert data["rejected"] == []
    assert len(made) == 1


def some_items(random: Random) -> list[Any]:
    """Of few numbers, so that several items are about the same; some of them bad."""
    items: list[Any] = []
    for _ in range(random.randint(1, 12)):
        item: dict[str, Any] = {"number": random.choice(NUMBERS[:6])}
        if random.random() < 0.5:
            item["carrier"] = random.choice([SANDBOX, USPS, str(SANDBOX), "none"])
        item["items"] = random.choice([{"tag": random.choice("abc")}, {"param": "12345"}, {}])
        if random.random() < 0.1:
            item["number"] = random.choice(["1", "SANDBOXJOURNEY99", 7])
        items.append(item)
    return items


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def lived(folder: Path, seed: int, *, together: bool) -> tuple[list[Any], list[Any]]:
    """Answers and pushes of an account whose owner changes this and that: in calls, or item by item."""
    world = await World.open(folder)
    try:
        random = Random(seed)
        answers = []
        for code in (SANDBOX, USPS):
            items = [{"number": n, "carrier": code, "auto_detection": False} for n in NUMBERS[:6]]
            await world.call("register", items[: 6 if code == SANDBOX else 3])
        for _ in range(8):
            flow, items = FLOWS[random.choices(list(FLOWS), [4, 3, 3, 1])[0]], some_items(random)
            answer: dict[str, list[Any]] = {"accepted": [], "rejected": []}
            for part in [items] if together else [[item] for item in items]:
                data = await called(world, flow, part)
                for name in answer:
                    answer[name] += data[name]
            answers.append(answer)
        await world.turn()
        return answers, [json.loads(body) for _, body in world.sink.got]
    finally:
        await world.close()


@pytest.mark.parametrize("seed", range(12))
async def test_a_call_answers_what_its_items_would_alone(tmp_path: Path, seed: int) -> None:
    """Also for items about the same number, bad ones, and several registrations of a number."""
    answers, pushes = await lived(made(tmp_path / "together"), seed, together=True)
    alone, pushes_alone = await lived(made(tmp_path / "alone"), seed, together=False)
    assert answers == alone
    assert any(answer["accepted"] for answer in answers)
    assert any(answer["rejected"] for answer in answers)
    assert sorted(map(json.dumps, pushes)) == sorted(map(json.dumps, pushes_alone))


async def test_who_is_overtaken_is_read_again_and_harms_no_neighbour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refresh of one of forty is saved between read and write: all are stopped, each once."""
    await world.register(*NUMBERS)
    find, change = world.store.find, world.store.change
    reads: list[int] = []
    saved: list[int] = []

    async def find_slowly(account: int, numbers: Sequence[str]) -> list[tuple[Shipment, Document | None]]:
        reads.append(len(numbers))
        found = await find(account, numbers)
        if len(reads) == 1:
            await called(world, change_info, [{"number": NUMBERS[7], "items": {"tag": "x"}}])
        return found

    async def change_counted(changes: Any, now: Any) -> list[bool]:
        done = await change(changes, now)
        saved.append(sum(done))
        return done

    monkeypatch.setattr(world.store, "find", find_slowly)
    monkeypatch.setattr(world.store, "change", change_counted)
    data = await called(world, stop, [{"number": number} for number in NUMBERS])
    monkeypatch.undo()
    assert [item["number"] for item in data["accepted"]] == NUMBERS
    assert reads == [40, 1, 1], "the call, the change that overtakes it, the call again for the one"
    assert saved == [1, 39, 1]
    for number in NUMBERS:
        shipment = await world.shipment(number)
        assert (shipment.phase, shipment.version) == (Phase.STOPPED, 1)
    assert (await world.shipment(NUMBERS[7])).wish.tag == "x"
