"""Two texts in one: what only the first has is struck out, what only the second has is underlined, each in its colour.

Lines and colours both, because colour alone cannot be seen by everybody. Rejected: two columns side by side (the eye has
to find the same word twice).
"""

from __future__ import annotations

import enum
import html
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from gui.theme import Theme


class Mark(enum.Enum):
    """How a piece of text is shown."""

    PLAIN = "plain"
    STRUCK = "struck"
    UNDERLINED = "underlined"


class DiffText(QLabel):
    """The pieces as running text that can be selected."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._pieces: tuple[tuple[Mark, str], ...] = ()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        theme.changed.connect(self._draw)

    def set_pieces(self, pieces: Sequence[tuple[Mark, str]]) -> None:
        """Show these, one after another."""
        self._pieces = tuple(pieces)
        self._draw()

    def pieces(self) -> tuple[tuple[Mark, str], ...]:
        return self._pieces

    def spoken(self) -> str:
        """The text for a screen reader: words say what the lines show."""
        names = {Mark.STRUCK: self.tr("only in the first"), Mark.UNDERLINED: self.tr("only in the second")}
        parts = [f"[{names[mark]}: {text.strip()}]" if mark in names else text.strip() for mark, text in self._pieces]
        return " ".join(part for part in parts if part)

    def _draw(self) -> None:
        self.setText("".join(self._styled(mark, text) for mark, text in self._pieces))
        self.setAccessibleDescription(self.spoken())

    def _styled(self, mark: Mark, text: str) -> str:
        safe = html.escape(text).replace("\n", "<br>")
        if mark is Mark.PLAIN:
            return safe
        role, line = ("bad", "line-through") if mark is Mark.STRUCK else ("good", "underline")
        return f"<span style='color:{self._theme.color(role).name()}; text-decoration:{line}'>{safe}</span>"
