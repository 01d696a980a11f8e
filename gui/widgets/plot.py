"""A live plot: series over the last minutes (or over any other x), bands for runs, a limit line, a readout on hover.

One interface, so that another back end can take its place; this one paints with QPainter. Nothing is drawn or
prepared while the plot is hidden. Rejected for the live plots: QtCharts (deprecated), QtGraphs (needs a GPU only to be
seen); pyqtgraph is for big interactive ones and costs 0.6 s of import.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from PySide6.QtCore import QBuffer, QByteArray, QEvent, QIODevice, QRectF, QSize, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import QMenu, QSizePolicy, QWidget

from gui.theme import Theme
from gui.widgets import plot_layers as layers
from gui.widgets.paint import draw_focus_ring
from gui.widgets.plot_frame import Limit, PlotFrame, XAxis
from gui.widgets.plot_series import Series, csv_of
from gui.widgets.quantities import MINUS, quantity_text, seconds_text

__all__ = ["LegendPlace", "PlotWidget", "XAxis"]

_WIDEST_TEXT = "512 KiB/s"  # as wide as anything that usually stands at a y axis


class LegendPlace(enum.Enum):
    """Where the series are named: nowhere, under the plot with their last values, or at the ends of their lines."""

    NONE = "none"
    BELOW = "below"
    AT_END = "at end"


class PlotWidget(QWidget):
    """Series, bands and a limit on two axes."""

    def __init__(
        self,
        theme: Theme,
        title: str,
        *,
        x_axis: XAxis = XAxis.TIME,
        x_unit: str = "s",
        legend: LegendPlace = LegendPlace.BELOW,
        compact: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """An empty plot.

        Args:
            theme: the look.
            title: what it shows; the accessible name.
            x_axis: what x means.
            x_unit: the unit of x in readouts and exports.
            legend: where the series are named.
            compact: no axes and a low fixed height, for the inspector; series of different units may share it.
            parent: Qt's parent.
        """
        super().__init__(parent)
        self._theme = theme
        self._legend, self._compact = legend, compact
        self._frame = PlotFrame(x_axis, x_unit)
        self._bands: list[tuple[float, float, str]] = []
        self._marker: tuple[float, float, str | int] | None = None
        self._cursor_x: float | None = None
        self.n_paints = 0  # how often it was painted, for tests and measurements
        self.setAccessibleName(title)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        vertical = QSizePolicy.Policy.Fixed if compact else QSizePolicy.Policy.Expanding
        self.setSizePolicy(QSizePolicy.Policy.Expanding, vertical)
        theme.changed.connect(self._redraw)

    # ---- the interface

    def set_series(self, key: str, label: str, color_role: str | int, unit: str) -> None:
        """Add a series, or rename and recolour it; its data stay. `unit` as in `quantities.quantity_text`."""
        known = self._frame.series.get(key)
        fresh = Series(label, color_role, unit)
        if known is not None:
            fresh.set_data(known.xs, known.ys)
        self._frame.series[key] = fresh
        self.updateGeometry()
        self._redraw()

    def remove_series(self, key: str) -> None:
        """Take a series away; an unknown key is fine."""
        self._frame.series.pop(key, None)
        self.updateGeometry()
        self._redraw()

    def series_keys(self) -> tuple[str, ...]:
        return tuple(self._frame.series)

    def set_data(self, key: str, xs: Sequence[float], ys: Sequence[float | None]) -> None:
        """New numbers of a series: ascending xs, and as many ys; None or NaN is a gap. KeyError for an unknown key."""
        self._frame.series[key].set_data(xs, ys)
        self._redraw()

    def set_bands(self, bands: Sequence[tuple[float, float, str]]) -> None:
        """Spans of x with a background: (from, to, kind), kind load, prefill, decode or any other word."""
        if list(bands) != self._bands:
            self._bands = list(bands)
            self._redraw()

    def set_limit_line(self, y: float | None, label: str = "") -> None:
        """A dashed line at y that a value should stay under; None for none."""
        self._frame.limit = None if y is None else Limit(y, label)
        self._redraw()

    def set_marker(self, x: float | None, y: float = 0.0, color_role: str | int = "accent") -> None:
        """A dot at one point (the present choice); None for none."""
        self._marker = None if x is None else (x, y, color_role)
        self._redraw()

    def set_window(self, seconds: float) -> None:
        """How long a TIME axis is; its right end is the newest x of any series."""
        self._frame.window_s = seconds
        self._redraw()

    def set_x_range(self, low: float | None, high: float | None) -> None:
        """A fixed x axis; None for one that follows the data."""
        self._frame.fixed_x = None if low is None or high is None else (low, high)
        self._redraw()

    def set_unit_range(self, unit: str, low: float, high: float) -> None:
        """A fixed y axis for all series of a unit, e.g. 0 to 100 for %."""
        self._frame.fixed_y[unit] = (low, high)
        self._redraw()

    def export_csv(self) -> str:
        """All data as comma-separated text, one line an x value."""
        unit = self._frame.x_unit
        return csv_of(f"x ({unit})" if unit else "x", list(self._frame.series.values()))

    def export_png(self) -> bytes:
        """The plot as it stands, as a PNG file's bytes."""
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        self.grab().save(buffer, "PNG")
        buffer.close()
        return bytes(data.data())

    def copy_png(self) -> None:
        """Put the plot on the clipboard as a picture."""
        QGuiApplication.clipboard().setPixmap(self.grab())

    def copy_csv(self) -> None:
        """Put the data on the clipboard as text."""
        QGuiApplication.clipboard().setText(self.export_csv())

    def description(self) -> str:
        """The last value of every series in words."""
        return ", ".join(layers.legend_text(each) for each in self._frame.series.values())

    def readout_at(self, x: float) -> list[str]:
        """What the readout says at x: the x, then each series' nearest value."""
        return [self._x_text(x), *(f"{each.label}  {text}" for each, text in self._values_near(x))]

    def frame(self) -> PlotFrame:
        """The geometry at the present size, to ask where a value stands."""
        self._frame.rect = self._plot_rect()
        return self._frame

    # ---- geometry and painting

    def sizeHint(self) -> QSize:
        if not self._compact:
            return QSize(480, 220)
        return QSize(240, 92 + self._legend_height(max(240, self.width())))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height() if self._compact else 90)

    def paintEvent(self, event: QPaintEvent) -> None:
        self.n_paints += 1
        theme, frame = self._theme, self.frame()
        painter = QPainter(self)
        painter.setFont(theme.ui_font(12))
        layers.draw_bands(painter, frame, theme, self._bands, words=not self._compact)
        if not self._compact:
            layers.draw_axes(painter, frame, theme, self.width(), self.tr("now"))
        layers.draw_lines(painter, frame, theme)
        layers.draw_limit(painter, frame, theme)
        layers.draw_marker(painter, frame, theme, self._marker)
        if self._legend is LegendPlace.BELOW:
            top = self.height() - self._legend_height(self.width())
            layers.draw_legend(painter, frame, theme, self.width(), top)
        elif self._legend is LegendPlace.AT_END:
            layers.draw_end_labels(painter, frame, theme)
        if self._cursor_x is not None:
            near, head = self._values_near(self._cursor_x), self._x_text(self._cursor_x)
            layers.draw_readout(painter, frame, theme, self._cursor_x, head, near, (self.width(), self.height()))
        if self.hasFocus():
            draw_focus_ring(painter, QRectF(self.rect()), theme, 4)

    def _plot_rect(self) -> QRectF:
        metrics = QFontMetrics(self._theme.ui_font(12))
        legend = self._legend_height(self.width())
        if self._compact:
            return QRectF(0, 0, self.width(), max(10, self.height() - legend))
        has_label = self._frame.limit is not None and self._frame.limit.label
        top = metrics.height() + 4 if has_label else metrics.height() / 2 + 1
        bottom = metrics.height() + 8 + legend
        height = max(10, self.height() - top - bottom)
        self._frame.rect = QRectF(0, top, self.width(), height)  # how many lines there are depends on the height
        texts = self._frame.y_ticks()[1]
        if self._frame.x_axis is XAxis.TIME and texts:
            texts = [*texts, _WIDEST_TEXT]  # plots under each other share one time axis, so their edges must meet
        left = max((metrics.horizontalAdvance(text) for text in texts), default=0)
        left += 8 if left else 0
        right = 1
        if self._legend is LegendPlace.AT_END:
            names = (metrics.horizontalAdvance(each.label) for each in self._frame.series.values())
            right = max(names, default=0) + 8
        return QRectF(left, top, max(10, self.width() - left - right), height)

    def _legend_height(self, width: int) -> int:
        if self._legend is not LegendPlace.BELOW:
            return 0
        return layers.legend_height(self._frame, QFontMetrics(self._theme.ui_font(12)), width)

    def _values_near(self, x: float) -> list[tuple[Series, str]]:
        points = [(each, each.at(x)) for each in self._frame.series.values()]
        return [(each, quantity_text(point[1] if point else None, each.unit)) for each, point in points]

    def _x_text(self, x: float) -> str:
        if self._frame.x_axis is XAxis.TIME:
            ago = self._frame.x_range()[1] - x
            return self.tr("now") if ago < 0.05 else MINUS + seconds_text(ago)
        return quantity_text(x, self._frame.x_unit)

    # ---- hands

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        frame = self.frame()
        inside = frame.rect.adjusted(-2, -2, 2, 2).contains(event.position())
        self._set_cursor(frame.snapped(frame.from_x(event.position().x())) if inside else None)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_cursor(None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.setAccessibleDescription(self.description())
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._set_cursor(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            frame = self.frame()
            direction = -1 if event.key() == Qt.Key.Key_Left else 1
            low, high = frame.x_range()
            at = frame.snapped(high) if self._cursor_x is None else frame.next_x(self._cursor_x, direction)
            at = min(high, max(low, at))
            self._set_cursor(at)
            self.setAccessibleDescription(", ".join(self.readout_at(at)))
        elif event.key() == Qt.Key.Key_Escape and self._cursor_x is not None:
            self._set_cursor(None)
        elif event.matches(QKeySequence.StandardKey.Copy):
            self.copy_csv()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.make_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def make_menu(self) -> QMenu:
        """The context menu: copy as a picture or as a table."""
        menu = QMenu(self)
        menu.addAction(self.tr("Copy as PNG"), self.copy_png)
        menu.addAction(self.tr("Copy as CSV"), self.copy_csv)
        return menu

    def _set_cursor(self, x: float | None) -> None:
        if x != self._cursor_x:
            self._cursor_x = x
            self._redraw()

    def _redraw(self) -> None:
        if self.isVisible():
            self.update()
