"""PostgreSQL nodes under Patroni with etcd, as operators run them, all on the loopback interface.

Patroni comes from PyPI into an environment of its own, etcd from PATH or as Debian's package, unpacked; both
are kept for the next time.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.figure import Missing
from tests.postgres import UNPRIVILEGED, PostgresMissing, free_port, group_of, programs, reachable

from parcelwire.net.clock import SystemClock

PATRONI = ("patroni[etcd3]==4.1.5", "psycopg[binary]==3.3.9")
NODES = 3
# Patroni's own defaults. It takes no ttl below 20 s, and no less than loop_wait + 2 x retry_timeout.
TTL_S = 30
TIMES = {"ttl": TTL_S, "loop_wait": 10, "retry_timeout": 10}
READY_S = 120.0
PASSWORD = "of-the-experiment"
SETTINGS = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": 60,
    "wal_retrieve_retry_interval": "1s",
}

clock = SystemClock()


def _cache() -> Path:
    """Where PostgreSQL's unprivileged user can reach it, too."""
    folder = Path(tempfile.gettempdir()) / f"parcelwire-ha-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise Missing(f"{folder} belongs to somebody else")
    return folder


def etcd_program() -> Path:
    """Missing says how to get it."""
    unpacked = _cache() / "etcd"
    found = shutil.which("etcd") or shutil.which("etcd", path=unpacked / "usr" / "bin")
    if found:
        return Path(found)
    print("fetching etcd-server (Debian)", file=sys.stderr)
    unpacked.mkdir(exist_ok=True)
    with suppress(OSError, subprocess.CalledProcessError):
        _quietly("apt-get", "download", "etcd-server", cwd=unpacked)
        for package in unpacked.glob("etcd-server_*.deb"):
            _quietly("dpkg", "-x", str(package), str(unpacked))
        return unpacked / "usr" / "bin" / "etcd"
    raise Missing("there is no etcd: apt-get install etcd-server, or put etcd on PATH")


def patroni_program(user: str | None) -> Path:
    """Missing says how to get it."""
    environment = _cache() / "patroni"
    program = environment / "bin" / "patroni"
    if not program.exists():
        print(f"installing {PATRONI[0]} into {environment}", file=sys.stderr)
        try:
            _quietly(_python(user), "-m", "venv", str(environment))
            _quietly(str(environment / "bin" / "python"), "-m", "pip", "install", "-q", *PATRONI)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(environment, ignore_errors=True)
            cure = f"python3 -m venv {environment} && {environment}/bin/pip install"
            wanted = " ".join(f"'{name}'" for name in PATRONI)
            raise Missing(f"there is no Patroni: {cure} {wanted}") from error
    return program


def _python(user: str | None) -> str:
    """An interpreter that the unprivileged user may run: ours may be in somebody's home."""
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            test = [program, "-c", "import ensurepip"]
            done = subprocess.run(test, user=user, group=group_of(user), capture_output=True, check=False)
            if done.returncode == 0:
                return program
    raise Missing(f"{user} can run no Python that makes environments: apt-get install python3-venv")


