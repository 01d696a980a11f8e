"""Runs in a text document: written once, then changed only where they differ.

A token mostly adds to the last run of the last block, so the difference is an insertion; the reader's selection and
the layout of everything before it stay. Positions in a document count UTF-16 units, Python counts characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtGui import QTextBlock, QTextCharFormat, QTextCursor

from gui.widgets.transcript.elements import Run

FormatOf = Callable[[Run], QTextCharFormat]


def units(text: str) -> int:
    """The length of `text` as Qt counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "replace")) // 2


def insert_runs(cursor: QTextCursor, runs: Sequence[Run], format_of: FormatOf) -> None:
    """Write the runs at the cursor."""
    for run in runs:
        cursor.insertText(run.text, format_of(run))


def change_runs(block: QTextBlock, old: Sequence[Run], new: Sequence[Run], format_of: FormatOf) -> None:
    """Make the block, which shows `old`, show `new`; text that both begin with is not touched."""
    if old == new:
        return
    n_same, n_units = 0, 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        n_same += 1
        n_units += units(a.text)
    rest = list(new[n_same:])
    if rest and n_same < len(old) and _same_look(old[n_same], rest[0]):
        common = _common(old[n_same].text, rest[0].text)
        n_units += units(rest[0].text[:common])
        first = rest[0]
        rest[0] = Run(first.text[common:], first.style, first.tint, first.href)
    cursor = QTextCursor(block)
    cursor.setPosition(block.position() + n_units)
    if not cursor.atBlockEnd():
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
    insert_runs(cursor, [run for run in rest if run.text], format_of)


def _same_look(a: Run, b: Run) -> bool:
    return a.style == b.style and a.tint is b.tint and a.href == b.href


def _common(a: str, b: str) -> int:
    """How many characters both begin with."""
    if b.startswith(a):
        return len(a)
    return next((index for index, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
