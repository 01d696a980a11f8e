"""The ledger: parts down, amounts across, a sum under them that is right to the byte.

The amounts are kept as whole bytes; the text is only how they look, so the copied table sums exactly. A table view
with its own painter: hairlines between rows, no grid, no selection bar in the system's colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QMenu,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring, role_color
from gui.widgets.quantities import bytes_text, estimated_text, unknown_text

_Index = QModelIndex | QPersistentModelIndex
_ANY_INDEX = QModelIndex()


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One part.

    Attributes:
        label: the part's name.
        amounts: bytes for each column of numbers; None is unknown, 0 is shown as a dash.
        color_role: the part's colour, None for no square.
        how: where the number comes from.
        estimated: for each amount whether it is an estimate (shown with ~); empty for none.
        tip: more on hover.
        is_counted: whether it is part of the sum (a remark is not).
    """

    label: str
    amounts: tuple[int | None, ...]
    color_role: str | int | None = None
    how: str = ""
    estimated: tuple[bool, ...] = ()
    tip: str = ""
    is_counted: bool = True


def sums_of(rows: Sequence[LedgerRow], n_columns: int) -> list[tuple[int | None, bool]]:
    """For each column the sum of what is known (None if nothing is), and whether something unknown is missing in it."""
    sums: list[tuple[int | None, bool]] = []
    for column in range(n_columns):
        amounts = [row.amounts[column] for row in rows if row.is_counted]
        known = [amount for amount in amounts if amount is not None]
        sums.append((sum(known) if known else None, len(known) < len(amounts)))
    return sums


class _LedgerModel(QAbstractTableModel):
    """Rows of the ledger and the sum under them."""

    def __init__(
        self, part: str, columns: Sequence[str], how: str, sum_label: str, missing: str, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.missing = missing
        self.headers = [part, *columns] + ([how] if how else [])
        self.n_numbers = len(columns)
        self.sum_label = sum_label
        self.rows: tuple[LedgerRow, ...] = ()

    def set_rows(self, rows: Sequence[LedgerRow]) -> None:
        for row in rows:
            if len(row.amounts) != self.n_numbers:
                raise ValueError(f"{row.label} has {len(row.amounts)} amounts for {self.n_numbers} columns")
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() or not self.rows else len(self.rows) + (1 if self.sum_label else 0)

    def columnCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() else len(self.headers)

    def is_sum(self, row: int) -> bool:
        return row == len(self.rows)

    def text(self, row: int, column: int) -> str:
        """A cell as shown."""
        if self.is_sum(row):
            if column == 0:
                return self.sum_label
            if column > self.n_numbers:
                return ""
            amount, is_partial = sums_of(self.rows, self.n_numbers)[column - 1]
            rough = any(self._is_estimated(each, column - 1) for each in self.rows if each.is_counted)
            text = estimated_text(bytes_text(amount)) if rough else bytes_text(amount)
            return f"≥ {text}" if is_partial and amount is not None else text
        each = self.rows[row]
        if column == 0:
            return each.label
        if column > self.n_numbers:
            return each.how
        amount = each.amounts[column - 1]
        if amount == 0:
            return "–"
        if amount is None:
            return self.missing
        return estimated_text(bytes_text(amount)) if self._is_estimated(each, column - 1) else bytes_text(amount)

    def exact(self, row: int, column: int) -> str:
        """A cell as copied: amounts as whole bytes."""
        if not 1 <= column <= self.n_numbers:
            return self.text(row, column)
        if self.is_sum(row):
            amount, is_partial = sums_of(self.rows, self.n_numbers)[column - 1]
            return unknown_text() if amount is None else f"≥ {amount}" if is_partial else str(amount)
        amount = self.rows[row].amounts[column - 1]
        return self.missing if amount is None else str(amount)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row, column = index.row(), index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.headers[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(section, 0)  # hidden, but a screen reader reads a row by it
        return None

    def _tip(self, row: int, column: int) -> str:
        if 1 <= column <= self.n_numbers:
            exact = self.exact(row, column)
            return (
                exact
                if exact in (self.missing, unknown_text())
                else self.tr("{n} bytes").format(n=f"{int(exact.lstrip('≥ ')):,}")
            )
        return "" if self.is_sum(row) else self.rows[row].tip

    @staticmethod
    def _is_estimated(row: LedgerRow, column: int) -> bool:
        return bool(row.estimated) and row.estimated[column]


class _LedgerHeader(QHeaderView):
    """Words over the columns, dim, over a hairline."""

    def __init__(self, theme: Theme, compact: bool, parent: QTableView) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme, self._compact = theme, compact
        self.setSectionsClickable(False)
        self.setHighlightSections(False)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._theme.ui_font(12 if self._compact else 13))
        return QSize(super().sizeHint().width(), metrics.height() + (4 if self._compact else 16))

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self.viewport())
        for section in range(self.count()):
            left = self.sectionViewportPosition(section)
            self._draw(painter, QRect(left, 0, self.sectionSize(section), self.height()), section)
        if not self._compact:
            painter.setPen(QPen(self._theme.color("hairline"), 1))
            painter.drawLine(0, self.height() - 1, self.viewport().width(), self.height() - 1)

    def _draw(self, painter: QPainter, rect: QRect, section: int) -> None:
        if self._compact and section == 0:
            return  # the parts speak for themselves
        pad = 0 if self._compact else Theme.SPACE[1]
        side = Qt.AlignmentFlag.AlignLeft if section == 0 else Qt.AlignmentFlag.AlignRight
        painter.setFont(self._theme.ui_font(12 if self._compact else 13))
        painter.setPen(self._theme.color("text3" if self._compact else "text2"))
        text = str(self.model().headerData(section, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))
        painter.drawText(rect.adjusted(pad, 0, -pad, 0), int(side | Qt.AlignmentFlag.AlignVCenter), text)


