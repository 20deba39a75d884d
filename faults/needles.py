"""Looking for secrets in bytes, in every form in which something may have written them down."""

import html
import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

INFLATED_MAX = 16 * 1024 * 1024
CORE_MIN = 8  # bytes of a form that cannot be there by chance


@dataclass(frozen=True)
class Secret:
    """One marked value. ``documented``: the beginnings of the names of places that may hold it."""

    name: str
    value: bytes = field(repr=False)
    documented: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Something that others may get to see."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Hit:
    """A secret where it must not be."""

    secret: str
    form: str
    place: str


def forms(value: bytes) -> dict[str, bytes]:
    """How a value looks when it is written as it is, escaped, or encoded."""
    text = value.decode("latin-1")
    found = {
        "plain": value,
        "hex": value.hex().encode(),
        "HEX": value.hex().upper().encode(),
        "percent": quote(value, safe="").encode(),
        "form": quote_plus(value).encode(),
    }
    for shift in range(3):
        found[f"base64+{shift}"] = _within(b64encode, value, shift)
        found[f"base64url+{shift}"] = _within(urlsafe_b64encode, value, shift)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return found
    escaped = json.dumps(text)[1:-1].encode()
    return found | {"json": escaped, "html": html.escape(text).encode(), "repr": repr(text)[1:-1].encode()}


def _within(encode: Callable[[bytes], bytes], value: bytes, shift: int) -> bytes:
    """Base64 of a value inside something longer, ``shift`` bytes after a group of three: what of it does not
    depend on its neighbours."""
    encoded = encode(bytes(shift) + value)
    begin, end = (0, 2, 3)[shift], (0, 3, 2)[(shift + len(value)) % 3]
    return encoded[begin : len(encoded) - end]


def inflated(content: bytes) -> bytes:
    """What zlib has made small; nothing for anything else."""
    try:
        return zlib.decompressobj().decompress(content, INFLATED_MAX)
    except zlib.error:
        return b""


def search(places: Iterable[Place], secrets: Iterable[Secret]) -> Iterator[Hit]:
    """Every secret in every place, in every form, unless it is documented to be there."""
    looked_for = [(secret, form, core) for secret in secrets for form, core in forms(secret.value).items()]
    for place in places:
        seen: set[str] = set()
        for secret, form, core in looked_for:
            if secret.name in seen or len(core) < CORE_MIN or core not in place.content:
                continue
            if not place.name.startswith(secret.documented):
                seen.add(secret.name)
                yield Hit(secret.name, form, place.name)
