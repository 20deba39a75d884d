"""Which carriers could a number belong to, how likely is each, and why.

Every rule that fits makes a claim. Its weight is how common such numbers are (``prior``), times how much its
fixed characters and its check digit tell; "none of them" has a weight too. A probability is a share of all.
A wrong check digit lowers a claim and is told, it never removes it: carriers' own sandboxes and the examples
on their pages often have wrong ones. What the caller knows (countries, credentials, what such numbers turned
out to be before) moves the priors.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from math import log10
from typing import NamedTuple

from parcelwire.domain.formats import Format, read
from parcelwire.domain.numbers import CHECKS, Spelling, s10, shape, spell
from parcelwire.domain.posts import UNASSIGNED, posts_of
from parcelwire.domain.rules import FAMILIES, RULES, Rule

# All of these are log10 of a factor.
_CHECK_FITS, _CHECK_FAILS = 1.0, -4.0
_COUNTRY_FITS, _COUNTRY_DIFFERS = 1.2, -0.3
_CREDENTIAL = 0.5
_PARTNER = -0.6
_FAMILY = -0.3  # a national company that only a credential or the past speaks for
_S10_PRIOR, _S10_UNASSIGNED_PRIOR, _S10_TOLD = 2.0, -2.0, 2 * log10(26)

# How common numbers are that belong to none of our carriers: short digit strings are phone and order numbers.
_UNKNOWN_DIGITS = {5: 3.0, 6: 3.0, 7: 2.5, 8: 2.5, 9: 2.0, 10: 2.0, 11: 1.7, 12: 1.2, 13: 1.7}
_UNKNOWN_DIGITS_LONG, _UNKNOWN_LETTERS = 1.0, 0.5

_PRIOR_COUNT = 3.0
"""How many past numbers the rules' own priors are worth against what the account has learned."""

# What the fixed characters must tell (log10) to be a mark of the carrier, with and without a check digit.
_MARK_CHECKED, _MARK = 1.9, 2.8
_SURE = {"s10": 0.8, "prefix+check": 0.9, "prefix": 0.9, "check": 0.95}
_HISTORY_MIN, _HISTORY_SURE = 3, 0.95

# The sandbox number that no carrier may claim: callers try with it what an undetectable number does.
_NOBODY = "SANDBOXAMBIGUOUS"


class Context(NamedTuple):
    """What the caller knows beside the number.

    ``countries``: ISO 3166 alpha-2 of origin and destination. ``credentials``: slugs of the carriers that the
    account can ask. ``learned``: per shape of number (see ``learned_key``) how many were of which carrier.
    """

    countries: frozenset[str] = frozenset()
    credentials: frozenset[str] = frozenset()
    learned: Mapping[str, Mapping[str, int]] = {}


class Candidate(NamedTuple):
    """One possible carrier. ``check`` is ok, bad or none; ``fields`` are the named parts of the number.

    ``evidence``: s10, prefix+check, prefix, check or shape, then what the context added (+country,
    +credential, +history). ``rule`` is its id, or ``learned`` when only the past speaks for the carrier.
    """

    carrier: str
    rule: str
    probability: float
    confident: bool
    check: str
    fields: Mapping[str, str]
    evidence: str


class LearnedKey(NamedTuple):
    """Where to count that a number turned out to be of a carrier."""

    shape: str
    carrier: str


class _Claim(NamedTuple):
    carrier: str
    rule: str
    prior: float
    told: float
    check: str
    fields: Mapping[str, str]
    evidence: str
    country: str = ""
    sure: bool = True  # may become confident
    notes: tuple[str, ...] = ()


class _Reader(NamedTuple):
    """A rule ready for use."""

    rule: Rule
    format: Format
    pattern: re.Pattern[str]


def learned_key(number: str, carrier: str) -> LearnedKey:
    """The count that grows when ``carrier`` is confirmed for ``number``, or a caller changes to it."""
    return LearnedKey(shape(number.replace("-", "")), carrier)


