"""Writes docs/collection, requests to try in Bruno, from the document: python docs/generate_collection.py"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from parcelwire.wire.openapi import KEY_HEADER, document
from parcelwire.wire.reference import Call, calls

COLLECTION = Path(__file__).parent / "collection"


def files() -> Iterator[tuple[str, str]]:
    """Name and text of every file."""
    about = {"version": "1", "name": "parcelwire", "type": "collection"}
    yield "bruno.json", json.dumps(about, indent=2) + "\n"
    yield "environments/local.bru", "vars {\n  url: http://127.0.0.1:8017\n}\nvars:secret [\n  key\n]\n"
    for place, call in enumerate(calls(document()), 1):
        yield f"{call.name}.bru", _request(place, call)


def _request(place: int, call: Call) -> str:
    if call.method == "GET":
        return (
            f"{_meta(place, call)}\nget {{\n  url: {{{{url}}}}{call.path}\n  body: none\n  auth: none\n}}\n"
        )
    body = "json" if call.example is not None else "none"
    made = (
        f"{_meta(place, call)}\npost {{\n  url: {{{{url}}}}/track/v2.2{call.path}\n"
        f"  body: {body}\n  auth: none\n}}\n\nheaders {{\n  {KEY_HEADER}: {{{{key}}}}\n}}\n"
    )
    if call.example is not None:
        text = json.dumps(call.example, indent=2).replace("\n", "\n  ")
        made += f"\nbody:json {{\n  {text}\n}}\n"
    return f"{made}\ndocs {{\n  {call.text}\n}}\n"


def _meta(place: int, call: Call) -> str:
    return f"meta {{\n  name: {call.name}\n  type: http\n  seq: {place}\n}}\n"


def main() -> int:
    """Write the files; what no call stands for any more goes."""
    made = dict(files())
    for file in COLLECTION.rglob("*.bru"):
        if file.relative_to(COLLECTION).as_posix() not in made:
            file.unlink()
    for name, text in made.items():
        file = COLLECTION / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
