"""The little language in which number formats are written, and what follows from a format.

A format is a list of parts with blanks between. A part is one or more atoms, with a name before a colon when
it is worth telling:

    1Z service:x2        capital letters, digits and hyphens stand for themselves
    d a x h              one digit, letter, letter or digit, hexadecimal digit; with a count: d9, d8-12
    [CD] [5-6]2          one of a set; with a count
    (LX|RX)              one of several texts of the same length
    |                    the check function reads from here (to the next bar, or to the end)

Names and bars stand before any part of variable length, so that their places are fixed.
"""

import re
from collections.abc import Iterator, Mapping
from math import log10
from typing import NamedTuple

_ATOM = re.compile(r"([A-Z0-9-]+)|(?:([daxh])|\[([A-Z0-9-]+)\])(?:([0-9]+)(?:-([0-9]+))?)?|\(([A-Z0-9|]+)\)")

_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CLASSES = {"d": _DIGITS, "a": _LETTERS, "x": _DIGITS + _LETTERS, "h": _DIGITS + "ABCDEF"}

HEAD = 2
"""So many first characters of a number choose the rules to try."""


class Field(NamedTuple):
    """A named part of a number: ``number[start:end]``."""

    name: str
    start: int
    end: int


class Split(Mapping[str, str]):
    """The named parts of one number, cut out when they are read."""

    __slots__ = ("_fields", "_number")

    def __init__(self, number: str, fields: tuple[Field, ...]) -> None:
        self._number = number
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        for field in self._fields:
            if field.name == name:
                return self._number[field.start : field.end]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return repr(dict(self))


class Format(NamedTuple):
    """What a format says.

    ``heads`` are the characters that may stand first, second ...; ``told`` is log10 of how many strings of
    the same kinds of characters there are to one that fits; ``checked`` is the slice that the check function
    reads, None for all. ``numeric``: a number of digits can fit; ``loose``: then its head and length decide.
    ``hyphens``: they are part of it.
    """

    pattern: str
    lengths: range
    heads: tuple[str, ...]
    told: float
    fields: tuple[Field, ...]
    checked: slice | None
    numeric: bool
    loose: bool
    hyphens: bool


class _Atom(NamedTuple):
    pattern: str
    spots: tuple[str, ...]  # for each place of its shortest form, what may stand there
    longest: int
    told: float
    digits: bool  # takes any digit


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
        return _Atom(literal, tuple(literal), len(literal), sum(map(_cost, literal)), digits=False)
    if texts:
        choices = texts.split("|")
        told = sum(map(_cost, choices[0])) - log10(len(choices))
        spots = tuple("".join(spot) for spot in zip(*choices, strict=True))
        return _Atom(f"(?:{texts})", spots, len(spots), told, digits=False)
    shortest = int(least or 1)
    longest = int(most or shortest)
    characters = _CLASSES[kind] if kind else _spelled(members)
    told = 0.0 if kind else max(shortest * (_cost(characters[0]) - log10(len(characters))), 0.0)
    pattern = f"[{characters}]{{{shortest},{longest}}}"
    return _Atom(pattern, (characters,) * shortest, longest, told, digits=characters.startswith(_DIGITS))


def _atoms(text: str, body: str) -> list[_Atom]:
    found = list(_ATOM.finditer(body))
    if "".join(atom[0] for atom in found) != body:
        raise ValueError(f"not a format: {body!r} in {text!r}")
    return [_atom(match) for match in found]


def read(text: str) -> Format:
    """Read a format. Raises ValueError when it is not in the language."""
    atoms: list[_Atom] = []
    fields: list[Field] = []
    bars: list[int] = []
    loose = True
    for part in text.split():
        start = _longest(atoms)
        name, _, body = part.rpartition(":")
        if (name or part == "|") and start != _shortest(atoms):
            raise ValueError(f"{part!r} has no fixed place in {text!r}")
        if part == "|":
            bars.append(start)
            continue
        for atom in _atoms(text, body):
            atoms.append(atom)
            loose = loose and (atom.digits or _longest(atoms) <= HEAD)
        if name:
            fields.append(Field(name, start, _longest(atoms)))
    lengths = range(_shortest(atoms), _longest(atoms) + 1)
    spots = [spot for atom in atoms for spot in atom.spots]
    return Format(
        pattern="".join(atom.pattern for atom in atoms),
        lengths=lengths,
        heads=tuple(spots[:HEAD]),
        told=sum(atom.told for atom in atoms) - log10(len(lengths)),
        fields=tuple(fields),
        checked=slice(*bars[:2]) if len(bars) > 1 else slice(bars[0], None) if any(bars) else None,
        numeric=all(spot[0] in _DIGITS for spot in spots),
        loose=loose,
        hyphens="-" in spots,
    )


def _shortest(atoms: list[_Atom]) -> int:
    return sum(len(atom.spots) for atom in atoms)


def _longest(atoms: list[_Atom]) -> int:
    return sum(atom.longest for atom in atoms)
