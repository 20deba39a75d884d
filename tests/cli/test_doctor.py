"""``doctor`` on a database that is not as it should be, and what the service says of it."""

import json
import signal
from pathlib import Path

import pytest
from tests.cli.test_commands import run
from tests.postgres import Cluster
from tests.process.child import environment, serve
from tests.process.test_roles import on_schema
from tests.store.test_backup import break_table

pytestmark = pytest.mark.process


async def test_a_damaged_page_is_found_by_doctor_and_told_once_by_the_service(tmp_path: Path) -> None:
    """It is the page of the feed: the rest goes on, but the service is not ready."""
    environ = environment(tmp_path / "data")
    async with serve(environ) as child:
        await child.call("register", [{"number": "SANDBOXJOURNEY1"}])
        await child.end(signal.SIGTERM)
    break_table(tmp_path / "data" / "parcelwire.db", "change_feed")
    code, out, err = await run(environ, "doctor", "--json")
    assert (code, err) == (1, "")
    found = {check["name"]: check for check in json.loads(out)["checks"]}
    assert found["database"]["state"] == "wrong"
    assert "parcelwire restore FILE" in found["database"]["detail"]
    with (tmp_path / "log").open("w+b") as log:
        async with serve(environ, log=log) as child:
            for _ in range(2):
                async with child.session.get(f"{child.url}/api/v1/events") as response:
                    assert response.status == 503
            async with child.session.get(f"{child.url}/readyz") as response:
                assert response.status == 503
        log.seek(0)
        told = [json.loads(line) for line in log]
    (broken,) = [line for line in told if line["event"] == "store_broken"]
    assert "parcelwire restore FILE" in broken["error"]


async def test_a_server_that_may_lose_data_is_a_finding_and_not_a_line_before_the_json(
    cluster: Cluster, tmp_path: Path
) -> None:
    environ = await on_schema(cluster, tmp_path)
    environ["PARCELWIRE_DATABASE"] += "&synchronous_commit=off"
    code, out, err = await run(environ, "doctor", "--json")
    assert code == 0
    (database,) = [check for check in json.loads(out)["checks"] if check["name"] == "database"]
    assert database["state"] == "warning"
    assert "synchronous_commit = off" in database["detail"]
    assert "database_unsafe" in err
