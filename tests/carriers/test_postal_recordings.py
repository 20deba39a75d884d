"""Every recording of the posts through settle, merge and timeline gives what its index.json says."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from parcelwire.carriers import carriers
from parcelwire.domain import errors, merge, timeline, times
from parcelwire.domain.exchange import Access, Answers, Query, Reply
from parcelwire.domain.report import Address, Moment, Report
from parcelwire.domain.status import Stage
from parcelwire.ports import Carrier

HERE = Path(__file__).parent
SLUGS = ("china_post",)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SECRETS = {"sm4_key": "MDEyMzQ1Njc4OWFiY2RlZg=="}


def cases() -> Iterator[object]:
    for slug in SLUGS:
        for entry in json.loads((HERE / slug / "index.json").read_text()):
            yield pytest.param(slug, entry, id=f"{slug}-{entry['file']}")


def replay(carrier: Carrier, numbers: list[str], reply: Reply) -> Answers:
    """What the carrier makes of ``reply`` to whatever it asks."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    secrets = {name: SECRETS.get(name, "secret") for name in carrier.secrets}
    talk = carrier.track(
        [Query(number, carrier.serves[0], since) for number in numbers], Access(secrets, "token", NOW)
    )
    next(talk)
    while True:
        try:
            talk.send(reply)
        except StopIteration as end:
            answers: Answers = end.value
            return answers


def zone_of(place: Address) -> tzinfo | None:
    """Stands for the zone resolver: countries with one zone."""
    name = {"JP": "Asia/Tokyo", "DE": "Europe/Berlin", "CN": "Asia/Shanghai"}.get(place.country or "")
    return ZoneInfo(name) if name else None


def utc_text(moment: Moment | None) -> str | None:
    return moment.utc.strftime("%Y-%m-%dT%H:%M:%SZ") if moment and moment.utc else None


def shown(slug: str, report: Report) -> dict[str, object]:
    history = merge.add(None, slug, times.settle(report, zone_of, NOW), NOW)
    line = timeline.assemble([history], NOW)
    return {
        "status": line.sub_status.status.value,
        "sub_status": line.sub_status.value,
        "events": sum(len(leg.scans) for leg in line.legs),
        "latest_event_utc": utc_text(line.latest.event.time if line.latest else None),
        "delivered_utc": utc_text(line.milestones.get(Stage.DELIVERED)),
    }


@pytest.mark.parametrize(("slug", "entry"), list(cases()))
def test_a_recording_gives_what_its_index_says(slug: str, entry: dict[str, object]) -> None:
    """Status, sub-status, number of events and UTC times are exact, or the error class is."""
    carrier = carriers()[slug]
    body = (HERE / slug / str(entry["file"])).read_bytes()
    headers = entry.get("headers", {})
    assert isinstance(headers, dict)
    reply = Reply(int(str(entry["http_status"])), headers, body)
    expected = entry["numbers"]
    assert isinstance(expected, list)
    numbers = [item["number"] for item in expected]
    if "error" in entry:
        with pytest.raises(getattr(errors, str(entry["error"]))):
            replay(carrier, numbers, reply)
        return
    answers = replay(carrier, numbers, reply)
    for item in expected:
        answer = answers[item["number"]]
        if "error" in item:
            assert type(answer).__name__ == item["error"]
        elif item["status"] == "NotFound":
            known = {"NotFound_Other": errors.UnknownNumber, "NotFound_InvalidCode": errors.InvalidNumber}
            assert type(answer) is known[item["sub_status"]]
        else:
            assert isinstance(answer, Report), answer
            assert {"number": item["number"], **shown(slug, answer)} == item
