"""One page of the real window around a real workbench, pumped as the program does, for tests of the pages."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QWidget,
)

from engine.base.paths import Paths
from engine.workbench import Workbench
from gui.bridge import Bridge
from gui.icons import Icons
from gui.main_window import MainWindow
from gui.page import PanelSpec
from gui.theme import Theme

CONTROLS = (QAbstractButton, QAbstractItemView, QAbstractSlider, QComboBox, QLineEdit, QPlainTextEdit)


@dataclass(frozen=True)
class OpenPage:
    """A window that shows one page."""

    workbench: Workbench
    window: MainWindow
    view: Any


@contextmanager
def open_page(
    key: str, theme: Theme, icons: Icons, folder: Path, *others: str, start: bool = True
) -> Iterator[OpenPage]:
    """The page `key` in a window; `others` are in the rail too. Closed at the end, the worker with it."""
    workbench = Workbench(Paths.under(folder))
    if start:
        workbench.start()
    else:
        workbench.start_beating()
    bridge = Bridge(workbench.bus)
    bridge.start()
    specs = [
        PanelSpec(each, each.title(), each, order, "", importlib.import_module(f"gui.panels.{each}").build)
        for order, each in enumerate((key, *others))
    ]
    window = MainWindow(specs, workbench=workbench, bus=workbench.bus, theme=theme, icons=icons)
    window.resize(1440, 900)
    window.show_first_page()
    window.show()
    try:
        yield OpenPage(workbench, window, window.panel(key))
    finally:
        window.close()
        bridge.stop()
        workbench.close()
        window.deleteLater()


def unnamed_controls(view: QWidget) -> list[str]:
    """The controls on screen that a screen reader would have no name for."""
    return [
        f"{type(each).__name__} {each.objectName()}"
        for kind in CONTROLS
        for each in view.findChildren(kind)
        if each.isVisible()
        and not isinstance(each, QScrollBar)
        and not each.accessibleName()
        and each.focusPolicy().value
    ]
