"""Tracking numbers as text: what is one at all, its two clean forms, and the check digits of the carriers.

Check functions take ASCII digits and capital letters with the check character last, and answer whether it
fits. They never raise on such input; a string that is too short or of the wrong kind simply does not fit.
"""

import re
from collections.abc import Callable

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
    if text.isalnum() and text.isascii():  # nearly all are
        return text.upper() if LENGTH_MIN <= len(text) <= LENGTH_MAX else None
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


def compact(text: object) -> str | None:
    """The lenient reading, for detection: 5 to 50 of ``A-Z 0-9``, or None when it cannot be a number.

    Blanks, dots and hyphens between the characters are dropped too.
    """
    if not isinstance(text, str) or len(text) > RAW_MAX:
        return None
    text = text.replace(" ", "").replace("-", "")
    if not (text.isascii() and text.isalnum()):
        text = text.translate(_LENIENT).replace("-", "")
        if not (text.isascii() and text.isalnum()):
            return None
    return text.upper() if LENGTH_MIN <= len(text) <= LENGTH_MAX else None


def hyphened(text: str) -> str:
    """What ``compact`` reads, with its hyphens."""
    return text.translate(_LENIENT).upper()


def shape(number: str) -> str:
    """Which numbers look alike: leading letters (at most four) and length; ``d12`` for twelve digits."""
    if number.isdigit():
        return f"d{len(number)}"
    letters = len(number) - len(number.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    return f"{number[: min(letters, 4)]}x{len(number)}"


# What a character counts in a check sum: digits themselves, letters as UPS counts them (A 2 ... H 9, I 0).
_VALUES = bytes((code - 48 if code < 65 else code - 3) % 10 for code in range(256))
_BASE36 = {character: value for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}


def _alternating(digits: str, first: int, second: int) -> int:
    """The check digit plus the digits before it, weighted in turn from the left."""
    values = digits.encode().translate(_VALUES)
    return first * sum(values[:-1:2]) + second * sum(values[1:-1:2]) + values[-1]


def s10(number: str) -> bool:
    """UPU S10, the whole number: eight digits and a check digit (weights 8 6 4 2 3 5 9 7, mod 11)."""
    digits = number[2:11]
    if len(digits) != 9 or not digits.isdigit():
        return False
    v = digits.encode().translate(_VALUES)
    total = 8 * v[0] + 6 * v[1] + 4 * v[2] + 2 * v[3] + 3 * v[4] + 5 * v[5] + 9 * v[6] + 7 * v[7]
    return v[8] == (5, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1)[total % 11]


def gs1(digits: str) -> bool:
    """GS1 mod 10: weights 3 1 3 ... from the right, left of the check digit."""
    if not digits.isdigit():
        return False
    values = digits.encode().translate(_VALUES)
    return (3 * sum(values[-2::-2]) + sum(values[-1::-2])) % 10 == 0


def left13(digits: str) -> bool:
    """FedEx Ground: weights 1 3 from the left, mod 10."""
    return digits.isdigit() and _alternating(digits, 1, 3) % 10 == 0


def left31(digits: str) -> bool:
    """Russian Post's domestic numbers: weights 3 1 from the left, mod 10."""
    return digits.isdigit() and _alternating(digits, 3, 1) % 10 == 0


def fx12(digits: str) -> bool:
    """FedEx Express: weights 3 1 7 over eleven digits, mod 11, mod 10."""
    if not digits.isdigit():
        return False
    values = digits.encode().translate(_VALUES)
    total = 3 * sum(values[:-1:3]) + sum(values[1:-1:3]) + 7 * sum(values[2:-1:3])
    return total % 11 % 10 == values[-1]


def fx14(digits: str) -> bool:
    """FedEx barcodes: weights 1 7 3 over thirteen digits, mod 11, mod 10."""
    if not digits.isdigit():
        return False
    values = digits.encode().translate(_VALUES)
    total = sum(values[:-1:3]) + 7 * sum(values[1:-1:3]) + 3 * sum(values[2:-1:3])
    return total % 11 % 10 == values[-1]


def ups(characters: str) -> bool:
    """UPS 1Z, from the third character: letters count as (ASCII - 3) mod 10, weights 1 2, mod 10."""
    return characters[-1:].isdigit() and _alternating(characters, 1, 2) % 10 == 0


def mod7(digits: str) -> bool:
    """The number before the check digit, mod 7 (DHL Express, Japanese carriers)."""
    return len(digits) > 1 and digits.isdigit() and int(digits[:-1]) % 7 == int(digits[-1])


def ident49(digits: str) -> bool:
    """Deutsche Post identcode: weights 4 9 from the left, mod 10."""
    return digits.isdigit() and _alternating(digits, 4, 9) % 10 == 0


def gls(digits: str) -> bool:
    """GLS: weights 3 1 from the left, plus one, mod 10."""
    return digits.isdigit() and (_alternating(digits, 3, 1) + 1) % 10 == 0


# The digit sum of a doubled digit.
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)) + bytes(246)


def luhn(digits: str) -> bool:
    """Luhn mod 10."""
    if not digits.isdigit():
        return False
    values = digits.encode().translate(_VALUES)
    return (sum(values[-1::-2]) + sum(values[-2::-2].translate(_DOUBLED))) % 10 == 0


def ontrac(characters: str) -> bool:
    """OnTrac: C counts as 4, D as 5 in the first place; weights 1 2 from the left, mod 10."""
    digits = {"C": "4", "D": "5"}.get(characters[:1], "") + characters[1:]
    return digits.isdigit() and _alternating(digits, 1, 2) % 10 == 0


def mod3736(characters: str) -> bool:
    """ISO 7064 MOD 37,36 over 0-9 A-Z (DPD)."""
    carry = 36
    for character in characters[:-1]:
        carry = ((carry + _BASE36[character]) % 36 or 36) * 2 % 37
    return characters != "" and (carry + _BASE36[characters[-1]]) % 36 == 1


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
