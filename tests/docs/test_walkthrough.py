"""The walk-through of docs/how-to/add-a-carrier.md, pasted into a shell in a copy of the checkout, works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-a-carrier.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COPIED = ("src", "tests", "docs", "pyproject.toml", "dev.py", "bench")
# `python3 dev.py test` would build an environment; the one that runs this test has everything.
PYTHON = f"""#!/bin/sh
if [ "$1 $2" = "dev.py test" ]; then shift 2; exec "{sys.executable}" -m pytest -p no:cacheprovider "$@"; fi
exec "{sys.executable}" "$@"
"""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name == "nt", reason="the page is for a POSIX shell"),
]


def script() -> str:
    """The first shell block of the page."""
    found = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the page works on, with the command and the interpreter of this test run."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    executable(folder / ".venv/bin/parcelwire", f'#!/bin/sh\nexec "{sys.executable}" -m parcelwire "$@"\n')
    executable(folder / "bin/python3", PYTHON)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Every file by its path below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def test_the_walk_through_works_and_edits_no_file(checkout: Path) -> None:
    """The scan, the shared tests, the list and the generated page find the new carrier; but for that page
    only new files appear: one source file, its table and its recordings."""
    before = files(checkout)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARCELWIRE_")}
    environ = kept | {
        "PATH": f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(checkout / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        ["sh", "-e", "-c", script()],  # noqa: S607
        cwd=checkout,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = files(checkout)
    new = {name for name in after.keys() - before.keys() if not name.startswith(".")}
    assert {name.rpartition("/")[0] for name in new} == {"src/parcelwire/carriers", "tests/carriers/swallow"}
    assert {name for name in new if name.startswith("src")} == {
        "src/parcelwire/carriers/swallow.py",
        "src/parcelwire/carriers/swallow.csv",
    }
    assert {name for name in before if before[name] != after[name]} == {"docs/reference/carriers.md"}
    assert "## swallow" in after["docs/reference/carriers.md"].decode()
    assert "SW100: report, Delivered (Delivered_Other)" in done.stdout
    assert "\nswallow: " in done.stdout
    assert re.search(r"\b[1-9][0-9]+ passed", done.stdout)
    assert "failed" not in done.stdout
