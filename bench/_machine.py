"""The machine that figures depend on, and what its processes have spent."""

import os
import platform
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """What the figures depend on, in one line."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        cpu = names[0] if names else cpu
    try:
        loop = f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        loop = "asyncio's own loop"
    return (
        f"{cpu}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{loop}"
    )


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def own_cpu_s(pid: int) -> float:
    """CPU seconds of the main thread of a process, to the nanosecond."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e9
    except OSError:
        return 0.0


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process, and of its children that have ended, in clock ticks."""
    return sum(int(field) for field in _stat(pid)[11:15]) * TICK_S


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [child for child in found if (stat := _stat(child)) and int(stat[1]) == pid]


def server_cpu_s(pid: int) -> float:
    """CPU seconds of a server of one-threaded processes: itself, its children, those that have ended."""
    ended = sum(int(field) for field in _stat(pid)[13:15]) * TICK_S
    return own_cpu_s(pid) + ended + sum(own_cpu_s(child) for child in children(pid))


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process holds, what it shares with others included."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass
class Meter:
    """Adds up CPU seconds: of this process (all threads), and of a server that ``others`` tells about."""

    others: Callable[[], float] = float
    client: float = 0.0
    server: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """What happens inside counts."""
        others, began = self.others(), time.process_time()
        yield
        self.client += time.process_time() - began
        self.server += self.others() - others

    def us(self, count: int) -> tuple[float, float]:
        """Microseconds of client and server for each of ``count``."""
        return self.client / count * 1e6, self.server / count * 1e6
