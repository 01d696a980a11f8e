"""The Train side's left column: the model or its numbers, and the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.forms import Form
from gui.model_name import spoken_name
from gui.panels.memory.inputs import FLUSH, NARROW_WIDTH, WIDTH
from gui.panels.memory.mode_switch import Mode, ModeSwitch
from gui.panels.memory.training_values import SHAPE_FIELDS, TRAIN_FIELDS, TrainPage, shown_keys
from gui.panels.memory.values import Choice
from gui.theme import Theme, set_kind
from gui.widgets.choice_field import CalmComboBox
from gui.widgets.scrolling import scroll_area


class TrainingInputs(QFrame):
    """What is asked.

    Signals:
        model_chosen: a path from the list, None for a model that is described.
        open_wanted: another file is to be opened.
        field_changed: key and value of one field of the recipe or the described model.
        mode_chosen: the other side of the page.
    """

    model_chosen = Signal(object)
    open_wanted = Signal()
    field_changed = Signal(str, object)
    mode_chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        """All but the recipe's fields, which `make_form` and `make_more` add."""
        super().__init__(parent)
        self._theme = theme
        self._choices: tuple[Choice, ...] | None = None
        self._path: Path | None = None
        set_kind(self, "column")
        self.setFixedWidth(theme.px(WIDTH))
        self._inner = QWidget()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll_area(self.tr("Model and recipe"), self._inner, is_clear=True, parent=self))
        self.mode = ModeSwitch(theme, Mode.TRAIN, self._inner)
        self.mode.mode_chosen.connect(self.mode_chosen)
        self.models = CalmComboBox(self._inner)
        self.models.setAccessibleName(self.tr("Model"))
        self.models.activated.connect(self._activated)
        self.open_button = QPushButton(self.tr("Open file…"), self._inner)
        set_kind(self.open_button, "link")
        self.open_button.setStyleSheet(FLUSH)
        self.open_button.setAccessibleName(self.tr("Open a model file"))
        self.open_button.clicked.connect(self.open_wanted)
        self.shape: Form | None = None
        self.form: Form | None = None
        self.more: Form | None = None
        self._lay_out()

    def make_form(self) -> None:
        """Add the fields of the recipe that most people want."""
        self.form = Form(self._theme, [each for each in TRAIN_FIELDS if not each.advanced], parent=self._inner)
        self.form.field_changed.connect(self.field_changed)
        self._column.addWidget(self.form)

    def make_more(self, folded: bool, on_folded: Callable[[bool], None]) -> None:
        """Add the others, in a fold that may be `folded`."""
        self.more = Form(
            self._theme,
            [each for each in TRAIN_FIELDS if each.advanced],
            advanced_folded=folded,
            on_advanced_folded=on_folded,
            parent=self._inner,
        )
        self.more.field_changed.connect(self.field_changed)
        self._column.addWidget(self.more)
        self._column.addStretch(1)

    def set_narrow(self, narrow: bool) -> None:
        """The narrower form, for small windows."""
        self.setFixedWidth(self._theme.px(NARROW_WIDTH if narrow else WIDTH))

    def show_page(self, page: TrainPage) -> None:
        """Show what of the page is asked."""
        if page.choices != self._choices or page.path != self._path:
            self._choices, self._path = page.choices, page.path
            self.models.clear()
            self.models.addItem(self.tr("Describe a model"))
            for each in page.choices:
                self.models.addItem(spoken_name(each.label))
                self.models.setItemData(self.models.count() - 1, str(each.path), Qt.ItemDataRole.ToolTipRole)
            paths = [each.path for each in page.choices]
            self.models.setCurrentIndex(1 + paths.index(page.path) if page.path in paths else 0)
            self.models.setToolTip(str(page.path) if page.path is not None else "")
        self._show_shape(page)
        for form in (self.form, self.more):
            if form is not None:
                form.set_values(page.recipe)
                form.set_visible_keys(shown_keys(page.recipe))

    def _show_shape(self, page: TrainPage) -> None:
        """The numbers of a described model; its form is made when it is first wanted."""
        if page.path is None and self.shape is None:
            self.shape = Form(self._theme, SHAPE_FIELDS, parent=self._inner)
            self.shape.field_changed.connect(self.field_changed)
            self._column.insertWidget(self._column.indexOf(self.models) + 1, self.shape)
        if self.shape is not None:
            self.shape.setVisible(page.path is None)
            self.shape.set_values(page.shape)

    def _activated(self, at: int) -> None:
        self.model_chosen.emit(self._choices[at - 1].path if at and self._choices else None)

    def _lay_out(self) -> None:
        title = QLabel(self.tr("What would training cost?"))
        set_kind(title, "heading")
        label = QLabel(self.tr("Model"))
        set_kind(label, "dim")
        label.setBuddy(self.models)
        head = QHBoxLayout()
        head.addWidget(label, 1)
        head.addWidget(self.open_button)
        column = self._column = QVBoxLayout(self._inner)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(Theme.SPACE[1])
        column.addWidget(self.mode)
        column.addSpacing(Theme.SPACE[1])
        column.addWidget(title)
        column.addSpacing(Theme.SPACE[0])
        column.addLayout(head)
        column.addWidget(self.models)
        column.addSpacing(Theme.SPACE[1])
