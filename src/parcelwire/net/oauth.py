"""Access tokens: fetched once however many ask, kept for most of their life, dropped when refused."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from parcelwire.domain.exchange import Token
from parcelwire.ports import Clock

LIFE_SHARE = 0.8  # renewed before it ends: a token must outlive the request that carries it


class TokenCache:
    """Tokens by credential. Lives are measured by the monotonic clock: the wall clock may jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[str, float]] = {}
        self._fetching: dict[Hashable, asyncio.Task[str]] = {}

    async def get(self, credential: Hashable, fetch: Callable[[], Awaitable[Token]]) -> str:
        """The token of a credential; ``fetch`` runs once for all who wait, and they share its error."""
        value, renew_at = self._kept.get(credential, ("", 0.0))
        if value and self._clock.monotonic() < renew_at:
            return value
        task = self._fetching.get(credential)
        if task is None:
            task = asyncio.create_task(self._fetch(credential, fetch))
            self._fetching[credential] = task
            task.add_done_callback(lambda done: self._fetched(credential, done))
        return await asyncio.shield(task)  # one who gives up does not take it from the others

    def drop(self, credential: Hashable, value: str) -> None:
        """Forget a refused token, unless another caller has renewed it already."""
        if self._kept.get(credential, ("", 0.0))[0] == value:
            del self._kept[credential]

    async def close(self) -> None:
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, credential: Hashable, fetch: Callable[[], Awaitable[Token]]) -> str:
        asked_at = self._clock.monotonic()  # its life began at the latest when it was answered
        token = await fetch()
        self._kept[credential] = (token.value, asked_at + token.life_s * LIFE_SHARE)
        return token.value

    def _fetched(self, credential: Hashable, done: asyncio.Task[str]) -> None:
        del self._fetching[credential]
        if not done.cancelled():
            done.exception()  # everybody who waited may have given up: then nobody else looks at it
