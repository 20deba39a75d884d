"""The whole service in this process, on a free loopback port, on a file of its own."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from parcelwire.app import Service, settings_from

KEY = "TESTKEY0123456789"


class Client:
    """Speaks the wire as a 17TRACK client does."""

    def __init__(self, session: aiohttp.ClientSession, service: Service) -> None:
        self.session = session
        self.service = service
        self.url = service.url

    async def raw(
        self,
        path: str,
        body: bytes | None = None,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """HTTP status and decoded envelope."""
        given = {"17token": KEY} if headers is None else headers
        async with self.session.request(
            method, self.url + path, data=io.BytesIO(body or b""), headers=given
        ) as response:
            answer: dict[str, Any] = await response.json()
            return response.status, answer

    async def call(self, endpoint: str, body: object = None) -> dict[str, Any]:
        """The envelope of a processed call."""
        async with self.session.post(
            f"{self.url}/track/v2.2/{endpoint}", json=body, headers={"17token": KEY}
        ) as response:
            assert response.status == 200
            answer: dict[str, Any] = await response.json()
            return answer

    async def quota_used(self) -> int:
        """What the account has used."""
        used: int = (await self.call("getquota"))["data"]["quota_used"]
        return used


Starter = Callable[..., Awaitable[Client]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starter]:
    """Start the service with settings; all is stopped at the end of the test."""
    services: list[Service] = []
    async with aiohttp.ClientSession() as session:

        async def start_one(**settings: str) -> Client:
            environ = {
                "PARCELWIRE_LISTEN": "127.0.0.1:0",
                "PARCELWIRE_DATA": str(tmp_path),
                "PARCELWIRE_FIRST_KEY": KEY,
                "PARCELWIRE_RATE_LIMIT": "0",
                "PARCELWIRE_SANDBOX_STEP": "0.1",
            }
            service = Service(settings_from(environ | settings))
            await service.start()
            services.append(service)
            return Client(session, service)

        yield start_one
        for service in services:
            await service.stop()


@pytest.fixture
async def client(start: Starter) -> Client:
    """A service with default settings."""
    return await start()
