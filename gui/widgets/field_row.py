"""What stands around an editor: its label, the dot that says “changed”, the way back, a note, and what is wrong.

The dot is the reset button too: it is there exactly when there is something to reset, takes no room of its own, and
turns into an arrow under the mouse or the focus. A double click on the label does the same.
"""

from __future__ import annotations

import html
import re

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.base.fields import Field, FieldKind, Value
from gui.theme import Theme, set_kind
from gui.widgets.editor import Editor
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.number_field import NumberField
from gui.widgets.paint import draw_focus_ring, draw_reset_arrow
from gui.widgets.text_field import TextField

LABEL_WIDTH = 92
_LEAST_LABEL = 64
_PLACE = re.compile(r"\bline (\d{1,7})(?:,? col(?:umn)? (\d{1,7}))?\b", re.IGNORECASE)


class ResetDot(QPushButton):
    """A dot in the accent, an arrow when pointed at; draws nothing and takes no focus while there is nothing to reset."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._active = False
        self.setFixedSize(16, 16)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setEnabled(False)
        self.setStyleSheet("QPushButton { min-height: 16px; max-height: 16px; padding: 0; }")  # lengths only
        theme.changed.connect(self.update)

    def set_active(self, active: bool) -> None:
        if active == self._active:
            return
        had_focus = self.hasFocus()
        self._active = active
        self.setEnabled(active)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if active else Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor if active else Qt.CursorShape.ArrowCursor)
        if had_focus and not active:
            self.focusNextChild()
        self.update()

    @property
    def is_active(self) -> bool:
        return self._active

    def sizeHint(self) -> QSize:
        return QSize(16, 16)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._active:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self.underMouse() or self.hasFocus():
            draw_reset_arrow(painter, rect, self._theme.color("accent"))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.color("accent"))
            painter.drawEllipse(QPointF(rect.center()), 4, 4)
        if self.hasFocus():
            draw_focus_ring(painter, rect, self._theme, 4)


class FieldRow(QWidget):
    """One editor with everything around it.

    Signals: `value_changed(value)` when a person changed it; `refused(text)` as the editor's.
    """

    value_changed = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, editor: Editor, *, compact: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._compact = compact
        self.editor = editor
        field = editor.field
        self.label = ElidedLabel(field.label, self)
        set_kind(self.label, "dim")
        self.label.setBuddy(editor.control())
        self.label.installEventFilter(self)
        self.dot = ResetDot(theme, self)
        self.dot.clicked.connect(editor.reset)
        self._note = _remark(self)
        self._error = _remark(self)
        set_kind(self._error, "bad")
        self._go_to = QPushButton(self)
        set_kind(self._go_to, "link")
        self._go_to.hide()
        self._go_to.clicked.connect(self._show_place)
        self._lay_out()
        self._name_things()
        editor.value_changed.connect(self._changed)
        editor.refused.connect(self.set_error)
        self._restyle()
        theme.changed.connect(self._restyle)
        self.refresh()

    @property
    def field(self) -> Field:
        return self.editor.field

    def value(self) -> Value:
        return self.editor.value()

    def set_value(self, value: Value) -> None:
        """Show a value without emitting; an error about another value goes."""
        if value != self.editor.value():
            self.set_error("")
        self.editor.set_value(value)
        self.refresh()

    @property
    def is_changed(self) -> bool:
        return self.editor.value() != self.editor.field.default

    @property
    def error(self) -> str:
        """The error under the editor, "" if there is none."""
        return self._error.text()

    def set_error(self, text: str) -> None:
        """Explain under the editor what is wrong; "" takes the explanation away."""
        self._error.setText(text)
        self._error.setVisible(bool(text))
        place = place_in(text) if isinstance(self.editor, TextField) else None
        self._go_to.setVisible(place is not None)
        if place is not None:
            shown = self.tr("Go to line {line}, column {column}").format(line=place[0], column=place[1])
            self._go_to.setText(shown)
            self._go_to.setAccessibleName(shown)
        self.refused.emit(text)

    @property
    def note(self) -> str:
        """The remark under the editor, "" if there is none."""
        return self._note.text()

    def set_note(self, text: str, kind: str = "") -> None:
        """A remark under the editor: between the slider's ends where there are any, else on a line of its own.

        `kind`: "", "good", "warning" or "bad".
        """
        self._note.setText(text)
        is_placed = isinstance(self.editor, NumberField) and self.editor.set_note(text, kind)
        set_kind(self._note, kind or "caption")
        self._note.setVisible(bool(text) and not is_placed)

    def set_label_width(self, width: int) -> None:
        """One width for the labels of a whole compact form, so that its editors align."""
        if self._compact and self.editor.field.kind is not FieldKind.BOOL:
            self._head.set_wanted(width)

    def wanted_label_width(self) -> int:
        """The width at which the label and its dot fit."""
        if self.editor.field.kind is FieldKind.BOOL:
            return 0
        return self.label.fontMetrics().horizontalAdvance(self.label.text()) + 2 + self.dot.width() + 2

    def refresh(self) -> None:
        """Bring the dot in line with the value."""
        self.dot.set_active(self.is_changed and self.isEnabled())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.label and event.type() == QEvent.Type.MouseButtonDblClick:
            self.editor.reset()
            self.refresh()
            return True
        return super().eventFilter(watched, event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange:
            self.refresh()

    # ---- building

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        self._head = LabelHead(self)
        head = QHBoxLayout(self._head)
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(2)
        head.addWidget(self.label)
        head.addWidget(self.dot)
        head.addStretch(1)
        editor, widget = self.editor, self.editor
        headline = editor.headline()
        if self._compact:
            line = QHBoxLayout()
            line.setSpacing(Theme.SPACE[1])
            is_list = editor.field.kind is FieldKind.TEXT_LIST
            line.addWidget(self._head, 0 if headline is None else 1, _top(is_list))
            column.addLayout(line)
            if editor.field.multiline:  # a grammar needs the whole width
                line.addStretch(1)
                column.addWidget(widget)  # type: ignore[arg-type]
            else:
                line.addWidget(widget, 1 if headline is None else 0)  # type: ignore[arg-type]
        else:
            if headline is not None:
                head.addWidget(headline)
            column.addWidget(self._head)
            if editor.has_body():
                column.addWidget(widget)  # type: ignore[arg-type]
            elif editor.field.kind is not FieldKind.BOOL:  # a number without slider: only its box is shown
                widget.setParent(self)  # type: ignore[attr-defined]
                widget.hide()  # type: ignore[attr-defined]
        column.addWidget(self._note)
        column.addWidget(self._error)
        column.addWidget(self._go_to, 0, Qt.AlignmentFlag.AlignLeft)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _name_things(self) -> None:
        field = self.editor.field
        unit = f", {field.unit}" if field.unit else ""
        self.editor.set_names(field.label + unit, field.help)
        default = field.format(field.default).replace("\n", ", ") or self.tr("empty")
        self.dot.setAccessibleName(self.tr("Reset {label} to {value}").format(label=field.label, value=default))
        self.dot.setToolTip(self.dot.accessibleName())
        tip = help_tip(field, self)
        self.label.set_tip(tip)
        self._head.setToolTip(tip)
        control = self.editor.control()
        control.setToolTip(tip)

    def _restyle(self) -> None:
        for each in (self._note, self._error):
            # A size only; setFont is lost when the style sheet is applied to a label of these kinds.
            each.setStyleSheet(f"QLabel {{ font-size: {self._theme.px(12)}px; }}")

    def _changed(self, value: object) -> None:
        self.set_error("")
        self.refresh()
        self.value_changed.emit(value)

    def _show_place(self) -> None:
        place = place_in(self.error)
        if place is not None and isinstance(self.editor, TextField):
            self.editor.go_to(*place)


class LabelHead(QWidget):
    """A label and its dot, as wide as the form says; narrower only where the editor would be cut."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._wanted = 0

    def set_wanted(self, width: int) -> None:
        """The width that aligns it with the other rows."""
        self._wanted = width
        self.setMaximumWidth(width)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(self._wanted or hint.width(), hint.height())

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        return QSize(min(self._wanted, _LEAST_LABEL) or hint.width(), hint.height())


