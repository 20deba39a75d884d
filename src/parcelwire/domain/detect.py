"""Which carriers could a number belong to, how likely is each, and why.

Every rule that fits makes a claim. Its weight is how common such numbers are (``prior``), times how much its
fixed characters and its check digit tell; "none of them" has a weight too. A probability is a share of all.
A wrong check digit lowers a claim and is told, it never removes it: carriers' own sandboxes and the examples
on their pages often have wrong ones. What the caller knows (countries, credentials, what such numbers turned
out to be before) moves the priors.

Numbers of one length and beginning share a plan: the few patterns and check digits that tell them apart. The
ranking follows from which of these fit, so that a plan ranks each outcome once.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, lru_cache
from operator import contains
from types import MappingProxyType
from typing import NamedTuple

from parcelwire.domain.formats import HEAD, Field, Format, Split, read
from parcelwire.domain.numbers import CHECKS, compact, hyphened, shape
from parcelwire.domain.posts import ONE, SEVERAL, s10_rules
from parcelwire.domain.rules import FAMILIES, NOBODY, RULES, Rule

# All of these are log10 of a factor.
_CHECK_FITS, _CHECK_FAILS = 1.0, -4.0
_COUNTRY_FITS, _COUNTRY_DIFFERS = 1.2, -0.3
_CREDENTIAL = 0.5
_PARTNER = -1.2
_FAMILY = -0.3  # a national company that only a credential or the past speaks for

# How common numbers are that belong to none of our carriers: short digit strings are phone and order numbers.
_UNKNOWN_DIGITS = {5: 3.0, 6: 3.0, 7: 2.5, 8: 2.5, 9: 2.0, 10: 2.0, 11: 1.7, 12: 1.2, 13: 1.7}
_UNKNOWN_DIGITS_LONG, _UNKNOWN_LETTERS = 1.0, 0.5

_PRIOR_COUNT = 2.0
"""How many past numbers the rules' own priors are worth against what the account has learned."""

# What the fixed characters must tell (log10) to be a mark of the carrier, with and without a check digit.
_MARK_CHECKED, _MARK = 1.9, 2.8
# From which probability on a claim of this evidence is confident; a mere shape never is.
_SURE = {"s10": 0.8, "prefix+check": 0.9, "prefix": 0.9, "check": 0.95}
HISTORY_MIN, HISTORY_SURE = 3, 0.9

