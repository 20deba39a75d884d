"""The OpenAPI 3.1 document of the wire, made from its types.

Shapes, nullability and limits come from the msgspec structs that read and write the wire, meanings from
fields.csv, and what the types leave open (words of an enum, bytes that were encoded before) from the tables
here.
"""

import csv
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from parcelwire import __version__
from parcelwire.domain.numbers import LENGTH_MAX, LENGTH_MIN
from parcelwire.domain.shipment import StopReason
from parcelwire.domain.status import Status, SubStatus
from parcelwire.wire import trackinfo, tracklist, v22
from parcelwire.wire.codes import ERRORS
from parcelwire.wire.operations import OPERATIONS, Operation
from parcelwire.wire.versions import V2_2, VERSIONS

JSON = "application/json"
REF = "#/components/schemas/"
KEY_HEADER = "17token"

Schema = dict[str, Any]


class Providers(msgspec.Struct):
    """What each carrier said, the newest leg first."""

    providers_hash: int
    providers: list[trackinfo.Tracking]


class TrackInfo(msgspec.Struct):
    """All that is known of a shipment. Every object is always there, with nulls inside."""

    shipping_info: trackinfo.ShippingInfo
    latest_status: trackinfo.LatestStatus
    latest_event: trackinfo.WireEvent | None
    time_metrics: trackinfo.TimeMetrics
    milestone: list[trackinfo.Milestone]
    misc_info: trackinfo.MiscInfo
    tracking: Providers


ANSWERS: tuple[type, ...] = (
    v22.Registered,
    v22.Numbered,
    v22.Tracked,
    v22.CarrierChanged,
    v22.Rejected,
    v22.RegisterRejected,
    v22.QuotaEnvelope,
    v22.Stopped,
    tracklist.ListedItem,
    tracklist.PageInfo,
    TrackInfo,
    trackinfo.EstimatedDelivery,
)
REQUESTS: tuple[type, ...] = (
    v22.RegisterItem,
    v22.NumberItem,
    v22.RealTimeItem,
    v22.ChangeCarrierItem,
    v22.ChangeInfoItem,
    tracklist.ListItem,
)


def _words(words: type[StrEnum] | Sequence[str], *, nullable: bool = False) -> Schema:
    known: list[str | None] = [str(word) for word in words]
    return {"enum": [*known, None] if nullable else known}


def _ref(name: str) -> Schema:
    return {"$ref": REF + name}


NUMBER: Schema = {
    "type": "string",
    "minLength": LENGTH_MIN,
    "maxLength": LENGTH_MAX,
    "pattern": "^-*([A-Za-z0-9]-*){5,50}$",
}
CODE: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
CODE_GIVEN: Schema = {"anyOf": [CODE, {"type": "string", "pattern": "^[0-9]{0,9}$"}, {"type": "null"}]}
COUNT: Schema = {"type": "integer", "minimum": 0}
COUNT_GIVEN: Schema = {"anyOf": [COUNT | {"maximum": 2**63 - 1}, {"type": "null"}]}
TIME_GIVEN: Schema = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
HASH: Schema = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}

# What a type leaves open, or says more loosely than it is.
TIGHTER: Mapping[tuple[str, str], Schema] = {
    ("Tracked", "track_info"): _ref("TrackInfo"),
    ("TimeMetrics", "estimated_delivery_date"): _ref("EstimatedDelivery"),
    ("LatestStatus", "status"): _words(Status),
    ("LatestStatus", "sub_status"): _words(SubStatus),
    ("Tracking", "latest_sync_status"): _words(("Success", "Failure")),
    ("Tracking", "events_hash"): HASH,
    ("Providers", "providers_hash"): HASH,
    ("Registered", "origin"): {"enum": [1, 2, 3]},
    ("ErrorBody", "code"): {"enum": sorted({error.code for error in ERRORS.values()})},
    ("ErrorBody", "message"): {"type": "string", "minLength": 1},
    ("QuotaEnvelope", "code"): {"const": 0},
    ("ListedItem", "tracking_status"): _words(("Tracking", "Stopped")),
    ("ListedItem", "package_status"): _words(Status),
    ("ListedItem", "push_status"): _words(("NotPushed", "Success", "Failure")),
    ("ListedItem", "stop_track_reason"): _words([reason.value for reason in StopReason], nullable=True),
    ("RealTimeItem", "cacheLevel"): {"enum": [0, 1, "0", "1", "Standard", "Instant", None]},
    **{("ListItem", field): COUNT_GIVEN for field in ("page_no", "page_size", "push_status_code")},
    **{
        ("ListItem", f"{axis}_time_{end}"): TIME_GIVEN
        for axis in ("register", "track", "push", "stop_track")
        for end in ("from", "to")
    },
    ("ListItem", "data_origin"): _words(("Api", "Manual", "Import"), nullable=True),
    ("ListItem", "package_status"): _words(Status, nullable=True),
    ("ListItem", "tracking_status"): _words(("Tracking", "Stopped"), nullable=True),
    ("ListItem", "push_status"): _words(("NotPushed", "Success", "Failure"), nullable=True),
    ("ListItem", "order_by"): _words(
        [f"{axis}Time{way}" for axis in ("Register", "Track", "Push") for way in ("Asc", "Desc")],
        nullable=True,
    ),
}
CODES_GIVEN = frozenset(
    {"carrier", "final_carrier", "carrier_old", "carrier_new", "final_carrier_old", "final_carrier_new"}
)

