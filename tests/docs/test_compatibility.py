"""The table of compatibility names every feature once, and only tests that there are."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest
from tests.api.test_codes import OFFICIAL

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)
FEATURES = generate.features()


@cache
def functions_of(path: str) -> frozenset[str]:
    """The test functions of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row.id)
def test_a_row_is_whole_and_names_a_test_that_exists(row: generate.Feature) -> None:  # type: ignore[name-defined]
    """What is served the same has a test; what is not has a reason."""
    assert row.feature
    assert row.served in ("yes", "differs", "no")
    assert row.section in generate.SECTIONS
    assert row.why or row.served == "yes"
    assert row.test or row.served != "yes"
    if row.test:
        path, _, name = row.test.partition("::")
        assert name.startswith("test_")
        assert name in functions_of(path)


def test_nothing_is_named_twice_and_no_section_is_empty() -> None:
    assert len({row.id for row in FEATURES}) == len(FEATURES)
    assert len({(row.section, row.feature) for row in FEATURES}) == len(FEATURES)
    assert {row.section for row in FEATURES} == set(generate.SECTIONS)


def test_every_official_error_code_has_its_row() -> None:
    named = {
        int(found[1])
        for row in FEATURES
        if row.section == "9" and (found := re.match(r"code (-\d+)", row.feature))
    }
    assert named == OFFICIAL


def test_the_count_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, served, tested; most of the contract is served the same."""
    count = {served: sum(row.served == served for row in FEATURES) for served in ("yes", "differs", "no")}
    tested = sum(bool(row.test) for row in FEATURES)
    with capsys.disabled():
        print(f"\n  compatibility: {len(FEATURES)} rows, {count}, {tested} tested")
    assert count["yes"] > 2 * (count["differs"] + count["no"])
