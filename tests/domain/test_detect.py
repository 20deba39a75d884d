"""Detection: the answers for known numbers, the ranking, the context, and hostile input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.detect import detect, possible
from parcelwire.domain.rules import RULES
from parcelwire.wire.directory import shipped


@pytest.mark.parametrize(
    ("number", "carrier"),
    [
        ("RR325552475CN", "china_post"),
        ("EE281044821CN", "china_ems"),
        ("RB966090655TW", "chunghwa_post"),
        ("CP792052031MO", "macau_post"),
        ("RR251346284GI", "gibraltar_post"),
        ("CG306138456DE", "dhl_paket"),
        ("RG967920447DE", "deutsche_post"),
        ("EE100860285GB", "parcelforce"),
        ("RB123456785GB", "royal_mail"),
        ("UF158177242YP", "yanwen"),
        ("1Z999AA10123456784", "ups"),
        ("986578788855", "fedex"),
        ("61299998820821171811", "fedex"),
        ("9400111206206406260787", "usps"),
        ("420787459400111206206406260787", "usps"),
        ("3318810025", "dhl_express"),
        ("00340434161094042557", "dhl_paket"),
        ("SANDBOXJOURNEY", "sandbox"),
        ("SANDBOX429", "sandbox"),
        ("sandboxdelivered0007", "sandbox"),
    ],
)
def test_the_first_carrier_of_a_known_number(number: str, carrier: str) -> None:
    assert detect(number)[0].carrier == carrier


def test_a_wrong_check_digit_is_told_and_never_rejects() -> None:
    first = detect("RR123456789CN")[0]
    assert (first.carrier, first.check, first.confident) == ("china_post", "bad", False)


def test_the_sandbox_is_certain_but_for_the_number_that_must_not_be_detected() -> None:
    assert detect("SANDBOXJOURNEY")[0].confident
    assert detect("SANDBOXAMBIGUOUS") == detect("SANDBOXAMBIGUOUS01") == ()


def test_a_post_without_a_carrier_code_gives_no_candidate() -> None:
    assert detect("RB123456785CF") == ()


def test_the_package_offers_detection_by_name() -> None:
    import parcelwire

    assert parcelwire.detect is detect
    with pytest.raises(AttributeError):
        parcelwire.__getattr__("nothing")


@given(
    st.one_of(
        st.sampled_from([rule.valid for rule in RULES]), st.from_regex(r"[A-Z0-9-]{3,40}", fullmatch=True)
    )
)
def test_possible_carriers_are_exactly_those_that_detection_names(number: str) -> None:
    named = {candidate.carrier for candidate in detect(number)}
    assert {entry.slug for entry in shipped() if possible(number, {entry.slug})} == named
