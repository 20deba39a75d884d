#!/usr/bin/env python3
"""The one entry point of a checkout: python3 dev.py VERB [arguments].

Standard library only, in syntax that Python 3.6 can read, so that an old interpreter gets one readable line.
The environment is .venv beside this file; it is installed from lock/ (hashes, no registry named) once, and
again only when a lock file or pyproject.toml changes.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is the one place that an older Python reaches
    from shutil import which

    newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if which(name)]
    cure = "try: " + newer[0] + " dev.py" if newer else "install a newer one and run dev.py with it"
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    print(f"dev.py needs Python 3.11 or newer; this is {this}. {cure}", file=sys.stderr)
    sys.exit(2)

import ast
import difflib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import textwrap
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
COMMAND = BIN / ("parcelwire.exe" if os.name == "nt" else "parcelwire")
STAMP = VENV / "parcelwire-installed.json"
MEASURED = ROOT / ".coverage.json"

COVERED = ("domain", "wire")  # pure code: no excuse for a line that no test runs
FLOOR = 95.0  # percent of lines and branches of COVERED together
HELP = ("-h", "--help")
OUTPUT_TAIL = 40  # lines shown of an installer that failed

RUNTIME = ("build", "runtime", "project")
TEST = (*RUNTIME, "test")
ALL = (*TEST, "check")

NO_INSTALLER = (
    "dev.py: this Python can neither make nor fill an environment; "
    "on Debian or Ubuntu: apt-get install python3-venv python3-pip (or put uv on PATH)"
)


class Stopped(Exception):
    """Ends dev.py with one line and an exit code: 1 failed, 2 usage or environment."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def say(text: str) -> None:
    """On stderr, so that the output of the command stays clean."""
    print(text, file=sys.stderr, flush=True)


# ---- the environment ----------------------------------------------------------------------------------


def digests(names: Sequence[str], root: Path = ROOT) -> dict[str, str]:
    """What each wanted part is made from: its lock file, or pyproject.toml for the project itself."""
    files = {name: root / ("pyproject.toml" if name == "project" else f"lock/{name}.txt") for name in names}
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}


def place(root: Path = ROOT) -> str:
    """An environment belongs to one folder (its scripts name it) and one Python version."""
    return f"{platform.python_version()} in {root}"


def read_stamp(file: Path = STAMP) -> dict[str, str]:
    """What is installed; empty when nobody knows."""
    try:
        stamp = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def stale(wanted: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """The wanted parts that are not installed as the lock says, in the order of the wish."""
    return [name for name, digest in wanted.items() if installed.get(name) != digest]


def usable(installed: Mapping[str, str], here: str, folder: Path = VENV) -> bool:
    """True when an environment is there, of this place. One that somebody else made is adopted, not wiped."""
    config = folder / "pyvenv.cfg"
    if not config.is_file() or not (folder / BIN.name / PYTHON.name).exists():
        return False
    if installed:
        return installed.get("place") == here
    return f"= {platform.python_version()}" in config.read_text(encoding="utf-8")


def installer(
    which: Callable[[str], str | None] = shutil.which,
    has: Callable[[str], object] = importlib.util.find_spec,
    pip_version: Callable[[], str] = lambda: importlib.metadata.version("pip"),
) -> list[str]:
    """The start of an install command that fills .venv: uv when on PATH, else pip.

    The pip that is already there is used from outside (--python, since 22.3): making one inside .venv costs
    seconds. Fetching uv first was measured too: faster by 5 s once, slower below about 35 Mbit/s; not done.
    """
    uv = which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON)]
    quiet = ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if has("pip") and tuple(int(part) for part in pip_version().split(".")[:2]) >= (22, 3):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON), *quiet]
    if has("ensurepip"):
        return [str(PYTHON), "-m", "pip", *quiet]
    raise Stopped(NO_INSTALLER, 2)


def install_commands(start: Sequence[str], parts: Sequence[str], root: Path = ROOT) -> list[list[str]]:
    """Locked parts in one command with hashes; then the project itself, editable, with the locked backend."""
    locks = [word for name in parts if name != "project" for word in ("-r", str(root / f"lock/{name}.txt"))]
    commands = [[*start, "--no-deps", "--require-hashes", *locks]] if locks else []
    if "project" in parts:
        commands.append([*start, "--no-deps", "--no-build-isolation", "-e", str(root)])
    return commands


