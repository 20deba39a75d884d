"""``parcelwire carriers``: list, test, record, parse and stand-in as a person types them."""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from tests.carriers.recordings import HERE, recordings
from tests.process.child import environment
from typer.testing import CliRunner, Result

from parcelwire.carriers import carriers
from parcelwire.cli.main import app

SLUGS = [slug for slug in carriers() if slug != "sandbox"]
KEYS = {
    "number", "carrier", "status", "sub_status", "sub_status_descr", "events", "latest_event_utc",
    "delivered_utc", "milestone", "estimated_delivery", "outcome",
}  # fmt: skip
EVENT_KEYS = {"time_utc", "time_iso", "time_raw", "description", "location", "stage", "sub_status"}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings of whoever runs the tests do not count."""
    monkeypatch.setattr("os.environ", environment(tmp_path))


def carriers_command(*words: str) -> Result:
    return CliRunner().invoke(app, ["carriers", *words])


def parsed(slug: str, file: Path, number: str, *words: str) -> dict[str, Any]:
    result = carriers_command("parse", slug, str(file), "--number", number, "--json", *words)
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = json.loads(result.stdout)
    return shown


@pytest.mark.parametrize("slug", SLUGS)
def test_parse_agrees_with_the_index_of_the_recordings(slug: str) -> None:
    """For every recording of every carrier: exactly the documented keys, and what the index expects."""
    for sample in recordings(carriers()[slug]):
        if sample.token:
            continue
        for row in sample.rows:
            shown = parsed(slug, sample.path, row["number"], "--status", str(sample.http_status))
            assert shown.keys() == KEYS
            assert all(event.keys() == EVENT_KEYS for event in shown["events"])
            if "status" in row:
                expected = (row["status"], row["sub_status"], row["events"], row["latest_event_utc"])
                found = (
                    shown["status"], shown["sub_status"], len(shown["events"]), shown["latest_event_utc"],
                )  # fmt: skip
                assert found == expected, sample
                assert shown["delivered_utc"] == row["delivered_utc"], sample
            elif "error" in row:
                assert shown["outcome"] not in ("report", "not_found"), sample
                assert shown["status"] is None, sample


def test_parse_takes_a_dashed_slug_and_says_what_is_wrong_otherwise(tmp_path: Path) -> None:
    file = HERE / "china_post" / "not_found.json"
    assert parsed("china-post", file, "EA000000000CN")["carrier"] == "china_post"
    assert carriers_command("parse", "nobody", str(file), "--number", "1").exit_code == 2
    assert carriers_command("parse", "dhl", str(tmp_path / "no"), "--number", "1").exit_code == 2
    assert carriers_command("parse", "dhl", str(file), "--number", "1", "--now", "noon").exit_code == 2


def test_list_shows_every_carrier_file_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret is shown; the missing setting is named."""
    monkeypatch.setenv("PARCELWIRE_CARRIER_DHL_API_KEY", "do-not-show-me")
    result = carriers_command("list", "--json")
    rows = {row["slug"]: row for row in json.loads(result.stdout)["carriers"]}
    assert rows.keys() == carriers().keys()
    assert rows["dhl"]["credentials"] == "set"
    assert rows["sandbox"]["credentials"] == "none needed"
    assert rows["fedex"]["missing"][0] == "PARCELWIRE_CARRIER_FEDEX_CLIENT_ID"
    assert rows["fedex"]["batch"] == carriers()["fedex"].batch
    assert "do-not-show-me" not in result.output + carriers_command("list").output


def test_a_test_without_credentials_names_them() -> None:
    result = carriers_command("test", "ups", "1Z0000000000000000")
    assert result.exit_code == 2
    assert "PARCELWIRE_CARRIER_UPS_CLIENT_SECRET" in result.stderr


@contextmanager
def standing_in(folder: Path, slug: str, *words: str) -> Iterator[Mapping[str, str]]:
    """A stand-in as its own process, and the settings that it printed."""
    command = [sys.executable, "-u", "-m", "parcelwire", "carriers", "stand-in", slug, *words]
    with Popen(command, env=environment(folder), stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline().strip() for _ in range(1 + len(carriers()[slug].secrets))]
        try:
            yield dict(line.split("=", 1) for line in printed)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0


@pytest.mark.process
@pytest.mark.parametrize("slug", ["fedex", "ups", "china_post"])
def test_a_stand_in_answers_with_what_it_printed(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``test`` against it succeeds, and ``record`` saves a reply with its row and without the credential."""
    number = next(row["number"] for s in recordings(carriers()[slug]) for row in s.rows)
    with standing_in(tmp_path, slug, "--step", "0.01") as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert carriers_command("test", slug, number).exit_code == 0
        result = carriers_command("test", slug, number, "--json")
        folder = tmp_path / "recorded"
        recorded = carriers_command("record", slug, number, "--to", str(folder))
    row = json.loads(result.stdout)
    assert (row["outcome"], row["http_status"][-1]) == ("report", 200)
    assert row["sub_status"]
    assert recorded.exit_code == 0
    assert "taken out" in recorded.stdout
    (entry,) = json.loads((folder / "index.json").read_text())
    assert entry["numbers"][0]["events"] > 0
    kept = (folder / entry["file"]).read_text()
    assert number in kept
    assert not any(value in kept for value in settings.values() if len(value) > 3)


@pytest.mark.process
async def test_a_silent_carrier_is_a_failed_test(monkeypatch: pytest.MonkeyPatch) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("PARCELWIRE_CARRIER_DHL_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("PARCELWIRE_CARRIER_DHL_API_KEY", "any")
        result = await asyncio.to_thread(carriers_command, "test", "dhl", "4100000012", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["outcome"] == "unavailable"
