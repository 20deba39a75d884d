"""The little language in which number formats are written, and what follows from a format.

A format is a list of parts with blanks between. A part is one or more atoms, with a name before a colon when
it is worth telling:

    1Z service:x2        capital letters, digits and hyphens stand for themselves
    d a x h              one digit, letter, letter or digit, hexadecimal digit; with a count: d9, d8-12
    [CD] [5-6]2          one of a set; with a count
    (LX|RX)              one of several texts
    |                    the check function reads from here (to the next bar, or to the end)

From it come the regular expression, the lengths, the first characters, and how much the fixed ones tell.
"""

import re
from math import log10
from typing import NamedTuple

_ATOM = re.compile(r"([A-Z0-9-]+)|(?:([daxh])|\[([A-Z0-9-]+)\])(?:([0-9]+)(?:-([0-9]+))?)?|\(([A-Z0-9|]+)\)")

_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CLASSES = {"d": _DIGITS, "a": _LETTERS, "x": _DIGITS + _LETTERS, "h": _DIGITS + "ABCDEF"}


class Format(NamedTuple):
    """``told`` is log10 of how many strings of the same kinds of characters there are to one that fits."""

    pattern: str
    lengths: range
    first: frozenset[str]
    told: float


class _Atom(NamedTuple):
    pattern: str
    characters: str  # what may stand here
    shortest: int
    longest: int
    told: float


def _cost(character: str) -> float:
    """What one fixed character tells: log10 of the characters of its kind, for a hyphen that it is there."""
    return log10(26) if character in _LETTERS else 1.0


def _spelled(members: str) -> str:
    """A set without its ranges: ``A-CX`` is ABCX."""
    whole = re.sub(r"(.)-(.)", lambda ends: "".join(map(chr, range(ord(ends[1]), ord(ends[2]) + 1))), members)
    return "".join(dict.fromkeys(whole))


def _atom(match: re.Match[str]) -> _Atom:
    literal, kind, members, least, most, texts = match.groups()
    if literal:
        return _Atom(literal, literal[0], len(literal), len(literal), sum(map(_cost, literal)))
    if texts:
        choices = texts.split("|")
        told = sum(map(_cost, choices[0])) - log10(len(choices))
        firsts = "".join(choice[0] for choice in choices)
        return _Atom(f"(?:{texts})", firsts, len(choices[0]), len(choices[0]), told)
    shortest = int(least or 1)
    longest = int(most or shortest)
    characters = _CLASSES[kind] if kind else _spelled(members)
    told = 0.0 if kind else shortest * (_cost(characters[0]) - log10(len(characters)))
    return _Atom(f"[{characters}]{{{shortest},{longest}}}", characters, shortest, longest, max(told, 0.0))


def read(text: str) -> Format:
    """Compile a format. Raises ValueError when it is not in the language."""
    pattern, bars = "", 0
    atoms: list[_Atom] = []
    for part in text.split():
        if part == "|":
            bars += 1
            pattern += "(?P<checked>" if bars == 1 else ")"
            continue
        name, _, body = part.rpartition(":")
        found = list(_ATOM.finditer(body))
        if "".join(atom[0] for atom in found) != body:
            raise ValueError(f"not a format: {part!r} in {text!r}")
        read_atoms = [_atom(match) for match in found]
        inner = "".join(atom.pattern for atom in read_atoms)
        pattern += f"(?P<{name}>{inner})" if name else inner
        atoms += read_atoms
    shortest, longest = sum(a.shortest for a in atoms), sum(a.longest for a in atoms)
    return Format(
        pattern=pattern + ")" * (bars == 1),
        lengths=range(shortest, longest + 1),
        first=frozenset(atoms[0].characters),
        told=sum(atom.told for atom in atoms) - log10(longest - shortest + 1),
    )
