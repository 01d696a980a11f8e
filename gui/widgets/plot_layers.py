"""The layers of a plot, each drawn by one function: bands, axes, lines, limit, marker, legend, readout.

Functions of a painter, a frame and the theme; they keep nothing. Lines are drawn in data coordinates under a transform
with a cosmetic pen, so that a moving time axis costs no Python arithmetic a point. The pen is one device pixel wide
and drawn twice, a little apart: Qt's raster engine strokes wider antialiased pens twenty times slower (measured: 8
series of 600 noisy points on 1000 × 600 take 25.9 ms at 1.5 px, 0.9 ms at 1 px).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPen, QTransform

from gui.theme import Theme
from gui.widgets.paint import role_color
from gui.widgets.plot_frame import PlotFrame
from gui.widgets.plot_series import Series
from gui.widgets.quantities import quantity_text

_BAND_LOOKS = {"load": ("text3", 0.14), "prefill": ("warning", 0.17), "decode": ("accent", 0.09)}
_OTHER_BAND = ("text3", 0.10)
_LEGEND_GAP, _DASH = 14, 16
_LINE_PX = 1.6
_RIGHT_MIDDLE = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def draw_bands(
    painter: QPainter, frame: PlotFrame, theme: Theme, bands: Sequence[tuple[float, float, str]], *, words: bool
) -> None:
    """Backgrounds of spans of x, with their kind as a word where it fits."""
    rect, metrics = frame.rect, painter.fontMetrics()
    for start, end, kind in bands:
        left, right = max(rect.left(), frame.to_x(start)), min(rect.right(), frame.to_x(end))
        if right <= left:
            continue
        role, alpha = _BAND_LOOKS.get(kind, _OTHER_BAND)
        color = theme.color(role)
        color.setAlphaF(alpha)
        painter.fillRect(QRectF(left, rect.top(), max(1.0, right - left), rect.height()), color)
        if words and right - left > metrics.horizontalAdvance(kind) + 10:
            painter.setPen(theme.color("text2"))
            painter.drawText(QPointF(left + 5, rect.top() + metrics.ascent() + 3), kind)


def draw_axes(painter: QPainter, frame: PlotFrame, theme: Theme, width: int, now: str) -> None:
    """Hairlines across with their values at the left, and the words of the x axis under them."""
    rect, metrics = frame.rect, painter.fontMetrics()
    ticks, texts = frame.y_ticks()
    ink = theme.color("text3")
    for index, tick in enumerate(ticks):
        y = round(frame.to_y(tick, frame.first_unit)) + 0.5
        painter.setPen(QPen(theme.color("hairline"), 1))
        painter.drawLine(QPointF(rect.left(), y), QPointF(rect.right(), y))
        if index < len(texts):
            painter.setPen(ink)
            area = QRectF(0, y - metrics.height() / 2, rect.left() - 8, metrics.height())
            painter.drawText(area, _RIGHT_MIDDLE, texts[index])
    painter.setPen(ink)
    free_right = width + 8.0
    for x, text in sorted(frame.x_ticks(now), reverse=True):
        advance = metrics.horizontalAdvance(text)
        left = min(frame.to_x(x) - advance / 2, width - advance)
        left = max(left, 0.0 if texts else rect.left())
        if left + advance + 8 <= free_right:
            painter.drawText(QPointF(left, rect.bottom() + 5 + metrics.ascent()), text)
            free_right = left


def draw_lines(painter: QPainter, frame: PlotFrame, theme: Theme) -> None:
    """Every series; a plot colour used for the second time is dashed."""
    rect, bend = frame.rect, frame.bend()
    low_x, high_x = frame.bent_x_range()
    scale_x = rect.width() / ((high_x - low_x) or 1.0)
    n_colors = len(theme.palette.plot)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setClipRect(rect.adjusted(-1, -1, 1, 1))
    base = painter.worldTransform()
    offsets = _pass_offsets(painter.device().devicePixelRatioF())
    for each in frame.series.values():
        low, high = frame.y_range(each.unit)
        scale_y = -rect.height() / ((high - low) or 1.0)
        origin_x, origin_y = rect.left() - low_x * scale_x, rect.bottom() - low * scale_y
        pen = QPen(role_color(theme, each.color_role), 1)
        if isinstance(each.color_role, int) and each.color_role >= n_colors:
            pen.setDashPattern([5, 2])
        pen.setCosmetic(True)
        painter.setPen(pen)
        for offset in offsets:
            painter.setWorldTransform(QTransform(scale_x, 0, 0, scale_y, origin_x, origin_y + offset) * base)
            for polygon in each.polygons(bend):
                if polygon.size() == 1:
                    painter.drawPoint(polygon.at(0))
                else:
                    painter.drawPolyline(polygon)
    painter.restore()


def _pass_offsets(pixel_ratio: float) -> list[float]:
    """How far up and down a line of one device pixel is drawn to look `_LINE_PX` wide, in logical pixels."""
    width = _LINE_PX * pixel_ratio
    n_passes = max(2, math.ceil(width))
    span = (width - 1) / pixel_ratio
    return [span * (n / (n_passes - 1) - 0.5) for n in range(n_passes)]


def draw_limit(painter: QPainter, frame: PlotFrame, theme: Theme) -> None:
    """The dashed line and its label over it."""
    if frame.limit is None:
        return
    y = round(frame.to_y(frame.limit.y, frame.first_unit)) + 0.5
    pen = QPen(theme.color("bad"), 1)
    pen.setDashPattern([4, 3])
    painter.setPen(pen)
    painter.drawLine(QPointF(frame.rect.left(), y), QPointF(frame.rect.right(), y))
    painter.setPen(theme.color("bad"))
    painter.drawText(QPointF(frame.rect.left() + 6, y - 5), frame.limit.label)


def draw_marker(
    painter: QPainter, frame: PlotFrame, theme: Theme, marker: tuple[float, float, str | int] | None
) -> None:
    """The dot at one point."""
    if marker is None:
        return
    x, y, role = marker
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color("surface0"), 1.5))
    painter.setBrush(role_color(theme, role))
    painter.drawEllipse(QPointF(frame.to_x(x), frame.to_y(y, frame.first_unit)), 5, 5)
    painter.restore()


def legend_text(series: Series) -> str:
    """A series' entry in the legend: its name and newest value."""
    return f"{series.label} {quantity_text(series.last(), series.unit)}"


