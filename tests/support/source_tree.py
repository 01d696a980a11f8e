"""The program's own source as text and syntax trees, for tests that hold it to its rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path from the root of the project, its text, its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        """A place that an editor can jump to: "engine/base/bus.py:12"."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file below these folders, by path."""
    return tuple(_read(each) for folder in folders for each in sorted((ROOT / folder).rglob("*.py")))


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call, and what is called as it is written: "time.sleep"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node, ast.unparse(node.func)


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import, inside functions too, with the full name of what is imported: "unittest.mock"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node, name.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield node, f"{node.module}.{name.name}"


@cache
def _read(file: Path) -> Module:
    text = file.read_text(encoding="utf-8")
    return Module(file.relative_to(ROOT).as_posix(), text, ast.parse(text))
