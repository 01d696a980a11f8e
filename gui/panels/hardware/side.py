"""The Hardware page's right column: a card for each device, why others were not found, and the engine's build."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from engine.hardware.snapshot import Device, DeviceKind
from engine.wire.messages import DeviceInfo
from gui.panels.hardware import words
from gui.panels.hardware.presenter import EngineFacts, Look
from gui.theme import PlotRole, Theme, set_kind
from gui.widgets.flow import FlowLayout
from gui.widgets.meter import Meter
from gui.widgets.quantities import bytes_of_text, bytes_text
from gui.widgets.scrolling import scroll_area

WIDTH = 320


class DeviceCard(QFrame):
    """One device: name, kind and driver, its memory as a bar, further lines."""

    def __init__(self, theme: Theme, device: Device, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        set_kind(self, "card")
        self.name = _label(device.name, "section", wraps=True)
        self.setAccessibleName(device.name)
        kind = words.kind_text(device.kind)
        head = _label(f"{kind}, {device.driver}" if device.driver else kind, "caption", wraps=True)
        role = PlotRole.KV_CACHE if device.kind is not DeviceKind.GPU else PlotRole.COMPUTE
        self.meter = Meter(theme, self._memory_name(device), int(role), bar_width=0)
        column = QVBoxLayout(self)
        column.setContentsMargins(Theme.SPACE[2], Theme.SPACE[2], Theme.SPACE[2], Theme.SPACE[2])
        column.setSpacing(Theme.SPACE[0])
        column.addWidget(self.name)
        column.addWidget(head)
        column.addSpacing(Theme.SPACE[0])
        column.addWidget(self.meter)
        if device.details:
            column.addSpacing(Theme.SPACE[0])
            column.addLayout(_pairs(device.details))
        self.show_device(device)

    def show_device(self, device: Device) -> None:
        """New amounts."""
        used = None
        if device.total_bytes is not None and device.free_bytes is not None:
            used = device.total_bytes - device.free_bytes
        share = used / device.total_bytes if used is not None and device.total_bytes else None
        text = bytes_of_text(used, device.total_bytes) if used is not None else bytes_text(device.total_bytes)
        self.meter.set_reading(share, text)

    def _memory_name(self, device: Device) -> str:
        return self.tr("RAM") if device.kind is DeviceKind.CPU else self.tr("VRAM")


class SideColumn(QFrame):
    """Devices, absences, engine."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        set_kind(self, "column")
        self.setFixedWidth(theme.px(WIDTH))
        self._shape: object = None
        self._absences: object = None
        self.device_cards: list[DeviceCard] = []
        self._devices = _column()
        self._missing = _column()
        self._engine = _column()
        self._devices.addWidget(_label(self.tr("Nothing is measured yet."), "caption", wraps=True))
        self._engine.addWidget(_label(self.tr("The engine has not started yet."), "caption", wraps=True))
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(18, 16, 18, 16)
        column.setSpacing(Theme.SPACE[2])
        column.addWidget(_label(self.tr("Devices"), "heading"))
        column.addLayout(self._devices)
        self._missing_title = _label(self.tr("Not found"), "section")
        column.addWidget(self._missing_title)
        column.addLayout(self._missing)
        column.addSpacing(Theme.SPACE[1])
        column.addWidget(_label(self.tr("Engine"), "heading"))
        column.addLayout(self._engine)
        column.addStretch(1)
        self._missing_title.hide()
        area = scroll_area(self.tr("Devices and engine"), inner, is_clear=True)
        area.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    def show_look(self, look: Look) -> None:
        """The devices and what was not found."""
        if not look.devices:
            return
        shape = tuple((each.key, each.name, each.driver, each.details) for each in look.devices)
        if shape != self._shape:
            self._shape = shape
            _empty(self._devices)
            self.device_cards = [DeviceCard(self._theme, each) for each in look.devices]
            for card in self.device_cards:
                self._devices.addWidget(card)
        for card, device in zip(self.device_cards, look.devices, strict=True):
            card.show_device(device)
        if look.absences != self._absences:
            self._absences = look.absences
            _empty(self._missing)
            for key, reason in look.absences:
                self._missing.addWidget(_label(words.probe_text(key), "dim"))
                self._missing.addWidget(_label(reason[:1].upper() + reason[1:] + ".", "caption", wraps=True))
            self._missing_title.setVisible(bool(look.absences))

    def show_engine(self, facts: EngineFacts) -> None:
        """What the engine says of itself."""
        if not facts.name:
            return
        _empty(self._engine)
        self._engine.addWidget(_label(facts.name, "dim", wraps=True))
        self._engine.addWidget(_label(self.tr("It can use:"), "caption"))
        for each in facts.devices:
            self._engine.addWidget(_label(_engine_device(each), "small", wraps=True))
        for backend, flags in facts.flags:
            if not flags:
                continue
            title = self.tr("Built for {backend} with:").format(backend=backend) if backend else self.tr("Built with:")
            self._engine.addWidget(_label(title, "caption"))
            chips = QWidget()
            flow = FlowLayout(chips, spacing=Theme.SPACE[1], line_spacing=2)
            for flag in flags:
                flow.addWidget(_label(flag, "mono-dim"))
            chips.setAccessibleName(f"{title} {', '.join(flags)}")
            self._engine.addWidget(chips)


def _engine_device(device: DeviceInfo) -> str:
    size = f", {bytes_text(device.total_bytes)}" if device.total_bytes else ""
    return f"{device.name}: {device.description}{size}"


def _column() -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(Theme.SPACE[0])
    return column


def _empty(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()


def _label(text: str, kind: str, *, wraps: bool = False) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wraps)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    set_kind(label, kind)
    return label


def _pairs(pairs: Sequence[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(Theme.SPACE[2])
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    for row, (name, text) in enumerate(pairs):
        grid.addWidget(_label(name, "caption"), row, 0, Qt.AlignmentFlag.AlignTop)
        value = _label(text, "small", wraps=True)
        value.setAlignment(Qt.AlignmentFlag.AlignRight)
        grid.addWidget(value, row, 1)
    return grid
