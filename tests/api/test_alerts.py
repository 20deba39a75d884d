"""POST /inbound/<carrier>: a push is let in by its proof, and makes its carrier be asked at once."""

import asyncio
import base64
import hmac
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.api.conftest import Client

from parcelwire.carriers import alerting, carriers
from parcelwire.config import ALERT_HEADERS
from parcelwire.domain.exchange import Proof, Reply, Request
from parcelwire.net.clock import SystemClock
from parcelwire.ports import InboxState, StandIn
from parcelwire.standins import credentials_of, stand_in
from parcelwire.standins.server import serve

CREDENTIAL, BEFORE = "alert-credential-of-today", "alert-credential-of-yesterday"
RECORDED = Path(__file__).parents[1] / "carriers" / "ups" / "alert.json"
UPS_ALERT = json.loads(RECORDED.read_text(encoding="utf-8"))
Starter = Callable[..., Awaitable[Client]]


def _ups(number: str) -> object:
    return UPS_ALERT | {"trackingNumber": number}


def _fedex(number: str) -> object:
    return {"output": {"completeTrackResults": [{"trackingNumber": number, "trackResults": [{}]}]}}


def _fedex_flat(number: str) -> object:
    return {"trackResults": [{"trackingNumberInfo": {"trackingNumber": number}}]}


def _dhl(number: str) -> object:
    status = {"statusCode": "transit", "status": "on its way", "timestamp": "2026-11-20T08:15:00"}
    shipment = {"id": number, "service": "parcel-de", "status": status}
    return {"scope": "subscription.push", "self": "/subscription/4711", "shipments": [shipment]}


@dataclass(frozen=True)
class Pusher:
    """A carrier that pushes, as its documents say."""

    slug: str
    number: str
    code: int
    says: Callable[[str], object]

    @property
    def settings(self) -> dict[str, str]:
        prefix = f"PARCELWIRE_CARRIER_{self.slug.upper()}_ALERT_CREDENTIAL"
        return {prefix: CREDENTIAL, f"{prefix}_BEFORE": BEFORE}

    def body(self, number: str | None = None) -> bytes:
        return json.dumps(self.says(number or self.number)).encode()

    def proof(self, body: bytes, credential: str = CREDENTIAL) -> str:
        if alerting()[self.slug].alert_proof is Proof.SHOWN:
            return credential
        return base64.b64encode(hmac.digest(credential.encode(), body, "sha256")).decode()

    async def post(self, client: Client, body: bytes, headers: dict[str, str] | None = None) -> int:
        """The HTTP status. ``headers``: else its proof, where the carrier shows it."""
        if headers is None:
            headers = {alerting()[self.slug].alert_header: self.proof(body)}
        url = f"{client.url}/inbound/{self.slug}"
        async with client.session.post(url, data=io.BytesIO(body), headers=headers) as response:
            assert await response.read() == b""
            return response.status


PUSHERS = {
    "ups": Pusher("ups", "1Z4R2W7E0300001011", 100002, _ups),
    "fedex": Pusher("fedex", "700000000300", 100003, _fedex),
    "fedex, results alone": Pusher("fedex", "700000000300", 100003, _fedex_flat),
    "dhl": Pusher("dhl", "00340434161094027318", 7041, _dhl),
}
every = pytest.mark.parametrize("pusher", PUSHERS.values(), ids=list(PUSHERS))
UPS, FEDEX, DHL = PUSHERS["ups"], PUSHERS["fedex"], PUSHERS["dhl"]


class Watched:
    """A stand-in that notes what it was asked."""

    def __init__(self, behind: StandIn) -> None:
        self.slug = behind.slug
        self.asked: list[str] = []
        self._behind = behind

    def answer(self, request: Request, now: datetime) -> Reply:
        """As the stand-in behind it."""
        if "token" not in request.path:
            self.asked.append(request.path)
        return self._behind.answer(request, now)


async def until(good: Callable[[], bool]) -> None:
    for _ in range(500):
        if good():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


async def counted(client: Client, state: InboxState) -> int:
    """How many pushes came into this state, as soon as none waits."""
    store = client.service.context.store
    for _ in range(500):
        inbox = await store.inbox()
        if not inbox.get(InboxState.WAITING):
            return inbox.get(state, 0)
        await asyncio.sleep(0.02)
    raise AssertionError("not processed")


def test_the_carriers_that_push_are_those_tested_here() -> None:
    assert set(alerting()) == {pusher.slug for pusher in PUSHERS.values()}


def test_the_settings_page_names_them_and_their_headers() -> None:
    named = {slug.lower(): words.split(",")[0] for slug, words in ALERT_HEADERS.items()}
    assert named == {slug: carrier.alert_header for slug, carrier in alerting().items()}


@every
async def test_a_push_makes_its_carrier_be_asked_at_once(start: Starter, pusher: Pusher) -> None:
    """What is shown is what the carrier answers, not what the push says."""
    behind = stand_in(pusher.slug)
    assert behind is not None
    watched, carrier = Watched(behind), carriers()[pusher.slug]
    prefix = f"PARCELWIRE_CARRIER_{pusher.slug.upper()}_"
    secrets = credentials_of(behind, carrier)
    async with serve(watched, SystemClock()) as url:
        client = await start(
            **pusher.settings,
            **{f"{prefix}{name.upper()}": value for name, value in secrets.items()},
            **{f"{prefix}URL": url},
            PARCELWIRE_CARRIER_CODES="official",
        )
        answer = await client.call("register", [{"number": pusher.number, "carrier": pusher.code}])
        assert len(answer["data"]["accepted"]) == 1
        await until(lambda: bool(watched.asked))
        await asyncio.sleep(1.1)  # a second call within the second would have to wait
        before = len(watched.asked)  # the next question is hours away
        assert await pusher.post(client, pusher.body()) == 200
        await until(lambda: len(watched.asked) > before)
        assert await counted(client, InboxState.DONE) == 1


