"""Tracking numbers as text: what is one at all, its two clean forms, and the check digits of the carriers.

Check functions take ASCII digits and capital letters with the check character last, and answer whether it
fits. They never raise on such input; a string that is too short or of the wrong kind simply does not fit.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

LENGTH_MIN, LENGTH_MAX = 5, 50
RAW_MAX = 120
"""Longest text that is looked at, tested before all else: 50 characters with a blank after each, and air."""

_BLANKS = " \t\n\r\v\f"
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
# What people and spreadsheets put between the characters: any white space, dots, marks without width.
_FILLERS = [
    *map(ord, _BLANKS),
    ord("."),
    0xA0,
    *range(0x2000, 0x200E),
    0x202F,
    0x205F,
    0x2060,
    0x3000,
    0xFEFF,
]
_LENIENT: dict[int, int | None] = {**_FULL_WIDTH, **dict.fromkeys(_FILLERS)}

_WIRE = re.compile(r"[A-Z0-9-]{5,50}")
_COMPACT = re.compile(r"[A-Z0-9]{5,50}")
# The forms whose hyphens are part of the number: DHL's forwarding and freight companies, LaserShip's pieces.
_HYPHENATED = re.compile(
    r"[0-9]{3}-[0-9]{8}|[0-9]{4}-[0-9]{5}|[A-Z]{3}-[A-Z]{2}-[0-9]{7}|1LS[0-9]{12,17}-[0-9]"
)


def normalise(text: object) -> str | None:
    """The number as the wire accepts it: 5 to 50 of ``A-Z 0-9 -``, or None.

    Blanks around it are dropped, full-width forms folded, ASCII letters made capitals; hyphens stay as typed.
    Digits and letters of other scripts never pass.
    """
    if not isinstance(text, str) or len(text) > RAW_MAX:
        return None
    folded = text.strip(_BLANKS)
    if not folded.isascii():
        folded = folded.translate(_FULL_WIDTH)
        if not folded.isascii():
            return None
    number = folded.upper()
    if _WIRE.fullmatch(number) and len(number) - number.count("-") >= LENGTH_MIN:
        return number
    return None


def identity(number: str) -> str:
    """The one spelling of a normalised number: without hyphens, unless they are part of this format."""
    if "-" not in number or _HYPHENATED.fullmatch(number):
        return number
    return number.replace("-", "")


class Spelling(NamedTuple):
    """A number as detection reads it: ``compact`` is ``[A-Z0-9]{5,50}``, ``hyphened`` keeps its hyphens."""

    compact: str
    hyphened: str


def spell(text: object) -> Spelling | None:
    """The lenient reading: also drops blanks, dots and hyphens inside. None when it cannot be a number."""
    if not isinstance(text, str) or len(text) > RAW_MAX:
        return None
    folded = text.translate(_LENIENT)
    if not folded.isascii():
        return None
    hyphened = folded.upper()
    compact = hyphened.replace("-", "")
    return Spelling(compact, hyphened) if _COMPACT.fullmatch(compact) else None


def shape(number: str) -> str:
    """Which numbers look alike: leading letters (at most four) and length; ``d12`` for twelve digits."""
    if number.isdigit():
        return f"d{len(number)}"
    letters = len(number) - len(number.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return f"{number[: min(letters, 4)]}x{len(number)}"


def _sum(digits: str) -> int:
    return sum(map(int, digits))


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weights[place % len(weights)] for place, digit in enumerate(digits))


def s10(number: str) -> bool:
    """UPU S10, the whole number: eight digits and a check digit (weights 8 6 4 2 3 5 9 7, mod 11)."""
    digits = number[2:11]
    if len(digits) != 9 or not digits.isdigit():
        return False
    remainder = 11 - _weighted(digits[:8], (8, 6, 4, 2, 3, 5, 9, 7)) % 11
    return int(digits[8]) == {10: 0, 11: 5}.get(remainder, remainder)


def gs1(digits: str) -> bool:
    """GS1 mod 10: weights 3 1 3 ... from the right, left of the check digit."""
    return digits.isdigit() and (3 * _sum(digits[-2::-2]) + _sum(digits[-1::-2])) % 10 == 0


def left13(digits: str) -> bool:
    """FedEx Ground: weights 1 3 from the left."""
    return digits.isdigit() and (_weighted(digits[:-1], (1, 3)) + int(digits[-1])) % 10 == 0


def left31(digits: str) -> bool:
    """Weights 3 1 from the left, mod 10 (Russian Post's domestic numbers)."""
    return digits.isdigit() and (_weighted(digits[:-1], (3, 1)) + int(digits[-1])) % 10 == 0


def fx12(digits: str) -> bool:
    """FedEx Express: weights 3 1 7 over eleven digits, mod 11, mod 10."""
    return digits.isdigit() and _weighted(digits[:-1], (3, 1, 7)) % 11 % 10 == int(digits[-1])


def fx14(digits: str) -> bool:
    """FedEx barcodes: weights 1 7 3 over thirteen digits, mod 11, mod 10."""
    return digits.isdigit() and _weighted(digits[:-1], (1, 7, 3)) % 11 % 10 == int(digits[-1])


def ups(characters: str) -> bool:
    """UPS 1Z, from the third character: letters count as (ASCII - 3) mod 10, weights 1 2, mod 10."""
    if not characters[-1:].isdigit():
        return False
    values = "".join(c if c.isdigit() else str((ord(c) - 3) % 10) for c in characters[:-1])
    return (_weighted(values, (1, 2)) + int(characters[-1])) % 10 == 0


def mod7(digits: str) -> bool:
    """The number before the check digit, mod 7 (DHL Express, Japanese carriers)."""
    return len(digits) > 1 and digits.isdigit() and int(digits[:-1]) % 7 == int(digits[-1])


def ident49(digits: str) -> bool:
    """Deutsche Post identcode: weights 4 9 from the left, mod 10."""
    return digits.isdigit() and (_weighted(digits[:-1], (4, 9)) + int(digits[-1])) % 10 == 0


def gls(digits: str) -> bool:
    """GLS: weights 3 1 from the left, plus one, mod 10."""
    return digits.isdigit() and (_weighted(digits[:-1], (3, 1)) + 1 + int(digits[-1])) % 10 == 0


def luhn(digits: str) -> bool:
    """Luhn mod 10."""
    if not digits.isdigit():
        return False
    doubled = sum(sum(divmod(int(digit) * 2, 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def ontrac(characters: str) -> bool:
    """OnTrac: C counts as 4, D as 5 in the first place; weights 1 2 from the left, mod 10."""
    digits = {"C": "4", "D": "5"}.get(characters[:1], "") + characters[1:]
    return (
        len(digits) > 1 and digits.isdigit() and (_weighted(digits[:-1], (1, 2)) + int(digits[-1])) % 10 == 0
    )


def mod3736(characters: str) -> bool:
    """ISO 7064 MOD 37,36 over 0-9 A-Z (DPD)."""
    carry = 36
    for character in characters[:-1]:
        carry = (carry + int(character, 36)) % 36 or 36
        carry = carry * 2 % 37
    return characters != "" and (carry + int(characters[-1], 36)) % 36 == 1


CHECKS: dict[str, Callable[[str], bool]] = {
    "s10": s10,
    "gs1": gs1,
    # FedEx Ground Economy prints the 20 digits that follow the postal service's 92 (once 91).
    "gs1 after 92": lambda digits: gs1("92" + digits),
    "gs1 after 91": lambda digits: gs1("91" + digits),
    "left13": left13,
    "fx12": fx12,
    "fx14": fx14,
    "ups": ups,
    "mod7": mod7,
    "ident49": ident49,
    "gls": gls,
    "luhn": luhn,
    "ontrac": ontrac,
    "mod3736": mod3736,
    "ru14": left31,
}
