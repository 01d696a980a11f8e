"""The slider of a number: a thin track, a disc, and a mark where the value changes nothing.

Painted by hand because the style sheet knows no marks. It holds positions only; which number a position means is
`slider_scale`'s. A click on the track goes there at once, keys and the wheel move by the field's own step (asked for
with signals), and the wheel moves nothing unless the slider has the focus, so that scrolling a form changes no value.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from gui.theme import Theme, mixed

_KNOB = 6.5
_KEYS = {
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
}


class NumberSlider(QSlider):
    """A horizontal slider that asks for steps.

    Signals:
        moved: the position a person dragged or clicked to.
        stepped: by how many steps the value should move; `paged`: the same in large steps (+1 or −1);
        went_to_end: 1 for the right end, −1 for the left; let_go: the drag ended.
    """

    moved = Signal(int)
    stepped = Signal(int)
    paged = Signal(int)
    went_to_end = Signal(int)
    let_go = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme = theme
        self._neutral: int | None = None
        self._dragging = False
        self._wheel = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def set_neutral(self, position: int | None) -> None:
        """Where the neutral mark stands; None for no mark."""
        self._neutral = position
        self.update()

    @property
    def is_dragging(self) -> bool:
        return self._dragging

    def x_of(self, position: int) -> float:
        """The middle of the disc at a position, in pixels from the left."""
        span = max(1, self.maximum() - self.minimum())
        return _KNOB + 1 + (position - self.minimum()) / span * (self.width() - 2 * (_KNOB + 1))

    def position_at(self, x: float) -> int:
        """The position nearest to `x` pixels from the left."""
        room = max(1.0, self.width() - 2 * (_KNOB + 1))
        share = min(1.0, max(0.0, (x - _KNOB - 1) / room))
        return self.minimum() + round(share * (self.maximum() - self.minimum()))

    # ---- hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self._dragging = True
        knob_x = self.x_of(self.value())
        if abs(event.position().x() - knob_x) > _KNOB:
            self._go(self.position_at(event.position().x()))
        self.update()
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._go(self.position_at(event.position().x()))
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._dragging:
            self._dragging = False
            self.let_go.emit()
            self.update()
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.hasFocus():
            event.ignore()
            return
        self._wheel += event.angleDelta().y()
        steps = int(self._wheel / 120)
        if steps:
            self._wheel -= steps * 120
            self.stepped.emit(steps)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _KEYS:
            mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
            sideways = key in (Qt.Key.Key_Left, Qt.Key.Key_Right)
            steps = _KEYS[key] * (-1 if mirrored and sideways else 1)
            big = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.stepped.emit(steps * (10 if big else 1))
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            self.paged.emit(1 if key == Qt.Key.Key_PageUp else -1)
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.went_to_end.emit(1 if key == Qt.Key.Key_End else -1)
        else:
            event.ignore()

    def _go(self, position: int) -> None:
        if position != self.value():
            self.setValue(position)
            self.moved.emit(position)

    # ---- looks

    def sizeHint(self) -> QSize:
        return QSize(120, 20)

    def minimumSizeHint(self) -> QSize:
        return QSize(48, 20)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, middle = self._theme, self.height() / 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            painter.translate(self.width(), 0)
            painter.scale(-1, 1)
        accent = theme.color("accent") if self.isEnabled() else theme.color("hairline")
        if self.isEnabled() and (self._dragging or self.underMouse()):
            accent = theme.color("accent").lighter(108)
        x = self.x_of(self.value())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("surface3"))
        painter.drawRoundedRect(QRectF(1, middle - 2, self.width() - 2, 4), 2, 2)
        painter.setBrush(accent)
        painter.drawRoundedRect(QRectF(1, middle - 2, max(0.0, x - 1), 4), 2, 2)
        if self._neutral is not None:
            mark_x = self.x_of(self._neutral)
            painter.setBrush(theme.color("text3"))
            painter.drawRoundedRect(QRectF(mark_x - 1, middle - 5, 2, 10), 1, 1)
        if self.hasFocus():
            halo = theme.color("accent")
            halo.setAlphaF(0.35)
            painter.setBrush(halo)
            painter.drawEllipse(QPointF(x, middle), _KNOB + 3, _KNOB + 3)
        palette = theme.palette
        inside = mixed(palette.text1, palette.surface2, 0.0 if theme.is_dark else 1.0)
        painter.setPen(QPen(accent, 3 if theme.is_dark else 2.6))
        painter.setBrush(theme.color("surface2") if not self.isEnabled() else inside)
        radius = _KNOB - 1.5
        painter.drawEllipse(QPointF(x, middle), radius, radius)
