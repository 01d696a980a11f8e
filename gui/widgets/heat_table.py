"""A table of judged figures: each cell is tinted by its verdict, says it with a sign too, and can be chosen.

Arrow keys move, Enter or a click chooses. Colour never stands alone: the sign before a figure says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring

_Index = QModelIndex | QPersistentModelIndex
_ANY_INDEX = QModelIndex()
TINT = 0.22
CELL_HEIGHT, LEAST_CELL = 30, 62


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One cell.

    Attributes:
        text: the figure with its sign.
        role: the colour of the verdict.
        spoken: the whole cell in words, for hover and screen readers.
        can_choose: whether choosing it means anything.
    """

    text: str
    role: str
    spoken: str
    can_choose: bool = True


class _HeatModel(QAbstractTableModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.columns: tuple[str, ...] = ()
        self.row_names: tuple[str, ...] = ()
        self.cells: tuple[tuple[HeatCell, ...], ...] = ()

    def rowCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() else len(self.row_names)

    def columnCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        cell = self.cells[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cell.text
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell.spoken
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | None:
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return (self.columns if orientation is Qt.Orientation.Horizontal else self.row_names)[section]


class _HeatDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: HeatTable) -> None:
        super().__init__(parent)
        self._theme, self._table = theme, parent

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme = self._theme
        cell = self._table.cell(index.row(), index.column())
        box = QRectF(option.rect).adjusted(1, 1, -1, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill = theme.color(cell.role)
        fill.setAlphaF(TINT)
        painter.setBrush(fill)
        is_present = (index.row(), index.column()) == self._table.present
        painter.setPen(QPen(theme.color("text1"), 2) if is_present else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 4, 4)
        if self._table.hasFocus() and self._table.currentIndex() == index:
            draw_focus_ring(painter, box, theme, 4)
        painter.setFont(theme.mono_font(12))
        painter.setPen(theme.color("text1" if cell.can_choose else "text3"))
        painter.drawText(option.rect, int(Qt.AlignmentFlag.AlignCenter), cell.text)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(self._table.cell_width(), self._theme.px(CELL_HEIGHT))


class HeatTable(QTableView):
    """The table, as high as its rows. `chosen(row, column)` when a person chose a cell."""

    chosen = Signal(int, int)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.present: tuple[int, int] | None = None
        self._model = _HeatModel(self)
        self.setModel(self._model)
        self.setItemDelegate(_HeatDelegate(theme, self))
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setStyleSheet(
            "QTableView { background: transparent; border: none; }"
            "QHeaderView { background: transparent; } QHeaderView::section { background: transparent; border: none; }"
            "QTableCornerButton::section { background: transparent; border: none; }"
        )
        self.viewport().setAutoFillBackground(False)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setSectionsClickable(False)
            header.setHighlightSections(False)
            header.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.horizontalHeader().setMinimumSectionSize(20)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)
        theme.changed.connect(self._fit)

    def set_cells(
        self,
        row_names: Sequence[str],
        columns: Sequence[str],
        cells: Sequence[Sequence[HeatCell]],
        present: tuple[int, int] | None,
    ) -> None:
        """Show these cells, row by row; `present` is the one that stands now."""
        model = self._model
        place = self.currentIndex().row(), self.currentIndex().column()
        model.beginResetModel()
        model.row_names, model.columns = tuple(row_names), tuple(columns)
        model.cells = tuple(tuple(each) for each in cells)
        model.endResetModel()
        self.present = present
        row, column = place if place != (-1, -1) else present or (0, 0)
        self.setCurrentIndex(model.index(min(row, len(row_names) - 1), min(column, len(columns) - 1)))
        self._fit()

    def cell(self, row: int, column: int) -> HeatCell:
        return self._model.cells[row][column]

    def cell_width(self) -> int:
        """The width at which no figure is cut, px."""
        metrics = QFontMetrics(self._theme.mono_font(12))
        widest = max((metrics.horizontalAdvance(cell.text) for row in self._model.cells for cell in row), default=0)
        return max(self._theme.px(LEAST_CELL), widest + Theme.SPACE[2])

    def _choose(self, index: QModelIndex) -> None:
        if self.cell(index.row(), index.column()).can_choose:
            self.chosen.emit(index.row(), index.column())

    def _fit(self) -> None:
        height = self._theme.px(CELL_HEIGHT)
        self.verticalHeader().setDefaultSectionSize(height)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(self.cell_width())
        n_rows = self._model.rowCount()
        needs_bar = self.cell_width() * self._model.columnCount() > self.width() - self.verticalHeader().width()
        bar = self.horizontalScrollBar().sizeHint().height() if needs_bar else 0
        self.setFixedHeight(header.sizeHint().height() + n_rows * height + bar + 2)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
