"""dev.py without a network: what it decides, says and would run."""

import ast
import json
import platform
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import dev
import pytest

ROOT = Path(dev.__file__).parent


def on_path(*names: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in names else None


def make_venv(folder: Path, version: str) -> Path:
    (folder / dev.BIN.name).mkdir(parents=True)
    (folder / dev.BIN.name / dev.PYTHON.name).touch()
    (folder / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n", encoding="utf-8")
    return folder


def lock_files(root: Path) -> Path:
    (root / "lock").mkdir()
    for name in ("build", "runtime", "test", "check"):
        (root / "lock" / f"{name}.txt").write_text(f"{name}==1\n", encoding="utf-8")
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    return root


def test_an_old_python_gets_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The version check comes before anything that an old interpreter could not import."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(dev.__file__)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("dev.py needs Python 3.11 or newer; this is 3.9. ")


def test_an_old_python_can_read_the_whole_file() -> None:
    """A file with newer syntax would end in a SyntaxError instead of the one line."""
    ast.parse(Path(dev.__file__).read_text(encoding="utf-8"), feature_version=(3, 7))


def test_help_names_every_verb_and_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name}" in shown for name in dev.VERBS)
    assert {"setup", "demo", "test", "check", "bench", "faults"} <= dev.VERBS.keys()


def test_no_verb_shows_the_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main([]) == 2
    assert capsys.readouterr().out.startswith("usage: python3 dev.py VERB")


def test_an_unknown_verb_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["tset"]) == 2
    assert capsys.readouterr().err == "dev.py: no verb called tset; did you mean test?\n"


def test_a_verb_without_arguments_refuses_them_and_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "ensure", lambda names: pytest.fail(f"installed {names}"))
    assert dev.main(["check", "--fast"]) == 2
    assert dev.main(["check", "--help"]) == 0
    assert "import contracts" in capsys.readouterr().out


def test_an_unknown_bench_is_refused_with_the_list_of_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dev.main(["bench", "no-such-bench"]) == 2
    assert "no bench called no-such-bench; benches: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["bench"], ["bench", "--help"], ["bench", "-h"]])
def test_benches_are_listed_with_a_whole_sentence_and_a_time_and_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(dev, "ensure", lambda names: pytest.fail(f"installed {names}"))
    assert dev.main(words) == 0
    entries = re.split(r"\n(?=\w)", capsys.readouterr().out.strip())
    assert [one.split()[0] for one in entries] == sorted(
        file.stem for file in (dev.ROOT / "bench").glob("[!_]*.py")
    )
    for one in entries:
        assert re.search(r"\. Takes [^.]*(minute|second)[^.]*\.$", " ".join(one.split())), one


def test_faults_are_listed_with_a_sentence_and_a_time_and_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from faults.__main__ import EXPERIMENTS

    monkeypatch.setattr(dev, "ensure", lambda names: pytest.fail(f"installed {names}"))
    assert dev.main(["faults", "--help"]) == 0
    shown = re.findall(r"^    (\w+) +[^ ].*\. [^.]*minutes?\.$", capsys.readouterr().out, re.MULTILINE)
    assert shown == list(EXPERIMENTS)


