"""A number with its name over it, for rows of figures that belong together."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from gui.theme import set_kind


class Stat(QWidget):
    """A caption over a value in the monospace face."""

    def __init__(self, caption: str, tip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.caption, self.value = QLabel(caption), QLabel()
        set_kind(self.caption, "caption")
        set_kind(self.value, "mono")
        self.setToolTip(tip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(self.caption)
        column.addWidget(self.value)

    def set_text(self, text: str) -> None:
        """Show a value."""
        if text != self.value.text():
            self.value.setText(text)
            self.value.setAccessibleName(f"{self.caption.text()}: {text}")
            self.updateGeometry()
