"""Writes the page of the benches from what each says of itself and from its kept figures.

    python docs/generate_performance.py

The figures are those of the last ``python3 dev.py bench NAME --keep``, in docs/reference/figures.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BENCHES = ROOT / "bench"
FIGURES = ROOT / "docs" / "reference" / "figures"
PAGE = ROOT / "docs" / "reference" / "performance.md"

INTRODUCTION = """\
<!-- Written by docs/generate_performance.py from bench/ and figures/: change those, not this page. -->

# Performance

What things cost, each beside the least that they could cost, measured in the same run. CPU time and ratios
repeat within about 15 %; anything a second of the clock depends on what else the machine does.

`python3 dev.py bench` lists the benches, `python3 dev.py bench NAME` runs one, `--help` after it tells its
options, and `--keep` keeps its figures for this page:

```sh
python3 dev.py bench store --keep
python docs/generate_performance.py
```

Processes are given all CPUs of the machine; databases are durable (`synchronous=FULL`, `fsync=on`) unless a
bench says otherwise. us are microseconds.
"""
MISSING = "No figures are kept: `python3 dev.py bench {name} --keep`.\n"


def benches() -> dict[str, str]:
    """What each bench says of itself."""
    return {
        file.stem: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        for file in sorted(BENCHES.glob("[!_]*.py"))
    }


def kept(name: str) -> list[Mapping[str, Any]]:
    """The figures of a bench, of each store in a file of its own where it is told which."""
    files = sorted(file for file in FIGURES.glob("*.json") if file.stem.partition("-")[0] == name)
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def page() -> str:
    """All benches."""
    sections = []
    for name, said in benches().items():
        title, _, text = said.replace("``", "`").partition("\n\n")
        parts = [f"## {name}\n\n{title}\n", described(text)]
        parts += [measured(run) for run in kept(name)] or [MISSING.format(name=name)]
        sections.append("\n".join(parts))
    return "\n".join([INTRODUCTION, *sections])


def described(text: str) -> str:
    """The docstring of a bench; its indented commands as code."""
    lines = []
    for block in text.split("\n\n"):
        code = block.startswith("    ")
        inner = "\n".join(line[4:] for line in block.splitlines()) if code else block
        lines.append(f"```\n{inner}\n```\n" if code else f"{inner}\n")
    return "\n".join(lines)


def measured(run: Mapping[str, Any]) -> str:
    """One run: where, by which command, and its tables."""
    head = f"`{run['command']}` on {run['machine']}:\n"
    return "\n".join([head, *tables(run["figures"])])


def tables(figures: Mapping[str, Any]) -> list[str]:
    """Single figures in one table, groups of them in one, each list or group of rows in one of its own."""
    single, groups, found = [], [], []
    for name, value in figures.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found.append(f"{spaced(name).capitalize()}:\n\n{rows_of(value)}")
        elif isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            rows = [{"": key, **row} for key, row in value.items()]
            found.append(f"{spaced(name).capitalize()}:\n\n{rows_of(rows)}")
        elif isinstance(value, dict):
            groups.append({"": spaced(name), **value})
        else:
            single.append([spaced(name), cell(value)])
    if groups:
        found.insert(0, rows_of(groups))
    if single:
        found.insert(0, table(["", "figure"], single))
    return found


def rows_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows that need not have the same columns."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return table(
        [spaced(column) for column in columns], [[cell(row.get(c)) for c in columns] for row in rows]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(value: object) -> str:
    """A figure as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        digits = 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
        return f"{value:,.{digits}f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {cell(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " / ".join(cell(one) or "-" for one in value)
    return str(value).replace("|", "\\|")


def spaced(name: str) -> str:
    """A key as a heading."""
    return name.replace("_", " ")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
