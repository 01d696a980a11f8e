"""The pages of the window: one line each in `PANELS`. Their code is imported when they are first visited.

Panels do not know each other; where one stands inside another (the inspector beside the chat), they meet here.
"""

from __future__ import annotations

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication
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


def _settings(context: PanelContext) -> QWidget:
    from gui.panels.settings import build

    return build(context)


PANELS: tuple[PanelSpec, ...] = (
    PanelSpec("chat", QT_TRANSLATE_NOOP("Panels", "Chat"), "chat", 1, "Ctrl+1", _chat),
    PanelSpec("memory", QT_TRANSLATE_NOOP("Panels", "Memory"), "memory", 2, "Ctrl+2", _memory),
    PanelSpec("hardware", QT_TRANSLATE_NOOP("Panels", "Hardware"), "hardware", 3, "Ctrl+3", _hardware),
    PanelSpec("models", QT_TRANSLATE_NOOP("Panels", "Models"), "models", 4, "Ctrl+4", _models),
    PanelSpec("settings", QT_TRANSLATE_NOOP("Panels", "Settings"), "settings", 6, "Ctrl+6", _settings, at_bottom=True),
)
"""Every page, titles not yet translated; `panels` gives them in the language of the window."""


def panels() -> tuple[PanelSpec, ...]:
    """The pages with their titles in the window's language. Call it once the application is there."""
    from dataclasses import replace

    return tuple(replace(each, title=QCoreApplication.translate("Panels", each.title)) for each in PANELS)
