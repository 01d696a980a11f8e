"""The tab Compare, left side: which two answers, and the replay of the first."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.panels.lab import compare_words as words
from gui.panels.lab.presenter.comparison import AnswerChoice, ComparePage, Doing
from gui.panels.lab.presenter.prompt import EngineView
from gui.theme import Theme, set_kind
from gui.widgets.choice_field import CalmComboBox


class CompareInputs(QWidget):
    """Two lists of answers.

    Signals:
        first_chosen, second_chosen: a place in the page's answers.
        swap_wanted, replay_wanted: the buttons.
    """

    first_chosen = Signal(int)
    second_chosen = Signal(int)
    swap_wanted = Signal()
    replay_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._answers: tuple[AnswerChoice, ...] = ()
        self._page, self._engine = ComparePage(), EngineView()
        self.first, self.second = CalmComboBox(self), CalmComboBox(self)
        self.first_facts, self.second_facts = QLabel(), QLabel()
        for box, name in ((self.first, self.tr("First answer")), (self.second, self.tr("Second answer"))):
            box.setAccessibleName(name)
            box.setPlaceholderText(self.tr("Choose an answer"))
        for label in (self.first_facts, self.second_facts):
            set_kind(label, "caption")
            label.setWordWrap(True)
        self.first.activated.connect(self.first_chosen)
        self.second.activated.connect(self.second_chosen)
        self.swap = QPushButton(self.tr("Swap"))
        set_kind(self.swap, "link")
        self.swap.setAccessibleName(self.tr("Swap the two answers"))
        self.swap.clicked.connect(self.swap_wanted)
        self.replay = QPushButton(self.tr("Replay the first"))
        self.replay.setAccessibleName(self.tr("Write the first answer again from its recipe"))
        self.replay.clicked.connect(self.replay_wanted)
        self.replay_note = QLabel(
            self.tr("A replay writes the answer again, from the model, the chain, the seed and the prompt's tokens that "
                    "are stored with it, and says whether every token is the same.")
        )  # fmt: skip
        set_kind(self.replay_note, "caption")
        self.replay_note.setWordWrap(True)
        self._lay_out()

    def show_page(self, page: ComparePage) -> None:
        """Show which answers there are and which are chosen."""
        self._page = page
        if page.answers != self._answers:
            self._answers = page.answers
            for box in (self.first, self.second):
                box.clear()
                for each in page.answers:
                    box.addItem(words.answer_text(each))
                    box.setItemData(box.count() - 1, words.answer_tip(each), Qt.ItemDataRole.ToolTipRole)
        is_doing = page.doing is not Doing.NOTHING
        for box, at, facts in (
            (self.first, page.first, self.first_facts),
            (self.second, page.second, self.second_facts),
        ):
            box.setCurrentIndex(at)
            box.setEnabled(bool(page.answers) and not is_doing)
            chosen = page.answers[at] if 0 <= at < len(page.answers) else None
            facts.setText(words.answer_facts(chosen) if chosen is not None else "")
            facts.setVisible(chosen is not None)
        self._show_buttons()

    def show_engine(self, engine: EngineView) -> None:
        """What can be done now."""
        self._engine = engine
        self._show_buttons()

    def _show_buttons(self) -> None:
        page, is_idle = self._page, self._page.doing is Doing.NOTHING
        self.swap.setEnabled(page.chosen is not None and is_idle)
        self.replay.setEnabled(page.first >= 0 and is_idle and self._engine.is_ready)
        tip = "" if self._engine.has_model else self.tr("A replay needs the model that wrote the answer: load it first")
        self.replay.setToolTip(tip)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[1])
        second_head = QHBoxLayout()
        second_head.addWidget(_dim(self.tr("Second answer"), self.second), 1)
        second_head.addWidget(self.swap)
        column.addWidget(_dim(self.tr("First answer"), self.first))
        column.addWidget(self.first)
        column.addWidget(self.first_facts)
        column.addSpacing(Theme.SPACE[0])
        column.addLayout(second_head)
        column.addWidget(self.second)
        column.addWidget(self.second_facts)
        column.addSpacing(Theme.SPACE[2])
        column.addWidget(self.replay, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.replay_note)


def _dim(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    set_kind(label, "dim")
    label.setBuddy(buddy)
    return label
