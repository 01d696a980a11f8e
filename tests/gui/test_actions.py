"""Actions: one definition gives the shortcut, the menu entry, the button and the tooltip."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QToolButton, QVBoxLayout, QWidget

from gui.actions import Action, ActionGroup, ActionRegistry, keys_text
from gui.icons import Icons

NEW = Action("chat.new", "New chat", ("Ctrl+N",), "plus", ActionGroup.CHAT, "Begin an empty conversation")


@pytest.fixture
def window(qtbot) -> QWidget:
    window = QWidget()
    layout = QVBoxLayout(window)
    layout.addWidget(QLineEdit(window))
    qtbot.addWidget(window)
    return window


@pytest.fixture
def registry(window: QWidget, icons: Icons) -> ActionRegistry:
    return ActionRegistry(window, icons)


def test_the_shortcut_works_from_anywhere_in_the_window(window: QWidget, registry: ActionRegistry, qtbot) -> None:
    done: list[str] = []
    registry.register(NEW, lambda: done.append("new"))
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    field = window.findChild(QLineEdit)
    field.setFocus()
    qtbot.keyClick(field, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert done == ["new"]


def test_a_disabled_action_does_nothing_until_its_condition_holds(registry: ActionRegistry) -> None:
    done: list[str] = []
    allowed = False
    registry.register(NEW, lambda: done.append("new"), enabled=lambda: allowed)
    registry.trigger("chat.new")
    assert done == []
    assert not registry.is_enabled("chat.new")
    allowed = True
    registry.trigger("chat.new")
    assert done == ["new"]


def test_one_id_and_one_shortcut_belong_to_one_action(registry: ActionRegistry) -> None:
    registry.register(NEW, lambda: None)
    with pytest.raises(ValueError, match="twice"):
        registry.register(NEW, lambda: None)
    with pytest.raises(ValueError, match=r"chat\.new"):
        registry.register(Action("chat.other", "Other", ("ctrl+n",)), lambda: None)


def test_a_button_takes_name_tooltip_and_click_from_the_definition(registry: ActionRegistry, qtbot) -> None:
    done: list[str] = []
    registry.register(NEW, lambda: done.append("new"))
    button = QToolButton()
    qtbot.addWidget(button)
    registry.dress(button, "chat.new")
    assert button.accessibleName() == "New chat"
    assert "Ctrl N" in button.toolTip()
    assert "empty conversation" in button.toolTip()
    assert not button.icon().isNull()
    button.click()
    assert done == ["new"]


def test_a_menu_greys_what_is_not_possible_and_the_shortcut_still_asks(
    window: QWidget, registry: ActionRegistry, qtbot
) -> None:
    allowed = False
    done: list[str] = []
    registry.register(NEW, lambda: done.append("new"), enabled=lambda: allowed)
    registry.register(Action("app.quit", "Quit"), lambda: None)
    menu = registry.menu(window, "chat.new", "-", "app.quit")
    menu.aboutToShow.emit()
    assert [each.isEnabled() for each in menu.actions()] == [False, True, True]
    assert menu.actions()[1].isSeparator()
    menu.aboutToHide.emit()
    allowed = True
    registry.trigger("chat.new")
    assert done == ["new"]


def test_a_closed_panel_takes_its_actions_and_frees_their_keys(window: QWidget, registry: ActionRegistry) -> None:
    action = registry.register(NEW, lambda: None)
    registry.unregister("chat.new")
    assert action not in window.actions()
    assert registry.all() == ()
    assert registry.by_keys("Ctrl+N") is None


def test_a_shortcut_is_spelled_with_blanks_and_the_plus_key_keeps_its_sign() -> None:
    assert [keys_text((each,)) for each in ("Ctrl+K", "Ctrl+Shift+P", "Ctrl++", "F2")] == [
        "Ctrl K", "Ctrl Shift P", "Ctrl +", "F2",
    ]  # fmt: skip
    assert keys_text(()) == ""
