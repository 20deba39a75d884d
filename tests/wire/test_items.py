"""Reading requests: per item, whatever bytes arrive."""

import json
from collections.abc import Sequence
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import CallerError
from parcelwire.domain.numbers import normalise
from parcelwire.wire.codes import ERRORS
from parcelwire.wire.v22 import (
    ITEMS_MAX,
    NESTING_MAX,
    BadItem,
    NumberItem,
    RealTimeItem,
    RegisterItem,
    answer,
    answer_of,
    carrier_code,
    deeper,
    instant,
    named,
    read_items,
    rejected,
)

N = "RR123456785CN"
GOOD = f'{{"number":"{N}"}}'


def read(*items: Any) -> list[RealTimeItem | BadItem]:
    return read_items(json.dumps(items).encode(), RealTimeItem)


def only(item: dict[str, Any] | str) -> RealTimeItem:
    """The one item of a body that has to be good."""
    (made,) = read(item) if isinstance(item, dict) else read_items(f"[{item}]".encode(), RealTimeItem)
    assert isinstance(made, RealTimeItem)
    return made


def bad(item: str | bytes) -> BadItem:
    """The bad item of a body between two good neighbours, which have to be read."""
    raw = item.encode() if isinstance(item, str) else item
    before, made, after = read_items(b"[%s,%s,%s]" % (GOOD.encode(), raw, GOOD.encode()), RealTimeItem)
    assert before == after == RealTimeItem(number=N)
    assert isinstance(made, BadItem)
    return made


def whole(body: bytes) -> CallerError:
    with pytest.raises(CallerError) as failed:
        read_items(body, RealTimeItem)
    return failed.value


# --- the body -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, ITEMS_MAX])
def test_up_to_forty_items_are_read_in_order(count: int) -> None:
    items = read_items(json.dumps([{"number": f"A{n:05}"} for n in range(count)]).encode(), NumberItem)
    assert items == [NumberItem(number=f"A{n:05}") for n in range(count)]


def test_forty_one_items_are_too_many_and_none_is_too_few() -> None:
    too_many = whole(b"[" + b",".join([GOOD.encode()] * 41) + b"]")
    assert (too_many.reason, too_many.values) == ("too_many", {"limit": "40"})
    assert whole(b"[5," + b",".join([GOOD.encode()] * 40) + b"]").reason == "too_many"
    assert len(read_items(b"[5," + b",".join([GOOD.encode()] * 39) + b"]", RealTimeItem)) == ITEMS_MAX
    assert whole(b"[]").reason == "missing_item"


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"   ",
            b"\0",
            b"[",
            b"nonsense",
            b"<html></html>",
            b"[{]",
            b"[" + GOOD.encode() + b"] x",
        ),
        *(
            b'[{"number":"A12345",}]',
            b'[{"number":"A12345"} // comment\n]',
            b"['A12345']",
            b"[NaN]",
            b"[Infinity]",
        ),
        b"\xef\xbb\xbf[" + GOOD.encode() + b"]",
        f"[{GOOD}]".encode("utf-16"),
        f"[{GOOD}]".encode("utf-32"),
        b'[{"number":"A12345","x":"raw\nline"}]',
        b"\xff\xfe\xfd",
    ],
)
def test_what_is_not_json_is_refused_as_a_whole(body: bytes) -> None:
    error = whole(body)
    assert (error.reason, error.values) == ("bad_body", {"detail": "it is not JSON"})


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b"5", b'"x"', b'{"numbers":["A12345"],"carrier":0}', GOOD.encode()]
)
def test_json_that_is_no_array_is_refused_as_a_whole(body: bytes) -> None:
    assert whole(body).values == {"detail": "a JSON array of objects is expected"}


@pytest.mark.parametrize("body", [b"[5]", b'["RR123456785CN"]', b"[null, [], true]", b"[[[]]]"])
def test_an_array_without_any_object_is_refused_as_a_whole(body: bytes) -> None:
    assert whole(body).values == {"detail": "an item is not an object"}