def run_quietly(command: Sequence[str]) -> None:
    """Runs one step of the installation; a failure shows the end of its output."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-OUTPUT_TAIL:])
        raise Stopped(f"{tail}\ndev.py: the installation failed (above); is a package index reachable?", 1)


def ensure(names: Sequence[str]) -> None:
    """Makes .venv and installs what is missing or stale. Costs milliseconds when nothing is."""
    wanted, installed, here = digests(names), read_stamp(), place()
    fresh = not usable(installed, here)
    if fresh:
        installed = {}
    if not COMMAND.exists():
        installed.pop("project", None)
    parts = stale(wanted, installed)
    if not parts:
        return
    start, begun = installer(), time.perf_counter()
    tool = "uv" if "uv" in Path(start[0]).name else "pip"
    say(f"install: {', '.join(parts)} into .venv with {tool} ...")
    if fresh:
        venv.create(VENV, clear=True, symlinks=os.name != "nt")
    if start[0] == str(PYTHON):
        run_quietly([str(PYTHON), "-m", "ensurepip", "--default-pip"])
    for command in install_commands(start, parts):
        run_quietly(command)
    STAMP.write_text(json.dumps({**installed, **wanted, "place": here}, indent=1), encoding="utf-8")
    say(f"install: done in {time.perf_counter() - begun:.1f} s")


def hand_over(command: Sequence[str]) -> int:
    """Becomes the command, so that signals and the terminal reach it directly; returns only on Windows."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], list(command))  # noqa: S606 - no shell is wanted
    return subprocess.call(command)


# ---- verbs --------------------------------------------------------------------------------------------


def setup(_args: Sequence[str]) -> int:
    """Makes .venv and installs everything."""
    ensure(ALL)
    print(f"ready: {COMMAND.relative_to(ROOT)} is the command")
    return 0


def demo(args: Sequence[str]) -> int:
    """Plays sandbox shipments through the real API and webhooks: loopback only, nothing kept."""
    ensure(RUNTIME)
    return hand_over([str(COMMAND), "demo", *args])


def test(args: Sequence[str]) -> int:
    """Runs pytest; without arguments the whole suite, with the coverage of the pure code."""
    ensure(TEST)
    if args:
        return hand_over([str(PYTHON), "-m", "pytest", *args])
    source = ",".join(f"parcelwire.{name}" for name in COVERED)
    coverage = [str(PYTHON), "-m", "coverage"]
    MEASURED.unlink(missing_ok=True)
    failed = subprocess.call([*coverage, "run", f"--source={source}", "-m", "pytest"], cwd=ROOT)
    subprocess.call([*coverage, "json", "--quiet", "-o", str(MEASURED)], cwd=ROOT)
    print(coverage_line(measured_coverage()))
    return int(failed != 0)


def check(_args: Sequence[str]) -> int:
    """Format, lint, types, import contracts, docs, and the coverage floor of the last full test run."""
    ensure(ALL)
    results = [run_step(name, command) for name, command in CHECKS.items()]
    results.append(check_coverage())
    return int(not all(results))


def bench(args: Sequence[str]) -> int:
    """Runs bench/NAME.py; without a name, lists them. --keep keeps the figures for the docs."""
    files = {file.stem: file for file in sorted((ROOT / "bench").glob("[!_]*.py"))}
    if not args or args[0] in HELP:
        print("\n".join(listed(name, said(file)) for name, file in files.items()))
        return 0
    if args[0] not in files:
        raise Stopped(f"dev.py: no bench called {args[0]}; benches: {', '.join(files)}", 2)
    ensure(TEST)
    os.chdir(ROOT)  # for python -m
    if "--keep" in args:
        return hand_over([str(PYTHON), "-m", "bench._keep", *(word for word in args if word != "--keep")])
    return hand_over([str(PYTHON), "-m", f"bench.{args[0]}", *args[1:]])


