"""Commands and settings that the documentation names are there, and no setting is left undocumented."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer.main

import parcelwire.carriers
from parcelwire.cli.main import app
from parcelwire.config import CARRIER_PATTERNS, CONFIG_FILE, SETTINGS, TEST_ONLY

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"PARCELWIRE_[A-Z<][A-Z0-9_<>]*")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def command_exists(words: list[str]) -> bool:
    """True when the words lead through groups to a command; words after a command are its arguments."""
    command: object = typer.main.get_command(app)
    for word in words:
        inside = getattr(command, "commands", None)
        if inside is None:
            return True
        if word not in inside:
            return False
        command = inside[word]
    return True


def credentials() -> set[str]:
    """PARCELWIRE_CARRIER_<SLUG>_<SECRET> and ..._URL of every carrier file."""
    found = set()
    for module in iter_modules(parcelwire.carriers.__path__):
        if not module.name.startswith("_"):
            carrier = import_module(f"parcelwire.carriers.{module.name}").CARRIER
            prefix = f"PARCELWIRE_CARRIER_{carrier.slug.upper()}"
            found |= {f"{prefix}_{secret.upper()}" for secret in ("url", *carrier.secrets)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_parcelwire_command_that_is_named_exists(page: Path) -> None:
    code = "\n".join(CODE.findall(page.read_text(encoding="utf-8")))
    named = re.findall(r"(?<![\w/-])(?:\.venv/bin/)?parcelwire((?: [a-z][a-z-]*)+)", code)
    assert [words for words in named if not command_exists(words.split())] == []


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert command_exists(["serve"])
    assert not command_exists(["no-such-command"])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    """A secret may also come from the same name with _FILE."""
    known = {setting.name for setting in (*SETTINGS, CONFIG_FILE, *TEST_ONLY)} | credentials()
    known |= {pattern for pattern, _ in CARRIER_PATTERNS}
    named = set(VARIABLE.findall(page.read_text(encoding="utf-8")))
    assert {word for word in named if word not in known and word.removesuffix("_FILE") not in known} == set()


def test_every_setting_is_documented() -> None:
    """An operator finds each of them without reading code."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {setting.name for setting in SETTINGS} - set(VARIABLE.findall(text)) == set()
