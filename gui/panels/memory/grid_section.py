"""“Context and cache type”: every pair of the two as a cell that says what it takes and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from engine.base.fields import Value
from engine.workbench.by_formula import Grid
from gui.panels.memory import words
from gui.theme import Theme, set_kind
from gui.widgets.heat_table import HeatTable


class GridSection(QWidget):
    """The heat map; `chosen` carries the load options of the cell that a person chose."""

    chosen = Signal(dict)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid: Grid | None = None
        title = QLabel(self.tr("Context and KV cache type"))
        set_kind(title, "section")
        self.hint = QLabel(self.tr("What all of it takes, by the formula. A click uses that context and type."))
        set_kind(self.hint, "caption")
        self.hint.setWordWrap(True)
        self.table = HeatTable(theme, self.tr("Memory by context and KV cache type"))
        self.table.chosen.connect(self._choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addWidget(title)
        column.addWidget(self.hint)
        column.addWidget(self.table)
        self.hide()

    def show_grid(self, grid: Grid | None, present: tuple[int, int] | None) -> None:
        """Show these cells, the present setting marked; nothing where there are none."""
        self._grid = grid
        self.setVisible(grid is not None)
        if grid is not None:
            names, columns, cells = words.grid_cells(grid)
            self.table.set_cells(names, columns, cells, present)

    def _choose(self, row: int, column: int) -> None:
        if self._grid is not None:
            type_k, type_v = self._grid.cache_types[row]
            changes: Mapping[str, Value] = {"n_ctx": self._grid.contexts[column], "type_k": type_k, "type_v": type_v}
            self.chosen.emit(dict(changes))