@every
async def test_a_push_about_what_nobody_can_be_asked_about_says_so(start: Starter, pusher: Pusher) -> None:
    """A push is a reason to ask: without a credential for questions, or 17TRACK, it is of no use."""
    client = await start(**pusher.settings)
    await client.call("register", [{"number": pusher.number, "carrier": pusher.code}])
    with capture_logs() as lines:
        assert await pusher.post(client, pusher.body()) == 200
        assert await counted(client, InboxState.DONE) == 1
        await until(lambda: any(line["event"] == "inbound_processed" for line in lines))
    (detail,) = [line["detail"] for line in lines if line["event"] == "inbound_processed"]
    assert detail.startswith("0 of 1 shipments are due now; about 1 nobody can be asked: ")
    assert f"PARCELWIRE_CARRIER_{pusher.slug.upper()}_" in detail


@every
@pytest.mark.parametrize("credential", [CREDENTIAL, BEFORE])
async def test_both_live_credentials_open_the_door(start: Starter, pusher: Pusher, credential: str) -> None:
    client = await start(**pusher.settings)
    body, header = pusher.body(), alerting()[pusher.slug].alert_header
    for number, name in enumerate((header, header.title(), header.upper())):
        assert await pusher.post(client, body, {name: pusher.proof(body, credential)}) == 200, number
    assert await counted(client, InboxState.UNKNOWN) == 1


async def test_a_shown_credential_may_be_a_bearer(start: Starter) -> None:
    client = await start(**UPS.settings)
    assert await UPS.post(client, UPS.body(), {"credential": f"Bearer {CREDENTIAL}"}) == 200


@every
async def test_without_the_proof_nothing_is_kept(start: Starter, pusher: Pusher) -> None:
    client = await start(**pusher.settings)
    body, header = pusher.body(), alerting()[pusher.slug].alert_header
    right = pusher.proof(body)
    forged: list[dict[str, str]] = [
        {},
        {header: ""},
        {header: "Bearer "},
        {header: right + "x"},
        {header: right[:-1]},
        {header: pusher.proof(body, CREDENTIAL + "x")},
        {"authorization": right},
    ]
    for headers in forged:
        assert await pusher.post(client, body, headers) == 401, headers
    assert await client.service.context.store.inbox() == {}


async def test_a_signature_is_over_the_bytes_that_came(start: Starter) -> None:
    """FedEx: neither another body, nor the credential itself, nor the digest in hex opens the door."""
    client = await start(**FEDEX.settings)
    body, other = FEDEX.body(), FEDEX.body("700000000301")
    hexed = hmac.new(CREDENTIAL.encode(), body, "sha256").hexdigest()
    for wrong in (FEDEX.proof(other), FEDEX.proof(body + b" "), CREDENTIAL, hexed):
        assert await FEDEX.post(client, body, {"fdx-signature": wrong}) == 401
    assert await FEDEX.post(client, body) == 200


async def test_another_header_can_be_set(start: Starter) -> None:
    """Which one UPS uses is a guess of ours; for DHL the subscriber chooses."""
    client = await start(**UPS.settings, PARCELWIRE_CARRIER_UPS_ALERT_HEADER="Authorization")
    assert await UPS.post(client, UPS.body()) == 401
    assert await UPS.post(client, UPS.body(), {"authorization": f"Bearer {CREDENTIAL}"}) == 200


@every
async def test_without_a_credential_there_is_no_such_address(start: Starter, pusher: Pusher) -> None:
    client = await start()
    async with client.session.post(f"{client.url}/inbound/{pusher.slug}", data=pusher.body()) as response:
        assert response.status == 404


@every
async def test_a_repeat_is_kept_once_and_an_unreadable_push_is_parked(start: Starter, pusher: Pusher) -> None:
    """Never an error to the sender."""
    client = await start(**pusher.settings)
    empty = [
        b"<html>",
        b"{}",
        b"[]",
        b'{"shipments": [{"id": null}], "output": []}',
        b'{"trackResults": [{}]}',
    ]
    for body in (pusher.body(), pusher.body(), *empty):
        assert await pusher.post(client, body) == 200
    assert await counted(client, InboxState.UNKNOWN) == 1
    assert await counted(client, InboxState.PARKED) == len(empty)


@every
async def test_a_number_of_another_carrier_is_left_alone(start: Starter, pusher: Pusher) -> None:
    client = await start(**pusher.settings)
    await client.call("register", [{"number": "SANDBOXTRANSIT01", "carrier": 999001}])
    assert await pusher.post(client, pusher.body("SANDBOXTRANSIT01")) == 200
    assert await counted(client, InboxState.UNKNOWN) == 1


async def test_a_subscription_of_dhl_that_must_be_activated_waits_for_the_operator(start: Starter) -> None:
    """Its secret is in the push; that a subscription is ready needs nobody."""
    client = await start(**DHL.settings)
    validate = {"scope": "subscription.validate", "self": "/subscription/4711", "secret": "hook secret"}
    for push in (validate, {"scope": "subscription.ready", "self": "/subscription/4711"}):
        assert await DHL.post(client, json.dumps(push).encode()) == 200
    assert await counted(client, InboxState.DONE) == 1
    (parked,) = await client.service.context.store.parked_inbound(10)
    assert (parked.source, parked.why) == (
        "dhl", "a new subscription: activate it with the secret that is in this push",
    )  # fmt: skip
    kept = await client.service.context.store.inbound_body(parked.id)
    assert kept is not None
    assert json.loads(kept) == validate
