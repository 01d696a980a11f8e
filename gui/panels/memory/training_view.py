"""The Train side of the Memory page: the recipe on the left, what it takes on the right."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from gui.model_file import ask_for_model
from gui.page import PanelContext
from gui.panels.memory.training_answer import TrainingAnswer
from gui.panels.memory.training_inputs import TrainingInputs
from gui.panels.memory.training_presenter import TrainingPresenter
from gui.panels.memory.training_values import TrainPage
from gui.theme import set_kind

FOLD = "memory.training.advanced"


class TrainingView(QWidget):
    """The side; also the presenter's surface. `mode_chosen` asks for the other one."""

    mode_chosen = Signal(object)

    def __init__(self, context: PanelContext, path: Path | None, parent: QWidget | None = None) -> None:
        """`path` is the model to begin with, None for one that is described."""
        super().__init__(parent)
        state = context.state
        self.inputs = TrainingInputs(context.theme, state.flag(FOLD, True), lambda folded: state.set_flag(FOLD, folded))
        self.answer = TrainingAnswer(context.theme)
        self._lay_out()
        self.presenter = TrainingPresenter(context.workbench, self)
        self.inputs.model_chosen.connect(self.presenter.choose)
        self.inputs.field_changed.connect(self.presenter.change)
        self.inputs.open_wanted.connect(self._open_file)
        self.inputs.mode_chosen.connect(self.mode_chosen)
        self.presenter.choose(path)

    def show_page(self, page: TrainPage) -> None:
        self.inputs.show_page(page)
        self.answer.show_page(page)

    def _open_file(self) -> None:
        ask_for_model(self, lambda name: self.presenter.choose(Path(name)))

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(26, 22, 26, 22)
        column.addWidget(self.answer)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setAccessibleName(self.tr("What training would take"))
        area.setWidget(page)
        line = QFrame()
        set_kind(line, "hairline-vertical")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.inputs)
        row.addWidget(line)
        row.addWidget(area, 1)
