"""The grid of live plots: one for each quantity, all on one time axis, in one or two columns as there is room."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from gui.icons import Icons
from gui.panels.hardware import words
from gui.panels.hardware.presenter import Chart, Line, Look, Plot
from gui.theme import PlotRole, Theme, set_kind
from gui.widgets.plot import LegendPlace, PlotWidget

TWO_COLUMNS = 700
HEIGHT = 156
_ROLES: dict[Chart, str | int] = {
    Chart.CPU: "accent",
    Chart.RAM: int(PlotRole.KV_CACHE),
    Chart.ENGINE: int(PlotRole.WEIGHTS),
    Chart.SPEED: int(PlotRole.OUTPUT),
    Chart.GPU: int(PlotRole.COMPUTE),
    Chart.VRAM: int(PlotRole.KV_CACHE),
    Chart.TEMPERATURE: int(PlotRole.OTHER),
    Chart.POWER: int(PlotRole.COMPUTE),
    Chart.DISK: int(PlotRole.OVERHEAD),
}
_MORE_ROLES = (PlotRole.OTHER, PlotRole.OUTPUT, PlotRole.WEIGHTS, PlotRole.OVERHEAD)


class ChartCard(QWidget):
    """One plot with its title, its newest value and a button to copy it."""

    def __init__(self, theme: Theme, icons: Icons, chart: Chart, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chart = chart
        title = words.chart_text(chart)
        self.title = QLabel(title)
        set_kind(self.title, "section")
        self.title.setToolTip(words.chart_tip(chart))
        self.last = QLabel()
        set_kind(self.last, "mono")
        self.last.setToolTip(words.chart_tip(chart))
        self.last.setAccessibleName(self.tr("{title}, now").format(title=title))
        self.copy_button = QToolButton()
        icons.bind(self.copy_button, "copy", "text3", 16)
        name = self.tr("Copy as a picture: {title}").format(title=title)
        self.copy_button.setAccessibleName(name)
        self.copy_button.setToolTip(name)
        self.plot = PlotWidget(theme, title, legend=LegendPlace.NONE)
        self.plot.setFixedHeight(theme.px(HEIGHT))
        self.copy_button.clicked.connect(self.plot.copy_png)
        head = QHBoxLayout()
        head.setSpacing(Theme.SPACE[1])
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.last)
        head.addWidget(self.copy_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(head)
        column.addWidget(self.plot)

    def show_plot(self, plot: Plot, look: Look) -> None:
        """New numbers."""
        mains = [line for line in plot.lines if not line.is_core]
        if self.plot.series_keys() != tuple(line.key for line in plot.lines):
            for key in self.plot.series_keys():
                self.plot.remove_series(key)
            for line in plot.lines:
                name = words.line_text(line, look.devices)
                self.plot.set_series(line.key, name, self._role(line, mains), line.unit)
        for line in plot.lines:
            self.plot.set_data(line.key, line.xs, line.ys)
        if plot.top is not None and plot.lines:
            self.plot.set_unit_range(plot.lines[0].unit, 0, plot.top)
        self.plot.set_x_range(look.now_s - look.window_s, look.now_s)
        self.plot.set_bands(look.bands)
        self.last.setText(words.last_text(plot.lines, plot.whole))

    def _role(self, line: Line, mains: list[Line]) -> str | int:
        if line.is_core:
            return "text3"
        at = mains.index(line)
        return _ROLES[self._chart] if at == 0 else int(_MORE_ROLES[(at - 1) % len(_MORE_ROLES)])


class ChartGrid(QWidget):
    """The cards of the quantities that are there."""

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self.cards: dict[Chart, ChartCard] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(Theme.SPACE[4])
        self._grid.setVerticalSpacing(Theme.SPACE[3])
        self._n_columns = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)

    def show_look(self, look: Look) -> None:
        """New numbers for every plot; a quantity that came or went makes a card come or go."""
        wanted = [plot.chart for plot in look.plots]
        if list(self.cards) != wanted:
            for chart in list(self.cards):
                if chart not in wanted:
                    card = self.cards.pop(chart)
                    card.hide()
                    card.deleteLater()
            fresh = {chart: self.cards.get(chart) or ChartCard(self._theme, self._icons, chart) for chart in wanted}
            self.cards = fresh
            self._arrange()
        for plot in look.plots:
            self.cards[plot.chart].show_plot(plot, look)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._wanted_columns() != self._n_columns:
            self._arrange()

    def _wanted_columns(self) -> int:
        return 2 if self.width() >= self._theme.px(TWO_COLUMNS) else 1

    def _arrange(self) -> None:
        self._n_columns = self._wanted_columns()
        while self._grid.takeAt(0) is not None:
            pass
        for at, card in enumerate(self.cards.values()):
            self._grid.addWidget(card, at // self._n_columns, at % self._n_columns, Qt.AlignmentFlag.AlignTop)
            card.show()
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < self._n_columns else 0)
