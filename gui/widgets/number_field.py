"""The editor of a number: a slider for the hand and a box for the exact value, always in step.

What is typed is checked by the field itself, explained where it is wrong, and never sent on then. A drag sends
about thirty values a second, the last one always.
"""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from engine.base.fields import Field, FieldError, FieldKind, Value
from gui.theme import Theme, set_kind
from gui.widgets.number_box import NumberBox
from gui.widgets.number_slider import NumberSlider
from gui.widgets.slider_scale import paged, scale_of, stepped, within

THROTTLE_MS = 33
_WIDEST_BOX = 132
_SHORT_UNIT = 3
_LEAST_SLIDER = 26  # pixels, beside a label in a narrow column


class NumberField(QWidget):
    """Slider and box for one INT or FLOAT field.

    Signals:
        value_changed: a checked value that a person chose; while dragging at most every 33 ms.
        refused: why the typed text is not taken; "" once it is.
    """

    value_changed = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, field: Field, *, compact: bool = True, parent: QWidget | None = None) -> None:
        """Build the editor at the field's default.

        Args:
            theme: the look.
            field: an INT or FLOAT field.
            compact: slider and box on one line; otherwise the slider gets a line of its own with its ends under it,
                and the box is `headline()`, to be placed beside the label.
            parent: Qt's parent.
        """
        super().__init__(parent)
        if field.kind not in (FieldKind.INT, FieldKind.FLOAT):
            raise ValueError(f"{field.key} is no number but {field.kind.value}")
        self._theme = theme
        self._field = field
        self._compact = compact
        self._value: Value = field.check(field.default)
        self._scale = scale_of(field)
        self._complaint = ""
        self._unsent: Value | None = None
        self._throttle = QTimer(self, interval=THROTTLE_MS, singleShot=True)
        self._throttle.timeout.connect(self._send_waiting)

        self._unit = field.unit if len(field.unit) <= _SHORT_UNIT or not compact else ""
        self.box = NumberBox(theme, self._unit, 22 if compact else 24, self)
        self.slider = NumberSlider(theme, self)
        self._low_text, self._note, self._high_text = QLabel(self), QLabel(self), QLabel(self)
        self._lay_out()
        self._connect()
        self._fit()
        self._show_value()
        theme.changed.connect(self._fit)

    # ---- the editor's promises

    @property
    def field(self) -> Field:
        return self._field

    def value(self) -> Value:
        return self._value

    def set_value(self, value: Value) -> None:
        """Show a checked value without emitting. A text that is being typed survives being told its old value."""
        checked = self._field.check(value)
        if checked == self._value and (self._complaint or self.box.isModified()):
            return
        if self.slider.is_dragging:
            return  # the hand wins: an answer to an earlier value of this drag must not pull the knob back
        self._unsent = None
        self._value = checked
        self._complain("")
        self._show_value()

    def reset(self) -> None:
        self._complain("")
        self._take(self._field.default, at_once=True)
        self._show_value()

    def control(self) -> QWidget:
        return self.box

    def headline(self) -> QWidget | None:
        return None if self._compact else self.box

    def has_body(self) -> bool:
        return self._compact or self._scale is not None

    def set_names(self, name: str, description: str) -> None:
        self.box.setAccessibleName(name)
        self.box.setAccessibleDescription(description)
        self.slider.setAccessibleName(self.tr("{name}, slider").format(name=name))
        self._describe_slider()

    # ---- more

    @property
    def complaint(self) -> str:
        """Why the present text is not taken, or ""."""
        return self._complaint

    def set_soft_range(self, low: float | None, high: float | None) -> None:
        """Other ends for the slider (a model's own context), None for the field's. Emits nothing."""
        self._scale = scale_of(self._field, low, high)
        self._fit()
        self._show_value()

    def set_note(self, text: str, kind: str) -> bool:
        """A remark between the slider's ends; false if there is no room for one here (compact, or no slider)."""
        if self._compact or self._scale is None:
            return False
        self._note.setText(text)
        set_kind(self._note, kind or "caption")
        self._note.setStyleSheet(f"QLabel {{ font-size: {self._theme.px(12)}px; }}")  # a size only
        return True

    def wanted_box_width(self) -> int:
        """How wide the box should be for any value this slider can show, at most 132 px."""
        values = [self._value, self._field.default, *(value for value, _ in self._field.special)]
        if self._scale is not None:
            values += [self._scale.value_at(0), self._scale.value_at(self._scale.last)]
        widest = max(self.box.width_for(self._field.format(value), self._unit_of(value)) for value in values)
        return min(self._theme.px(_WIDEST_BOX), max(self._theme.px(52), widest))

    def set_box_width(self, width: int) -> None:
        """One width for the boxes of a whole form, so that its columns align."""
        self.box.setFixedWidth(width)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._send_waiting()

    # ---- building

    def _lay_out(self) -> None:
        if self._compact:
            self.slider.setMinimumWidth(_LEAST_SLIDER)
            line = QHBoxLayout(self)
            line.setContentsMargins(0, 0, 0, 0)
            line.setSpacing(Theme.SPACE[1])
            line.addWidget(self.slider, 1)
            line.addStretch(0)
            line.addWidget(self.box)
            for each in (self._low_text, self._note, self._high_text):
                each.hide()
            return
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.slider)
        ends = QHBoxLayout()
        ends.setContentsMargins(0, 0, 0, 0)
        ends.addWidget(self._low_text, 1, Qt.AlignmentFlag.AlignLeft)
        ends.addWidget(self._note, 0, Qt.AlignmentFlag.AlignCenter)
        ends.addWidget(self._high_text, 1, Qt.AlignmentFlag.AlignRight)
        column.addLayout(ends)
        for each in (self._low_text, self._note, self._high_text):
            set_kind(each, "caption")

    def _connect(self) -> None:
        self.slider.moved.connect(self._dragged)
        self.slider.let_go.connect(self._send_waiting)
        self.slider.went_to_end.connect(self._to_end)
        self.slider.stepped.connect(self._step)
        self.slider.paged.connect(self._page)
        self.box.stepped.connect(self._step)
        self.box.paged.connect(self._page)
        self.box.textEdited.connect(self._typing)
        self.box.committed.connect(self._commit)
        self.box.given_up.connect(self._give_up)

    def _fit(self) -> None:
        scale = self._scale
        self.slider.setVisible(scale is not None)
        if scale is not None:
            with QSignalBlocker(self.slider):
                self.slider.setRange(0, scale.last)
                self.slider.setValue(scale.position_of(float(self._value)))  # type: ignore[arg-type]
            neutral = self._field.neutral
            inside = isinstance(neutral, int | float) and scale.low <= neutral <= scale.high
            self.slider.set_neutral(scale.position_of(float(neutral)) if inside else None)  # type: ignore[arg-type]
            self._low_text.setText(self._field.format(scale.value_at(0)))
            self._high_text.setText(self._field.format(scale.value_at(scale.last)))
        if not self._compact:
            for each in (self._low_text, self._note, self._high_text):
                each.setVisible(scale is not None)
        self.set_box_width(self.wanted_box_width())

    # ---- from the hand

    def _dragged(self, position: int) -> None:
        if self._scale is not None:
            self._complain("")
            self._take(self._scale.value_at(position))
            self._show_text()

    def _step(self, n_steps: int) -> None:
        self._move_to(stepped(self._field, float(self._value), n_steps))  # type: ignore[arg-type]

    def _page(self, direction: int) -> None:
        self._move_to(paged(self._field, float(self._value), direction))  # type: ignore[arg-type]

    def _to_end(self, end: int) -> None:
        if self._scale is not None:
            self._move_to(self._scale.value_at(self._scale.last if end > 0 else 0))

    def _move_to(self, value: float) -> None:
        self._complain("")
        self._take(within(self._field, value))
        self._show_value()

    def _typing(self, text: str) -> None:
        """Nonsense is explained at once; what may still become a number is left alone until it is final."""
        if self._may_become_a_value(text):
            self._complain("")
            return
        try:
            self._field.parse(text)
        except FieldError as error:
            self._complain(error.trouble.sentence())
        else:
            self._complain("")

    def _commit(self) -> None:
        try:
            value = self._field.parse(self.box.text())
        except FieldError as error:
            self._complain(error.trouble.sentence())
            return
        self._complain("")
        self._take(value, at_once=True)
        self._show_value()

    def _give_up(self) -> None:
        self._complain("")
        self._show_value()

    def _may_become_a_value(self, text: str) -> bool:
        start = text.strip().casefold()
        if start in ("", "-", "+", ".", "-."):
            return True
        if any(meaning.casefold().startswith(start) for _, meaning in self._field.special):
            return True
        try:
            float(start.replace(",", "").rstrip("e-"))
        except ValueError:
            return False
        return self._field.kind is FieldKind.FLOAT or "." not in start

    # ---- to the window

    def _take(self, value: Value, *, at_once: bool = False) -> None:
        checked = self._field.check(value)
        if checked != self._value:
            self._value = checked
            self._unsent = checked
        if at_once or not self._throttle.isActive():
            self._send_waiting()

    def _send_waiting(self) -> None:
        if self._unsent is None:
            return
        value, self._unsent = self._unsent, None
        self._throttle.start()
        self.value_changed.emit(value)

    def _complain(self, complaint: str) -> None:
        if complaint == self._complaint:
            return
        self._complaint = complaint
        self.box.set_invalid(bool(complaint))
        self.refused.emit(complaint)

    def _show_value(self) -> None:
        if self._scale is not None:
            with QSignalBlocker(self.slider):
                self.slider.setValue(self._scale.position_of(float(self._value)))  # type: ignore[arg-type]
        self._show_text()

    def _show_text(self) -> None:
        text = self._field.format(self._value)
        if self.box.text() != text:
            self.box.setText(text)
        self.box.set_unit(self._unit_of(self._value))
        self.box.setModified(False)
        self._describe_slider()

    def _unit_of(self, value: Value) -> str:
        """The unit behind a value; none behind a word (“no limit”)."""
        return "" if any(special == value for special, _ in self._field.special) else self._unit

    def _describe_slider(self) -> None:
        is_word = any(special == self._value for special, _ in self._field.special)
        unit = f" {self._field.unit}" if self._field.unit and not is_word else ""
        self.slider.setAccessibleDescription(self._field.format(self._value) + unit)
