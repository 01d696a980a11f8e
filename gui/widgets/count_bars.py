"""Counts as bars, with what theory expects laid over each: a line at the expected count, a whisker two deviations wide.

Painted by itself: each row is a line of text with a bar, and a chart library would not put token, bar and number on
one line. The same numbers stand in a table beside it, which is what screen readers and copies take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from gui.theme import PlotRole, Theme

_ROW, _BAR, _CAP = 24, 12, 5
_WIDEST_LABEL, _GAP = 150, 10


@dataclass(frozen=True, slots=True)
class CountBar:
    """A row: what was counted, how often, how often it was expected with which deviation, and what hovering says."""

    label: str
    n: int
    expected: float
    deviation: float
    text: str
    tip: str = ""


class CountBars(QWidget):
    """The bars, one row each, on one scale from 0."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._bars: tuple[CountBar, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._refit)

    @property
    def bars(self) -> tuple[CountBar, ...]:
        return self._bars

    def set_bars(self, bars: Sequence[CountBar]) -> None:
        """Show these, from top to bottom."""
        self._bars = tuple(bars)
        self.setAccessibleDescription("; ".join(each.tip or f"{each.label} {each.text}" for each in self._bars))
        self._refit()

    def span(self) -> float:
        """The count at the right end of the scale: every bar and every whisker is inside."""
        highest = max((max(each.n, each.expected + 2 * each.deviation) for each in self._bars), default=1.0)
        return max(1.0, highest)

    def sizeHint(self) -> QSize:
        return QSize(320, max(1, len(self._bars)) * self._theme.px(_ROW))

    def minimumSizeHint(self) -> QSize:
        return QSize(240, self.sizeHint().height())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = event.pos().y() // self._theme.px(_ROW)
            QToolTip.showText(event.globalPos(), self._bars[row].tip if 0 <= row < len(self._bars) else "", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(theme.mono_font(12))
        area = self._area(metrics)
        row_height, span = theme.px(_ROW), self.span()
        ink = theme.color("hairline")
        painter.setPen(QPen(ink, 1))
        painter.drawLine(QPointF(area.left() - 0.5, 0), QPointF(area.left() - 0.5, self.height()))
        painter.setFont(theme.mono_font(12))
        right, left = int(Qt.AlignmentFlag.AlignRight), int(Qt.AlignmentFlag.AlignLeft)
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        for place, bar in enumerate(self._bars):
            top = place * row_height
            label = metrics.elidedText(bar.label, Qt.TextElideMode.ElideRight, area.left() - _GAP)
            painter.setPen(theme.color("text1"))
            painter.drawText(QRect(0, top, area.left() - _GAP, row_height), right | middle, label)
            self._draw_bar(painter, bar, QRectF(area.left(), top, area.width(), row_height), span)
            painter.setPen(theme.color("text2"))
            beside = QRect(area.right() + _GAP, top, self.width() - area.right() - _GAP, row_height)
            painter.drawText(beside, left | middle, bar.text)

    def _draw_bar(self, painter: QPainter, bar: CountBar, room: QRectF, span: float) -> None:
        theme, half = self._theme, self._theme.px(_BAR) / 2
        y = room.center().y()

        def at(count: float) -> float:
            return room.left() + max(0.0, count) / span * room.width()

        fill = QColor(theme.plot_color(PlotRole.KV_CACHE))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(room.left(), y - half, at(bar.n) - room.left(), 2 * half), 2, 2)
        low, high = at(bar.expected - 2 * bar.deviation), at(bar.expected + 2 * bar.deviation)
        # A rim in the page's colour keeps the whisker visible on the bar and off it.
        for ink, width in ((theme.color("surface0"), 3.4), (theme.color("text1"), 1.6)):
            painter.setPen(QPen(ink, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
            painter.drawLine(QPointF(low, y), QPointF(high, y))
            for x in (low, high):
                painter.drawLine(QPointF(x, y - _CAP), QPointF(x, y + _CAP))
            expected = at(bar.expected)
            painter.drawLine(QPointF(expected, y - half - 3), QPointF(expected, y + half + 3))

    def _area(self, metrics: QFontMetrics) -> QRect:
        """Where the bars are: between the labels and the numbers."""
        widest = max((metrics.horizontalAdvance(each.label) for each in self._bars), default=0)
        left = min(self._theme.px(_WIDEST_LABEL), widest) + _GAP + 2
        numbers = max((metrics.horizontalAdvance(each.text) for each in self._bars), default=0)
        return QRect(left, 0, max(40, self.width() - left - numbers - _GAP - 4), self.height())

    def _refit(self) -> None:
        self.setFixedHeight(self.sizeHint().height())
        self.updateGeometry()
        self.update()
