"""The list of all carriers in 17TRACK's shape (reference: api-v2.2, section 10): written from a directory,
and read when the owner imports one.

``key`` is the carrier's code; ``_country`` is 17TRACK's own number of a country, which is the front part of
the codes of its posts.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from parcelwire.domain.errors import ParcelwireError
from parcelwire.wire.directory import STRANGER, Directory, Entry, Listing

COUNTRY_UNKNOWN = 0
COURIERS, LINES_FROM_CHINA = "11", "12"
LINES_FROM = range(190_000, 200_000)
CODE_MAX = 2**31 - 1
NAME_MAX = 200
TEXT_MAX = 500
CSV_HEADER = ("key", "name_en", "name_cn", "name_hk", "url")


class ListError(ParcelwireError):
    """A list cannot be read at all; the text says why."""


class Line(NamedTuple):
    """What came of one line of a list. ``outcome``: added, changed, same or refused; ``place`` from 1 on."""

    place: int
    code: int
    name: str
    outcome: str
    why: str = ""


class Refused(ParcelwireError):
    """A line is no carrier; the text says why."""


class ListedCarrier(msgspec.Struct):
    """One carrier as the list has it."""

    key: int
    country: int = msgspec.field(name="_country", default=COUNTRY_UNKNOWN)
    country_iso: str = msgspec.field(name="_country_iso", default="")
    email: str = msgspec.field(name="_email", default="")
    tel: str = msgspec.field(name="_tel", default="")
    url: str = msgspec.field(name="_url", default="")
    name: str = msgspec.field(name="_name", default="")
    name_cn: str = msgspec.field(name="_name_zh-cn", default="")
    name_hk: str = msgspec.field(name="_name_zh-hk", default="")
    group: str = msgspec.field(name="_group", default="")


# --- written --------------------------------------------------------------------------------------------


def as_json(carriers: Mapping[int, Entry]) -> bytes:
    """The list as one JSON array."""
    return msgspec.json.encode(list(_rows(carriers)))


def as_csv(carriers: Mapping[int, Entry]) -> bytes:
    """The list as comma-separated values."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(CSV_HEADER)
    writer.writerows((row.key, row.name, row.name_cn, row.name_hk, row.url) for row in _rows(carriers))
    return out.getvalue().encode()


