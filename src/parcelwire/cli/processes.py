"""``parcelwire serve --processes N``: a parent that keeps N processes of the service on one listening socket.

The parent holds the socket, so that callers wait in its queue while processes come and go, and opens no
database. A process that dies is started again, and so is one whose loop hangs: it tells nothing any more
(link.py). On SIGHUP one after the other is replaced by a new one, of the program as it is installed by then:
it is ready before the old one leaves.
"""

import asyncio
import signal
import socket
import sys
from contextlib import suppress

import structlog
import typer

from parcelwire.app import FrontDoor, Role
from parcelwire.cli.link import BEAT_S, Link, Tally
from parcelwire.config import Settings

STOP_S = 9.5  # a stop takes ten seconds at most; a process needs eight
LEAVE_S = 15.0  # the same for one that was replaced, whose callers go first
START_SILENT_S = 60.0  # one that starts reads the program and its tables first
SILENT_STOP_S = 3.0  # the same for one whose loop hangs: there is little hope
PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # before one is started again that dies again and again
SETTLED_S = 60.0  # who has lived for so long begins anew with the shortest


class NotReady(Exception):
    """A process ended before it was ready; why, it has told in the log."""

    def __init__(self, code: int) -> None:
        super().__init__(f"it ended with code {code}")
        self.code = code


class Child:
    """A process: what it said when it was ready, at ``ready_at`` (monotonic; 0: it is not), and what it
    tells. When it tells nothing for too long it is ended.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, link: Link, tally: Tally, silent_s: float
    ) -> None:
        self.process = process
        self.greeting = ""
        self.ready_at = 0.0
        self.silent = False
        self._link = link
        self._tally = tally
        self._silent_s = silent_s
        self._heard_at = _now()
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._watch())]

    async def ready(self) -> None:
        """Until it is. NotReady."""
        assert self.process.stdout is not None  # noqa: S101
        self.greeting = (await self.process.stdout.read()).decode()
        if not self.greeting:
            raise NotReady(await self.process.wait())
        self.ready_at = self._heard_at = _now()

    async def end(self, number: signal.Signals, within_s: float) -> None:
        """Send a signal and wait; kill it when it takes too long."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            await asyncio.wait_for(self.process.wait(), within_s)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _hear(self) -> None:
        async for counted in self._link.told():
            self._heard_at = _now()
            self._tally.note(self.process.pid, counted)
            self._link.tell(self._tally.beside(self.process.pid))
        self._tally.gone(self.process.pid)
        await self._link.close()

    async def _watch(self) -> None:
        while self.process.returncode is None:
            began = _now()
            await asyncio.sleep(BEAT_S)
            now = _now()
            if now - began > 2 * BEAT_S:  # we have been stopped ourselves: nobody could be heard
                self._heard_at = now
            elif now - self._heard_at > (self._silent_s if self.ready_at else START_SILENT_S):
                self.silent = True
                silent_s = round(now - self._heard_at)
                structlog.get_logger("parcelwire").error(
                    "process_silent", pid=self.process.pid, silent_s=silent_s
                )
                await self.end(signal.SIGTERM, SILENT_STOP_S)


def _now() -> float:
    return asyncio.get_running_loop().time()


class Starter:
    """Starts processes of one role, all at the same door."""

    def __init__(self, role: Role, door: FrontDoor | None, silent_s: float) -> None:
        self._role = role
        self._door = door
        self._silent_s = silent_s
        self._tally = Tally()

    async def start(self) -> Child:
        """A new process, when it is ready. NotReady."""
        sockets = () if self._door is None else (self._door.socket.fileno(),)
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "parcelwire.cli.child", self._role, *map(str, sockets),
                stdin=theirs.fileno(), stdout=asyncio.subprocess.PIPE, pass_fds=sockets,
                start_new_session=True,  # an interrupt from the terminal is for the parent
            )  # fmt: skip
        link = await Link.open(ours)
        link.send(self._door.token if self._door else "")
        child = Child(process, link, self._tally, self._silent_s)
        try:
            await child.ready()
        except BaseException:
            if process.returncode is None:
                process.kill()
            raise
        return child

    def ended(self, child: Child) -> None:
        """Nobody has asked it to."""
        self._tally.count("process_ends_total", "silent" if child.silent else "died")


class Place:
    """One of the N: a process, and whoever starts it again when it dies."""

    def __init__(self, starter: Starter, child: Child) -> None:
        self._starter = starter
        self._log = structlog.get_logger("parcelwire")
        self._child = child
        self._leaving: Child | None = None
        self._keeping = asyncio.create_task(self._keep())

    async def replace(self) -> None:
        """A new process first, then the old one leaves. NotReady: the old one stays."""
        child = await self._starter.start()
        self._keeping.cancel()
        self._leaving, self._child = self._child, child
        self._keeping = asyncio.create_task(self._keep())
        await self._leaving.end(signal.SIGHUP, LEAVE_S)
        self._leaving = None

    async def stop(self) -> None:
        """End it for good."""
        self._keeping.cancel()
        there = [child for child in (self._child, self._leaving) if child is not None]
        await asyncio.gather(*(child.end(signal.SIGTERM, STOP_S) for child in there))

    async def _keep(self) -> None:
        fails = 0
        while True:
            code = await self._child.process.wait()
            self._starter.ended(self._child)
            if _now() - self._child.ready_at > SETTLED_S:
                fails = 0
            fails = await self._start_again(code, fails)

    async def _start_again(self, code: int, fails: int) -> int:
        while True:
            pause = PAUSES_S[min(fails, len(PAUSES_S) - 1)]
            fails += 1
            self._log.warning("process_ended", pid=self._child.process.pid, code=code, again_in_s=pause)
            await asyncio.sleep(pause)
            try:
                self._child = await self._starter.start()
            except NotReady as error:
                code = error.code
            else:
                return fails


class Parent:
    """``await run()`` lasts until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, role: Role, processes: int, door: FrontDoor | None) -> None:
        self._settings = settings
        self._processes = processes
        self._door = door
        self._starter = Starter(role, door, settings.silent_seconds)
        self._places: list[Place] = []
        self._log = structlog.get_logger("parcelwire")

    async def run(self) -> None:
        """Start all, say once that they are ready, keep them. SystemExit when one cannot start."""
        stopped, renewed = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stopped.set)
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, renewed.set)
        working = asyncio.create_task(self._work(renewed))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        stopping.cancel()
        (failed,) = await asyncio.gather(working, return_exceptions=True)
        await asyncio.gather(*(place.stop() for place in self._places))
        if self._door is not None:
            self._door.forget(self._settings)
        if isinstance(failed, NotReady):
            raise SystemExit(failed.code)
        if isinstance(failed, Exception):
            raise failed

    async def _work(self, renewed: asyncio.Event) -> None:
        first = await self._starter.start()  # by itself: it makes the schema, the key and the first account
        self._places.append(Place(self._starter, first))
        await asyncio.gather(*(self._add() for _ in range(1, self._processes)))
        if self._door is not None:
            self._door.tell(self._settings)
        typer.echo(first.greeting, nl=False)
        while True:
            await renewed.wait()
            renewed.clear()
            await self._renew()

    async def _add(self) -> None:
        self._places.append(Place(self._starter, await self._starter.start()))

    async def _renew(self) -> None:
        for place in self._places:
            try:
                await place.replace()
            except NotReady as error:
                self._log.error("processes_not_renewed", code=error.code)
                return
        self._log.info("processes_renewed", count=len(self._places))
