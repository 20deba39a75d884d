"""What anybody may read: the document, its page, the lists of carriers."""

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Client, Starter

from parcelwire.cli.carrierlist import import_list
from parcelwire.domain.errors import ConfigError
from parcelwire.wire.openapi import document
from parcelwire.wire.reference import calls

STRANGER = {"key": 777001, "_name": "Skylark", "_country_iso": "DE", "_url": "https://skylark.example/"}


class Page(HTMLParser):
    """Tags, anchors and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.anchors: list[str] = []
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.anchors.append(str(value))
            if name == "href":
                self.links.add(str(value))


async def read(client: Client, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    async with client.session.request(method, client.url + path) as response:
        return response.status, await response.text(), dict(response.headers)


async def test_the_document_is_served_without_a_key(client: Client) -> None:
    status, text, headers = await read(client, "/openapi.json")
    assert status == 200
    assert json.loads(text) == json.loads(json.dumps(document()))
    assert headers["Content-Type"].startswith("application/json")
    assert (await read(client, "/openapi.json", "HEAD"))[:2] == (200, "")


async def test_other_methods_on_a_page_are_404_with_the_envelope(client: Client) -> None:
    for path in ("/openapi.json", "/docs", "/apicarrier.all.json"):
        status, answer = await client.raw(path)
        assert (status, answer["code"]) == (404, 404)


async def test_the_page_needs_nothing_from_elsewhere_and_no_script(client: Client) -> None:
    """Its policy forbids all but its own style, and the style is the one that the policy names."""
    status, text, headers = await read(client, "/docs")
    assert status == 200
    page = Page(text)
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "form", "object"})
    assert page.attributes <= {"lang", "charset", "name", "content", "href", "id"}
    assert all(link.startswith("#") or link == "/openapi.json" for link in page.links)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = headers["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "url(" not in style
    assert "@import" not in style


async def test_the_page_tells_every_call_and_its_links_lead_somewhere(client: Client) -> None:
    _, text, _ = await read(client, "/docs")
    page = Page(text)
    assert {f"call-{call.name}" for call in calls(document())} <= set(page.anchors)
    assert len(set(page.anchors)) == len(page.anchors)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.anchors)
    assert len(text) < 100_000


async def test_the_page_fits_a_narrow_screen(client: Client) -> None:
    """Columns only where there is room for them, words break, and the width is the screen's."""
    _, text, _ = await read(client, "/docs")
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "overflow-wrap: anywhere" in text
    assert not re.search(r"<table|[^-]width: *[4-9]\d\dpx", text)
    assert text.index("@media (min-width: 40rem)") < text.index("grid-template-columns")


async def test_the_examples_of_the_document_work_one_after_the_other(start: Starter) -> None:
    """Whoever tries them in this order sees each of them accepted."""
    client = await start(PARCELWIRE_FIRST_PLAN="unlimited", PARCELWIRE_SANDBOX_STEP="0.05")
    examples = {call.name: call.example for call in calls(document())}
    order = "register getRealTimeTrackInfo gettracklist changeinfo stoptrack retrack deletetrack"
    for name in order.split():
        answer = await client.call(name, examples[name])
        assert answer["code"] == 0
        assert answer["data"]["rejected"] == []
        assert answer["data"]["accepted"]


async def test_no_call_of_the_document_is_answered_without_a_key(client: Client) -> None:
    """401, and from the eleventh failed login on 429: both are told."""
    posts = [call for call in calls(document()) if call.method == "POST"]
    seen = []
    for call in posts:
        body = json.dumps(call.example).encode()
        status, answer = await client.raw(f"/track/v2.2{call.path}", body, headers={})
        assert answer["data"]["accepted"] == []
        seen.append(status)
    assert seen == [401] * 10 + [429] * (len(posts) - 10)


async def test_the_lists_are_in_17tracks_shape_and_speak_the_book(start: Starter, tmp_path: Path) -> None:
    for book, name in (("reference", "UPS"), ("official", "DHL Express")):
        client = await start(PARCELWIRE_CODE_BOOK=book, PARCELWIRE_DATA=str(tmp_path / book))
        _, text, headers = await read(client, "/apicarrier.all.csv")
        assert headers["Content-Type"].startswith("text/csv")
        by_csv = {row["key"]: row["name_en"] for row in csv.DictReader(text.splitlines())}
        rows: list[dict[str, Any]] = json.loads((await read(client, "/apicarrier.all.json"))[1])
        assert {str(row["key"]): row["_name"] for row in rows} == by_csv
        assert by_csv["100001"] == name


async def test_an_imported_code_is_known_at_once_and_after_a_restart(
    start: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the refusal names the command; after, the shipment says what is missing."""
    client = await start()
    item = [{"number": "QQQQQ99999QQQQQ", "carrier": 777001}]
    (refused,) = (await client.call("register", item))["data"]["rejected"]
    assert refused["error"]["code"] == -18019910
    assert "parcelwire carriers import" in refused["error"]["message"]

    before = (await read(client, "/apicarrier.all.json"))[1]
    file = tmp_path / "list.json"
    file.write_text(json.dumps([STRANGER]), encoding="utf-8")
    await run_import(file, tmp_path, monkeypatch)

    (accepted,) = (await client.call("register", item))["data"]["accepted"]
    assert (accepted["carrier"], accepted["origin"]) == (777001, 2)
    after = (await read(client, "/apicarrier.all.json"))[1]
    assert "Skylark" in after
    assert "Skylark" not in before
    (told,) = (await client.call("gettrackinfo", item))["data"]["rejected"]
    assert told["error"]["code"] == -18019909

    await client.service.stop()
    again = await start()
    assert "Skylark" in (await read(again, "/apicarrier.all.csv"))[1]


async def run_import(source: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, in a thread: it has a loop of its own."""
    import asyncio

    monkeypatch.setenv("PARCELWIRE_DATA", str(data))
    await asyncio.to_thread(import_list, str(source))


async def test_a_list_in_the_data_folder_that_is_none_stops_the_start(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "carriers.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"carriers\.json"):
        await start()
