"""``parcelwire carriers import`` and ``parcelwire openapi`` as a person types them."""

import json
from pathlib import Path

import pytest
from aiohttp import web
from tests.cli.test_commands import run
from tests.process.child import environment

pytestmark = pytest.mark.process

LINES = [
    {"key": 777001, "_name": "Skylark", "_country_iso": "DE"},
    {"key": 21051, "_name": "USPS"},
    {"key": 777002, "_name": ""},
]


async def test_a_file_is_imported_with_a_verdict_on_every_line(tmp_path: Path) -> None:
    """Nothing runs and there is no database yet: the list is kept for the first start."""
    file, data = tmp_path / "list.json", tmp_path / "data"
    file.write_text(json.dumps(LINES), encoding="utf-8")
    code, out, err = await run(environment(data), "carriers", "import", str(file))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1 added 777001 Skylark",
        "2 same 21051 USPS",
        "3 refused 777002 -: it has no name",
        "1 added, 0 changed, 1 same, 1 refused",
    ]
    assert [row["key"] for row in json.loads((data / "carriers.json").read_bytes())] == [777001]
    code, out, _ = await run(environment(data), "carriers", "import", str(file), "--json")
    answer = json.loads(out)
    assert (answer["added"], answer["same"], answer["running_service_told"]) == (0, 2, False)


async def test_a_url_is_imported(tmp_path: Path) -> None:
    async def list_(request: web.Request) -> web.Response:
        return web.json_response(LINES) if request.query.get("of") == "all" else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/list.json", list_)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/list.json"
        code, out, _ = await run(environment(tmp_path), "carriers", "import", f"{url}?of=all", "--json")
        assert (code, json.loads(out)["added"]) == (0, 1)
        code, _, err = await run(environment(tmp_path), "carriers", "import", url)
        assert (code, err.strip()) == (1, f"parcelwire: cannot load {url}: HTTP 404")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("text", ["<html>", "{}", ""])
async def test_what_is_no_list_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "list"
    file.write_text(text, encoding="utf-8")
    code, _, err = await run(environment(tmp_path / "data"), "carriers", "import", str(file))
    assert code == 1
    assert "Traceback" not in err
    assert not (tmp_path / "data" / "carriers.json").exists()


async def test_openapi_prints_the_document(tmp_path: Path) -> None:
    code, out, _ = await run(environment(tmp_path), "openapi")
    assert code == 0
    assert json.loads(out)["openapi"] == "3.1.0"
