"""The committed lock: complete, hashed, and in step with pyproject.toml."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED: dict[str, list[str]] = {
    "runtime": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["postgres"],  # serve works on either store after dev.py
    ],
    **{name: PROJECT["dependency-groups"][name] for name in ("test", "check", "build")},
}


def pins(name: str) -> Iterator[tuple[Requirement, str]]:
    """Each locked requirement with the text of its hashes."""
    text = (ROOT / "lock" / f"{name}.txt").read_text(encoding="utf-8")
    for block in re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE)):
        first, _, rest = block.partition("\\\n")
        yield Requirement(first.strip()), rest


@pytest.mark.parametrize("name", WANTED)
def test_every_locked_package_has_one_version_and_a_hash(name: str) -> None:
    for pin, hashes in pins(name):
        assert str(pin.specifier).startswith("=="), pin
        assert "--hash=sha256:" in hashes, pin
        assert pin.url is None


@pytest.mark.parametrize("name", WANTED)
def test_the_lock_follows_pyproject(name: str) -> None:
    """Fails when a dependency was added or moved and python3 dev.py lock was forgotten."""
    locked = {pin.name.lower(): str(pin.specifier).removeprefix("==") for pin, _ in pins(name)}
    for wanted in map(Requirement, WANTED[name]):
        assert wanted.specifier.contains(locked[wanted.name.lower()]), wanted


def test_the_lock_files_agree_on_every_package() -> None:
    """They are installed into one environment."""
    seen: dict[str, str] = {}
    for name in WANTED:
        for pin, _ in pins(name):
            assert seen.setdefault(pin.name, str(pin.specifier)) == str(pin.specifier), pin


@pytest.mark.parametrize("name", WANTED)
def test_a_0_x_dependency_has_an_upper_bound(name: str) -> None:
    """Before 1.0 a minor release may break us."""
    young = {pin.name.lower() for pin, _ in pins(name) if str(pin.specifier).startswith("==0.")}
    for wanted in map(Requirement, WANTED[name]):
        if wanted.name.lower() in young:
            assert any(part.operator == "<" for part in wanted.specifier), wanted


def test_the_image_is_made_of_what_is_in_the_clone() -> None:
    """Every path that the Dockerfile copies is there, and no ignored one."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for word in line.split()]
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert copied
    assert all((ROOT / name).exists() and f"!{name}" in kept for name in copied)
    assert set(re.findall(r"-r (\S+)", text)) == {"lock/build.txt", "lock/runtime.txt"}


def test_the_build_backend_is_the_locked_one() -> None:
    """dev.py builds without isolation: what [build-system] asks for must be in lock/build.txt."""
    assert set(PROJECT["build-system"]["requires"]) <= set(WANTED["build"])
