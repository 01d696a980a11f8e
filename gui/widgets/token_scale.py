"""How surprising a token was, in five steps: by its probability, its rank, or the entropy at its place.

Steps instead of a smooth ramp, because five shades can be told apart and named in a legend, a hundred cannot. Their
colours are the theme's, one hue whose lightness only goes one way.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.theme import N_STEPS, Theme


class Colouring(enum.Enum):
    """What a token's colour says."""

    PROBABILITY = "probability"
    RANK = "rank"
    ENTROPY = "entropy"


_P_AT_LEAST = (0.9, 0.5, 0.1, 0.01)  # of steps 0 to 3
_RANK_BELOW = (1, 5, 20, 100)  # ranks counted from 0
_BITS_BELOW = (0.5, 1.5, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Surprise:
    """A token's figures: `p` 0 to 1, `rank` from 0, `entropy_bits`; None for a token that nothing stood before."""

    p: float | None = None
    rank: int | None = None
    entropy_bits: float | None = None


def step_of(surprise: Surprise, colouring: Colouring) -> int:
    """Which step of the scale: 0 expected, `N_STEPS` − 1 very surprising. What is not known is step 0."""
    if colouring is Colouring.PROBABILITY:
        p = surprise.p
        return 0 if p is None else sum(p < each for each in _P_AT_LEAST)
    if colouring is Colouring.RANK:
        rank = surprise.rank
        return 0 if rank is None else sum(rank >= each for each in _RANK_BELOW)
    bits = surprise.entropy_bits
    return 0 if bits is None else sum(bits >= each for each in _BITS_BELOW)


def step_texts(colouring: Colouring) -> tuple[str, ...]:
    """What each step means, shortly, from expected to surprising."""
    if colouring is Colouring.PROBABILITY:
        return (*(f"≥{each:g}" for each in _P_AT_LEAST), f"<{_P_AT_LEAST[-1]:g}")
    if colouring is Colouring.RANK:
        return "1", "2–5", "6–20", "21–100", ">100"
    return (*(f"<{each:g}" for each in _BITS_BELOW), f"≥{_BITS_BELOW[-1]:g}")


class StepLegend(QWidget):
    """The five colours, each with what it means written into it."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._texts: Sequence[str] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)
        self.set_colouring(Colouring.PROBABILITY)

    def set_colouring(self, colouring: Colouring) -> None:
        """Explain this scale."""
        names = {
            Colouring.PROBABILITY: self._tr("Probability of the token"),
            Colouring.RANK: self._tr("Place of the token among all of them, 1 for the likeliest"),
            Colouring.ENTROPY: self._tr("Entropy of the distribution at the token's place, in bits"),
        }
        self._texts = step_texts(colouring)
        self.setToolTip(names[colouring])
        self.setAccessibleName(names[colouring])
        self.setAccessibleDescription(", ".join(self._texts))
        self.update()

    def texts(self) -> tuple[str, ...]:
        """What is written into the colours."""
        return tuple(self._texts)

    def sizeHint(self) -> QSize:
        return QSize(200, self._theme.px(18))

    def minimumSizeHint(self) -> QSize:
        metrics = QFontMetrics(self._theme.mono_font(11))
        return QSize(N_STEPS * (max(metrics.horizontalAdvance(each) for each in self._texts) + 4), self._theme.px(18))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._theme.mono_font(11))
        width = self.width() / N_STEPS
        for step, text in enumerate(self._texts):
            back, ink = self._theme.step_colors(step)
            rect = QRectF(step * width + 1, 0.5, width - 2, self.height() - 1)
            painter.setPen(QPen(self._theme.color("hairline"), 1))
            painter.setBrush(back)
            painter.drawRoundedRect(rect, 3, 3)
            painter.setPen(ink)
            painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)

    @staticmethod
    def _tr(text: str) -> str:
        return QCoreApplication.translate("StepLegend", text)
