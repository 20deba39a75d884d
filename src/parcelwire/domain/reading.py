"""Reading decoded JSON that may be anything.

Every accessor answers None (or nothing) for a missing part or a wrong type; it never raises.
"""

from collections.abc import Iterator
from functools import lru_cache

from parcelwire.domain.report import clean


def get(node: object, *path: str | int) -> object:
    """The value at a path of keys and indexes; None when any step is missing or of another type."""
    for step in path:
        if isinstance(step, str):
            node = node.get(step) if isinstance(node, dict) else None
        else:
            node = node[step] if isinstance(node, list) and -len(node) <= step < len(node) else None
    return node


def text(node: object, *path: str | int) -> str | None:
    """The non-empty string at a path, cleaned; numbers become text, for fields that come as either."""
    if path:  # one key is by far the most frequent
        node = node.get(path[0]) if len(path) == 1 and isinstance(node, dict) else get(node, *path)
    if isinstance(node, str):
        return _clean(node) if len(node) <= _OFTEN_MAX else clean(node)
    if isinstance(node, int | float) and not isinstance(node, bool):
        return str(node)
    return None


_OFTEN_MAX = 64
_clean = lru_cache(maxsize=8_192)(clean)  # cities, codes and short descriptions come again and again


def each(node: object, *path: str | int) -> Iterator[dict[str, object]]:
    """The objects in the list at a path, other elements passed over. One object counts as a list of it."""
    value = get(node, *path)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item


def country(node: object, *path: str | int) -> str | None:
    """A two-letter country code at a path."""
    code = text(node, *path)
    return _country(code) if code and len(code) == 2 else None


@lru_cache(maxsize=1_024)
def _country(code: str) -> str | None:
    return code.upper() if code.isascii() and code.isalpha() else None
