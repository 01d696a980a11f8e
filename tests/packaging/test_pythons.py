from __future__ import annotations

import sys
from pathlib import Path

import pytest

from setup_steps.pythons import Python, ask, choose
from setup_steps.trouble import EXIT_BLOCKED, SetupError


def stand_in(folder: Path, name: str, answer: str) -> str:
    """A program that answers as a Python of our choice would."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    return str(program)


def test_this_python_answers_with_its_version_and_its_place_outside_any_venv() -> None:
    python = ask(sys.executable)
    assert python is not None
    assert python.version == sys.version_info[:3]
    assert Path(python.path).resolve() == Path(sys.executable).resolve()
    assert python.fits


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False)]
)
def test_three_minor_versions_fit(version: tuple[int, int, int], fits: bool) -> None:
    assert Python(version, "/usr/bin/python3", True).fits is fits


def test_a_stand_in_without_a_python_behind_it_does_not_answer(tmp_path: Path) -> None:
    assert ask(stand_in(tmp_path, "python3.12", "echo 'not installed' >&2; exit 127")) is None
    assert ask(str(tmp_path / "nowhere")) is None


def test_only_debians_own_python_asks_for_debians_venv_package() -> None:
    assert Python((3, 11, 2), "/usr/bin/python3.11", False).debian_venv_package == "python3.11-venv"
    assert Python((3, 11, 2), "/usr/bin/python3.11", True).debian_venv_package is None
    assert Python((3, 11, 7), "/opt/python/bin/python3.11", False).debian_venv_package is None


def test_a_named_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = stand_in(tmp_path, "python3", """echo '[[3, 9, 2], "/usr/bin/python3.9", true]'""")
    with pytest.raises(SetupError, match=r"is 3\.9\.2") as caught:
        choose(old, tmp_path / ".venv")
    assert caught.value.exit_code == EXIT_BLOCKED


def test_the_python_of_the_venv_there_is_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    stand_in(tmp_path / ".venv" / "bin", "python", """echo '[[3, 12, 1], "/opt/bin/python3.12", true]'""")
    assert choose("", tmp_path / ".venv") == Python((3, 12, 1), "/opt/bin/python3.12", True)


def test_without_a_python_that_fits_those_there_are_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "setup_steps.pythons.NAMES",
        (stand_in(tmp_path, "python3", """echo '[[3, 9, 2], "/usr/bin/python3.9", true]'"""),),
    )
    with pytest.raises(SetupError, match=r"found only 3\.9\.2 \(/usr/bin/python3\.9\)"):
        choose("", tmp_path / ".venv")
