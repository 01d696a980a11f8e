"""A theme that is applied, and an icon set: what every test of the window begins with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication

from gui.icons import Icons
from gui.theme import Mode, Theme


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    """The dark theme, on the application."""
    theme = Theme(Mode.DARK)
    theme.apply(qapp)
    yield theme
    qapp.setStyleSheet("")
    theme.deleteLater()


@pytest.fixture
def icons(theme: Theme) -> Icons:
    """The icons in that theme's colours."""
    return Icons(theme)
