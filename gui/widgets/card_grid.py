"""Cards side by side in as many columns as there is room for; those of one row are equally high.

A flow layout would leave the rows ragged and the right edge free. Rejected: a grid with a fixed number of columns (a
small window has room for two, a large one for six).
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from gui.theme import Theme


class CardGrid(QWidget):
    """Widgets in rows, each at least `narrowest` pixels wide where the grid itself is."""

    def __init__(self, theme: Theme, narrowest: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._narrowest = theme, narrowest
        self._cards: tuple[QWidget, ...] = ()
        self._n_columns = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(Theme.SPACE[2])
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    @property
    def cards(self) -> tuple[QWidget, ...]:
        """The cards, in their order."""
        return self._cards

    @property
    def n_columns(self) -> int:
        """How many stand side by side now."""
        return self._n_columns

    def set_cards(self, cards: Sequence[QWidget]) -> None:
        """Show these, in this order. Others that stood here are hidden and stay the caller's."""
        wanted = tuple(cards)
        if wanted == self._cards:
            return
        for each in self._cards:
            if each not in wanted:
                self._grid.removeWidget(each)
                each.hide()
        self._cards = wanted
        self._place(self._fitting(self.width()))
        for each in wanted:
            each.show()

    def minimumSizeHint(self) -> QSize:
        return QSize(self._theme.px(self._narrowest), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        fitting = self._fitting(event.size().width())
        if fitting != self._n_columns:
            self._place(fitting)

    def _fitting(self, width: int) -> int:
        gap = self._grid.spacing()
        return max(1, (width + gap) // (self._theme.px(self._narrowest) + gap))

    def _place(self, n_columns: int) -> None:
        for column in range(max(self._n_columns, n_columns)):
            self._grid.setColumnStretch(column, 1 if column < n_columns else 0)
        self._n_columns = n_columns
        focused = self.focusWidget()
        for each in self._cards:
            self._grid.removeWidget(each)
        before: QWidget | None = None
        for place, each in enumerate(self._cards):
            self._grid.addWidget(each, place // n_columns, place % n_columns, Qt.AlignmentFlag(0))
            if before is not None:
                QWidget.setTabOrder(before, each)
            before = each
        if focused is not None and self.isAncestorOf(focused):
            focused.setFocus(Qt.FocusReason.OtherFocusReason)
