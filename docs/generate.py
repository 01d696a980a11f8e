"""Writes docs/parameters.md and docs/keyboard.md from what the program itself declares; run it after a change of either.

    .venv/bin/python docs/generate.py

The Fields and the Actions are the one place where a parameter and a shortcut are described; the pages are made from
them, so they cannot say something else. tests/architecture/test_docs.py fails when a page is not current. Rejected:
making them in every set-up (a page that is read on the web must stand in the repository).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from engine.base.fields import Field, FieldKind, FieldSet, Value  # noqa: E402
from engine.memory.training.recipe import RECIPE  # noqa: E402
from engine.memory.training.shape import SHAPE as TRAINED_SHAPE  # noqa: E402
from engine.models.shapes import SHAPE  # noqa: E402
from engine.sampling.stages import STAGES  # noqa: E402
from engine.settings import SETTINGS  # noqa: E402
from engine.wire.load_options import LOAD_OPTIONS  # noqa: E402
from engine.wire.run_options import RUN_OPTIONS  # noqa: E402
from gui.actions import Action, ActionGroup, group_text  # noqa: E402
from gui.panels.lab.presenter.fields import DRAW_FIELDS, SAMPLE_FIELDS  # noqa: E402

MADE = "<!-- made by docs/generate.py; do not edit by hand -->"

IN_PLACE = """\
## Where the cursor is

| where | keys | what they do |
|---|---|---|
| composer | Enter · Shift+Enter | say it · begin a new line |
| composer | Esc | stop what is going on |
| thread | ↑ ↓, Page Up, Page Down, Space, Home, End | scroll |
| thread | Ctrl+C | copy what is selected; without a selection, the whole message as Markdown |
| list of chats | ↓ or Enter in the search | go to the results |
| list of chats | Enter · Delete | open the chat · delete it (Ctrl+Z brings it back) |
| list of chats | Esc in the search | empty the search |
| Lab | Ctrl+Enter · Esc | run what is asked on the left · stop what is going on |
| tokens | ← → ↑ ↓ · Enter or a click | go from one to the next · what else might have stood there |
| what else might have stood there | ↑ ↓ · Enter or a click · Esc | choose · write on from there with it · close |
| any number | ↑ ↓ · Page Up, Page Down | one step · ten steps (twice or half for contexts and batches) |
| any slider | ← → ↑ ↓ · Page Up, Page Down · Home, End | one step · a large step · to the ends |
| any number | Esc | take back what was typed |
| samplers | Alt+↑ · Alt+↓ | move the sampler that the cursor is in · the same downwards |
| samplers, dragging | Esc | leave the sampler where it was |
| name of a preset | Enter · Esc | save · leave it |
| grammar, schema, list of texts | Ctrl+Enter · Tab | use what was typed · go on |
| any plot | ← → · Esc | move the readout along the time · put it away |
| any plot | Ctrl+C | copy the numbers as CSV; the menu has the picture |
| table of memory | Ctrl+C | copy as tab-separated values |
| palette (Ctrl+K) | ↑ ↓, Page Up, Page Down · Enter · Esc | choose · do it · close |

