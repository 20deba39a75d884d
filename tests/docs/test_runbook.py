"""The runbook knows every log event and every error class; and nothing that is not there."""

import inspect
import re
from pathlib import Path

from parcelwire.domain import errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
EVENT = re.compile(
    r"(?:_log|get_logger\(\"parcelwire\"\))\.(?:info|warning|error|exception)\(\s*\"([a-z_]+)\""
)


def logged() -> set[str]:
    """Event names in the code."""
    sources = (ROOT / "src").rglob("*.py")
    return {name for source in sources for name in EVENT.findall(source.read_text(encoding="utf-8"))}


def test_every_log_event_is_in_the_runbook() -> None:
    assert logged()
    assert {name for name in logged() if f"`{name}`" not in PAGE} == set()


def test_the_runbook_names_no_event_that_is_never_logged() -> None:
    table = PAGE.split("## Log lines")[1].split("## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named - logged() == set()


def test_every_error_class_is_in_the_runbook() -> None:
    bases = {"ParcelwireError", "CarrierError"}
    classes = {
        name for name, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, Exception)
    }
    assert {name for name in classes - bases if f"`{name}`" not in PAGE} == set()
