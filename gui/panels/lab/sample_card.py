"""One continuation as a card: its title and seed, its text as it comes, its figures."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from engine.wire.messages import ColumnKind
from gui.icons import Icons
from gui.panels.lab import words
from gui.panels.lab.presenter.samples import Column
from gui.theme import Theme, set_kind
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.growing_text import GrowingText
from gui.widgets.quantities import count_text

FIGURES_A_ROW = 3


class SampleCard(QFrame):
    """A column of the run.

    Signals:
        copy_wanted: a text for the clipboard, and what it is.
    """

    copy_wanted = Signal(str, str)

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_kind(self, "card")
        self._column: Column | None = None
        self._waiting: list[str] = []
        self._n_waiting = 0
        self.title = ElidedLabel()
        set_kind(self.title, "section")
        self.seed = QPushButton()
        set_kind(self.seed, "link")
        self.seed.clicked.connect(self._copy_seed)
        self.copy = QToolButton()
        icons.bind(self.copy, "copy", "text2", 16)
        self.copy.setIconSize(QSize(16, 16))
        self.copy.clicked.connect(self._copy_text)
        self.text = GrowingText(theme)
        self.values: list[QLabel] = []
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Theme.SPACE[1])
        grid.setVerticalSpacing(1)
        for at, (name, tip) in enumerate(words.figures_names()):
            caption, value = QLabel(name), QLabel(words.DASH)
            set_kind(caption, "caption")
            set_kind(value, "mono")
            for each in (caption, value):
                each.setToolTip(tip)
            row, place = divmod(at, FIGURES_A_ROW)
            grid.addWidget(caption, 3 * row, place)
            grid.addWidget(value, 3 * row + 1, place)
            grid.setColumnStretch(place, 1)
            self.values.append(value)
        grid.setRowMinimumHeight(2, 4)
        head = QHBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.title, 1)
        head.addWidget(self.seed)
        head.addWidget(self.copy)
        line = QFrame()
        set_kind(line, "hairline")
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 10, 12)
        column.setSpacing(Theme.SPACE[1])
        column.addLayout(head)
        column.addWidget(self.text)
        column.addStretch(1)
        column.addWidget(line)
        column.addLayout(grid)

    @property
    def column(self) -> Column | None:
        """What is shown."""
        return self._column

    def show_column(self, column: Column, *, is_running: bool) -> None:
        """Show a column as it is now."""
        before, self._column = self._column, column
        self._waiting.clear()
        title = words.column_text(column)
        if before is None or words.column_text(before) != title:
            self.title.setText(title)
            self.title.set_tip(words.column_tip(column))
            self.text.setAccessibleName(self.tr("Text of {column}").format(column=title))
            self.copy.setAccessibleName(self.tr("Copy the text of {column}").format(column=title))
            self.copy.setToolTip(self.tr("Copy the text"))
            self.setAccessibleName(title)
        self.seed.setVisible(column.seed is not None)
        if column.seed is not None:
            self.seed.setText(self.tr("seed {seed}").format(seed=column.seed))
            self.seed.setAccessibleName(self.tr("Copy seed {seed}").format(seed=column.seed))
            self.seed.setToolTip(self.tr("Copy the seed"))
        waits = is_running and column.kind is ColumnKind.BEST_PATH
        self.text.setPlaceholderText(self.tr("Searching; the text comes at the end") if waits else "")
        self.text.set_text(column.text)
        self._show_figures(words.figures_values(column, is_running=is_running))

    def add(self, text: str, n_tokens: int) -> None:
        """Text that came; it is shown with the next `flush`."""
        self._waiting.append(text)
        self._n_waiting = n_tokens

    @property
    def is_waiting(self) -> bool:
        """Whether text came that is not shown yet."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Show what came since the last time."""
        if self._waiting:
            self.text.add("".join(self._waiting))
            self._waiting.clear()
            self._set(self.values[0], count_text(self._n_waiting))

    def _show_figures(self, texts: tuple[str, ...]) -> None:
        for value, text in zip(self.values, texts, strict=True):
            self._set(value, text)

    def _set(self, value: QLabel, text: str) -> None:
        if value.text() != text:
            value.setText(text)
            name = words.figures_names()[self.values.index(value)][0]
            value.setAccessibleName(f"{name}: {text}")

    def _copy_text(self) -> None:
        self.copy_wanted.emit(self.text.text() + "".join(self._waiting), self.tr("Text copied"))

    def _copy_seed(self) -> None:
        if self._column is not None and self._column.seed is not None:
            self.copy_wanted.emit(str(self._column.seed), self.tr("Seed copied"))