def said(file: Path) -> str:
    """What a program says of itself; nothing of it is run, it may need what is not installed."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def listed(name: str, text: str) -> str:
    """A bench with its first sentence, and how long it takes: the comment above its command."""
    sentence, _, rest = text.partition("\n\n")
    takes = rest.partition("\n")[0].partition("# ")[2]
    about = f"{' '.join(sentence.split())} Takes about {takes}."
    return textwrap.fill(about, 100, initial_indent=f"{name:12}", subsequent_indent=" " * 12)


def faults(args: Sequence[str]) -> int:
    """Crashes, sick carriers, sick endpoints, full disks, jumping clocks: one figure line each."""
    if args and args[0] in HELP:
        print(said(ROOT / "faults" / "__main__.py"))
        return 0
    ensure(TEST)
    os.chdir(ROOT)  # for python -m
    return hand_over([str(PYTHON), "-m", "faults", *args])


def lock(args: Sequence[str]) -> int:
    """Resolves pyproject.toml again into lock/ (needs uv; --upgrade takes the newest of everything)."""
    uv = shutil.which("uv") or (str(BIN / "uv") if (BIN / "uv").exists() else None)
    if not uv:
        raise Stopped("dev.py: lock needs uv on PATH", 2)
    for command in lock_commands(uv, args):
        failed = subprocess.call(command, cwd=ROOT)
        if failed:
            return 1
    return 0


# ---- what the verbs are made of -----------------------------------------------------------------------

CHECKS: dict[str, list[str]] = {
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "lint": [str(BIN / "ruff"), "check", "."],
    "types": [str(PYTHON), "-m", "mypy", "src/parcelwire", "tests", "bench", "faults", "docs", "dev.py"],
    "layers": [str(BIN / "lint-imports")],
    "docs": [str(PYTHON), "-m", "pytest", "-q", "-p", "no:randomly", "tests/docs"],
}


def run_step(name: str, command: Sequence[str]) -> bool:
    """One line per check: its time and its last word; all of its output when it failed."""
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    spent, output = time.perf_counter() - begun, done.stdout.strip()
    if done.returncode:
        print(output)
    last = output.splitlines()[-1] if output else ""
    print(f"{'FAIL' if done.returncode else 'ok':4}  {name:8}  {spent:5.1f} s  {last}", flush=True)
    return done.returncode == 0


def part_of(path: str) -> str:
    """Which of COVERED a measured file belongs to: the folder below the package."""
    parts = Path(path).parts
    return parts[parts.index("parcelwire") + 1]


def measured_coverage(file: Path = MEASURED) -> dict[str, float] | None:
    """Percent of lines and branches run, for each of COVERED and for both; None when not measured."""
    try:
        report = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    run, there = dict.fromkeys(COVERED, 0), dict.fromkeys(COVERED, 0)
    for path, entry in report["files"].items():
        part, summary = part_of(path), entry["summary"]
        run[part] += summary["covered_lines"] + summary["covered_branches"]
        there[part] += summary["num_statements"] + summary["num_branches"]
    percent = {part: 100 * run[part] / there[part] if there[part] else 100.0 for part in COVERED}
    return {**percent, "together": 100 * sum(run.values()) / (sum(there.values()) or 1)}


def coverage_line(percent: Mapping[str, float] | None) -> str:
    """The figures as one line."""
    if percent is None:
        return "coverage: not measured (python3 dev.py test measures it)"
    figures = ", ".join(f"{part} {value:.1f} %" for part, value in percent.items())
    return f"coverage (lines and branches): {figures}"


def check_coverage() -> bool:
    """The floor holds for the last full test run; a run that was never made is said and not judged."""
    percent = measured_coverage()
    good = percent is None or percent["together"] >= FLOOR
    verdict = "skip" if percent is None else "ok" if good else "FAIL"
    print(f"{verdict:4}  coverage  {coverage_line(percent)}; floor {FLOOR:.0f} %")
    return good


def lock_commands(uv: str, args: Sequence[str]) -> list[list[str]]:
    """Each lock file is resolved under the ones before it, so that all of them agree."""
    resolve = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    resolve += ["--fork-strategy", "fewest", "--generate-hashes", "--no-header", "--no-emit-index-url", *args]
    commands: list[list[str]] = []
    before: list[str] = []
    for name in ("runtime", "test", "check", "build"):
        source = ["pyproject.toml", "--extra", "postgres"] if name == "runtime" else ["--group", name]
        commands.append([*resolve, *source, *before, "-o", f"lock/{name}.txt"])
        before += ["-c", f"lock/{name}.txt"]
    return commands


class Verb(NamedTuple):
    run: Callable[[Sequence[str]], int]
    arguments: str  # shown in the help; empty: takes none


VERBS: dict[str, Verb] = {
    "demo": Verb(demo, "[--once] [--json]"),
    "test": Verb(test, "[pytest arguments]"),
    "check": Verb(check, ""),
    "bench": Verb(bench, "[NAME [--keep] [...]]"),
    "faults": Verb(faults, "[--quick] [NAME ...]"),
    "setup": Verb(setup, ""),
    "lock": Verb(lock, "[--upgrade]"),
}


def usage(name: str) -> str:
    """A verb with its arguments and its sentence."""
    verb = VERBS[name]
    return f"  {f'{name} {verb.arguments}'.rstrip():26}  {verb.run.__doc__}"


def help_text() -> str:
    """All verbs, what a newcomer needs first."""
    lines = "\n".join(usage(name) for name in VERBS)
    return (
        f"usage: python3 dev.py VERB [arguments]\n\n{lines}\n\n"
        "The environment is .venv in this folder, installed from lock/ at first use.\n"
        "Exit codes: 0 fine, 1 failed, 2 usage or environment."
    )


def unknown(name: str) -> Stopped:
    """An unknown verb, with the nearest known one."""
    near = difflib.get_close_matches(name, VERBS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"verbs: {', '.join(VERBS)}"
    return Stopped(f"dev.py: no verb called {name}; {hint}", 2)


def main(argv: Sequence[str]) -> int:
    """Dispatches one verb. Arguments after it belong to what it runs."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if argv else 2
    name, args = argv[0], argv[1:]
    try:
        if name not in VERBS:
            raise unknown(name)
        if args and not VERBS[name].arguments:
            print("usage: python3 dev.py\n" + usage(name))
            return 0 if args[0] in HELP else 2
        return VERBS[name].run(args)
    except Stopped as stopped:
        say(str(stopped))
        return stopped.code
    except KeyboardInterrupt:
        return 1


def start() -> NoReturn:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    start()
