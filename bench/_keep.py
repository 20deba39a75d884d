"""Runs a bench and keeps its figures for docs/reference/performance.md: python3 dev.py bench NAME --keep."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench._machine import machine

FIGURES = Path(__file__).parents[1] / "docs" / "reference" / "figures"


def keep(name: str, arguments: Sequence[str]) -> Path:
    """The file of the figures: one for each bench, and for each store of a bench that is told which."""
    before = machine()
    command = [sys.executable, "-m", f"bench.{name}", *arguments, "--json"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # 1 when a goal was missed
    said = json.loads(ran.stdout)
    figures = said if isinstance(said, dict) else {"figures": said}
    words = [name, *(word for word in arguments[:1] if word.isalpha())]
    kept = {
        "command": " ".join(["python3 dev.py bench", name, *arguments]),
        "machine": figures.pop("machine", before),
        "figures": figures,
    }
    FIGURES.mkdir(exist_ok=True)
    file = FIGURES / f"{'-'.join(words)}.json"
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    print(
        f"kept in {keep(sys.argv[1], sys.argv[2:])}; write the page with: python docs/generate_performance.py"
    )