class _LedgerDelegate(QStyledItemDelegate):
    """Draws a cell: the square and the part, figures in the monospace face, where they come from in dim."""

    def __init__(self, theme: Theme, compact: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._compact = theme, compact

    def font(self, model: _LedgerModel, row: int, column: int) -> QFont:
        weight = QFont.Weight.Bold if model.is_sum(row) else QFont.Weight.Normal
        if 1 <= column <= model.n_numbers:
            return self._theme.mono_font(12, weight)
        return self._theme.ui_font(12 if self._compact else 13, weight)

    def width_of(self, model: _LedgerModel, column: int) -> int:
        """The width at which no cell of a column is cut."""
        texts = [(model.text(row, column), self.font(model, row, column)) for row in range(model.rowCount())]
        widest = max((QFontMetrics(font).horizontalAdvance(text) for text, font in texts), default=0)
        header = QFontMetrics(self._theme.ui_font(12 if self._compact else 13)).horizontalAdvance(model.headers[column])
        square = (14 if self._compact else 18) if column == 0 else 0
        return max(widest + square, header) + (Theme.SPACE[2] if self._compact else 2 * Theme.SPACE[1] + 2)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        model = index.model()
        if not isinstance(model, _LedgerModel):
            return
        theme, rect = self._theme, option.rect
        row, column = index.row(), index.column()
        painter.save()
        state = option.state
        table = self.parent()
        focused = isinstance(table, QWidget) and table.hasFocus()
        if state & option.state.State_Selected and focused:
            painter.fillRect(rect, theme.color("accent_tint"))
        if not self._compact:
            painter.setPen(QPen(theme.color("hairline"), 1))
            painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        pad = 0 if self._compact else Theme.SPACE[1]
        area = rect.adjusted(pad, 0, -pad, 0)
        side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
        if column == 0 and not model.is_sum(row):
            role = model.rows[row].color_role
            if role is not None:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(role_color(theme, role))
                size = 9 if self._compact else 10
                painter.drawRoundedRect(QRectF(area.left(), rect.center().y() - size / 2 + 0.5, size, size), 2, 2)
                area.adjust(size + (5 if self._compact else 8), 0, 0, 0)
        font = self.font(model, row, column)
        painter.setFont(font)
        ink = "text3" if column > model.n_numbers else "text2" if self._compact and column == 0 else "text1"
        if model.is_sum(row):
            ink = "text1"
        painter.setPen(theme.color(ink))
        text = QFontMetrics(font).elidedText(model.text(row, column), Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), text)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(40, self.row_height())

    def row_height(self) -> int:
        return self._theme.px(20 if self._compact else 32)


