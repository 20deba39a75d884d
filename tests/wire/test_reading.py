"""Reading request bodies: the short way and the careful way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import CallerError
from parcelwire.wire import v22
from parcelwire.wire.v22 import BadItem, RegisterItem, read_items

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=300), st.lists(st.text(max_size=3), max_size=3)
)
FIELDS = st.sampled_from([*RegisterItem.__struct_fields__, "nobody knows"])
ITEMS = st.dictionaries(FIELDS, VALUES, max_size=5).map(lambda item: {"number": "RR123456785CN"} | item)


@given(st.lists(ITEMS, min_size=1, max_size=5))
def test_a_body_that_can_be_read_as_a_whole_gives_the_items_that_taking_it_apart_gives(
    items: list[Any],
) -> None:
    body = json.dumps(items).encode()
    whole = v22._read_whole(body, RegisterItem)
    if whole is not None:
        assert whole == v22._read_apart(body, RegisterItem)


def test_an_honest_body_takes_the_short_way() -> None:
    body = b'[{"number": "RR123456785CN", "carrier": 3011, "tag": "a", "order_no": 7}, {"number": "x"}]'
    assert v22._read_whole(body, RegisterItem) == read_items(body, RegisterItem)


@pytest.mark.parametrize(
    ("field", "longest"),
    [("tag", 100), ("order_no", 100), ("lang", 250), ("carrier", 250), ("remark", 1_000)],
)
def test_a_text_that_is_too_long_is_refused_with_its_field_and_its_neighbour_is_read(
    field: str, longest: int
) -> None:
    items = [{"number": "A", field: "1" * (longest + more)} for more in (0, 1)]
    good, bad = read_items(json.dumps(items).encode(), RegisterItem)
    assert isinstance(good, RegisterItem)
    assert isinstance(bad, BadItem)
    assert (bad.error.reason, bad.error.values["field"]) == ("bad_value", field)


def test_a_nul_in_a_text_is_refused() -> None:
    item, _ = read_items(b'[{"number": "A", "tag": "a\\u0000"}, {"number": "B"}]', RegisterItem)
    assert isinstance(item, BadItem)
    assert item.error.reason == "bad_value"


@pytest.mark.parametrize("body", [b"[" * 500_000, b'[{"number":' * 90_000, b"[" * 17 + b"]" * 17])
def test_deep_nesting_is_refused(body: bytes) -> None:
    with pytest.raises(CallerError) as refused:
        read_items(body, RegisterItem)
    assert refused.value.reason == "bad_body"
