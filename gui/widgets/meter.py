"""A thin bar with a caption before it and a reading behind it: “RAM ▓▓░ 5.2 / 24.0 GiB”.

A progress bar in another coat, so that screen readers hear a value; an unknown share is an empty track and the word.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QProgressBar, QSizePolicy, QWidget

from gui.theme import Theme
from gui.widgets.paint import role_color

_FULL = 10_000


class Meter(QProgressBar):
    """One share of a whole.

    Args:
        theme: the look.
        caption: the word before the bar, "" for none; also the accessible name.
        color_role: a palette role or a `PlotRole`.
        bar_width: in pixels; 0 lets the bar take all the room there is.
        bar_height: in pixels.
    """

    def __init__(
        self,
        theme: Theme,
        caption: str = "",
        color_role: str | int = "accent",
        *,
        bar_width: int = 72,
        bar_height: int = 6,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme, self._caption, self._role = theme, caption, color_role
        self._bar_width, self._bar_height = bar_width, bar_height
        self._fraction: float | None = None
        self._reading = ""
        self.setRange(0, _FULL)
        self.setTextVisible(False)
        self.setAccessibleName(caption)
        # lengths only: the general rule is for a bar of 6 px without words
        self.setStyleSheet("QProgressBar { min-height: 0px; max-height: 64px; }")
        policy = QSizePolicy.Policy.Expanding if bar_width == 0 else QSizePolicy.Policy.Fixed
        self.setSizePolicy(policy, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.updateGeometry)
        theme.changed.connect(self.update)

    def set_reading(self, fraction: float | None, text: str) -> None:
        """Show a share of one (None for unknown) and its reading with unit."""
        if fraction == self._fraction and text == self._reading:
            return
        is_longer = len(text) != len(self._reading)
        self._fraction, self._reading = fraction, text
        if fraction is None:
            self.reset()
        else:
            self.setValue(round(min(1.0, max(0.0, fraction)) * _FULL))
        self.setAccessibleDescription(text)
        if is_longer:
            self.updateGeometry()
        self.update()

    def set_color_role(self, role: str | int) -> None:
        """Another colour, e.g. "warning" when it gets tight."""
        if role != self._role:
            self._role = role
            self.update()

    @property
    def fraction(self) -> float | None:
        return self._fraction

    @property
    def reading(self) -> str:
        return self._reading

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._theme.ui_font(12))
        width = self._bar_width or 48
        for text in (self._caption, self._reading):
            if text:
                width += metrics.horizontalAdvance(text) + Theme.SPACE[1]
        return QSize(width + 2, max(self._bar_height, metrics.height()) + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._theme
        painter = QPainter(self)
        font = theme.ui_font(12)
        metrics = QFontMetrics(font)
        painter.setFont(font)
        painter.setPen(theme.color("text2"))
        left, right = 0, self.width()
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        if self._caption:
            painter.drawText(QRect(0, 0, right, self.height()), middle, self._caption)
            left = metrics.horizontalAdvance(self._caption) + Theme.SPACE[1]
        if self._reading:
            right -= metrics.horizontalAdvance(self._reading) + 1
            painter.drawText(QRect(right, 0, self.width() - right, self.height()), middle, self._reading)
            right -= Theme.SPACE[1]
        track = QRectF(left, (self.height() - self._bar_height) / 2, max(0, right - left), self._bar_height)
        radius = self._bar_height / 2
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("surface3"))
        painter.drawRoundedRect(track, radius, radius)
        if self._fraction:
            share = min(1.0, max(0.0, self._fraction))
            painter.setBrush(role_color(theme, self._role))
            filled = QRectF(track.left(), track.top(), max(2 * radius, share * track.width()), track.height())
            painter.drawRoundedRect(filled, radius, radius)
