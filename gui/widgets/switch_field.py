"""The editor of yes or no: a small switch at the end of the label's line.

A check box in another coat: space, accessible role and state are Qt's own.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QWidget

from engine.base.fields import Field, FieldKind, Value
from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring


class Switch(QCheckBox):
    """A pill with a disc at its left (off) or right (on); a `quiet` one is smaller and shines less, for a whole list."""

    def __init__(self, theme: Theme, parent: QWidget | None = None, *, quiet: bool = False) -> None:
        super().__init__(parent)
        self._theme, self._quiet, self._dim = theme, quiet, False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.changed.connect(self.update)

    def set_dim(self, dim: bool) -> None:
        """Draw a quiet switch that is on without the accent: what it switches changes nothing now."""
        if dim != self._dim:
            self._dim = dim
            self.update()

    def hitButton(self, position: QPoint) -> bool:  # noqa: N802 (Qt's name)
        return self.rect().contains(position)

    def sizeHint(self) -> QSize:
        return QSize(24, 22) if self._quiet else QSize(34, 22)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pill = QRectF(0, 0, 22, 12) if self._quiet else QRectF(0, 0, 30, 16)
        half = pill.height() / 2
        pill.moveCenter(QPointF(self.rect().center()) + QPointF(0.5, 0.5))
        is_on, enabled = self.isChecked(), self.isEnabled()
        shines = is_on and enabled and not self._quiet
        if is_on and self._quiet and enabled:
            painter.setPen(QPen(theme.color("text3" if self._dim else "accent"), 1))
            painter.setBrush(theme.color("surface3" if self._dim else "accent_tint"))
        elif is_on:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent" if enabled else "hairline"))
        else:
            painter.setPen(QPen(theme.color("text3" if enabled else "hairline"), 1))
            painter.setBrush(theme.color("surface3" if self.underMouse() and enabled else "surface2"))
        painter.drawRoundedRect(pill.adjusted(0.5, 0.5, -0.5, -0.5), half - 0.5, half - 0.5)
        x = pill.right() - half if is_on else pill.left() + half
        painter.setPen(Qt.PenStyle.NoPen)
        knob = "on_accent" if shines else "accent" if is_on and not self._dim else "text3"
        painter.setBrush(theme.color(knob if enabled else "surface1"))
        painter.drawEllipse(QPointF(x, pill.center().y()), half - 3, half - 3)
        if self.hasFocus():
            draw_focus_ring(painter, pill.adjusted(-2, -2, 2, 2), theme, 9)


class SwitchField(QWidget):
    """A switch for one BOOL field; it is the headline of its row and has no body."""

    value_changed = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, field: Field, *, compact: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if field.kind is not FieldKind.BOOL:
            raise ValueError(f"{field.key} is no switch but {field.kind.value}")
        self._field = field
        self.switch = Switch(theme, self)
        self.switch.setChecked(bool(field.default))
        self.switch.clicked.connect(lambda on: self.value_changed.emit(bool(on)))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.switch)

    @property
    def field(self) -> Field:
        return self._field

    def value(self) -> Value:
        return self.switch.isChecked()

    def set_value(self, value: Value) -> None:
        with QSignalBlocker(self.switch):
            self.switch.setChecked(bool(self._field.check(value)))
        self.switch.update()

    def reset(self) -> None:
        if self.value() != self._field.default:
            self.set_value(self._field.default)
            self.value_changed.emit(self.value())

    def control(self) -> QWidget:
        return self.switch

    def headline(self) -> QWidget | None:
        return self

    def has_body(self) -> bool:
        return False

    def set_names(self, name: str, description: str) -> None:
        self.switch.setAccessibleName(name)
        self.switch.setAccessibleDescription(description)
