"""The window: rail, pages, footer; and over them the palette and the toasts.

It knows no page by name: pages are `PanelSpec`s, built when they are first visited, so that the first paint waits for
one page only. What happens in a page is the page's; what the window does is showing one and remembering which.
Rejected: QDockWidget (default grey title bars, and users lose docks), a menu bar (the palette lists every action).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from engine.base.bus import Bus
from engine.base.errors import Remedy, RemedyKind, Trouble
from gui import page
from gui.actions import Action, ActionGroup, ActionRegistry
from gui.footer import Footer
from gui.icons import Icons
from gui.notices import NoticeArea, NoticeCard, Severity
from gui.page import PanelContext, PanelSpec
from gui.rail import Rail
from gui.theme import Mode, Theme
from gui.toast import Toast
from gui.window_state import MINIMUM_SIZE, WindowState, placed

if TYPE_CHECKING:
    from gui.palette import CommandPalette, Source

APP_TITLE = "Llamarium"
_FOOTER_PAGES = {
    "model": "models",
    "context": "memory",
    "speed": "chat",
    "ram": "memory",
    "vram": "memory",
    "cpu": "hardware",
}


class MainWindow(QMainWindow):
    """The one window.

    Args:
        pages: what the rail shows; at least one. The first by order is shown when nothing is remembered.
        theme, icons: the look.
        workbench, bus: handed to the panels, the window itself does not use them; None where `attach` brings them.
        state_path: where the window remembers its place; None remembers nothing.

    Signals:
        page_shown: the key of the page that came on screen.
        remedy_chosen: a notice's `Remedy`, except `OPEN_PAGE` and `CHOOSE_MODEL`, which the window does itself.
    """

    page_shown = Signal(str)
    remedy_chosen = Signal(object)

    def __init__(
        self,
        pages: Sequence[PanelSpec],
        *,
        theme: Theme,
        icons: Icons,
        workbench: Any = None,
        bus: Bus | None = None,
        state_path: Path | None = None,
    ) -> None:
        super().__init__()
        self._pages = {spec.key: spec for spec in sorted(pages, key=lambda spec: spec.order)}
        self._workbench, self._bus = workbench, bus
        self._on_close: Callable[[], None] | None = None
        self.theme, self.icons = theme, icons
        self.state = WindowState(state_path)
        self._panels: dict[str, QWidget] = {}
        self._places: dict[str, int] = {}
        self._areas: dict[str, NoticeArea] = {}
        self._palette_sources: list[Source] = []
        self._command_palette: CommandPalette | None = None
        self._current = ""
        self._closed = False
        self.setAccessibleName(APP_TITLE)
        self.registry = ActionRegistry(self, icons)
        self.rail = Rail(tuple(self._pages.values()), icons)
        self.footer = Footer(theme)
        self._stack = QStackedWidget()
        self._lay_out()
        self.toast = Toast(self, icons)
        self._register_actions()
        self.rail.page_chosen.connect(self.go)
        self.footer.part_clicked.connect(self._footer_clicked)
        self.set_conversation("")
        self._restore_place()

    def attach(self, workbench: Any, bus: Bus, on_close: Callable[[], None]) -> None:
        """Bring what the pages work with, before the first page; `on_close` is called once, after the panels have ended."""
        self._workbench, self._bus, self._on_close = workbench, bus, on_close

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, for good."""
        return self._closed

    @property
    def areas(self) -> Mapping[str, NoticeArea]:
        """The notices of each page that was visited, by its key."""
        return self._areas

    # ---- pages

    @property
    def current_page(self) -> str:
        """The key of the page on screen, "" before the first one."""
        return self._current

    def panel(self, key: str) -> QWidget | None:
        """The page's widget, None when it was never visited."""
        return self._panels.get(key)

    def show_first_page(self) -> None:
        """Show the page that was open last, or the first. Call it once."""
        self.go(self.state.page if self.state.page in self._pages else next(iter(self._pages)))
        if self.focusWidget() is None:
            self._stack.setFocus()  # otherwise Qt begins with the rail's first button and its ring

    def go(self, key: str) -> None:
        """Show a page; it is built at the first visit. An unknown key is ignored: an old notice may name one."""
        if key not in self._pages or key == self._current:
            return
        if key not in self._panels:
            self._build(key)
        page.deactivate(self._panels.get(self._current))
        panel, focused = self._panels[key], self.focusWidget()
        had_keyboard = focused is None or focused is self._stack or self._stack.isAncestorOf(focused)
        if had_keyboard:
            self._stack.setFocus()  # a page that hides hands its focus to the next page's first control, with a ring
        self._current = self.state.page = key
        self._stack.setCurrentIndex(self._places[key])
        self.rail.set_current(key)
        page.activate(panel)
        if had_keyboard and self.focusWidget() is self._stack:
            panel.setFocus(Qt.FocusReason.OtherFocusReason)  # no ring; the first Tab goes to its first control
        self.page_shown.emit(key)

    def show_trouble(self, trouble: Trouble, severity: Severity = Severity.ERROR) -> NoticeCard:
        """Show a notice on the page that is on screen."""
        return self._areas[self._current].show_trouble(trouble, severity)

    @property
    def command_palette(self) -> CommandPalette:
        """The palette, made when it is first wanted: its list view would cost every start some milliseconds."""
        if self._command_palette is None:
            from gui.palette import CommandPalette

            self._command_palette = CommandPalette(self, self.registry, self.icons, self._palette_sources)
        return self._command_palette

    def set_conversation(self, title: str) -> None:
        """Name what is open in the window's title; "" names the program alone."""
        self.setWindowTitle(f"{APP_TITLE} \N{EM DASH} {title}" if title else APP_TITLE)

    # ---- Qt's events

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._closed:
            self._closed = True
            self._remember_place()
            self.state.save()
            if self._command_palette is not None:
                self._command_palette.dismiss()
            self.toast.forget_all()
            for panel in self._panels.values():
                page.close(panel)
            if self._on_close is not None:
                self._on_close()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            panel = self._panels.get(self._current)
            if self.isMinimized():
                page.deactivate(panel)
            else:
                page.activate(panel)

    # ---- making it

    def _lay_out(self) -> None:
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addWidget(self.rail)
        body.addWidget(self._stack, 1)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(body, 1)
        layout.addWidget(self.footer)
        self.setCentralWidget(centre)

    def _build(self, key: str) -> None:
        # From the outside in: a style sheet makes Qt restyle all that a widget holds when that is put into another one.
        place = QWidget()
        layout = QVBoxLayout(place)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        area = NoticeArea(self.icons)
        area.remedy_chosen.connect(self._remedy)
        panel = self._pages[key].build(self._context(area))
        if not panel.accessibleName():
            panel.setAccessibleName(self._pages[key].title)
        self._places[key] = self._stack.addWidget(place)
        layout.addWidget(area)
        layout.addWidget(panel, 1)
        if place.isVisible():
            panel.show()  # now; Qt would do it with the next events
        self._areas[key], self._panels[key] = area, panel

    def _context(self, notices: NoticeArea) -> PanelContext:
        assert self._bus is not None, "the workbench comes before the first page"
        return PanelContext(
            workbench=self._workbench,
            bus=self._bus,
            theme=self.theme,
            icons=self.icons,
            actions=self.registry,
            notices=notices,
            toast=self.toast,
            state=self.state,
            footer=self.footer,
            go=self.go,
            set_title=self.set_conversation,
            add_palette_source=self._palette_sources.append,
        )

    def _register_actions(self) -> None:
        add = self.registry.register
        for spec in self._pages.values():
            keys = (spec.shortcut,) if spec.shortcut else ()
            text = self.tr("Go to {page}").format(page=spec.title)
            definition = Action(f"go.{spec.key}", text, keys, spec.icon, ActionGroup.GO)
            add(definition, partial(self.go, spec.key))
        add(
            Action("app.palette", self.tr("All actions"), ("Ctrl+K", "Ctrl+Shift+P"), "search", ActionGroup.APP),
            lambda: self.command_palette.open(),
        )
        add(
            Action("app.undo", self.tr("Undo what was deleted"), ("Ctrl+Z",), "undo", ActionGroup.APP),
            self.toast.undo_latest,
            enabled=self.toast.can_undo,
        )
        for mode, text, icon in (
            (Mode.SYSTEM, self.tr("Follow the desktop's light or dark"), "sun-moon"),
            (Mode.LIGHT, self.tr("Light"), "sun"),
            (Mode.DARK, self.tr("Dark"), "moon"),
        ):
            definition = Action(f"view.{mode.value}", text, (), icon, ActionGroup.VIEW, self.tr("The window's colours"))
            add(definition, partial(self.theme.set_mode, mode))
        add(Action("app.quit", self.tr("Quit"), ("Ctrl+Q",), "close", ActionGroup.APP), self.close)

    def _footer_clicked(self, part: str) -> None:
        if part == "palette":
            self.command_palette.open()
        else:
            self.go(_FOOTER_PAGES[part])

    def _remedy(self, remedy: Remedy) -> None:
        if remedy.kind is RemedyKind.OPEN_PAGE:
            self.go(remedy.argument)
        elif remedy.kind is RemedyKind.CHOOSE_MODEL:
            self.go("models")
        else:
            self.remedy_chosen.emit(remedy)

    # ---- where it stands

    def _restore_place(self) -> None:
        wanted = self.state.rect
        screen = QGuiApplication.screenAt(wanted.center()) if wanted is not None else None
        screen = screen or QGuiApplication.primaryScreen()
        available = screen.availableGeometry() if screen is not None else QRect(0, 0, *MINIMUM_SIZE)
        self.setMinimumSize(QSize(*MINIMUM_SIZE).boundedTo(available.size()))
        self.setGeometry(placed(wanted, available))
        if self.state.maximized:
            self.setWindowState(self.windowState() | Qt.WindowState.WindowMaximized)

    def _remember_place(self) -> None:
        self.state.maximized = self.isMaximized()
        self.state.rect = self.normalGeometry() if self.normalGeometry().isValid() else self.geometry()
