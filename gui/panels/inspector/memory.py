"""The section Memory: a bar a device, predicted against measured by part, and what it means in a sentence."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.memory.fit import Fits
from engine.memory.ledger import Part
from engine.runtime.supervisor import Phase
from engine.workbench.events import EngineChanged, MemoryChanged
from gui.page import PanelContext
from gui.panels.inspector.presenter.memory import PLOT_COLOURS, DeviceBar, MemoryPresenter, MemoryView, PartRow
from gui.theme import Theme, set_kind
from gui.widgets.ledger_table import LedgerRow, LedgerTable
from gui.widgets.quantities import bytes_text, estimated_text, percent_text, unbroken
from gui.widgets.section import Section
from gui.widgets.stacked_bar import Segment, StackedBar

FOLD = "inspector.memory.folded"


def _tr(text: str) -> str:
    return QCoreApplication.translate("MemorySection", text)


def part_text(part: Part) -> str:
    """A part's name on screen."""
    return {
        Part.WEIGHTS: _tr("Weights"),
        Part.KV: _tr("KV cache"),
        Part.RECURRENT: _tr("Recurrent state"),
        Part.COMPUTE: _tr("Compute"),
        Part.OUTPUT: _tr("Output"),
        Part.DRAFT: _tr("Draft model"),
        Part.BESIDE: _tr("Adapters"),
        Part.OVERHEAD: _tr("Process"),
        Part.MAPPED: _tr("Mapped file"),
    }[part]


def ledger_row(row: PartRow) -> LedgerRow:
    """A part as a line of the table."""
    label = part_text(row.part)
    if row.part is Part.KV and "·" in row.how:
        label = _tr("KV, {how}").format(how=row.how.replace(" tokens", ""))
    return LedgerRow(
        label,
        (row.predicted_bytes, row.measured_bytes),
        PLOT_COLOURS[row.part],
        estimated=(row.predicted_is_estimate, False),
        tip=row.how,
    )


def verdict_text(view: MemoryView) -> str:
    """What the numbers mean, in one sentence."""
    if view.measured_bytes is not None and view.predicted_bytes:
        off = view.measured_bytes / view.predicted_bytes - 1
        if abs(off) < 0.005:
            return _tr("Measured as predicted: {size}.").format(size=bytes_text(view.measured_bytes))
        words = _tr("{share} more than predicted") if off > 0 else _tr("{share} less than predicted")
        return _tr("Measured {size}, {difference}.").format(
            size=bytes_text(view.measured_bytes), difference=words.format(share=percent_text(abs(off)))
        )
    verdict = view.verdict
    if verdict is None:
        return ""
    needed, free = estimated_text(bytes_text(verdict.needed_bytes)), bytes_text(verdict.free_bytes)
    words = {
        Fits.YES: _tr("Fits: needs {needed}, {free} free in {device}."),
        Fits.TIGHT: _tr("Tight: needs {needed}, {free} free in {device}."),
        Fits.NO: _tr("Does not fit: needs {needed}, {free} free in {device}."),
        Fits.UNKNOWN: _tr("Needs {needed} in {device}; what is free there is not known."),
    }[verdict.fits]
    return words.format(needed=needed, free=free, device=verdict.device)


class MemorySection(Section):
    """The numbers in their fold."""

    def __init__(self, context: PanelContext) -> None:
        self.presenter = MemoryPresenter()
        theme, state = context.theme, context.state
        self._theme = theme
        self._bars: dict[str, tuple[QLabel, StackedBar]] = {}
        self.table = LedgerTable(
            theme,
            (_tr("predicted"), _tr("measured")),
            name=_tr("Memory by part"),
            has_how=False,
            compact=True,
            has_sum=False,
            missing="",  # not measured yet, or no more: the column is empty rather than “unknown” line by line
        )
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        set_kind(self.verdict, "caption")
        self.details = QPushButton(_tr("Details"))
        self.details.setAccessibleName(_tr("Details of the memory"))
        set_kind(self.details, "link")
        self.details.clicked.connect(lambda: context.go("memory"))
        body = QWidget()
        super().__init__(
            theme,
            _tr("Memory"),
            body,
            folded=state.flag(FOLD, False),
            on_folded=lambda folded: state.set_flag(FOLD, folded),
        )
        self._bar_column = QVBoxLayout()
        self._bar_column.setSpacing(Theme.SPACE[0])
        foot = QHBoxLayout()
        foot.addWidget(self.verdict, 1)
        foot.addWidget(self.details)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(self._bar_column)
        column.addWidget(self.table)
        column.addLayout(foot)
        workbench = context.workbench
        self._subscriptions = (
            context.bus.subscribe(MemoryChanged, lambda event: self.show_view(self.presenter.changed(event))),
            context.bus.subscribe(EngineChanged, lambda event: self._engine_is(event.state.phase)),
        )
        self.show_view(self.presenter.changed(MemoryChanged(workbench.predicted, workbench.measured, None)))
        self._engine_is(workbench.state.phase)

    def show_view(self, view: MemoryView) -> None:
        """Show these numbers."""
        self.view = view
        self._show_bars(view.bars)
        self.table.set_rows([ledger_row(each) for each in view.rows])
        self.table.setVisible(bool(view.rows))
        if view.is_empty:
            self.set_summary(_tr("no model"))
            self.verdict.setText(_tr("What a model takes stands here before it is loaded."))
            return
        used = bytes_text(view.used_bytes)
        if view.measured_bytes is None:
            used = estimated_text(used)
        total = bytes_text(view.total_bytes)
        self.set_summary(_tr("{used} of {total}").format(used=used, total=total))
        self.verdict.setText(unbroken(verdict_text(view)))

    def close_section(self) -> None:
        for unsubscribe in self._subscriptions:
            unsubscribe()

    def _engine_is(self, phase: Phase) -> None:
        view = self.presenter.engine_is(phase)
        if view is not None:
            self.show_view(view)

    def _show_bars(self, bars: tuple[DeviceBar, ...]) -> None:
        for name in [each for each in self._bars if all(bar.name != each for bar in bars)]:
            for widget in self._bars.pop(name):
                self._bar_column.removeWidget(widget)
                widget.deleteLater()
        for bar in bars:
            if bar.name not in self._bars:
                label, stacked = QLabel(bar.name), StackedBar(self._theme, bar.name, height=14)
                set_kind(label, "caption")
                self._bar_column.addWidget(label)
                self._bar_column.addWidget(stacked)
                self._bars[bar.name] = (label, stacked)
            label, stacked = self._bars[bar.name]
            label.setVisible(len(bars) > 1)
            segments = [
                Segment(part_text(part), size, PLOT_COLOURS[part], f"{part_text(part)}: {bytes_text(size)}")
                for part, size in bar.parts
            ]
            # Against the free memory a small model is a hair in the corner: the bar shows the model, the header how much
            # of the computer that is.
            stacked.set_segments(segments, None if _is_small(bar) else bar.total_bytes)


def _is_small(bar: DeviceBar) -> bool:
    return bar.total_bytes is not None and bar.used_bytes < 0.1 * bar.total_bytes
