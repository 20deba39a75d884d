"""What was accepted survives kill -9, and no push id ever has two bodies."""

import asyncio
import random
import signal
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from tests.process.child import Child, environment, serve, sink_server

pytestmark = pytest.mark.process

KILLS = 5
BATCH = 10
DRAIN_S = 25.0


async def register_for_ever(child: Child, accepted: list[str], made: list[int]) -> None:
    """Register whole journeys until the service dies; keep what was acknowledged."""
    while True:
        numbers = [f"SANDBOXJOURNEY{made[0] + index}" for index in range(BATCH)]
        made[0] += BATCH
        data = await child.call("register", [{"number": number} for number in numbers])
        accepted += [item["number"] for item in data["accepted"]]
        await asyncio.sleep(0.05)


async def test_nothing_accepted_is_lost_and_no_id_has_two_bodies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(20261124)
    accepted: list[str] = []
    made = [1]
    async with sink_server(fails=True) as sink:
        environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        for _ in range(KILLS):
            async with serve(environ) as child:
                registering = asyncio.create_task(register_for_ever(child, accepted, made))
                await asyncio.sleep(chance.uniform(0.4, 1.2))
                assert await child.end(signal.SIGKILL) == -signal.SIGKILL
                with suppress(aiohttp.ClientError):
                    await registering
        async with serve(environ) as child:
            for _ in range(int(DRAIN_S / 0.5)):
                if all("Delivered_Other" in sink.told.get(number, ()) for number in accepted):
                    break
                await asyncio.sleep(0.5)
            missing = []
            for begin in range(0, len(accepted), 40):
                items = [{"number": number} for number in accepted[begin : begin + 40]]
                data = await child.call("gettrackinfo", items)
                missing += [item["number"] for item in data["rejected"] if item["error"]["code"] == -18019902]
            used = (await child.call("getquota"))["quota_used"]
            assert await child.end(signal.SIGTERM) == 0
    two_bodies = [push for push, bodies in sink.bodies.items() if len(bodies) > 1]
    undelivered = [number for number in accepted if "Delivered_Other" not in sink.told.get(number, ())]
    with capsys.disabled():
        print(
            f"\n  kill -9 x {KILLS}: {len(accepted)} accepted, missing {len(missing)}, not followed to the "
            f"end {len(undelivered)}; {len(sink.bodies)} pushes, ids with two bodies {len(two_bodies)}, "
            f"forged {sink.forged}; quota {used} of at most {made[0] - 1} tried"
        )
    assert accepted
    assert missing == []
    assert undelivered == []
    assert two_bodies == []
    assert sink.forged == 0
    assert len(accepted) <= used < made[0], "charged once each; a call that died may have been committed"


async def test_a_closed_terminal_ends_the_service_in_good_order_and_nohup_keeps_it(tmp_path: Path) -> None:
    """SIGHUP is like SIGTERM, unless whoever started the service wants it ignored."""
    terminal, nohup = (
        f"import os, signal, sys; signal.signal(signal.SIGHUP, signal.{way}); "
        "os.execv(sys.executable, [sys.executable, '-m', 'parcelwire', 'serve'])"
        for way in ("SIG_DFL", "SIG_IGN")
    )
    with (tmp_path / "log").open("w+b") as log:
        async with serve(environment(tmp_path / "data"), program=("-c", terminal), log=log) as child:
            assert await child.end(signal.SIGHUP) == 0
        log.seek(0)
        assert b'"event":"stopped"' in log.read()
    async with serve(environment(tmp_path / "data"), program=("-c", nohup)) as child:
        child.process.send_signal(signal.SIGHUP)
        assert (await child.call("getquota"))["quota_used"] == 0
        assert await child.end(signal.SIGTERM) == 0


async def test_sigterm_ends_cleanly_and_repeats_nothing_acknowledged(tmp_path: Path) -> None:
    async with sink_server() as sink:
        environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        for turn in range(3):
            async with serve(environ) as child:
                numbers = [{"number": f"SANDBOXJOURNEY{turn}{index}"} for index in range(10)]
                assert len((await child.call("register", numbers))["accepted"]) == 10
                await asyncio.sleep(0.7)
                assert await child.end(signal.SIGTERM) == 0
    assert sink.accepted
    assert {push: count for push, count in sink.accepted.items() if count > 1} == {}