def _quietly(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@dataclass
class Node:
    """One machine with PostgreSQL and Patroni."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    rest: int = field(default_factory=free_port)
    patroni: subprocess.Popen[bytes] | None = None

    @property
    def postmaster(self) -> int | None:
        """Its process id."""
        with suppress(OSError, ValueError):
            return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return None

    def kill(self) -> None:
        """kill -9 of both, as when the machine loses its power."""
        if self.patroni is not None:
            self.patroni.kill()
            self.patroni.wait()
            self.patroni = None
        pid = self.postmaster
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def configuration(self, postgres: Path, etcd: list[str]) -> dict[str, Any]:
        """What Patroni reads."""
        address, rest = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.rest}"
        own = {"password": PASSWORD}
        hba = [
            "local all all trust",
            "host all all 127.0.0.1/32 trust",
            "host replication all 127.0.0.1/32 trust",
        ]
        return {
            "scope": "parcelwire",
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"hosts": etcd},
            "bootstrap": {
                "dcs": TIMES
                | {
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": SETTINGS},
                },
                "initdb": [{"encoding": "UTF8"}, "no-locale", "no-sync", "data-checksums"],
            },
            "postgresql": {
                "listen": address,
                "connect_address": address,
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(postgres),
                "pgpass": str(self.folder / "pgpass"),
                "pg_hba": hba,
                "parameters": {"unix_socket_directories": str(self.folder)},
                "authentication": {
                    "superuser": own | {"username": "postgres"},
                    "replication": own | {"username": "replicator"},
                },
            },
        }


@dataclass
class Nodes:
    """Make them with ``Nodes.make()``; ``remove()`` at the end."""

    folder: Path
    nodes: list[Node]
    user: str | None
    program: Path
    _etcd: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def make(cls) -> "Nodes":
        """They are started; see ``until_safe``."""
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        etcd, patroni = etcd_program(), patroni_program(user)
        folder = Path(tempfile.mkdtemp(prefix="parcelwire-ha-"))
        folder.chmod(0o755)
        try:
            postgres = reachable(programs(), user, folder)
        except PostgresMissing as missing:
            raise Missing(str(missing)) from missing
        made = cls(folder, [Node(f"node{n}", folder / f"node{n}") for n in range(NODES)], user, patroni)
        hosts = made._start_etcd(etcd)
        for node in made.nodes:
            made._own(node.folder)
            config = node.configuration(postgres, hosts)
            (node.folder / "patroni.json").write_text(json.dumps(config), encoding="utf-8")
            made.start(node)
        return made

    @property
    def dsn(self) -> str:
        """It names all nodes."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://postgres:{PASSWORD}@{hosts}/postgres?target_session_attrs=read-write"

    def start(self, node: Node) -> None:
        """Patroni, which does the rest."""
        node.patroni = self._run(node.folder, str(self.program), str(node.folder / "patroni.json"))

    async def until_safe(self) -> Node:
        """Wait until a node leads and all others follow, one of them synchronously; answers the leader."""
        ends_at = clock.monotonic() + READY_S
        while clock.monotonic() < ends_at:
            roles = await asyncio.to_thread(self._roles)
            if len(roles) == NODES and {"leader", "sync_standby"} <= set(roles.values()):
                return next(node for node in self.nodes if roles[node.name] == "leader")
            await asyncio.sleep(0.5)
        logs = "\n".join((node.folder / "log").read_text(errors="replace")[-2000:] for node in self.nodes)
        raise RuntimeError(f"the nodes were not ready within {READY_S:.0f} s:\n{logs}")

    def remove(self) -> None:
        """Kill and forget everything."""
        for node in self.nodes:
            node.kill()
        for process in self._etcd:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _roles(self) -> dict[str, str]:
        """Of the nodes that run or stream, as any of them says."""
        for node in self.nodes:
            with suppress(OSError, ValueError):
                with urllib.request.urlopen(f"http://127.0.0.1:{node.rest}/cluster", timeout=5) as reply:
                    members = json.load(reply)["members"]
                return {
                    one["name"]: one["role"] for one in members if one["state"] in ("running", "streaming")
                }
        return {}

    def _start_etcd(self, program: Path) -> list[str]:
        """``host:port`` of its clients."""
        ports = [(free_port(), free_port()) for _ in range(NODES)]
        everybody = ",".join(f"etcd{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(ports))
        for n, (client, peer) in enumerate(ports):
            at, to = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
            folder = self.folder / f"etcd{n}"
            self._own(folder)
            self._etcd.append(
                self._run(
                    folder, str(program), "--name", f"etcd{n}", "--data-dir", str(folder / "data"),
                    "--listen-client-urls", at, "--advertise-client-urls", at, "--listen-peer-urls", to,
                    "--initial-advertise-peer-urls", to, "--initial-cluster", everybody,
                )
            )  # fmt: skip
        return [f"127.0.0.1:{client}" for client, _ in ports]

    def _own(self, folder: Path) -> None:
        folder.mkdir()
        if self.user:
            shutil.chown(folder, self.user)

    def _run(self, folder: Path, *command: str) -> subprocess.Popen[bytes]:
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=folder, user=self.user, group=group_of(self.user), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