def detect(text: object, context: Context = Context()) -> tuple[Candidate, ...]:  # noqa: B008 - immutable
    """The carriers that a number could belong to, the likeliest first; empty when nothing fits.

    Takes any text: blanks, hyphens, small letters and full-width forms are understood.
    """
    spelling = _readable(text)
    if spelling is None:
        return ()
    number = spelling.compact
    claims = _merged(_claims({number, spelling.hyphened}))
    return _ranked(number, _in_context(claims, number, context), context.learned.get(shape(number), {}))


def possible(text: object, carriers: Collection[str]) -> bool:
    """Whether ``detect(text)`` names one of these carriers: a cheap question, nothing is weighed."""
    spelling = _readable(text)
    if spelling is None:
        return False
    for number in {spelling.compact, spelling.hyphened}:
        if _S10.fullmatch(number) and any(post.carrier in carriers for post in posts_of(number)):
            return True
        for reader in _readers(len(number), number[0]):
            if reader.rule.carrier in carriers and reader.pattern.fullmatch(number):
                return True
    return False


def _readable(text: object) -> Spelling | None:
    """The spellings of a text that may be a number of somebody."""
    spelling = spell(text)
    if spelling is None:
        return None
    number = spelling.compact
    if not number.strip("0") or number.startswith(_NOBODY):
        return None
    if number.isalpha() and not number.startswith("SANDBOX"):
        return None
    return spelling


@cache
def _formats() -> tuple[tuple[Rule, Format], ...]:
    return tuple((rule, read(rule.format)) for rule in RULES)


@cache
def _readers(length: int, first: str) -> tuple[_Reader, ...]:
    """The rules for numbers of this length and beginning, compiled."""
    return tuple(
        _Reader(rule, form, re.compile(form.pattern))
        for rule, form in _formats()
        if length in form.lengths and first in form.first
    )


def _claims(spellings: Iterable[str]) -> Iterator[_Claim]:
    for number in spellings:
        partners: list[tuple[Rule, _Claim]] = []
        leads: dict[str, _Claim] = {}
        if len(number) == 13:
            yield from _s10_claims(number)
        for reader in _readers(len(number), number[0]):
            match = reader.pattern.fullmatch(number)
            if not match:
                continue
            claim = _claim(reader, match)
            if reader.rule.partner_of:
                partners.append((reader.rule, claim))
                continue
            yield claim
            lead = leads.get(claim.carrier)
            if lead is None or _score(claim) > _score(lead):
                leads[claim.carrier] = claim
        for rule, claim in partners:
            lead = leads.get(rule.partner_of)
            if lead:
                yield claim._replace(prior=lead.prior + _PARTNER, told=lead.told, check=lead.check)
            else:
                yield claim


def _claim(reader: _Reader, match: re.Match[str]) -> _Claim:
    rule = reader.rule
    fields = match.groupdict()
    body = fields.pop("checked", None) or match[0]
    check, told, evidence = "none", reader.format.told, "prefix" if reader.format.told >= _MARK else "shape"
    if rule.check:
        fits = CHECKS[rule.check](body)
        check = "ok" if fits else "bad"
        told += _CHECK_FITS if fits else _CHECK_FAILS
        if fits:
            evidence = "prefix+check" if reader.format.told >= _MARK_CHECKED else "check"
    return _Claim(
        rule.carrier, rule.id, rule.prior, told, check, fields, evidence, rule.country, sure=rule.proof != "G"
    )


_S10 = re.compile(r"(?P<service>[A-Z]{2})(?P<serial>[0-9]{8})(?P<check>[0-9])(?P<country>[A-Z]{2})")


def _s10_claims(number: str) -> Iterator[_Claim]:
    match = _S10.fullmatch(number)
    if not match:
        return
    fits = s10(number)
    assigned = number[0] not in UNASSIGNED
    for post in posts_of(number):
        yield _Claim(
            post.carrier,
            "s10",
            post.share + (_S10_PRIOR if assigned else _S10_UNASSIGNED_PRIOR),
            _S10_TOLD + (_CHECK_FITS if fits else _CHECK_FAILS),
            "ok" if fits else "bad",
            match.groupdict(),
            "s10" if assigned else "shape",
        )


