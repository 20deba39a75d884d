"""Whose a file is, told to whoever may not use it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.cli.test_commands import run
from tests.process.child import environment, serve

from parcelwire.files import why, write_private

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")
# Everything is imported as root, so that the place of the program does not matter: the first try sees to it.
AS_NOBODY = f"""
import os
from contextlib import suppress
import aiohttp, encodings.ascii, encodings.idna, pwd, structlog, uvloop
import parcelwire.app, parcelwire.flows.verbs, parcelwire.store.sqlite.backup
from parcelwire.cli.main import main
parcelwire.app.settings_from({{}})
os.environ["PARCELWIRE_LISTEN"] = "wrong"
with suppress(SystemExit):
    main()
os.environ["PARCELWIRE_LISTEN"] = "127.0.0.1:0"
os.write(2, b"---\\n")
os.setgid({NOBODY})
os.setuid({NOBODY})
main()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everybody may look into, which those of the test run are not."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def as_nobody(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit code and errors of a command, as somebody without rights."""
    program = [sys.executable, "-c", AS_NOBODY, *arguments]
    done = subprocess.run(
        program, env=environment(folder), capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stderr.partition("---\n")[2].splitlines()


def test_a_missing_right_names_file_owner_and_user() -> None:
    told = why(PermissionError(13, "Permission denied", "/nobody-has-made-this/x"))
    assert told.startswith("/nobody-has-made-this/x: Permission denied")
    assert "/ belongs to root" in told


def test_another_error_names_its_file_alone() -> None:
    assert why(OSError(28, "No space left on device", "/data/x")) == "/data/x: No space left on device"
    assert why(ValueError("odd")) == "odd"


@ROOT_ONLY
@pytest.mark.process
@pytest.mark.parametrize(
    ("there", "arguments"),
    [
        ("service.json", ["webhooks", "list"]),
        ("parcelwire.db", ["doctor"]),
        ("secret.key", ["serve"]),
        ("parcelwire.db.lock", ["serve"]),
        ("parcelwire.db", ["backup", "{folder}/new.db"]),
    ],
)
def test_a_file_of_another_user_ends_a_command_with_one_line(
    folder: Path, there: str, arguments: list[str]
) -> None:
    """Exit code 2: which file, whose it is, who runs the command."""
    os.chown(folder, NOBODY, NOBODY)
    with closing(sqlite3.connect(folder / "parcelwire.db")) as connection:
        connection.execute("CREATE TABLE one (x)")
    for name in {there, "secret.key"} - {"parcelwire.db"}:
        (folder / name).write_text("ab" * 32)
    for file in folder.iterdir():
        file.chmod(0o600)
        os.chown(file, *((0, 0) if file.name == there else (NOBODY, NOBODY)))
    code, told = as_nobody(folder, *(word.format(folder=folder) for word in arguments))
    assert (code, len(told)) == (2, 1), told[-3:]
    assert f"{folder / there}: Permission denied: it belongs to root, and this runs as nobody" in told[0]


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    write_private(file, "one")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    write_private(file, "two")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", 0o640)


def owners(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_uid for file in folder.iterdir()}


@ROOT_ONLY
@pytest.mark.process
async def test_what_root_makes_in_the_data_folder_belongs_to_the_owner_of_it(folder: Path) -> None:
    """A command as root leaves nothing that the service cannot open; neither does a start as root."""
    os.chown(folder, NOBODY, NOBODY)
    environ = environment(folder)
    async with serve(environ):
        running = owners(folder)
    assert {"parcelwire.db-wal", "service.json", "working.0", "secret.key"} <= set(running)
    assert set(running.values()) == {NOBODY}
    (folder / "parcelwire.db.lock").unlink()
    copy = str(folder / "copy.db")
    for words in (["secrets", "rotate"], ["backup", copy], ["restore", copy]):
        code, _, err = await run(environ, *words)
        assert code == 0, err
    assert set(owners(folder).values()) == {NOBODY}


@ROOT_ONLY
@pytest.mark.process
def test_a_backup_into_a_folder_of_another_user_ends_with_one_line(folder: Path) -> None:
    (folder / "parcelwire.db").touch()
    os.chown(folder / "parcelwire.db", NOBODY, NOBODY)
    (folder / "closed").mkdir(mode=0o700)
    code, told = as_nobody(folder, "backup", str(folder / "closed" / "x.db"))
    assert (code, len(told)) == (2, 1), told[-3:]
    assert "closed belongs to root" in told[0]
