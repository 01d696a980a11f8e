"""What waits for the window to be on screen: called once, right after its first paint."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QWidget

WITHIN_MS = 2000


def after_first_paint(window: QWidget, then: Callable[[], None]) -> None:
    """Call `then` once, right after the window has drawn itself for the first time (a minimised one: after a while)."""
    watch = _FirstPaint(window, then)
    QTimer.singleShot(WITHIN_MS, watch, watch.go)


class _FirstPaint(QObject):
    def __init__(self, window: QWidget, then: Callable[[], None]) -> None:
        super().__init__(window)
        self._then, self._done = then, False
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            QTimer.singleShot(0, self, self.go)
        return False

    def go(self) -> None:
        """Do it, the first time that this is called."""
        if not self._done:
            self._done = True
            self.deleteLater()
            self._then()