@pytest.mark.parametrize("item", ["5", "null", "[]", '"RR123456785CN"', "true", "1e400", "9" * 5_000])
def test_one_item_that_is_no_object_harms_no_neighbour(item: str) -> None:
    made = bad(item)
    assert (made.number, made.carrier, made.error.reason) == ("", 0, "bad_body")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (r'{"number":"\ud800BC123"}', "bad_number"),
        (r'{"number":"A12345","tag":"\uDC00"}', "bad_value"),
        (r'{"number":"A12345","tag":"\ud83d\ud83d\ude00"}', "bad_value"),
        (r'{"number":"A12345","labels":["\ud800"]}', "bad_item"),
        (r'"\udfff"', "bad_body"),
        ('{"number":"A12345","x":' + '{"a":[' * 8 + "]}" * 8 + "}", "bad_body"),
        ("[" * 300_000 + "]" * 300_000, "bad_body"),
        ('{"number":"A12345","x":[' + '"[",' * 9 + "[" * 20 + "]" * 20 + "]}", "bad_body"),
    ],
)
def test_half_a_character_or_deep_nesting_harms_no_neighbour(item: str, reason: str) -> None:
    """Both would make the whole body unreadable."""
    body = f'[{{"number":"{N}"}},{item} ,{{"number":"{N}","tag":"\\ud83d\\ude00 \\\\ud800"}}]'
    first, made, last = read_items(body.encode(), RegisterItem)
    assert first == RegisterItem(number=N)
    assert last == RegisterItem(number=N, tag="\U0001f600 \\ud800")
    if isinstance(made, BadItem):
        assert made.error.reason == reason
    else:
        assert reason == "bad_number"
        assert normalise(made.number) is None


def test_deep_nesting_is_refused_before_it_is_read() -> None:
    for depth in (NESTING_MAX, 500_000):
        body = b"[" * depth + b"]" * depth
        error = whole(b"[" + body + b"]")
        assert error.values == {"detail": "nested deeper than 16 levels"}
    objects = b'[{"number":"A12345","x":' + b'{"a":' * 15 + b"1" + b"}" * 16 + b"]"
    assert whole(objects).reason == "bad_body"
    allowed = b'[{"number":"A12345","x":' + b"[" * 14 + b"]" * 14 + b"}]"
    assert read_items(allowed, NumberItem) == [NumberItem(number="A12345")]


@pytest.mark.parametrize(
    ("body", "deep"),
    [
        (b'["' + b"[" * 50 + b'"]', False),  # in a string
        (b'["' + b'\\"' + b"[" * 50 + b'"]', False),  # after an escaped quote
        (b'["\\\\"' + b"[" * 17, True),  # after an escaped backslash
        (b"[]" * 50, False),  # beside one another
        (b"[" * 16 + b"]" * 16, False),
        (b"[" * 17, True),
        (b'[{"a":' * 8 + b"{", True),
        (b'"' + b"[" * 50, False),  # a string without an end
        (b"]" * 30, False),
    ],
)
def test_only_brackets_outside_strings_nest(body: bytes, deep: bool) -> None:
    assert deeper(body, NESTING_MAX) is deep


@pytest.mark.parametrize(
    "hostile", [b'"' + b'\\"' * 500_000, b'"' * 500_001, b"\\" * 1_000_000, b"{" + b'"a\\' * 300_000]
)
def test_a_body_of_the_largest_size_is_measured_in_linear_time(hostile: bytes) -> None:
    body = b"[]" * 9 + b"[]" * 9 + hostile
    began = process_time()
    deeper(body, NESTING_MAX)
    assert process_time() - began < 2


# --- items ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("json_text", "code"),
    [
        ("null", 0),
        ("0", 0),
        ('""', 0),
        ("3011", 3011),
        ('"3011"', 3011),
        ('" 3011 "', 3011),
        ("2147483647", 2**31 - 1),
    ],
)
def test_a_carrier_may_be_null_zero_an_int_or_a_numeric_string(json_text: str, code: int) -> None:
    item = only(f'{{"number":"{N}","carrier":{json_text}}}')
    assert carrier_code(item.carrier) == code
    assert named(item) == (N, code)


def test_a_carrier_may_be_left_out() -> None:
    assert only(GOOD).carrier is None
    assert carrier_code(None) == 0


@pytest.mark.parametrize(
    "given_value", ["-1", "2147483648", '"usps"', '"-5"', '"3011.0"', '"٣٠١١"', "9" * 30, "9" * 4_000]
)
def test_a_carrier_that_cannot_be_a_code_is_refused_with_its_value(given_value: str) -> None:
    item = only(f'{{"number":"{N}","carrier":{given_value}}}')
    with pytest.raises(CallerError) as refused:
        carrier_code(item.carrier)
    assert refused.value.reason == "bad_carrier"
    assert refused.value.values["carrier"] == given_value.strip('"')[:50]
    assert named(item) == (N, 0)


