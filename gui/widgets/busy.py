"""A long job on one line: how far it is, what it does, and Cancel.

The bar is a progress bar in another coat. While nobody knows how far the job is, a short piece runs along it, painted
twenty times a second and only while it can be seen.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from gui.theme import Theme, set_kind
from gui.widgets.elided_label import ElidedLabel

_FULL = 10_000
_FRAME_MS = 50


class ThinBar(QProgressBar):
    """A 4 px bar; no fraction means that nobody knows."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._fraction: float | None = None
        self._phase = 0.0
        self._ticks = QTimer(self, interval=_FRAME_MS)
        self._ticks.timeout.connect(self._tick)
        self.setRange(0, _FULL)
        self.setTextVisible(False)
        self.setStyleSheet("QProgressBar { min-height: 4px; max-height: 4px; }")  # lengths only
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def set_fraction(self, fraction: float | None) -> None:
        """A share of one, or None while it is unknown."""
        if fraction == self._fraction:
            return
        self._fraction = fraction
        if fraction is None:
            self.reset()
        else:
            self.setValue(round(min(1.0, max(0.0, fraction)) * _FULL))
        self._run()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, 4)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._run()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._ticks.stop()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        rect = QRectF(self.rect())
        radius = rect.height() / 2
        painter.setBrush(self._theme.color("surface3"))
        painter.drawRoundedRect(rect, radius, radius)
        painter.setBrush(self._theme.color("accent"))
        if self._fraction is None:
            length = rect.width() * 0.25
            left = self._phase * (rect.width() + length) - length
            piece = QRectF(max(0.0, left), 0, min(rect.width(), left + length) - max(0.0, left), rect.height())
        else:
            piece = QRectF(0, 0, rect.width() * min(1.0, max(0.0, self._fraction)), rect.height())
        if piece.width() > 0:
            painter.drawRoundedRect(piece, radius, radius)

    def _run(self) -> None:
        if self._fraction is None and self.isVisible():
            self._ticks.start()
        else:
            self._ticks.stop()

    def _tick(self) -> None:
        self._phase = (self._phase + 0.025) % 1.0
        self.update()


class Busy(QWidget):
    """Text and Cancel over a thin bar. `cancelled` when a person pressed Cancel."""

    cancelled = Signal()

    def __init__(self, theme: Theme, text: str = "", *, can_cancel: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = ElidedLabel(text, self)
        set_kind(self.label, "small")
        self.bar = ThinBar(theme, self)
        self.cancel = QPushButton(self.tr("Cancel"), self)
        set_kind(self.cancel, "link")
        self.cancel.setVisible(can_cancel)
        self.cancel.clicked.connect(self.cancelled)
        line = QHBoxLayout()
        line.setSpacing(Theme.SPACE[1])
        line.addWidget(self.label, 1)
        line.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignVCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Theme.SPACE[0])
        column.addLayout(line)
        column.addWidget(self.bar)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_progress(None, text)

    def set_progress(self, fraction: float | None, text: str) -> None:
        """How far (a share of one, None for unknown) and in words, with the time that is left."""
        self.label.setText(text)
        self.bar.set_fraction(fraction)
        self.bar.setAccessibleName(text or self.tr("Progress"))
        self.cancel.setAccessibleName(self.tr("Cancel: {what}").format(what=text) if text else self.tr("Cancel"))
