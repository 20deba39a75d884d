"""The rules prove themselves: every sample, every overlap, every reference."""

import re
from collections import Counter

import pytest

from parcelwire.domain.detect import Candidate, Context, detect
from parcelwire.domain.formats import read
from parcelwire.domain.numbers import CHECKS
from parcelwire.domain.posts import ONE, SEVERAL, UNASSIGNED, s10_rules
from parcelwire.domain.rules import FAMILIES, NOBODY, RULES, Rule

DETECTING = [rule for rule in RULES if rule.carrier != NOBODY]
COUNTRIES = sorted({*ONE, *SEVERAL})


def verdict(rule: Rule, sample: str) -> str | None:
    """What the rule alone says about a sample: ok, bad, none, or None when it does not fit."""
    form = read(rule.format)
    if not re.fullmatch(form.pattern, sample):
        return None
    if not rule.check:
        return "none"
    checked = sample[form.checked] if form.checked else sample
    return "ok" if CHECKS[rule.check](checked) else "bad"


def claim(carrier: str, candidates: tuple[Candidate, ...]) -> Candidate | None:
    return next((candidate for candidate in candidates if candidate.carrier == carrier), None)


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_a_rule_accepts_its_valid_sample_and_not_its_invalid_one(rule: Rule) -> None:
    assert verdict(rule, rule.valid) == ("ok" if rule.check else "none")
    assert verdict(rule, rule.invalid) == ("bad" if rule.check else None)


@pytest.mark.parametrize("rule", DETECTING, ids=[rule.id for rule in DETECTING])
def test_no_carrier_takes_the_sample_of_another_but_its_declared_rivals(rule: Rule) -> None:
    """A mere shape (no mark, no check) is a guess: there the carrier needs only be among the candidates."""
    candidates = detect(rule.valid)
    own = claim(rule.carrier, candidates)
    assert own is not None, candidates
    ahead = {candidate.carrier for candidate in candidates[: candidates.index(own)]}
    allowed = {*rule.rivals, rule.partner_of}
    assert own.evidence == ("shape",) or ahead <= allowed, candidates


@pytest.mark.parametrize("rule", DETECTING, ids=[rule.id for rule in DETECTING])
def test_no_carrier_is_confident_on_the_sample_of_another(rule: Rule) -> None:
    first = detect(rule.valid)[0]
    assert not first.confident or first.carrier in {rule.carrier, rule.partner_of, *rule.rivals}


def test_the_table_is_sound() -> None:
    assert [rule_id for rule_id, count in Counter(rule.id for rule in RULES).items() if count > 1] == []
    carriers = {rule.carrier for rule in DETECTING}
    for rule in RULES:
        assert rule.proof in "ABCG", rule
        assert rule.check == "" or rule.check in CHECKS, rule
        assert {*rule.rivals, rule.partner_of} - {""} <= carriers, rule
        assert rule.country == "" or re.fullmatch("[A-Z]{2}", rule.country), rule
        assert max(read(rule.format).lengths) <= 50, rule
    assert set(FAMILIES) <= carriers


def test_at_least_sixty_couriers_beside_the_posts() -> None:
    posts = {*ONE.values(), *(post.carrier for several in SEVERAL.values() for post in several)}
    couriers = {rule.carrier for rule in DETECTING} - posts - {"sandbox"}
    couriers |= {carrier for family in FAMILIES.values() for carrier in family.values()} - posts
    assert len(couriers) >= 60
    assert len(posts) >= 160


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_post_is_found_by_its_s10_numbers(country: str) -> None:
    for head in ("RR", "CP", "EE", "UA", "LX"):
        number = f"{head}123456785{country}"
        expected = [rule.carrier for rule in s10_rules(head, country)]
        candidates = detect(number)
        assert [candidate.carrier for candidate in candidates][: len(expected)] == expected
        assert {candidate.rule for candidate in candidates} == {"s10"}
        assert candidates[0].check == "ok"
        assert candidates[0].fields == {"service": head, "serial": "12345678", "country": country}
        assert detect(f"{head}123456784{country}")[0].check == "bad"


@pytest.mark.parametrize("letter", UNASSIGNED)
def test_s10_letters_that_the_upu_reserves_are_only_a_guess(letter: str) -> None:
    candidates = detect(f"{letter}A123456785FR")
    assert candidates[0].carrier == "la_poste"
    assert not candidates[0].confident


@pytest.mark.parametrize("country", ["XX", "ZZ", "CF"])
def test_countries_without_a_post_that_has_a_code_give_nothing(country: str) -> None:
    assert detect(f"RB123456785{country}") == ()


@pytest.mark.parametrize(
    ("format_", "fits", "fails"),
    [
        ("1Z a:x2 d3", ("1ZA9123",), ("1ZA912", "2ZA9123", "1ZA912A")),
        ("[A-CX] (LX|RX) d2-3", ("BLX12", "XRX123"), ("DLX12", "BLL12", "BLX1")),
        ("d2 - h2", ("12-AF",), ("12-AG", "12AF")),
        ("| d3 | a", ("123A",), ("1234",)),
    ],
)
def test_the_format_language(format_: str, fits: tuple[str, ...], fails: tuple[str, ...]) -> None:
    form = read(format_)
    for number in fits:
        assert re.fullmatch(form.pattern, number)
        assert len(number) in form.lengths
        assert all(character in spot for character, spot in zip(number, form.heads, strict=False))
    for number in fails:
        assert not re.fullmatch(form.pattern, number)


def test_bars_and_names_keep_their_places() -> None:
    form = read("420 zip:d5 | service:d2 d3 | d")
    assert "42012345678901"[form.checked or slice(None)] == "67890"
    assert [tuple(field) for field in form.fields] == [("zip", 3, 8), ("service", 8, 10)]


@pytest.mark.parametrize("text", ["1Z y3", "d2-4 | d", "d2-4 name:d", "[a]", "(A|1"])
def test_a_text_that_is_no_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"format|place"):
        read(text)


def test_fixed_characters_tell_more_than_free_ones() -> None:
    told = [read(text).told for text in ("d12", "[0-4] d11", "7 d11", "77 d10", "SF d13")]
    assert told == sorted(told)
    assert told[0] == 0
    assert told[3] == pytest.approx(2)


def test_choices_are_texts_and_not_characters() -> None:
    """11 and 09 are made of characters of the postal service's 01, 14 ... but are no service of it."""
    for start in ("09", "11", "15"):
        assert "usps_20" not in {candidate.rule for candidate in detect(start + "011713490100020034")}
    assert "usps_20" in {candidate.rule for candidate in detect("14" + "011713490100020034")}


def test_a_family_answers_with_the_national_company_of_the_country() -> None:
    number = next(rule.valid for rule in RULES if rule.id == "dpd")
    assert detect(number)[0].carrier == "dpd_de"
    assert detect(number, Context(countries=frozenset({"FR"})))[0].carrier == "dpd_fr"
