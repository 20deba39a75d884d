"""Accounts and keys as the owner types them, beside a running service."""

import json
from pathlib import Path

import aiohttp
import pytest
from tests.cli.test_commands import everything_in, run
from tests.process.child import KEY, environment, serve

pytestmark = pytest.mark.process


async def quota_status(url: str, key: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/track/v2.2/getquota", headers={"17token": key}) as response,
    ):
        return response.status


async def test_a_lost_key_is_replaced_and_an_account_added_while_the_service_runs(tmp_path: Path) -> None:
    """The new key is shown once; listings show its first characters only; the database never holds it."""
    environ = environment(tmp_path)
    async with serve(environ) as child:
        code, out, _ = await run(environ, "keys", "add", "--json")
        new = json.loads(out)["login_key"]
        assert (code, await quota_status(child.url, new)) == (0, 200)
        code, _, err = await run(environ, "keys", "add")
        assert (code, "revoke one first" in err) == (1, True)
        code, _, err = await run(environ, "keys", "revoke", KEY[:8])
        assert (code, "signs the webhooks of main" in err, "keys add --sign" in err) == (1, True, True)
        assert (await run(environ, "keys", "revoke", KEY[:8], "--force"))[0] == 0
        code, out, _ = await run(environ, "keys", "list")
        _, old_line, new_line = out.splitlines()
        assert old_line.startswith(f"{KEY[:8]}...")
        assert "revoked" in old_line
        assert old_line.endswith(", signs webhooks")
        assert new_line.endswith(", live")
        assert new not in out
        code, out, _ = await run(
            environ, "accounts", "add", "second", "--plan", "5", "--daily", "2", "--json"
        )
        second = json.loads(out)
        assert (second["quota_total"], second["daily"]) == (5, 2)
        assert await quota_status(child.url, second["login_key"]) == 200
        assert (await run(environ, "accounts", "suspend", "second"))[0] == 0
        _, out, _ = await run(environ, "accounts", "list")
        assert "second: plan 5, 0 of 5 used this month, at most 2 registrations a day, suspended" in out
    assert (await run(environ, "accounts", "resume", "second"))[0] == 0  # on the file, without a service
    _, out, _ = await run(environ, "accounts", "allow", "10.0.0.0/8", "--account", "second")
    assert "only from 10.0.0.0/8" in out
    assert "suspended" not in out
    everything = everything_in(tmp_path)
    assert new.encode() not in everything
    assert second["login_key"].encode() not in everything
