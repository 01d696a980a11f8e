"""The scroll area of a page or a column: it scrolls up and down only, has no frame, and is not stopped at by Tab."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget


def scroll_area(name: str, content: QWidget, *, is_clear: bool = False, parent: QWidget | None = None) -> QScrollArea:
    """`content` in a scroll area called `name` to screen readers; `is_clear`: what lies behind it shows through."""
    area = QScrollArea(parent)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setAccessibleName(name)
    area.setWidget(content)
    if is_clear:
        area.viewport().setAutoFillBackground(False)
        content.setAutoFillBackground(False)
    return area
