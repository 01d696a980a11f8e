"""A line of the last values, as small as a word: for the monitors that are always on screen.

A ring of fixed length and one polygon; no axes, no numpy, nothing while hidden. The value in words
is the neighbour's task, the accessible description has it too.
"""

from __future__ import annotations

import math
from collections import deque

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.theme import Theme
from gui.widgets.paint import role_color


class Sparkline(QWidget):
    """The last `n_values` values between 0 and `top` (None: the largest of them)."""

    def __init__(
        self,
        theme: Theme,
        name: str,
        color_role: str | int = "accent",
        *,
        n_values: int = 60,
        top: float | None = None,
        width: int = 56,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._role, self._top, self._width = theme, color_role, top, width
        self._values: deque[float | None] = deque(maxlen=n_values)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def push(self, value: float | None) -> None:
        """Append the newest value; None is a gap."""
        self._values.append(value if value is not None and math.isfinite(value) else None)
        if self.isVisible():
            self.update()

    def values(self) -> list[float | None]:
        """What the ring holds, oldest first."""
        return list(self._values)

    def sizeHint(self) -> QSize:
        return QSize(self._width, self._theme.px(16))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.color("hairline"), 1))
        bottom = self.height() - 1.5
        painter.drawLine(QPointF(0, bottom + 0.5), QPointF(self.width(), bottom + 0.5))
        top = self._top or max((value for value in self._values if value is not None), default=0.0) or 1.0
        step = self.width() / max(1, (self._values.maxlen or 2) - 1)
        x = self.width() - (len(self._values) - 1) * step
        run: list[QPointF] = []
        for value in [*self._values, None]:
            if value is not None:
                run.append(QPointF(x, bottom - min(1.0, max(0.0, value / top)) * (bottom - 1.5)))
            elif run:
                self._draw_run(painter, run, bottom)
                run = []
            x += step

    def _draw_run(self, painter: QPainter, run: list[QPointF], bottom: float) -> None:
        color = role_color(self._theme, self._role)
        area = role_color(self._theme, self._role)
        area.setAlphaF(0.18)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(area)
        painter.drawPolygon(QPolygonF([QPointF(run[0].x(), bottom), *run, QPointF(run[-1].x(), bottom)]))
        painter.setPen(QPen(color, 1.2))
        painter.drawPolyline(QPolygonF(run))
