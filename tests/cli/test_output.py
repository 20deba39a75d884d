"""How the log is written when no person reads it, and what happens when nobody reads any more."""

import asyncio
import fcntl
import json
import os
import sys
from pathlib import Path

import pytest
import structlog

from parcelwire.cli.output import set_up_logs

PAGE_BYTES = 4_096
AS_IN_A_TERMINAL = (  # SIGINT is ignored by what a shell began with &, and by all that this begins
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
SOURCE = str(Path(__file__).parents[2] / "src")


def test_a_line_is_json_whatever_is_in_it(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects as their repr; half a surrogate pair, which UTF-8 has no form for, does not lose the line."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    set_up_logs()
    structlog.get_logger().info("told", number="…1234", what=range(3))
    structlog.get_logger().info("told", detail="\ud800")
    plain, odd = map(json.loads, capfdbinary.readouterr().err.splitlines())
    assert (plain["event"], plain["level"]) == ("told", "info")
    assert (plain["number"], plain["what"]) == ("…1234", "range(0, 3)")
    assert plain["timestamp"].endswith("Z")
    assert odd["detail"] == "\ud800"


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.process
async def test_a_reader_that_has_seen_enough_ends_the_command_quietly(tmp_path: Path) -> None:
    """``parcelwire demo --json | head -1`` ends soon, without a traceback, and leaves nothing behind."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PARCELWIRE_")}
    ours, theirs = os.pipe()
    # Less than the whole demo has room in it, so that the command is never done before the reader is.
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, PAGE_BYTES)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AS_IN_A_TERMINAL, "-m", "parcelwire", "demo", "--json",
        env=environ | {"PYTHONPATH": SOURCE, "TMPDIR": str(tmp_path)},
        stdout=theirs, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as reader:
        assert b'"verified": true' in await asyncio.to_thread(reader.readline)
    assert process.stderr is not None
    said = await process.stderr.read()
    assert await process.wait() != 0
    assert b"Traceback" not in said
    assert left_in(tmp_path) == []