def _rows(carriers: Mapping[int, Entry]) -> Iterator[ListedCarrier]:
    posts = (entry for entry in carriers.values() if entry.postal and entry.country)
    countries = {entry.country: entry.code // 10 for entry in posts}
    for code, entry in carriers.items():
        told = entry.listing or Listing(countries.get(entry.country, COUNTRY_UNKNOWN), group=_group(entry))
        names = told._replace(name_cn=told.name_cn or entry.name, name_hk=told.name_hk or entry.name)
        yield _listed(code, entry, names)


def _listed(code: int, entry: Entry, told: Listing) -> ListedCarrier:
    return ListedCarrier(
        code, told.country, entry.country, told.email, told.tel, entry.homepage, entry.name,
        told.name_cn, told.name_hk, told.group,
    )  # fmt: skip


def _group(entry: Entry) -> str:
    if entry.postal:
        return ""
    return LINES_FROM_CHINA if entry.code in LINES_FROM else COURIERS


# --- read -----------------------------------------------------------------------------------------------


def imported(data: bytes, known: Directory) -> tuple[list[Entry], list[Line]]:
    """The carriers of a list that ``known`` does not have or has otherwise, and what came of every line.

    Carriers of the shipped table stay as they are. ListError when it is no list.
    """
    entries: dict[int, Entry] = {}
    lines: list[Line] = []
    for place, raw in enumerate(_lines(data), 1):
        try:
            row = _row(raw)
            if row.key in entries:
                raise Refused("an earlier line has the same key")
            old = known.by_code(row.key)
            entry = entry_of(row)
            entries[row.key] = entry
            own = old is not None and not old.slug.startswith(STRANGER)
            outcome = "added" if old is None else "same" if own or old == entry else "changed"
            lines.append(Line(place, row.key, row.name, outcome))
        except Refused as error:
            key, name = _shown(raw)
            lines.append(Line(place, key, name, "refused", str(error)))
    new = [entries[line.code] for line in lines if line.outcome in ("added", "changed")]
    return new, lines


def entry_of(row: ListedCarrier) -> Entry:
    """A carrier that is known by the list alone: its slug is that of a code which only an upstream knows."""
    told = Listing(row.country, row.email, row.tel, row.name_cn, row.name_hk, row.group)
    return Entry(f"{STRANGER}{row.key}", row.key, row.name, row.country_iso, row.url, told)


def stored(entries: Iterable[Entry]) -> bytes:
    """Imported carriers as they are kept: in the shape of the list, one on each line; others are left out."""
    ordered = sorted(entries, key=lambda entry: entry.code)
    rows = (
        msgspec.json.encode(_listed(entry.code, entry, entry.listing)) for entry in ordered if entry.listing
    )
    return b"[\n" + b",\n".join(rows) + b"\n]\n"


def read_stored(data: bytes) -> list[Entry]:
    """Carriers that were kept. ListError when the bytes are something else."""
    try:
        return [entry_of(row) for row in msgspec.json.decode(data, type=list[ListedCarrier])]
    except (msgspec.DecodeError, ValueError) as error:
        raise ListError(str(error)) from None


def _lines(data: bytes) -> list[Any]:
    """Objects of a JSON array, or rows of comma-separated values by the names of their columns."""
    text = data.removeprefix(b"\xef\xbb\xbf").strip()
    if text.startswith(b"["):
        try:
            found: list[Any] = msgspec.json.decode(text, type=list[Any])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ListError(f"it is not JSON: {error}") from None
        return found
    try:
        rows = csv.DictReader(io.StringIO(text.decode(), newline=""))
        if not {"key", "name_en"} <= set(rows.fieldnames or ()):
            raise ListError("it is neither a JSON array nor a CSV file with the columns key and name_en")
        return [_named_as_json(row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ListError(f"it cannot be read: {error}") from None


def _named_as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    key = str(row["key"] or "").strip()
    return {
        "key": int(key) if key.isascii() and key.isdigit() and len(key) <= 10 else key,
        "_name": row["name_en"],
        "_name_zh-cn": row.get("name_cn") or "",
        "_name_zh-hk": row.get("name_hk") or "",
        "_url": row.get("url") or "",
    }


def _row(raw: Any) -> ListedCarrier:
    try:
        row = msgspec.convert(raw, ListedCarrier)
    except msgspec.ValidationError as error:
        raise Refused(str(error)) from None
    if not 0 < row.key <= CODE_MAX:
        raise Refused("its key is no carrier code")
    for field in ("email", "tel", "name", "name_cn", "name_hk"):
        setattr(row, field, _clean(getattr(row, field)))
    if not row.name:
        raise Refused("it has no name")
    if len(row.name) > NAME_MAX:
        raise Refused(f"its name is longer than {NAME_MAX} characters")
    row.url = row.url.strip() if re.fullmatch(r"https?://[^\s\"<>]+", row.url.strip()) else ""
    row.country_iso = row.country_iso if re.fullmatch(r"[A-Z]{2}", row.country_iso) else ""
    row.group = row.group if row.group.isascii() and row.group.isdigit() else ""
    row.country = row.country if 0 <= row.country <= CODE_MAX else COUNTRY_UNKNOWN
    return row


def _clean(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:TEXT_MAX]).split())


def _shown(raw: Any) -> tuple[int, str]:
    """As much of a refused line as can be told."""
    given = raw if isinstance(raw, dict) else {}
    key, name = given.get("key"), given.get("_name")
    code = key if isinstance(key, int) and not isinstance(key, bool) else 0
    return code, _clean(name) if isinstance(name, str) else ""
