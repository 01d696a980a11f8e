"""The steps of a sampler chain as a small table: what was left after each, and which of them is looked at.

Four columns in the width of the inspector; a row is chosen to show its distribution. Rejected: the value table (its
rows are made for reading, not for ten lines beside a chat).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QWidget

from gui.theme import Theme
from gui.widgets.quantities import count_text, percent_text
from gui.widgets.row_list import RowList

_SAMPLES = ("262,144", ">99 %", "17.3 bit")


@dataclass(frozen=True, slots=True)
class Step:
    """What was left after a stage.

    Attributes:
        key: the stage's key.
        name: its name on screen.
        survivors: how many tokens can still be drawn.
        mass_kept: their share of the model's own probability, 0 to 1.
        entropy_bits: of the distribution over them.
    """

    key: str
    name: str
    survivors: int
    mass_kept: float
    entropy_bits: float


def _tr(text: str) -> str:
    return QCoreApplication.translate("ChainSteps", text)


def bits_text(bits: float | None) -> str:
    """An entropy: 1.70 bit."""
    return _tr("unknown") if bits is None else _tr("{bits} bit").format(bits=f"{max(bits, 0.0):.2f}")


class ChainSteps(RowList):
    """One row a stage, the model's own distribution first."""

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        self.steps: tuple[Step, ...] = ()
        super().__init__(theme, name, row_height=20, parent=parent)

    def set_steps(self, steps: Sequence[Step]) -> None:
        """Show these."""
        if tuple(steps) != self.steps:
            self.steps = tuple(steps)
            self.rows_changed()

    def n_rows(self) -> int:
        return len(self.steps)

    def head_height(self) -> int:
        return self.theme.px(18) if self.steps else 0

    def tip_of(self, row: int) -> str:
        return self.spoken(row)

    def spoken(self, row: int) -> str:
        step = self.steps[row]
        return _tr("{name}: {n} tokens left, {mass} of the probability, entropy {bits}").format(
            name=step.name,
            n=count_text(step.survivors),
            mass=percent_text(step.mass_kept),
            bits=bits_text(step.entropy_bits),
        )

    def as_tsv(self) -> str:
        lines = ["stage\ttokens left\tmass kept\tentropy (bit)"]
        lines += [
            f"{each.name}\t{each.survivors}\t{each.mass_kept:.6g}\t{each.entropy_bits:.6g}" for each in self.steps
        ]
        return "\n".join(lines) + "\n"

    def paint_head(self, painter: QPainter, rect: QRect) -> None:
        painter.setFont(self.theme.ui_font(12))
        painter.setPen(self.theme.color("text3"))
        for title, (left, width) in zip((_tr("left"), _tr("mass"), _tr("entropy")), self._columns(), strict=True):
            area = QRect(left, rect.top(), width, rect.height())
            painter.drawText(area, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), title)

    def paint_row(self, painter: QPainter, rect: QRect, row: int) -> None:
        theme, step = self.theme, self.steps[row]
        columns = self._columns()
        font = theme.ui_font(12)
        painter.setFont(font)
        painter.setPen(theme.color("text1" if row == self.row else "text2"))
        name = QRect(rect.left() + 4, rect.top(), columns[0][0] - 4, rect.height())
        text = QFontMetrics(font).elidedText(step.name, Qt.TextElideMode.ElideRight, name.width())
        painter.drawText(name, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), text)
        painter.setFont(theme.mono_font(12))
        cells = (count_text(step.survivors), percent_text(step.mass_kept), bits_text(step.entropy_bits))
        for cell, (left, width) in zip(cells, columns, strict=True):
            area = QRect(left, rect.top(), width, rect.height())
            painter.drawText(area, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), cell)

    def _columns(self) -> list[tuple[int, int]]:
        """The three columns of numbers as (left, width), at the right end."""
        metrics = QFontMetrics(self.theme.mono_font(12))
        widths = [metrics.horizontalAdvance(each) for each in _SAMPLES]
        right = self.width() - 4
        columns: list[tuple[int, int]] = []
        for width in reversed(widths):
            columns.append((right - width, width))
            right -= width + Theme.SPACE[1]
        return columns[::-1]
