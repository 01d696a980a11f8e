"""What is loaded when: nothing heavy before it is wanted, no Qt in the engine, and nobody loads the worker.

import-linter reads the imports that are written; here a fresh interpreter says which modules really came.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.source_tree import ROOT, imports, modules

HEAVY = (
    *("numpy", "llama_cpp", "jinja2", "pygments", "markdown_it", "pyqtgraph"),
    *("huggingface_hub", "tomlkit", "pynvml", "gguf"),
)
QT = ("PySide6", "shiboken6")


def loaded(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of these packages a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*(name for name in sys.argv[1:] if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", ["engine.workbench", "engine.cli.commands"])
def test_the_engine_loads_no_qt_no_worker_and_nothing_heavy(name: str) -> None:
    assert loaded(f"import {name}", (*HEAVY, *QT, "engine.worker", "engine.worker.loop")) == []


def test_the_window_loads_no_worker_and_nothing_heavy() -> None:
    assert loaded("import gui.app", (*HEAVY, "engine.worker", "engine.worker.loop")) == []


def test_the_entry_loads_neither_side_before_it_knows_which_is_wanted() -> None:
    assert loaded("import main", (*HEAVY, *QT, "engine", "gui")) == []


def test_the_worker_loads_no_qt_and_no_window() -> None:
    assert loaded("import engine.worker.loop", (*QT, "gui", "engine.workbench", "engine.store")) == []


def test_only_the_entry_starts_the_worker() -> None:
    found = [
        module.path
        for module in modules("engine", "gui")
        for _node, name in imports(module.tree)
        if name.startswith("engine.worker") and not module.path.startswith("engine/worker/")
    ]
    entry = (ROOT / "main.py").read_text("utf-8")
    assert found == []
    assert "engine.worker.loop" in entry
