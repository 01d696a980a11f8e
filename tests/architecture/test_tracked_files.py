"""What is in the repository: nothing of one person's computer, no package index, no references into nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.support.source_tree import ROOT

# Put together from pieces, so that this file is not found by its own patterns.
_SLASH = "/"
MACHINE = re.compile(
    "|".join(
        (
            rf"(?<![\w.]){_SLASH}(?:work|farm){_SLASH}",
            rf"(?<![\w.]){_SLASH}tmp{_SLASH}\w",
            rf"{_SLASH}home{_SLASH}[a-z]\w+{_SLASH}",
            rf"{_SLASH}Users{_SLASH}\w+{_SLASH}",
            rf"(?<![\w.]){_SLASH}root{_SLASH}",
            r"[A-Z]:\\" + r"Users\\",
        )
    )
)
_DOT = r"\."
REGISTRY = re.compile(
    "|".join(
        (
            rf"\bpypi{_DOT}(?:org|python)",
            rf"pythonhosted{_DOT}org",
            rf"proxy{_DOT}golang",
            rf"registry{_DOT}npmjs",
            rf"crates{_DOT}io\b",
            rf"\b(?:10|127|192{_DOT}168){_DOT}\d+{_DOT}\d+",
            r"--(?:extra-)?" + r"index-url",
        )
    )
)
NOTES = re.compile(r"\b(?:CHOICES|PEERS|LABS|MEMORY|UI|CLI)(?:" + rf"{_DOT}md\b| section)")
PAGE = re.compile(r"\b[A-Z][A-Z_]+" + rf"{_DOT}md\b")


def tracked() -> list[tuple[str, str]]:
    """Every text file that is or would be committed: its path and its text."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone: there is no list of files")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        try:
            found.append((name, (ROOT / name).read_text("utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a picture, or deleted and not committed yet
    assert found
    return found


def places(pattern: re.Pattern[str], *, without: tuple[str, ...] = ()) -> list[str]:
    """Where a pattern stands: file, line, what was found."""
    return [
        f"{name}:{number} {hit.group()}"
        for name, text in tracked()
        if not name.startswith(without)
        for number, line in enumerate(text.splitlines(), 1)
        for hit in [pattern.search(line)]
        if hit
    ]


def test_no_file_names_a_place_on_somebodys_computer() -> None:
    assert places(MACHINE) == []


def test_no_file_names_a_package_index() -> None:
    assert places(REGISTRY) == []


def test_what_the_source_refers_to_can_be_read_here() -> None:
    assert places(NOTES) == []
    pages = {each.name for each in ROOT.glob("*.md")}
    strangers = [each for each in places(PAGE) if each.rpartition(" ")[2] not in pages]
    assert strangers == []


def test_no_file_is_larger_than_a_picture_of_the_window() -> None:
    large = [name for name, text in tracked() if len(text) > 1_000_000]
    assert large == []
