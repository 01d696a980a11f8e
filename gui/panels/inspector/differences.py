"""What of the sampler chain is not the default, as lines of two values: now, and by default.

A grid of labels and no table: it is read once and closed, and it wraps in a narrow column.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from gui.panels.inspector.presenter.stages import Difference, DifferenceKind
from gui.theme import Theme, set_kind
from gui.widgets.elided_label import ElidedLabel


class DifferencesView(QWidget):
    """The lines."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Differences from the default"))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(Theme.SPACE[2])
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        self._shown: tuple[Difference, ...] = ()
        self.texts: tuple[tuple[str, str, str], ...] = ()

    def show_differences(self, differences: Sequence[Difference]) -> None:
        """Show these; the texts are kept in `texts`, line by line."""
        if tuple(differences) == self._shown:
            return
        self._shown = tuple(differences)
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.texts = tuple((self._label(each), each.now, each.default) for each in differences)
        for column, text in enumerate((self.tr("now"), self.tr("default")), 1):
            self._add(0, column, text, "caption")
        for line, (label, now, default) in enumerate(self.texts, 1):
            self._add(line, 0, label, "small")
            self._add(line, 1, now, "mono")
            self._add(line, 2, default, "mono-faint")

    def _label(self, difference: Difference) -> str:
        if difference.kind is DifferenceKind.PLACE:
            return self.tr("{label}, place").format(label=difference.label)
        return difference.label

    def _add(self, line: int, column: int, text: str, kind: str) -> None:
        label: QLabel = ElidedLabel(text, self)
        if column:
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            label.setMaximumWidth(110)
        set_kind(label, kind)
        self._grid.addWidget(label, line, column)
        label.show()
