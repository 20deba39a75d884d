"""POST /inbound/ups: Track Alert is let in by its credential, and makes UPS be asked at once."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest
from tests.api.conftest import Client

from parcelwire.domain.exchange import Reply, Request
from parcelwire.net.clock import SystemClock
from parcelwire.ports import InboxState
from parcelwire.standins.server import serve
from parcelwire.standins.ups import UpsStandIn

CREDENTIAL, BEFORE = "alert-credential-of-today", "alert-credential-of-yesterday"
NUMBER = "1Z4R2W7E0300001011"
PATH = "/inbound/ups"
RECORDED = Path(__file__).parents[1] / "carriers" / "ups" / "alert.json"
ALERT = json.loads(RECORDED.read_text(encoding="utf-8"))
Starter = Callable[..., Awaitable[Client]]
SETTINGS = {
    "PARCELWIRE_CARRIER_UPS_ALERT_CREDENTIAL": CREDENTIAL,
    "PARCELWIRE_CARRIER_UPS_ALERT_CREDENTIAL_BEFORE": BEFORE,
}


def alert(number: str = NUMBER, **changed: object) -> bytes:
    return json.dumps(ALERT | {"trackingNumber": number} | changed).encode()


async def post(client: Client, body: bytes, **headers: str) -> tuple[int, bytes]:
    async with client.session.post(client.url + PATH, data=io.BytesIO(body), headers=headers) as response:
        return response.status, await response.read()


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


async def test_an_alert_makes_ups_be_asked_at_once(start: Starter) -> None:
    """What is shown is what the Track API says, not what the alert says."""
    asked: list[str] = []

    class Watched(UpsStandIn):
        def answer(self, request: Request, now: datetime) -> Reply:
            asked.append(request.path)
            return super().answer(request, now)

    async with serve(Watched(), SystemClock()) as url:
        client = await start(
            **SETTINGS,
            PARCELWIRE_CARRIER_UPS_URL=url,
            PARCELWIRE_CARRIER_UPS_CLIENT_ID="id",
            PARCELWIRE_CARRIER_UPS_CLIENT_SECRET="secret",
        )
        await client.call("register", [{"number": NUMBER, "carrier": 100002}])
        await until(lambda: len(asked) == 2)  # the token, the first question; the next is hours away
        await asyncio.sleep(0.2)
        assert await post(client, alert(), credential=CREDENTIAL) == (200, b"")
        await until(lambda: len(asked) > 2)
        assert await counted(client, InboxState.DONE) == 1


@pytest.mark.parametrize("header", ["credential", "Credential", "CREDENTIAL"])
@pytest.mark.parametrize("credential", [CREDENTIAL, BEFORE, f"Bearer {CREDENTIAL}"])
async def test_both_live_credentials_open_the_door(start: Starter, header: str, credential: str) -> None:
    client = await start(**SETTINGS)
    assert (await post(client, alert(), **{header: credential}))[0] == 200
    assert await counted(client, InboxState.UNKNOWN) == 1


FORGED: dict[str, dict[str, str]] = {
    "nothing": {},
    "empty": {"credential": ""},
    "another": {"credential": CREDENTIAL + "x"},
    "a beginning": {"credential": CREDENTIAL[:-1]},
    "another header": {"authorization": CREDENTIAL},
    "bearer alone": {"credential": "Bearer "},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=list(FORGED))
async def test_without_the_credential_nothing_is_kept(start: Starter, headers: dict[str, str]) -> None:
    client = await start(**SETTINGS)
    assert await post(client, alert(), **headers) == (401, b"")
    assert await client.service.context.store.inbox() == {}


async def test_another_header_can_be_set(start: Starter) -> None:
    """Which one UPS uses is a guess of ours."""
    client = await start(**SETTINGS, PARCELWIRE_CARRIER_UPS_ALERT_HEADER="Authorization")
    assert (await post(client, alert(), credential=CREDENTIAL))[0] == 401
    assert (await post(client, alert(), authorization=f"Bearer {CREDENTIAL}"))[0] == 200


async def test_without_a_credential_there_is_no_such_address(start: Starter) -> None:
    client = await start(PARCELWIRE_CARRIER_UPS_CLIENT_ID="id", PARCELWIRE_CARRIER_UPS_CLIENT_SECRET="secret")
    assert (await post(client, alert(), credential=""))[0] == 404


async def test_the_same_alert_again_and_an_unreadable_one_are_taken(start: Starter) -> None:
    """Never an error to the sender: a repeat is kept once, what cannot be read is parked."""
    client = await start(**SETTINGS)
    for body in (alert(), alert(), b"<html>", b"{}"):
        assert (await post(client, body, credential=CREDENTIAL))[0] == 200
    assert await counted(client, InboxState.PARKED) == 2
    assert await counted(client, InboxState.UNKNOWN) == 1


async def test_a_number_of_another_carrier_is_left_alone(start: Starter) -> None:
    client = await start(**SETTINGS)
    await client.call("register", [{"number": "700000000300", "carrier": 100003}])
    assert (await post(client, alert("700000000300"), credential=CREDENTIAL))[0] == 200
    assert await counted(client, InboxState.UNKNOWN) == 1
