"""The running service keeps what its OpenAPI document promises: schemathesis over the whole document."""

import asyncio
import json
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.closing import closed

from parcelwire.app import Service, settings_from
from parcelwire.wire.openapi import KEY_HEADER, document

KEY = "TESTKEY0123456789"
# Left out: 17TRACK answers 200 to a bad body (negative_data_rejection) and 404 to another method
# (unsupported_method); what a bad body gets is looked at here. Ten failed logins are all that an address has
# in a minute, so calls without a key (ignored_auth) are counted in test_pages.py.
CHECKS: list[Any] = [
    not_a_server_error,
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CASES = {
    GenerationMode.POSITIVE: 40,
    GenerationMode.NEGATIVE: 25,
}  # of each call
KNOWN = ["SANDBOXJOURNEY", "SANDBOXDELIVERED", "SANDBOXUNICODE", "SANDBOXMANY", "SANDBOXNOTFOUND"]


def known_numbers(api: dict[str, Any]) -> dict[str, Any]:
    """Many of the generated numbers are registered, or can be, so that answers have something to show."""
    for name, schema in api["components"]["schemas"].items():
        if name.endswith("Item") and name not in ("ListedItem", "ListItem"):
            told = schema["properties"]["number"]["pattern"]
            assert re.fullmatch(told, "A-1234")
            assert not re.fullmatch(told, "-1-2-3-4-")
            patterns = "^[A-Z0-9]{5}[a-z0-9-]{0,45}$", "^SANDBOXJOURNEY[0-9]{1,6}$"  # parts of it
            others = [{"type": "string", "pattern": pattern} for pattern in patterns]
            schema["properties"]["number"] = {"anyOf": [{"enum": KNOWN}, *others]}
    new_carrier = api["components"]["schemas"]["ChangeCarrierItem"]["properties"]["carrier_new"]
    new_carrier["anyOf"].append({"enum": [21051, 100003]})
    return api


def whole(value: Any) -> Any:
    """Numerals without a fraction: 1.0 is an integer to JSON Schema, and the document asks for 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return {name: whole(inner) for name, inner in value.items()} if isinstance(value, dict) else value


class Running:
    """The service in a thread of its own, as callers have it."""

    def __init__(self, data: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._service = Service(
            settings_from(
                {
                    "PARCELWIRE_LISTEN": "127.0.0.1:0",
                    "PARCELWIRE_DATA": str(data),
                    "PARCELWIRE_FIRST_KEY": KEY,
                    "PARCELWIRE_FIRST_PLAN": "unlimited",
                    "PARCELWIRE_RATE_LIMIT": "0",
                    "PARCELWIRE_SANDBOX_STEP": "0.1",
                }
            )
        )

    def __enter__(self) -> str:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._service.start(), self._loop).result(30)
        return self._service.url

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._service.stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[str]:
    """The service; in the end the cases are told."""
    with Running(tmp_path_factory.mktemp("data")) as url:
        yield url
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n  schemathesis: {dict(sorted(COUNT.items()))}")


def call(url: str, endpoint: str, body: object) -> Any:
    """``data`` of an answer."""
    request = urllib.request.Request(  # noqa: S310
        f"{url}/track/v2.2/{endpoint}", json.dumps(body).encode(), {KEY_HEADER: KEY}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.load(response)["data"]


def have_shipments(url: str) -> None:
    """The known numbers are registered, and there is something to show of them, whatever ran before."""
    items = [{"number": number} for number in KNOWN]
    call(url, "deletetrack", items)
    call(url, "register", items)
    for _ in range(100):
        if len(call(url, "gettrackinfo", items)["accepted"]) == len(items):
            return
        threading.Event().wait(0.05)
    pytest.fail("the sandbox did not answer")


SCHEMA = schemathesis.openapi.from_dict(known_numbers(closed(document())))
OPERATIONS: list[Any] = [result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok)]
COUNT: Counter[str] = Counter()


@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        pytest.param(operation, mode, id=f"{operation.path.strip('/')}-{mode.value}")
        for operation in OPERATIONS
        for mode in CASES
        if mode is GenerationMode.POSITIVE or operation.body  # without a body nothing can be wrong
    ],
)
def test_every_answer_is_as_documented(operation: Any, mode: GenerationMode, url: str) -> None:
    """No server error, no undocumented status, header or field; valid bodies are read, bad ones refused."""
    base = url + ("" if operation.method == "get" else "/track/v2.2")
    have_shipments(url)
    told = set(operation.definition.raw.get("x-item-errors", ()))

    @seed(1)
    @settings(
        max_examples=CASES[mode],
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.body = whole(case.body)
        answer = case.call_and_validate(base_url=base, headers={KEY_HEADER: KEY}, checks=CHECKS)
        COUNT[f"{mode.value} cases"] += 1
        if answer.status_code == 409:  # a key came twice
            COUNT["repeated"] += 1
            return
        if operation.method == "post":
            _judge(answer.json(), told, positive=mode is GenerationMode.POSITIVE)

    ask()


def _judge(answer: dict[str, Any], told: set[int], *, positive: bool) -> None:
    COUNT["failed as a whole" if answer["code"] else "processed"] += 1
    items = answer["data"].get("rejected", ())
    COUNT["items accepted"] += len(answer["data"].get("accepted", ()))
    COUNT["items rejected"] += len(items)
    if positive:
        assert answer["code"] == 0, f"a body that fits the document is not read: {answer}"
    assert {item["error"]["code"] for item in items} <= told, "refused for a reason that is not told"
    if positive:
        assert all(item["error"]["code"] != -18010012 for item in items), "a number as told is none"
