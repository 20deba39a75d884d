"""Reading replies that may be anything: total accessors, code tables, and what HTTP status codes mean.

Every accessor answers None (or nothing) for a missing part or a wrong type; it never raises. What does raise
(``json_of``, ``xml_of``, ``check_status``) raises only CarrierError.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import TypeVar
from xml.parsers import expat

import msgspec

from parcelwire.domain.errors import MalformedReply, Refused, Throttled, Unavailable
from parcelwire.domain.exchange import Reply
from parcelwire.domain.reading import country, each, get, text
from parcelwire.domain.status import SubStatus

Form = TypeVar("Form")

__all__ = [
    "Code", "check_status", "code_table", "country", "each", "get", "json_as", "json_of", "json_part",
    "mark_of", "named_country", "retry_after", "text", "xml_of",
]  # fmt: skip


def json_of(reply: Reply) -> object:
    """The decoded JSON body. MalformedReply for anything else (HTML, cut, too deep, not UTF-8)."""
    return json_as(reply, object)


def json_as(reply: Reply, form: type[Form]) -> Form:
    """The JSON body decoded as ``form`` describes it; MalformedReply also when it is not like that."""
    try:
        return msgspec.json.decode(reply.body, type=form)
    except _NOT_JSON as error:
        status = "" if reply.status == 200 else f"HTTP {reply.status}, "  # a push has none
        raise MalformedReply(f"{status}the body is not JSON ({len(reply.body)} bytes)") from error


def json_part(part: msgspec.Raw, form: type[Form]) -> Form:
    """A part of a body that ``json_as`` left as it is. MalformedReply when it is not like ``form``."""
    try:
        return msgspec.json.decode(part, type=form)
    except _NOT_JSON as error:
        raise MalformedReply("a part of the body is not as expected") from error


_NOT_JSON = (msgspec.DecodeError, RecursionError, ValueError)


def mark_of(part: bytes) -> str:
    """Stands for a carrier's words about one number (Report.mark)."""
    return blake2b(part, digest_size=12).hexdigest()


XML_DEPTH_MAX = 50  # deeper than any carrier's answer


def xml_of(reply: Reply) -> dict[str, object]:
    """The root element by its tag, for ``get`` and ``each``: an element is an object of lists of its children
    by tag, with its attributes under ``@name`` and its text under ``#``; with text alone it is that text.

    MalformedReply for anything else; also for a document type, so that no entity is ever expanded.
    """
    stack: list[tuple[dict[str, object], list[str]]] = [({}, [])]

    def start(_: str, attributes: dict[str, str]) -> None:
        if len(stack) > XML_DEPTH_MAX:
            raise MalformedReply("XML is nested too deep")
        stack.append(({f"@{name}": value for name, value in attributes.items()}, []))

    def end(tag: str) -> None:
        node, parts = stack.pop()
        content = "".join(parts).strip()
        if node and content:
            node["#"] = content
        siblings = stack[-1][0].setdefault(tag, [])
        assert isinstance(siblings, list)  # noqa: S101
        siblings.append(node or content)

    def characters(data: str) -> None:
        stack[-1][1].append(data)

    def refuse(*_: object) -> None:
        raise MalformedReply("XML with a document type")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(reply.body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise MalformedReply(f"HTTP {reply.status}, body is not XML ({len(reply.body)} bytes)") from error
    return stack[0][0]


def check_status(reply: Reply) -> None:
    """Raise for an HTTP status that says nothing about a number."""
    if reply.status in (401, 403):
        raise Refused(f"HTTP {reply.status}", stale_token=reply.status == 401)
    if reply.status == 429:
        raise Throttled("HTTP 429", retry_after(reply))
    if reply.status >= 500:
        raise Unavailable(f"HTTP {reply.status}")
    if not 200 <= reply.status < 300:
        raise MalformedReply(f"HTTP {reply.status}")


def retry_after(reply: Reply) -> float | None:
    """Seconds of a Retry-After header in its delta form; None when absent or a date."""
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def named_country(node: object, *path: str | int) -> str | None:
    """A two-letter country code at a path that holds a code or an English country name."""
    name = text(node, *path)
    return country(node, *path) or (_country_names().get(name.upper()) if name else None)


@cache
def _country_names() -> Mapping[str, str]:
    with resources.files(__package__).joinpath("_countries.tsv").open(encoding="utf-8") as lines:
        rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
        return {row["name"]: row["country"] for row in rows}


@dataclass(frozen=True, slots=True)
class Code:
    """One row of a code table. ``sub_status`` None: the code is known and says nothing about the status."""

    sub_status: SubStatus | None
    informative: bool
    meaning: str


@cache
def code_table(file: str) -> Mapping[str, Mapping[str, Code]]:
    """``carriers/<file>``: CSV with the columns namespace, code, sub_status, informative (0/1), meaning."""
    table: dict[str, dict[str, Code]] = {}
    with resources.files(__package__).joinpath(file).open(encoding="utf-8") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            sub_status = SubStatus(row["sub_status"]) if row["sub_status"] else None
            code = Code(sub_status, row["informative"] == "1", row["meaning"])
            table.setdefault(row["namespace"], {})[row["code"]] = code
    return table
