"""What is true of the tests themselves: real parts, no mocks, no naps, a tree like the program's."""

from __future__ import annotations

import ast

from tests.support.source_tree import ROOT, calls, imports, modules

TESTS = modules("tests")
# Folders with no room of that name.
BESIDE = {"architecture", "benchmarks", "e2e", "gpu", "packaging", "screenshots", "support"}


def test_no_test_uses_a_mock() -> None:
    found = [
        module.at(node)
        for module in TESTS
        for node, name in imports(module.tree)
        if name.split(".")[0] in ("unittest", "mock", "pytest_mock")
    ]
    assert found == []


def test_no_test_waits_a_fixed_time() -> None:
    """Looking again and again for something of another process is no fixed time: a nap inside a `while` may stand."""
    found = []
    for module in TESTS:
        if not module.path.rpartition("/")[2].startswith("test_"):
            continue
        looking = {call for node in ast.walk(module.tree) if isinstance(node, ast.While) for call, _name in calls(node)}
        found += [
            module.at(call)
            for call, name in calls(module.tree)
            if name in ("time.sleep", "sleep", "qtbot.wait") and call not in looking
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
    """Whether a test can fail by itself: an assert, `pytest.raises`, a wait for something, a call of what checks."""
    words = ("assert", "check", "expect", "raises", "fail", "refuse")
    waits = ("wait", "until", "wait_until", "waitUntil", "waitSignal", "load")
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            last = ast.unparse(node.func).rpartition(".")[2]
            if any(word in last.lower() for word in words) or last in waits:
                return True
            if any(each.arg == "check" for each in node.keywords):
                return True
    return False
