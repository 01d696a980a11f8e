"""The Train side of the Memory page: the recipe on the left, what it takes on the right."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from gui.model_file import ask_for_model
from gui.page import PanelContext
from gui.panels.memory.training_answer import TrainingAnswer
from gui.panels.memory.training_inputs import TrainingInputs
from gui.panels.memory.training_presenter import TrainingPresenter
from gui.panels.memory.training_values import TrainPage
from gui.theme import set_kind
from gui.widgets.scrolling import scroll_area

FOLD = "memory.training.advanced"


class TrainingView(QWidget):
    """The side; also the presenter's surface. `mode_chosen` asks for the other one.

    It is built in parts, one in each turn of Qt's loop, so that the window answers in between; `is_built` once all are
    there. Every widget is made inside its parent: one that gets another parent is styled anew with all that it holds.
    """

    mode_chosen = Signal(object)

    def __init__(self, context: PanelContext, path: Path | None, parent: QWidget | None = None) -> None:
        """`path` is the model to begin with, None for one that is described."""
        super().__init__(parent)
        self._context = context
        self._page = QWidget()
        column = QVBoxLayout(self._page)
        column.setContentsMargins(26, 22, 26, 22)
        line = QFrame()
        set_kind(line, "hairline-vertical")
        self.inputs = TrainingInputs(context.theme, self)
        self.inputs.mode_chosen.connect(self.mode_chosen)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.inputs)
        row.addWidget(line)
        row.addWidget(scroll_area(self.tr("What training would take"), self._page), 1)
        self.answer = TrainingAnswer(context.theme, self._page)
        column.addWidget(self.answer)
        column.addStretch(1)
        self.presenter = TrainingPresenter(context.workbench, self, path)
        self._parts: deque[Callable[[], None]] = deque(
            (self.inputs.make_form, self._make_more, *self.answer.parts(), self._begin)
        )
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._build_next)
        self._timer.start()

    @property
    def n_left(self) -> int:
        """How many parts are still to be built."""
        return len(self._parts)

    @property
    def is_built(self) -> bool:
        """Whether everything is there."""
        return not self._parts

    def activated(self) -> None:
        """The page came on screen: what is free may have changed."""
        if self.is_built:
            self.presenter.activated()

    def show_page(self, page: TrainPage) -> None:
        if self.is_built:
            self.inputs.show_page(page)
            self.answer.show_page(page)

    def close(self) -> bool:
        self._timer.stop()
        self.presenter.close()
        return super().close()

    def _build_next(self) -> None:
        self._parts.popleft()()
        if not self._parts:
            self._timer.stop()
            self.presenter.choose(self.presenter.page.path)

    def _make_more(self) -> None:
        state = self._context.state
        self.inputs.make_more(state.flag(FOLD, True), lambda folded: state.set_flag(FOLD, folded))

    def _begin(self) -> None:
        self.inputs.model_chosen.connect(self.presenter.choose)
        self.inputs.field_changed.connect(self.presenter.change)
        self.inputs.open_wanted.connect(self._open_file)

    def _open_file(self) -> None:
        ask_for_model(self, lambda name: self.presenter.choose(Path(name)))
