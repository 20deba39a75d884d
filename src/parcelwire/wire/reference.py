"""The OpenAPI document as rows, for pages that people read."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]


class Field(NamedTuple):
    """A field of a type. ``kind`` in words, with its limits; ``type``: the type of its objects, if any."""

    name: str
    kind: str
    required: bool
    meaning: str
    type: str


class Part(NamedTuple):
    """A type with its fields."""

    name: str
    text: str
    fields: tuple[Field, ...]


class Call(NamedTuple):
    """A call: ``path`` without its version; ``body`` and ``answer`` are names of types, empty for none."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    costs: str
    body: str
    many: bool
    example: Any
    answer: str
    errors: tuple[int, ...]


def calls(document: Schema) -> Iterator[Call]:
    """Every call, in the document's order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post"):
                yield _call(path, method, operation)


def parts(document: Schema) -> Iterator[Part]:
    """Every type that has fields, by name."""
    for name, schema in document["components"]["schemas"].items():
        if schema.get("properties"):
            required = schema.get("required", ())
            yield Part(
                name,
                schema.get("description", ""),
                tuple(
                    Field(field, _kind(value), field in required, value.get("description", ""), _type(value))
                    for field, value in schema["properties"].items()
                ),
            )


def words(document: Schema) -> dict[str, list[str]]:
    """Types that are one of some words."""
    schemas = document["components"]["schemas"]
    return {name: schema["enum"] for name, schema in schemas.items() if "enum" in schema}


def _call(path: str, method: str, operation: Schema) -> Call:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    media = next(iter(operation["responses"]["200"]["content"].values()))["schema"]
    return Call(
        operation["operationId"],
        method.upper(),
        path,
        operation["summary"],
        operation["description"].partition("\n\nCosts")[0],
        operation.get("x-costs", ""),
        _type(schema),
        schema.get("type") == "array",
        content.get("example"),
        _type(media),
        tuple(operation.get("x-item-errors", ())),
    )


def _type(schema: Schema) -> str:
    """The name of the type that a value has, or that its items or its first choice have."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for inner in (schema.get("items"), *schema.get("anyOf", ())):
        if inner and (name := _type(inner)):
            return name
    return ""


def _kind(schema: Schema) -> str:
    """``text or null, at most 250 characters``."""
    if "$ref" in schema:
        return _type(schema)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " \N{MIDDLE DOT} ".join("null" if word is None else str(word) for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    match schema.get("type"):
        case "array":
            return f"array of {_kind(schema['items'])}" if "items" in schema else "empty array"
        case "string":
            return "time, ISO 8601" if "format" in schema else "text" + _lengths(schema)
        case "integer":
            return "integer" + _bounds(schema)
        case "null":
            return "null"
        case "boolean":
            return "true or false"
        case _:
            return "object"


def _lengths(schema: Schema) -> str:
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least and most:
        return f" of {least} to {most} characters"
    return f" (at most {most:,} characters)" if most else ""


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most == 2**31 - 1:
        return " of 31 bits" if least == 0 else " of 32 bits, signed"
    if most == 2**63 - 1:
        return " of 63 bits" if least == 0 else " of 64 bits, signed"
    return ", 0 or more" if least == 0 else ""
