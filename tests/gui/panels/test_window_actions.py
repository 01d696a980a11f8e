"""Every shortcut of the window does something, and every control has a name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QWidget,
)

from engine.base.errors import Remedy, RemedyKind, Trouble
from engine.runtime.supervisor import Phase
from engine.workbench.events import TroubleShown
from gui.theme import Mode


@pytest.fixture
def window(open_window):
    opened = open_window()
    opened.begin()
    return opened


def press(opened, keys: str) -> None:
    """Press a shortcut where the keyboard is."""
    combination = QKeySequence(keys)[0]
    target = QApplication.focusWidget() or opened.window
    QTest.keyClick(target, combination.key(), combination.keyboardModifiers())


def test_the_columns_go_and_come_by_shortcut_and_stay_so(window) -> None:
    for keys, column, flag in (
        ("Ctrl+B", window.chat.list, "chat.list"),
        ("Ctrl+I", window.chat.inspector, "chat.inspector"),
    ):
        press(window, keys)
        assert not column.isVisible()
        assert window.window.state.flag(flag, True) is False
        press(window, keys)
        assert column.isVisible()


def test_search_shows_the_column_and_takes_the_keyboard(window) -> None:
    press(window, "Ctrl+B")
    press(window, "Ctrl+F")
    assert QApplication.focusWidget() is window.chat.list.search


def test_the_palette_lists_every_action_of_the_chat_and_closes_on_escape(window) -> None:
    press(window, "Ctrl+K")
    palette = window.window.command_palette
    assert palette.isVisible()
    ids = {each.id for each in palette.entries}
    assert {"chat.new", "chat.search", "model.open", "view.list", "view.inspector", "view.dark", "app.quit"} <= ids
    press(window, "Esc")
    assert not palette.isVisible()


def test_escape_closes_the_palette_before_it_stops_anything(open_window, smollm2: Path) -> None:
    opened = open_window()
    opened.begin(smollm2, planned=True)
    opened.limit(4000)
    opened.send("Tell a long story.")
    opened.wait_text(5)
    press(opened, "Ctrl+K")
    press(opened, "Esc")
    assert not opened.window.command_palette.isVisible()
    assert not opened.workbench.state.stopping
    press(opened, "Esc")
    opened.wait_answer()


def test_a_new_chat_by_shortcut_has_the_keyboard(window) -> None:
    window.chat.list.search.setFocus()
    press(window, "Ctrl+N")
    assert QApplication.focusWidget() is window.chat.composer.edit


def test_open_file_asks_and_loads_what_is_chosen(window, smollm2: Path) -> None:
    press(window, "Ctrl+O")
    [dialog] = window.window.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(smollm2))
    dialog.close()
    window.window.activateWindow()
    window.wait(window.window.isActiveWindow)
    window.wait(lambda: window.workbench.state.phase is Phase.READY, 60_000)
    press(window, "Ctrl+Shift+R")
    assert window.workbench.state.phase in (Phase.PLANNING, Phase.LOADING)
    window.wait(lambda: window.workbench.state.phase is Phase.READY, 60_000)
    window.window.registry.trigger("model.unload")
    window.wait(lambda: window.workbench.state.phase is Phase.EMPTY, 60_000)


def test_the_theme_is_changed_and_remembered(window) -> None:
    for mode in (Mode.LIGHT, Mode.DARK):
        window.window.registry.trigger(f"view.{mode.value}")
        assert window.window.theme.mode is mode
        assert window.workbench.settings["theme"] == mode.value


def test_a_theme_chosen_in_the_settings_is_shown(window) -> None:
    window.workbench.set_setting("theme", "light")
    window.settle()
    assert window.window.theme.mode is Mode.LIGHT


def test_quit_closes_the_window(window) -> None:
    press(window, "Ctrl+Q")
    assert not window.window.isVisible()


def test_no_shortcut_is_without_an_action_and_none_fails(window, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: caught.append(args))
    registry = window.window.registry
    keys = [each for action in registry.all() for each in action.keys]
    assert len(keys) == len(set(keys))
    for action in registry.all():
        if action.id not in ("app.quit",) and not action.id.startswith("go."):
            registry.trigger(action.id)
    for dialog in window.window.findChildren(QFileDialog):
        dialog.close()
    assert caught == []


def test_every_control_of_the_chat_page_has_a_name(window) -> None:
    kinds = (
        QAbstractButton, QLineEdit, QPlainTextEdit, QAbstractSlider, QAbstractSpinBox, QComboBox, QAbstractItemView,
    )  # fmt: skip
    nameless = [
        f"{type(each).__name__} in {type(each.parent()).__name__}"
        for each in window.window.findChildren(QWidget)
        if isinstance(each, kinds) and not isinstance(each, QScrollBar) and not each.accessibleName()
        and not isinstance(each, QHeaderView) and not each.isHidden() and not each.objectName().startswith("qt_")
    ]  # fmt: skip
    assert nameless == []


def test_a_fault_of_ours_becomes_a_notice_with_its_trace_and_the_window_lives_on(window) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a slot that is wrong")

    window.wiring.faults.install()
    try:
        QTimer.singleShot(0, broken)
        window.wait(lambda: bool(window.notices))
    finally:
        window.wiring.faults.remove()
    [card] = window.notices
    assert card.trouble.is_bug
    assert "what you wrote is kept" in card.trouble.next_step
    assert "a slot that is wrong" in card.trouble.details
    assert window.window.isVisible()


def test_a_handler_that_fails_is_told_and_the_others_go_on(window) -> None:
    heard: list[object] = []
    window.workbench.subscribe(Trouble, lambda _event: 1 / 0)
    window.workbench.subscribe(Trouble, heard.append)
    window.workbench.bus.post(Trouble("something"))
    window.wait(lambda: bool(window.notices))
    assert len(heard) == 1
    assert window.notices[0].trouble.is_bug


def test_a_notice_goes_to_its_page_and_its_button_is_done_once(window) -> None:
    remedy = Remedy(RemedyKind.SET_OPTION, "Use 512 context", "n_ctx=512")
    window.workbench.bus.post(TroubleShown(Trouble("Too long", remedies=(remedy,)), "chat"))
    window.wait(lambda: bool(window.notices))
    window.notices[0].remedy_chosen.emit(remedy)
    assert [each.trouble.what for each in window.notices] == ["No model was loaded yet"]


def test_the_splitter_can_be_moved_and_is_remembered(open_window, tmp_path: Path) -> None:
    first = open_window(state_path=tmp_path / "window.json")
    splitter = first.chat.splitter
    handle = splitter.handle(1)
    QTest.mousePress(handle, Qt.MouseButton.LeftButton)
    QTest.mouseMove(handle, QPoint(60, 5))
    QTest.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=QPoint(60, 5))
    wanted = splitter.sizes()[0]
    first.window.close()
    second = open_window(state_path=tmp_path / "window.json")
    assert abs(second.chat.splitter.sizes()[0] - wanted) <= 2