class LedgerTable(QTableView):
    """Parts and their amounts, as high as its rows; scrolling is the page's."""

    def __init__(
        self,
        theme: Theme,
        columns: Sequence[str],
        *,
        name: str,
        has_how: bool = True,
        compact: bool = False,
        has_sum: bool = True,
        missing: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """An empty table.

        Args:
            theme: the look.
            columns: the headers of the number columns (“Predicted”, “Measured”, or devices).
            name: the accessible name.
            has_how: whether there is a last column that says where the numbers come from.
            compact: close rows without lines, for the inspector.
            has_sum: whether the sum stands under the rows.
            missing: what stands for an amount that is None; “unknown” if not given.
            parent: Qt's parent.
        """
        super().__init__(parent)
        self._theme, self._compact, self._has_how = theme, compact, has_how
        how = self.tr("How") if has_how else ""
        sum_label = self.tr("Sum") if has_sum else ""
        self._model = _LedgerModel(
            self.tr("Part"), columns, how, sum_label, unknown_text() if missing is None else missing, self
        )
        self._delegate = _LedgerDelegate(theme, compact, self)
        self.setModel(self._model)
        self.setItemDelegate(self._delegate)
        self.setHorizontalHeader(_LedgerHeader(theme, compact, self))
        self.horizontalHeader().setMinimumSectionSize(20)
        self.verticalHeader().hide()
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setStyleSheet("QTableView { background: transparent; border: none; }")
        self.viewport().setAutoFillBackground(False)
        theme.changed.connect(self._fit)
        self._fit()

    def set_rows(self, rows: Sequence[LedgerRow]) -> None:
        """Show these parts. ValueError if one has not as many amounts as there are columns."""
        if tuple(rows) == self._model.rows:
            return
        self._model.set_rows(rows)
        self._fit()

    def rows(self) -> tuple[LedgerRow, ...]:
        return self._model.rows

    def sums(self) -> list[int | None]:
        """The sum of the known amounts in each column, in bytes; None where nothing is known."""
        return [amount for amount, _ in sums_of(self._model.rows, self._model.n_numbers)]

    def as_tsv(self, selected_only: bool = False) -> str:
        """The table with tabs between cells, amounts in whole bytes, the sum at the end."""
        model = self._model
        chosen = sorted({index.row() for index in self.selectedIndexes()}) if selected_only else []
        lines = [
            [f"{text} (bytes)" if 1 <= at <= model.n_numbers else text for at, text in enumerate(model.headers)],
            *([model.exact(row, at) for at in range(model.columnCount())] for row in chosen or range(model.rowCount())),
        ]
        return "".join("\t".join(cell.replace("\t", " ") for cell in line) + "\n" for line in lines)

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
        width = sum(self._delegate.width_of(self._model, at) for at in range(self._model.columnCount()))
        return QSize(width, self._full_height())

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self._full_height())

    def paintEvent(self, event: object) -> None:
        super().paintEvent(event)  # type: ignore[arg-type]
        if self.hasFocus():
            painter = QPainter(self.viewport())
            draw_focus_ring(painter, QRectF(self.viewport().rect()), self._theme, 4)

    def _full_height(self) -> int:
        return self.horizontalHeader().sizeHint().height() + self._model.rowCount() * self._delegate.row_height()

    def _fit(self) -> None:
        header = self.horizontalHeader()
        self.verticalHeader().setDefaultSectionSize(self._delegate.row_height())
        self.verticalHeader().setMinimumSectionSize(self._delegate.row_height())
        last = self._model.columnCount() - 1
        stretched = last if self._has_how else 0
        for column in range(last + 1):
            fixed = column != stretched
            mode = QHeaderView.ResizeMode.Fixed if fixed else QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(column, mode)
            if fixed:
                header.resizeSection(column, self._delegate.width_of(self._model, column))
        self.setFixedHeight(self._full_height())
        self.updateGeometry()
        self.viewport().update()
