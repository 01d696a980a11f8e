"""Rows that can be put in another order: by their handles with the mouse, with Alt and the arrows by keyboard.

While a row is dragged nothing is laid out anew: a picture of it follows the pointer, the row itself fades, and a line
shows where it would stand. The list moves nothing by itself; it says what was asked for, and the owner decides and sets
the order. Rejected: QListWidget with item widgets (its drag is a system drag without a picture that can be controlled,
and rows of changing height need size hints by hand).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QRegion, QShortcut
from PySide6.QtWidgets import QApplication, QGraphicsOpacityEffect, QPushButton, QScrollArea, QVBoxLayout, QWidget

from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring

_FADED = 0.35
_SCROLL_MARGIN = 28  # logical pixels at the edge of a scroll area where a drag scrolls it
_DOT = 1.3


class DragHandle(QPushButton):
    """Six dots to take a row by. It only tells what the mouse does; the list acts.

    Signals: `taken` when the mouse went down, `dragged(global position)`, `dropped`, and `given_up` on Escape.
    """

    taken = Signal(QPoint)
    dragged = Signal(QPoint)
    dropped = Signal()
    given_up = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._is_down = False
        self.setFixedSize(12, 22)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setStyleSheet("QPushButton { min-height: 16px; padding: 0; }")  # lengths only; it paints itself
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(12, 22)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self._is_down = True
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            self.taken.emit(event.globalPosition().toPoint())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._is_down:
            self.dragged.emit(event.globalPosition().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._is_down:
            self._is_down = False
            self.dropped.emit()

    def event(self, event: QEvent) -> bool:
        if self._is_down and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()  # Escape ends the drag, not what the window would stop
                return True
            if event.type() == QEvent.Type.KeyPress:
                self._is_down = False
                self.given_up.emit()
                return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        is_lit = self.underMouse() or self.hasFocus()
        painter.setBrush(self._theme.color("text2" if is_lit else "text3"))
        middle = QPointF(self.rect().center()) + QPointF(0.5, 0.5)
        for x in (-2.25, 2.25):
            for y in (-4.5, 0.0, 4.5):
                painter.drawEllipse(middle + QPointF(x, y), _DOT, _DOT)
        if self.hasFocus():
            draw_focus_ring(painter, QRectF(self.rect()), self._theme, 4)


@dataclass(slots=True)
class _Drag:
    """A drag that goes on: the row, where in it the mouse took it, and whether it has really moved."""

    key: str
    start: QPoint
    ghost: QWidget | None = None
    place: int | None = None


class DragList(QWidget):
    """The rows under each other.

    Signals:
        move_asked: a row's key, and its new place counted among the other rows.
    """

    move_asked = Signal(str, int)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows: dict[str, QWidget] = {}
        self._drag: _Drag | None = None
        self._line = _DropLine(theme, self)
        self.setAccessibleName(name)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Theme.SPACE[0])
        for keys, step in (("Alt+Up", -1), ("Alt+Down", 1)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda step=step: self._step(step))

    # ---- the rows

    def add(self, key: str, row: QWidget, handle: DragHandle) -> None:
        """A new row at the end; `handle` is a child of it."""
        self._rows[key] = row
        self._column.addWidget(row)
        row.show()
        handle.taken.connect(lambda at, key=key: self._taken(key, at))
        handle.dragged.connect(self._dragged)
        handle.dropped.connect(self._dropped)
        handle.given_up.connect(self._end)

    def take(self, key: str, handle: DragHandle) -> QWidget:
        """The row, no longer in the list; its owner puts it elsewhere."""
        row = self._rows.pop(key)
        self._column.removeWidget(row)
        for signal in (handle.taken, handle.dragged, handle.dropped, handle.given_up):
            signal.disconnect()
        return row

    def order(self) -> tuple[str, ...]:
        """The rows, in their order."""
        return tuple(self._rows)

    def set_order(self, keys: Sequence[str]) -> None:
        """Put the rows in this order; every one must be named. The keyboard stays where it is."""
        if tuple(keys) == self.order():
            return
        self._rows = {key: self._rows[key] for key in keys}
        for place, row in enumerate(self._rows.values()):
            self._column.removeWidget(row)
            self._column.insertWidget(place, row)
        previous: QWidget | None = None
        for row in self._rows.values():
            if previous is not None:
                _tab_after(previous, row)
            previous = row

    @property
    def is_dragging(self) -> bool:
        """Whether a row follows the mouse now."""
        return self._drag is not None and self._drag.ghost is not None

    @property
    def drop_place(self) -> int | None:
        """Where the dragged row would stand among the others; None while nothing is dragged or it would stay."""
        return self._drag.place if self._drag is not None else None

    # ---- the keyboard

    def _step(self, step: int) -> None:
        focus = QApplication.focusWidget()
        for place, (key, row) in enumerate(self._rows.items()):
            if focus is not None and (focus is row or row.isAncestorOf(focus)):
                if 0 <= place + step < len(self._rows):
                    self.move_asked.emit(key, place + step)
                return

    # ---- the mouse

    def _taken(self, key: str, at: QPoint) -> None:
        self._drag = _Drag(key, at)

    def _dragged(self, at: QPoint) -> None:
        drag = self._drag
        if drag is None:
            return
        row = self._rows[drag.key]
        if drag.ghost is None:
            if (at - drag.start).manhattanLength() < QApplication.startDragDistance():
                return
            drag.ghost = _Ghost(self._theme, _picture(row), self)
            faded = QGraphicsOpacityEffect(row)
            faded.setOpacity(_FADED)
            row.setGraphicsEffect(faded)
        y = row.y() + at.y() - drag.start.y()
        drag.ghost.move(row.x(), min(max(y, -row.height() // 2), self.height() - row.height() // 2))
        self._show_place(drag, self.mapFromGlobal(at).y())
        self._scroll_to(at)

    def _show_place(self, drag: _Drag, y: int) -> None:
        others = [each for key, each in self._rows.items() if key != drag.key]
        place = sum(1 for each in others if each.y() + each.height() / 2 < y)
        own = self.order().index(drag.key)
        drag.place = None if place == own else place
        if drag.place is None:
            self._line.hide()
            return
        gap = self._column.spacing() // 2
        edge = others[place].y() - gap if place < len(others) else others[-1].geometry().bottom() + 1 + gap
        self._line.setGeometry(0, min(max(edge - 3, 0), self.height() - 6), self.width(), 6)
        self._line.show()
        self._line.raise_()

    def _dropped(self) -> None:
        drag = self._drag
        place = drag.place if drag is not None else None
        self._end()
        if drag is not None and place is not None:
            self.move_asked.emit(drag.key, place)

    def _end(self) -> None:
        drag, self._drag = self._drag, None
        self._line.hide()
        if drag is not None and drag.ghost is not None:
            drag.ghost.hide()
            drag.ghost.deleteLater()
            self._rows[drag.key].setGraphicsEffect(None)  # type: ignore[arg-type]  # None takes it away

    def _scroll_to(self, at: QPoint) -> None:
        parent = self.parentWidget()
        while parent is not None:
            if isinstance(parent, QScrollArea) and (inner := parent.widget()) is not None:
                inside = inner.mapFromGlobal(at)
                parent.ensureVisible(0, inside.y(), 0, _SCROLL_MARGIN)
                return
            parent = parent.parentWidget()


class _Ghost(QWidget):
    """The picture of the dragged row."""

    def __init__(self, theme: Theme, picture: QPixmap, owner: QWidget) -> None:
        super().__init__(owner)
        self._theme, self._picture = theme, picture
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.resize(QSize(picture.size()) / picture.devicePixelRatio())
        self.show()
        self.raise_()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(0.92)
        painter.setPen(QPen(theme.color("hairline"), 1))
        painter.setBrush(theme.color("surface2"))
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(area, theme.RADIUS_SMALL, theme.RADIUS_SMALL)
        painter.drawPixmap(0, 0, self._picture)


class _DropLine(QWidget):
    """Where the row would stand: a line in the accent with a dot at its beginning."""

    def __init__(self, theme: Theme, owner: QWidget) -> None:
        super().__init__(owner)
        self._theme = theme
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("accent"))
        painter.drawRoundedRect(QRectF(3, 2, self.width() - 3, 2), 1, 1)
        painter.drawEllipse(QPointF(3, 3), 3, 3)


def _picture(row: QWidget) -> QPixmap:
    """The row as it looks, without a background."""
    ratio = row.devicePixelRatioF()
    picture = QPixmap(row.size() * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    row.render(picture, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    return picture


def _tab_after(previous: QWidget, row: QWidget) -> None:
    """Make Tab go from the last control of one row to the first of the next."""
    last = _controls(previous)
    own = _controls(row)
    before = last[-1] if last else None
    for each in own:
        if before is not None:
            QWidget.setTabOrder(before, each)
        before = each


def _controls(row: QWidget) -> list[QWidget]:
    """The controls of a row in the order of Tab."""
    found: list[QWidget] = []
    each = row.nextInFocusChain()
    while each is not None and row.isAncestorOf(each):
        if each.focusPolicy() & Qt.FocusPolicy.TabFocus:
            found.append(each)
        each = each.nextInFocusChain()
    return found
