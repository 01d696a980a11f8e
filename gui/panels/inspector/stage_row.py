"""One stage of the sampler chain as a row: handle, switch, name, and its value; the other fields in a fold under it.

A stage whose number bears its name (top-k) has that number's slider in the row itself, because it is what people reach
for; any other stage says its values in a few words. The fold's form is made when it is first opened: fifteen stages
would make sixty editors that nobody looks at. What a person typed and the chain refused stays in its editor.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.base.fields import Value
from gui.forms import Form
from gui.panels.inspector.presenter.stages import StageRow
from gui.theme import Theme, set_kind
from gui.widgets.drag_list import DragHandle
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.field_row import LabelHead, ResetDot, help_tip
from gui.widgets.number_field import NumberField
from gui.widgets.paint import draw_chevron, draw_focus_ring
from gui.widgets.switch_field import Switch

_CHEVRON = 12
_WIDEST_NAME = 108  # logical pixels
_INDENT = 14


class StageName(QPushButton):
    """The stage's name; with a chevron behind it, it folds the row's fields out. Dim while the stage does nothing."""

    def __init__(self, theme: Theme, text: str, *, can_fold: bool, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._theme, self._can_fold, self._is_dim = theme, can_fold, False
        self.setCheckable(can_fold)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setProperty("elides", True)  # it shortens its name itself, and says the whole of it on hover
        self.setStyleSheet("QPushButton { min-height: 20px; padding: 0; }")  # lengths only; it paints itself
        if can_fold:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        else:
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        theme.changed.connect(self.updateGeometry)

    def set_dim(self, dim: bool) -> None:
        """Whether the stage does nothing now."""
        if dim != self._is_dim:
            self._is_dim = dim
            self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._theme.ui_font(13))
        wide = metrics.horizontalAdvance(self.text()) + 2 + (_CHEVRON if self._can_fold else 0)
        return QSize(min(wide, self._theme.px(_WIDEST_NAME)), max(22, metrics.height() + 4))

    def minimumSizeHint(self) -> QSize:
        return QSize(min(self.sizeHint().width(), 56), self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        ink = "text3" if self._is_dim else "text2"
        if self._can_fold and self.underMouse():
            ink = "text1"
        font = theme.ui_font(13)
        metrics = QFontMetrics(font)
        room = self.width() - (_CHEVRON if self._can_fold else 0)
        shown = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, room)
        if metrics.horizontalAdvance(self.text()) <= room:
            shown = self.text()  # elidedText rounds the other way
        painter.setFont(font)
        painter.setPen(theme.color(ink))
        area = QRect(0, 0, room, self.height())
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)
        if self._can_fold:
            mark = QRectF(metrics.horizontalAdvance(shown) + 3, 0, 9, self.height())
            draw_chevron(painter, mark, theme.color(ink), is_open=self.isChecked())
        if self.hasFocus():
            draw_focus_ring(painter, QRectF(self.rect()), theme, 4)


class StageRowView(QWidget):
    """The row of one stage.

    Signals:
        enabled_changed: the switch was used.
        value_changed: a field's key and its checked value.
        reset_asked: the stage should go back to its defaults.
        folded_changed: whether the fields are folded away now.
    """

    enabled_changed = Signal(bool)
    value_changed = Signal(str, object)
    reset_asked = Signal()
    folded_changed = Signal(bool)

    def __init__(self, theme: Theme, row: StageRow, *, folded: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._row = theme, row
        self._values: dict[str, Value] = {}
        self._state: tuple[object, ...] = ()  # what was shown last
        self._refused: set[str] = set()  # fields whose text the chain did not take
        self.form: Form | None = None
        self.handle = DragHandle(theme, self)
        self.switch = Switch(theme, self, quiet=True)
        self.name = StageName(theme, row.label, can_fold=bool(row.folded), parent=self)
        self.dot = ResetDot(theme, self)
        self.lead = NumberField(theme, row.lead, parent=self) if row.lead is not None else None
        self.summary = ElidedLabel("", self)
        set_kind(self.summary, "caption")
        self.error = QLabel(self)
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setWordWrap(True)
        self.error.hide()
        set_kind(self.error, "bad")
        self._lay_out()
        self._name_things()
        self._connect()
        if not folded and row.folded:
            self.name.setChecked(True)

    @property
    def key(self) -> str:
        return self._row.key

    def show_row(self, row: StageRow, values: Mapping[str, Value], place: int, n_places: int) -> None:
        """Show this state of the stage; `place` counts from 1, of `n_places` on screen."""
        state = (row, dict(values), place, n_places)
        if state == self._state and not self._refused:
            return
        self._state = state
        self._row, self._values = row, dict(values)
        self.switch.setChecked(row.enabled)
        self.switch.set_dim(not row.is_active)
        self.switch.update()
        self.name.set_dim(not row.is_active)
        self.dot.set_active(row.is_changed)
        self.summary.setText(row.summary or self._idle_text())
        known = {key: value for key, value in values.items() if key not in self._refused}
        if self.lead is not None:
            self.lead.set_value(values[self.lead.field.key])
        if self.form is not None:
            self.form.set_values(known)
        words = self.tr("Move {label}, place {place} of {n}").format(label=row.label, place=place, n=n_places)
        self.handle.setAccessibleName(words)
        self.handle.setToolTip(self.tr("Drag to another place, or press Alt with ↑ or ↓"))
        self.setAccessibleDescription(row.summary or self._idle_text())

    def set_error(self, text: str, key: str = "") -> None:
        """Say under the row, or under the field of that key, what was not taken; "" takes it away."""
        if text:
            self._state = ()  # a switch or slider that was refused goes back at the next look
        if key and self.form is not None and any(each.key == key for each in self._row.folded):
            self._refused.discard(key)
            if text:
                self._refused.add(key)
            self.form.set_error(key, text)
            return
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def forget_errors(self) -> None:
        """Everything is shown as it is in the chain again: it was reset, or replaced by another."""
        self._refused.clear()
        self._state = ()
        self.set_error("")
        if self.form is not None:
            self.form.clear_errors()

    def set_folded(self, folded: bool) -> None:
        """Fold the fields away or out, as if by hand; a stage without further fields stays as it is."""
        if self._row.folded:
            self.name.setChecked(not folded)

    def wanted_name_width(self) -> int:
        """How wide the name and its dot are."""
        return self.name.sizeHint().width() + 2 + self.dot.width()

    def set_widths(self, name: int, box: int) -> None:
        """One width for the names and one for the boxes of all rows, so that their sliders stand under each other."""
        self._head.set_wanted(name)
        if self.lead is not None:
            self.lead.set_box_width(box)

    # ---- building

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        line = QHBoxLayout()
        line.setSpacing(2)
        self._head = LabelHead(self)
        head = QHBoxLayout(self._head)
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(2)
        head.addWidget(self.name)
        head.addWidget(self.dot)
        head.addStretch(1)
        for each in (self.handle, self.switch, self._head):
            line.addWidget(each)
        if self.lead is not None:
            line.addWidget(self.lead, 1)
            self.summary.hide()
        else:
            line.addWidget(self.summary, 1)
        column.addLayout(line)
        column.addWidget(self.error)
        self._fold = QWidget(self)
        self._fold.hide()
        self._fold_column = QVBoxLayout(self._fold)
        self._fold_column.setContentsMargins(_INDENT, 0, 0, Theme.SPACE[0])
        column.addWidget(self._fold)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _name_things(self) -> None:
        row = self._row
        self.setAccessibleName(row.label)
        tip = stage_tip(row)
        self.name.setToolTip(tip)
        fields = self.tr("{label}, its settings").format(label=row.label)
        self.name.setAccessibleName(fields if row.folded else row.label)
        self.name.setAccessibleDescription(row.help)
        self.switch.setAccessibleName(self.tr("{label} on").format(label=row.label))
        self.switch.setToolTip(self.tr("Use {label}, or leave it out").format(label=row.label))
        self.dot.setAccessibleName(self.tr("Reset {label}").format(label=row.label))
        self.dot.setToolTip(self.tr("Changed. Click: {label} back to its default").format(label=row.label))
        if self.lead is not None:
            field = self.lead.field
            unit = f", {field.unit}" if field.unit else ""
            self.lead.set_names(field.label + unit, field.help)
            self.lead.box.setToolTip(help_tip(field, self))

    def _connect(self) -> None:
        self.switch.clicked.connect(self.enabled_changed)
        self.dot.clicked.connect(self.reset_asked)
        self.name.toggled.connect(self._toggled)
        if self.lead is not None:
            key = self.lead.field.key
            self.lead.value_changed.connect(lambda value: self.value_changed.emit(key, value))
            self.lead.refused.connect(self.set_error)

    def _toggled(self, is_open: bool) -> None:
        if is_open and self.form is None:
            self.form = Form(self._theme, self._row.folded, self._values, compact=True, parent=self._fold)
            self.form.field_changed.connect(self.value_changed)
            self._fold_column.addWidget(self.form)
        self._fold.setVisible(is_open)
        self.folded_changed.emit(not is_open)

    def _idle_text(self) -> str:
        if not self._row.enabled:
            return self.tr("off")
        return "" if self._row.is_active else self.tr("changes nothing")


def stage_tip(row: StageRow) -> str:
    """The tooltip of a stage: its exact definition and where it comes from."""
    lines = [f"<b>{html.escape(row.label)}</b>", html.escape(row.help), f"<i>{html.escape(row.source)}</i>"]
    return "".join(f"<p style='margin:0 0 4px 0'>{line}</p>" for line in lines)
