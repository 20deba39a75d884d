"""Finds sample answers: our own beside the tests, and further ones in the folder PARCELWIRE_PAYLOADS."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parcelwire.carriers import carriers
from parcelwire.domain.exchange import Reply
from parcelwire.ports import Carrier

HERE = Path(__file__).parent
PAYLOADS = os.environ.get("PARCELWIRE_PAYLOADS")


@dataclass(frozen=True)
class Sample:
    """One answer of a carrier, and what has to come of it for each number that was asked about.

    A row holds a ``number`` and either what is expected or the name of an ``error`` class. ``error`` of the
    sample itself: the whole call fails. ``token``: it is an answer of the token endpoint.
    """

    carrier: Carrier
    path: Path
    http_status: int
    rows: Sequence[Mapping[str, Any]]
    error: str | None = None
    token: bool = False

    @property
    def reply(self) -> Reply:
        return Reply(self.http_status, {}, self.path.read_bytes())

    def __str__(self) -> str:
        return f"{self.carrier.slug}/{self.path.name}"

    def calls(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The rows as they are asked about: all in one call, or one a call."""
        rows = list(self.rows) or [{"number": some_number(self.carrier)}]
        size = max(1, self.carrier.batch)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def asking() -> list[Carrier]:
    """The carriers that ask somebody over HTTP."""
    return [carrier for carrier in carriers().values() if carrier.base_url]


def recordings(carrier: Carrier) -> list[Sample]:
    """Our own answers of one carrier."""
    folder = HERE / carrier.slug
    if not (folder / "index.json").exists():
        return []
    return [
        Sample(
            carrier,
            folder / row["file"],
            row["http_status"],
            row.get("numbers", []),
            row.get("error"),
            row.get("token", False),
        )
        for row in json.loads((folder / "index.json").read_text(encoding="utf-8"))
    ]


def payloads(carrier: Carrier) -> list[Sample]:
    """The further answers of one carrier; empty when the folder is not there."""
    if PAYLOADS is None:
        return []
    index = json.loads((Path(PAYLOADS) / "index.json").read_text(encoding="utf-8"))
    return [
        Sample(
            carrier,
            Path(PAYLOADS) / row["file"],
            row["http_status"],
            [_named(item, carrier) for item in row["expected"]],
            token="oauth" in row["file"],
        )
        for row in index.get(carrier.slug.replace("_", "-"), [])
        if row["http_status"] is not None  # else it is a question or a push, not an answer
    ]


def some_number(carrier: Carrier) -> str:
    """A number that this carrier could have issued: the first one in our recordings of it."""
    folder = HERE / carrier.slug / "index.json"
    rows = json.loads(folder.read_text(encoding="utf-8")) if folder.exists() else []
    numbers = [item["number"] for row in rows for item in row.get("numbers", [])]
    return numbers[0] if numbers else "100000000000"


def _named(row: Mapping[str, Any], carrier: Carrier) -> Mapping[str, Any]:
    """A sample of an error body names no number ("-"): any will do."""
    return {**row, "number": some_number(carrier)} if row["number"] == "-" else row
