"""The tab Compare, right side: whether they are the same, what in the set-up is not, the texts, the first other token."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.workbench.comparison import Part
from gui.panels.lab import compare_words as words
from gui.panels.lab.presenter.comparison import ComparePage, Comparison, Doing, Outcome
from gui.theme import Theme, set_kind
from gui.widgets.busy import Busy
from gui.widgets.diff_text import DiffText, Mark
from gui.widgets.quantities import unbroken
from gui.widgets.value_table import Column, ValueTable

SIDE_BY_SIDE = 640
"""From this width on the two distributions stand beside each other, in logical pixels."""
MARKS = {Part.BOTH: Mark.PLAIN, Part.FIRST: Mark.STRUCK, Part.SECOND: Mark.UNDERLINED}


class ComparePane(QWidget):
    """The comparison.

    Signals:
        copy_wanted: a text for the clipboard, and what it is.
        cancel_wanted: what goes on is to stop.
    """

    copy_wanted = Signal(str, str)
    cancel_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._comparison: Comparison | None = None
        self.title, self.caption = QLabel(), QLabel()
        set_kind(self.title, "title")
        set_kind(self.caption, "dim")
        for label in (self.title, self.caption):
            label.setWordWrap(True)
        self.busy = Busy(theme)
        self.busy.cancelled.connect(self.cancel_wanted)
        columns = [Column(words.setup_titles()[0]), *(Column(each, False, True) for each in words.setup_titles()[1:])]
        self.setup = ValueTable(theme, columns, name=self.tr("What differs in the set-up"))
        self.same_setup = QLabel(self.tr("Nothing that is stored of the set-up differs."))
        set_kind(self.same_setup, "dim")
        self.copy_button = QPushButton(self.tr("Copy as TSV"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy what differs in the set-up as a table"))
        self.copy_button.clicked.connect(
            lambda: self.copy_wanted.emit(self.setup.as_tsv(), self.tr("Copied as a table"))
        )
        self.legend = DiffText(theme)
        self.legend.setAccessibleName(self.tr("How differences are shown"))
        self.text = DiffText(theme)
        self.text.setAccessibleName(self.tr("Both texts in one"))
        self.parting = QLabel()
        set_kind(self.parting, "dim")
        self.parting.setWordWrap(True)
        self.sides = [self._side(self.tr("First answer")), self._side(self.tr("Second answer"))]
        self._lay_out()

    def show_page(self, page: ComparePage) -> None:
        """Show what came, and what goes on."""
        is_doing = page.doing is not Doing.NOTHING
        self.busy.setVisible(is_doing)
        if is_doing:
            self.busy.set_progress(page.fraction, words.doing_text(page))
        comparison = page.comparison
        self._body.setVisible(comparison is not None)
        self.title.setVisible(comparison is not None)
        self.caption.setVisible(comparison is not None)
        if comparison is not None and comparison is not self._comparison:
            self._show(comparison)
        self._comparison = comparison

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide = event.size().width() >= self._theme.px(SIDE_BY_SIDE)
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._tables.direction() != direction:
            self._tables.setDirection(direction)

    def _show(self, comparison: Comparison) -> None:
        self.title.setText(words.comparison_title(comparison))
        self.caption.setText(unbroken(words.comparison_caption(comparison)))
        self.caption.setVisible(bool(self.caption.text()))
        self.setup.set_rows([words.setup_cells(each) for each in comparison.setup])
        self.setup.setVisible(bool(comparison.setup))
        self.copy_button.setVisible(bool(comparison.setup))
        self.same_setup.setVisible(not comparison.setup)
        first, second = words.side_names(comparison)
        self.legend.set_pieces([(Mark.STRUCK, first), (Mark.PLAIN, "\N{EM SPACE}"), (Mark.UNDERLINED, second)])
        is_other = comparison.outcome is Outcome.DIFFERENT
        self._text_box.setVisible(bool(comparison.words))
        self.legend.setVisible(is_other)
        self.text.set_pieces([(MARKS[each.part], each.text) for each in comparison.words])
        parting = comparison.parting
        self._parting_box.setVisible(parting is not None)
        if parting is None:
            return
        self.parting.setText(words.parting_text(comparison, parting))
        for (title, table), name, rows in zip(
            self.sides, (first, second), (parting.first, parting.second), strict=True
        ):
            title.setText(name[:1].upper() + name[1:])
            table.set_rows([words.token_cells(each) for each in rows])
            title.setVisible(bool(rows))
            table.setVisible(bool(rows))

    def _side(self, name: str) -> tuple[QLabel, ValueTable]:
        title = QLabel(name)
        set_kind(title, "section")
        columns = [Column(each, at > 0, at == 0) for at, each in enumerate(words.token_titles())]
        table = ValueTable(self._theme, columns, name=self.tr("{side}: what might have come").format(side=name))
        return title, table

    def _lay_out(self) -> None:
        setup_head = QHBoxLayout()
        setup_head.addWidget(_heading(self.tr("Set-up")), 1)
        setup_head.addWidget(self.copy_button)
        card = QFrame()
        set_kind(card, "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(16, 12, 16, 12)
        inside.addWidget(self.text)
        self._tables = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._tables.setSpacing(Theme.SPACE[4])
        for title, table in self.sides:
            side = QVBoxLayout()
            side.setSpacing(Theme.SPACE[0])
            side.addWidget(title)
            side.addWidget(table)
            side.addStretch(1)
            self._tables.addLayout(side, 1)
        self._parting_box = QWidget()
        parting = QVBoxLayout(self._parting_box)
        parting.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        parting.setSpacing(Theme.SPACE[1])
        parting.addWidget(_heading(self.tr("First token that differs")))
        parting.addWidget(self.parting)
        parting.addLayout(self._tables)
        self._text_box = QWidget()
        text = QVBoxLayout(self._text_box)
        text.setContentsMargins(0, Theme.SPACE[1], 0, 0)
        text.setSpacing(Theme.SPACE[1])
        text.addWidget(_heading(self.tr("Text")))
        text.addWidget(self.legend)
        text.addWidget(card)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(Theme.SPACE[1])
        body.addLayout(setup_head)
        body.addWidget(self.setup)
        body.addWidget(self.same_setup)
        body.addWidget(self._text_box)
        body.addWidget(self._parting_box)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[2])
        column.addWidget(self.title)
        column.addWidget(self.caption)
        column.addWidget(self.busy)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(self._body)
        column.addStretch(1)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    set_kind(label, "heading")
    return label
