"""What ``parcelwire detect`` shows: which carriers could a number belong to, and why."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from parcelwire.cli.output import WRONG_USE, fail, say_json
from parcelwire.domain.detect import Candidate, Context, detect
from parcelwire.domain.numbers import compact, hyphened, identity
from parcelwire.wire.directory import BOOK_OFFICIAL, BOOK_REFERENCE, shipped

_WHY = {
    "s10": "UPU S10 number",
    "prefix+check": "its beginning and check digit",
    "prefix": "its beginning",
    "check": "only the check digit fits",
    "shape": "only the shape fits",
    "country": "the country",
    "credential": "your credential",
    "history": "what such numbers were before",
}


def show_candidates(
    numbers: Sequence[str], countries: Sequence[str], code_book: str, *, as_json: bool
) -> None:
    """Print the candidates of each number; of each line of standard input when there is none."""
    context = Context(countries=frozenset(map(_country, countries)))
    if code_book not in {BOOK_REFERENCE, BOOK_OFFICIAL}:
        fail(f"no such code book: {code_book}; give {BOOK_REFERENCE} or {BOOK_OFFICIAL}", WRONG_USE)
    if not numbers and sys.stdin.isatty():
        fail("give numbers, or one a line on standard input", WRONG_USE)
    answers = ((text, detect(text, context)) for text in numbers or _lines())
    if as_json:
        for text, candidates in answers:
            say_json(_json(text, candidates, code_book))
    else:
        _show(answers, code_book)


def _country(text: str) -> str:
    if len(text) != 2 or not (text.isascii() and text.isalpha()):
        fail(f"no ISO country code: {text[:20]!r}; give two letters, as in --country DE", WRONG_USE)
    return text.upper()


def _lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if text.strip():
            yield text


def _number(text: str) -> str | None:
    return identity(hyphened(text)) if compact(text) else None


def _json(text: str, candidates: Sequence[Candidate], book: str) -> dict[str, object]:
    return {
        "input": text,
        "number": _number(text),
        "candidates": [
            {
                "carrier": candidate.carrier,
                "code": shipped().code_of(candidate.carrier, book),
                "official_code": shipped().code_of(candidate.carrier, BOOK_OFFICIAL),
                "name": _name(candidate),
                "probability": candidate.probability,
                "confident": candidate.confident,
                "rule": candidate.rule,
                "check": candidate.check,
                "fields": dict(candidate.fields),
            }
            for candidate in candidates
        ],
    }


def _name(candidate: Candidate) -> str:
    entry = shipped().entry(candidate.carrier)
    return entry.name if entry else candidate.carrier


def _why(candidate: Candidate) -> str:
    """The evidence in words, then the parts of the number."""
    words = [_WHY[mark] for mark in candidate.evidence]
    if candidate.check == "bad":
        words.append("the check digit is wrong")
    parts = ", ".join(f"{name} {value}" for name, value in candidate.fields.items())
    return "; ".join(words) + (f" ({parts})" if parts else "")


def _show(answers: Iterable[tuple[str, Sequence[Candidate]]], book: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for text, candidates in answers:
        console.print(Text(_number(text) or repr(text[:50]), style="bold"))
        table = Table(box=None, show_header=False, padding=(0, 1))
        for candidate in candidates:
            table.add_row(
                "sure" if candidate.confident else "maybe",
                Text(_name(candidate)),
                str(shipped().code_of(candidate.carrier, book)),
                f"{candidate.probability:.1%}",
                Text(_why(candidate)),
            )
        console.print(table if candidates else "  no carrier's numbers look like this")