_PLANS_MAX = 4096
_INFORMED_MAX = 4096
_new = tuple.__new__
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


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

    ``evidence``: s10, prefix+check, prefix, check or shape, then what the context added: country, credential,
    history. ``rule`` is its id, or ``learned`` when only the past speaks for the carrier.
    """

    carrier: str
    rule: str
    probability: float
    confident: bool
    check: str
    evidence: tuple[str, ...]
    fields: Mapping[str, str]


class LearnedKey(NamedTuple):
    """Where to count that a number turned out to be of a carrier."""

    shape: str
    carrier: str


class _Claim(NamedTuple):
    """A rule that fits. ``prior`` and ``told`` are log10 and add up."""

    carrier: str
    rule: str
    prior: float
    told: float
    check: str
    evidence: str
    fields: tuple[Field, ...] = ()
    country: str = ""
    proof: str = "G"
    partner_of: str = ""
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        return self.prior + self.told


class _Test(NamedTuple):
    """What a number is asked. No pattern: length and beginning decided. No check: the pattern decides.

    No slice: the check reads all of it.
    """

    matches: Callable[[str], object] | None
    check: Callable[[str], bool] | None
    checked: slice | None


class _Ranking(NamedTuple):
    """Candidates before their number, and which of them get fields of it."""

    candidates: tuple[Candidate, ...]
    splits: tuple[tuple[int, tuple[Field, ...]], ...]


class _Plan(NamedTuple):
    """How to detect the numbers of one length and beginning."""

    tests: tuple[_Test, ...]
    rules: tuple[tuple[Rule, Format, int], ...]  # the index of the rule's test
    unknown: float
    rankings: dict[int, _Ranking]


def learned_key(number: str, carrier: str) -> LearnedKey:
    """The count that grows when ``carrier`` is confirmed for ``number``, or a caller changes to it."""
    return LearnedKey(shape(number.replace("-", "")), carrier)


def detect(text: object, context: Context | None = None) -> tuple[Candidate, ...]:
    """The carriers that a number could belong to, the likeliest first; empty when nothing fits.

    Takes any text: blanks, hyphens, small letters and full-width forms are understood.
    """
    number = compact(text)
    if number is None or not isinstance(text, str):
        return ()
    digits = number.isdigit()
    if _is_void(number) if digits else number.isalpha() and not number.startswith("SANDBOX"):
        return ()
    tail = number[-2:] if len(number) == 13 and not digits else ""
    kind = (len(number), number[:HEAD], tail, digits)
    plan = _plan(*kind)
    outcome = _outcome(plan, number)
    if context is None and "-" not in text:
        ranking = plan.rankings.get(outcome)
        if ranking is None:
            ranking = plan.rankings[outcome] = _ranked(_claims(plan, outcome), {}, plan.unknown)
    else:
        context = context or Context()
        learned = context.learned.get(shape(number), {})
        if "-" in text:
            claims = _claims(plan, outcome) + _hyphened_claims(hyphened(text))
            ranking = _in_context(_merged(claims), context, learned, plan.unknown)
        else:
            past = frozenset(learned.items())
            ranking = _informed(kind, outcome, context.countries, context.credentials, past)
    return _filled(ranking, number) if ranking.splits else ranking.candidates


def possible(candidates: Collection[Candidate], carriers: Collection[str]) -> bool:
    """Whether a number with these candidates can be of one of these carriers.

    Of a candidate or its national companies; of a carrier without rules, whose numbers we do not know; and
    every post may be asked for an S10 number, as it may be the one that delivers it.
    """
    if any(carrier not in _known() for carrier in carriers):
        return True
    named = {candidate.carrier for candidate in candidates}
    named |= {member for carrier in named for member in FAMILIES.get(carrier, {}).values()}
    if any(candidate.rule == "s10" for candidate in candidates):
        named |= _posts()
    return not named.isdisjoint(carriers)


@cache
def _posts() -> frozenset[str]:
    return frozenset([*ONE.values(), *(post.carrier for posts in SEVERAL.values() for post in posts)])


@cache
def _known() -> frozenset[str]:
    """The carriers whose numbers we know."""
    members = (carrier for family in FAMILIES.values() for carrier in family.values())
    return frozenset([*(rule.carrier for rule in RULES), *members]) | _posts()


def _filled(ranking: _Ranking, number: str) -> tuple[Candidate, ...]:
    candidates = list(ranking.candidates)
    for index, fields in ranking.splits:
        candidates[index] = _new(Candidate, (*candidates[index][:-1], Split(number, fields)))
    return tuple(candidates)


def _is_void(digits: str) -> bool:
    """One digit over and over: zeros fit every check sum, and such numbers are placeholders."""
    return not digits.strip(digits[0])


_read = cache(read)
_compiled = cache(re.compile)


@cache
def _shelf(length: int) -> tuple[tuple[Rule, Format], ...]:
    """The rules for numbers of this length."""
    return tuple((rule, form) for rule, form in _formats() if length in form.lengths)


@cache
def _formats() -> tuple[tuple[Rule, Format], ...]:
    return tuple((rule, _read(rule.format)) for rule in RULES)


def _may_fit(form: Format, length: int, head: str, *, digits: bool) -> bool:
    if not all(map(contains, form.heads, head)):
        return False
    if digits and form.loose:
        return _compiled(form.pattern).fullmatch(head.ljust(length, "0")) is not None
    return form.numeric or not digits


@lru_cache(_PLANS_MAX)
def _plan(length: int, head: str, tail: str = "", digits: bool = False, hyphens: bool = False) -> _Plan:
    """Choose the rules to try. ``tail``: the last two letters of what may be an S10 number."""
    known = [(rule, _read(rule.format)) for rule in s10_rules(head, tail)] if tail else []
    known += [
        (rule, form)
        for rule, form in _shelf(length)
        if form.hyphens == hyphens and _may_fit(form, length, head, digits=digits)
    ]
    tests: dict[tuple[object, ...], _Test] = {}
    rules = []
    for rule, form in known:
        matches = None if digits and form.loose else _compiled(form.pattern).fullmatch
        key = (matches and form.pattern, rule.check, form.checked and form.checked.start)
        tests[key] = _Test(matches, CHECKS.get(rule.check), form.checked)
        rules.append((rule, form, list(tests).index(key)))
    unknown = _UNKNOWN_DIGITS.get(length, _UNKNOWN_DIGITS_LONG) if digits else _UNKNOWN_LETTERS
    return _Plan(tuple(tests.values()), tuple(rules), unknown, {})


def _outcome(plan: _Plan, number: str) -> int:
    """Two bits a test: 1 it fits, 2 it fits but for the check digit."""
    outcome, bit = 0, 1
    for matches, check, checked in plan.tests:
        if matches is None or matches(number):
            outcome |= bit if not check or check(number[checked] if checked else number) else bit << 1
        bit <<= 2
    return outcome


def _claims(plan: _Plan, outcome: int) -> list[_Claim]:
    claims = [
        _claim(rule, form, fits=result == 1)
        for rule, form, index in plan.rules
        for result in [outcome >> 2 * index & 3]
        if result
    ]
    return _merged(claims)


def _claim(rule: Rule, form: Format, *, fits: bool) -> _Claim:
    check, told = "none", form.told
    evidence = "prefix" if told >= _MARK else "shape"
    if rule.check:
        check = "ok" if fits else "bad"
        told += _CHECK_FITS if fits else _CHECK_FAILS
        if fits:
            evidence = "prefix+check" if form.told >= _MARK_CHECKED else "check"
    if rule.id == "s10":
        evidence = "s10"
    return _Claim(
        rule.carrier,
        rule.id,
        rule.prior,
        told,
        check,
        evidence,
        form.fields,
        rule.country,
        rule.proof,
        rule.partner_of,
    )


def _hyphened_claims(number: str) -> list[_Claim]:
    """Claims of the formats whose hyphens are part of the number."""
    plan = _plan(len(number), number[:HEAD], hyphens=True)
    return _claims(plan, _outcome(plan, number))


def _merged(claims: list[_Claim]) -> list[_Claim]:
    """The best claim of each carrier; nobody's alone when the number must stay undetected."""
    best: dict[str, _Claim] = {}
    for claim in sorted(claims, key=lambda claim: claim.partner_of):
        lowered = _below(claim, best.get(claim.partner_of))
        if claim.carrier not in best or lowered.score > best[claim.carrier].score:
            best[claim.carrier] = lowered
    return [best[NOBODY]] if NOBODY in best else list(best.values())