def _score(claim: _Claim) -> float:
    return claim.prior + claim.told


def _merged(claims: Iterable[_Claim]) -> list[_Claim]:
    """The best claim of each carrier."""
    best: dict[str, _Claim] = {}
    for claim in claims:
        if claim.carrier not in best or _score(claim) > _score(best[claim.carrier]):
            best[claim.carrier] = claim
    return list(best.values())


def _in_context(claims: list[_Claim], number: str, context: Context) -> list[_Claim]:
    """Move the priors by what the caller knows, and add the national companies it speaks for."""
    learned = context.learned.get(shape(number), {})
    known = {claim.carrier for claim in claims}
    family = [
        claim._replace(carrier=carrier, country=country, prior=claim.prior + _FAMILY)
        for claim in claims
        for country, carrier in FAMILIES.get(claim.carrier, {}).items()
        if carrier not in known
        and (country in context.countries or carrier in context.credentials or carrier in learned)
    ]
    return [_moved(claim, context) for claim in claims + family]


def _moved(claim: _Claim, context: Context) -> _Claim:
    country = claim.country or next(
        (c for c, carrier in FAMILIES.get(claim.carrier, {}).items() if carrier == claim.carrier), ""
    )
    if context.countries and country:
        fits = country in context.countries
        claim = claim._replace(
            prior=claim.prior + (_COUNTRY_FITS if fits else _COUNTRY_DIFFERS),
            notes=(*claim.notes, "country") if fits else claim.notes,
        )
    if claim.carrier in context.credentials:
        claim = claim._replace(prior=claim.prior + _CREDENTIAL, notes=(*claim.notes, "credential"))
    return claim


def _unknown(number: str) -> float:
    if number.isdigit():
        return _UNKNOWN_DIGITS.get(len(number), _UNKNOWN_DIGITS_LONG)
    return _UNKNOWN_LETTERS


def _ranked(number: str, claims: list[_Claim], learned: Mapping[str, int]) -> tuple[Candidate, ...]:
    """Probabilities. What the account has learned replaces the priors the more, the more of it there is."""
    strangers = learned.keys() - {claim.carrier for claim in claims}
    claims += [_Claim(carrier, "learned", -99.0, 0.0, "none", {}, "shape") for carrier in strangers]
    priors = sum(10**claim.prior for claim in claims)
    trust = _PRIOR_COUNT / (_PRIOR_COUNT + sum(learned.values()))
    weighed = [
        (claim, 10**claim.told * (trust * 10**claim.prior + (1 - trust) * priors * share))
        for claim in claims
        for share in [learned.get(claim.carrier, 0) / max(sum(learned.values()), 1)]
    ]
    total = sum(weight for _, weight in weighed) + trust * 10 ** _unknown(number)
    weighed.sort(key=lambda pair: (-pair[1], pair[0].carrier))
    return tuple(
        _candidate(claim, weight / total, learned.get(claim.carrier, 0), first=place == 0, number=number)
        for place, (claim, weight) in enumerate(weighed)
    )


def _candidate(claim: _Claim, probability: float, past: int, *, first: bool, number: str) -> Candidate:
    notes = (*claim.notes, "history") if past else claim.notes
    sure = probability >= _SURE.get(claim.evidence, 2.0) and claim.sure and len(set(number)) > 1
    remembered = past >= _HISTORY_MIN and probability >= _HISTORY_SURE
    return Candidate(
        carrier=claim.carrier,
        rule=claim.rule,
        probability=round(probability, 4),
        confident=first and claim.check != "bad" and (sure or remembered),
        check=claim.check,
        fields=claim.fields,
        evidence="+".join((claim.evidence, *notes)),
    )
