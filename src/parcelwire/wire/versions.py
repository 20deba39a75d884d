"""The versions of the wire that are served, and what tells them apart (reference: api-v2.2, section 11).

Requests are read alike under every prefix; answers are made in the shape of v2.2 and brought into the
caller's. Webhooks are v2.2 always.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

# Keys of an event, and of a milestone, since v2.2.
_RAW_ONLY = ("time_raw", "sub_status", "description_translation")
_LANG = b',"provider_lang":'  # quotes inside texts are escaped: this is a key wherever it stands
_TIPS = b',"provider_tips":null'

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Version:
    """``raw``: times as the carrier gave them, sub-status of events, language of a provider. ``more``:
    register fields beside ``track_info``, ``provider_tips``, and ``sync_status`` in the list."""

    name: str
    raw: bool = True
    more: bool = False

    def shape(self, track_info: bytes) -> bytes:
        """A v2.2 ``track_info`` as this version has it."""
        if self.more:
            return track_info.replace(_LANG, _TIPS + _LANG)
        return track_info if self.raw else _encode(_older(_decode(track_info)))


def _older(track_info: dict[str, Any]) -> dict[str, Any]:
    providers = track_info["tracking"]["providers"]
    for provider in providers:
        provider.pop("provider_lang", None)
    events = [event for provider in providers for event in provider["events"]]
    latest = [track_info["latest_event"]] if track_info["latest_event"] else []
    for item in (*events, *latest, *track_info["milestone"]):
        for key in _RAW_ONLY:
            item.pop(key, None)
    return track_info


V2_0 = Version("v2", raw=False)
V2_1 = Version("v2.1", raw=False)
V2_2 = Version("v2.2")
V2_3 = Version("v2.3")
V2_4 = Version("v2.4", more=True)
VERSIONS = {version.name: version for version in (V2_0, V2_1, V2_2, V2_3, V2_4)}
