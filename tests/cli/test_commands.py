"""Commands as a person types them: exit codes, one line that helps, no secrets."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from tests.process.child import KEY, environment, serve

pytestmark = pytest.mark.process


async def run(environ: dict[str, str], *arguments: str, seconds: float = 30) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command, which may take so long."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parcelwire", *arguments, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def everything_in(folder: Path) -> bytes:
    """All bytes of all files."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def modes_in(folder: Path) -> dict[str, int]:
    """What others may do with each file."""
    return {file.name: file.stat().st_mode & 0o077 for file in folder.iterdir()}


async def test_a_second_service_on_the_same_data_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    """Also when both want the same port: that is the lesser trouble."""
    environ = environment(tmp_path)
    async with serve(environ) as child:
        same = environ | {"PARCELWIRE_LISTEN": child.url.removeprefix("http://")}
        code, _, err = await run(same, "serve")
        assert code == 2
        assert f"another process (pid {child.process.pid}) uses" in err


async def test_a_taken_port_is_named_with_the_setting_that_moves_it(tmp_path: Path) -> None:
    async with serve(environment(tmp_path / "one")) as child:
        address = child.url.removeprefix("http://")
        code, _, err = await run(environment(tmp_path / "two", PARCELWIRE_LISTEN=address), "serve")
    assert code == 2
    assert address in err
    assert "PARCELWIRE_LISTEN" in err
    assert "Traceback" not in err


async def test_a_second_process_on_the_file_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    async with serve(environment(tmp_path)) as child:
        code, _, err = await run(environment(tmp_path), "serve")
        assert code == 2
        assert f"pid {child.process.pid}" in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARCELWIRE_LISTEN", "nowhere"),
        ("PARCELWIRE_FIRST_PLAN", "gold"),
        ("PARCELWIRE_PUSH_SCHEDULE", "soon"),
        ("PARCELWIRE_CODE_BOOK", "mine"),
        ("PARCELWIRE_EGRESS_ALLOW", "10.0.0.0/99"),
        ("PARCELWIRE_WEBHOOK_SECRET", "whsec_!"),
        ("PARCELWIRE_SECRET_KEY", "short"),
        ("PARCELWIRE_FIRST_KEY_FILE", "/no/such/file"),
        ("PARCELWIRE_CARRIER_DHL_URL", "api"),
        ("PARCELWIRE_WEBHOOK_URL", "https://10.0.0.1/hook"),
    ],
)
async def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path, name: str, value: str) -> None:
    environ = environment(tmp_path, **{name: value})
    if name.endswith("_FILE"):
        del environ[name.removesuffix("_FILE")]
    code, _, err = await run(environ, "serve")
    assert code == 2
    assert name in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


async def test_config_show_says_where_values_come_from_and_hides_secrets(tmp_path: Path) -> None:
    toml = tmp_path / "parcelwire.toml"
    toml.write_text('rate_limit = 7\n[carrier.dhl]\napi_key = "CANARY-DHL"\n', encoding="utf-8")
    environ = environment(tmp_path, PARCELWIRE_CONFIG=str(toml), PARCELWIRE_TYPO="1")
    del environ["PARCELWIRE_RATE_LIMIT"]
    code, out, _ = await run(environ, "config", "show", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)["settings"]}
    assert rows["PARCELWIRE_RATE_LIMIT"] == {
        "name": "PARCELWIRE_RATE_LIMIT",
        "value": "7.0",
        "from": str(toml),
    }
    assert rows["PARCELWIRE_CARRIER_DHL_API_KEY"]["value"] == "(hidden)"
    assert rows["PARCELWIRE_TYPO"]["from"] == "not a setting: ignored"
    assert "CANARY" not in out
    assert KEY not in out


