"""Whatever bytes arrive: no 5xx, always an envelope, and good neighbours are served."""

import asyncio
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.api import hostile
from tests.api.conftest import KEY, Client, Starter

from parcelwire.net.clock import SystemClock

P99_MS = 250.0
STABLE = "SANDBOXDELIVERED1"
FINE = 0
# What a good neighbour comes to: accepted, or refused for a reason that it was read for.
OUTCOMES: dict[str, int] = dict.fromkeys(hostile.ITEM_TYPES, FINE) | {
    "changecarrier": -18019803,  # its new carrier is its old one
    "push": -18010204,  # there is no webhook
}


@dataclass
class Tally:
    """What came of all cases."""

    http: Counter[int] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    neighbours: int = 0

    def blame(self, endpoint: str, body: bytes, why: str) -> None:
        """One case that is not as it should be."""
        self.wrong.append(f"{endpoint} {body[:120]!r}: {why}")


class Sender:
    """Sends cases one after the other and judges the answers."""

    def __init__(self, client: Client, tally: Tally) -> None:
        self._client = client
        self._tally = tally
        self._clock = SystemClock()

    async def send(self, endpoint: str, body: bytes) -> dict[str, Any]:
        """The envelope, after checking that it is one."""
        url, begun = f"{self._client.url}/track/v2.2/{endpoint}", self._clock.monotonic()
        async with self._client.session.post(
            url, data=io.BytesIO(body), headers={"17token": KEY}
        ) as response:
            raw = await response.read()
        tally = self._tally
        tally.ms.append((self._clock.monotonic() - begun) * 1000)
        tally.http[response.status] += 1
        if response.status not in (200, 413):
            tally.blame(endpoint, body, f"HTTP {response.status}")
        answer: dict[str, Any] = json.loads(raw)
        tally.codes[answer["code"]] += 1
        why = flaw(answer, raw)
        if why:
            tally.blame(endpoint, body, why)
        return answer

    async def whole(self, endpoint: str) -> None:
        """All bodies that are wrong as a whole."""
        for body in hostile.whole_bodies():
            await self.send(endpoint, body)

    async def listing(self) -> None:
        """All filters."""
        for body in hostile.filters():
            await self.send(hostile.LIST, body)

    async def beside(self, endpoint: str) -> None:
        """All bad items of an endpoint, each between good neighbours."""
        bad = list(hostile.items(endpoint))
        neighbours = await goods(self._client, endpoint, 2 * len(bad))
        for item in bad:
            await self.between(endpoint, item, next(neighbours), next(neighbours))

    async def between(self, endpoint: str, bad: str, first: dict[str, Any], last: dict[str, Any]) -> None:
        """A bad item between two good ones, both of which must be served."""
        body = f"[{json.dumps(first)},{bad},{json.dumps(last)}]".encode("utf-8", "surrogatepass")
        answer = await self.send(endpoint, body)
        outcomes = {item["number"]: FINE for item in answer["data"]["accepted"]}
        for item in answer["data"]["rejected"]:
            outcomes.setdefault(item["number"], item["error"]["code"])
        for good in (first, last):
            self._tally.neighbours += 1
            if outcomes.get(good["number"]) != OUTCOMES[endpoint]:
                self._tally.blame(endpoint, body, f"neighbour: {outcomes.get(good['number'])}")


def flaw(answer: dict[str, Any], raw: bytes) -> str | None:
    """Why an answer is no envelope."""
    data = answer["data"]
    if "quota_total" in data:
        return None
    if not isinstance(answer["code"], int) or not isinstance(data, dict):
        return "shape"
    if not isinstance(data["accepted"], list) or not isinstance(data["rejected"], list):
        return "lists"
    for error in [*(item["error"] for item in data["rejected"]), *data.get("errors", [])]:
        if not (isinstance(error["code"], int) and error["code"] and error["message"]):
            return "error"
        if not error["message"].isprintable() or len(error["message"]) > 300:
            return f"message {error['message']!r}"
    for item in data["rejected"]:
        if not (isinstance(item["number"], str) and isinstance(item["carrier"], int)):
            return "refused item"
    if answer["code"] and not data.get("errors"):
        return "no errors"
    return "it tells of our inside" if b"Traceback" in raw or b"sqlite" in raw.lower() else None


def fresh(mark: str) -> Iterator[str]:
    """Sandbox numbers that nobody has used."""
    count = 0
    while True:
        count += 1
        yield f"SANDBOXINTRANSIT{mark}{count}"


async def prepare(client: Client, endpoint: str, count: int) -> list[str]:
    """Numbers that are ready for a call to the endpoint."""
    numbers = [number for number, _ in zip(fresh(endpoint[:2].upper()), range(count), strict=False)]
    for start in range(0, count, 40):
        items = [{"number": number} for number in numbers[start : start + 40]]
        assert len((await client.call("register", items))["data"]["accepted"]) == len(items)
        if endpoint == "retrack":
            await client.call("stoptrack", items)
    return numbers


async def goods(client: Client, endpoint: str, count: int) -> Iterator[dict[str, Any]]:
    """Good neighbours: such as can be used again, or new ones."""
    more: dict[str, dict[str, Any]] = {
        "changecarrier": {"carrier_new": 999001},
        "changeinfo": {"items": {"tag": "mine"}},
    }
    if endpoint == "register":
        return ({"number": number} for number in fresh("N"))
    if endpoint in ("stoptrack", "retrack", "deletetrack"):
        return iter([{"number": number} for number in await prepare(client, endpoint, count)])
    item: dict[str, Any] = {"number": STABLE, **more.get(endpoint, {})}
    return iter([item] * count)


async def known(client: Client) -> None:
    """Wait until the stable number has been refreshed."""
    await client.call("register", [{"number": STABLE}])
    for _ in range(100):
        if (await client.call("gettrackinfo", [{"number": STABLE}]))["data"]["accepted"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not refreshed")


@pytest.mark.timeout(300)
async def test_hostile_bodies(start: Starter, capsys: pytest.CaptureFixture[str]) -> None:
    """Every endpoint, every body of the corpus: see tests/api/hostile.py."""
    client = await start(
        PARCELWIRE_FIRST_PLAN="unlimited", PARCELWIRE_SANDBOX_STEP="3600", PARCELWIRE_REFRESH_SECONDS="86400"
    )
    await known(client)
    tally = Tally()
    sender = Sender(client, tally)
    await asyncio.gather(*(sender.whole(endpoint) for endpoint in hostile.ENDPOINTS))
    await asyncio.gather(sender.listing(), *(sender.beside(endpoint) for endpoint in hostile.ITEM_TYPES))
    for endpoint in ("register", hostile.LIST):
        for body in hostile.LARGE:
            await sender.send(endpoint, body)
    ordered = sorted(tally.ms)
    p99 = ordered[len(ordered) * 99 // 100]
    with capsys.disabled():
        print(
            f"\n  hostile: {len(ordered)} cases on {len(hostile.ENDPOINTS)} endpoints, "
            f"HTTP {dict(tally.http)}, {len(tally.codes)} codes; {tally.neighbours} good neighbours; "
            f"wrong {len(tally.wrong)}; median {ordered[len(ordered) // 2]:.1f} ms, p99 {p99:.1f} ms, "
            f"slowest {ordered[-1]:.0f} ms"
        )
    assert tally.wrong == []
    assert len(ordered) >= 5_000
    assert p99 <= P99_MS
