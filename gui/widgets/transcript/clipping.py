"""What is put on the clipboard from a message: a selection as plain text, a table as tab-separated values.

Qt's own plain text of a selection drops the markers of lists and puts every cell on a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtGui import QTextBlock, QTextCursor

from gui.widgets.transcript.elements import BREAK, Element, Table, text_of

if TYPE_CHECKING:
    from gui.widgets.transcript.writer import Placed


def table_as_tsv(element: Element) -> str:
    """Rows as lines, cells with tabs between them; "" for anything but a table."""
    if not isinstance(element, Table):
        return ""
    rows = ("\t".join(text_of(cell).replace(BREAK, " ").replace("\t", " ") for cell in row) for row in element.rows)
    return "\n".join(rows)


def text_of_selection(cursor: QTextCursor, placed: Sequence[Placed]) -> str:
    """The selected words. A list's item that is selected from its beginning has its marker before it."""
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    if start == end:
        return ""
    markers = {each.block.position(): each.element.place.marker for each in placed if each.element.place.marker}
    parts: list[str] = []
    block = cursor.document().findBlock(start)
    row_before: tuple[int, int] | None = None
    while block.isValid() and block.position() <= end:
        begin = block.position()
        words = _part(block.text(), max(start - begin, 0), min(end - begin, block.length() - 1))
        row = _row(block)
        if parts:
            parts.append("\t" if row is not None and row == row_before else "\n")
        row_before = row
        marker = markers.get(begin, "") if start <= begin else ""
        parts.append(f"{marker} {words}" if marker else words)
        block = block.next()
    return "".join(parts).replace(BREAK, "\n").strip("\n")


def _row(block: QTextBlock) -> tuple[int, int] | None:
    """Which table and row a block stands in; None outside tables."""
    cursor = QTextCursor(block)
    table = cursor.currentTable()
    return None if table is None else (table.firstPosition(), table.cellAt(cursor).row())


def _part(text: str, start: int, end: int) -> str:
    """A part of `text` by UTF-16 units."""
    if text.isascii():
        return text[start:end]
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le", "replace")
