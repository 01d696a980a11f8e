"""What is true of the tests themselves: real parts, no mocks, no naps, a tree like the program's."""

from __future__ import annotations

import ast

from tests.support.source_tree import ROOT, calls, imports, modules

TESTS = modules("tests")
# Folders with no room of that name.
BESIDE = {"architecture", "benchmarks", "e2e", "packaging", "screenshots", "support"}


def test_no_test_uses_a_mock() -> None:
    found = [
        module.at(node)
        for module in TESTS
        for node, name in imports(module.tree)
        if name.split(".")[0] in ("unittest", "mock", "pytest_mock")
    ]
    assert found == []


def test_no_test_waits_a_fixed_time() -> None:
    found = [
        module.at(call)
        for module in TESTS
        if module.path.rpartition("/")[2].startswith("test_")
        for call, name in calls(module.tree)
        if name in ("time.sleep", "sleep", "qtbot.wait")
    ]
    assert found == []


def test_every_test_checks_something() -> None:
    found = []
    for module in TESTS:
        if not module.path.rpartition("/")[2].startswith("test_"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not _checks(node):
                found.append(f"{module.at(node)} {node.name}")
    assert found == []


def test_the_tests_mirror_the_program() -> None:
    folders = {each.parent.relative_to(ROOT / "tests") for each in (ROOT / "tests").rglob("test_*.py")}
    strangers = [
        str(folder)
        for folder in sorted(folders)
        if folder.parts and folder.parts[0] not in BESIDE and not (ROOT / folder).is_dir()
    ]
    assert strangers == []


def _checks(test: ast.FunctionDef) -> bool:
    """Whether a test can fail by itself: an assert, `pytest.raises`, or a call of something that checks."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2].lstrip("_")
            words = ("assert", "check", "expect", "raises", "fail", "wait_until", "waituntil", "waitsignal", "run")
            if any(word in last.lower() for word in words) or name == "pytest.raises":
                return True
    return False
