"""A table of texts that can be sorted by what they mean and copied as TSV: runs, a model's card, shortcuts.

Rows are values; each cell has the text that is shown and the key that it is sorted by, so that 1.2 GiB stands above
900 MiB. Unknown cells (key None) stay at the end in both directions. Rejected: QTableWidget (an item object a cell, and
sorting by text).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QContextMenuEvent, QFont, QFontMetrics, QGuiApplication, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QMenu, QSizePolicy, QTableView, QWidget

from gui.theme import Theme

_Index = QModelIndex | QPersistentModelIndex
_ANY_INDEX = QModelIndex()


NARROWEST_STRETCH = 180  # pixels: a column that takes the rest is not squeezed below this


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `is_number`: right-aligned in the monospace face. `stretches`: takes the room that is left."""

    title: str
    is_number: bool = False
    stretches: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, what it is sorted by (None: unknown, stays last), and a tooltip."""

    text: str
    key: float | str | None = None
    tip: str = ""


class _Model(QAbstractTableModel):
    def __init__(self, theme: Theme, columns: Sequence[Column], parent: QWidget) -> None:
        super().__init__(parent)
        self.theme, self.columns = theme, tuple(columns)
        self.given: tuple[tuple[Cell, ...], ...] = ()
        self.rows: tuple[tuple[Cell, ...], ...] = ()
        self.sort_column, self.descending = -1, False

    def set_rows(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        self.beginResetModel()
        self.given = tuple(rows)
        self.rows = self._sorted()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.sort_column, self.descending = column, order == Qt.SortOrder.DescendingOrder
        self.set_rows(self.given)

    def _sorted(self) -> tuple[tuple[Cell, ...], ...]:
        column = self.sort_column
        if not 0 <= column < len(self.columns):
            return self.given
        known = [row for row in self.given if row[column].key is not None]
        unknown = [row for row in self.given if row[column].key is None]
        known.sort(key=lambda row: row[column].key, reverse=self.descending)  # type: ignore[arg-type,return-value]
        return (*known, *unknown)

    def rowCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        column, cell = self.columns[index.column()], self.rows[index.row()][index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell.text
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell.tip or cell.text
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.FontRole:
            return self.font_of(index.column())
        return None

    def font_of(self, column: int) -> QFont:
        return self.theme.mono_font(12) if self.columns[column].is_number else self.theme.ui_font(13)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if self.columns[section].is_number else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
        elif role == Qt.ItemDataRole.DisplayRole and self.rows:
            return self.rows[section][0].text
        return None


class ValueTable(QTableView):
    """Rows of texts. With `most_rows` it is as high as its rows up to that many; otherwise as high as they all are."""

    def __init__(
        self,
        theme: Theme,
        columns: Sequence[Column],
        *,
        name: str,
        sortable: bool = False,
        has_header: bool = True,
        most_rows: int | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._most_rows, self._has_header = theme, most_rows, has_header
        self._model = _Model(theme, columns, self)
        self.setModel(self._model)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setCornerButtonEnabled(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        if most_rows is None:
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setVisible(has_header)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(20)
        if sortable:
            header.setSectionsClickable(True)
            header.setSortIndicatorShown(True)
            header.setSortIndicatorClearable(True)
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
            header.sortIndicatorChanged.connect(self._model.sort)
        else:
            header.setSectionsClickable(False)
        # Lengths only: with the 3 px of the item's own margin the cells stand under their headers.
        self.setStyleSheet("QTableView::item { padding: 4px 5px; }")
        theme.changed.connect(self._fit)
        self._fit()

    def set_rows(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Show these rows, in the order that the person chose. ValueError if one has not as many cells as columns."""
        if any(len(row) != len(self._model.columns) for row in rows):
            raise ValueError("a row has not as many cells as there are columns")
        if tuple(rows) == self._model.given:
            return
        bar = self.verticalScrollBar().value()
        self._model.set_rows(rows)
        self._fit()
        self.verticalScrollBar().setValue(bar)

    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows as they stand now, sorted."""
        return self._model.rows

    def sort_by(self, column: int, *, descending: bool = False) -> None:
        """Sort as a click on the header would."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.horizontalHeader().setSortIndicator(column, order)

    def as_tsv(self, selected_only: bool = False) -> str:
        """The table with tabs between cells."""
        chosen = sorted({index.row() for index in self.selectedIndexes()}) if selected_only else []
        rows = [self._model.rows[at] for at in chosen] if chosen else list(self._model.rows)
        lines = [[column.title for column in self._model.columns]] if self._has_header else []
        lines += [[cell.text for cell in row] for row in rows]
        flat = (" ".join(text.split()) for line in lines for text in line)
        cells = iter(flat)
        return "".join("\t".join(next(cells) for _ in line) + "\n" for line in lines)

    def copy(self) -> None:
        """Put the selected rows, or all of them, on the clipboard as TSV."""
        QGuiApplication.clipboard().setText(self.as_tsv(selected_only=True))

    def make_menu(self) -> QMenu:
        """The context menu: copy as a table."""
        menu = QMenu(self)
        menu.addAction(self.tr("Copy as TSV"), self.copy)
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.make_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.key() == Qt.Key.Key_Escape and self.selectedIndexes():
            self.clearSelection()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        return QSize(320, self._height())

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self._height())

    def _row_height(self) -> int:
        return self._theme.px(30)

    def _height(self) -> int:
        n_rows = self._model.rowCount()
        if self._most_rows is not None:
            n_rows = min(n_rows, self._most_rows)
        return (
            n_rows * self._row_height() + (self.horizontalHeader().sizeHint().height() if self._has_header else 0) + 1
        )

    def _width_of(self, column: int) -> int:
        metrics = QFontMetrics(self._model.font_of(column))
        texts = (row[column].text for row in self._model.rows)
        widest = max((metrics.horizontalAdvance(text) for text in texts), default=0)
        title = QFontMetrics(self._theme.ui_font(12)).horizontalAdvance(self._model.columns[column].title)
        return max(widest, title + 16) + 24

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_size()

    def _fit_size(self) -> None:
        """Stretching columns take what is left, but stay readable; then the table scrolls sideways, and is higher."""
        header = self.horizontalHeader()
        stretching = [column for column, each in enumerate(self._model.columns) if each.stretches]
        others = sum(header.sectionSize(each) for each in range(header.count()) if each not in stretching)
        room = self.width()
        if self._most_rows is not None and self._model.rowCount() > self._most_rows:
            room -= self.verticalScrollBar().sizeHint().width()
        for column in stretching:
            wanted = min(self._width_of(column), NARROWEST_STRETCH)
            header.resizeSection(column, max(wanted, (room - others) // len(stretching)))
        bar = self.horizontalScrollBar().sizeHint().height() if header.length() > room else 0
        self.setFixedHeight(self._height() + bar)

    def _fit(self) -> None:
        header = self.horizontalHeader()
        self.verticalHeader().setDefaultSectionSize(self._row_height())
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        for column, each in enumerate(self._model.columns):
            if not each.stretches:
                header.resizeSection(column, self._width_of(column))
        self._fit_size()
        self.updateGeometry()
        self.viewport().update()
