"""``parcelwire inbox``: what was pushed to us and parked, with a running service and on the file alone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.process.child import environment, serve

from .test_commands import run

pytestmark = pytest.mark.process

TOKEN = "dhl-push-token-of-the-owner"
SECRET = b'{"scope": "subscription.validate", "secret": "\xc3\xa9t\xc3\xa9"}'


async def ask(environ: dict[str, str], *arguments: str) -> Any:
    """The JSON answer of a command that succeeds."""
    code, out, err = await run(environ, "inbox", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


async def parked(environ: dict[str, str], count: int) -> list[dict[str, Any]]:
    """What is parked, as soon as it is so many."""
    rows: list[dict[str, Any]] = []
    for _ in range(20):
        rows = (await ask(environ, "list"))["parked"]
        if len(rows) == count:
            return rows
        await asyncio.sleep(0.1)
    raise AssertionError(rows)


async def test_a_parked_push_is_shown_processed_again_and_dismissed(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_CARRIER_DHL_ALERT_CREDENTIAL=TOKEN)
    async with serve(environ) as child, aiohttp.ClientSession() as session:
        for body in (SECRET, b"<html>"):
            url, headers = f"{child.url}/inbound/dhl", {"dhl-push-token": TOKEN}
            async with session.post(url, data=body, headers=headers) as response:
                assert response.status == 200
        first, second = await parked(environ, 2)
        assert (first["source"], "activate it" in first["why"]) == ("dhl", True)
        assert "not JSON" in second["why"]
        code, out, _ = await run(environ, "inbox", "show", str(first["id"]))
        assert (code, out.encode()) == (0, SECRET)
        assert (await ask(environ, "dismiss", str(first["id"])))["dismissed"] == 1
        assert (await ask(environ, "retry", "--all"))["waiting"] == 1
        assert [row["id"] for row in await parked(environ, 1)] == [second["id"]], "it is no better now"
    code, out, _ = await run(environ, "doctor")
    assert (code, "1 parked: parcelwire inbox list" in out) == (0, True)
    assert (await ask(environ, "dismiss", "--all"))["dismissed"] == 1
    code, out, _ = await run(environ, "inbox", "list")
    assert (code, out) == (0, "nothing is parked\n")


WRONG = (
    (("show", "77"), 1, "there is no push 77"),
    (("show", "x"), 1, "'x' is not the id of a push"),
    (("retry", "77"), 1, "push 77 is not parked"),
    (("retry",), 2, "or --all"),
    (("dismiss", "7", "--all"), 2, "or --all"),
)


async def test_a_wrong_use_is_told_in_a_line(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    async with serve(environ):
        pass
    for arguments, expected, said in WRONG:
        code, _, err = await run(environ, "inbox", *arguments)
        assert (code, said in err, "Traceback" in err) == (expected, True, False), (arguments, err)
