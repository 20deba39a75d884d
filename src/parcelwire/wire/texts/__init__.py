"""What a sub-status means, in the languages that we have: one catalog (gettext .po) for each.

The carrier's own text is never touched; a caller who asks for a language gets ours beside it.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

import msgspec

_ENTRY = re.compile(r'^msgid "(\w+)"\nmsgstr "(.+)"$', re.MULTILINE)
# Of an event only: quotes inside texts are escaped, and no other object has these two keys side by side.
_EVENT = re.compile(rb'(,"sub_status":"(\w+)")(,"address":)')
_encode = msgspec.json.Encoder().encode


class Translation(msgspec.Struct):
    """``description_translation`` of an event."""

    lang: str
    description: str


@cache
def catalogs() -> Mapping[str, Mapping[str, str]]:
    """Texts by sub-status, by language."""
    return {
        file.name.removesuffix(".po"): dict(_ENTRY.findall(file.read_text(encoding="utf-8")))
        for file in resources.files(__name__).iterdir()
        if file.name.endswith(".po")
    }


def language(lang: str | None) -> str | None:
    """The catalog for a language that a caller gave (``de``, ``de-AT``, ``FR``); None: there is none."""
    wanted = (lang or "").strip().lower().replace("_", "-")
    known = catalogs()
    return next((name for name in (wanted, wanted.partition("-")[0]) if name in known), None)


def translated(track_info: bytes, lang: str | None) -> bytes:
    """A ``track_info`` with a translation at each event whose sub-status has a text in ``lang``."""
    name = language(lang)
    if name is None:
        return track_info
    texts = _encoded(name)
    return _EVENT.sub(lambda event: event[1] + texts.get(event[2], b"") + event[3], track_info)


@cache
def _encoded(name: str) -> Mapping[bytes, bytes]:
    """The JSON that is put into an event, by sub-status."""
    return {
        sub_status.encode(): b',"description_translation":' + _encode(Translation(name, text))
        for sub_status, text in catalogs()[name].items()
    }
