"""The Memory page's right side: the verdict, a bar for each memory, the ledger, the advice and the curve."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from engine.wire.messages import DeviceInfo
from gui.panels.memory import words
from gui.panels.memory.advice import Advice
from gui.panels.memory.curve_plot import CurvePlot
from gui.panels.memory.values import Answer, Page
from gui.theme import Theme, set_kind
from gui.widgets.flow import FlowLayout
from gui.widgets.ledger_table import LedgerTable
from gui.widgets.quantities import bytes_text
from gui.widgets.stacked_bar import Legend, Segment, StackedBar

SIDE_BY_SIDE = 820
TABLE_SHARE = 0.62
"""From this width on the plot stands beside the table, in logical pixels."""


class AnswerPane(QWidget):
    """What the engine says. `remedy_chosen` carries a `Remedy` of the advice."""

    remedy_chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._page = Page()
        self._devices: tuple[DeviceInfo, ...] = ()
        self._bars: list[tuple[QLabel, StackedBar, QLabel]] = []
        self._advice: tuple[Advice, ...] = ()
        self.verdict = QLabel()
        set_kind(self.verdict, "title")
        self.verdict.setTextFormat(Qt.TextFormat.RichText)
        self.verdict.setWordWrap(True)
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.source = QLabel()
        set_kind(self.source, "dim")
        self.source.setWordWrap(True)
        self.bars = QGridLayout()
        self.bars.setHorizontalSpacing(Theme.SPACE[3])
        self.bars.setVerticalSpacing(Theme.SPACE[1])
        self.bars.setColumnStretch(1, 1)
        self.legend = Legend(theme)
        self.table = self._make_table([self.tr("Predicted")])
        self.copy_button = QPushButton(self.tr("Copy as TSV"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy the ledger as a table"))
        self.copy_button.clicked.connect(lambda: self.table.copy())
        self.loading = QLabel()
        set_kind(self.loading, "caption")
        self.loading.setWordWrap(True)
        self.loads = QLabel()
        set_kind(self.loads, "caption")
        self.loads.setWordWrap(True)
        self.curve = CurvePlot(theme)
        self.advice = QFrame()
        set_kind(self.advice, "card")
        self._advice_column = QVBoxLayout(self.advice)
        self._advice_column.setContentsMargins(Theme.SPACE[3], Theme.SPACE[2], Theme.SPACE[2], Theme.SPACE[2])
        self._advice_column.setSpacing(Theme.SPACE[1])
        self._lay_out()
        theme.changed.connect(self._colour)

    def show_page(self, page: Page, devices: tuple[DeviceInfo, ...]) -> None:
        """Show what of the page is answered."""
        before, self._page, self._devices = self._page, page, devices
        answer = page.answer
        has_answer = answer is not None
        for each in (self.source, self.legend, self._table_side):
            each.setVisible(has_answer)
        self._body.setVisible(has_answer or page.curve is not None)
        self._colour()
        if answer is not None and answer != before.answer:
            self._show_bars(answer)
            self._show_table(answer)
        text = words.loading_text(answer) if answer is not None else ""
        self.loading.setText(text)
        self.loading.setVisible(bool(text))
        self.loads.setText(words.loads_text(page.loads))
        self.loads.setToolTip(words.loads_tip(page.loads))
        self.loads.setVisible(bool(page.loads))
        if answer is None:
            self._show_bars(None)
        if (page.advice, answer is None) != (before.advice, before.answer is None):
            self._show_advice(page.advice if has_answer else ())
        options = page.options or {}
        pair = str(options.get("type_k", "")), str(options.get("type_v", ""))
        self.curve.show_curve(page.curve, answer.ledger if answer else None, pair, self._devices,
                              is_old=page.is_curve_old)  # fmt: skip
        self.set_stale(page.is_planning and answer is not None and not answer.is_rough)

    def set_stale(self, stale: bool) -> None:
        """Dim the numbers while a new answer is on its way; those read off the curve are marked by their ~ already."""
        kind = "faint" if stale else "dim"
        set_kind(self.source, kind)
        if stale:
            self.source.setText(self.tr("Asking the engine again…"))
        elif self._page.answer is not None:
            self.source.setText(self._source_text(self._page.answer))
        for _, bar, _ in self._bars:
            bar.setEnabled(not stale)
        self.table.setEnabled(not stale)

    # ---- parts

    def _source_text(self, answer: Answer) -> str:
        page = self._page
        return words.source_text(answer, has_failed=page.trouble is not None and not page.is_planning)

    def _colour(self) -> None:
        page = self._page
        answer = page.answer
        if answer is None:
            text = self.tr("Asking the engine…") if page.is_planning else ""
            self.verdict.setText(f"<span style='color:{self._theme.color('text3').name()}'>{text}</span>")
            self.verdict.setVisible(bool(text))
            return
        self.verdict.show()
        fits = answer.verdict.fits
        colour = self._theme.color(words.FITS_ROLES[fits]).name()
        rest = html.escape(words.verdict_text(answer, self._devices))
        self.verdict.setText(f"<span style='color:{colour}'>{words.verdict_word(fits)}</span> {rest}")
        self.verdict.setAccessibleName(f"{words.verdict_word(fits)} {words.verdict_text(answer, self._devices)}")

    def _show_bars(self, answer: Answer | None) -> None:
        ledgers = answer.ledger.devices if answer is not None else ()
        while len(self._bars) < len(ledgers):
            self._add_bar()
        legend: list[tuple[str, str | int]] = []
        for at, (name, bar, left) in enumerate(self._bars):
            for each in (name, bar, left):
                each.setVisible(at < len(ledgers))
            if at >= len(ledgers) or answer is None:
                continue
            device = ledgers[at]
            freed = answer.freed_bytes if at == 0 else 0
            title = words.device_text(device.name, self._devices)
            name.setText(f"{title} {bytes_text(device.total_bytes)}" if device.total_bytes else title)
            segments = [
                Segment(words.part_text(each.part), each.size_bytes, int(words.PART_COLORS[each.part]))
                for each in device.entries
                if each.size_bytes
            ]
            free = None if device.free_bytes is None else device.free_bytes + freed
            capacity = device.total_bytes or free
            tip = self.tr("Free for a model now: {size}").format(size=bytes_text(free))
            bar.setAccessibleName(title)
            bar.set_segments(segments, capacity, limit=free if free != capacity else None, limit_tip=tip)
            text, kind = words.left_text(device, freed)
            left.setText(text)
            set_kind(left, kind)
            legend += [(s.label, s.color_role) for s in segments if (s.label, s.color_role) not in legend]
        self.legend.set_entries(legend)

    def _add_bar(self) -> None:
        name, left = QLabel(), QLabel()
        bar = StackedBar(self._theme, "")
        left.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row = len(self._bars)
        self.bars.addWidget(name, row, 0)
        self.bars.addWidget(bar, row, 1)
        self.bars.addWidget(left, row, 2)
        self._bars.append((name, bar, left))

    def _show_table(self, answer: Answer) -> None:
        columns = words.ledger_columns(answer, self._devices)
        if columns != self._columns:
            fresh = self._make_table(columns)
            self._table_column.replaceWidget(self.table, fresh)
            self.table.hide()
            self.table.deleteLater()
            self.table = fresh
        self.table.set_rows(words.ledger_rows(answer))
        self._turn(self.width())

    def _make_table(self, columns: list[str]) -> LedgerTable:
        self._columns = columns
        return LedgerTable(self._theme, columns, name=self.tr("Memory by part"))

    def _show_advice(self, advice: tuple[Advice, ...]) -> None:
        while (item := self._advice_column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for at, each in enumerate(advice):
            if at:
                line = QFrame()
                set_kind(line, "hairline")
                self._advice_column.addWidget(line)
            self._advice_column.addWidget(self._advice_row(each))
        self.advice.setVisible(bool(advice))

    def _advice_row(self, advice: Advice) -> QWidget:
        row = QWidget()
        title, sentence = words.advice_text(advice)
        label = QLabel(f"<b>{html.escape(title)}</b> {html.escape(sentence)}")
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.RichText)
        if len(advice.remedies) > 1:
            column = QVBoxLayout(row)
            column.addWidget(label)
            place = QWidget()
            buttons: FlowLayout | QHBoxLayout = FlowLayout(place, spacing=Theme.SPACE[1], line_spacing=Theme.SPACE[1])
            column.addWidget(place)
            column.setContentsMargins(0, 0, 0, 0)
        else:
            buttons = QHBoxLayout(row)
            buttons.setContentsMargins(0, 0, 0, 0)
            buttons.addWidget(label, 1)
        for at, remedy in enumerate(advice.remedies):
            text = words.remedy_text(remedy, is_first=at == 0)
            button = QPushButton(text)
            button.setAccessibleName(text)
            button.clicked.connect(lambda _=False, chosen=remedy: self.remedy_chosen.emit(chosen))
            buttons.addWidget(button)
        return row

    # ---- layout

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._turn(event.size().width())

    def _turn(self, width: int) -> None:
        """Table and curve side by side where both have room: several devices make a wide table."""
        table = self.table.sizeHint().width() if self._page.answer is not None else 0
        wide = width >= self._theme.px(SIDE_BY_SIDE) and table <= width * TABLE_SHARE
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._sides.direction() != direction:
            self._sides.setDirection(direction)

    def _lay_out(self) -> None:
        heading = QLabel(self.tr("By part"))
        set_kind(heading, "section")
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(heading, 1)
        head.addWidget(self.copy_button)
        self._table_side = QWidget()
        self._table_column = QVBoxLayout(self._table_side)
        self._table_column.setContentsMargins(0, 0, 0, 0)
        self._table_column.setSpacing(0)
        self._table_column.addLayout(head)
        self._table_column.addWidget(self.table)
        self._table_column.addSpacing(Theme.SPACE[0])
        self._table_column.addWidget(self.loading)
        self._table_column.addWidget(self.loads)
        self._table_column.addStretch(1)
        self._body = QWidget()
        self._sides = QBoxLayout(QBoxLayout.Direction.LeftToRight, self._body)
        self._sides.setContentsMargins(0, 0, 0, 0)
        self._sides.setSpacing(Theme.SPACE[4])
        self._sides.addWidget(self._table_side, 58)
        self._sides.addWidget(self.curve, 42)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[2])
        words_column = QVBoxLayout()
        words_column.setSpacing(Theme.SPACE[0])
        words_column.addWidget(self.verdict)
        words_column.addWidget(self.source)
        column.addLayout(words_column)
        column.addSpacing(Theme.SPACE[0])
        column.addLayout(self.bars)
        column.addWidget(self.legend)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(self._body)
        column.addWidget(self.advice)
        self.advice.hide()
        self._body.hide()
        self.legend.hide()
        self.source.hide()
