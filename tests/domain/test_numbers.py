"""What is a number at all, and the check digits."""

from string import ascii_uppercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.numbers import CHECKS, RAW_MAX, compact, hyphened, identity, normalise, shape

# Worked by hand or taken from the carriers' own texts; the check character is the last but for S10.
WORKED = [
    ("s10", "RB123456785GB"),
    ("gs1", "94001112062064062607" + "87"),
    ("gs1", "7023210039414604"),
    ("gs1 after 92", "61299998820821171811"),
    ("left13", "041441760228964"),
    ("fx12", "986578788855"),
    ("fx14", "00986578788855"),
    ("ups", "999AA10123456784"),
    ("ups", "1234567895"),
    ("mod7", "3318810025"),
    ("mod7", "123456789013"),
    ("ident49", "123456789016"),
    ("gls", "123456789011"),
    ("luhn", "123456789015"),
    ("luhn", "77712345675"),
    ("ontrac", "C11031500001879"),
    ("mod3736", "09980000020034D"),
    ("ru14", "12345678901231"),
]


@pytest.mark.parametrize(("name", "number"), WORKED)
def test_the_worked_example_fits_and_no_other_check_digit_does(name: str, number: str) -> None:
    place = 10 if name == "s10" else len(number) - 1
    others = [digit for digit in digits if digit != number[place]]
    assert CHECKS[name](number)
    assert not any(CHECKS[name](number[:place] + digit + number[place + 1 :]) for digit in others)


@given(st.sampled_from(sorted(CHECKS)), st.text(ascii_uppercase + digits, min_size=1, max_size=50))
def test_a_check_answers_on_any_letters_and_digits(name: str, text: str) -> None:
    assert CHECKS[name](text) in (True, False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("rr123456785cn", "RR123456785CN"),
        ("  RR123456785CN\n", "RR123456785CN"),
        ("ＲＰ３２５５５２４７５ＣＮ", "RP325552475CN"),
        ("1Z-999-AA1-01-2345-6784", "1Z-999-AA1-01-2345-6784"),
        ("12345", "12345"),
        ("A" * 50, "A" * 50),
    ],
)
def test_what_the_wire_accepts(text: str, number: str) -> None:
    assert normalise(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "    ", "1234", "-----", "123-4", "A" * 51, "1Z 999 AA1", "1Z999AA1012345678④", "straße12345"),
        *("٧٩٨٧٠١٠٥٢٣٥٤", "१२३४५६७८९०१२", "⁰¹²³⁴⁵⁶⁷⁸⁹", "RR12345\u0000CN", "ſ23456789", "\ud80012345"),
        *(None, True, 123456789012, b"RR123456785CN", ["RR123456785CN"]),
    ],
)
def test_what_the_wire_refuses(text: object) -> None:
    assert normalise(text) is None


def test_two_spellings_are_one_identity_and_significant_hyphens_stay() -> None:
    assert identity("LZ-448865302-CN") == identity("LZ448865302CN") == "LZ448865302CN"
    for number in ("123-12345678", "ABC-DE-1234567", "1234-12345", "1LS724081726440-1"):
        assert identity(number) == number


@pytest.mark.parametrize(
    "text",
    [
        "1Z 999 AA1 01 2345 6784",
        "\u200b1Z999AA10123456784",
        "1z.999.aa1.01.2345.6784",
        "1Z-999-AA10123456784",
    ],
)
def test_detection_reads_numbers_as_people_write_them(text: str) -> None:
    assert compact(text) == "1Z999AA10123456784"


def test_hyphens_can_be_kept() -> None:
    assert hyphened(" abc-de-1234567") == "ABC-DE-1234567"


def test_a_long_text_is_refused_by_its_length() -> None:
    assert compact("1" * (RAW_MAX + 1)) is None
    assert normalise(" " * RAW_MAX + "12345") is None


@given(st.text(max_size=60))
def test_only_ascii_letters_and_digits_ever_pass(text: str) -> None:
    for number in (normalise(text), compact(text)):
        assert number is None or (number.isascii() and number.upper() == number and 5 <= len(number) <= 50)


@given(st.text("0123456789", min_size=5, max_size=50), st.sampled_from("٠०０๐"))
def test_digits_of_other_scripts_never_pass_unless_full_width(number: str, zero: str) -> None:
    foreign = "".join(chr(ord(zero) + int(digit)) for digit in number)
    assert normalise(foreign) == (number if zero == "０" else None)


def test_numbers_that_look_alike_have_one_shape() -> None:
    assert shape("123456789012") == shape("999999999999") == "d12"
    assert shape("JJD0002257639032011") == "JJDx19"
    assert shape("1Z999AA10123456784") == shape("1Z000BB10123456784")
