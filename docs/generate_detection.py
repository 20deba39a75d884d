"""Writes the page of the detection rules from the rules themselves: ``python docs/generate_detection.py``."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from parcelwire.domain.detect import HISTORY_MIN, HISTORY_SURE  # noqa: E402 - the checkout beside this file is documented
from parcelwire.domain.numbers import CHECKS  # noqa: E402
from parcelwire.domain.posts import ONE, SEVERAL, UNASSIGNED  # noqa: E402
from parcelwire.domain.rules import FAMILIES, NOBODY, RULES, Rule  # noqa: E402
from parcelwire.ports import LEARNED_MAX  # noqa: E402
from parcelwire.wire.directory import BOOK_OFFICIAL, BOOK_REFERENCE, code_of, shipped  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "detection.md"

INTRODUCTION = """\
<!-- Written by docs/generate_detection.py from the rules: change the rules, not this page. -->

# Detection

`parcelwire detect NUMBER` says which carriers a number could belong to, how likely each is, and why.
`register` takes the first one when no carrier is given.

Every rule that fits makes a claim. Its weight is how common such numbers are (prior), times how much its
fixed characters and its check digit tell; "none of these carriers" has a weight too. A wrong check digit
lowers a claim and is told, it never removes it. The countries of a shipment, the account's credentials and
what its numbers of the same shape turned out to be before move the priors.

A first candidate is sure when its beginning is a mark of the carrier or its check digit fits, when the check
digit is not wrong, and when little else is likely. A mere shape ("twelve digits") is never sure by itself.

| proof | means |
| --- | --- |
| A | the carrier's own text, or several published numbers |
| B | one independent source |
| C | one source, unchecked |
| G | a guess; never sure |

Formats: capital letters and digits stand for themselves; `d` is a digit, `a` a letter, `x` either, `h` a
hexadecimal digit, with a count; `[..]` is one of a set, `(..)` one of several texts; `name:` names a part.
The check digit is computed from the first `|` on.
"""

LEARNING_TEXT = """\
## Learning

The service counts, for each account, which carrier the numbers of a shape turned out to be of. A shape is the
leading letters (at most four) and the length: `d12` for twelve digits, `JJDx20`. A shipment counts once: with
its first events from its own carrier, or from 17TRACK in that carrier's name, or when `changecarrier` names
another one. At most {most} pairs of shape and carrier are kept; the rarest goes first. Accounts do not share
what they learn.

Counts replace priors the more, the more of them there are: two past numbers weigh as much as the rules. A
first candidate that history speaks for is sure from {least} numbers on, when it is likelier than {sure:.0%}.
A code that the caller gives is not overruled by history, only by a number that proves another carrier.

A carrier that was a guess and goes on not knowing its number gives way to the next candidate: see
[why](../why/0008-guesses-are-checked.md).
"""

RULES_TEXT = """\
## Rules

{rules} rules of {carriers} carriers. Prior is log10 of how common they are. The code in brackets is that of
the reference book.
"""

POSTS_TEXT = """\
## Posts

Numbers of the UPU's S10 form (`RR123456785CN`: two letters, nine digits, two letters) belong to the post of
the last two letters. First letters {unassigned} are reserved: a guess.
"""

FAMILIES_TEXT = """\
## National companies

Where a country of the shipment, a credential or the past speaks for it, the national company is named beside
the first one.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def name(slug: str) -> str:
    entry = shipped().entry(slug)
    return entry.name if entry else "nobody"


def both_codes(slug: str) -> str:
    """The official code, and that of the reference book where it differs."""
    official, reference = code_of(slug, BOOK_OFFICIAL), code_of(slug, BOOK_REFERENCE)
    return f"{official}" if official == reference else f"{official} ({reference})"


def rule_row(rule: Rule) -> tuple[str, ...]:
    partner = f"delivered by {name(rule.partner_of)}" if rule.partner_of else ""
    return (
        f"`{rule.id}`",
        name(rule.carrier),
        "" if rule.carrier == NOBODY else both_codes(rule.carrier),
        f"`{rule.format}`",
        rule.check,
        f"{rule.prior:g}",
        rule.proof,
        ", ".join(filter(None, (rule.country, partner))),
        f"`{rule.valid}`",
    )


def post_rows() -> Iterator[tuple[str, ...]]:
    for country in sorted({*ONE, *SEVERAL}):
        posts = SEVERAL.get(country, ())
        carriers = [post.carrier for post in posts] or [ONE[country]]
        firsts = [f"{name(post.carrier)} for {', '.join(post.first_for)}" for post in posts if post.first_for]
        yield country, "; ".join(f"{name(slug)} {both_codes(slug)}" for slug in carriers), "; ".join(firsts)


def family_rows() -> Iterator[tuple[str, str]]:
    for slug, family in FAMILIES.items():
        yield name(slug), ", ".join(f"{country} {name(member)}" for country, member in family.items())


def check_rows() -> Iterator[tuple[str, str]]:
    for key, check in CHECKS.items():
        yield key, check.__doc__ or "As gs1, with these digits put in front."


def page() -> str:
    """The whole page."""
    carriers = {rule.carrier for rule in RULES if rule.carrier != NOBODY}
    rule_head = ("rule", "carrier", "code", "format", "check digit", "prior", "proof", "where", "sample")
    lines = [
        INTRODUCTION,
        LEARNING_TEXT.format(most=LEARNED_MAX, least=HISTORY_MIN, sure=HISTORY_SURE),
        RULES_TEXT.format(rules=len(RULES), carriers=len(carriers)),
        *table(rule_head, map(rule_row, RULES)),
        POSTS_TEXT.format(unassigned=", ".join(UNASSIGNED)),
        *table(("ends with", "carriers", "comes first"), post_rows()),
        FAMILIES_TEXT,
        *table(("carrier", "national companies"), family_rows()),
        "## Check digits\n",
        *table(("name", "how"), check_rows()),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
