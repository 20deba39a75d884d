"""The collection holds the calls of the document, and nothing else."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_collection_is_the_generated_one() -> None:
    """If this fails: python docs/generate_collection.py"""
    made = dict(runpy.run_path(str(DOCS / "generate_collection.py"))["files"]())
    folder = DOCS / "collection"
    there = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in folder.rglob("*")
        if file.is_file()
    }
    assert there == made


def test_no_collection_file_holds_a_key() -> None:
    """The key is a secret variable that its user fills in."""
    for file in (DOCS / "collection").glob("*.bru"):
        text = file.read_text(encoding="utf-8")
        assert ("17token: {{key}}" in text) == ("post {" in text)