# HTTP statuses of calls that fail as a whole, other than 200.
FAILURES = sorted({error.http_status for error in ERRORS.values()} - {200})
REPEATED = 409  # only of calls that take an Idempotency-Key
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes the call safe to repeat: the same key and body get the same answer for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
WAITS = (429, 503)  # answers that say in Retry-After how many seconds to wait

INTRO = f"""Registers tracking numbers, tells where the shipments are, and pushes changes to a webhook.

* Every call is a POST with the login key in the header `{KEY_HEADER}`.
* A body is a JSON array of 1 to {v22.ITEMS_MAX} objects, at most 1 MiB. `gettracklist` takes one object, \
`getquota` nothing. The Content-Type is not looked at. Unknown fields are ignored.
* HTTP 200 means that the call was read: look at `code`, and at `accepted` and `rejected` for each item. A \
bad item harms no neighbour. `code` other than 0: the call failed as a whole, and `data.errors` says why.
* In a text, a NUL character is refused. An integer is written without a fraction: `90`, not `90.0`.
* `Idempotency-Key`, a header of at most 255 printable characters, makes a call safe to repeat: for 24 hours \
the same key gets the same answer. It is read where a repeat would change something.
* Names of calls are read in any case, and one slash at the end is allowed.
* Answers may get further fields: ignore what you do not know."""

SERVER_TEXT = """Requests are read alike in every version; the answers here are those of v2.2. v2 and v2.1: \
events and milestones have no `time_raw`, events no `sub_status`, providers no `provider_lang`. v2.4: the \
register fields stand beside `track_info`, providers have `provider_tips`, rows of the list `sync_status`."""


