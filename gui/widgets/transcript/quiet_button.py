"""A button that is only a word (or a sign) until the pointer or the focus comes: Copy, Edit, Again, the fold.

Painted here and not styled, because dozens of them are made, moved and hidden while the transcript scrolls, and a
style sheet polishes each one. A shy button is blank until its row is pointed at; it keeps its place and its name.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QEnterEvent, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QWidget

from gui.theme import Theme
from gui.widgets.paint import draw_chevron, draw_focus_ring
from gui.widgets.transcript.styles import SMALL_SIZE


class QuietButton(QAbstractButton):
    """A small flat text button.

    Args:
        name: the accessible name, when the text alone does not say enough.
        is_fold: it has a triangle before the text, pointing down while checked.
    """

    PAD = 6

    def __init__(self, theme: Theme, text: str, parent: QWidget, name: str = "", *, is_fold: bool = False) -> None:
        super().__init__(parent)
        self._theme = theme
        self._is_fold = is_fold
        self._is_shy = False
        self.setText(text)
        self.setAccessibleName(name or text)
        self.setCheckable(is_fold)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def set_shy(self, shy: bool) -> None:
        """Paint nothing until it has the focus, or the pointer."""
        if shy != self._is_shy:
            self._is_shy = shy
            self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self._theme.ui_font(SMALL_SIZE))
        wide = metrics.horizontalAdvance(self.text()) + self._left() + self.PAD
        return QSize(round(wide), self._theme.px(22))

    def _left(self) -> int:
        """Where the text begins: behind the triangle of a fold, which stands at the edge as the text below does."""
        return self._theme.px(16) if self._is_fold else self.PAD

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        is_near = self.underMouse() or self.hasFocus() or self.isDown()
        if self._is_shy and not is_near:
            return
        painter = QPainter(self)
        painter.setFont(self._theme.ui_font(SMALL_SIZE))
        colour = self._theme.color("text1" if is_near and self.isEnabled() else "text3")
        if not self.isEnabled():
            painter.setOpacity(0.45)
        rect = QRectF(self.rect())
        if self._is_fold:
            draw_chevron(painter, QRectF(1, 0, 10, rect.height()), colour, is_open=self.isChecked())
        painter.setPen(colour)
        inner = rect.adjusted(self._left(), 0, -self.PAD, 0)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())
        if self.hasFocus():
            draw_focus_ring(painter, rect, self._theme, self._theme.RADIUS_SMALL)
        painter.end()
