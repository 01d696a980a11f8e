"""Elements written into a text document with explicit formats, and changed later only where they differ.

The document is a row of elements; each knows its first block. To follow a stream, the elements of the open end are
given again and compared: text that grew is inserted, a paragraph that became a list is replaced, everything before
it is not touched. Rejected: insertMarkdown and insertHtml (the first block of a fragment loses its format), setting
the text again (134 ms an update at 20,000 tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtGui import QTextBlock, QTextCharFormat, QTextCursor, QTextDocument, QTextTable

from gui.widgets.transcript.code_block import CodeLines
from gui.widgets.transcript.elements import Code, Element, Paragraph, Run, Table
from gui.widgets.transcript.highlight import Highlighter
from gui.widgets.transcript.runs import FormatOf, change_runs, insert_runs
from gui.widgets.transcript.styles import TextStyles


@dataclass(slots=True)
class Placed:
    """An element and where it is: its first block, and the table or the lines of code if it is one."""

    element: Element
    block: QTextBlock
    table: QTextTable | None = None
    code: CodeLines | None = None


class DocumentWriter:
    """Keeps a document equal to a list of elements. The document must not be edited by anything else."""

    def __init__(self, document: QTextDocument, styles: TextStyles, highlighter: Highlighter) -> None:
        self.document = document
        self.placed: list[Placed] = []
        self._styles = styles
        self._highlighter = highlighter
        self._has_empty_end = True  # the last block is empty and takes the next element
        document.setUndoRedoEnabled(False)
        document.setDocumentMargin(0)

    def clear(self) -> None:
        """Empty the document, and take over the fonts of the theme as it is now."""
        self.placed.clear()
        self.document.clear()
        self.document.setDefaultFont(self._styles.body_font)
        self._has_empty_end = True
        cursor = QTextCursor(self.document)
        cursor.setBlockFormat(self._styles.paragraph(Paragraph(()), is_top=True))

    def show(self, elements: Sequence[Element], start: int = 0) -> None:
        """Make the document's elements from number `start` on equal to these."""
        cursor = QTextCursor(self.document)
        cursor.beginEditBlock()
        n_kept = 0
        for index, element in enumerate(elements):
            at = start + index
            if at >= len(self.placed) or not self._change(self.placed[at], element):
                break
            n_kept += 1
        self._cut(start + n_kept)
        for element in elements[n_kept:]:
            self._append(element)
        self._drop_empty_end()
        cursor.endEditBlock()

    def append_code(self, text: str) -> None:
        """Add text to the last element, which is open code."""
        lines = self.placed[-1].code
        assert lines is not None
        cursor = QTextCursor(self.document)
        cursor.beginEditBlock()
        lines.append(text)
        cursor.endEditBlock()

    # ---- change in place

    def _change(self, placed: Placed, new: Element) -> bool:
        """Make a placed element show `new` by changing its text; False if it has to be written again."""
        old = placed.element
        if isinstance(new, Code) and placed.code is not None:
            done = placed.code.settle(new)
        elif isinstance(old, Paragraph) and isinstance(new, Paragraph):
            done = self._change_paragraph(placed, old, new)
        elif isinstance(old, Table) and isinstance(new, Table) and placed.table is not None:
            done = self._change_table(placed.table, old, new)
        else:
            done = False
        if done:
            placed.element = new
        return done

    def _change_paragraph(self, placed: Placed, old: Paragraph, new: Paragraph) -> bool:
        if old == new:
            return True
        if old.heading != new.heading or ("q" in old.place.path) != ("q" in new.place.path):
            return False
        if (old.place, old.is_tight, old.is_rule) != (new.place, new.is_tight, new.is_rule):
            style = self._styles.paragraph(new, is_top=placed is self.placed[0])
            QTextCursor(placed.block).setBlockFormat(style)
        change_runs(placed.block, old.runs, new.runs, self._format_of(new))
        return True

    def _change_table(self, table: QTextTable, old: Table, new: Table) -> bool:
        if (old.aligns, old.place) != (new.aligns, new.place) or len(new.rows) < len(old.rows):
            return False
        for row, (before, after) in enumerate(zip(old.rows, new.rows, strict=False)):
            if before == after:
                continue
            for column, (a, b) in enumerate(zip(before, after, strict=True)):
                change_runs(table.cellAt(row, column).firstCursorPosition().block(), a, b, self._cell_format(row))
        if len(new.rows) > len(old.rows):
            table.appendRows(len(new.rows) - len(old.rows))
            self._fill(table, new, len(old.rows))
        return True

    # ---- write and cut

    def _make_room_on_top(self, first: Element) -> None:
        """Room for the head of a block of code that begins the document: Qt ignores its first block's top margin."""
        frame = self.document.rootFrame()
        style = frame.frameFormat()
        wanted = self._styles.code_head_height if isinstance(first, Code) else 0.0
        if style.topMargin() != wanted:
            style.setTopMargin(wanted)
            frame.setFrameFormat(style)

    def _append(self, element: Element) -> None:
        cursor = QTextCursor(self.document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        is_after_table = bool(self.placed) and self.placed[-1].table is not None
        is_empty = isinstance(element, Paragraph) and not element.runs
        # Qt puts an empty block behind a table beside it, so an empty paragraph there needs a block of its own.
        into_block = self._has_empty_end and not (is_after_table and is_empty)
        self._has_empty_end = False
        if not self.placed:
            self._make_room_on_top(element)
        if isinstance(element, Code):
            lines = CodeLines(element, self._styles, self._highlighter, is_top=not self.placed)
            lines.write(cursor, into_block=into_block)
            self.placed.append(Placed(element, lines.first, code=lines))
        elif isinstance(element, Table):
            if into_block:
                cursor.setBlockFormat(self._styles.after_table())
            else:
                cursor.insertBlock(self._styles.after_table(), QTextCharFormat())
            self.placed.append(self._write_table(cursor, element))
            self._has_empty_end = True
        else:
            style = self._styles.paragraph(element, is_top=not self.placed)
            char = self._format_of(element)(Run(""))
            if into_block:
                cursor.setBlockFormat(style)
                cursor.setBlockCharFormat(char)
            else:
                cursor.insertBlock(style, char)
            self.placed.append(Placed(element, cursor.block()))
            insert_runs(cursor, element.runs, self._format_of(element))

    def _write_table(self, cursor: QTextCursor, element: Table) -> Placed:
        table = cursor.insertTable(len(element.rows), len(element.aligns), self._styles.table(element))
        self._fill(table, element, 0)
        end = QTextCursor(self.document)
        end.movePosition(QTextCursor.MoveOperation.End)
        end.setBlockFormat(self._styles.after_table())
        return Placed(element, table.firstCursorPosition().block(), table)

    def _fill(self, table: QTextTable, element: Table, first_row: int) -> None:
        for row in range(first_row, len(element.rows)):
            for column, runs in enumerate(element.rows[row]):
                cell = table.cellAt(row, column)
                cell.setFormat(self._styles.cell(row, column))
                cursor = cell.firstCursorPosition()
                cursor.setBlockFormat(self._styles.cell_block(element.aligns[column]))
                insert_runs(cursor, runs, self._cell_format(row))

    def _cut(self, start: int) -> None:
        """Remove the elements from number `start` on; an empty block stays in their place."""
        if start >= len(self.placed):
            return
        first = self.placed[start]
        position = first.block.position() if first.table is None else first.table.firstPosition() - 1
        cursor = QTextCursor(self.document)
        cursor.setPosition(position)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        del self.placed[start:]
        self._has_empty_end = True

    def _drop_empty_end(self) -> None:
        """Take away the empty block that a cut left, unless a table stands before it."""
        if self._has_empty_end and self.placed and self.placed[-1].table is None:
            cursor = QTextCursor(self.document)
            cursor.movePosition(QTextCursor.MoveOperation.End)
            before = cursor.block().previous()
            style, char = before.blockFormat(), before.charFormat()
            cursor.deletePreviousChar()
            cursor.setBlockFormat(style)  # an empty block takes over the format of what is joined to it
            cursor.setBlockCharFormat(char)
            self._has_empty_end = False

    def _format_of(self, paragraph: Paragraph) -> FormatOf:
        heading, is_quote = paragraph.heading, "q" in paragraph.place.path
        return lambda run: self._styles.run(run, heading=heading, is_quote=is_quote)

    def _cell_format(self, row: int) -> FormatOf:
        return self._styles.header_cell_run if row == 0 else self._styles.run