def _below(claim: _Claim, lead: _Claim | None) -> _Claim:
    """A carrier whose parcels another delivers stands just below that one."""
    if lead is None:
        return claim
    return claim._replace(prior=lead.prior + _PARTNER, told=lead.told, check=lead.check)


@lru_cache(_INFORMED_MAX)
def _informed(
    kind: tuple[int, str, str, bool],
    outcome: int,
    countries: frozenset[str],
    credentials: frozenset[str],
    learned: frozenset[tuple[str, int]],
) -> _Ranking:
    """The ranking in a context; the numbers of a call, and of a shop, are much alike."""
    plan = _plan(*kind)
    return _in_context(_claims(plan, outcome), Context(countries, credentials), dict(learned), plan.unknown)


def _in_context(
    claims: list[_Claim], context: Context, learned: Mapping[str, int], unknown: float
) -> _Ranking:
    """Move the priors by what the caller knows, and add the national companies it speaks for."""
    known = {claim.carrier for claim in claims}
    family = [
        claim._replace(carrier=carrier, country=country, prior=claim.prior + _FAMILY)
        for claim in claims
        for country, carrier in FAMILIES.get(claim.carrier, {}).items()
        if carrier not in known
        and (country in context.countries or carrier in context.credentials or carrier in learned)
    ]
    strangers = learned.keys() - known - {claim.carrier for claim in family}
    past = [_Claim(carrier, "learned", -99.0, 0.0, "none", "shape") for carrier in sorted(strangers)]
    return _ranked([_moved(claim, context) for claim in claims + family] + past, learned, unknown)


def _moved(claim: _Claim, context: Context) -> _Claim:
    prior, notes = claim.prior, claim.notes
    if context.countries and claim.country:
        fits = claim.country in context.countries
        prior += _COUNTRY_FITS if fits else _COUNTRY_DIFFERS
        notes += ("country",) if fits else ()
    if claim.carrier in context.credentials:
        prior += _CREDENTIAL
        notes += ("credential",)
    return claim._replace(prior=prior, notes=notes)


def _ranked(claims: list[_Claim], learned: Mapping[str, int], unknown: float) -> _Ranking:
    """Probabilities. What the account has learned replaces the priors the more, the more of it there is."""
    if claims and claims[0].carrier == NOBODY:
        return _Ranking((), ())
    past = sum(learned.values())
    trust = _PRIOR_COUNT / (_PRIOR_COUNT + past)
    priors = sum(10**claim.prior for claim in claims) + 10**unknown
    shares = {carrier: count / past for carrier, count in learned.items()} if past else {}
    weights = {
        claim: 10**claim.told
        * (trust * 10**claim.prior + (1 - trust) * priors * shares.get(claim.carrier, 0))
        for claim in claims
    }
    total = sum(weights.values()) + trust * 10**unknown
    order = sorted(claims, key=lambda claim: (-weights[claim], claim.carrier))
    return _Ranking(
        tuple(
            _candidate(
                claim,
                weights[claim] / total,
                sum(weights[other] for other in claims if other.partner_of == claim.carrier) / total,
                learned.get(claim.carrier, 0),
                first=claim is order[0],
            )
            for claim in order
        ),
        tuple((index, claim.fields) for index, claim in enumerate(order) if claim.fields),
    )


def _candidate(claim: _Claim, probability: float, partners: float, past: int, *, first: bool) -> Candidate:
    """``partners``: probability of those whose parcels this one delivers; it is not against it."""
    notes = (*claim.notes, "history") if past else claim.notes
    sure = claim.proof != "G" and probability + partners >= _SURE.get(claim.evidence, 2.0)
    remembered = past >= HISTORY_MIN and probability >= HISTORY_SURE
    return Candidate(
        claim.carrier,
        claim.rule,
        round(probability, 4),
        first and claim.check != "bad" and (sure or remembered),
        claim.check,
        (claim.evidence, *notes),
        _NO_FIELDS,
    )
