"""The page at /docs: the OpenAPI document for people. No script, nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from typing import Any

from parcelwire.wire.codes import ERRORS
from parcelwire.wire.reference import Call, Field, Part, calls, parts

STYLE = resources.files("parcelwire.api").joinpath("docs.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def docs_page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info, all_calls, all_parts = document["info"], list(calls(document)), list(parts(document))
    known = {part.name for part in all_parts}
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(info['title'])}: the API</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>\n"
        f"<p>{escape(info['summary'])}. For programs: <a href='/openapi.json'>openapi.json</a>.</p>\n"
        f"{_text(info['description'])}\n<h2>Versions</h2>\n{_versions(document)}\n"
        f"<h2>Calls</h2>\n{_contents(all_calls)}\n"
        f"{''.join(_call(call, known) for call in all_calls)}"
        f"<h2>Types</h2>\n{''.join(_part(part, known) for part in all_parts)}"
        f"<h2>Errors</h2>\n{_errors()}</main>\n</body>\n</html>\n"
    )


def _versions(document: Mapping[str, Any]) -> str:
    server = document["servers"][0]
    names = server["variables"]["version"]["enum"]
    paths = ", ".join(f"<code>/track/{escape(name)}</code>" for name in names)
    return f"<p>{paths}.</p>\n{_text(server['description'])}"


def _contents(all_calls: Iterable[Call]) -> str:
    rows = "".join(
        f"<li><a href='#call-{escape(call.name)}'>{escape(call.name)}</a> {escape(call.summary)}</li>\n"
        for call in all_calls
    )
    return f"<ul>\n{rows}</ul>"


def _call(call: Call, known: set[str]) -> str:
    path = call.path if call.method == "GET" else f"/track/v2.2{call.path}"
    rows = [("body", ("array of " if call.many else "") + _link(call.body, known) if call.body else "none")]
    if call.method == "GET":
        rows = [("answer", _link(call.answer, known) or "text")]
    else:
        rows += [("answer", f"{_link(call.answer, known)} or {_link('Failed', known)}")]
        rows += [("costs", _inline(call.costs))]
    if call.errors:
        rows += [
            ("refuses an item with", ", ".join(f"<a href='#error{code}'>{code}</a>" for code in call.errors))
        ]
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>\n" for name, value in rows)
    example = json.dumps(call.example, indent=2, ensure_ascii=False)
    sample = f"<pre>{escape(example)}</pre>\n" if call.example is not None else ""
    return (
        f"<section id='call-{escape(call.name)}'>\n<h3>{escape(call.summary)}</h3>\n"
        f"<p><code>{call.method} {escape(path)}</code></p>\n{_text(call.text)}<dl>\n{facts}</dl>\n{sample}"
        "</section>\n"
    )


def _part(part: Part, known: set[str]) -> str:
    rows = "".join(_field(field, known) for field in part.fields)
    return (
        f"<section id='type-{escape(part.name)}'>\n<h3>{escape(part.name)}</h3>\n{_text(part.text)}"
        f"<dl>\n{rows}</dl>\n</section>\n"
    )


def _field(field: Field, known: set[str]) -> str:
    kind = escape(field.kind)
    if field.type in known:
        kind = kind.replace(escape(field.type), _link(field.type, known))
    need = "" if field.required else " <i>optional</i>"
    return (
        f"<dt><code>{escape(field.name)}</code>{need}</dt>\n"
        f"<dd>{escape(field.meaning)} <span>{kind}</span></dd>\n"
    )


def _errors() -> str:
    rows = "".join(
        f"<dt id='error{error.code}'>{error.code}</dt><dd>{escape(error.text)}"
        f"{f' <span>HTTP {error.http_status}</span>' if error.http_status != 200 else ''}</dd>\n"
        for error in _first_of_each_code()
    )
    return f"<dl>\n{rows}</dl>\n"


def _first_of_each_code() -> list[Any]:
    return list({error.code: error for error in reversed(ERRORS.values())}.values())[::-1]


def _link(name: str, known: set[str]) -> str:
    return f"<a href='#type-{escape(name)}'>{escape(name)}</a>" if name in known else escape(name)


def _text(text: str) -> str:
    """Paragraphs, and lists of lines that begin with a star."""
    made = []
    for block in filter(None, text.split("\n\n")):
        if block.startswith("* "):
            items = block.removeprefix("* ").split("\n* ")
            made.append("<ul>\n" + "".join(f"<li>{_inline(item)}</li>\n" for item in items) + "</ul>\n")
        else:
            made.append(f"<p>{_inline(block)}</p>\n")
    return "".join(made)


def _inline(text: str) -> str:
    """Back quotes make code."""
    pieces = escape(text, quote=False).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
