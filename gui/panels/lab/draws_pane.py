"""The tab Draws, right side: what the test says, the counts laid over theory, and the table of all tokens."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.panels.lab import words
from gui.panels.lab.presenter.draws import DrawsPage
from gui.theme import PlotRole, Theme, set_kind
from gui.widgets.count_bars import CountBars
from gui.widgets.flow import FlowLayout
from gui.widgets.quantities import count_text, unbroken
from gui.widgets.stat import Stat
from gui.widgets.value_table import Column, ValueTable

MOST_ROWS = 12


class DrawsPane(QWidget):
    """The counts. `copy_wanted`: a text for the clipboard, and what it is."""

    copy_wanted = Signal(str, str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._page = DrawsPage()
        self.verdict = QLabel()
        set_kind(self.verdict, "title")
        self.verdict.setTextFormat(Qt.TextFormat.RichText)
        self.verdict.setWordWrap(True)
        self.caption = QLabel()
        set_kind(self.caption, "dim")
        self.caption.setWordWrap(True)
        self.stats = [Stat(*each) for each in words.fit_names()]
        self.bars = CountBars(theme)
        self.bars.setAccessibleName(self.tr("Counts of the likeliest tokens against theory"))
        titles = words.draw_titles()
        columns = [Column(each, at > 0, at == 0) for at, each in enumerate(titles)]
        self.table = ValueTable(theme, columns, name=self.tr("All tokens"), sortable=True, most_rows=MOST_ROWS)
        self.copy_button = QPushButton(self.tr("Copy as TSV"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy all tokens as a table"))
        self.copy_button.clicked.connect(self.copy_tsv)
        self._lay_out()
        theme.changed.connect(self._colour)

    def show_page(self, page: DrawsPage) -> None:
        """Show a draw; while another goes on the last one stays, dimmed."""
        self._page = page
        self._colour()
        self.caption.setText(unbroken(words.draws_caption(page)))
        for stat, text in zip(self.stats, words.fit_values(page), strict=True):
            stat.set_text(text)
        self.bars.set_bars([words.draw_bar(each) for each in page.bars])
        self.bars.setEnabled(not page.is_running)
        self.table.set_rows([words.draw_cells(each) for each in page.rows])
        self.more.setVisible(len(page.rows) > len(page.bars))
        self.more.setText(
            self.tr("The {n} likeliest of {all} tokens; the table has all.").format(
                n=len(page.bars), all=count_text(len(page.rows))
            )
        )

    def copy_tsv(self) -> None:
        """All tokens with full numbers."""
        self.copy_wanted.emit(words.draws_tsv(self._page), self.tr("Copied as a table"))

    def _colour(self) -> None:
        text, role = words.verdict_text(self._page)
        if self._page.is_running:
            text, role = self.tr("Drawing…"), "text3"
        self.verdict.setText(f"<span style='color:{self._theme.color(role).name()}'>{html.escape(text)}</span>")
        self.verdict.setAccessibleName(text)

    def _lay_out(self) -> None:
        stats = QWidget()
        flow = FlowLayout(stats, spacing=Theme.SPACE[4], line_spacing=Theme.SPACE[1])
        for each in self.stats:
            flow.addWidget(each)
        legend = QWidget()
        marks = FlowLayout(legend, spacing=Theme.SPACE[3], line_spacing=2)
        for mark, text in (
            (_Mark(self._theme, is_bar=True), self.tr("drawn")),
            (_Mark(self._theme, is_bar=False), self.tr("expected, ± two standard deviations")),
        ):
            marks.addWidget(_marked(mark, text))
        heading, tokens = QLabel(self.tr("Counts against theory")), QLabel(self.tr("All tokens"))
        for label in (heading, tokens):
            set_kind(label, "heading")
        self.more = QLabel()
        set_kind(self.more, "caption")
        head = QHBoxLayout()
        head.addWidget(tokens, 1)
        head.addWidget(self.copy_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[2])
        column.addWidget(self.verdict)
        column.addWidget(self.caption)
        column.addWidget(stats)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(heading)
        column.addWidget(legend)
        column.addWidget(self.bars)
        column.addWidget(self.more)
        column.addSpacing(Theme.SPACE[0])
        column.addLayout(head)
        column.addWidget(self.table)
        column.addStretch(1)


class _Mark(QWidget):
    """A bar or a whisker of the legend, as the plot draws them."""

    def __init__(self, theme: Theme, *, is_bar: bool) -> None:
        super().__init__()
        self._theme, self._is_bar = theme, is_bar
        self.setFixedSize(22, 14)
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        y = self.height() // 2
        if self._is_bar:
            painter.fillRect(0, y - 5, self.width(), 10, self._theme.plot_color(PlotRole.KV_CACHE))
            return
        painter.setPen(QPen(self._theme.color("text1"), 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawLine(1, y, self.width() - 2, y)
        for x, half in ((1, 3), (self.width() - 2, 3), (self.width() // 2, 6)):
            painter.drawLine(x, y - half, x, y + half)


def _marked(mark: QWidget, text: str) -> QWidget:
    both, label = QWidget(), QLabel(text)
    set_kind(label, "small")
    line = QHBoxLayout(both)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(6)
    line.addWidget(mark)
    line.addWidget(label)
    return both
