"""Detection: the answers for known numbers, the ranking, the context, and hostile input."""

import subprocess
import sys
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.detect import Candidate, Context, LearnedKey, _informed, detect, learned_key, possible
from parcelwire.domain.rules import FAMILIES, RULES

NUMBERISH = st.one_of(
    st.text(max_size=60),
    st.text("0123456789", max_size=60),
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-", max_size=60),
    st.sampled_from([rule.valid for rule in RULES] + [rule.invalid for rule in RULES]),
)
SLUGS = st.sampled_from(sorted({rule.carrier for rule in RULES if rule.carrier}))
CONTEXTS = st.builds(
    Context,
    countries=st.frozensets(st.sampled_from(["CA", "CN", "DE", "FR", "GB", "JP", "US"]), max_size=2),
    credentials=st.frozensets(SLUGS, max_size=3),
    learned=st.dictionaries(
        st.sampled_from(["d10", "d12", "d14", "x18", "RRx13"]),
        st.dictionaries(SLUGS, st.integers(1, 1000), max_size=3),
        max_size=3,
    ),
)


def of(carrier: str, candidates: tuple[Candidate, ...]) -> Candidate:
    return next(candidate for candidate in candidates if candidate.carrier == carrier)


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


@pytest.mark.parametrize(
    "text", ["0" * length for length in range(5, 51)] + ["1111111111", "7777777777777777"]
)
def test_one_digit_over_and_over_is_no_number(text: str) -> None:
    assert detect(text) == ()


@pytest.mark.parametrize(
    "text", ["hello world", "TRACKING", "ZABCDEFG", "-----", "N/A", "", "1234", None, 123456789012]
)
def test_words_and_other_things_are_no_numbers(text: object) -> None:
    assert detect(text) == ()


@pytest.mark.parametrize("number", ["123-12345678", "ABC-DE-1234567", "1234-12345"])
def test_hyphens_that_are_part_of_a_format_count(number: str) -> None:
    assert detect(number)[0].carrier in {"dhl_global_forwarding", "dhl_freight"}
    rules = {candidate.rule for candidate in detect(number.replace("-", ""))}
    assert not rules & {"dhl_forwarding_air", "dhl_freight_code", "dhl_freight_order"}


def test_a_number_is_split_into_its_named_parts() -> None:
    fields = detect("1Z999AA10123456784")[0].fields
    assert dict(fields) == {"shipper": "999AA1", "service": "01", "package": "2345678"}
    assert fields["service"] == "01"
    assert len(fields) == 3
    assert "zip" not in fields
    assert detect("420787459400111206206406260787")[0].fields == {"zip": "78745"}


def test_the_carrier_that_delivers_comes_before_the_one_that_ships() -> None:
    usps, partner = detect("9261290903123456789017")[:2]
    assert usps.carrier == "usps"
    assert usps.confident
    assert partner.carrier == "dhl_ecommerce_us"
    assert not partner.confident


def test_a_country_brings_its_national_carrier_forward() -> None:
    number = "408172644025"  # fits only the check digit of the Japanese carriers
    plain, japan = detect(number), detect(number, Context(countries=frozenset({"JP"})))
    assert of("yamato", japan).probability > of("yamato", plain).probability
    assert of("yamato", japan).evidence == ("check", "country")
    germany = detect(number, Context(countries=frozenset({"DE"})))
    assert of("yamato", germany).probability < of("yamato", plain).probability


def test_a_credential_decides_between_equals_and_never_against_a_mark() -> None:
    number = "12345678901235"
    assert detect(number)[0].carrier == "dpd_de"
    assert of("brt", detect(number, Context(credentials=frozenset({"brt"})))).evidence == (
        "shape",
        "credential",
    )
    assert detect("1Z999AA10123456784", Context(credentials=frozenset({"fedex"})))[0].carrier == "ups"


def test_what_such_numbers_turned_out_to_be_is_learned() -> None:
    number = "89108749065090"
    assert detect(number)[0].carrier == "dpd_de"
    learned: dict[str, dict[str, int]] = {}
    for _ in range(20):
        key = learned_key("89108749065000", "chronopost")
        learned.setdefault(key.shape, {}).setdefault(key.carrier, 0)
        learned[key.shape][key.carrier] += 1
    first = detect(number, Context(learned=learned))[0]
    assert (first.carrier, first.confident, first.evidence) == ("chronopost", True, ("shape", "history"))


