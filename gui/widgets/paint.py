"""Strokes that several painted widgets share: the focus ring, the chevron, the reset arrow, a colour by its role.

Painted instead of loaded, so that they follow the theme and the screen's scale without a file each.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from gui.theme import Theme


def role_color(theme: Theme, role: str | int) -> QColor:
    """A colour by what it means: a palette role by name, or a plot colour by its `PlotRole`."""
    return theme.color(role) if isinstance(role, str) else theme.plot_color(int(role))


def draw_focus_ring(painter: QPainter, rect: QRectF, theme: Theme, radius: float) -> None:
    """A 2 px ring in the accent, just inside `rect`."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color("accent"), 2))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), radius, radius)
    painter.restore()


def draw_chevron(painter: QPainter, rect: QRectF, color: QColor, *, is_open: bool) -> None:
    """A small filled triangle in the middle of `rect`: down when open, right when folded."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    c, a, b = rect.center(), 3.6, 2.3
    if is_open:
        points = [QPointF(c.x() - a, c.y() - b), QPointF(c.x() + a, c.y() - b), QPointF(c.x(), c.y() + b + 0.6)]
    else:
        points = [QPointF(c.x() - b, c.y() - a), QPointF(c.x() + b + 0.6, c.y()), QPointF(c.x() - b, c.y() + a)]
    painter.drawPolygon(QPolygonF(points))
    painter.restore()


def draw_reset_arrow(painter: QPainter, rect: QRectF, color: QColor) -> None:
    """An arrow that runs back around a circle, in the middle of `rect`."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(color, 1.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    c, r = rect.center(), 4.0
    arc = QPainterPath()
    circle = QRectF(c.x() - r, c.y() - r, 2 * r, 2 * r)
    arc.arcMoveTo(circle, 140)
    arc.arcTo(circle, 140, 275)
    painter.drawPath(arc)
    tip = QPointF(c.x() - r * 0.77, c.y() - r * 0.64)
    painter.drawLine(tip, QPointF(tip.x(), tip.y() - 3.0))
    painter.drawLine(tip, QPointF(tip.x() + 3.0, tip.y()))
    painter.restore()
