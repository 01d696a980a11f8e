"""Read-only text that is as high as its lines, up to a limit; then it scrolls, and follows while it is at the end.

Text is inserted at the end and never set again while it grows, so a token costs the same at the end of a long text.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent, QTextCursor, QWheelEvent
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
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        # A height that is set while a layout hands out sizes, or while fonts change, is lost or wrong: a moment later.
        self._soon = QTimer(self, interval=0, singleShot=True)
        self._soon.timeout.connect(self._fit)
        theme.changed.connect(self._soon.start)
        self._fit()

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
        self._fit()

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
        self._fit()
        if follows:
            bar.setValue(bar.maximum())

    def sizeHint(self) -> QSize:
        return QSize(160, self._height())

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self._height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.verticalScrollBar().maximum() == 0:
            event.ignore()  # the page scrolls
        else:
            super().wheelEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._soon.start()

    def _text_height(self) -> int:
        """Of all lines as they are wrapped now, in pixels. Blocks are laid out when asked for, and kept as they are."""
        layout, block, height = self.document().documentLayout(), self.document().firstBlock(), 0.0
        while block.isValid():
            height += layout.blockBoundingRect(block).height()
            block = block.next()
        return math.ceil(height) + 2

    def _height(self) -> int:
        line = self.fontMetrics().lineSpacing()
        return min(self._most * line, max(self._least * line, self._text_height()))

    def _fit(self) -> None:
        is_long = self._text_height() > self._most * self.fontMetrics().lineSpacing()
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if is_long else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        if policy != self.verticalScrollBarPolicy():
            self.setVerticalScrollBarPolicy(policy)
        if self.height() != self._height():
            self.setFixedHeight(self._height())