async def test_the_first_start_prints_key_and_plan_once_and_stores_neither_in_clear(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    del environ["PARCELWIRE_FIRST_KEY"]
    environ["PARCELWIRE_FIRST_PLAN"] = "free"
    async with serve(environ) as child:
        assert child.process.stdout is not None
        lines = [(await child.process.stdout.readline()).decode() for _ in range(3)]
        key = lines[1].split()[-1]
        assert "plan: free, 100" in lines[2]
        async with child.session.post(
            f"{child.url}/track/v2.2/getquota", headers={"17token": key}
        ) as response:
            assert (await response.json())["data"]["quota_total"] == 100
    stored = await asyncio.to_thread(everything_in, tmp_path)
    assert key.encode() not in stored
    async with (
        serve(environ) as child,
        child.session.post(f"{child.url}/track/v2.2/getquota", headers={"17token": key}) as response,
    ):
        assert response.status == 200


async def test_a_start_that_makes_the_receiver_prints_its_secret_once(tmp_path: Path) -> None:
    """Whether it is the first start or not; a start that finds the receiver prints nothing of the kind."""
    told = "secret of webhook-signature, shown only now: whsec_"
    plain = environment(tmp_path)
    del plain["PARCELWIRE_WEBHOOK_SECRET"]
    hooked = plain | {"PARCELWIRE_WEBHOOK_URL": "http://127.0.0.1:9/hook"}
    printed = []
    for environ in (plain, hooked, hooked):
        async with serve(environ) as child:
            assert child.process.stdout is not None
            await child.end(signal.SIGTERM)
            printed.append((await child.process.stdout.read()).decode().count(told))
    assert printed == [0, 1, 0]


async def test_owner_commands_work_with_and_without_a_running_service(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_SANDBOX_STEP="3600")
    async with serve(environ) as child:
        await child.call("register", [{"number": "SANDBOXJOURNEY"}])
        code, out, _ = await run(environ, "accounts", "plan", "250", "--json")
        assert (code, json.loads(out)["quota_total"]) == (0, 250)
        assert (await child.call("getquota"))["quota_total"] == 250
        code, _, _ = await run(environ, "sandbox", "advance", "SANDBOXJOURNEY", "--steps", "2")
        assert code == 0
        status = ""
        for _ in range(100):
            data = await child.call("gettrackinfo", [{"number": "SANDBOXJOURNEY"}])
            status = (
                data["accepted"][0]["track_info"]["latest_status"]["sub_status"] if data["accepted"] else ""
            )
            if status == "InTransit_Departure":
                break
            await asyncio.sleep(0.05)
        assert status == "InTransit_Departure"
        code, out, _ = await run(environ, "explain", "SANDBOXJOURNEY")
        assert code == 0
        assert "InTransit_Departure" in out
        assert "next refresh" in out
        code, _, err = await run(environ, "sandbox", "advance", "SANDBOXNOBODY")
        assert code == 1
        assert "SANDBOXNOBODY" in err
    code, out, _ = await run(environ, "accounts", "list", "--json")
    assert code == 0
    (account,) = json.loads(out)["accounts"]
    assert (account["name"], account["plan"]) == ("main", "250")
    assert (account["quota_total"], account["quota_used"]) == (250, 1)


async def test_track_asks_once_without_a_server_and_keeps_nothing(tmp_path: Path) -> None:
    environ = environment(tmp_path / "unused")
    code, out, _ = await run(environ, "track", "SANDBOXDELIVERED", "--json")
    assert code == 0
    item = json.loads(out)
    assert item["track_info"]["latest_status"]["status"] == "Delivered"
    assert not (tmp_path / "unused").exists()
    code, _, err = await run(environ, "track", "122816215025810")
    assert code == 2
    assert "PARCELWIRE_CARRIER_FEDEX_CLIENT_ID" in err
    code, _, err = await run(environ, "track", "SANDBOXAUTH")
    assert code == 1
    assert "Traceback" not in err


async def test_a_first_start_that_fails_leaves_the_key_for_the_next_one(tmp_path: Path) -> None:
    """The key is shown once: so a wrong webhook or a taken port must come before it is made."""
    environ = environment(tmp_path)
    del environ["PARCELWIRE_FIRST_KEY"]
    async with serve(environment(tmp_path / "other")) as other:
        taken = other.url.removeprefix("http://")
        assert (await run(environ | {"PARCELWIRE_LISTEN": taken}, "serve"))[0] == 2
    assert (await run(environ | {"PARCELWIRE_WEBHOOK_URL": "https://10.0.0.1/hook"}, "serve"))[0] == 2
    async with serve(environ) as child:
        assert child.process.stdout is not None
        lines = [(await child.process.stdout.readline()).decode() for _ in range(2)]
    assert "shown only now" in lines[1]


async def test_the_database_is_nobody_elses_to_read(tmp_path: Path) -> None:
    async with serve(environment(tmp_path)):
        modes = modes_in(tmp_path)
    assert {name: mode for name, mode in modes.items() if mode and not name.endswith(".lock")} == {}


async def test_a_running_service_is_backed_up_and_put_back_after_its_end(tmp_path: Path) -> None:
    """The key is named, and is not in the backup; a service that runs is left alone."""
    environ, copy = environment(tmp_path / "data"), tmp_path / "copy.db"
    async with serve(environ) as child:
        await child.call("register", [{"number": "SANDBOXJOURNEY1"}])
        code, out, err = await run(environ, "backup", str(copy))
        assert (code, err) == (0, "")
        assert str(tmp_path / "data" / "secret.key") in out
        key = (tmp_path / "data" / "secret.key").read_text().strip()
        assert bytes.fromhex(key) not in copy.read_bytes()
        assert key.encode() not in copy.read_bytes()
        code, _, err = await run(environ, "restore", str(copy))
        assert code == 2
        assert "another process" in err
    (tmp_path / "data" / "parcelwire.db").write_bytes(b"broken" * 1000)
    code, out, err = await run(environ, "restore", str(copy))
    assert (code, err) == (0, "")
    assert "parcelwire.db.replaced-1" in out
    async with serve(environ) as child:
        data = await child.call("gettrackinfo", [{"number": "SANDBOXJOURNEY1"}])
        assert [item["error"]["code"] for item in data["rejected"]] != [-18019902]
