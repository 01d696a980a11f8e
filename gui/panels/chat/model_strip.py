"""The line over the composer while nothing can answer: why, and the first step as a button.

Words and buttons stand beside each other, or below each other where a narrow column would cut a button.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from gui.panels.chat.states import Strip
from gui.theme import Theme, set_kind


class ModelStrip(QWidget):
    """Says that no model is loaded, or that the engine stopped.

    Signals: `starter_wanted`, `choice_wanted` and `reload_wanted`, one a button.
    """

    starter_wanted = Signal()
    choice_wanted = Signal()
    reload_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = QLabel()
        set_kind(self.words, "dim")
        self.choose = QPushButton(self.tr("Choose a model"))
        self.starter = QPushButton(self.tr("Load the starter model"))
        self.reload = QPushButton(self.tr("Load again"))
        buttons = QHBoxLayout()
        buttons.setSpacing(Theme.SPACE[1])
        for button, wanted in (
            (self.choose, self.choice_wanted),
            (self.starter, self.starter_wanted),
            (self.reload, self.reload_wanted),
        ):
            button.setAccessibleName(button.text())
            button.clicked.connect(wanted)
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(Theme.SPACE[1])
        self._layout.addWidget(self.words, 1)
        self._layout.addLayout(buttons)
        self.show_strip(Strip.NONE)

    def show_strip(self, strip: Strip) -> None:
        """Say this."""
        is_lost = strip is Strip.LOST
        self.words.setText(self.tr("The engine stopped.") if is_lost else self.tr("No model is loaded"))
        for button in (self.choose, self.starter):
            button.setVisible(not is_lost)
        self.reload.setVisible(is_lost)
        self.setVisible(strip is not Strip.NONE)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """As narrow as the buttons, so that the words can go above them."""
        shown = [each.sizeHint().width() for each in self._buttons()]
        wide = sum(shown) + Theme.SPACE[1] * max(0, len(shown) - 1)
        return QSize(wide, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _buttons(self) -> list[QPushButton]:
        return [each for each in (self.choose, self.starter, self.reload) if not each.isHidden()]

    def _fit(self) -> None:
        need = self.words.sizeHint().width() + sum(Theme.SPACE[1] + each.sizeHint().width() for each in self._buttons())
        fits = need <= self.width()
        self._layout.setDirection(QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom)
