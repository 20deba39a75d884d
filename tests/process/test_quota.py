"""Quota is exact: whoever races, whatever dies. The ledger and the counter of the file say the same."""

import asyncio
import signal
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.process.child import Child, environment, serve

pytestmark = pytest.mark.process

CALLERS = 30
BATCH = 40
TOTAL = 500  # quota of the plan
QUOTA, REGISTERED = -18019908, -18019901


def booked(folder: Path) -> tuple[int, int, int]:
    """Straight from the file: sum of the ledger, counter, registrations."""
    with closing(sqlite3.connect(folder / "parcelwire.db")) as connection:
        row: tuple[int, int, int] = connection.execute(
            """SELECT (SELECT coalesce(sum(amount), 0) FROM quota_entry),
            (SELECT coalesce(sum(units), 0) FROM quota_used), (SELECT count(*) FROM shipment)"""
        ).fetchone()
        return row


def outcomes(answers: list[dict[str, Any]]) -> Counter[int]:
    """How many items were accepted (0) or refused with a code."""
    counted: Counter[int] = Counter()
    for data in answers:
        counted[0] += len(data["accepted"])
        counted.update(item["error"]["code"] for item in data["rejected"])
    return counted


async def race(child: Child, batches: list[list[str]]) -> list[dict[str, Any]]:
    """All batches at once, each from a caller of its own; without those that got no answer."""
    calls = [child.call("register", [{"number": number} for number in batch]) for batch in batches]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, aiohttp.ClientError):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def batches(mark: str) -> list[list[str]]:
    return [[f"SANDBOXINTRANSIT{mark}{caller:02}{n:02}" for n in range(BATCH)] for caller in range(CALLERS)]


async def test_thirty_callers_race_on_the_same_numbers_and_then_beyond_the_quota(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each number is charged once; what does not fit is refused; not a unit too much or too few."""
    async with serve(environment(tmp_path, PARCELWIRE_FIRST_PLAN=str(TOTAL))) as child:
        same = outcomes(await race(child, [batches("A")[0]] * CALLERS))
        used_by_same = (await child.call("getquota"))["quota_used"]
        beyond = outcomes(await race(child, batches("B")))
        quota = await child.call("getquota")
        await child.end(signal.SIGTERM)
    ledger, counter, rows = booked(tmp_path)
    with capsys.disabled():
        print(
            f"\n  {CALLERS} callers, the same {BATCH} numbers: {same[0]} accepted, {same[REGISTERED]} "
            f"already registered, {used_by_same} units; then {CALLERS * BATCH} others, a plan of {TOTAL}: "
            f"{beyond[0]} accepted, {beyond[QUOTA]} refused; ledger {ledger}, counter {counter}, rows {rows}"
        )
    assert same == {0: BATCH, REGISTERED: BATCH * (CALLERS - 1)}
    assert used_by_same == BATCH
    assert beyond == {0: TOTAL - BATCH, QUOTA: CALLERS * BATCH - (TOTAL - BATCH)}
    assert (quota["quota_used"], quota["quota_remain"]) == (TOTAL, 0)
    assert (ledger, counter, rows) == (TOTAL, TOTAL, TOTAL)


async def go_on(child: Child, mark: str, acknowledged: list[int]) -> None:
    """Register five new numbers after the other until the service dies."""
    count = 0
    with suppress(aiohttp.ClientError):
        while True:
            items = [{"number": f"SANDBOXINTRANSIT{mark}{count + n:04}"} for n in range(5)]
            data = await child.call("register", items)
            acknowledged[0] += len(data["accepted"])
            count += 5


async def test_ledger_counter_and_rows_agree_after_kill_9_in_a_race(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in the middle of a race, three times; nothing acknowledged is lost or charged twice."""
    acknowledged, states = [0], []
    for turn in range(3):
        async with serve(environment(tmp_path)) as child:
            callers = [go_on(child, f"K{turn}{caller:02}", acknowledged) for caller in range(CALLERS)]
            racing = asyncio.gather(*callers)
            await asyncio.sleep(0.2 + 0.05 * turn)
            assert await child.end(signal.SIGKILL) == -signal.SIGKILL
            await racing
        states.append(booked(tmp_path))
        assert len(set(states[-1])) == 1, states
        assert 0 < acknowledged[0] <= states[-1][0]
    with capsys.disabled():
        print(f"\n  kill -9 in a race x 3: ledger, counter, rows {states}, acknowledged {acknowledged[0]}")
