"""Scrolling because of what happens at the edge: text selected beyond it, a text cursor moved across it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QScrollBar

TICK_MS = 30
FASTEST = 60  # pixels a tick
SPARE = 8  # pixels left between the text cursor and the edge


class EdgeScroll(QObject):
    """Moves the scroll bar of a view whose height is the bar's page step. Positions are pixels in the view."""

    def __init__(self, bar: QScrollBar, parent: QObject) -> None:
        super().__init__(parent)
        self._bar = bar
        self._step = 0
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def pull(self, y: int) -> None:
        """Text is being selected with the pointer at `y`: scroll while it is outside, faster farther out."""
        beyond = y if y < 0 else max(0, y - self._bar.pageStep())
        self._step = max(-FASTEST, min(FASTEST, beyond))
        if self._step and not self._timer.isActive():
            self._timer.start()

    def show_span(self, top: int, bottom: int) -> None:
        """Scroll as little as needed to have this span in sight."""
        if top < 0:
            self._bar.setValue(self._bar.value() + top - SPARE)
        elif bottom > self._bar.pageStep():
            self._bar.setValue(self._bar.value() + bottom - self._bar.pageStep() + SPARE)

    def _tick(self) -> None:
        if self._step and QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self._bar.setValue(self._bar.value() + self._step)
        else:
            self._timer.stop()
