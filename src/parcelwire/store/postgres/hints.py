"""Hints that work may have become due: to this process at once, to others by NOTIFY after the commit.

Only hints: they may be lost, and the due times are the truth. NOTIFY inside of transactions would make their
commits wait for one another, so it is sent by itself, at most once in a while.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import asyncpg

from parcelwire.domain.errors import StoreUnavailable
from parcelwire.ports import Work
from parcelwire.store.hearers import Hearers
from parcelwire.store.postgres.pool import Connection, Pool, Target

CHANNEL = "parcelwire"
QUIET_S = 0.05  # hints to others within this are one
RECONNECT_S = 2.0


class Hints:
    """``name`` tells this process from others: its own notifications are no news."""

    def __init__(self, target: Target, pool: Pool, name: str) -> None:
        self._target = target
        self._pool = pool
        self._name = name
        self._hearers = Hearers()
        self._untold: set[Work] = set()
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    def on_work(self, hint: Callable[[], None], kinds: Iterable[Work]) -> None:
        """Call ``hint`` from now on. The first one starts to listen."""
        self._hearers.add(hint, kinds)
        if self._listening is None and self._target.sessions:
            self._listening = asyncio.create_task(self._listen())

    def tell(self, *kinds: Work) -> None:
        """Work of these kinds was committed that may be due."""
        if not kinds:
            return
        self._hearers.tell(*kinds)
        self._untold.update(kinds)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Stop telling and listening."""
        for task in (self._telling, self._listening):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _tell(self) -> None:
        await asyncio.sleep(QUIET_S)
        payload = " ".join((self._name, *sorted(self._untold)))
        self._untold.clear()
        with suppress(StoreUnavailable):  # others look for themselves every second
            await self._pool.statement(lambda c, _: c.execute("SELECT pg_notify($1, $2)", CHANNEL, payload))

    async def _listen(self) -> None:
        while True:
            with suppress(
                OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
            ):
                await self._listen_until_it_breaks()
            await asyncio.sleep(RECONNECT_S)
            self._hearers.tell(*Work)  # what was told meanwhile nobody heard

    async def _listen_until_it_breaks(self) -> None:
        connection = await self._target.connect()
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _: broken.set())
        try:
            await connection.add_listener(CHANNEL, self._heard)
            await broken.wait()
        finally:
            connection.terminate()

    def _heard(self, _connection: Connection, _pid: int, _channel: str, payload: Any) -> None:
        name, *kinds = str(payload).split()
        if name != self._name:
            self._hearers.tell(*(kind for kind in Work if kind in kinds))
