"""Rows that paint themselves: one selection, for mouse, arrow keys and screen reader, a tooltip a row, copy as TSV.

What bars, the steps of a chain and the branches of a tree share. Subclasses say how many rows there are and paint
one. Rejected: QListView with a delegate (a model and an index for ten rows that change sixty times a second), a label
a row (a layout pass each time a slider moves).
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QContextMenuEvent,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolTip, QWidget

from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring
from gui.widgets.plain_tip import plain_tip

_STEPS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}


class RowList(QWidget):
    """A column of rows under an optional head.

    Signals:
        selected: the row that a person went to; activated: the row that was clicked, or chosen with Enter.
    """

    selected = Signal(int)
    activated = Signal(int)

    def __init__(self, theme: Theme, name: str, *, row_height: int = 22, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self._name, self._row_height = name, row_height
        self._row = -1
        self._hovered = -1
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self._restyle)

    # ---- what a subclass says

    def n_rows(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def can_select(self, row: int) -> bool:
        """Whether a row is more than a remark."""
        return True

    def n_places(self) -> int:
        """For how many rows there is room; more than there are keeps the height while they come and go."""
        return self.n_rows()

    def head_height(self) -> int:
        """Pixels over the first row."""
        return 0

    def paint_head(self, painter: QPainter, rect: QRect) -> None:
        """Draw what stands over the rows."""

    def paint_row(self, painter: QPainter, rect: QRect, row: int) -> None:
        """Draw one row; its background is there."""
        raise NotImplementedError

    def tip_of(self, row: int) -> str:
        """What is said about a row when the mouse rests on it."""
        return ""

    def spoken(self, row: int) -> str:
        """A row in words."""
        raise NotImplementedError

    def as_tsv(self) -> str:
        """All rows with tabs between cells, a line of titles first."""
        raise NotImplementedError

    # ---- selection

    @property
    def row(self) -> int:
        """The selected row, −1 for none."""
        return self._row

    def select(self, row: int) -> None:
        """Select a row without telling anybody; −1 for none."""
        row = row if 0 <= row < self.n_rows() and self.can_select(row) else -1
        if row != self._row:
            self._row = row
            self.update()
        self._describe()

    def row_at(self, y: float) -> int:
        """The row at `y` pixels from the top, −1 for none."""
        row = int((y - self.head_height()) // self.row_height())
        return row if y >= self.head_height() and 0 <= row < self.n_rows() else -1

    def rect_of(self, row: int) -> QRect:
        """Where a row stands."""
        height = self.row_height()
        return QRect(0, self.head_height() + row * height, self.width(), height)

    def row_height(self) -> int:
        return self.theme.px(self._row_height)

    def rows_changed(self) -> None:
        """The rows are others now: a subclass calls it."""
        if self._row >= self.n_rows():
            self._row = -1
        self._hovered = min(self._hovered, self.n_rows() - 1)
        self.updateGeometry()
        self._describe()
        self.update()

    def copy(self) -> None:
        """Put the table on the clipboard."""
        QGuiApplication.clipboard().setText(self.as_tsv())

    def make_menu(self) -> QMenu:
        """The context menu: copy as a table."""
        menu = QMenu(self)
        menu.addAction(self.tr("Copy as TSV"), self.copy)
        return menu

    # ---- hands

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = self.row_at(event.pos().y())
            text = self.tip_of(row) if row >= 0 else ""
            QToolTip.showText(event.globalPos(), plain_tip(text), self, self.rect_of(row) if row >= 0 else QRect())
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = self.row_at(event.position().y())
        if event.button() != Qt.MouseButton.LeftButton or row < 0 or not self.can_select(row):
            event.ignore()
            return
        self._go(row)
        self.activated.emit(row)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        row = self.row_at(event.position().y())
        row = row if row >= 0 and self.can_select(row) else -1
        if row != self._hovered:
            self._hovered = row
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = -1
        self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.make_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        rows = [each for each in range(self.n_rows()) if self.can_select(each)]
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif key in _STEPS and rows:
            self._go(self._beside(rows, _STEPS[key]))
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End) and rows:
            self._go(rows[0] if key == Qt.Key.Key_Home else rows[-1])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._row >= 0:
            self.activated.emit(self._row)
        else:
            event.ignore()

    def _beside(self, rows: Sequence[int], step: int) -> int:
        if self._row not in rows:
            return rows[0] if step > 0 else rows[-1]
        return rows[min(max(rows.index(self._row) + step, 0), len(rows) - 1)]

    def _go(self, row: int) -> None:
        if row != self._row:
            self.select(row)
            self.selected.emit(row)

    # ---- looks

    def sizeHint(self) -> QSize:
        return QSize(240, self.head_height() + self.n_places() * self.row_height())

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self.head_height():
            self.paint_head(painter, QRect(0, 0, self.width(), self.head_height()))
        for row in range(self.n_rows()):
            rect = self.rect_of(row)
            if not rect.intersects(event.rect()):
                continue
            if row in (self._row, self._hovered):
                painter.save()
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self.theme.color("surface3" if row == self._row else "surface2"))
                painter.drawRoundedRect(QRectF(rect), 4, 4)
                painter.restore()
            self.paint_row(painter, rect, row)
            if row == self._row and self.hasFocus():
                draw_focus_ring(painter, QRectF(rect), self.theme, 4)
        if self.hasFocus() and self._row < 0:
            draw_focus_ring(painter, QRectF(self.rect()), self.theme, 4)

    def _restyle(self) -> None:
        self.updateGeometry()
        self.update()

    def _describe(self) -> None:
        text = self.spoken(self._row) if self._row >= 0 else ""
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.DescriptionChanged))