Tab reaches every control, in reading order, with a visible ring. On a Mac, Ctrl is ⌘.
"""


def parameters_page() -> str:
    """docs/parameters.md: every Field, by where it is used."""
    parts = [
        MADE,
        "# Parameters",
        "Every number and switch of Llamarium, from the declarations that the window, the command line, the settings file "
        "and the worker share. A flag is the key with dashes: `n_ctx` is `--n-ctx`; a yes-or-no key has `--no-…` too. "
        "In settings.toml, loading options stand under `[load]`, those of an answer under `[run]`, samplers under "
        "`[[chain]]`, settings at the top; only what differs from the default is written.",
        "## Loading a model",
        "They decide memory, placement and speed, and take effect with the next load.",
        table(LOAD_OPTIONS),
        "## One answer",
        table(RUN_OPTIONS),
        "## Samplers",
        "In the order of the default chain. A stage with neutral values is left out of the chain. A change in the middle "
        "of an answer holds from the next token on.",
    ]
    for stage in STAGES:
        parts += [f"### {stage.label}", stage.help, f"Source: {stage.source}.", table(stage.fields)]
    parts += [
        "## Lab",
        "The forms of the page Lab; they are no flags. Each question there begins with these values.",
        "### Samples",
        table(SAMPLE_FIELDS),
        "### Draws",
        table(DRAW_FIELDS),
        "## A model that is only described",
        "For `size` and the Memory page; what is left at “typical” is filled in as today's models are built.",
        table(SHAPE),
        "## What training would take",
        "A recipe, for `size --train` and the Memory page; nothing is trained by them.",
        table(RECIPE),
        "### A model described by its numbers",
        "The Memory page's form; `size --train` takes the flags of a described model (above) and these last two.",
        table(TRAINED_SHAPE),
    ]
    parts += ["## Settings", table(SETTINGS, with_source=False)]
    return "\n\n".join(parts) + "\n"


def keyboard_page(actions: Iterable[Action]) -> str:
    """docs/keyboard.md: the window's actions by group, then the keys of single controls."""
    parts = [
        MADE,
        "# Keyboard",
        "Ctrl+K lists every action there is, with its shortcut; those without one can be done there.",
    ]
    groups: Mapping[ActionGroup, list[Action]] = {each: [] for each in ActionGroup}
    for action in actions:
        groups[action.group].append(action)
    for group, members in groups.items():
        if members:
            rows = [f"| {each.text} | {' · '.join(each.keys) or '–'} | {each.help or ''} |" for each in members]
            parts.append("\n".join([f"## {group_text(group)}", "", "| action | keys | |", "|---|---|---|", *rows]))
    return "\n\n".join([*parts, IN_PLACE])


def table(fields: FieldSet, *, with_source: bool = True) -> str:
    """One row a field."""
    head = ["key", "default", "takes", "what it does", *(["source"] if with_source else [])]
    rows = [head, ["---"] * len(head)]
    for each in fields:
        row = [f"`{each.key}`", shown(each, each.default), takes(each), each.help]
        rows.append([*row, each.source] if with_source else row)
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def takes(field: Field) -> str:
    """What a field accepts, in words: its range with the unit, its choices, and the meanings of special values."""
    if field.kind is FieldKind.BOOL:
        return "on, off"
    if field.kind is FieldKind.CHOICE:
        return ", ".join(field.choices)
    if field.kind is FieldKind.TEXT:
        return "text"
    if field.kind is FieldKind.FILE:
        return "the path of a file"
    if field.kind is FieldKind.TEXT_LIST:
        return "texts; the flag may be given more than once"
    low, high = (plain(field, each) for each in (field.minimum, field.maximum))
    if low and high:
        found = f"{low} to {high}"
    else:
        found = f"at least {low}" if low else f"at most {high}" if high else "any"
    if field.unit:
        found += f" {field.unit}"
    return "; ".join([found, *(f"{plain(field, value)} is “{meaning}”" for value, meaning in field.special)])


def shown(field: Field, value: Value) -> str:
    """A value with its unit, as the window shows it; nothing is a dash."""
    text = field.format(value)
    if isinstance(value, bool | str | tuple) or any(value == each for each, _meaning in field.special):
        return text or "–"
    return f"{text} {field.unit}".rstrip()


def plain(field: Field, number: Value | float | None) -> str:
    """A number in digits, even where it has a meaning in words."""
    if number is None or isinstance(number, bool | str | tuple):
        return ""
    return f"{int(number):,}" if field.kind is FieldKind.INT or number == int(number) else f"{number:g}"


def main() -> int:
    """Write both pages; says which of them changed."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    from engine.base.paths import Paths
    from engine.workbench import Workbench
    from gui.theme import Mode, Theme
    from gui.wiring import build_window

    app = QApplication(sys.argv[:1])
    theme = Theme(Mode.LIGHT)
    theme.apply(app)
    with tempfile.TemporaryDirectory() as folder:
        window = build_window(Workbench(Paths.under(Path(folder))), theme)
        pages = {"parameters.md": parameters_page(), "keyboard.md": keyboard_page(window.registry.all())}
        window.close()
    for name, text in pages.items():
        file = ROOT / "docs" / name
        is_new = not file.exists() or file.read_text("utf-8") != text
        file.write_text(text, "utf-8")
        print(f"{name}: {'written' if is_new else 'is current'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
