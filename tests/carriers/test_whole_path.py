"""Each carrier over real loopback HTTP: token, question, answer, and what the service would show."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.carriers.driving import Outcome, access, outcome, queries, since_of
from tests.carriers.recordings import Sample, payloads, recordings
from tests.clocks import SetClock

from parcelwire.carriers import carriers
from parcelwire.domain.errors import CarrierError
from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.report import Report
from parcelwire.net.ask import Asker
from parcelwire.ports import Carrier, StandIn
from parcelwire.standins import stand_ins
from parcelwire.standins.server import serve
from parcelwire.zones import zone_of

REACHABLE = [carriers()[slug] for slug in stand_ins() if slug in carriers()]


class Playing:
    """A stand-in whose door is the carrier's (token, credentials) and whose answer is a recording."""

    def __init__(self, stand_in: StandIn, token_path: str | None) -> None:
        self.slug = stand_in.slug
        self.inner = stand_in
        self.token_path = token_path
        self.recorded = Reply(500)

    def answer(self, request: Request, now: Any) -> Reply:
        own = self.inner.answer(request, now)
        return own if request.path == self.token_path or own.status in (401, 403) else self.recorded


@asynccontextmanager
async def driver(carrier: Carrier, base_url: str, clock: SetClock) -> AsyncIterator[Asker]:
    """The service's own driver, pointed at the stand-in."""
    asker = Asker(clock, {carrier.slug: access(carrier).secrets}, {carrier.slug: base_url})
    try:
        yield asker
    finally:
        await asker.close()


def tracked(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sequence[Mapping[str, Any]]]]:
    for sample in samples:
        if not sample.token:
            yield from ((sample, rows) for rows in sample.calls())


def right(sample: Sample, row: Mapping[str, Any], answer: Report | CarrierError) -> bool:
    assert not isinstance(answer, CarrierError) or "while reading the answer" not in str(answer)
    wanted = sample.error or row.get("error")
    if wanted:
        return type(answer).__name__ == wanted
    if not row.get("status"):
        return isinstance(answer, CarrierError)
    try:
        return outcome(sample.carrier, answer, zone_of) == Outcome.expected(row)
    except CarrierError:
        return False


async def played(carrier: Carrier, samples: Sequence[Sample]) -> tuple[int, list[str]]:
    """How many rows were compared, and which came out wrong."""
    token_talk = carrier.token(access(carrier).secrets)
    stand_in = stand_ins()[carrier.slug]()
    playing = Playing(stand_in, next(token_talk).path if token_talk else None)
    clock = SetClock()
    compared, wrong = 0, []
    async with serve(playing, clock) as base_url, driver(carrier, base_url, clock) as asker:
        for sample, rows in tracked(samples):
            clock.forward(10)
            playing.recorded = sample.reply
            asked = queries(carrier, [row["number"] for row in rows], since_of(rows))
            answers = (await asker.ask(carrier, asked)).answers
            for row in rows:
                compared += 1
                if not right(sample, row, answers[row["number"]]):
                    wrong.append(f"{sample}: {row['number']}: {answers[row['number']]}")
    return compared, wrong


@pytest.mark.parametrize("carrier", REACHABLE, ids=lambda carrier: carrier.slug)
@pytest.mark.parametrize("kind", ["recordings", "payloads"])
async def test_every_answer_comes_through_http_unharmed(
    carrier: Carrier, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status, sub-status, event count and UTC times equal the index for all of them; prints n/n."""
    samples = recordings(carrier) if kind == "recordings" else payloads(carrier)
    if not samples:
        pytest.skip(f"PARCELWIRE_PAYLOADS holds no answers of {carrier.slug}, or is not set")
    compared, wrong = await played(carrier, samples)
    with capsys.disabled():
        print(f"\n  whole path  {carrier.slug:<16} {kind:<10} {compared - len(wrong)}/{compared}")
    assert not wrong


# Carriers whose stand-in makes up a journey that begins with a label and ends within a week.
JOURNEYS = {
    "dhl": "4100000309",
    "fedex": "700000000300",
    "ups": "1Z4R2W7E0300001011",
    "usps": "9405511206213999001010",
}


@pytest.mark.parametrize(("slug", "number"), JOURNEYS.items())
async def test_a_made_up_journey_goes_from_label_to_delivered(slug: str, number: str) -> None:
    """Against the stand-in alone, asked every few hours of a week: it moves on, and ends delivered."""
    carrier = carriers()[slug]
    clock = SetClock()
    begun = clock.now()
    seen: list[str] = []
    stand_in = stand_ins()[carrier.slug]()
    async with serve(stand_in, clock) as base_url, driver(carrier, base_url, clock) as asker:
        for _ in range(42):
            answers = (await asker.ask(carrier, queries(carrier, [number], begun))).answers
            shown = outcome(carrier, answers[number], zone_of).status
            if not seen or seen[-1] != shown:
                seen.append(shown)
            clock.forward(4 * 3600)
    assert seen[0] == "InfoReceived"
    assert seen[-1] == "Delivered"
    assert "InTransit" in seen
