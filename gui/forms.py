"""Forms made from Fields: every editor, label, limit and help text comes from the one declaration.

A form knows values by key and nothing about what they are for; a presenter hears `field_changed`, decides, and puts
the answer back with `set_values`, `set_error` and `set_note`. A new kind of field needs one line in `_EDITORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from engine.base.fields import Field, FieldError, FieldKind, Value
from gui.theme import Theme
from gui.widgets.choice_field import ChoiceField
from gui.widgets.editor import Editor
from gui.widgets.field_row import LABEL_WIDTH, FieldRow
from gui.widgets.file_field import FileField
from gui.widgets.number_field import NumberField
from gui.widgets.section import Section
from gui.widgets.switch_field import SwitchField
from gui.widgets.text_field import TextField

_EDITORS: dict[FieldKind, Callable[..., Editor]] = {
    FieldKind.BOOL: SwitchField,
    FieldKind.INT: NumberField,
    FieldKind.FLOAT: NumberField,
    FieldKind.CHOICE: ChoiceField,
    FieldKind.TEXT: TextField,
    FieldKind.TEXT_LIST: TextField,
    FieldKind.FILE: FileField,
}
_WIDEST_LABEL = 144
_USUAL_BOX = 80


def editor_for(theme: Theme, field: Field, *, compact: bool, parent: QWidget | None = None) -> Editor:
    """The editor of a field, by its kind, showing the default."""
    return _EDITORS[field.kind](theme, field, compact=compact, parent=parent)


class Form(QWidget):
    """The editors of several fields, the advanced ones in a fold.

    Signals:
        field_changed: key and checked value, when a person changed one field.
        values_changed: after that, all values by key.
    """

    field_changed = Signal(str, object)
    values_changed = Signal(dict)

    def __init__(
        self,
        theme: Theme,
        fields: Sequence[Field],
        values: Mapping[str, Value] | None = None,
        compact: bool = False,
        *,
        advanced_folded: bool = True,
        on_advanced_folded: Callable[[bool], None] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Build the form.

        Args:
            theme: the look.
            fields: what to edit, in this order; `advanced` ones go into the fold at the end.
            values: the values to show; a field without one shows its default.
            compact: label, slider and box on one line (inspector); otherwise label over editor (pages).
            advanced_folded: whether the fold starts closed.
            on_advanced_folded: told each time it opens or closes, to remember it.
            parent: Qt's parent.
        """
        super().__init__(parent)
        self._theme = theme
        self._compact = compact
        self._rows: dict[str, FieldRow] = {}
        self._fold: Section | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(self._spacing())
        advanced = [field for field in fields if field.advanced]
        for field in fields:
            if not field.advanced:
                self._column.addWidget(self._make_row(field, self))
        if advanced:
            self._column.addWidget(self._make_fold(advanced, advanced_folded, on_advanced_folded))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.set_values(values or {})
        self._align()
        theme.changed.connect(self._align)

    # ---- values

    def values(self) -> dict[str, Value]:
        """All values by key, in the order of the fields."""
        return {key: row.value() for key, row in self._rows.items()}

    def set_values(self, values: Mapping[str, Value]) -> None:
        """Show these values without emitting. Keys that are not in the form are another form's and are passed over."""
        for key, row in self._rows.items():
            if key in values:
                row.set_value(values[key])
        self._refresh_fold()

    def changed_keys(self) -> list[str]:
        """The fields that are not at their default."""
        return [key for key, row in self._rows.items() if row.is_changed]

    def reset_all(self) -> None:
        """Every field back to its default, told as if each had been reset by hand."""
        for row in self._rows.values():
            row.editor.reset()

    # ---- remarks

    def set_error(self, key: str, text: str) -> None:
        """Explain under a field what is wrong with it, "" for nothing. Opens the fold if the field is in it."""
        row = self.row(key)
        row.set_error(text)
        if text and self._fold is not None and row.field.advanced and self._fold.is_folded:
            self._fold.set_folded(False)

    def clear_errors(self) -> None:
        """Take away all errors that were set from outside; what is wrong in a box stays explained."""
        for row in self._rows.values():
            row.set_error(row.editor.complaint if isinstance(row.editor, NumberField) else "")

    def errors(self) -> dict[str, str]:
        """The errors on show, by key."""
        return {key: row.error for key, row in self._rows.items() if row.error}

    def typed_errors(self) -> dict[str, str]:
        """What is wrong in the boxes themselves: a text that is no value, which `values` does not have."""
        editors = {key: row.editor for key, row in self._rows.items()}
        found = {key: each.complaint for key, each in editors.items() if isinstance(each, NumberField)}
        return {key: text for key, text in found.items() if text}

    def set_note(self, key: str, text: str, kind: str = "") -> None:
        """A remark under a field; `kind` "", "good", "warning" or "bad"."""
        self.row(key).set_note(text, kind)

    # ---- what can be edited

    def set_enabled_keys(self, keys: Collection[str] | None) -> None:
        """Only these fields can be edited; None for all."""
        for key, row in self._rows.items():
            row.setEnabled(keys is None or key in keys)

    def set_visible_keys(self, keys: Collection[str] | None) -> None:
        """Only these fields are shown; None for all."""
        for key, row in self._rows.items():
            row.setVisible(keys is None or key in keys)
        if self._fold is not None:
            inside = [key for key, row in self._rows.items() if row.field.advanced]
            self._fold.setVisible(keys is None or any(key in keys for key in inside))

    def set_soft_range(self, key: str, low: float | None = None, high: float | None = None) -> None:
        """Other ends for a number's slider, None for the field's own. The box still takes the field's whole range."""
        editor = self.row(key).editor
        if isinstance(editor, NumberField):
            editor.set_soft_range(low, high)
            self._align()

    def set_files(self, key: str, files: Sequence[tuple[str, str]]) -> None:
        """What a file's list offers beside none and another one, as (name, path)."""
        editor = self.row(key).editor
        if isinstance(editor, FileField):
            editor.set_files(files)

    def row(self, key: str) -> FieldRow:
        """The row of a field, or FieldError if the form has none of that key."""
        try:
            return self._rows[key]
        except KeyError:
            known = ", ".join(self._rows)
            raise FieldError(key, "The form has no such field", key, f"use one of {known}") from None

    def focus_key(self, key: str) -> None:
        """Put the cursor into a field, opening the fold if it is in there."""
        row = self.row(key)
        if self._fold is not None and row.field.advanced:
            self._fold.set_folded(False)
        row.editor.control().setFocus()

    @property
    def advanced_section(self) -> Section | None:
        """The fold of advanced fields, None if there are none."""
        return self._fold

    # ---- building

    def _spacing(self) -> int:
        return Theme.SPACE[0] if self._compact else Theme.SPACE[3]

    def _make_row(self, field: Field, parent: QWidget) -> FieldRow:
        editor = editor_for(self._theme, field, compact=self._compact)
        row = FieldRow(self._theme, editor, compact=self._compact, parent=parent)
        row.value_changed.connect(lambda value, key=field.key: self._changed(key, value))
        self._rows[field.key] = row
        return row

    def _make_fold(self, fields: Sequence[Field], folded: bool, on_folded: Callable[[bool], None] | None) -> Section:
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(self._spacing())
        for field in fields:
            column.addWidget(self._make_row(field, body))
        self._fold = Section(self._theme, "", body, folded=folded, on_folded=on_folded, bold=False, parent=self)
        self._fold.folded_changed.connect(self._refresh_fold)
        self._refresh_fold()
        return self._fold

    def _refresh_fold(self) -> None:
        if self._fold is None:
            return
        rows = [row for row in self._rows.values() if row.field.advanced]
        names = ", ".join(row.field.label for row in rows)
        header = self._fold.header
        header.set_title(names if self._fold.is_folded else self.tr("Advanced"))
        header.setAccessibleName(self.tr("Advanced: {names}").format(names=names))
        header.setToolTip(names if self._fold.is_folded else "")
        header.set_dotted(self._fold.is_folded and any(row.is_changed for row in rows))

    def _align(self) -> None:
        if not self._compact:
            return
        rows = self._rows.values()
        px = self._theme.px
        wanted = max((row.wanted_label_width() for row in rows), default=0)
        for row in rows:
            row.set_label_width(min(px(_WIDEST_LABEL), max(px(LABEL_WIDTH), wanted)))
        numbers = [row.editor for row in rows if isinstance(row.editor, NumberField)]
        # A box that must hold words (“whole context”) does not take the room of the other fields' sliders.
        wanted_boxes = [editor.wanted_box_width() for editor in numbers]
        usual = [each for each in wanted_boxes if each <= px(_USUAL_BOX)] or wanted_boxes
        for editor, wanted_box in zip(numbers, wanted_boxes, strict=True):
            editor.set_box_width(max(wanted_box, *usual))

    def _changed(self, key: str, value: object) -> None:
        self._refresh_fold()
        self.field_changed.emit(key, value)
        self.values_changed.emit(self.values())
