"""Actions: one definition each, from which the menu entry, the shortcut, the palette line and the tooltip come.

An `Action` says what there is; `ActionRegistry.register` binds it to a handler in one window and makes the QAction.
Rejected: QActions made where they are used (two spellings of one shortcut), shortcuts as QShortcut objects (not in
menus, not listed).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QMenu, QWidget

from gui.icons import Icons


class ActionGroup(enum.Enum):
    """The part of the program an action belongs to; the palette shows it, menus are made of it."""

    GO = "go"
    CHAT = "chat"
    MODEL = "model"
    MEMORY = "memory"
    HARDWARE = "hardware"
    LAB = "lab"
    VIEW = "view"
    APP = "app"


@dataclass(frozen=True, slots=True)
class Action:
    """What a user can do.

    Attributes:
        id: a stable name (`chat.new`); keymaps and tests use it.
        text: what it is called, already translated.
        keys: the shortcuts in Qt's portable spelling (`Ctrl+N`), the first one shown.
        icon: a file of resources/icons, "" for none.
        group: where it belongs.
        help: one sentence more than the text; in the tooltip and the palette.
    """

    id: str
    text: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    group: ActionGroup = ActionGroup.APP
    help: str = ""


def keys_text(keys: tuple[str, ...]) -> str:
    """The first shortcut as the window shows it: `Ctrl N`, `⌘N` on a Mac; "" when there is none."""
    if not keys:
        return ""
    native = QKeySequence(keys[0]).toString(QKeySequence.SequenceFormat.NativeText)
    return re.sub(r"\+(?=.)", " ", native)  # the plus that is a key itself stands at the end


def group_text(group: ActionGroup) -> str:
    """The group's name on screen."""
    names = {
        ActionGroup.GO: QCoreApplication.translate("Actions", "Go"),
        ActionGroup.CHAT: QCoreApplication.translate("Actions", "Chat"),
        ActionGroup.MODEL: QCoreApplication.translate("Actions", "Model"),
        ActionGroup.MEMORY: QCoreApplication.translate("Actions", "Memory"),
        ActionGroup.HARDWARE: QCoreApplication.translate("Actions", "Hardware"),
        ActionGroup.LAB: QCoreApplication.translate("Actions", "Lab"),
        ActionGroup.VIEW: QCoreApplication.translate("Actions", "View"),
        ActionGroup.APP: QCoreApplication.translate("Actions", "Llamarium"),
    }
    return names[group]


class ActionRegistry(QObject):
    """The actions of one window. `changed` comes after one was added or removed."""

    changed = Signal()

    def __init__(self, window: QWidget, icons: Icons) -> None:
        super().__init__(window)
        self._window, self._icons = window, icons
        self._definitions: dict[str, Action] = {}
        self._actions: dict[str, QAction] = {}
        self._enabled: dict[str, Callable[[], bool]] = {}

    def register(
        self,
        definition: Action,
        handler: Callable[[], object],
        enabled: Callable[[], bool] | None = None,
    ) -> QAction:
        """Bind a definition to what it does.

        Args:
            definition: its id and its shortcuts must be free; otherwise `ValueError`.
            handler: called without arguments.
            enabled: asked when a menu or the palette opens, and again before the handler is called.
        """
        if definition.id in self._definitions:
            raise ValueError(f"the action {definition.id} stands twice")
        for keys in definition.keys:
            if (taken := self.by_keys(keys)) is not None:
                raise ValueError(f"{keys} already belongs to {taken.id}, so {definition.id} cannot have it")
        action = QAction(definition.text, self)
        action.setObjectName(definition.id)
        action.setShortcuts([QKeySequence(each) for each in definition.keys])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setToolTip(self.tooltip(definition))
        action.setStatusTip(definition.help)

        def run() -> None:
            if enabled is None or enabled():
                handler()

        action.triggered.connect(run)
        self._window.addAction(action)
        self._definitions[definition.id] = definition
        self._actions[definition.id] = action
        if enabled is not None:
            self._enabled[definition.id] = enabled
        self.changed.emit()
        return action

    def unregister(self, action_id: str) -> None:
        """Take an action away again (a panel that closes)."""
        action = self._actions.pop(action_id)
        del self._definitions[action_id]
        self._enabled.pop(action_id, None)
        self._window.removeAction(action)
        action.deleteLater()
        self.changed.emit()

    def by_id(self, action_id: str) -> QAction:
        """The window's QAction of that id; `KeyError` when there is none."""
        return self._actions[action_id]

    def definition(self, action_id: str) -> Action:
        return self._definitions[action_id]

    def by_keys(self, keys: str) -> Action | None:
        """The action that has this shortcut, or None."""
        wanted = QKeySequence(keys)
        for each in self._definitions.values():
            if any(QKeySequence(own) == wanted for own in each.keys):
                return each
        return None

    def all(self) -> tuple[Action, ...]:
        """Every definition, in the order of registration."""
        return tuple(self._definitions.values())

    def is_enabled(self, action_id: str) -> bool:
        enabled = self._enabled.get(action_id)
        return self._actions[action_id].isEnabled() and (enabled is None or enabled())

    def trigger(self, action_id: str) -> None:
        """Do it, as if its shortcut was pressed."""
        self._actions[action_id].trigger()

    def menu(self, parent: QWidget, *action_ids: str) -> QMenu:
        """A menu of these actions; "-" is a separator. Disabled ones are shown so when it opens."""
        menu = QMenu(parent)
        for each in action_ids:
            if each == "-":
                menu.addSeparator()
            else:
                menu.addAction(self._actions[each])
                if (icon := self._definitions[each].icon) and self._actions[each].icon().isNull():
                    self._icons.bind(self._actions[each], icon, size=16)  # drawn only now, not at the start

        def show_enabled() -> None:
            for each in action_ids:
                if each in self._enabled:
                    self._actions[each].setEnabled(self._enabled[each]())

        def allow_all() -> None:
            # The shortcut asks `enabled` itself; a QAction left disabled by a closed menu would not even ask.
            for each in action_ids:
                if each in self._enabled:
                    self._actions[each].setEnabled(True)

        menu.aboutToShow.connect(show_enabled)
        menu.aboutToHide.connect(allow_all)
        return menu

    def dress(self, button: QAbstractButton, action_id: str, *, text: bool = False, size: int = 18) -> None:
        """Make a button do an action: icon, tooltip with the shortcut, accessible name, click."""
        definition = self._definitions[action_id]
        if definition.icon:
            self._icons.bind(button, definition.icon, size=size)
        if text:
            button.setText(definition.text)
        button.setAccessibleName(definition.text)
        button.setToolTip(self.tooltip(definition))
        button.clicked.connect(self._actions[action_id].trigger)

    @staticmethod
    def tooltip(definition: Action) -> str:
        """The text, its shortcut, and the help on a line of its own."""
        keys = keys_text(definition.keys)
        head = f"{definition.text}  {keys}" if keys else definition.text
        return f"{head}\n{definition.help}" if definition.help else head
