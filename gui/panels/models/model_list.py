"""The list of model files: two lines each, painted, so that thousands of files cost no widgets."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QFrame, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from gui.panels.models import words
from gui.panels.models.presenter import Row, State
from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring
from gui.widgets.quantities import bytes_text

_Index = QModelIndex | QPersistentModelIndex
_ANY_INDEX = QModelIndex()
ROW_HEIGHT = 52
_SIDE_ROLES = {
    State.LOADED: "good",
    State.LOADING: "accent",
    State.BROKEN: "bad",
    State.MISSING: "warning",
    State.OTHER: "text3",
    State.READY: "text3",
}


class _Model(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()

    def set_rows(self, rows: tuple[Row, ...]) -> None:
        if [row.path for row in rows] == [row.path for row in self.rows]:
            self.rows = rows
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: _Index = _ANY_INDEX) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return words.row_title(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return words.row_spoken(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return str(row.path)
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(120, self._theme.px(ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        model = index.model()
        if not isinstance(model, _Model):
            return
        theme, row = self._theme, model.rows[index.row()]
        cell = QRectF(option.rect).adjusted(0, 1, 0, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if selected or hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            fill = theme.color("surface3")
            if not selected:
                fill.setAlphaF(0.55)
            painter.setBrush(fill)
            painter.drawRoundedRect(cell, Theme.RADIUS_SMALL, Theme.RADIUS_SMALL)
        if option.state & QStyle.StateFlag.State_HasFocus and self._has_keyboard():
            draw_focus_ring(painter, cell, theme, Theme.RADIUS_SMALL)
        inner = option.rect.adjusted(10, 7, -10, -7)
        height = inner.height() // 2
        above = QRect(inner.left(), inner.top(), inner.width(), height)
        below = QRect(inner.left(), inner.top() + height, inner.width(), inner.height() - height)
        is_usable = row.state in (State.READY, State.LOADED, State.LOADING)
        weight = QFont.Weight.DemiBold if row.state is State.LOADED else QFont.Weight.Normal
        card = row.entry.card
        size = bytes_text(card.size_bytes) if card is not None else ""
        ink = "text1" if is_usable else "text2"
        self._line(
            painter, above, words.row_title(row), theme.ui_font(13, weight), ink, size, theme.mono_font(12), "text2"
        )
        side_ink = _SIDE_ROLES[row.state]
        side = words.row_side(row)
        mark = "\N{BLACK CIRCLE} " if row.state in (State.LOADED, State.LOADING) else ""
        small = theme.ui_font(12)
        facts_ink = "bad" if row.state is State.BROKEN else "text3"
        self._line(painter, below, words.row_facts(row), small, facts_ink, mark + side, small, side_ink)
        painter.restore()

    def _has_keyboard(self) -> bool:
        view = self.parent()
        return isinstance(view, QWidget) and view.hasFocus()

    def _line(
        self,
        painter: QPainter,
        rect: QRect,
        text: str,
        font: QFont,
        ink: str,
        side: str,
        side_font: QFont,
        side_ink: str,
    ) -> None:
        """A text at the left and one at the right; the left one gives way."""
        metrics = QFontMetrics(side_font)
        wide = min(metrics.horizontalAdvance(side) + 2, rect.width() // 2)  # elidedText rounds the other way
        painter.setFont(side_font)
        painter.setPen(self._theme.color(side_ink))
        middle = Qt.AlignmentFlag.AlignVCenter
        shown = metrics.elidedText(side, Qt.TextElideMode.ElideRight, wide)
        painter.drawText(rect, int(middle | Qt.AlignmentFlag.AlignRight), shown)
        room = rect.width() - (wide + 10 if side else 0)
        painter.setFont(font)
        painter.setPen(self._theme.color(ink))
        shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(rect, int(middle | Qt.AlignmentFlag.AlignLeft), shown)


class ModelList(QListView):
    """The rows.

    Signals:
        chosen: a path, when a person moved to a row.
        load_wanted: Enter or a double click on the present row.
    """

    chosen = Signal(object)
    load_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model(self)
        self._showing = False
        self.setModel(self._model)
        self.setItemDelegate(_Delegate(theme, self))
        self.setAccessibleName(self.tr("Models on this computer"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.selectionModel().currentChanged.connect(self._moved)
        self.activated.connect(lambda _index: self.load_wanted.emit())
        theme.changed.connect(lambda: self.viewport().update())

    def show_rows(self, rows: tuple[Row, ...], selected: Path | None) -> None:
        """Show these rows and mark one, without emitting."""
        self._showing = True
        try:
            if rows != self._model.rows:
                self._model.set_rows(rows)
            at = next((n for n, row in enumerate(rows) if row.path == selected), -1)
            if at != self.currentIndex().row():
                self.setCurrentIndex(self._model.index(at) if at >= 0 else QModelIndex())
                self.scrollTo(self.currentIndex())
        finally:
            self._showing = False

    def rows(self) -> tuple[Row, ...]:
        return self._model.rows

    def _moved(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if not self._showing and current.isValid():
            self.chosen.emit(self._model.rows[current.row()].path)
