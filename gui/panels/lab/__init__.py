"""The Lab page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from gui.page import PanelContext


def build(context: PanelContext) -> QWidget:
    """The page's widget; Qt is imported only now, so that the presenters can be used without it."""
    from gui.panels.lab.view import LabView

    return LabView(context)
