"""The Train side's right part: the verdict, two bars for each memory, the parts, the rule of thumb, and two tables."""

from __future__ import annotations

import html
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui.panels.memory import training_words as words
from gui.panels.memory.training_values import TrainPage
from gui.panels.memory.words import FITS_ROLES
from gui.theme import Theme, set_kind
from gui.widgets.ledger_table import LedgerTable
from gui.widgets.quantities import bytes_text
from gui.widgets.stacked_bar import Legend, Segment, StackedBar
from gui.widgets.value_table import Column, ValueTable

N_FORMATS, N_RUNS = 10, 10
"""Rows of the long tables that are shown at once."""


class TrainingAnswer(QWidget):
    """What training would take."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        """The verdict alone; the other parts come with `parts`."""
        super().__init__(parent)
        self._theme = theme
        self._page: TrainPage | None = None
        self._bars: list[tuple[QLabel, StackedBar, QLabel]] = []
        self.verdict = QLabel(self.tr("Reading the file…"), self)
        set_kind(self.verdict, "title")
        self.verdict.setTextFormat(Qt.TextFormat.RichText)
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdict.setWordWrap(True)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Theme.SPACE[3])
        self._column.addWidget(self.verdict)
        self._body = QWidget(self)
        self._body.hide()
        self._column.addWidget(self._body)
        self._body_column = QVBoxLayout(self._body)
        self._body_column.setContentsMargins(0, 0, 0, 0)
        self._body_column.setSpacing(Theme.SPACE[2])
        theme.changed.connect(self._colour)

    def parts(self) -> tuple[Callable[[], None], ...]:
        """What builds the rest, part by part; nothing is shown before the last one."""
        return self._make_bars, self._make_tables, self._make_rule, self._make_formats, self._make_runs

    def show_page(self, page: TrainPage) -> None:
        """Show what of the page is answered."""
        before, self._page = self._page, page
        self._colour()
        self._body.setVisible(page.cost is not None)
        self._formats_side.setVisible(bool(page.formats))
        if page.formats and (before is None or page.formats != before.formats):
            self.formats.set_rows(words.format_rows(page.formats))
        if page.cost is None or page.verdict is None:
            return
        self.source.setText(words.source_text(page.cost))
        self._show_bars(page)
        self.table.set_rows(words.cost_rows(page.cost.device))
        in_ram = page.cost.devices[1:]
        self.ram_table.set_rows(words.cost_rows(in_ram[0]) if in_ram else ())
        self._ram_side.setVisible(bool(in_ram))
        self.rule.setText(words.rule_text(page.cost))

    # ---- parts

    def _colour(self) -> None:
        page = self._page
        if page is None:
            return
        if page.cost is None or page.verdict is None:
            text = page.trouble.sentence() if page.trouble is not None else self.tr("Reading the file…")
            self.verdict.setText(html.escape(text))
            self.verdict.setAccessibleName(text)
            return
        fits = page.verdict.fits
        word, rest = words.verdict_word(fits), words.verdict_text(page.cost, page.verdict)
        colour = self._theme.color(FITS_ROLES[fits]).name()
        self.verdict.setText(f"<span style='color:{colour}'>{word}</span> {html.escape(rest)}")
        self.verdict.setAccessibleName(f"{word} {rest}")

    def _show_bars(self, page: TrainPage) -> None:
        cost, verdict = page.cost, page.verdict
        if cost is None or verdict is None:
            return
        wanted: list[tuple[str, list[Segment], float, float | None, int]] = []
        for device, room in zip(cost.devices, verdict.rooms, strict=True):
            alone = len(cost.devices) == 1
            capacity = float(max(room.free_bytes or 0, device.high))
            for high in (False, True):
                total = device.high if high else device.low
                label = words.bar_text(device, high=high, alone=alone)
                wanted.append((label, words.segments(device, high=high), capacity, room.free_bytes, total))
        while len(self._bars) < len(wanted):
            self._add_bar()
        legend: list[tuple[str, str | int]] = []
        for at, (name_label, bar, size_label) in enumerate(self._bars):
            for each in (name_label, bar, size_label):
                each.setVisible(at < len(wanted))
            if at >= len(wanted):
                continue
            text, segments, capacity, free, total = wanted[at]
            name_label.setText(text)
            bar.setAccessibleName(text)
            tip = self.tr("Free: {size}").format(size=bytes_text(free))
            bar.set_segments(segments, capacity, limit=free if free != capacity else None, limit_tip=tip)
            size_label.setText(bytes_text(total))
            set_kind(size_label, "bad" if free is not None and total > free else "mono")
            legend += [(s.label, s.color_role) for s in segments if (s.label, s.color_role) not in legend]
        self.legend.set_entries(legend)

    def _add_bar(self) -> None:
        place = self.grid.parentWidget()
        name, size = QLabel(place), QLabel(place)
        bar = StackedBar(self._theme, "", parent=place)
        size.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row = len(self._bars)
        for column, each in enumerate((name, bar, size)):
            self.grid.addWidget(each, row, column)
        self._bars.append((name, bar, size))

    # ---- building

    def _make_bars(self) -> None:
        self.source = self._label("dim", self._body)
        bars = QWidget(self._body)
        self.grid = QGridLayout(bars)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(Theme.SPACE[3])
        self.grid.setVerticalSpacing(Theme.SPACE[1])
        self.grid.setColumnStretch(1, 1)
        self.legend = Legend(self._theme, self._body)
        for each in (self.source, bars, self.legend):
            self._body_column.addWidget(each)

    def _make_tables(self) -> None:
        copy = self._copy_button(self.tr("Copy the parts as a table"), lambda: self.table.copy())
        parts, column = self._section(self.tr("By part"), copy, self._body)
        self.table = self._make_table(self.tr("Training memory by part"), parts)
        column.addWidget(self.table)
        copy_ram = self._copy_button(self.tr("Copy the parts in RAM as a table"), lambda: self.ram_table.copy())
        self._ram_side, column = self._section(self.tr("In RAM, for all devices"), copy_ram, self._body)
        self.ram_table = self._make_table(self.tr("Training memory in RAM by part"), self._ram_side)
        column.addWidget(self.ram_table)
        self.copy_button = copy
        self._body_column.addWidget(parts)
        self._body_column.addWidget(self._ram_side)

    def _make_rule(self) -> None:
        card = QFrame(self._body)
        set_kind(card, "card")
        column = QVBoxLayout(card)
        column.setContentsMargins(Theme.SPACE[3], Theme.SPACE[2], Theme.SPACE[3], Theme.SPACE[2])
        heading = self._label("section", card)
        heading.setText(self.tr("The rule of thumb"))
        self.rule, self.rule_why = self._label("", card), self._label("caption", card)
        self.rule_why.setText(words.rule_why())
        for each in (heading, self.rule, self.rule_why):
            column.addWidget(each)
        self._body_column.addWidget(card)

    def _make_formats(self) -> None:
        copy = self._copy_button(self.tr("Copy the formats as a table"), lambda: self.formats.copy())
        title = self.tr("Quantization: the weights in each format")
        self._formats_side, column = self._section(title, copy, self)
        self._formats_side.hide()
        self.formats = ValueTable(
            self._theme,
            [
                Column(self.tr("Format")),
                Column(self.tr("Bits"), is_number=True),
                Column(self.tr("This model"), is_number=True),
                Column(self.tr("Of FP32"), is_number=True),
                Column(self.tr("Kind"), stretches=True),
            ],
            name=self.tr("Weights by number format"),
            sortable=True,
            most_rows=N_FORMATS,
            parent=self._formats_side,
        )
        column.addWidget(self.formats)
        self._column.addWidget(self._formats_side)

    def _make_runs(self) -> None:
        from engine.memory.training.published import all_checked  # in this part's turn

        copy = self._copy_button(self.tr("Copy the measurements as a table"), lambda: self.published.copy())
        side, column = self._section(self.tr("Checked against published measurements"), copy, self)
        self.published_note = self._label("dim", side)
        self.published = ValueTable(
            self._theme,
            [
                Column(self.tr("Run"), stretches=True),
                Column(self.tr("Measured"), is_number=True),
                Column(self.tr("Predicted"), is_number=True),
                Column(self.tr("Error"), is_number=True),
                Column(self.tr("× 6"), is_number=True),
            ],
            name=self.tr("Published measurements"),
            sortable=True,
            most_rows=N_RUNS,
            parent=side,
        )
        checked = all_checked()
        self.published.set_rows(words.published_rows(checked))
        self.published_note.setText(words.published_text(checked))
        column.addWidget(self.published_note)
        column.addWidget(self.published)
        self._column.addWidget(side)

    def _label(self, kind: str, parent: QWidget) -> QLabel:
        label = QLabel(parent)
        if kind:
            set_kind(label, kind)
        label.setWordWrap(True)
        return label

    def _make_table(self, name: str, parent: QWidget) -> LedgerTable:
        return LedgerTable(self._theme, [self.tr("At least"), self.tr("At most")], name=name, parent=parent)

    def _copy_button(self, name: str, copy: Callable[[], None]) -> QPushButton:
        button = QPushButton(self.tr("Copy as TSV"), self)
        set_kind(button, "link")
        button.setAccessibleName(name)
        button.clicked.connect(lambda _=False: copy())
        return button

    def _section(self, title: str, copy: QPushButton, parent: QWidget) -> tuple[QWidget, QVBoxLayout]:
        """A heading with its copy button, and the column for what stands under it."""
        side = QWidget(parent)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        heading = QLabel(title, side)
        set_kind(heading, "section")
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(heading, 1)
        head.addWidget(copy)
        column.addLayout(head)
        return side, column
