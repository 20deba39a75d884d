"""Dates in the free forms of callers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import CallerError
from parcelwire.wire.dates import order_time


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2023/1/1", "2023-01-01"),
        ("2023-1-1", "2023-01-01"),
        ("2023.12.31", "2023-12-31"),
        ("2023/1/1 8:05", "2023-01-01T08:05:00"),
        ("2023.01.01T08:05:09", "2023-01-01T08:05:09"),
        ("2023/1/1  08:05:09.123456", "2023-01-01T08:05:09"),
        ("2023-01-01", "2023-01-01"),
        ("20230101", "2023-01-01"),
        ("2023-01-01 08:05", "2023-01-01T08:05:00"),
        ("2023-01-01T08:05:09+08:00", "2023-01-01T08:05:09+08:00"),
        ("2023-01-01T08:05:09Z", "2023-01-01T08:05:09+00:00"),
        ("  2023/1/1\n", "2023-01-01"),
        ("0012/1/1", "0012-01-01"),
        ("9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59-05:00"),
    ],
)
def test_a_date_that_can_be_read_without_a_guess_is_told_in_iso_form(text: str, told: str) -> None:
    assert order_time(text) == told


@pytest.mark.parametrize(
    "text", ["1/2/2023", "01.02.2023", "Jan 5, 2023", "1672531200", "2023/1/1 08:05 CET", "23/1/1"]
)
def test_a_form_that_would_need_a_guess_stays_as_given(text: str) -> None:
    assert order_time(f" {text} ") == text


@pytest.mark.parametrize(
    "text", ["", "   ", "yesterday", "--", "２０２３", "2023/13/1", "2023/2/30", "2023/1/1 25:00"]
)
def test_a_text_without_a_date_is_refused(text: str) -> None:
    with pytest.raises(CallerError) as refused:
        order_time(text)
    assert refused.value.reason == "bad_value"
    assert refused.value.values["field"] == "order_time"


@given(
    st.text(max_size=60) | st.from_regex(r"\d{4}[/.-]\d{1,2}[/.-]\d{1,2}( \d{1,2}:\d{2})?", fullmatch=True)
)
def test_reading_a_told_date_again_changes_nothing(text: str) -> None:
    try:
        told = order_time(text)
    except CallerError:
        return
    assert order_time(told) == told
