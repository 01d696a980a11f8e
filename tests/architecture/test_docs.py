"""The pages under docs/ say what the program says: the made ones are current, the written ones name everything."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from PySide6.QtWidgets import QApplication

from engine.base.fields import FieldSet
from engine.base.paths import Paths
from engine.cli import COMMANDS
from engine.cli.commands import _COMMANDS
from engine.memory.ledger import Part
from engine.workbench import Workbench
from gui.theme import Mode, Theme
from gui.wiring import build_window
from tests.support.source_tree import ROOT, modules

DOCS = ROOT / "docs"
AGAIN = "run: .venv/bin/python docs/generate.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """docs/generate.py, which is a program and no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_parameters_is_current(generator: ModuleType) -> None:
    assert (DOCS / "parameters.md").read_text("utf-8") == generator.parameters_page(), AGAIN


def test_every_field_that_the_program_declares_is_on_the_page() -> None:
    page = (DOCS / "parameters.md").read_text("utf-8")
    declaring = [
        each for each in modules("engine", "gui") if re.search(r"^[A-Z_]+ = FieldSet\($", each.text, re.MULTILINE)
    ]
    assert len(declaring) > 15
    for module in declaring:
        found = vars(importlib.import_module(module.path.removesuffix(".py").replace("/", ".")))
        for fields in (each for each in found.values() if isinstance(each, FieldSet)):
            missing = [each.key for each in fields if f"| `{each.key}` |" not in page or each.help not in page]
            assert missing == [], f"{module.path}: {AGAIN}"


def test_the_page_of_keys_is_current(generator: ModuleType, qapp: QApplication, tmp_path: Path) -> None:
    theme = Theme(Mode.LIGHT)
    window = build_window(Workbench(Paths.under(tmp_path)), theme)
    try:
        page = generator.keyboard_page(window.registry.all())
    finally:
        window.close()
        window.deleteLater()
        theme.deleteLater()
    assert (DOCS / "keyboard.md").read_text("utf-8") == page, AGAIN


def test_every_command_is_described_and_no_other() -> None:
    page = (DOCS / "commands.md").read_text("utf-8")
    described = re.findall(r"^## `([\w-]+)", page, re.MULTILINE)
    assert tuple(described) == COMMANDS
    assert set(_COMMANDS) == set(COMMANDS)


def test_every_json_example_of_the_commands_is_json() -> None:
    page = (DOCS / "commands.md").read_text("utf-8")
    examples = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= len(COMMANDS)
    for each in examples:
        for document in each.strip().split("\n\n"):
            json.loads(document)


def test_every_part_of_the_ledger_is_explained() -> None:
    page = (DOCS / "memory.md").read_text("utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert explained == {each.value for each in Part}


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_page_links_to_is_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [each for each in links if not each.endswith(".png") and not (ROOT / each).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_names_are_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    named = set(re.findall(r"`((?:engine|gui|tests|packaging|docs|resources)/[\w./-]+)`", text))
    missing = [each for each in sorted(named) if not each.endswith(".png") and not (ROOT / each).exists()]
    assert missing == []


def test_the_architecture_can_be_read_in_one_sitting() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines()) < 300
