"""The box of a number: figures in the monospace face at the right edge, the unit behind them, steps by keys and wheel.

A line edit and not a spin box: QSpinBox ends at 2³¹, knows no “no limit” beside a number, and hides a wrong text
instead of explaining it. The box only edits text; what the text means is decided by `number_field`.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QWidget

from gui.theme import Theme, repolish, set_kind

_PADDING = 7


class NumberBox(QLineEdit):
    """A line of figures.

    Signals: `committed` when the text is final (Enter, or the focus left after typing), `given_up` on Escape,
    `stepped` and `paged` as the slider's.
    """

    committed = Signal()
    given_up = Signal()
    stepped = Signal(int)
    paged = Signal(int)

    def __init__(self, theme: Theme, unit: str = "", height: int = 28, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._unit = unit
        self._height = height
        self._wheel = 0
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        set_kind(self, "mono")
        self.returnPressed.connect(self.committed)
        self._restyle()
        theme.changed.connect(self._restyle)

    def set_invalid(self, invalid: bool) -> None:
        """Draw the frame in the colour of errors."""
        if bool(self.property("invalid")) != invalid:
            self.setProperty("invalid", invalid)
            repolish(self)

    def set_unit(self, unit: str) -> None:
        """The unit behind the figures, "" for none."""
        if unit != self._unit:
            self._unit = unit
            self.setTextMargins(0, 0, self._unit_width(unit), 0)
            self.update()

    def width_for(self, text: str, unit: str) -> int:
        """How wide the box must be to show a text with a unit behind it."""
        metrics = QFontMetrics(self._theme.mono_font(12))
        return metrics.horizontalAdvance(text) + self._unit_width(unit) + 2 * _PADDING + 6

    def event(self, event: QEvent) -> bool:
        # Up, Down and Escape are ours even where a shortcut of the window has the same key, but only to leave typing.
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
            and self.isModified()
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                steps = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
                self.stepped.emit(steps if event.key() == Qt.Key.Key_Up else -steps)
            case Qt.Key.Key_PageUp | Qt.Key.Key_PageDown:
                self.paged.emit(1 if event.key() == Qt.Key.Key_PageUp else -1)
            case Qt.Key.Key_Escape if self.isModified():
                self.given_up.emit()
            case _:
                super().keyPressEvent(event)

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

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self.selectAll()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if self.isModified() and event.reason() != Qt.FocusReason.PopupFocusReason:
            self.committed.emit()

    def sizeHint(self) -> QSize:
        return QSize(self.minimumWidth(), self._theme.px(self._height))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._unit:
            return
        painter = QPainter(self)
        painter.setFont(self._theme.ui_font(12))
        painter.setPen(self._theme.color("text3"))
        area = QRect(0, 0, self.width() - _PADDING, self.height())
        painter.drawText(area, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), self._unit)

    def _unit_width(self, unit: str) -> int:
        return QFontMetrics(self._theme.ui_font(12)).horizontalAdvance(unit) + 4 if unit else 0

    def _restyle(self) -> None:
        # Lengths only: the colours stay the theme's. The general rule for line edits is made for a line of its own.
        inner = self._theme.px(self._height) - 2
        self.setStyleSheet(
            f"QLineEdit {{ min-height: {inner}px; max-height: {inner}px; padding: 0 {_PADDING - 2}px; }}"
        )
        self.setTextMargins(0, 0, self._unit_width(self._unit), 0)
