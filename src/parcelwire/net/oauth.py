"""Access tokens: fetched once however many ask, kept for most of their life, dropped when refused."""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from parcelwire.domain.exchange import Token
from parcelwire.net.flights import Flights
from parcelwire.ports import Clock

LIFE_SHARE = 0.8  # renewed before it ends: a token must outlive the request that carries it


class TokenCache:
    """Tokens by credential. Lives are measured by the monotonic clock: the wall clock may jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[str, float]] = {}
        self._flights = Flights()

    async def get(self, credential: Hashable, fetch: Callable[[], Coroutine[Any, Any, Token]]) -> str:
        """The token of a credential; ``fetch`` runs once for all who wait, and they share its error."""
        value, renew_at = self._kept.get(credential, ("", 0.0))
        if value and self._clock.monotonic() < renew_at:
            return value
        return await self._flights.one(credential, lambda: self._fetch(credential, fetch))

    def drop(self, credential: Hashable, value: str) -> None:
        """Forget a refused token, unless another caller has renewed it already."""
        if self._kept.get(credential, ("", 0.0))[0] == value:
            del self._kept[credential]

    async def close(self) -> None:
        await self._flights.close()

    async def _fetch(self, credential: Hashable, fetch: Callable[[], Coroutine[Any, Any, Token]]) -> str:
        asked_at = self._clock.monotonic()  # its life began at the latest when it was answered
        token = await fetch()
        self._kept[credential] = (token.value, asked_at + token.life_s * LIFE_SHARE)
        return token.value