def place_in(message: str) -> tuple[int, int] | None:
    """The line and column, counted from 1, that a message names (“line 3, column 5”, “line 3 column 5”, “line 3”)."""
    found = _PLACE.search(message)
    return (int(found[1]), int(found[2] or 1)) if found else None


def help_tip(field: Field, translator: QObject) -> str:
    """The tooltip of a field: what it does; its range, unit and default; where the definition comes from."""
    tr = translator.tr
    facts = []
    low = None if field.minimum is None else field.format(field.check(field.minimum))
    high = None if field.maximum is None else field.format(field.check(field.maximum))
    unit = f" {field.unit}" if field.unit else ""
    if low is not None and high is not None:
        facts.append(tr("{low} to {high}{unit}").format(low=low, high=high, unit=unit))
    elif low is not None:
        facts.append(tr("at least {low}{unit}").format(low=low, unit=unit))
    default = field.format(field.default).replace("\n", ", ") or tr("empty")
    facts.append(tr("default {value}").format(value=default))
    if field.neutral is not None:
        facts.append(tr("{value} changes nothing").format(value=field.format(field.neutral)))
    lines = [f"<b>{html.escape(field.label)}</b>", html.escape(field.help), html.escape(" · ".join(facts))]
    if field.source:
        lines.append(f"<i>{html.escape(field.source)}</i>")
    return "".join(f"<p style='margin:0 0 4px 0'>{line}</p>" for line in lines if line)


def _remark(parent: QWidget) -> QLabel:
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.hide()
    return label


def _top(is_top: bool) -> Qt.AlignmentFlag:
    return Qt.AlignmentFlag.AlignTop if is_top else Qt.AlignmentFlag.AlignVCenter