@pytest.mark.parametrize(
    "given_value", ["true", "false", "3011.5", "3011.0", "1e400", "[3011]", '{"a":1}', "9" * 5_000]
)
def test_a_carrier_of_a_wrong_type_names_the_field_and_what_was_written(given_value: str) -> None:
    made = bad(f'{{"number":"{N}","carrier":{given_value}}}')
    assert made.error.reason == "bad_value"
    assert made.error.values == {"field": "carrier", "value": given_value[:50]}
    assert (made.number, made.carrier) == (N, 0)
    assert type(made.carrier) is int


TEXTS = ["tag", "lang", "param", "order_time", "email", "remark"]


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", ["5", "true", "[]", "{}", "1.5"])
def test_a_text_of_a_wrong_type_names_the_field(field: str, value: str) -> None:
    made = bad(f'{{"number":"{N}","carrier":3011,"{field}":{value}}}')
    assert made.error.reason == "bad_value"
    assert made.error.values == {"field": field, "value": value}
    assert named(made) == (N, 3011)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("auto_detection", "1"),
            ("auto_detection", '"true"'),
            ("final_carrier", "true"),
            ("order_no", "1.5"),
        ),
        *(("cacheLevel", "true"), ("cacheLevel", "0.5"), ("order_no", "false")),
    ],
)
def test_other_fields_of_a_wrong_type_are_named_too(field: str, value: str) -> None:
    made = bad(f'{{"number":"{N}","{field}":{value}}}')
    assert made.error.values == {"field": field, "value": value.strip('"')}


@pytest.mark.parametrize("field", [*TEXTS, "order_no"])
def test_texts_have_their_longest_length(field: str) -> None:
    longest = {"tag": 100, "order_no": 100, "remark": 1_000}.get(field, 250)
    assert getattr(only({"number": N, field: "x" * longest}), field) == "x" * longest
    made = bad(json.dumps({"number": N, field: "x" * (longest + 1)}))
    assert made.error.values == {"field": field, "value": "x" * 50}
    assert bad(json.dumps({"number": N, field: "a\0b"})).error.values == {"field": field, "value": "a?b"}
    assert getattr(only({"number": N, field: None}), field) is None


def test_an_order_number_may_be_an_int_of_64_bits() -> None:
    assert only({"number": N, "order_no": 2**63 - 1}).order_no == 2**63 - 1
    for long in (2**63, 10**100):
        made = bad(json.dumps({"number": N, "order_no": long}))
        assert made.error.values == {"field": "order_no", "value": str(long)[:50]}


@pytest.mark.parametrize(
    ("item", "reason", "value"),
    [
        ("{}", "missing_item", None),
        ('{"carrier":3011,"tag":"x"}', "missing_item", None),
        ('{"Number":"RR123456785CN"}', "missing_item", None),
        ('{"number":null}', "bad_number", "null"),
        ('{"number":123456789012}', "bad_number", "123456789012"),
        ('{"number":["RR123456785CN"]}', "bad_number", '["RR123456785CN"]'),
        ('{"number":true}', "bad_number", "true"),
    ],
)
def test_a_number_that_is_missing_or_no_text_is_told_as_such(
    item: str, reason: str, value: str | None
) -> None:
    made = bad(item)
    assert made.error.reason == reason
    assert made.error.values == ({"number": value} if value else {"field": "number"})
    assert made.number == (value if value and value.isdigit() else ""), "so that the caller can match it"


def test_a_bad_item_is_named_as_far_as_it_can_be() -> None:
    made = bad('{"number":"RR12\\u00003456785CN","carrier":"3011","tag":5}')
    assert named(made) == ("RR12?3456785CN", 3011)
    assert bad(json.dumps({"number": "x" * 300, "tag": 5})).number == "x" * 250


def test_a_text_that_is_not_utf8_is_the_fault_of_its_item_alone() -> None:
    made = bad(b'{"number":"RR123456785CN","carrier":3011,"remark":"Z\xfcrich"}')
    assert made.error.values == {"detail": "a text is not UTF-8"}
    assert named(made) == (N, 3011)
    assert bad(b'{"number":"RR12\xff"}').number == ""
    assert whole(b'[{"number":"RR12\xff"}]').values == {"detail": "a text is not UTF-8"}


