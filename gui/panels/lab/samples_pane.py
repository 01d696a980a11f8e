"""The tab Samples, right side: what holds for all continuations, how they are sorted, and a card for each.

Text that comes waits for the next of twelve frames a second: thirty columns of tokens would otherwise take processor from
the engine that writes them.
"""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.icons import Icons
from gui.panels.lab import words
from gui.panels.lab.presenter.samples import Order, RunState, SamplesPage
from gui.panels.lab.sample_card import SampleCard
from gui.theme import Theme, set_kind
from gui.widgets.card_grid import CardGrid
from gui.widgets.choice_field import SegmentedControl
from gui.widgets.flow import FlowLayout
from gui.widgets.stat import Stat

FRAME_MS = 80
NARROWEST_CARD = 262
ORDERS = tuple(Order)


class SamplesPane(QWidget):
    """The cards.

    Signals:
        order_chosen: an `Order`.
        copy_wanted: a text for the clipboard, and what it is.
    """

    order_chosen = Signal(object)
    copy_wanted = Signal(str, str)

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self._page = SamplesPage()
        self._cards: list[SampleCard] = []
        self._frame = QTimer(self, interval=FRAME_MS, singleShot=True)
        self._frame.timeout.connect(self._flush)
        self.title = QLabel()
        set_kind(self.title, "title")
        self.stats = [Stat(*each) for each in words.summary_names()]
        self.order = SegmentedControl(theme, [words.order_text(each) for each in ORDERS])
        self.order.set_names(self.tr("Sort"), self.tr("How the continuations are sorted"))
        self.order.chosen.connect(lambda at: self.order_chosen.emit(ORDERS[at]))
        self.markdown = self._link(self.tr("Copy as Markdown"), self.tr("Copy all continuations as Markdown"))
        self.tsv = self._link(self.tr("Copy as TSV"), self.tr("Copy all continuations as a table"))
        self.markdown.clicked.connect(self.copy_markdown)
        self.tsv.clicked.connect(self.copy_tsv)
        self.grid = CardGrid(theme, NARROWEST_CARD)
        self._lay_out()

    @property
    def cards(self) -> tuple[SampleCard, ...]:
        """The cards on screen, in their order."""
        return tuple(each for each in self.grid.cards if isinstance(each, SampleCard))

    def show_page(self, page: SamplesPage) -> None:
        """Show a run as it is."""
        self._frame.stop()
        self._page = page
        self.title.setText(words.samples_title(page))
        for stat, text in zip(self.stats, words.summary_values(page), strict=True):
            stat.set_text(text)
        self.order.set_index(ORDERS.index(page.order))
        self.order.setVisible(len(page.columns) > 1)
        while len(self._cards) < len(page.columns):
            card = SampleCard(self._theme, self._icons)
            card.copy_wanted.connect(self.copy_wanted)
            self._cards.append(card)
        is_running = page.state is RunState.RUNNING
        for each in page.columns:
            self._cards[each.place].show_column(each, is_running=is_running)
        self.grid.set_cards([self._cards[each.place] for each in page.columns])

    def grow(self, place: int, text: str, n_tokens: int) -> None:
        """Text came for a column."""
        self._cards[place].add(text, n_tokens)
        if not self._frame.isActive():
            self._frame.start()

    def copy_markdown(self) -> None:
        """All of it, to be read."""
        self.copy_wanted.emit(words.samples_markdown(self._page), self.tr("Copied as Markdown"))

    def copy_tsv(self) -> None:
        """All of it, to be computed with."""
        self.copy_wanted.emit(words.samples_tsv(self._page), self.tr("Copied as a table"))

    def stop(self) -> None:
        """The page ends."""
        self._frame.stop()

    @property
    def is_ticking(self) -> bool:
        """Whether text waits for the next frame."""
        return self._frame.isActive()

    def _flush(self) -> None:
        """Show what came; what is scrolled away waits until it is seen or done."""
        for each in self._cards:
            if not each.visibleRegion().isEmpty():
                each.flush()
        self._wait_on()

    def _wait_on(self) -> None:
        if self.isVisible() and any(each.is_waiting for each in self._cards):
            self._frame.start()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._wait_on()

    def _link(self, text: str, name: str) -> QPushButton:
        button = QPushButton(text)
        set_kind(button, "link")
        button.setAccessibleName(name)
        return button

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(Theme.SPACE[0])
        head.addWidget(self.title, 1)
        head.addWidget(self.markdown)
        head.addWidget(self.tsv)
        stats = QWidget()
        flow = FlowLayout(stats, spacing=Theme.SPACE[4], line_spacing=Theme.SPACE[1])
        for each in self.stats:
            flow.addWidget(each)
        sort = QHBoxLayout()
        sort.addWidget(self.order)
        sort.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[2])
        column.addLayout(head)
        column.addWidget(stats)
        column.addLayout(sort)
        column.addWidget(self.grid)
        column.addStretch(1)
