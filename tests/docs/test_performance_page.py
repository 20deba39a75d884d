"""The page of the benches is made from them and from their kept figures, of all and of no others."""

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_spec = importlib.util.spec_from_file_location("generate_performance", DOCS / "generate_performance.py")
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

PAGE = (DOCS / "reference" / "performance.md").read_text(encoding="utf-8")
FILES = sorted((DOCS / "reference" / "figures").glob("*.json"))


def test_the_committed_page_is_the_generated_one() -> None:
    assert generate.page() == PAGE, "run python docs/generate_performance.py"


def test_every_bench_has_its_section_and_says_how_it_is_repeated() -> None:
    benches = generate.benches()
    headings = [line[3:] for line in PAGE.splitlines() if line.startswith("## ")]
    assert headings == list(benches)
    assert [name for name, said in benches.items() if f"python3 dev.py bench {name}" not in said] == []


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_kept_figures_belong_to_a_bench_and_tell_their_machine(file: Path) -> None:
    kept = json.loads(file.read_text(encoding="utf-8"))
    name = file.stem.partition("-")[0]
    assert name in generate.benches()
    assert kept["command"].startswith(f"python3 dev.py bench {name}")
    assert kept["machine"]
    assert kept["figures"]


def test_rows_of_different_benches_become_tables() -> None:
    """A list of rows, a group of groups and single figures: every number is shown."""
    shown = "\n".join(
        generate.tables(
            {
                "goal": 1.5,
                "operations": [{"name": "a|b", "us": [None, 1234.5]}, {"name": "c", "met": True}],
                "lanes": {"fedex": {"calls": 1_000}},
            }
        )
    )
    for text in ("| goal | 1.50 |", "| a\\|b | - / 1,234 |  |", "| c |  | yes |", "| fedex | 1,000 |"):
        assert text in shown
