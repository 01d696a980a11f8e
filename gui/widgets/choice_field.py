"""The editor of a choice: segments side by side for up to four short ones, a list to open for more.

Segments are radio buttons in another coat, so arrow keys and screen readers work as in any group of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QHelpEvent, QPainter, QPainterPath, QPaintEvent, QPalette, QPen, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QRadioButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QWidget,
)

from engine.base.fields import Field, FieldKind, Value
from gui.theme import Theme
from gui.widgets.paint import draw_focus_ring

_MOST_SEGMENTS = 4
_MOST_LETTERS = 40


class _Segment(QRadioButton):
    """One choice: a cell that is tinted when it is the chosen one."""

    def __init__(self, theme: Theme, text: str, height: int, parent: QWidget) -> None:
        super().__init__(text, parent)
        self._theme = theme
        self._height = height
        self.is_first = self.is_last = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def hitButton(self, position: QPoint) -> bool:  # noqa: N802 (Qt's name)
        return self.rect().contains(position)

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._theme.ui_font(13))
        return QSize(metrics.horizontalAdvance(self.text()) + 2 * Theme.SPACE[1] + 8, self._theme.px(self._height))

    def minimumSizeHint(self) -> QSize:
        metrics = QFontMetrics(self._theme.ui_font(13))
        return QSize(metrics.horizontalAdvance(self.text()) + 10, self._theme.px(self._height))

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, radius = self._theme, Theme.RADIUS_SMALL - 1
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.isChecked():
            painter.setClipPath(self._cell(radius))
            painter.fillRect(self.rect(), theme.color("accent_tint" if self.isEnabled() else "surface3"))
            painter.setClipping(False)
        elif not self.is_first and not self._left_is_checked():
            painter.setPen(QPen(theme.color("hairline"), 1))
            painter.drawLine(0, 5, 0, self.height() - 6)
        if self.isChecked():
            ink = "accent" if self.isEnabled() else "text3"
        else:
            ink = "text1" if self.isEnabled() and self.underMouse() else "text2" if self.isEnabled() else "text3"
        painter.setPen(theme.color(ink))
        weight = painter.font().Weight.DemiBold if self.isChecked() else painter.font().Weight.Normal
        font = theme.ui_font(13, weight)
        painter.setFont(font)
        text = QFontMetrics(font).elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width() - 6)
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), text)
        if self.hasFocus():
            draw_focus_ring(painter, QRectF(self.rect()), theme, radius)

    def _cell(self, radius: float) -> QPainterPath:
        """The cell's shape: round only at the ends of the row."""
        rect, path = QRectF(self.rect()), QPainterPath()
        path.addRoundedRect(rect, radius, radius)
        if not self.is_first:
            path.addRect(rect.adjusted(0, 0, -radius, 0))
        if not self.is_last:
            path.addRect(rect.adjusted(radius, 0, 0, 0))
        path.setFillRule(Qt.FillRule.WindingFill)
        return path

    def _left_is_checked(self) -> bool:
        row = self.parentWidget()
        return isinstance(row, SegmentedControl) and row.is_checked_before(self)


class SegmentedControl(QFrame):
    """A row of segments of which one is chosen. `chosen` emits its index when a person chose it."""

    chosen = Signal(int)

    def __init__(self, theme: Theme, texts: Sequence[str], height: int = 28, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        line = self._line = QHBoxLayout(self)
        line.setContentsMargins(1, 1, 1, 1)
        line.setSpacing(0)
        self.segments = [_Segment(theme, text, height - 2, self) for text in texts]
        for index, segment in enumerate(self.segments):
            segment.is_first, segment.is_last = index == 0, index == len(self.segments) - 1
            segment.clicked.connect(lambda _=False, at=index: self._choose(at))
            segment.toggled.connect(self.update_all)
            line.addWidget(segment, 1)
        self._index = 0
        if self.segments:
            self.segments[0].setChecked(True)
            self.setFocusProxy(self.segments[0])
        theme.changed.connect(self.update_all)

    def index(self) -> int:
        return self._index

    def set_index(self, index: int) -> None:
        """Show another choice without emitting."""
        self._index = index
        with QSignalBlocker(self.segments[index]):
            self.segments[index].setChecked(True)
        self.setFocusProxy(self.segments[index])
        self.update_all()

    def set_shares(self, shares: Sequence[int]) -> None:
        """How the room is shared between the segments, where one word is much longer than the others."""
        for segment, share in zip(self.segments, shares, strict=True):
            self._line.setStretchFactor(segment, share)

    def set_names(self, name: str, description: str) -> None:
        self.setAccessibleName(name)
        for segment in self.segments:
            segment.setAccessibleName(f"{name}: {segment.text()}")
            segment.setAccessibleDescription(description)

    def is_checked_before(self, segment: QRadioButton) -> bool:
        at = self.segments.index(segment)  # type: ignore[arg-type]
        return at > 0 and self.segments[at - 1].isChecked()

    def update_all(self) -> None:
        self.update()
        for segment in self.segments:
            segment.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.color("hairline"), 1))
        painter.setBrush(self._theme.color("surface2"))
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, Theme.RADIUS_SMALL, Theme.RADIUS_SMALL)

    def _choose(self, index: int) -> None:
        if index != self._index:
            self._index = index
            self.setFocusProxy(self.segments[index])
            self.chosen.emit(index)


