"""The OpenAPI document is whole: every call, every field with its meaning, every example fits."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from tests.closing import closed
from tests.wire.test_trackinfo import TIMELINES, encoded

from parcelwire.api.server import ENDPOINTS, READS
from parcelwire.domain.errors import CallerError
from parcelwire.domain.timeline import Timeline
from parcelwire.wire import openapi, trackinfo, tracklist, v22
from parcelwire.wire.codes import ERRORS
from parcelwire.wire.openapi import document
from parcelwire.wire.operations import OPERATIONS
from parcelwire.wire.reference import calls, parts

API = document()
SCHEMAS = API["components"]["schemas"]
STRICT = closed(API)["components"]
FIELDS = Path(openapi.__file__).with_name("fields.csv")
ERROR_TABLE = Path(__file__).parents[2] / "docs" / "errors.csv"


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from nodes(one)


@cache
def validator(name: str) -> Any:
    """Of one type; what the document does not tell is wrong."""
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": STRICT})


def check(name: str, value: object) -> None:
    """ValidationError when a value is not as the type says."""
    validator(name).validate(json.loads(msgspec.json.encode(value)))


def test_every_call_that_is_served_is_in_the_document_and_no_other() -> None:
    assert {operation.name.lower() for operation in OPERATIONS} == set(ENDPOINTS)
    posts = {path.strip("/") for path, methods in API["paths"].items() if "post" in methods}
    assert posts == {operation.name for operation in OPERATIONS}


def test_calls_that_change_something_take_a_key_for_repeats() -> None:
    assert {operation.name for operation in OPERATIONS if operation.reads} == set(READS)
    for operation in OPERATIONS:
        told = API["paths"][f"/{operation.name}"]["post"]
        assert ("parameters" in told) == ("409" in told["responses"]) == (not operation.reads)


def test_every_reference_leads_somewhere() -> None:
    for node in nodes(API):
        if "$ref" in node:
            target: Any = API
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]


def test_every_field_has_a_meaning_and_every_meaning_a_field() -> None:
    given = {(part.name, field.name) for part in parts(API) for field in part.fields}
    names = {name for _, name in given}
    assert [field for part in parts(API) for field in part.fields if not field.meaning] == []
    rows = [(row["type"], row["field"]) for row in csv.DictReader(FIELDS.read_text("utf-8").splitlines())]
    assert len(set(rows)) == len(rows)
    assert [row for row in rows if row not in given and (row[0] or row[1] not in names)] == []


def test_what_tightens_a_type_names_a_field_that_it_has() -> None:
    for name, field in openapi.TIGHTER:
        assert field in SCHEMAS[name]["properties"]


def test_answers_promise_every_field_and_requests_only_what_they_need() -> None:
    """The encoder leaves nothing out; a request needs its number and may hold what nobody knows."""
    for name, schema in SCHEMAS.items():
        if "properties" in schema and "additionalProperties" not in schema and name not in INSIDE_REQUESTS:
            assert set(schema["required"]) == set(schema["properties"]), name
    assert SCHEMAS["RegisterItem"]["required"] == ["number"]
    assert all(SCHEMAS[kind.__name__]["additionalProperties"] is True for kind in openapi.REQUESTS)


INSIDE_REQUESTS = ("Info", "SpecialTracking")


@pytest.mark.parametrize("call", [call for call in calls(API) if call.body], ids=lambda call: call.name)
def test_the_example_of_a_call_fits_its_body(call: Any) -> None:
    for item in call.example if call.many else [call.example]:
        check(call.body, item)


@given(TIMELINES)
def test_track_info_is_what_the_encoder_writes(timeline: Timeline) -> None:
    """Its outer objects are put together from bytes: nothing that the types could tell."""
    check("TrackInfo", encoded(timeline))


def test_a_word_that_is_none_is_a_violation() -> None:
    """Else the test above proves nothing."""
    with pytest.raises(jsonschema_rs.ValidationError):
        check("LatestStatus", trackinfo.LatestStatus("Lost", "Lost_Other", None))


def test_a_failed_call_fits_and_a_processed_one_is_no_failure() -> None:
    for reason in ERRORS:
        _, body = v22.failure(CallerError(reason))
        check("Failed", msgspec.json.decode(body))
    with pytest.raises(jsonschema_rs.ValidationError):
        check("Failed", v22.Envelope(v22.Lists([], [])))


def test_the_fields_of_a_row_are_those_of_the_list() -> None:
    assert list(SCHEMAS["ListedItem"]["properties"]) == list(tracklist.ListedItem.__struct_fields__)


def test_every_reason_has_its_row_in_the_table_of_errors() -> None:
    rows = list(csv.DictReader(ERROR_TABLE.read_text("utf-8").splitlines()))
    assert set(ERRORS) <= {row["reason"] for row in rows if row["when"]}
    assert {reason for operation in OPERATIONS for reason in operation.errors} <= set(ERRORS)
