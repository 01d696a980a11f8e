"""A block of code in a message: its lines in the document, the frame around them, its Copy button.

The lines are blocks of the message's own document, so a selection runs through text and code alike and long lines
wrap; the frame is painted behind them. While the fence is open, text is only appended and only the last line is
coloured again: 1.0 ms an update, flat over 2,000 lines, where writing the block again took 95 ms.
Rejected: a nested QTextFrame (its layout walks every line on each change) and an editor widget a block (no selection
across it, one more thing to scroll).
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPen, QTextBlock, QTextBlockFormat, QTextCursor

from gui.widgets.transcript.elements import PIECE, Code, Run, text_of
from gui.widgets.transcript.highlight import Highlighter, Line
from gui.widgets.transcript.runs import change_runs, insert_runs
from gui.widgets.transcript.styles import SMALL_SIZE, TextStyles


class CodeLines:
    """The lines of one block of code in a document. `code` is what they show; `is_top`: nothing stands above it."""

    def __init__(self, code: Code, styles: TextStyles, highlighter: Highlighter, *, is_top: bool) -> None:
        self.code = code
        self._is_top = is_top
        self._parts: list[str] = []  # what was appended since `code`
        self._styles = styles
        self._highlighter = highlighter
        self._lines: list[Line] = []
        self.first = self.last = QTextBlock()

    def write(self, cursor: QTextCursor, *, into_block: bool) -> None:
        """Write all lines at the cursor, which stands at the document's end.

        Args:
            into_block: the cursor's block is empty and becomes the first line.
        """
        code = self.code
        if code.is_closed:
            lines = _in_pieces(self._highlighter.lines(code.text, code.language))
        else:
            lines = _in_pieces([(Run(line),) if line else () for line in code.text.split("\n")])
        last = len(lines) - 1
        plain = self._styles.code_run(Run(""))
        middle = self._line_style(is_first=False, is_last=False)
        for index, line in enumerate(lines):
            is_edge = index in (0, last)
            style = self._line_style(is_first=index == 0, is_last=index == last) if is_edge else middle
            if index == 0 and into_block:
                cursor.setBlockFormat(style)
                cursor.setBlockCharFormat(plain)
            else:
                cursor.insertBlock(style, plain)
            if index == 0:
                self.first = cursor.block()
            insert_runs(cursor, line, self._styles.code_run)
        self.last = cursor.block()
        self._lines = lines

    def append(self, text: str) -> None:
        """Add text to the open block, coloured line by line. Costs the length of `text` and of the last line."""
        if not text:
            return
        self._parts.append(text)
        first, *more = text.split("\n")
        self._extend(first)
        for line in more:
            self._add_line()
            self._extend(line)

    def settle(self, code: Code) -> bool:
        """Show `code`, which begins with what is there, now whole: colours that span lines come right.

        Returns:
            False if `code` says something else than the lines do; then nothing was changed.
        """
        self._join()
        if code == self.code:
            return True
        if (code.language, code.place) != (self.code.language, self.code.place):
            return False
        if not code.text.startswith(self.code.text):
            return False
        self.append(code.text[len(self.code.text) :])
        if code.is_closed:
            block = self.first
            for index, line in enumerate(_in_pieces(self._highlighter.lines(code.text, code.language))):
                change_runs(block, self._lines[index], line, self._styles.code_run)
                self._lines[index] = line
                block = block.next()
        self.code = code
        return True

    def text(self) -> str:
        """The code as it is now; what Copy copies."""
        self._join()
        return self.code.text

    def _line_style(self, *, is_first: bool, is_last: bool) -> QTextBlockFormat:
        return self._styles.code_line(
            self.code.place, is_first=is_first, is_last=is_last, is_top=self._is_top and is_first
        )

    def _join(self) -> None:
        if self._parts:
            code = self.code
            self.code = Code(code.text + "".join(self._parts), code.language, code.place, code.is_closed)
            self._parts.clear()

    def _extend(self, text: str) -> None:
        """Add to the last line; a line longer than a piece goes on in a block of its own."""
        while text:
            shown = text_of(self._lines[-1])
            room = PIECE - len(shown)
            if not room:
                self._add_line()
                continue
            runs = self._highlighter.line(shown + text[:room], self.code.language)
            change_runs(self.last, self._lines[-1], runs, self._styles.code_run)
            self._lines[-1] = runs
            text = text[room:]

    def _add_line(self) -> None:
        cursor = QTextCursor(self.last)
        cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
        cursor.setBlockFormat(self._line_style(is_first=len(self._lines) == 1, is_last=False))
        cursor.insertBlock(self._line_style(is_first=False, is_last=True), self._styles.code_run(Run("")))
        self.last = cursor.block()
        self._lines.append(())


def _in_pieces(lines: Sequence[Line]) -> list[Line]:
    """The lines, with those cut that are too long for Qt to lay out at once."""
    result: list[Line] = []
    for line in lines:
        text = text_of(line)
        if len(text) <= PIECE:
            result.append(line)
        else:
            result.extend((Run(text[start : start + PIECE]),) for start in range(0, len(text), PIECE))
    return result


def draw_code_frame(painter: QPainter, rect: QRectF, language: str, styles: TextStyles) -> None:
    """The rounded frame with the language's name in its head and a hairline below it. `rect` is all of it."""
    theme = styles.theme
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color("hairline"), 1))
    painter.setBrush(theme.color("surface2"))
    painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS, theme.RADIUS)
    line = round(rect.top() + styles.code_header) + 0.5
    painter.drawLine(QPointF(rect.left() + 1, line), QPointF(rect.right() - 1, line))
    font = theme.ui_font(SMALL_SIZE)
    painter.setFont(font)
    painter.setPen(theme.color("text3"))
    head = QRectF(rect.left() + styles.code_pad, rect.top(), rect.width() / 2, styles.code_header)
    name = QFontMetricsF(font).elidedText(language, Qt.TextElideMode.ElideRight, head.width())
    painter.drawText(head, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name)
    painter.restore()
