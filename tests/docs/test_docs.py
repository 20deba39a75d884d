"""The documentation says nothing that is not so, and no public file says what it must not."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dev
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# In parts, so that this file does not hold what it looks for.
INDEX_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|root|tmp)/[\w.-]+")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown page gets from its headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def tracked() -> Iterator[tuple[str, str]]:
    """Path and text of every file that is or would be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout: which files are published is unknown")
    for path in filter(None, listing.stdout.decode().split("\0")):
        if (ROOT / path).is_file():
            yield path, (ROOT / path).read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_inside_the_repository_resolves(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside the repository"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_page_can_be_reached_from_the_readme(page: Path) -> None:
    """A page that nothing links to is not read."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        current = waiting.pop()
        if current in seen or current.suffix != ".md":
            continue
        seen.add(current)
        links = LINK.findall(current.read_text(encoding="utf-8"))
        waiting += [(current.parent / link).resolve() for link in links if not re.match(r"[a-z]+:|#", link)]
    assert page in seen


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_dev_verb_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"dev\.py ([a-z][\w-]*)", page.read_text(encoding="utf-8"))
    assert set(named) <= dev.VERBS.keys()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_source_path_that_is_named_exists(page: Path) -> None:
    """Paths with a placeholder (<slug>, *) are patterns."""
    named = re.findall(r"`((?:src|tests|docs|lock)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_readme_starts_a_newcomer_within_40_lines() -> None:
    """One sentence, the two commands and a curl line come before anything else."""
    top = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    for needed in ("python3 dev.py demo", "python3 dev.py test", "curl", "/track/v2.2/register", "17token"):
        assert needed in top


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """What a newcomer is told to type is what is proven on every change."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "python3 dev.py test" in script
    assert "python3 dev.py check" in script


def test_no_file_names_a_package_index() -> None:
    """The project installs from whatever index its user has set up."""
    found = [(path, host) for path, text in tracked() for host in INDEX_HOSTS if host in text]
    assert found == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [(path, hit) for path, text in tracked() for hit in MACHINE_PATH.findall(text)]
    assert found == []


@pytest.mark.parametrize("folder", ["work", "root", "tmp"])
def test_a_machine_path_would_be_found(folder: str) -> None:
    """And a path inside a URL would not."""
    path = "/" + folder + "/x"
    assert MACHINE_PATH.search(f"see {path}")
    assert not MACHINE_PATH.search(f"https://shop.example{path}")


def test_ci_plays_the_demo_to_its_end() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "python3 dev.py demo --once --json" in script