def test_one_odd_number_in_the_past_does_not_overturn_a_mark() -> None:
    past = {"x18": {"fedex": 1}}
    assert detect("1Z999AA10123456784", Context(learned=past))[0].carrier == "ups"


def test_a_carrier_that_no_rule_knows_can_be_learned() -> None:
    past = {learned_key("QQQQQ-99999", "landmark_global").shape: {"landmark_global": 9}}
    first = detect("QQQQQ12345", Context(learned=past))[0]
    assert (first.carrier, first.rule) == ("landmark_global", "learned")


def test_the_number_that_must_not_be_detected_cannot_be_learned() -> None:
    key = learned_key("SANDBOXDELIVERED", "sandbox")
    assert key.shape == learned_key("SANDBOXAMBIGUOUS", "sandbox").shape
    assert detect("SANDBOXAMBIGUOUS", Context(learned={key.shape: {"sandbox": 50}})) == ()


def test_the_learned_key_ignores_hyphens() -> None:
    assert learned_key("LZ-448865302-CN", "china_post") == LearnedKey("LZx13", "china_post")


@given(NUMBERISH, st.none() | CONTEXTS)
def test_any_text_gives_a_sound_ranking(text: str, context: Context | None) -> None:
    candidates = detect(text, context)
    probabilities = [candidate.probability for candidate in candidates]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1.001
    assert len({candidate.carrier for candidate in candidates}) == len(candidates)
    assert not any(candidate.confident for candidate in candidates[1:])
    assert not any(candidate.confident and candidate.check == "bad" for candidate in candidates)
    for candidate in candidates:
        assert all(part and part in text.upper() for part in candidate.fields.values()) or not text.isascii()


@given(st.text(st.characters(categories=["Nd", "Nl", "No"], min_codepoint=128), min_size=1, max_size=30))
def test_digits_of_other_scripts_are_never_a_number(text: str) -> None:
    foreign = [c for c in text if not "\uff10" <= c <= "\uff19"]
    assert not foreign or detect(text) == detect("9400" + text) == ()


@given(NUMBERISH)
def test_an_empty_context_changes_nothing(text: str) -> None:
    assert detect(text, Context()) == detect(text)


@given(st.lists(CONTEXTS, min_size=2, max_size=4), st.sampled_from(["89108749065090", "41000000011"]))
def test_a_ranking_is_of_its_own_context(contexts: list[Context], number: str) -> None:
    """Rankings are kept; none is given to a caller who knows something else."""
    first = [detect(number, context) for context in contexts]
    _informed.cache_clear()
    assert [detect(number, context) for context in reversed(contexts)] == first[::-1]


@pytest.mark.parametrize("unit", ["1", " ", "1Z", "-", "é", "１", "SANDBOX"])
def test_a_megabyte_is_refused_by_its_length(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = perf_counter()
    for _ in range(1000):
        assert detect(text) == ()
    assert perf_counter() - started < 1000 * 50e-6


def test_the_detector_needs_only_the_standard_library_and_is_loaded_when_asked() -> None:
    program = """
import sys, parcelwire
assert not [m for m in sys.modules if m.startswith("parcelwire.")]
before = set(sys.modules)
from parcelwire import detect
print(*sorted({m.split(".")[0] for m in set(sys.modules) - before}))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"parcelwire", *sys.stdlib_module_names}


@given(NUMBERISH)
def test_a_carrier_that_detection_names_is_possible(text: str) -> None:
    candidates = detect(text)
    for candidate in candidates:
        assert possible(candidates, {candidate.carrier})
        for member in FAMILIES.get(candidate.carrier, {}).values():
            assert possible(candidates, {member})


@pytest.mark.parametrize(
    ("number", "carrier", "can_be"),
    [
        ("1Z999AA10123456784", "ups", True),
        ("1Z999AA10123456784", "fedex", False),
        ("RR325552475CN", "fedex", False),
        ("RR325552475CN", "usps", True),  # the post that delivers it
        ("RR123456785CF", "usps", False),
        ("SANDBOXAMBIGUOUS", "sandbox", False),
        ("hello world", "winit", True),  # no rule says what its numbers look like
        ("hello world", "ups", False),
    ],
)
def test_what_can_be_of_a_carrier(number: str, carrier: str, can_be: bool) -> None:
    assert possible(detect(number), {carrier}) is can_be


def test_the_package_offers_detection_by_name() -> None:
    import parcelwire

    assert parcelwire.detect is detect
    with pytest.raises(AttributeError):
        parcelwire.__getattr__("nothing")
