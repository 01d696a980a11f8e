"""A button whose text is shortened with “…” where there is no room for it; the whole text stands in its tooltip.

QPushButton cuts its text in the middle of a letter. `set_text` keeps the whole text; `text()` is what is shown.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from gui.theme import Theme


class ElidedButton(QPushButton):
    """An outlined button as wide as its text, down to a few letters.

    Args:
        theme: the look.
        room: logical pixels beside the text: padding, and an arrow where the button has a menu.
    """

    def __init__(self, theme: Theme, *, room: int = 28, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._room, self._whole, self._tip = theme, room, "", ""
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._fit)

    @property
    def whole_text(self) -> str:
        return self._whole

    def set_text(self, text: str, tip: str = "") -> None:
        """Show this text; `tip` is more to say on hover."""
        if (text, tip) != (self._whole, self._tip):
            self._whole, self._tip = text, tip
            self.updateGeometry()
            self._fit()

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self._whole) + 2
        return QSize(width + self._theme.px(self._room), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(self._room) + self.fontMetrics().averageCharWidth() * 6, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        room = self.width() - self._theme.px(self._room)
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, max(0, room))
        if self.fontMetrics().horizontalAdvance(self._whole) <= room:
            shown = self._whole  # elidedText rounds the other way
        shown = shown.replace("&", "&&")  # not a mnemonic
        if shown != self.text():
            self.setText(shown)
        lines = [self._whole] if shown != self._whole.replace("&", "&&") else []
        self.setToolTip("\n".join([*lines, self._tip] if self._tip else lines))