class CalmComboBox(QComboBox):
    """A combo box that leaves the wheel to the page around it unless it has the focus, and shortens with “…”.

    QComboBox cuts a long choice in the middle of a letter. The middle is left out: the ends tell files apart.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(4)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def shown_text(self) -> str:
        """The choice as it stands on screen."""
        return self._shortened(self._option())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and not self.toolTip():
            text = self.currentText()
            QToolTip.showText(event.globalPos(), text if self.shown_text() != text else "", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        option = self._option()
        option.currentText = self._shortened(option)
        if self.currentIndex() < 0:
            option.palette.setBrush(QPalette.ColorRole.ButtonText, option.palette.placeholderText())
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def _option(self) -> QStyleOptionComboBox:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        if self.currentIndex() < 0:
            option.currentText = self.placeholderText()
        return option

    def _shortened(self, option: QStyleOptionComboBox) -> str:
        control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(control, option, part, self).width() - 2
        text, metrics = option.currentText, self.fontMetrics()
        if metrics.horizontalAdvance(text) <= room:
            return text  # elidedText rounds the other way
        return metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room)


class ChoiceField(QWidget):
    """Segments or a list for one CHOICE field."""

    value_changed = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, field: Field, *, compact: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if field.kind is not FieldKind.CHOICE:
            raise ValueError(f"{field.key} is no choice but {field.kind.value}")
        self._field = field
        self._value: Value = field.check(field.default)
        self.segments: SegmentedControl | None = None
        self.combo: CalmComboBox | None = None
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        n_letters = sum(len(choice) for choice in field.choices)
        if len(field.choices) <= _MOST_SEGMENTS and n_letters <= _MOST_LETTERS // (2 if compact else 1):
            self.segments = SegmentedControl(theme, field.choices, 24 if compact else 30, self)
            self.segments.chosen.connect(self._chosen)
            line.addWidget(self.segments)
        else:
            self.combo = CalmComboBox(self)
            self.combo.addItems(list(field.choices))
            self.combo.activated.connect(self._chosen)
            if compact:  # a length only: as high as the number boxes beside it
                self.combo.setStyleSheet(f"QComboBox {{ min-height: {theme.px(22)}px; padding-left: 7px; }}")
            line.addWidget(self.combo)
        self.set_value(self._value)

    @property
    def field(self) -> Field:
        return self._field

    def value(self) -> Value:
        return self._value

    def set_value(self, value: Value) -> None:
        self._value = self._field.check(value)
        index = self._field.choices.index(str(self._value))
        if self.segments is not None:
            self.segments.set_index(index)
        elif self.combo is not None:
            self.combo.setCurrentIndex(index)

    def reset(self) -> None:
        if self._value != self._field.default:
            self.set_value(self._field.default)
            self.value_changed.emit(self._value)

    def control(self) -> QWidget:
        if self.segments is not None:
            return self.segments
        return self.combo if self.combo is not None else self

    def headline(self) -> QWidget | None:
        return None

    def has_body(self) -> bool:
        return True

    def set_names(self, name: str, description: str) -> None:
        if self.segments is not None:
            self.segments.set_names(name, description)
        elif self.combo is not None:
            self.combo.setAccessibleName(name)
            self.combo.setAccessibleDescription(description)

    def _chosen(self, index: int) -> None:
        value = self._field.choices[index]
        if value != self._value:
            self._value = value
            self.value_changed.emit(value)