@pytest.mark.parametrize("value", ['"x"', "5", "null", "[[1],{}]", "1e400", "9" * 5_000, "true"])
def test_unknown_fields_are_ignored(value: str) -> None:
    assert only(f'{{"number":"{N}","unknown":{value},"cachelevel":1}}') == RealTimeItem(number=N)


def test_of_a_repeated_field_the_last_one_counts() -> None:
    assert only(f'{{"number":"other","number":"{N}","tag":"a","tag":"b"}}') == RealTimeItem(number=N, tag="b")
    assert named(bad(f'{{"number":"other","number":"{N}","tag":5,"tag":"b"}}')) == (N, 0)


def test_every_field_of_register_is_kept() -> None:
    given_item = {
        "number": N, "carrier": 3011, "final_carrier": "21051", "auto_detection": False, "tag": "t",
        "lang": "en", "param": "p", "order_no": "o", "order_time": "2023/1/1", "email": "e@example.com",
        "remark": "r",
    }  # fmt: skip
    (made,) = read_items(json.dumps([given_item]).encode(), RegisterItem)
    assert made == RegisterItem(**given_item)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "now"),
    [
        *((None, False), (0, False), ("0", False), ("", False), ("Standard", False), (" STANDARD ", False)),
        *((1, True), ("1", True), ("Instant", True), ("instant", True)),
    ],
)
def test_the_forms_of_cache_level(value: int | str | None, now: bool) -> None:
    assert instant(only({"number": N, "cacheLevel": value}).cacheLevel) is now


@pytest.mark.parametrize("value", [2, -1, "2", "fast", "true", 10**30])
def test_another_cache_level_is_refused(value: int | str) -> None:
    with pytest.raises(CallerError) as refused:
        instant(value)
    assert refused.value.values == {"field": "cacheLevel", "value": str(value)}


# --- laws -----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["number", "carrier", "order_no", "cacheLevel", "auto_detection", *TEXTS, "other"])
ITEM = st.dictionaries(FIELDS, JSON | st.text() | st.just(N), max_size=6)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(ITEM | JSON, max_size=42).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    ),
    st.text('[]{}":,\\ \0\x1fN1eé', max_size=120).map(str.encode),
)


@given(BODIES)
def test_whatever_arrives_is_read_or_refused_with_a_row_of_the_code_table(body: bytes) -> None:
    try:
        items = read_items(body, RealTimeItem)
    except CallerError as error:
        refused_with = error.reason
    else:
        _check(items)
        refused_with = "bad_body"
    assert refused_with in ERRORS


def _check(items: Sequence[RealTimeItem | BadItem]) -> None:
    assert 0 < len(items) <= ITEMS_MAX
    for item in items:
        number, code = named(item)
        assert len(number) <= 250
        assert number.isprintable()
        assert type(code) is int
        assert 0 <= code < 2**31
        if isinstance(item, BadItem):
            assert item.error.reason in ERRORS
            assert all(value.isprintable() and len(value) <= 50 for value in item.error.values.values())


@given(st.lists(ITEM, min_size=1, max_size=5), st.integers(0, 5))
def test_a_good_item_is_read_whatever_stands_beside_it(others: list[dict[str, Any]], place: int) -> None:
    items: list[Any] = list(others)
    items.insert(place, {"number": N, "carrier": 3011, "tag": "mine"})
    body = json.dumps(items, ensure_ascii=False, allow_nan=False) if _finite(items) else None
    if body is None:
        return
    made = read_items(body.encode("utf-8", "replace"), RealTimeItem)
    assert RealTimeItem(number=N, carrier=3011, tag="mine") in made
    assert len(made) == len(items)


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("refusals", range(3))
@pytest.mark.parametrize("count", range(3))
def test_an_answer_of_encoded_items_is_the_same_answer(count: int, refusals: int) -> None:
    """Byte for byte, with any number of items on either side."""
    items = [f'{{"number":"{N}","place":{place}}}'.encode() for place in range(count)]
    refused = [rejected(N, place, CallerError("bad_number", number=N)) for place in range(refusals)]
    assert answer_of(items, refused) == answer([msgspec.Raw(item) for item in items], refused)
