"""What pyproject.toml names is what is installed here, and what the set-up's locks hold."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests.support.source_tree import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NEEDED = tuple(Requirement(each) for each in _PROJECT["project"]["dependencies"])
FOR_TESTS = tuple(Requirement(each) for each in _PROJECT["dependency-groups"]["dev"])


def locked(*names: str) -> dict[str, str]:
    """Package → version of these lock files, names folded as pip folds them."""
    found = {}
    for name in names:
        text = (ROOT / "packaging" / "lock" / name).read_text("utf-8")
        for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE):
            found[folded(package)] = version
    return found


def folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("needed", [*NEEDED, *FOR_TESTS], ids=lambda each: each.name)
def test_what_is_installed_is_what_was_asked_for(needed: Requirement) -> None:
    assert metadata.version(needed.name) in needed.specifier


@pytest.mark.parametrize("needed", NEEDED, ids=lambda each: each.name)
def test_every_dependency_is_locked_to_a_version_that_was_asked_for(needed: Requirement) -> None:
    versions = locked("run.txt", "engine.txt")
    assert folded(needed.name) in versions
    assert versions[folded(needed.name)] in needed.specifier


def test_qt_stays_below_the_release_that_ends_programs_on_python_3_11() -> None:
    (qt,) = [each for each in NEEDED if each.name == "PySide6-Essentials"]
    assert "6.12.0" not in qt.specifier


def test_the_engine_is_pinned_to_one_release() -> None:
    (engine,) = [each for each in NEEDED if each.name == "llama-cpp-python"]
    assert [each.operator for each in engine.specifier] == ["=="]


def test_every_locked_package_has_a_hash() -> None:
    for file in sorted((ROOT / "packaging" / "lock").glob("*.txt")):
        text = file.read_text("utf-8")
        n_packages = len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE))
        entries = re.split(r"\n(?=[A-Za-z0-9])", text)
        n_hashed = sum("--hash=sha256:" in each for each in entries)
        assert n_packages == n_hashed, file.name
