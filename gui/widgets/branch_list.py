"""A tree of branches as indented lines: which one is on screen, where each left its parent, how likely it is.

Rejected: QTreeView (folds and a model for what is rarely more than ten lines, all of which should be seen).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QWidget

from gui.theme import Theme
from gui.widgets.row_list import RowList

_INDENT = 12


@dataclass(frozen=True, slots=True)
class Branch:
    """One line.

    Attributes:
        key: what it stands for.
        depth: 0 for a root, 1 for what left it, and so on.
        text: how it begins, or where it left its parent.
        value: its figure at the right end, "" for none.
        is_current: it is the one on screen.
        tip: all that is known of it.
    """

    key: str
    depth: int
    text: str
    value: str = ""
    is_current: bool = False
    tip: str = ""


class BranchList(RowList):
    """The lines. `activated` carries the row; `branches[row].key` is the branch."""

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        self.branches: tuple[Branch, ...] = ()
        super().__init__(theme, name, parent=parent)

    def set_branches(self, branches: Sequence[Branch]) -> None:
        """Show these."""
        if tuple(branches) != self.branches:
            self.branches = tuple(branches)
            self.rows_changed()

    def n_rows(self) -> int:
        return len(self.branches)

    def tip_of(self, row: int) -> str:
        return self.branches[row].tip or self.branches[row].text

    def spoken(self, row: int) -> str:
        branch = self.branches[row]
        words = [branch.text, branch.value, self.tr("on screen") if branch.is_current else ""]
        return ", ".join(each for each in words if each)

    def as_tsv(self) -> str:
        lines = [f"{each.depth}\t{each.text}\t{each.value}" for each in self.branches]
        return "\n".join([f"{self.tr('depth')}\t{self.tr('branch')}\t{self.tr('value')}", *lines]) + "\n"

    def paint_row(self, painter: QPainter, rect: QRect, row: int) -> None:
        theme, branch = self.theme, self.branches[row]
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        left = rect.left() + 4 + branch.depth * _INDENT
        if branch.depth:
            painter.setPen(QPen(theme.color("text3"), 1))
            corner = rect.center().y()
            painter.drawLine(left - 8, rect.top(), left - 8, corner)
            painter.drawLine(left - 8, corner, left - 3, corner)
        mono = theme.mono_font(12)
        painter.setFont(mono)
        painter.setPen(theme.color("text1" if branch.is_current else "text2"))
        value_width = QFontMetrics(mono).horizontalAdvance(branch.value)
        painter.drawText(rect.adjusted(0, 0, -4, 0), middle | int(Qt.AlignmentFlag.AlignRight), branch.value)
        font = theme.ui_font(12)
        painter.setFont(font)
        painter.setPen(theme.color("accent" if branch.is_current else "text1"))
        room = rect.right() - 4 - value_width - Theme.SPACE[1] - left
        text = QFontMetrics(font).elidedText(branch.text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRect(left, rect.top(), room, rect.height()), middle | int(Qt.AlignmentFlag.AlignLeft), text)