def legend_height(frame: PlotFrame, metrics: QFontMetrics, width: int) -> int:
    """How high the legend is at a width, with the gap over it; 0 without series."""
    if not frame.series:
        return 0
    n_lines, x = 1, 0
    for each in frame.series.values():
        wanted = _DASH + metrics.horizontalAdvance(legend_text(each))
        if x and x + wanted > width:
            n_lines, x = n_lines + 1, 0
        x += wanted + _LEGEND_GAP
    return 6 + n_lines * (metrics.height() + 2)


def draw_legend(painter: QPainter, frame: PlotFrame, theme: Theme, width: int, top: int) -> None:
    """A dash and a text for every series, on as many lines as needed, from `top` down."""
    metrics = painter.fontMetrics()
    x, y = 0.0, float(top + 4 + metrics.ascent())
    for each in frame.series.values():
        text = legend_text(each)
        advance = _DASH + metrics.horizontalAdvance(text)
        if x and x + advance > width:
            x, y = 0.0, y + metrics.height() + 2
        painter.fillRect(QRectF(x, y - metrics.ascent() / 2 + 1, 11, 2), role_color(theme, each.color_role))
        painter.setPen(theme.color("text2"))
        painter.drawText(QPointF(x + _DASH, y), text)
        x += advance + _LEGEND_GAP


def draw_end_labels(painter: QPainter, frame: PlotFrame, theme: Theme) -> None:
    """Each series' name behind the end of its line, moved down where two would overlap."""
    metrics = painter.fontMetrics()
    lowest = -float("inf")
    ends = [(frame.to_y(last, each.unit), each) for each in frame.series.values() if (last := each.last()) is not None]
    for end, each in sorted(ends, key=lambda pair: pair[0]):
        y = max(end, lowest + metrics.height() - 1)
        lowest = y
        painter.setPen(role_color(theme, each.color_role))
        painter.drawText(QPointF(frame.rect.right() + 6, y + metrics.ascent() / 2 - 1), each.label)


def draw_readout(
    painter: QPainter,
    frame: PlotFrame,
    theme: Theme,
    cursor_x: float,
    head: str,
    values: Sequence[tuple[Series, str]],
    size: tuple[int, int],
) -> None:
    """A line at x and a card with every series' value there; `size` is the widget's, to stay inside it."""
    rect, metrics = frame.rect, painter.fontMetrics()
    x = frame.to_x(cursor_x)
    if not values or not rect.left() - 1 <= x <= rect.right() + 1:
        return
    painter.setPen(QPen(theme.color("text3"), 1))
    painter.drawLine(QPointF(round(x) + 0.5, rect.top()), QPointF(round(x) + 0.5, rect.bottom()))
    mono = theme.mono_font(12)
    figures = QFontMetrics(mono)
    names = max(metrics.horizontalAdvance(each.label) for each, _ in values)
    numbers = max(figures.horizontalAdvance(text) for _, text in values)
    line = metrics.height() + 2
    width = max(metrics.horizontalAdvance(head), 14 + names + 12 + numbers) + 16
    height = (len(values) + 1) * line + 10
    left = x + 10 if x + 10 + width <= size[0] else max(0.0, x - 10 - width)
    box = QRectF(left, max(0.0, min(rect.top() + 2, size[1] - height - 1.0)), width, height)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color("hairline"), 1))
    painter.setBrush(theme.color("surface2"))
    painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), Theme.RADIUS_SMALL, Theme.RADIUS_SMALL)
    y = box.top() + 5 + metrics.ascent()
    painter.setPen(theme.color("text3"))
    painter.drawText(QPointF(box.left() + 8, y), head)
    for each, text in values:
        y += line
        mark = QRectF(box.left() + 8, y - metrics.ascent() / 2 + 1, 9, 2)
        painter.fillRect(mark, role_color(theme, each.color_role))
        painter.setPen(theme.color("text2"))
        painter.drawText(QPointF(box.left() + 22, y), each.label)
        painter.setPen(theme.color("text1"))
        painter.setFont(mono)
        painter.drawText(QPointF(box.right() - 8 - figures.horizontalAdvance(text), y), text)
        painter.setFont(theme.ui_font(12))
    painter.restore()
