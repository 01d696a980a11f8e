"""The Models page's right side: everything about the selected file, and what can be done with it."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from engine.gguf.card import Card, ModelKind
from gui.icons import Icons
from gui.notices import NoticeCard
from gui.panels.models import words
from gui.panels.models.presenter import Page, Row, State
from gui.theme import Theme, set_kind
from gui.widgets.busy import Busy
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.quantities import count_text
from gui.widgets.section import Section
from gui.widgets.stacked_bar import Legend, StackedBar
from gui.widgets.value_table import Cell, Column, ValueTable

TEMPLATE_HEIGHT = 260


class ModelCard(QWidget):
    """One file.

    Signals:
        load_wanted, unload_wanted, cancel_wanted, fit_wanted, folder_wanted: the buttons.
        remedy_chosen: a `Remedy` of a broken file's notice.
    """

    load_wanted = Signal()
    unload_wanted = Signal()
    cancel_wanted = Signal()
    fit_wanted = Signal()
    folder_wanted = Signal()
    remedy_chosen = Signal(object)

    def __init__(self, theme: Theme, icons: Icons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._icons = theme, icons
        self._page = Page()
        self._row: Row | None = None
        self._notice: NoticeCard | None = None
        self.title = QLabel()
        set_kind(self.title, "title")
        self.title.setWordWrap(True)
        self.title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.path = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        set_kind(self.path, "caption")
        self.path.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.folder_button = QPushButton(self.tr("Open folder"))
        set_kind(self.folder_button, "link")
        self.folder_button.setAccessibleName(self.tr("Show the file in its folder"))
        self.load_button = QPushButton()
        set_kind(self.load_button, "primary")
        self.unload_button = QPushButton(self.tr("Unload"))
        self.unload_button.setAccessibleName(self.tr("Unload the model and give its memory back"))
        self.fit_button = QPushButton(self.tr("Will it fit?"))
        self.fit_button.setAccessibleName(self.tr("See on the Memory page whether it fits"))
        self.busy = Busy(theme)
        self.verdict = QLabel()
        self.verdict.setTextFormat(Qt.TextFormat.RichText)
        self.verdict.setWordWrap(True)
        self.explanation = QLabel()
        set_kind(self.explanation, "dim")
        self.explanation.setWordWrap(True)
        self.mix_title = QLabel(self.tr("Tensor types"))
        set_kind(self.mix_title, "section")
        self.mix = StackedBar(theme, self.tr("Tensor types"))
        self.legend = Legend(theme)
        columns = [Column(self.tr("Property")), Column(self.tr("Value"), stretches=True)]
        self.table = ValueTable(theme, columns, name=self.tr("The model's card"), has_header=False)
        self.copy_button = QPushButton(self.tr("Copy as TSV"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy the card as a table"))
        self.template = QPlainTextEdit()
        self.template.setReadOnly(True)
        self.template.setAccessibleName(self.tr("Chat template"))
        self.template.setFixedHeight(theme.px(TEMPLATE_HEIGHT))
        self.template.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        set_kind(self.template, "mono")
        self.template_section = Section(theme, self.tr("Chat template"), self.template, folded=True)
        self._lay_out()
        self.load_button.clicked.connect(self.load_wanted)
        self.unload_button.clicked.connect(self.unload_wanted)
        self.fit_button.clicked.connect(self.fit_wanted)
        self.folder_button.clicked.connect(self.folder_wanted)
        self.copy_button.clicked.connect(self.table.copy)
        self.busy.cancelled.connect(self.cancel_wanted)
        theme.changed.connect(self._show_verdict)

    def show_page(self, page: Page) -> None:
        """Show the selected row."""
        self._page = page
        row = page.selected
        if row is None:
            return
        if self._row is None or row.entry != self._row.entry:
            self._show_entry(row)
        self._row = row
        can_load = row.state in (State.READY, State.LOADED, State.LOADING)
        is_loaded = row.state is State.LOADED
        self.load_button.setVisible(can_load)
        self.load_button.setEnabled(row.state is not State.LOADING)
        self.load_button.setText(self.tr("Load again") if is_loaded else self.tr("Load"))
        self.load_button.setAccessibleName(self.tr("Load {name}").format(name=words.row_title(row)))
        self.unload_button.setVisible(is_loaded)
        self.fit_button.setVisible(can_load)
        self.busy.setVisible(page.load_fraction is not None)
        if page.load_fraction is not None:
            begun = page.load_fraction > 0
            text = self.tr("Loading, {n} %").format(n=round(page.load_fraction * 100))
            self.busy.set_progress(
                page.load_fraction if begun else None, text if begun else self.tr("Preparing to load")
            )
        self._show_verdict()

    # ---- inside

    def _show_entry(self, row: Row) -> None:
        entry, card = row.entry, row.entry.card
        self.title.setText(words.row_title(row))
        self.path.setText(str(entry.path))
        if self._notice is not None:
            self._notice_place.removeWidget(self._notice)
            self._notice.hide()
            self._notice.deleteLater()
            self._notice = None
        if entry.trouble is not None:
            self._notice = NoticeCard(entry.trouble, self._icons)
            self._notice.remedy_chosen.connect(self.remedy_chosen)
            self._notice.closed.connect(self._notice.hide)
            self._notice_place.addWidget(self._notice)
            self._notice.show()
        explained = words.kind_explained(card.kind) if card is not None else ""
        if card is not None and card.kind is ModelKind.MODEL and card.problems:
            explained = " ".join(f"{each[:1].upper()}{each[1:]}." for each in card.problems)
        self.explanation.setText(explained)
        self.explanation.setVisible(bool(explained))
        set_kind(self.explanation, "warning" if card is not None and card.problems else "dim")
        self._show_card(card)

    def _show_card(self, card: Card | None) -> None:
        segments = words.mix_segments(card) if card is not None else []
        for each in (self.mix_title, self.mix, self.legend):
            each.setVisible(bool(segments))
        self.mix.set_segments(segments, None)
        self.legend.set_entries([(words.mix_label(each), each.color_role) for each in segments])
        rows = (
            [(Cell(label), Cell(text, tip=text)) for label, text in words.card_rows(card)] if card is not None else []
        )
        self._table_side.setVisible(bool(rows))
        self.table.set_rows(rows)
        template = card.chat_template if card is not None else None
        self.template_section.setVisible(template is not None)
        if template is not None:
            self.template.setPlainText(template)
            self.template_section.set_summary(self.tr("{n} characters").format(n=count_text(len(template))))

    def _show_verdict(self) -> None:
        page = self._page
        colour, word, text = "text3", "", ""
        if page.estimate is not None:
            colour = words.FITS_ROLES[page.estimate.verdict.fits]
            word, text = words.fit_text(page.estimate)
        elif page.refusal is not None:
            colour, word, text = "warning", page.refusal.what + ".", page.refusal.value
        elif page.is_estimating:
            text = self.tr("Asking the engine whether it fits…")
        ink = self._theme.color("text2" if word else "text3").name()
        head = f"<b style='color:{self._theme.color(colour).name()}'>{html.escape(word)}</b> " if word else ""
        self.verdict.setText(f"{head}<span style='color:{ink}'>{html.escape(text)}</span>")
        self.verdict.setAccessibleName(f"{word} {text}".strip())
        can_load = page.selected is not None and page.selected.state in (State.READY, State.LOADED, State.LOADING)
        self.verdict.setVisible(can_load)  # also while it is empty, so that nothing jumps when the answer comes

    def _lay_out(self) -> None:
        where = QHBoxLayout()
        where.setSpacing(Theme.SPACE[1])
        where.addWidget(self.path, 1)
        where.addWidget(self.folder_button)
        buttons = QHBoxLayout()
        buttons.setSpacing(Theme.SPACE[1])
        for each in (self.load_button, self.fit_button, self.unload_button):
            buttons.addWidget(each)
        buttons.addStretch(1)
        self._notice_place = QVBoxLayout()
        self._table_side = QWidget()
        table_title = QLabel(self.tr("From the file's header"))
        set_kind(table_title, "section")
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(table_title, 1)
        head.addWidget(self.copy_button)
        line = QFrame()
        set_kind(line, "hairline")
        side = QVBoxLayout(self._table_side)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(Theme.SPACE[0])
        side.addLayout(head)
        side.addWidget(line)
        side.addWidget(self.table)
        top = QVBoxLayout()
        top.setSpacing(Theme.SPACE[0])
        top.addWidget(self.title)
        top.addLayout(where)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[2])
        column.addLayout(top)
        column.addLayout(self._notice_place)
        column.addWidget(self.explanation)
        column.addLayout(buttons)
        column.addWidget(self.busy)
        column.addWidget(self.verdict)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(self.mix_title)
        column.addWidget(self.mix)
        column.addWidget(self.legend)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(self._table_side)
        column.addWidget(self.template_section)
        self.busy.hide()