def test_arguments_after_the_verb_go_to_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that look like options of dev.py itself."""
    installed: list[object] = []
    started: list[list[str]] = []
    monkeypatch.setattr(dev, "ensure", installed.append)
    monkeypatch.setattr(dev, "hand_over", started.append)
    dev.main(["demo", "--once", "--json"])
    dev.main(["test", "-k", "merge", "--help"])
    monkeypatch.setattr("os.chdir", lambda _: None)
    dev.main(["faults", "--quick", "kill"])
    assert started[0][1:] == ["demo", "--once", "--json"]
    assert started[1][1:] == ["-m", "pytest", "-k", "merge", "--help"]
    assert started[2][1:] == ["-m", "faults", "--quick", "kill"]
    assert installed == [dev.RUNTIME, dev.TEST, dev.TEST]


def test_nothing_is_stale_until_a_lock_file_changes(tmp_path: Path) -> None:
    """The second run compares hashes and installs nothing; a changed lock file concerns only its own part."""
    root = lock_files(tmp_path)
    installed = dev.digests(dev.ALL, root)
    assert dev.stale(dev.digests(dev.ALL, root), installed) == []
    (root / "lock" / "test.txt").write_text("test==2\n", encoding="utf-8")
    assert dev.stale(dev.digests(dev.ALL, root), installed) == ["test"]
    assert dev.stale(dev.digests(dev.RUNTIME, root), installed) == []


def test_a_changed_pyproject_reinstalls_only_the_project(tmp_path: Path) -> None:
    root = lock_files(tmp_path)
    installed = dev.digests(dev.TEST, root)
    (root / "pyproject.toml").write_text("[project]\nname='x'\n", encoding="utf-8")
    assert dev.stale(dev.digests(dev.TEST, root), installed) == ["project"]


@pytest.mark.parametrize("content", [None, "", "{", "[1]"])
def test_an_unreadable_stamp_means_that_nothing_is_known_to_be_installed(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "stamp.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert dev.read_stamp(file) == {}


def test_an_environment_of_another_folder_or_python_is_made_anew(tmp_path: Path) -> None:
    """Scripts inside an environment name its folder: a moved checkout must not run the old one."""
    folder, here = make_venv(tmp_path / "venv", platform.python_version()), dev.place(tmp_path)
    assert dev.usable({"place": here}, here, folder)
    assert not dev.usable({"place": dev.place(tmp_path / "elsewhere")}, here, folder)


def test_an_environment_without_a_stamp_is_adopted_when_its_python_fits(tmp_path: Path) -> None:
    here = dev.place(tmp_path)
    assert dev.usable({}, here, make_venv(tmp_path / "same", platform.python_version()))
    assert not dev.usable({}, here, make_venv(tmp_path / "other", "3.9.2"))
    assert not dev.usable({}, here, tmp_path / "absent")


def test_uv_is_taken_when_it_is_on_the_path() -> None:
    command = dev.installer(on_path("uv"))
    assert command[0] == "/usr/bin/uv"
    assert str(dev.PYTHON) in command


def test_a_pip_that_can_work_from_outside_is_used_from_outside() -> None:
    command = dev.installer(on_path(), on_path("pip"), lambda: "23.2.1")
    assert command[:5] == [sys.executable, "-m", "pip", "--python", str(dev.PYTHON)]


def test_an_older_pip_or_none_is_replaced_by_one_inside_the_environment() -> None:
    assert dev.installer(on_path(), on_path("pip", "ensurepip"), lambda: "22.2")[0] == str(dev.PYTHON)
    assert dev.installer(on_path(), on_path("ensurepip"))[0] == str(dev.PYTHON)


def test_a_machine_without_any_installer_gets_one_line_that_names_the_packages() -> None:
    with pytest.raises(dev.Stopped) as stopped:
        dev.installer(on_path(), on_path())
    assert stopped.value.code == 2
    assert "apt-get install python3-venv python3-pip" in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_the_lock_is_installed_with_hashes_and_the_project_without_isolation(tmp_path: Path) -> None:
    """Hashes cannot cover an editable project, so that is a second command, with the locked build backend."""
    locked, project = dev.install_commands(["pip", "install"], ["runtime", "project", "test"], tmp_path)
    assert "--require-hashes" in locked
    assert [Path(word).name for word in locked if word.endswith(".txt")] == ["runtime.txt", "test.txt"]
    assert project[-3:] == ["--no-build-isolation", "-e", str(tmp_path)]
    assert dev.install_commands(["pip", "install"], ["project"], tmp_path) == [project]


def test_a_failed_installation_shows_its_last_lines_and_exits_1() -> None:
    with pytest.raises(dev.Stopped, match="no such package") as stopped:
        dev.run_quietly([sys.executable, "-c", "raise SystemExit('no such package')"])
    assert stopped.value.code == 1


def coverage_file(folder: Path, covered: int) -> Path:
    def entry(lines: int, branches: int) -> dict[str, dict[str, int]]:
        return {
            "summary": {
                "covered_lines": lines,
                "covered_branches": branches,
                "num_statements": 10,
                "num_branches": 10,
            }
        }

    files = {"src/parcelwire/domain/a.py": entry(10, 10), "src/parcelwire/wire/b.py": entry(10, covered)}
    file = folder / "coverage.json"
    file.write_text(json.dumps({"files": files}), encoding="utf-8")
    return file


def test_a_file_in_a_deeper_folder_belongs_to_its_part() -> None:
    assert dev.part_of("src/parcelwire/wire/texts/__init__.py") == "wire"
    assert dev.part_of("src/parcelwire/domain/a.py") == "domain"


def test_coverage_is_summed_over_lines_and_branches_of_each_part(tmp_path: Path) -> None:
    percent = dev.measured_coverage(coverage_file(tmp_path, 4))
    assert percent == {"domain": 100.0, "wire": 70.0, "together": 85.0}
    assert dev.coverage_line(percent).endswith("domain 100.0 %, wire 70.0 %, together 85.0 %")


@pytest.mark.parametrize(("covered", "good"), [(8, True), (7, False)])
def test_the_coverage_floor_is_95_percent_of_both_parts_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, covered: int, good: bool
) -> None:
    file = coverage_file(tmp_path, covered)
    measure = dev.measured_coverage
    monkeypatch.setattr(dev, "measured_coverage", lambda: measure(file))
    assert dev.check_coverage() is good


def test_coverage_that_was_never_measured_is_said_and_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = dev.measured_coverage
    monkeypatch.setattr(dev, "measured_coverage", lambda: measure(tmp_path / "absent.json"))
    assert dev.check_coverage()
    assert capsys.readouterr().out.startswith("skip  coverage  coverage: not measured")


def test_a_failed_check_shows_its_whole_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert not dev.run_step("lint", [sys.executable, "-c", "print('first'); print('last'); exit(1)"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["first", "last"]
    assert shown[2].startswith("FAIL  lint")


def test_a_passed_check_is_one_line_with_its_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.run_step("types", [sys.executable, "-c", "print('first'); print('no issues')"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("ok    types")
    assert line.endswith("no issues")


def test_each_lock_file_is_resolved_under_those_before_it() -> None:
    commands = dev.lock_commands("uv", ["--upgrade"])
    constraints = [[word for word in command if word.endswith(".txt")][:-1] for command in commands]
    assert constraints[0] == []
    assert constraints[-1] == ["lock/runtime.txt", "lock/test.txt", "lock/check.txt"]
    assert all("--generate-hashes" in command and "--upgrade" in command for command in commands)
