"""What a page of the window is: its place in the rail, how to build it, and all that it is handed.

A panel gets one `PanelContext` and reaches for nothing else, so a panel can be opened alone in a test.
Rejected: panels that find the window through `self.window()` (they could not be built without it).

Source: ARCHITECTURE.md, “Where to add one thing”.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from PySide6.QtWidgets import QWidget

from engine.base.bus import Bus
from gui.actions import ActionRegistry
from gui.icons import Icons
from gui.notices import NoticeArea
from gui.theme import Theme
from gui.toast import Toast
from gui.window_state import WindowState

if TYPE_CHECKING:
    from gui.footer import Footer
    from gui.palette import Source


@dataclass(frozen=True, slots=True)
class PanelContext:
    """All that a panel is handed.

    Attributes:
        workbench: the façade of the engine (`engine.workbench.Workbench`).
        bus: where the engine's events come from; unsubscribe in `close_panel`.
        theme, icons, actions: the look and the actions of the window.
        notices: the notices at the top of this panel's own page.
        toast: “Deleted. Undo”.
        state: splitters and folds that are remembered.
        footer: the bar at the bottom.
        go: shows a page by its key.
        set_title: names what is open in the window's title; "" for nothing.
        add_palette_source: lists more entries in the command palette.
    """

    workbench: Any
    bus: Bus
    theme: Theme
    icons: Icons
    actions: ActionRegistry
    notices: NoticeArea
    toast: Toast
    state: WindowState
    footer: Footer
    go: Callable[[str], None]
    set_title: Callable[[str], None]
    add_palette_source: Callable[[Source], None]


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """One page: a line in `gui.panels.PANELS`.

    Attributes:
        key: stable (`chat`); `go(key)`, notices' `OPEN_PAGE` and the remembered page use it.
        title: its name in the rail, already translated.
        icon: a file of resources/icons.
        order: its place in the rail, smallest first.
        shortcut: `Ctrl+1` and so on, "" for none.
        build: makes its widget at the first visit.
        at_bottom: stands at the rail's lower end (Settings).
    """

    key: str
    title: str
    icon: str
    order: int
    shortcut: str
    build: Callable[[PanelContext], QWidget]
    at_bottom: bool = False


@runtime_checkable
class Activates(Protocol):
    """A panel that wants to know when it comes on screen (to start drawing plots)."""

    def activated(self) -> None: ...


@runtime_checkable
class Deactivates(Protocol):
    """A panel that wants to know when it leaves the screen."""

    def deactivated(self) -> None: ...


@runtime_checkable
class Closes(Protocol):
    """A panel with something to end: subscriptions, timers, jobs."""

    def close_panel(self) -> None: ...


def activate(panel: object) -> None:
    """Tell a panel that it is on screen, if it wants to know."""
    if isinstance(panel, Activates):
        panel.activated()


def deactivate(panel: object) -> None:
    """Tell a panel that it left the screen, if it wants to know."""
    if isinstance(panel, Deactivates):
        panel.deactivated()


def close(panel: object) -> None:
    """Tell a panel to end what it runs, if it runs something."""
    if isinstance(panel, Closes):
        panel.close_panel()
