"""A parcel that kills the process is parked after the second death that it alone can have caused, and all
others go on."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from tests.cli.test_commands import run
from tests.process.child import Child, Sink, environment, serve, sink_server

pytestmark = pytest.mark.process

POISON = "SANDBOXDELIVERED5"
OTHERS = [f"SANDBOXDELIVERED{n}" for n in range(1, 5)]
PROGRAM = str(Path(__file__).with_name("poisoned.py"))


async def register_all(child: Child) -> None:
    data = await child.call("register", [{"number": number} for number in [*OTHERS, POISON]])
    assert len(data["accepted"]) == len(OTHERS) + 1


async def dies(environ: dict[str, str]) -> None:
    """Start it; it must not live."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, env=environ, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert await asyncio.wait_for(process.wait(), 15) == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()


async def told(sink: Sink, *numbers: str) -> None:
    async with asyncio.timeout(15):
        while not all(  # noqa: ASYNC110 - the sink is of other tests, too
            "Delivered_Other" in sink.told.get(number, ()) for number in numbers
        ):
            await asyncio.sleep(0.05)


async def command(environ: dict[str, str], *arguments: str) -> str:
    code, out, errors = await run(environ, *arguments)
    assert code == 0, errors
    return out


async def test_a_number_whose_answer_kills_the_process_is_parked(tmp_path: Path) -> None:
    """It says why, and is refreshed again when the owner wants it and the bug is gone."""
    async with sink_server() as sink:
        environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        poisoned = {**environ, "POISON": f"{POISON}/refresh"}
        async with serve(poisoned, program=(PROGRAM,)) as child:
            await register_all(child)
            assert await asyncio.wait_for(child.process.wait(), 15) == -signal.SIGKILL
        for _ in range(2):  # the first death was that of a whole call
            await dies(poisoned)
        async with serve(poisoned, program=(PROGRAM,)) as child:
            await told(sink, *OTHERS)
            (row,) = json.loads(await command(environ, "explain", POISON, "--json"))["shipments"]
            assert row["parked_why"] == "the process died while it was at work on this"
            assert row["next_refresh"] is None
            (parked,) = json.loads(await command(environ, "parked", "list", "--json"))["parked"]
            assert parked["number"] == POISON
            assert await child.end(signal.SIGTERM) == 0
        assert POISON not in sink.told
        assert await command(environ, "parked", "resume", POISON) == "1 resumed\n"
        async with serve(environ) as child:
            await told(sink, POISON)
            assert await child.end(signal.SIGTERM) == 0


async def test_a_push_that_kills_the_process_is_given_up(tmp_path: Path) -> None:
    """Its log says why; those that were under way beside it are told."""
    async with sink_server() as sink:
        environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        poisoned = {**environ, "POISON": f"{POISON}/push"}
        async with serve(poisoned, program=(PROGRAM,)) as child:
            await register_all(child)
            assert await asyncio.wait_for(child.process.wait(), 15) == -signal.SIGKILL
        await dies(poisoned)
        async with serve(poisoned, program=(PROGRAM,)) as child:
            await told(sink, *OTHERS)
            log = json.loads(await command(environ, "webhooks", "log", "--number", POISON, "--json"))
            push = log["pushes"][-1]  # the first of it
            assert push["state"] == "dead"
            assert push["log"][-1]["detail"] == "parked: the process died while it was at work on this"
            assert await child.end(signal.SIGTERM) == 0
