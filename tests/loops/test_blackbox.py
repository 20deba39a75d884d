"""What the process was doing when it died can be read afterwards, and only that."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from parcelwire.domain.poison import Piece
from parcelwire.loops.blackbox import SIZE, BlackBox

ONE, TWO = Piece(17), Piece(3, 2, 5)
DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from parcelwire.domain.poison import Piece
from parcelwire.loops.blackbox import BlackBox

async def die():
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    box = BlackBox(Path(sys.argv[1]))
    waiting = asyncio.ensure_future(box.watch([Piece(1)], asyncio.sleep(60)))
    await asyncio.sleep(0)
    await box.watch([Piece(2), Piece(3, 4, 5)], die())

asyncio.run(main())
"""


def left_in(folder: Path) -> tuple[Piece, ...]:
    """What the next process reads."""
    box = BlackBox(folder)
    box.close()
    return box.left


def test_kill_9_leaves_the_work_of_that_instant(tmp_path: Path) -> None:
    """And not what only waited. Whoever reads it takes it over: it is read once."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], env=environ, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert left_in(tmp_path) == (Piece(2), Piece(3, 4, 5))
    assert left_in(tmp_path) == ()


async def test_an_answer_and_an_error_go_through(tmp_path: Path) -> None:
    """Nothing is left of either."""
    box = BlackBox(tmp_path)

    async def double(value: int) -> int:
        await asyncio.sleep(0)
        if value < 0:
            raise ValueError(value)
        return value * 2

    assert await box.watch([ONE], double(4)) == 8
    with pytest.raises(ValueError, match="-1"):
        await box.watch([TWO], double(-1))
    box.close()
    assert left_in(tmp_path) == ()


async def test_work_that_is_cancelled_may_tidy_up(tmp_path: Path) -> None:
    box, tidied = BlackBox(tmp_path), []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            tidied.append(True)

    task = asyncio.ensure_future(box.watch([ONE], wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tidied == [True]
    box.close()


def test_each_process_has_a_page_of_its_own(tmp_path: Path) -> None:
    """A living one keeps its file; the next start takes the first that is free."""
    first, second = BlackBox(tmp_path), BlackBox(tmp_path)
    first.write(b"+17/0/0;\0")
    second.close()
    assert left_in(tmp_path) == ()
    first.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["working.0", "working.1"]


@pytest.mark.parametrize(
    ("page", "left"),
    [
        (b"", ()),
        (b"\0 17/0/0;", ()),
        (b"+17/0/0;3/2/5;\0 rest", (ONE, TWO)),
        (b"+17/0/0;3/2", (ONE,)),
        (b"+17/0/0;x/y/z;;1/2/3/4;\0", (ONE,)),
        (b"+" + b"\xff" * SIZE, ()),
    ],
)
def test_a_page_that_was_cut_or_is_none_is_read_as_far_as_it_makes_sense(
    tmp_path: Path, page: bytes, left: tuple[Piece, ...]
) -> None:
    (tmp_path / "working.0").write_bytes(page)
    assert left_in(tmp_path) == left


async def test_a_call_for_very_many_is_cut_to_the_page(tmp_path: Path) -> None:
    box = BlackBox(tmp_path)

    async def look() -> None:
        assert (tmp_path / "working.0").stat().st_size == SIZE

    await box.watch([Piece(10**15 + n) for n in range(1000)], look())
    box.close()
