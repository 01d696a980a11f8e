"""The editor of a file: a list of those that are known, none, and a button for any other on this computer.

A path is long and its end is what tells files apart, so names stand in the list and the path in the tooltip. Rejected: a
line to type a path into (nobody types one, and half a path would be planned with).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from engine.base.fields import Field, FieldKind, Value
from gui.model_file import ask_for_model
from gui.theme import Theme, set_kind
from gui.widgets.choice_field import CalmComboBox


class FileField(QWidget):
    """A list for one FILE field; `set_files` says what stands in it."""

    value_changed = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, field: Field, *, compact: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if field.kind is not FieldKind.FILE:
            raise ValueError(f"{field.key} is no file but {field.kind.value}")
        self._field = field
        self._value = str(field.check(field.default))
        self._files: tuple[tuple[str, str], ...] = ()
        self._paths: list[str] = []
        self.combo = CalmComboBox(self)
        self.combo.activated.connect(lambda at: self._take(self._paths[at]))
        if compact:  # a length only: as high as the number boxes beside it
            self.combo.setStyleSheet(f"QComboBox {{ min-height: {theme.px(22)}px; padding-left: 7px; }}")
        self.browse = QPushButton(self.tr("Other…"), self)
        set_kind(self.browse, "link")
        self.browse.clicked.connect(lambda: ask_for_model(self, self._take))
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(Theme.SPACE[1])
        line.addWidget(self.combo, 1)
        line.addWidget(self.browse)
        self._show_value()

    def set_files(self, files: Sequence[tuple[str, str]]) -> None:
        """Offer these files, as (name, path); the one that is chosen stays, offered or not."""
        if tuple(files) != self._files:
            self._files = tuple(files)
            self._show_value()

    @property
    def field(self) -> Field:
        return self._field

    def value(self) -> Value:
        return self._value

    def set_value(self, value: Value) -> None:
        checked = str(self._field.check(value))
        if checked != self._value:
            self._value = checked
            self._show_value()

    def reset(self) -> None:
        self._take(str(self._field.default))

    def control(self) -> QWidget:
        return self.combo

    def headline(self) -> QWidget | None:
        return None

    def has_body(self) -> bool:
        return True

    def set_names(self, name: str, description: str) -> None:
        self.combo.setAccessibleName(name)
        self.combo.setAccessibleDescription(description)
        self.browse.setAccessibleName(self.tr("{name}: another file").format(name=name))

    def _take(self, path: str) -> None:
        if path != self._value:
            self._value = path
            self._show_value()
            self.value_changed.emit(path)

    def _show_value(self) -> None:
        known = [(self.tr("None"), ""), *self._files]
        if self._value not in [path for _name, path in known]:
            known.append((Path(self._value).name, self._value))
        self._paths = [path for _name, path in known]
        self.combo.clear()
        for at, (name, path) in enumerate(known):
            self.combo.addItem(name)
            self.combo.setItemData(at, path, Qt.ItemDataRole.ToolTipRole)
        self.combo.setCurrentIndex(self._paths.index(self._value))
