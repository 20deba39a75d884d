"""A carrier's text, cleaned."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.report import TEXT_MAX, clean, joined


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Delivered, porch", "Delivered, porch"),
        ("  two   blanks\r\n\tand lines ", "two blanks and lines"),
        ("NUL\0here", "NUL here"),
        ("\u202eright\u202c to \ufeffleft\u200f", "right to left"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("no\u00a0break", "no break"),
        ("快件已签收", "快件已签收"),
        ("", None),
        (" \n\0 ", None),
        ("\u200e", None),
        (None, None),
        (5, None),
        (b"bytes", None),
        (["list"], None),
    ],
)
def test_hostile_text_becomes_one_printable_line_or_nothing(text: object, cleaned: str | None) -> None:
    assert clean(text) == cleaned


def test_a_long_text_is_cut_and_never_ends_in_a_blank() -> None:
    assert clean("x" * 2 * TEXT_MAX) == "x" * TEXT_MAX
    assert clean("x" * (TEXT_MAX - 1) + " y") == "x" * (TEXT_MAX - 1)


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=600)


@given(ANY_TEXT)
def test_a_cleaned_text_is_clean_encodable_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    if cleaned is not None:
        assert 0 < len(cleaned) <= TEXT_MAX
        assert cleaned.isprintable()
        assert cleaned.encode()
        assert not {unicodedata.bidirectional(c) for c in cleaned} & {
            "LRE",
            "RLE",
            "PDF",
            "LRO",
            "RLO",
            "LRI",
            "RLI",
        }


def test_parts_are_joined_and_missing_ones_left_out() -> None:
    assert joined(["AUSTIN", None, "", "TX"]) == "AUSTIN, TX"
    assert joined(["a", "b"], " ") == "a b"
    assert joined([None, ""]) is None
    assert joined([]) is None
