"""A section that folds: a chevron, a title, a summary at the right end, and a body that comes and goes at once.

Unlike QGroupBox it has no frame (hairlines separate sections), and its header is one button for mouse, keyboard and
screen reader. Whether it is folded is told to a callback, so that the window can remember it.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui.theme import Theme
from gui.widgets.paint import draw_chevron, draw_focus_ring

_CHEVRON = 14


class FoldHeader(QPushButton):
    """The line that folds and unfolds; checked means open."""

    def __init__(self, theme: Theme, title: str, *, bold: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self._theme = theme
        self._bold = bold
        self._summary = ""
        self._dotted = False
        self.setCheckable(True)
        self.setChecked(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setStyleSheet("QPushButton { min-height: 20px; padding: 0; }")  # lengths only; it paints itself
        self.toggled.connect(self._describe)
        theme.changed.connect(self.updateGeometry)
        self._describe()

    def set_summary(self, text: str) -> None:
        """What the folded body would say, at the right end."""
        if text != self._summary:
            self._summary = text
            self._describe()
            self.update()

    def set_title(self, text: str) -> None:
        if text != self.text():
            self.setText(text)
            self._describe()

    def set_dotted(self, dotted: bool) -> None:
        """A “changed” dot behind the title."""
        if dotted != self._dotted:
            self._dotted = dotted
            self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._font())
        wide = _CHEVRON + metrics.horizontalAdvance(self.text()) + Theme.SPACE[3]
        return QSize(wide + metrics.horizontalAdvance(self._summary), max(22, metrics.height() + 6))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        ink = "text1" if self._bold or self.underMouse() else "text2"
        if not self.isEnabled():
            ink = "text3"
        draw_chevron(painter, QRectF(0, 0, 10, self.height()), theme.color(ink), is_open=self.isChecked())
        font = self._font()
        metrics = QFontMetrics(font)
        room = self.width() - _CHEVRON
        title = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, room - (14 if self._dotted else 0))
        painter.setFont(font)
        painter.setPen(theme.color(ink))
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRect(_CHEVRON, 0, room, self.height()), middle | int(Qt.AlignmentFlag.AlignLeft), title)
        used = _CHEVRON + metrics.horizontalAdvance(title)
        if self._dotted:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent"))
            painter.drawEllipse(QRectF(used + 6, self.height() / 2 - 4, 8, 8))
            used += 14
        free = self.width() - used - Theme.SPACE[2]
        if self._summary and free > 24:
            small = theme.ui_font(12)
            painter.setFont(small)
            painter.setPen(theme.color("text3"))
            shown = QFontMetrics(small).elidedText(self._summary, Qt.TextElideMode.ElideRight, free)
            area = QRect(self.width() - free, 0, free, self.height())
            painter.drawText(area, middle | int(Qt.AlignmentFlag.AlignRight), shown)
        if self.hasFocus():
            draw_focus_ring(painter, QRectF(self.rect()), theme, 4)

    def _font(self) -> QFont:
        weight = QFont.Weight.DemiBold if self._bold else QFont.Weight.Normal
        return self._theme.ui_font(13 if self._bold else 12, weight)

    def _describe(self) -> None:
        self.setAccessibleName(self.text())
        state = self.tr("open") if self.isChecked() else self.tr("folded")
        self.setAccessibleDescription(f"{state}. {self._summary}" if self._summary else state)


class Section(QWidget):
    """A header over a body. `folded_changed(bool)` comes when a person folded or unfolded it."""

    folded_changed = Signal(bool)

    def __init__(
        self,
        theme: Theme,
        title: str,
        body: QWidget,
        *,
        folded: bool = False,
        on_folded: Callable[[bool], None] | None = None,
        bold: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        """Put a body under a header.

        Args:
            theme: the look.
            title: the header's text.
            body: what folds; the section takes it over.
            folded: how it starts.
            on_folded: told the new state each time, to remember it.
            bold: a section of a page; otherwise a fold inside a form.
            parent: Qt's parent.
        """
        super().__init__(parent)
        self.header = FoldHeader(theme, title, bold=bold, parent=self)
        self.body = body
        self._on_folded = on_folded
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0] if bold else Theme.SPACE[1])
        column.addWidget(self.header)
        column.addWidget(body)
        self.header.setChecked(not folded)
        body.setVisible(not folded)
        self.header.toggled.connect(self._toggled)

    @property
    def is_folded(self) -> bool:
        return not self.header.isChecked()

    def set_folded(self, folded: bool) -> None:
        """Fold or unfold, as if by hand."""
        self.header.setChecked(not folded)

    def set_summary(self, text: str) -> None:
        """The dim text at the header's right end."""
        self.header.set_summary(text)

    def _toggled(self, is_open: bool) -> None:
        self.body.setVisible(is_open)
        if self._on_folded is not None:
            self._on_folded(not is_open)
        self.folded_changed.emit(not is_open)
