"""Run or Train: the choice at the top of the Memory page's left column."""

from __future__ import annotations

import enum

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QWidget

from gui.theme import Theme
from gui.widgets.choice_field import SegmentedControl


class Mode(enum.Enum):
    """The two sides of the page, in their order."""

    RUN = "run"
    TRAIN = "train"


class ModeSwitch(SegmentedControl):
    """One side's switch. It always shows its own side; the other one is told by `mode_chosen`."""

    mode_chosen = Signal(object)

    def __init__(self, theme: Theme, mode: Mode, parent: QWidget | None = None) -> None:
        def translated(text: str) -> str:
            return QCoreApplication.translate("Memory", text)

        super().__init__(theme, [translated("Run"), translated("Train")], 28, parent)
        self._at = list(Mode).index(mode)
        self.set_index(self._at)
        self.set_names(translated("What for"), translated("Memory to run a model, or to train it"))
        self.chosen.connect(self._chosen)

    def _chosen(self, index: int) -> None:
        self.set_index(self._at)
        self.mode_chosen.emit(list(Mode)[index])
