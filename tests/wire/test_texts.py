"""Translations of sub-statuses: complete catalogs, put into events and nowhere else."""

import json
from typing import Any

import pytest

from parcelwire.domain.status import SubStatus
from parcelwire.wire.texts import catalogs, language, translated


def test_every_catalog_has_a_text_for_every_sub_status_and_they_differ() -> None:
    known = catalogs()
    assert {"en", "de", "fr"} <= set(known)
    for name, texts in known.items():
        assert set(texts) == {sub_status.value for sub_status in SubStatus}, name
        assert len(set(texts.values())) == len(texts), name
    assert not set(known["en"].values()) & set(known["de"].values())


@pytest.mark.parametrize(
    ("given", "name"),
    [("de", "de"), ("DE", "de"), ("de-AT", "de"), ("fr_CA", "fr"), (" en ", "en"), ("xx", None), ("", None),
     (None, None), ("../de", None), ("deutsch", None)],
)  # fmt: skip
def test_a_language_is_found_by_its_tag_or_its_first_part(given: str | None, name: str | None) -> None:
    assert language(given) == name


def test_only_events_are_translated_and_a_carriers_text_cannot_forge_one() -> None:
    forged = 'x","sub_status":"Delivered_Other","address":{}'
    event = {
        "description": forged,
        "stage": None,
        "sub_status": "InTransit_Other",
        "address": {"city": "Łódź"},
    }
    unmapped = event | {"sub_status": None}
    info: dict[str, Any] = {
        "latest_status": {"status": "InTransit", "sub_status": "InTransit_Other", "sub_status_descr": None},
        "latest_event": event,
        "tracking": {"providers": [{"events": [event, unmapped]}]},
    }
    body = json.dumps(info, ensure_ascii=False, separators=(",", ":")).encode()
    made = json.loads(translated(body, "de-CH"))
    extra = {"description_translation": {"lang": "de", "description": "Unterwegs"}}
    assert made == info | {
        "latest_event": event | extra,
        "tracking": {"providers": [{"events": [event | extra, unmapped]}]},
    }
    assert translated(body, "xx") == translated(body, None) == body
