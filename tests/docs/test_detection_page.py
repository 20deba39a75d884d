"""The page of the detection rules is what the rules say."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_the_generated_one() -> None:
    """If this fails: python docs/generate_detection.py"""
    page = runpy.run_path(str(ROOT / "docs" / "generate_detection.py"))["page"]
    assert (ROOT / "docs" / "reference" / "detection.md").read_text(encoding="utf-8") == page()
