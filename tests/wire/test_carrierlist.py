"""The list of carriers: written in 17TRACK's shape, read with a verdict on every line."""

import csv
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.wire.carrierlist import ListError, as_csv, as_json, imported, read_stored, stored
from parcelwire.wire.directory import BOOK_OFFICIAL, BOOK_REFERENCE, shipped

KEYS = ["key", "_country", "_country_iso", "_email", "_tel", "_url", "_name", "_name_zh-cn", "_name_zh-hk"]
SKYLARK: dict[str, Any] = {
    "key": 777001,
    "_country": 704,
    "_country_iso": "DE",
    "_email": "hallo@skylark.example",
    "_tel": "+49 30 1",
    "_url": "https://skylark.example/",
    "_name": " Skylark  Parcels ",
    "_name_zh-cn": "云雀",
    "_name_zh-hk": "雲雀",
    "_group": "11",
}


def listed(book: str) -> dict[int, dict[str, Any]]:
    return {row["key"]: row for row in json.loads(as_json(shipped().listed(book)))}


def test_our_table_is_written_in_the_ten_fields() -> None:
    """Country numbers come from the codes of posts; posts have no group."""
    rows = listed(BOOK_OFFICIAL)
    assert len(rows) == len(list(shipped()))
    assert all(list(row) == [*KEYS, "_group"] for row in rows.values())
    assert (rows[3011]["_country"], rows[3011]["_country_iso"], rows[3011]["_group"]) == (301, "CN", "")
    assert (rows[100003]["_country"], rows[100003]["_group"]) == (2105, "11")
    assert rows[999001]["_country"] == 0


def test_the_codes_are_those_that_the_book_answers_with() -> None:
    """A client that translates our answers by this list reads UPS where we answer UPS."""
    assert listed(BOOK_OFFICIAL)[100001]["_name"].startswith("DHL")
    reference = listed(BOOK_REFERENCE)
    assert reference[100001]["_name"] == reference[100002]["_name"] == "UPS"
    assert reference[7041]["_name"].startswith("DHL")


def test_the_csv_has_a_row_for_each_carrier() -> None:
    rows = list(csv.DictReader(as_csv(shipped().listed(BOOK_OFFICIAL)).decode().splitlines()))
    assert list(rows[0]) == ["key", "name_en", "name_cn", "name_hk", "url"]
    assert len(rows) == len(list(shipped()))


def test_every_line_gets_its_verdict() -> None:
    """Good neighbours of bad lines are taken; ours stay as they are."""
    lines = [
        SKYLARK,
        {"key": 21051, "_name": "somebody else"},
        {"key": 777001, "_name": "again"},
        {"key": 777002},
        {"key": "777003", "_name": "text"},
        {"key": -1, "_name": "less than nothing"},
        "no object",
        {"key": 777004, "_name": "x" * 201},
    ]
    new, report = imported(json.dumps(lines).encode(), shipped())
    assert [line.outcome for line in report] == ["added", "same", *["refused"] * 6]
    assert [line.place for line in report] == list(range(1, 9))
    assert all(line.why for line in report if line.outcome == "refused")
    (entry,) = new
    assert (entry.slug, entry.name, entry.country) == ("code_777001", "Skylark Parcels", "DE")
    assert shipped().extended(new).slugs_of(21051) == ("usps",)


def test_a_second_import_tells_what_changed() -> None:
    known = shipped().extended(imported(json.dumps([SKYLARK]).encode(), shipped())[0])
    moved = SKYLARK | {"_url": "https://new.skylark.example/"}
    for row, outcome in ((SKYLARK, "same"), (moved, "changed")):
        _, (line,) = imported(json.dumps([row]).encode(), known)
        assert line.outcome == outcome


def test_what_is_imported_is_known_and_listed_again_as_it_came() -> None:
    """Through the file in the data folder and back."""
    new, _ = imported(json.dumps([SKYLARK]).encode(), shipped())
    known = shipped().extended(read_stored(stored(new)))
    assert known.slugs_of(777001) == ("code_777001",)
    row = {row["key"]: row for row in json.loads(as_json(known.listed(BOOK_OFFICIAL)))}[777001]
    assert row == SKYLARK | {"_name": "Skylark Parcels"}


def test_the_csv_form_is_read_too() -> None:
    text = (
        '\ufeffkey,name_en,name_cn,name_hk,url\r\n777001,"Sky, lark",云雀,,https://a.example/\r\nx,y,,,\r\n'
    )
    new, report = imported(text.encode(), shipped())
    assert [line.outcome for line in report] == ["added", "refused"]
    assert (new[0].name, new[0].homepage) == ("Sky, lark", "https://a.example/")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[", b"<html>", b"\xff\xfe", b"a,b\n1,2\n", b"[" * 100_000, b"null"]
)
def test_what_is_no_list_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ListError):
        imported(data, shipped())


VALUES = st.none() | st.integers() | st.text(max_size=9) | st.booleans()
LINES = st.dictionaries(st.sampled_from([*KEYS, "_group"]), VALUES, max_size=4) | st.integers()


@given(st.lists(LINES, max_size=6))
def test_no_line_breaks_an_import(lines: list[Any]) -> None:
    """One verdict for each line, and what was taken can be kept and read again."""
    new, report = imported(json.dumps(lines).encode(), shipped())
    assert len(report) == len(lines)
    assert read_stored(stored(new)) == sorted(new, key=lambda entry: entry.code)
