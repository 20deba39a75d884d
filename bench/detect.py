"""How good detection is, and how fast, beside the library ``tracking-numbers``.

    # a few seconds
    python3 dev.py bench detect [--json] [--vectors FILE]

FILE is a CSV with the columns number, label (valid, badsum, ambiguous, garbage or nocode), truth and accept
(official carrier codes, joined by |). Without it only the speed is measured, on the rules' own samples.
"""

import argparse
import csv
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

SOURCE = Path(__file__).parents[1] / "src"
sys.path.insert(0, str(SOURCE))

from parcelwire.domain.detect import detect  # noqa: E402 - the checkout beside this file is measured
from parcelwire.domain.rules import RULES  # noqa: E402
from parcelwire.wire.directory import BOOK_OFFICIAL, code_of  # noqa: E402

PEER = "tracking-numbers"
ROUNDS = 7
FIVE = frozenset({"21051", "100003", "100002", "100001", "7041", "7044", "7047", "7048", "3011", "3013"})
# The library's couriers as official codes. It answers "s10" for every post: counted as right for any post.
PEER_CODES = {
    "amazon": "100308",
    "dhl": "100001",
    "fedex": "100003",
    "ontrac": "100049",
    "ups": "100002",
    "usps": "21051",
}


class Row(NamedTuple):
    number: str
    label: str
    truth: frozenset[str]
    accept: frozenset[str]


def codes(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split("|")))


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Row(row["number"], row["label"], codes(row["truth"]), codes(row["accept"]))
            for row in csv.DictReader(file)
        ]


Figure: TypeAlias = tuple[int, int] | float | str
"""So many of so many, or a measure, or a remark."""
Figures: TypeAlias = dict[str, Figure]


def ours(rows: Sequence[Row]) -> Figures:
    """Our figures for the rows that a label is known of."""
    answers = [(row, detect(row.number)) for row in rows]
    found = [
        (row, candidates, [str(code_of(candidate.carrier, BOOK_OFFICIAL)) for candidate in candidates])
        for row, candidates in answers
    ]

    def count(label: str, holds: Callable[[Row, Any, list[str]], object]) -> tuple[int, int]:
        chosen = [item for item in found if item[0].label == label]
        return sum(bool(holds(*item)) for item in chosen), len(chosen)

    five = [item for item in found if item[0].label == "valid" and item[0].truth & FIVE]
    sure = [item for item in found if item[1] and item[1][0].confident and item[0].label != "garbage"]
    right = sum(item[2][0] in item[0].accept | item[0].truth for item in sure)
    return {
        "recall": count("valid", lambda row, _, all_: row.truth & set(all_)),
        "first": count("valid", lambda row, _, all_: row.truth & set(all_[:1])),
        "acceptable first": count("valid", lambda row, _, all_: row.accept & set(all_[:1])),
        "mission's five first": (sum(bool(r.truth & set(a[:1])) for r, _, a in five), len(five)),
        "confident on valid": count("valid", lambda _row, all_, _: all_ and all_[0].confident),
        "confident and acceptable": (right, len(sure)),
        "confident on garbage": count("garbage", lambda _row, all_, _: all_ and all_[0].confident),
        "any candidate on garbage": count("garbage", lambda _row, all_, _: all_),
        "wrong check: carrier first": count("badsum", lambda row, _, all_: row.truth & set(all_[:1])),
        "wrong check: carrier among": count("badsum", lambda row, _, all_: row.truth & set(all_)),
        "wrong check: confident": count("badsum", lambda _row, all_, _: all_ and all_[0].confident),
        "ambiguous: acceptable first": count("ambiguous", lambda row, _, all_: row.accept & set(all_[:1])),
        "no code: confident": count("nocode", lambda _row, all_, _: all_ and all_[0].confident),
    }


def peers(rows: Sequence[Row], find: Callable[[str], Any]) -> Figures:
    """The same for the library, which gives one answer or none."""
    posts = {str(code) for code in range(1000, 100000)}

    def right(row: Row, wanted: frozenset[str]) -> bool:
        answer = find(row.number)
        if answer is None:
            return False
        if answer.courier.code == "s10":
            return bool(wanted & posts)
        return PEER_CODES.get(answer.courier.code) in wanted

    valid = [row for row in rows if row.label == "valid"]
    five = [row for row in valid if row.truth & FIVE]
    garbage = [row for row in rows if row.label == "garbage"]
    return {
        "first": (sum(right(row, row.truth) for row in valid), len(valid)),
        "acceptable first": (sum(right(row, row.accept) for row in valid), len(valid)),
        "mission's five first": (sum(right(row, row.truth) for row in five), len(five)),
        "answered on garbage": (sum(find(row.number) is not None for row in garbage), len(garbage)),
    }


def microseconds(find: Callable[[str], object], numbers: Sequence[str]) -> float:
    """Best of some rounds, per number, in microseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = perf_counter()
        for number in numbers:
            find(number)
        best = min(best, perf_counter() - started)
    return best / len(numbers) * 1e6


def import_ms() -> float:
    """Importing the detector in a fresh process, best of some, in milliseconds."""
    program = (
        "from time import perf_counter as t; s = t(); from parcelwire import detect; print((t() - s) * 1e3)"
    )
    environment = {"PYTHONPATH": str(SOURCE)}
    runs = [
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
        for _ in range(ROUNDS)
    ]
    return min(float(run.stdout) for run in runs)


def slowest() -> Figures:
    """Texts of a megabyte, and of the longest that is looked at."""
    units = ["1", " ", "1Z", "-", "é", "１", "SANDBOX", "\x00"]
    found: Figures = {}
    for what, length in (("1 MB, us at most", 1_000_000), ("120 characters, us at most", 120)):
        texts = [(unit * length)[:length] for unit in units]
        found[what] = max(microseconds(detect, [text] * 100) for text in texts)
    return found


def measure(path: Path | None) -> dict[str, Figures]:
    rows = rows_of(path) if path else []
    numbers = [row.number for row in rows] or [rule.valid for rule in RULES]
    mine = microseconds(detect, numbers * 10)
    found = {
        "parcelwire": (ours(rows) if rows else {})
        | {"time per number, us": mine, "import, ms": import_ms()}
        | slowest()
    }
    try:
        find = importlib.import_module("tracking_numbers").get_tracking_number
    except ImportError:
        found[PEER] = {"skipped": f"not installed; to compare: pip install {PEER}"}
        return found
    theirs = microseconds(find, numbers * 10)
    found[PEER] = (peers(rows, find) if rows else {}) | {
        "time per number, us": theirs,
        "our time / theirs": microseconds(detect, numbers * 10) / theirs,
    }
    return found


def shown(figure: Figure) -> str:
    if isinstance(figure, tuple):
        part, whole = figure
        return f"{part}/{whole}" + (f" = {part / whole:.1%}" if whole else "")
    return figure if isinstance(figure, str) else f"{figure:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--vectors", type=Path, help="CSV of labelled numbers")
    given = parser.parse_args()
    found = measure(given.vectors)
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
        return
    if not given.vectors:
        print("no --vectors FILE: speed only")
    for name, figures in found.items():
        print(name)
        for what, figure in figures.items():
            print(f"  {what:32} {shown(figure)}")


if __name__ == "__main__":
    main()
