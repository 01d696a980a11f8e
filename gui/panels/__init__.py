"""The pages of the window: one line each in `PANELS`. Their code is imported when they are first visited.

Panels do not know each other; where one stands inside another (the inspector beside the chat), they meet here.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from gui.page import PanelContext, PanelSpec


def _chat(context: PanelContext) -> QWidget:
    from gui.panels.chat.view import ChatPage
    from gui.panels.inspector.view import Inspector

    return ChatPage(context, Inspector(context))


def _memory(context: PanelContext) -> QWidget:
    from gui.panels.memory import build

    return build(context)


def _hardware(context: PanelContext) -> QWidget:
    from gui.panels.hardware import build

    return build(context)


def _models(context: PanelContext) -> QWidget:
    from gui.panels.models import build

    return build(context)


def _lab(context: PanelContext) -> QWidget:
    from gui.panels.lab import build

    return build(context)


def _settings(context: PanelContext) -> QWidget:
    from gui.panels.settings import build

    return build(context)


PANELS: tuple[PanelSpec, ...] = (
    PanelSpec("chat", "Chat", "chat", 1, "Ctrl+1", _chat),
    PanelSpec("memory", "Memory", "memory", 2, "Ctrl+2", _memory),
    PanelSpec("hardware", "Hardware", "hardware", 3, "Ctrl+3", _hardware),
    PanelSpec("models", "Models", "models", 4, "Ctrl+4", _models),
    PanelSpec("lab", "Lab", "lab", 5, "Ctrl+5", _lab),
    PanelSpec("settings", "Settings", "settings", 6, "Ctrl+6", _settings, at_bottom=True),
)
"""Every page, its title in English; `panels` gives them in the language of the window."""


def panels() -> tuple[PanelSpec, ...]:
    """The pages with their titles in the window's language. Call it once the application is there."""
    return tuple(replace(each, title=QCoreApplication.translate("Panels", each.title)) for each in PANELS)
