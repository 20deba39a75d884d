"""The page of promises and figures names every experiment and every failpoint, and its commands."""

from pathlib import Path

from faults.__main__ import EXPERIMENTS

from parcelwire.ports import FAILPOINTS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "reliability.md").read_text(encoding="utf-8")


def test_every_experiment_has_its_line() -> None:
    assert [name for name in EXPERIMENTS if f"| `{name}` |" not in PAGE] == []


def test_every_failpoint_is_named() -> None:
    assert [name for name in FAILPOINTS if f"`{name}`" not in PAGE] == []
