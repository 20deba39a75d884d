"""The disk is full, or the database file is broken."""

import asyncio
import resource
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from faults.child import Child, environment, ledger_errors, receiver, serve
from faults.figure import Figure
from faults.signals import Client, until

from parcelwire.net.clock import SystemClock

FULL_S = 5.0
HEADER = 16  # bytes of an SQLite file that say what it is
INTERNAL = -18010003

clock = SystemClock()


async def _answer(child: Child, endpoint: str, body: object) -> tuple[int, dict[str, Any], str]:
    """HTTP status, envelope, Retry-After."""
    async with child.session.post(f"{child.url}/track/v2.2/{endpoint}", json=body) as response:
        return response.status, await response.json(), response.headers.get("Retry-After", "")


def _limit(child: Child, bytes_max: int) -> None:
    """No file of the child may grow beyond this; RLIM_INFINITY: no limit."""
    hard = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (bytes_max, hard))


@dataclass
class Full:
    """What happened while the disk was full, and afterwards."""

    refused: int = 0  # writes answered 503, with the envelope and Retry-After
    wrong: int = 0  # otherwise
    reads: int = 0
    failed_reads: int = 0
    back_s: float = 0.0

    async def fill(self, child: Child, known: str) -> None:
        """No room for a while: clients go on writing and reading."""
        _limit(child, 4096)
        ends_at = clock.monotonic() + FULL_S
        while clock.monotonic() < ends_at:
            item = {"number": f"SANDBOXJOURNEY9{self.reads}"}
            status, envelope, retry = await _answer(child, "register", [item])
            whole = status == 503 and envelope["code"] == INTERNAL and bool(retry)
            self.refused, self.wrong = self.refused + whole, self.wrong + (not whole)
            status, envelope, _ = await _answer(child, "gettrackinfo", [{"number": known}])
            self.reads += 1
            self.failed_reads += status != 200 or not envelope["data"]["accepted"]
            await asyncio.sleep(0.1)

    async def empty(self, child: Child) -> None:
        """Room again: how long until a write succeeds."""
        _limit(child, resource.RLIM_INFINITY)
        began = clock.monotonic()
        while (await _answer(child, "register", [{"number": "SANDBOXJOURNEY8"}]))[0] != 200:
            await asyncio.sleep(0.1)
        self.back_s = clock.monotonic() - began


async def disk_full(quick: bool) -> Figure:  # noqa: ARG001
    """No file can grow any more, then all is well again: reads go on, and nothing needs a restart."""
    client, full = Client(), Full()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        async with (
            receiver() as sink,
            serve(environment(folder, PARCELWIRE_WEBHOOK_URL=sink.url)) as child,
        ):
            for _ in range(3):
                await client.register(child)
            await asyncio.sleep(0.5)
            await full.fill(child, client.accepted[0])
            await full.empty(child)
            await until(lambda: all(sink.delivered(number) for number in client.accepted))
            lost = await client.missing(child)
            code = await child.end(signal.SIGTERM)
        quota = ledger_errors(folder)
    untold = sum(not sink.delivered(number) for number in client.accepted)
    bad = full.wrong or full.failed_reads or lost or untold or quota or code or sink.two_bodies
    return Figure(
        "disk_full",
        not bad and full.refused > 0,
        f"disk full for {FULL_S:g} s: {full.refused} writes answered 503 with Retry-After, otherwise "
        f"{full.wrong}; {full.reads} reads, failed {full.failed_reads}; writing again {full.back_s:.1f} s "
        f"after there was room, without a restart; lost {lost}, not told to the end {untold}, "
        f"quota errors {quota}",
        {"refused": full.refused, "wrong_answers": full.wrong, "reads": full.reads,
         "failed_reads": full.failed_reads, "back_s": round(full.back_s, 2), "lost": lost, "untold": untold,
         "quota_errors": quota},
    )  # fmt: skip


def _break_header(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(b"not a database! " + data[HEADER:])


def _break_pages(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for at in range(4096 + 100, len(data), 4096):
        data[at : at + 3000] = b"\xa5" * len(data[at : at + 3000])
    file.write_bytes(data)


def _cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def _empty_schema(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[100:4096] = bytes(3996)
    file.write_bytes(data)


BREAKS = {"header": _break_header, "pages": _break_pages, "cut": _cut, "schema": _empty_schema}


async def corrupt(quick: bool) -> Figure:  # noqa: ARG001
    """The file is broken in several ways: the service refuses to start and says how to restore."""
    told, silent = 0, []
    for name, damage in BREAKS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            environ = environment(folder)
            async with serve(environ) as child:
                await Client().register(child)
                await child.end(signal.SIGTERM)
            damage(folder / "parcelwire.db")
            code, text = await _start(environ)
            if code == 2 and "restore" in text and "Traceback" not in text:
                told += 1
            else:
                silent.append(f"{name}: exit code {code}, {text.strip()[-200:]!r}")
    return Figure(
        "corrupt",
        not silent,
        f"corrupt database file in {len(BREAKS)} ways: refused with the way to restore {told}, "
        f"otherwise {len(silent)}{''.join('; ' + one for one in silent)}",
        {"ways": len(BREAKS), "told": told, "silent": len(silent)},
    )


async def _start(environ: dict[str, str]) -> tuple[int | None, str]:
    """Exit code and standard error of a start; None: it runs."""
    try:
        async with serve(environ) as child:
            await child.call("getquota")
            return None, "it runs"
    except (AssertionError, aiohttp.ClientError):
        return await _exit(environ)


async def _exit(environ: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "parcelwire", "serve",
        env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 15)
    return process.returncode, errors.decode(errors="replace")
