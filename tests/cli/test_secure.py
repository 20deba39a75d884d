"""``audit`` and ``secrets`` as the owner types them, beside a running service and without one."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.cli.test_accounts import quota_status
from tests.cli.test_commands import everything_in, run
from tests.process.child import KEY, Child, environment, serve

from parcelwire.domain.endpoint import NewEndpoint
from parcelwire.store.keyfile import KeyFile
from parcelwire.store.sqlite import SqliteStore
from parcelwire.store.vault import Vault

pytestmark = pytest.mark.process

ENDPOINTS = 1500


async def asked(environ: dict[str, str], *arguments: str) -> dict[str, object]:
    """The JSON of a command that did well."""
    code, out, err = await run(environ, *arguments, "--json")
    assert code == 0, err
    answer: dict[str, object] = json.loads(out)
    return answer


async def test_changes_are_listed_and_a_tampered_record_makes_verify_fail(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL="http://127.0.0.1:9/hook")
    async with serve(environ):
        await run(environ, "accounts", "plan", "500")
        await run(environ, "accounts", "add", "depot")
        code, out, _ = await run(environ, "audit", "list")
        assert code == 0
        lines = [line.split("  ", 1)[1] for line in out.splitlines()]
        assert lines == [
            "main 1  service  account.add  account main",
            "main 2  service  webhook.set  webhook of the settings (url, secret)",
            "main 3  cli  account.plan  account main (plan, quota_total)",
            "depot 1  cli  account.add  account depot",
        ]
        assert (await asked(environ, "audit", "verify"))["whole"] is True
    with closing(sqlite3.connect(tmp_path / "parcelwire.db")) as connection:
        connection.execute("DROP TRIGGER audit_unchanged")
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 3")
        connection.commit()
    code, out, _ = await run(environ, "audit", "verify")
    assert code == 1
    assert "main: BROKEN: record 3 was changed, 3 records" in out
    assert "depot: whole, 1 records, mark " in out


async def test_a_start_with_the_same_settings_changes_and_records_nothing(tmp_path: Path) -> None:
    environ = environment(
        tmp_path, PARCELWIRE_WEBHOOK_URL="http://127.0.0.1:9/hook", PARCELWIRE_WEBHOOK_SIGN_KEY="sign-key-1"
    )
    for _ in range(3):
        async with serve(environ) as child:
            await child.end(signal.SIGTERM)
    _, out, _ = await run(environ, "audit", "list")
    assert len(out.splitlines()) == 2


async def test_the_key_is_replaced_while_the_service_runs(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_WEBHOOK_URL="http://127.0.0.1:9/hook")
    key_file = tmp_path / "secret.key"
    async with serve(environ) as child:
        old = key_file.read_text().strip()
        rotate = environ, "secrets", "rotate"
        assert await asked(*rotate) == {"new_key": True, "encrypted_again": 3, "keys": 2}
        assert await asked(*rotate) == {"new_key": False, "encrypted_again": 0, "keys": 2}
        assert await asked(*rotate, "--finish") == {
            "encrypted_again": 0,
            "keys_forgotten": 1,
            "keys_unused": 0,
        }
        new = key_file.read_text().strip()
        assert (len(new), new == old, key_file.stat().st_mode & 0o777) == (64, False, 0o600)
        assert await quota_status(child.url, KEY) == 200
        everything = await asyncio.to_thread(everything_in, tmp_path)
    assert old.encode() not in everything  # and keys were never in the database
    assert bytes.fromhex(old) not in everything
    async with serve(environ) as child:
        assert await quota_status(child.url, KEY) == 200


async def test_a_backup_from_before_is_refused_by_the_new_key_alone_and_restored_with_both(
    tmp_path: Path,
) -> None:
    environ = environment(tmp_path / "data", PARCELWIRE_WEBHOOK_URL="http://127.0.0.1:9/hook")
    copy = str(tmp_path / "copy.db")
    keys = KeyFile(tmp_path / "data" / "secret.key", lambda count: b"n" * count)
    async with serve(environ) as child:
        await run(environ, "backup", copy)
        await child.end(signal.SIGTERM)
    keys.add()
    new, old = keys.read()
    keys.forget_older()
    code, _, err = await run(environ, "restore", copy)
    assert (code, "another secret key" in err, "<new>,<old>" in err) == (2, True, True)
    both = environ | {"PARCELWIRE_SECRET_KEY": f"{new.hex()},{old.hex()}"}
    assert (await run(both, "restore", copy))[0] == 0
    async with serve(both):
        assert (await asked(both, "secrets", "rotate"))["encrypted_again"] == 3
        code, out, _ = await run(both, "secrets", "rotate", "--finish")
        assert (code, "take them out of PARCELWIRE_SECRET_KEY" in out) == (0, True)
    async with serve(environ) as child:
        assert await quota_status(child.url, KEY) == 200
        _, out, _ = await run(environ, "audit", "list")
        assert "cli  restore  database" in out
        assert (await run(environ, "audit", "verify"))[0] == 0


async def test_a_key_of_the_settings_is_not_replaced_behind_the_operators_back(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_SECRET_KEY="ab" * 32)
    async with serve(environ):
        code, _, err = await run(environ, "secrets", "rotate")
    assert (code, "put a new one before it" in err) == (1, True)
    assert not (tmp_path / "secret.key").exists()


async def test_a_rotation_that_is_killed_goes_on_after_the_next_start(tmp_path: Path) -> None:
    """Whenever the process dies, everything stays readable; the command is just given again."""
    environ = environment(tmp_path)
    await with_endpoints(environ, tmp_path)
    async with serve(environ) as child:
        rotating = asyncio.create_task(run(environ, "secrets", "rotate", "--json"))
        await kill_when_there_are_two_keys(child, tmp_path / "secret.key")
        await rotating
    async with serve(environ) as child:
        assert await quota_status(child.url, KEY) == 200
        listed = await asked(environ, "webhooks", "list")
        assert len(listed["webhooks"]) == ENDPOINTS  # type: ignore[arg-type]
        answer = await asked(environ, "secrets", "rotate")
        assert answer["new_key"] is False
        assert (await asked(environ, "secrets", "rotate", "--finish"))["keys_forgotten"] == 1
        assert (await asked(environ, "audit", "verify"))["whole"] is True
    async with serve(environ) as child:
        assert await quota_status(child.url, KEY) == 200
        assert len((await asked(environ, "webhooks", "list"))["webhooks"]) == ENDPOINTS  # type: ignore[arg-type]


async def with_endpoints(environ: dict[str, str], folder: Path) -> None:
    """So many that to encrypt their secrets again takes a while."""
    async with serve(environ) as child:
        await child.end(signal.SIGTERM)
    keys = KeyFile(folder / "secret.key", bytes)
    store = await SqliteStore.open(folder / "parcelwire.db", Vault(keys.read, Random(1).randbytes))
    (account,) = await store.accounts()
    new = NewEndpoint("https://shop.example/hook", "whsec_c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5")
    await asyncio.gather(*(store.add_endpoint(account.id, new) for _ in range(ENDPOINTS)))
    await store.close()


async def kill_when_there_are_two_keys(child: Child, key_file: Path) -> None:
    while len(await asyncio.to_thread(key_file.read_text)) < 100:  # noqa: ASYNC110  another process writes it
        await asyncio.sleep(0.001)
    await child.end(signal.SIGKILL)


async def test_doctor_tells_of_misspelt_settings_and_of_quota_that_does_not_add_up(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_CARRIER_DHL_APIKEY="x")
    async with serve(environ) as child:
        await child.call("register", [{"number": "SANDBOXJOURNEY1"}])
        code, out, _ = await run(environ, "doctor", "--ledger")
        assert code == 0
        nearest = "PARCELWIRE_CARRIER_DHL_APIKEY is not a setting, PARCELWIRE_CARRIER_DHL_API_KEY is"
        assert f"warning  settings: {nearest}\n" in out
        assert "ok       quota: every counter is the sum of its entries\n" in out
    with closing(sqlite3.connect(tmp_path / "parcelwire.db")) as connection:
        connection.execute("UPDATE quota_used SET units = 5")
        connection.commit()
    assert (await run(environ, "doctor"))[0] == 0
    code, out, _ = await run(environ, "doctor", "--ledger")
    assert code == 1
    assert "wrong    quota: main in " in out
