"""Context against memory: a line for each cache type, the limit, and a dot for the present choice."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.base.errors import Trouble
from engine.memory.ledger import Ledger
from engine.wire.messages import DeviceInfo
from engine.workbench.curve import CurveLine, MemoryCurve
from gui.panels.memory import words
from gui.theme import PlotRole, Theme, set_kind
from gui.widgets.plot import LegendPlace, PlotWidget, XAxis
from gui.widgets.quantities import bytes_text

N_POINTS = 48
FAR = 4.0
"""A limit this many times above the highest line would press all lines to the ground; it is then said, not drawn."""

_COLORS = {"f16": PlotRole.WEIGHTS, "q8_0": PlotRole.KV_CACHE, "q4_0": PlotRole.OUTPUT}


class CurvePlot(QWidget):
    """A heading, the plot, and what could not be drawn."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: object = None
        heading = QLabel(self.tr("Context against memory"))
        set_kind(heading, "section")
        self.copy_button = QPushButton(self.tr("Copy as PNG"))
        set_kind(self.copy_button, "link")
        self.copy_button.setAccessibleName(self.tr("Copy the plot as a picture"))
        self.plot = PlotWidget(
            theme,
            self.tr("Context against memory"),
            x_axis=XAxis.POWERS,
            x_unit="tokens",
            legend=LegendPlace.AT_END,
        )
        self.plot.setMinimumHeight(theme.px(230))
        self.copy_button.clicked.connect(self.plot.copy_png)
        self.caption = QLabel()
        set_kind(self.caption, "caption")
        self.caption.setWordWrap(True)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(heading, 1)
        head.addWidget(self.copy_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[1])
        column.addLayout(head)
        column.addWidget(self.plot, 1)
        column.addWidget(self.caption, 0, Qt.AlignmentFlag.AlignTop)

    def show_curve(
        self,
        curve: MemoryCurve | None,
        ledger: Ledger | None,
        pair: tuple[str, str],
        devices: tuple[DeviceInfo, ...],
        *,
        is_old: bool = False,
    ) -> None:
        """Show the lines; `ledger` and `pair` are the present choice, where the dot stands."""
        if (curve, ledger, pair, is_old) == self._shown:
            return
        self._shown = (curve, ledger, pair, is_old)
        self.plot.setEnabled(not is_old)
        lines = [] if curve is None else [each for each in curve.lines if each.ledgers]
        if curve is None or not lines:
            for key in self.plot.series_keys():
                self.plot.remove_series(key)
            self.plot.set_marker(None)
            self.plot.set_limit_line(None)
            self.caption.setText(self.tr("The lines are drawn once the engine was asked at both ends.") if curve is None
                                 else _refused_text(curve, self))  # fmt: skip
            return
        device = words.deciding_device(lines[0].ledgers[-1])
        low = lines[0].ledgers[0].n_ctx
        high = lines[0].ledgers[-1].n_ctx
        top = self._draw_lines(lines, device, low, high)
        self._draw_marker(curve, ledger, pair, device)
        self._draw_limit(curve, lines[0].ledgers[-1], device, top, devices)
        if is_old:
            self.plot.set_marker(None)
            self.caption.setText(self.tr("These lines are of the options before; new ones are on their way."))
            self.caption.show()

    def _draw_lines(self, lines: list[CurveLine], device: str, low: int, high: int) -> float:
        for key in self.plot.series_keys():
            if key not in {_key(each) for each in lines}:
                self.plot.remove_series(key)
        top = 0.0
        xs = [float(round(low * (high / low) ** (n / N_POINTS))) for n in range(N_POINTS + 1)]
        for each in lines:
            key = _key(each)
            ys = [_device_bytes(each.at(round(x)), device) for x in xs]
            self.plot.set_series(key, key, int(_COLORS.get(key, PlotRole.OTHER)), "B")
            self.plot.set_data(key, xs, ys)
            top = max(top, *(y for y in ys if y is not None))
        self.plot.set_x_range(low, high)
        return top

    def _draw_marker(self, curve: MemoryCurve, ledger: Ledger | None, pair: tuple[str, str], device: str) -> None:
        here = _device_bytes(ledger, device)
        if ledger is None or here is None or ledger.n_ctx > curve_end(curve):
            self.plot.set_marker(None)
            return
        line = curve.line(*pair)
        role = int(_COLORS.get(_key(line), PlotRole.OTHER)) if line is not None else "text2"
        self.plot.set_marker(float(ledger.n_ctx), here, role)

    def _draw_limit(
        self, curve: MemoryCurve, ledger: Ledger, device: str, top: float, devices: tuple[DeviceInfo, ...]
    ) -> None:
        memory = next(each for each in ledger.devices if each.name == device)
        freed = curve.freed_bytes if memory is ledger.devices[0] else 0
        free = None if memory.free_bytes is None else memory.free_bytes + freed
        name = words.device_text(device, devices)
        captions = []
        if free is not None and free <= FAR * top:
            self.plot.set_limit_line(
                float(free), self.tr("{size} free in {device}").format(size=bytes_text(free), device=name)
            )
        else:
            self.plot.set_limit_line(None)
            text = self.tr("{size} are free in {device}, far above these lines.")
            captions.append(text.format(size=bytes_text(free), device=name) if free is not None else
                            self.tr("How much of {device} is free is unknown.").format(device=name))  # fmt: skip
        captions.append(_refused_text(curve, self))
        self.caption.setText(" ".join(each for each in captions if each))
        self.caption.setVisible(bool(self.caption.text()))


def curve_end(curve: MemoryCurve) -> int:
    """The largest context that the engine was asked about."""
    return max(each.n_ctx for line in curve.lines for each in line.ledgers)


def _refused_text(curve: MemoryCurve, widget: QWidget) -> str:
    refused: dict[str, list[str]] = {}
    for each in curve.lines:
        if isinstance(each.trouble, Trouble):
            refused.setdefault(each.trouble.what, []).append(_key(each))
    return " ".join(
        widget.tr("Not {types}: {why}.").format(types=", ".join(types), why=why) for why, types in refused.items()
    )


def _key(line: CurveLine) -> str:
    return line.type_k if line.type_k == line.type_v else f"{line.type_k} / {line.type_v}"


def _device_bytes(ledger: Ledger | None, device: str) -> float | None:
    if ledger is None:
        return None
    return next((float(each.sum_bytes) for each in ledger.devices if each.name == device), None)
