"""“On other hardware”: would the model fit there, how fast would it be, and what would hold it up."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from engine.memory.devices import Device
from engine.memory.placement import N_PROMPT, Split
from engine.workbench.outlook import Outlook
from gui.panels.memory import words
from gui.panels.memory.hardware_values import HardwareView, spelled, titled
from gui.panels.memory.inputs import FLUSH
from gui.theme import Theme, set_kind
from gui.widgets.busy import Busy
from gui.widgets.choice_field import SegmentedControl
from gui.widgets.flow import FlowLayout
from gui.widgets.quantities import bytes_text, unknown_text
from gui.widgets.section import Section
from gui.widgets.value_table import Cell, Column, ValueTable

NARROWEST_BOX = 200
HELD_UP, NARROW_BELOW = 4, 700
"""The column that a narrow table leaves to the tooltips, and the width from which on it is there, in logical pixels."""


class HardwareSection(QWidget):
    """The section.

    Signals:
        typed: the words in the box.
        add_wanted: text and split.
        device_chosen: text, key and split.
        remove_wanted: a configuration.
        measure_wanted: measure this computer.
        open_changed: whether the section is open.
    """

    typed = Signal(str)
    add_wanted = Signal(str, object)
    device_chosen = Signal(str, str, object)
    remove_wanted = Signal(object)
    measure_wanted = Signal()
    open_changed = Signal(bool)

    def __init__(
        self, theme: Theme, *, folded: bool, on_folded: Callable[[bool], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._view = HardwareView()
        self.box = QLineEdit()
        self.box.setPlaceholderText(self.tr("rtx 4090 or 24GiB@936GB/s"))
        self.box.setAccessibleName(self.tr("Devices to compare"))
        self.box.setToolTip(
            self.tr(
                "A name, or memory@bandwidth and perhaps @TFLOPS; several devices with + between them, as in "
                "2 x rtx-3090 + ddr5-6000-2ch-64"
            )
        )
        self.box.setMinimumWidth(theme.px(NARROWEST_BOX))
        self.box.textEdited.connect(self.typed)
        self.box.returnPressed.connect(lambda: self.add_wanted.emit(self.box.text(), self.split))
        self.ways = SegmentedControl(theme, [self.tr("Layers"), self.tr("Rows"), self.tr("Tensors")])
        self.ways.set_names(self.tr("Split"), self.tr("How several devices share the model"))
        self.ways.setToolTip(
            self.tr("How several devices share a model: whole layers, or every matrix by rows, or the cache too")
        )
        self.ways.set_index(0)
        self.add_button = QPushButton(self.tr("Compare"))
        self.add_button.setAccessibleName(self.tr("Compare these devices"))
        self.add_button.clicked.connect(lambda: self.add_wanted.emit(self.box.text(), self.split))
        self.complaint = QLabel()
        set_kind(self.complaint, "bad")
        self.complaint.setWordWrap(True)
        self.found, self._found_line = self._flow()
        self.rows, self._rows_line = self._flow()
        columns = [
            Column(self.tr("Hardware")),
            Column(self.tr("Fits")),
            Column(self.tr("Writes, tok/s"), is_number=True),
            Column(self.tr("Reads, tok/s"), is_number=True),
            Column(self.tr("Held up by"), stretches=True),
        ]
        self.table = ValueTable(theme, columns, name=self.tr("The model on other hardware"))
        self.note = QLabel()
        set_kind(self.note, "caption")
        self.note.setWordWrap(True)
        self.measure_button = QPushButton(self.tr("Measure this computer"))
        set_kind(self.measure_button, "link")
        self.measure_button.setToolTip(
            self.tr("Reads and writes with the loaded model for a few seconds; the ranges become narrower")
        )
        self.measure_button.setAccessibleName(self.tr("Measure how fast this computer is"))
        self.measure_button.setStyleSheet(FLUSH)
        self.measure_button.clicked.connect(self.measure_wanted)
        self.copy_button = QPushButton(self.tr("Copy as TSV"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy the comparison as a table"))
        self.copy_button.setStyleSheet(FLUSH)
        self.copy_button.clicked.connect(lambda: self.table.copy())
        self.busy = Busy(theme)
        self.busy.hide()
        self._lay_out(folded, on_folded)

    @property
    def split(self) -> Split:
        """The split that is chosen."""
        return tuple(Split)[self.ways.index()]

    def show_hardware(self, view: HardwareView) -> None:
        """Show a view of the presenter's."""
        before, self._view = self._view, view
        self.complaint.setText(view.complaint)
        self.complaint.setVisible(bool(view.complaint))
        if view.found != before.found:
            self._show_found(view.found)
        if view.configurations != before.configurations:
            self._show_rows()
        if view.outlooks != before.outlooks:
            self.table.set_rows([self._cells(each) for each in view.outlooks])
        self.table.setVisible(bool(view.outlooks))
        self.table.setEnabled(not view.is_asking)
        self.copy_button.setVisible(bool(view.outlooks))
        here = view.outlooks[0] if view.outlooks else None
        is_measured = here is not None and here.speed.is_measured
        self.measure_button.setVisible(view.can_measure and view.measuring is None)
        self.measure_button.setText(self.tr("Measure again") if is_measured else self.tr("Measure this computer"))
        self.busy.setVisible(view.measuring is not None)
        if view.measuring is not None:
            self.busy.set_progress(view.measuring, self.tr("Measuring"))
        self.note.setText(view.note or self._method())
        self.note.setVisible(bool(view.outlooks or view.note))

    def clear_typed(self) -> None:
        self.box.clear()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.table.setColumnHidden(HELD_UP, event.size().width() < self._theme.px(NARROW_BELOW))

    # ---- parts

    def _method(self) -> str:
        return self.tr(
            "Estimated from published figures: how much of a memory's bandwidth and of a peak published runs reached. "
            "Reading is a prompt of {n} tokens. A tooltip names each source."
        ).format(n=N_PROMPT)

    def _cells(self, outlook: Outlook) -> tuple[Cell, ...]:
        title = self.tr("This computer") if outlook.is_here else titled(outlook.configuration)
        speed = outlook.speed
        held = speed.bottleneck[:1].upper() + speed.bottleneck[1:]
        devices = dict.fromkeys(self._device_tip(each) for each in outlook.configuration.devices)
        tip = "\n".join((*devices, self.tr("Held up by: {what}").format(what=speed.bottleneck)))
        return (
            Cell(title, tip=tip),
            Cell(words.verdict_word(outlook.fits).rstrip("."), tip=self._fits_tip(outlook)),
            Cell(range_text(speed.decode_low, speed.decode_high)),
            Cell(range_text(speed.prefill_low, speed.prefill_high)),
            Cell(held, tip=held),
        )

    def _device_tip(self, device: Device) -> str:
        parts = [device.name]
        if device.memory_bytes:
            parts.append(bytes_text(device.memory_bytes))
        if device.bandwidth_bytes_s is not None:
            parts.append(self.tr("{n} GB/s").format(n=f"{device.bandwidth_bytes_s / 1e9:,.4g}"))
        if device.peak_flops_s is not None:
            parts.append(self.tr("{n} TFLOP/s").format(n=f"{device.peak_flops_s / 1e12:,.4g}"))
        return words.DOT.join(parts) + (f"\n{device.source}" if device.source else "")

    def _fits_tip(self, outlook: Outlook) -> str:
        lines = []
        for each in outlook.placement.shares:
            size = self.tr("{needed} of {there}").format(
                needed=bytes_text(each.sum_bytes), there=bytes_text(each.device.usable_bytes or None)
            )
            layers = self.tr("{n} layers").format(n=each.n_layers)
            output = self.tr(" and the output") if each.has_output else ""
            lines.append(f"{each.device.name}: {size}, {layers}{output}")
        if outlook.placement.host_bytes:
            size = bytes_text(outlook.placement.host_bytes)
            lines.append(self.tr("{size} more in the RAM of the computer around them").format(size=size))
        if outlook.placement.tensor_split:
            shares = ",".join(str(each) for each in outlook.placement.tensor_split)
            lines.append(self.tr("with --tensor-split {shares}").format(shares=shares))
        return "\n".join(lines)

    def _show_found(self, found: tuple[Device, ...]) -> None:
        _clear(self._found_line)
        for device in found:
            button = QPushButton(device.name)
            set_kind(button, "link")
            button.setAccessibleName(self.tr("Compare {name}").format(name=device.name))
            button.setToolTip(self._device_tip(device))
            button.clicked.connect(
                lambda _=False, key=device.key: self.device_chosen.emit(self.box.text(), key, self.split)
            )
            self._found_line.addWidget(button)
        self.found.setVisible(bool(found))

    def _show_rows(self) -> None:
        _clear(self._rows_line)
        for configuration in self._view.configurations:
            name = titled(configuration)
            button = QPushButton(f"{name}  \N{MULTIPLICATION SIGN}")
            button.setToolTip(self.tr("Take {name} out of the comparison").format(name=spelled(configuration)))
            button.setAccessibleName(self.tr("Take {name} out of the comparison").format(name=name))
            button.clicked.connect(lambda _=False, gone=configuration: self.remove_wanted.emit(gone))
            self._rows_line.addWidget(button)
        self.rows.setVisible(bool(self._view.configurations))

    def _flow(self) -> tuple[QWidget, QLayout]:
        place = QWidget()
        place.hide()
        return place, FlowLayout(place, spacing=Theme.SPACE[1], line_spacing=Theme.SPACE[1])

    def _lay_out(self, folded: bool, on_folded: Callable[[bool], None]) -> None:
        body = QWidget()
        self.section = Section(
            self._theme, self.tr("On other hardware"), body, folded=folded, on_folded=on_folded, parent=self
        )
        self.section.folded_changed.connect(lambda is_folded: self.open_changed.emit(not is_folded))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, Theme.SPACE[1], 0, 0)
        outer.addWidget(self.section)
        ask = QHBoxLayout()
        ask.setSpacing(Theme.SPACE[1])
        ask.addWidget(self.box, 1)
        ask.addWidget(self.ways)
        ask.addWidget(self.add_button)
        links = QHBoxLayout()
        links.setSpacing(Theme.SPACE[2])
        links.addWidget(self.measure_button)
        links.addStretch(1)
        links.addWidget(self.copy_button)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[1])
        column.addWidget(self.table)
        column.addWidget(self.note)
        column.addLayout(links)
        column.addWidget(self.busy)
        column.addSpacing(Theme.SPACE[1])
        column.addLayout(ask)
        for part in (self.complaint, self.found, self.rows):
            column.addWidget(part)
        for late in (self.complaint, self.note, self.table, self.measure_button, self.copy_button):
            late.hide()
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)


def range_text(low: float | None, high: float | None) -> str:
    """A range of rates: 104 – 197; one number where both ends read the same; unknown without."""
    if low is None or high is None:
        return unknown_text()
    texts = [_rough(each) for each in (low, high)]
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} \N{EN DASH} {texts[1]}"


def _rough(rate: float) -> str:
    """No more digits than an estimate has."""
    if rate >= 10_000:
        return f"{rate / 1000:,.0f}k"
    if rate >= 1000:
        return f"{round(rate, -1):,.0f}"
    return f"{rate:.0f}" if rate >= 20 else f"{rate:.1f}"


def _clear(layout: QLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
