"""``parcelwire upstream quota``, as a person types it."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.process.child import environment, serve

pytestmark = pytest.mark.process
TOKEN = "UPSTREAM-TOKEN-CANARY"


async def run(environ: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parcelwire", *arguments, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_ledger_is_shown_to_people_and_to_programs(tmp_path: Path) -> None:
    environ = environment(
        tmp_path,
        PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN=TOKEN,
        PARCELWIRE_CARRIER_SEVENTEENTRACK_CAP="7",
        PARCELWIRE_CARRIER_SEVENTEENTRACK_URL="inprocess:nobody",
    )
    async with serve(environ):
        code, out, err = await run(environ, "upstream", "quota")
        assert (code, err) == (0, "")
        assert "spent this month: 0 of 7 units" in out
        assert "saved this month: 0 registrations, 0 questions" in out
        code, out, _ = await run(environ, "upstream", "quota", "--json")
    assert code == 0
    assert json.loads(out)["spent"]["left"] == 7
    assert TOKEN not in out


async def test_without_a_token_the_setting_is_named(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    async with serve(environ):
        code, _, err = await run(environ, "upstream", "quota")
    assert code == 1
    assert "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN" in err
