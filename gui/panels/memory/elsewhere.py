"""The fold under the list of models: a model from the hub by its address, or one that is only described.

What is in it is made when it is first opened: most people never do, and the page stands sooner.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from engine.models.shapes import SHAPE
from gui.forms import Form
from gui.panels.memory import words
from gui.panels.memory.elsewhere_presenter import Elsewhere
from gui.theme import Theme, set_kind
from gui.widgets.busy import Busy
from gui.widgets.choice_field import CalmComboBox
from gui.widgets.section import Section


class ElsewhereFold(Section):
    """What is asked of models that are not here.

    Signals:
        find_wanted: an address or a link, as typed.
        model_wanted: one of the `RemoteModel`s that were found.
        shape_wanted: values of `SHAPE`.
        cancel_wanted: stop asking.
    """

    find_wanted = Signal(str)
    best_wanted = Signal()
    model_wanted = Signal(object)
    shape_wanted = Signal(dict)
    cancel_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        self._made: _Body | None = None
        self._shown = Elsewhere()
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        super().__init__(theme, "", body, folded=True, bold=False, parent=parent)
        self._theme = theme
        self.header.set_title(self.tr("From the hub, or by shape"))
        self.folded_changed.connect(lambda folded: None if folded else self.contents())

    def contents(self) -> _Body:
        """What is in the fold; made now if it was not."""
        if self._made is None:
            self._made = _Body(self._theme)
            self._made.find_wanted.connect(self.find_wanted)
            self._made.best_wanted.connect(self.best_wanted)
            self._made.model_wanted.connect(self.model_wanted)
            self._made.shape_wanted.connect(self.shape_wanted)
            self._made.cancel_wanted.connect(self.cancel_wanted)
            layout = self.body.layout()
            assert layout is not None
            layout.addWidget(self._made)
            self._made.show_state(self._shown)
        return self._made

    def show_state(self, state: Elsewhere) -> None:
        """Show what is known."""
        self._shown = state
        if self._made is not None:
            self._made.show_state(state)


class _Body(QWidget):
    """The contents of the fold; the signals are the fold's."""

    find_wanted = Signal(str)
    best_wanted = Signal()
    model_wanted = Signal(object)
    shape_wanted = Signal(dict)
    cancel_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = Elsewhere()
        self.address = QLineEdit()
        self.address.setPlaceholderText(self.tr("OWNER/REPO or a pasted link"))
        self.address.setAccessibleName(self.tr("Repository, file or link on the hub"))
        self.address.setToolTip(
            self.tr("OWNER/REPO, OWNER/REPO/FILE.gguf or a link of huggingface.co. Only headers are fetched.")
        )
        self.address.returnPressed.connect(self._find)
        self.find_button = QPushButton(self.tr("Find"))
        self.find_button.setAccessibleName(self.tr("Ask the hub for this model"))
        self.find_button.clicked.connect(self._find)
        self.models = CalmComboBox(self)
        self.models.setAccessibleName(self.tr("Models of the repository"))
        self.models.activated.connect(lambda at: self.model_wanted.emit(self._state.models[at]))
        self.best_button = QPushButton(self.tr("Find the best for this computer"))
        self.best_button.setAccessibleName(self.tr("Find the best quantization for this computer"))
        self.best_button.setToolTip(self.tr("Reads every header, and takes the one with the most bits that fits"))
        self.best_button.clicked.connect(self.best_wanted)
        self.best = QLabel()
        set_kind(self.best, "caption")
        self.best.setWordWrap(True)
        self.busy = Busy(theme)
        self.busy.cancelled.connect(self.cancel_wanted)
        self.trouble = QLabel()
        set_kind(self.trouble, "bad")
        self.trouble.setWordWrap(True)
        self.found = QLabel()
        set_kind(self.found, "caption")
        self.found.setWordWrap(True)
        self.form = Form(theme, tuple(SHAPE), compact=True)
        self.plan = QPushButton(self.tr("Size this shape"))
        self.plan.setAccessibleName(self.tr("Size the model with this shape"))
        self.plan.clicked.connect(lambda: self.shape_wanted.emit(self.form.values()))
        self._lay_out()
        self.show_state(self._state)

    def show_state(self, state: Elsewhere) -> None:
        """Show what is known."""
        if state.models != self._state.models:
            self.models.clear()
            self.models.addItems([words.remote_text(each) for each in state.models])
            self.models.setCurrentIndex(-1)
            self.models.setPlaceholderText(self.tr("Choose one of {n}").format(n=len(state.models)))
        self._state = state
        self.models.setVisible(bool(state.models))
        self.busy.setVisible(state.is_busy)
        self.busy.set_progress(state.fraction, state.doing or self.tr("Asking the hub"))
        self.trouble.setText(state.trouble.sentence() if state.trouble is not None else "")
        self.trouble.setVisible(state.trouble is not None)
        self.found.setText(words.weights_text(state.weights) if state.weights is not None else "")
        self.found.setVisible(state.weights is not None)
        self.best_button.setVisible(len(state.models) > 1)
        self.best.setText(words.best_text(state.best) if state.best is not None else "")
        self.best.setVisible(state.best is not None)
        for each in (self.find_button, self.plan, self.models, self.best_button):
            each.setEnabled(not state.is_busy)

    def _find(self) -> None:
        if not self._state.is_busy:
            self.find_wanted.emit(self.address.text())

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(Theme.SPACE[1])
        row.addWidget(self.address, 1)
        row.addWidget(self.find_button)
        or_shape = QLabel(self.tr("Or describe one; what is left out is filled in as today's models are built."))
        set_kind(or_shape, "caption")
        or_shape.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.plan)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, Theme.SPACE[0], 0, Theme.SPACE[1])
        column.setSpacing(Theme.SPACE[1])
        column.addLayout(row)
        for each in (
            self.models,
            self.best_button,
            self.best,
            self.busy,
            self.trouble,
            self.found,
            or_shape,
            self.form,
        ):
            column.addWidget(each)
        column.addLayout(buttons)
