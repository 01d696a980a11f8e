"""The section Hardware: the last minute of this computer, with what the engine did as bands behind it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QTimer
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from engine.runtime.supervisor import Phase
from engine.workbench.events import EngineChanged
from gui.page import PanelContext
from gui.panels.inspector.presenter.hardware import WINDOW_S, HardwarePresenter, HardwareView, Role
from gui.theme import Theme, set_kind
from gui.widgets.plot import PlotWidget
from gui.widgets.section import Section

FOLD = "inspector.hardware.folded"
POLL_MS = 1000  # each look costs the engine a little of its processor


def _tr(text: str) -> str:
    return QCoreApplication.translate("HardwareSection", text)


def role_text(role: Role) -> str:
    """A series' name in the legend."""
    return {
        Role.CPU: _tr("CPU"),
        Role.RAM: _tr("RAM"),
        Role.WORKER: _tr("Engine"),
        Role.GPU: _tr("GPU"),
        Role.VRAM: _tr("VRAM"),
    }[role]


class HardwareSection(Section):
    """The plot in its fold; it looks once a second, and only while it is on screen."""

    def __init__(self, context: PanelContext) -> None:
        self.presenter = HardwarePresenter(context.workbench)
        theme, state = context.theme, context.state
        self.plot = PlotWidget(theme, _tr("Hardware, last minute"), compact=True)
        self.plot.set_window(WINDOW_S)
        self.nothing = QLabel(_tr("Nothing is measured yet."))
        set_kind(self.nothing, "caption")
        body = QWidget()
        super().__init__(
            theme,
            _tr("Hardware"),
            body,
            folded=state.flag(FOLD, False),
            on_folded=lambda folded: state.set_flag(FOLD, folded),
        )
        self.set_summary(_tr("last minute"))
        column = QVBoxLayout(body)
        column.setContentsMargins(0, Theme.SPACE[0], 0, 0)
        column.setSpacing(0)
        column.addWidget(self.plot)
        column.addWidget(self.nothing)
        self._timer = QTimer(self, interval=POLL_MS)
        self._timer.timeout.connect(self.poll)
        self._leave = context.bus.subscribe(EngineChanged, self._engine_changed)
        self.show_view(HardwareView())

    def set_polling(self, on: bool) -> None:
        """Look, or stop looking: the page came on screen or left it."""
        if on:
            self.poll()
            self._timer.start()
        else:
            self._timer.stop()

    def poll(self) -> None:
        """Look now, if anybody sees it."""
        if self.body.isVisible():
            self.show_view(self.presenter.view())

    def show_view(self, view: HardwareView) -> None:
        """Draw these lines."""
        self.nothing.setVisible(not view.lines)
        self.plot.setVisible(bool(view.lines))
        if self.plot.series_keys() != tuple(line.key for line in view.lines):
            for key in self.plot.series_keys():
                self.plot.remove_series(key)
            for line in view.lines:
                self.plot.set_series(line.key, role_text(line.role), line.role.value, line.unit)
        for line in view.lines:
            if line.top is not None:
                self.plot.set_unit_range(line.unit, 0, line.top)
            self.plot.set_data(line.key, line.xs, line.ys)
        self.plot.set_bands(view.bands)

    def _engine_changed(self, event: EngineChanged) -> None:
        """A prompt is being read: the next look comes a second from now, not just before the first token."""
        if event.state.phase is Phase.READING and self._timer.isActive():
            self._timer.start()

    def close_section(self) -> None:
        self._leave()
        self._timer.stop()
