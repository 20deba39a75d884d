"""One service in several processes on one PostgreSQL: some answer calls, some do the rest."""

import asyncio
import signal
from itertools import count
from pathlib import Path

import pytest
from tests.cli.test_commands import run
from tests.postgres import Cluster, make_schema
from tests.process.child import Child, environment, serve, sink_server, worker

pytestmark = pytest.mark.process

SECRET_KEY = "5a" * 32
JOURNEYS = 12
DONE_S = 75.0  # what a killed worker was pushing is due again after its lease: 31 s
_schemas = count(1)


async def on_schema(cluster: Cluster, folder: Path, **settings: str) -> dict[str, str]:
    """Environment of processes on a new schema."""
    dsn = await make_schema(cluster, f"roles_{next(_schemas)}")
    return environment(
        folder, PARCELWIRE_DATABASE=dsn, PARCELWIRE_SECRET_KEY=SECRET_KEY,
        PARCELWIRE_LEASE_SECONDS="2", PARCELWIRE_PUSH_TIMEOUT="1", **settings,
    )  # fmt: skip


async def numbers_of(child: Child, first: int) -> list[str]:
    numbers = [f"SANDBOXJOURNEY{first + n}" for n in range(JOURNEYS)]
    data = await child.call("register", [{"number": number} for number in numbers])
    assert len(data["accepted"]) == JOURNEYS
    return numbers


async def test_workers_finish_what_two_apis_took_and_a_killed_one_loses_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with sink_server(fails=True) as sink:
        environ = await on_schema(cluster, tmp_path / "one", PARCELWIRE_WEBHOOK_URL=sink.url)
        second = environ | {"PARCELWIRE_DATA": str(tmp_path / "two")}
        async with serve(environ, "--role", "api") as one, serve(second, "--role", "api") as two:
            numbers = await numbers_of(one, 100)
            async with worker(second) as first, worker(environ):
                numbers += await numbers_of(two, 200)
                await asyncio.sleep(1.0)
                first.send_signal(signal.SIGKILL)
                for _ in range(int(DONE_S / 0.25)):
                    if all("Delivered_Other" in sink.told.get(number, ()) for number in numbers):
                        break
                    await asyncio.sleep(0.25)
            (quota_one, quota_two) = [(await child.call("getquota"))["quota_used"] for child in (one, two)]
            assert await one.end(signal.SIGTERM) == 0
            assert await two.end(signal.SIGTERM) == 0
    assert [number for number in numbers if "Delivered_Other" not in sink.told.get(number, ())] == []
    assert [push for push, bodies in sink.bodies.items() if len(bodies) > 1] == []
    assert sink.forged == 0
    assert quota_one == quota_two == len(numbers)


async def test_an_api_alone_asks_nobody(cluster: Cluster, tmp_path: Path) -> None:
    environ = await on_schema(cluster, tmp_path)
    async with serve(environ, "--role", "api") as child:
        (number, *_) = await numbers_of(child, 300)
        await asyncio.sleep(1.5)
        code, out, _ = await run(environ, "explain", number, "--json")
        assert code == 0
        assert '"refreshes": []' in out
        assert await child.end(signal.SIGTERM) == 0
    code, out, _ = await run(environ, "accounts", "list")  # no service runs: straight from the database
    assert code == 0
    assert f"{JOURNEYS} of" in out


async def test_a_part_of_a_service_needs_a_server(tmp_path: Path) -> None:
    for role in ("api", "worker"):
        code, _, err = await run(environment(tmp_path), "serve", "--role", role)
        assert code == 2
        assert "PARCELWIRE_DATABASE" in err
        assert len(err.strip().splitlines()) == 1


async def test_a_process_with_another_key_is_refused_and_leaves_none_behind(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The first process makes a key where none is given; a second one elsewhere must be given it."""
    environ = await on_schema(cluster, tmp_path / "one")
    del environ["PARCELWIRE_SECRET_KEY"]
    second = environ | {"PARCELWIRE_DATA": str(tmp_path / "two")}
    async with serve(environ) as child:
        code, _, err = await run(second, "serve")
        assert code == 2
        assert "PARCELWIRE_SECRET_KEY" in err
        assert not (tmp_path / "two" / "secret.key").exists()
        assert await child.end(signal.SIGTERM) == 0
    async with serve(environ) as child:  # and the first one finds its own again
        assert await child.end(signal.SIGTERM) == 0


async def test_the_password_of_the_database_is_never_shown(tmp_path: Path) -> None:
    environ = environment(
        tmp_path, PARCELWIRE_DATABASE="postgresql://me:CANARY@127.0.0.1:1/db?password=CANARY"
    )
    code, out, err = await run(environ, "config", "show", "--json")
    assert code == 0
    assert "postgresql://me:***@127.0.0.1:1/db?password=***" in out
    assert "CANARY" not in out + err
    code, out, err = await run(environ, "serve")
    assert code == 2
    assert "CANARY" not in out + err


async def test_a_service_moves_to_a_server(cluster: Cluster, tmp_path: Path) -> None:
    """Journeys that began on the file end on the server, each told once."""
    async with sink_server() as sink:
        file = environment(tmp_path, PARCELWIRE_WEBHOOK_URL=sink.url)
        async with serve(file) as child:
            numbers = await numbers_of(child, 400)
            await asyncio.sleep(0.7)
            assert await child.end(signal.SIGTERM) == 0
        dsn = await make_schema(cluster, f"roles_{next(_schemas)}")
        code, out, err = await run(file, "migrate-store", str(tmp_path / "parcelwire.db"), dsn, "--json")
        assert code == 0, err
        assert f'"shipment": {JOURNEYS}' in out
        async with serve(file | {"PARCELWIRE_DATABASE": dsn}) as child:
            for _ in range(int(DONE_S / 0.25)):
                if all("Delivered_Other" in sink.told.get(number, ()) for number in numbers):
                    break
                await asyncio.sleep(0.25)
            assert (await child.call("getquota"))["quota_used"] == JOURNEYS
            _, out, _ = await run(file | {"PARCELWIRE_DATABASE": dsn}, "audit", "list")
            assert "cli  migrate-store  database" in out
            assert await child.end(signal.SIGTERM) == 0
    assert [number for number in numbers if "Delivered_Other" not in sink.told.get(number, ())] == []
    assert {push: count for push, count in sink.accepted.items() if count > 1} == {}
    code, _, err = await run(file, "migrate-store", str(tmp_path / "nowhere.db"), dsn)
    assert code == 2
    assert "there is no database" in err