@cache
def document() -> Schema:
    """The whole document; a fresh call gives the same object, which nobody changes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "parcelwire",
            "summary": "Shipment tracking that speaks the 17TRACK v2.2 wire API",
            "description": INTRO,
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "/track/{version}",
                "description": SERVER_TEXT,
                "variables": {"version": {"enum": list(VERSIONS), "default": V2_2.name}},
            }
        ],
        "security": [{"key": []}],
        "tags": [{"name": "tracking"}, {"name": "lists"}],
        "paths": {f"/{item.name}": {"post": _operation(item)} for item in OPERATIONS} | _lists(),
        "webhooks": {
            "TRACKING_UPDATED": _webhook("Something new is known of a shipment", _ref("Tracked")),
            "TRACKING_STOPPED": _webhook("A shipment is no longer tracked", _ref("Stopped")),
        },
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": KEY_HEADER,
                    "description": "The login key of an account.",
                }
            },
            "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY},
            "responses": {f"Failed{status}": _failure(status) for status in FAILURES},
            "schemas": _schemas(),
        },
    }


def _operation(item: Operation) -> Schema:
    made: Schema = {
        "operationId": item.name,
        "tags": ["tracking"],
        "summary": item.summary,
        "description": f"{item.text}\n\nCosts: {item.costs}.",
        "x-costs": item.costs,
        "x-item-errors": sorted({ERRORS[reason].code for reason in item.errors}, reverse=True),
        "responses": {
            "200": {
                "description": "The call was read. Each item is in one of the lists, or `code` is not 0.",
                "content": {JSON: {"schema": {"anyOf": [_ref(item.answer), _ref("Failed")]}}},
            }
        }
        | {
            str(status): {"$ref": f"#/components/responses/Failed{status}"}
            for status in FAILURES
            if status != REPEATED or not item.reads
        },
    }
    if not item.reads:
        made["parameters"] = [{"$ref": "#/components/parameters/IdempotencyKey"}]
    if item.body is not None:
        made["requestBody"] = {
            "required": item.is_list,
            "content": {JSON: {"schema": _body(item), "example": item.example}},
        }
    return made


def _body(item: Operation) -> Schema:
    assert item.body is not None  # noqa: S101
    one = _ref(item.body.__name__)
    if not item.is_list:
        return one
    return {"type": "array", "minItems": 1, "maxItems": v22.ITEMS_MAX, "items": one}


def _webhook(summary: str, data: Schema) -> Schema:
    event = "TRACKING_UPDATED" if "Tracked" in data["$ref"] else "TRACKING_STOPPED"
    return {
        "post": {
            "summary": summary,
            "description": "Any 2xx answer takes the message. Headers: `sign` (lower-case hex SHA-256 of the "
            "body, a slash, and the key) and those of Standard Webhooks.",
            "security": [],
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": _object({"event": {"const": event}, "data": data})}},
            },
            "responses": {"2XX": {"description": "Taken."}},
        }
    }


def _lists() -> Schema:
    """The lists of carriers: no key is needed."""
    kinds = {
        "json": (JSON, {"type": "array", "items": _ref("ListedCarrier")}, "an array of objects"),
        "csv": ("text/csv", {"type": "string"}, "rows of key, name_en, name_cn, name_hk and url"),
    }
    return {
        f"/apicarrier.all.{kind}": {
            "servers": [{"url": "/"}],
            "get": {
                "operationId": f"carriers_{kind}",
                "tags": ["lists"],
                "summary": f"All carriers with their codes: {text}",
                "description": "In the shape of 17TRACK's list; codes of the code book in force.",
                "security": [],
                "responses": {
                    "200": {"description": "The list.", "content": {media: {"schema": schema}}},
                },
            },
        }
        for kind, (media, schema, text) in kinds.items()
    }


def _failure(status: int) -> Schema:
    texts = dict.fromkeys(error.text for error in ERRORS.values() if error.http_status == status)
    made: Schema = {"description": " ".join(texts), "content": {JSON: {"schema": _ref("Failed")}}}
    if status in WAITS:
        made["headers"] = {
            "Retry-After": {
                "description": "Seconds to wait.",
                "required": True,
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    return made


def _schemas() -> dict[str, Schema]:
    _, answers = msgspec.json.schema_components(ANSWERS, ref_template=REF + "{name}")
    _, requests = msgspec.json.schema_components(REQUESTS, ref_template=REF + "{name}")
    for name, schema in answers.items():
        # The encoder writes every field, whether it has a default or not.
        schema["required"] = list(schema.get("properties", ()))
        for value in schema.get("properties", {}).values():
            value.pop("default", None)
        _tighten(name, schema, {"number": {"type": "string"}, "carrier": CODE})
    for name, schema in requests.items():
        codes = dict.fromkeys(CODES_GIVEN, CODE_GIVEN)
        _tighten(name, schema, codes if name == "ListItem" else codes | {"number": NUMBER})
        schema["additionalProperties"] = True
    made = answers | requests | _envelopes() | {"ListedCarrier": _listed_carrier()}
    for name, schema in made.items():
        _explain(name, schema)
    return dict(sorted(made.items()))


def _tighten(name: str, schema: Schema, usual: Mapping[str, Schema]) -> None:
    properties = schema.get("properties", {})
    for field in properties:
        tighter = TIGHTER.get((name, field)) or usual.get(field)
        if tighter is not None:
            properties[field] = dict(tighter)


def _envelopes() -> dict[str, Schema]:
    made: dict[str, Schema] = {}
    for item in OPERATIONS:
        if item.accepted:
            lists = {"accepted": _array(_ref(item.accepted)), "rejected": _array(_ref(item.rejected))}
            made |= _envelope(item.answer, {"const": 0}, lists, "A call that was processed.")
    made["Listed"]["properties"]["page"] = _ref("PageInfo")
    made["Listed"]["required"].append("page")
    errors = _array(_ref("ErrorBody")) | {"minItems": 1}
    lists = {
        "errors": errors,
        **{name: {"type": "array", "maxItems": 0} for name in ("accepted", "rejected")},
    }
    codes: Schema = {"enum": sorted({error.code for error in ERRORS.values()})}
    return made | _envelope("Failed", codes, lists, "A call that failed as a whole.")


def _envelope(name: str, code: Schema, data: Mapping[str, Schema], text: str) -> dict[str, Schema]:
    return {
        name: _object({"code": code, "data": _ref(f"{name}Data")}) | {"description": text},
        f"{name}Data": _object(data) | {"description": "`data` of an answer."},
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _listed_carrier() -> Schema:
    texts = ("_country_iso", "_email", "_tel", "_url", "_name", "_name_zh-cn", "_name_zh-hk", "_group")
    return _object({"key": COUNT, "_country": COUNT} | {name: {"type": "string"} for name in texts}) | {
        "description": "A carrier in 17TRACK's list."
    }


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def _explain(name: str, schema: Schema) -> None:
    """Give every field its meaning."""
    meanings = _meanings()
    for field, value in schema.get("properties", {}).items():
        meaning = meanings.get((name, field)) or meanings.get(("", field))
        if meaning:
            value["description"] = meaning


@cache
def _meanings() -> dict[tuple[str, str], str]:
    """By type and field; a row without a type stands for the field wherever it is."""
    text = resources.files("parcelwire.wire").joinpath("fields.csv").read_text(encoding="utf-8")
    return {(row["type"], row["field"]): row["meaning"] for row in csv.DictReader(text.splitlines())}
