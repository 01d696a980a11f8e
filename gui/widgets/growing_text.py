"""Read-only text that is as high as its lines, up to a limit; then it scrolls, and follows while it is at the end.

Text is inserted at the end and never set again while it grows, so a token costs the same at the end of a long text.
It tells its layout how high it would be at any width. Rejected: a height that is set when the width has changed (the
layout around it is wrong for a moment, and on a busy computer one can see it).
"""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QFont, QResizeEvent, QTextCursor, QTextLayout, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QWidget

from gui.theme import Theme, set_kind


class GrowingText(QPlainTextEdit):
    """Plain text that can be selected by mouse and keys, and copied."""

    def __init__(self, theme: Theme, *, least: int = 3, most: int = 14, parent: QWidget | None = None) -> None:
        """`least` and `most`: its height in lines."""
        super().__init__(parent)
        self._least, self._most = least, most
        self._shown = ""
        set_kind(self, "bare")
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.document().setDocumentMargin(0)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.viewport().setAutoFillBackground(False)
        self._heights: dict[int, int] = {}  # of the whole text, by width; of this text in this font
        theme.changed.connect(lambda: self._changed())

    def text(self) -> str:
        """All of it."""
        return self._shown

    def set_text(self, text: str) -> None:
        """Show this text; what it has in common with the one that stands there stays untouched."""
        if text == self._shown:
            return
        if self._shown and text.startswith(self._shown):
            self.add(text[len(self._shown) :])
            return
        self._shown = text
        self.setPlainText(text)
        self._changed()

    def add(self, text: str) -> None:
        """Add text at the end."""
        if not text:
            return
        bar = self.verticalScrollBar()
        follows = bar.value() >= bar.maximum() - 1
        self._shown += text
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(text)
        self._changed(only_grown=True)
        if follows:
            bar.setValue(bar.maximum())

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        line = self.fontMetrics().lineSpacing()
        return min(self._most_height(), max(self._least * line, self._text_height(width)))

    def sizeHint(self) -> QSize:
        width = self.width() if self.testAttribute(Qt.WidgetAttribute.WA_Resized) else 160
        return QSize(160, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self._least * self.fontMetrics().lineSpacing())

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.verticalScrollBar().maximum() == 0:
            event.ignore()  # the page scrolls
        else:
            super().wheelEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_bar()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._changed()

    def _most_height(self) -> int:
        return self._most * self.fontMetrics().lineSpacing()

    def _text_height(self, width: int) -> int:
        """Of all lines when they are wrapped in so many pixels; counted no further than a line beyond the most."""
        if width not in self._heights:
            option, most = QTextOption(), self._most_height()
            option.setWrapMode(self.wordWrapMode())
            height, block = 0.0, self.document().firstBlock()
            while block.isValid() and height <= most:
                height += _block_height(block.text(), self.font(), option, width, most - height)
                block = block.next()
            self._heights[width] = math.ceil(height) + 2
        return self._heights[width]

    def _changed(self, *, only_grown: bool = False) -> None:
        """The text or its font is another: the layout is told if that makes another height."""
        if not hasattr(self, "_heights"):
            return  # Qt tells of the first font while this is being made
        most = self._most_height()
        # What was too high already is so with more text.
        self._heights = {at: each for at, each in self._heights.items() if only_grown and each > most + 2}
        self._show_bar()
        if self.heightForWidth(self.width()) != self.height():
            self.updateGeometry()

    def _show_bar(self) -> None:
        """A bar only where there is more than the most that is shown: a bar would narrow the lines, and need itself."""
        is_long = self._text_height(self.width()) > self._most_height()
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if is_long else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        if policy != self.verticalScrollBarPolicy():
            self.setVerticalScrollBarPolicy(policy)


def _block_height(text: str, font: QFont, option: QTextOption, width: int, most: float) -> float:
    """The height of one paragraph, as QPlainTextEdit lays it out; no further than the first line beyond `most`."""
    layout = QTextLayout(text, font)
    layout.setTextOption(option)
    layout.beginLayout()
    height = 0.0
    while height <= most and (line := layout.createLine()).isValid():
        line.setLeadingIncluded(True)
        line.setLineWidth(width)
        height += line.height()
    layout.endLayout()
    return height
