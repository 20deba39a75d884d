"""A number goes from register to webhook with exactly the events of the carrier's answer, over real HTTP.

Register, claim, HTTP to a carrier's door, parse, merge, commit, push: nothing is left out but time, which the
test moves. The answers are our recordings and, when PARCELWIRE_PAYLOADS names them, the further samples.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.carriers.driving import access, since_of
from tests.carriers.recordings import Sample, payloads, recordings
from tests.carriers.test_whole_path import Playing
from tests.clocks import SetClock
from tests.service import NOON, World

from parcelwire.carriers import carriers
from parcelwire.domain.numbers import identity, normalise
from parcelwire.flows.register import register
from parcelwire.flows.routes import Routes
from parcelwire.loops.refresher import Refresher
from parcelwire.loops.telemetry import Telemetry
from parcelwire.net.ask import Asker
from parcelwire.standins import stand_ins
from parcelwire.standins.server import serve
from parcelwire.wire.directory import entry

SLUGS = ["fedex", "dhl", "ups", "usps"]


async def pushed(world: World, asker: Asker, slug: str, number: str) -> list[dict[str, Any]]:
    """Register one number, refresh and push once; the bodies that arrived."""
    carrier = carriers()[slug]
    world.context = replace(
        world.context, fetcher=asker, routes=Routes(dict.fromkeys(carrier.serves, carrier))
    )
    company = entry(slug)
    assert company is not None
    item = {"number": number, "carrier": company.code, "auto_detection": False}
    data = json.loads(await register(world.context, world.account, json.dumps([item]).encode()))["data"]
    assert data["rejected"] == []
    world.clock.jump(timedelta(days=6).total_seconds())  # since_of is five days before the newest scan
    refreshing = asyncio.create_task(Refresher(world.context, Telemetry()).tick())
    while not refreshing.done():
        await world.clock.advance(1)
        await asyncio.sleep(0.001)
    await refreshing
    await world.pusher.tick()
    return world.sink.bodies(number)


def told(bodies: list[dict[str, Any]]) -> tuple[object, ...]:
    """Status, sub-status, number of events, UTC of the newest and of the delivery, as the webhook says."""
    (body,) = [body for body in bodies if body["event"] == "TRACKING_UPDATED"]
    info = body["data"]["track_info"]
    status = info["latest_status"]
    events = [event for leg in info["tracking"]["providers"] for event in leg["events"]]
    delivered = next(item["time_utc"] for item in info["milestone"] if item["key_stage"] == "Delivered")
    newest = info["latest_event"]["time_utc"] if info["latest_event"] else None
    return status["status"], status["sub_status"], len(events), newest, delivered


def expected(row: Mapping[str, Any]) -> tuple[object, ...]:
    """The same from an index."""
    return (
        row["status"],
        row["sub_status"],
        row.get("events", 0),
        row.get("latest_event_utc"),
        row.get("delivered_utc"),
    )


def registered_at(sample: Sample, row: Mapping[str, Any]) -> datetime:
    """Five days before the newest scan; where no zone is known, before the newest date in the answer."""
    if row.get("latest_event_utc") or not row.get("events"):
        return since_of([row])
    dates = re.findall(r"\b20\d\d-[01]\d-[0-3]\d", sample.reply.body.decode())
    dates += [
        f"{y}-{m}-{d}" for y, m, d in re.findall(r"\b(20\d\d)([01]\d)([0-3]\d)\b", sample.reply.body.decode())
    ]
    named = re.findall(r"\b[A-Z][a-z]+ \d{1,2}, 20\d\d", sample.reply.body.decode())
    dates += [datetime.strptime(text, "%B %d, %Y").replace(tzinfo=UTC).strftime("%Y-%m-%d") for text in named]
    return datetime.fromisoformat(f"{max(dates)}T12:00:00+00:00") - timedelta(days=5)


async def compare(folder: Path, slug: str, sample: Sample, row: Mapping[str, Any]) -> str | None:
    """What is wrong with one row of an index; None when it came through."""
    carrier, clock = carriers()[slug], SetClock()
    talk = carrier.token(access(carrier).secrets)
    playing = Playing(stand_ins()[slug](), next(talk).path if talk else None)
    playing.recorded = sample.reply
    world = await World.open(folder)
    try:
        world.clock.jump((registered_at(sample, row) - NOON).total_seconds())
        async with serve(playing, clock) as base_url:
            asker = Asker(clock, {slug: access(carrier).secrets}, {slug: base_url})
            try:
                bodies = await pushed(world, asker, slug, row["number"])
            finally:
                await asker.close()
    finally:
        await world.close()
    if not row.get("status"):
        return f"{sample}: a push about nothing" if bodies else None
    if not bodies:
        return f"{sample}: {row['number']} was not pushed"
    return None if told(bodies) == expected(row) else f"{sample}: {told(bodies)} is not {expected(row)}"


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("kind", ["recordings", "payloads"])
async def test_every_answer_reaches_the_webhook(
    tmp_path: Path, slug: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status, sub-status, number of events and UTC times equal the index for all of them; prints n/n."""
    carrier = carriers()[slug]
    samples = recordings(carrier) if kind == "recordings" else payloads(carrier)
    if not samples:
        pytest.skip(f"PARCELWIRE_PAYLOADS holds no answers of {slug}, or is not set")
    rows = [(sample, row) for sample in samples if not sample.token for row in sample.rows]
    # The wire does not take every number that is in an answer ("5-0001_1").
    rows = [(sample, row) for sample, row in rows if normalise(row["number"]) == identity(row["number"])]
    wrong = []
    for index, (sample, row) in enumerate(rows):
        folder = tmp_path / str(index)
        folder.mkdir()
        wrong.append(await compare(folder, slug, sample, row))
    failed = [text for text in wrong if text]
    with capsys.disabled():
        print(f"\n  register to webhook  {slug:<8} {kind:<10} {len(rows) - len(failed)}/{len(rows)}")
    assert not failed
