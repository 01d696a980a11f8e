"""The list of chats, the drafts and the search, with a real store and without an engine's answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication

from engine.base.errors import Trouble
from gui.panels.chat.conversation_list import ItemKind
from gui.panels.chat.header import TITLE_PAD


@pytest.fixture
def window(open_window):
    """The window with three stored chats and no model."""
    opened = open_window()
    opened.begin()
    store_chats(opened, "About softmax", "Regex for dates", "What fits in 8 GB")
    return opened


def store_chats(opened, *questions: str) -> None:
    """Put chats of one question each into the store, the last one newest."""
    from engine.store.rows import Role

    def write(store) -> None:
        for question in questions:
            row = store.conversations.create()
            store.messages.add(row.id, None, Role.USER, question)

    opened.workbench._in_store(write)
    opened.workbench.dialogue.refresh_list()
    opened.settle()


def titles(opened) -> list[str]:
    return [each.text for each in opened.chat.list.model.items if each.kind is ItemKind.CHAT]


def headings(opened) -> list[str]:
    return [each.text for each in opened.chat.list.model.items if each.kind is ItemKind.HEADING]


def id_of(opened, title: str) -> str:
    return next(each.conversation_id for each in opened.chat.list.model.items if each.text == title)


def open_chat(opened, title: str) -> None:
    opened.chat.list.open_wanted.emit(id_of(opened, title), "")
    opened.settle()


def test_chats_stand_under_their_day_newest_first(window) -> None:
    assert headings(window) == ["Today"]
    assert titles(window) == ["What fits in 8 GB", "Regex for dates", "About softmax"]


def test_a_click_opens_the_chat_and_names_it_in_the_header_and_the_title(window) -> None:
    view = window.chat.list.view
    index = window.chat.list.model.index(window.chat.list.model.row_of(id_of(window, "Regex for dates")))
    window.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(index).center())
    window.settle()
    assert window.shown() == ["Regex for dates"]
    assert window.chat.header.title.button.text() == "Regex for dates"
    assert "Regex for dates" in window.window.windowTitle()


def test_the_list_works_by_keyboard(window) -> None:
    view = window.chat.list.view
    view.focus_first()
    window.qtbot.keyClick(view, Qt.Key.Key_Down)
    window.qtbot.keyClick(view, Qt.Key.Key_Return)
    window.settle()
    assert window.shown() == ["Regex for dates"]
    view.focus_first()
    window.qtbot.keyClick(view, Qt.Key.Key_Delete)
    window.settle()
    assert "What fits in 8 GB" not in titles(window)


def test_a_deleted_chat_comes_back_from_the_toast_and_is_open_again(window) -> None:
    open_chat(window, "Regex for dates")
    window.chat.delete_chat()
    window.settle()
    assert "Regex for dates" not in titles(window)
    assert window.shown() == []
    window.window.toast.undo_latest()
    window.settle()
    assert "Regex for dates" in titles(window)
    assert window.shown() == ["Regex for dates"]


def test_undoing_the_delete_of_another_chat_leaves_the_open_one_alone(window) -> None:
    open_chat(window, "Regex for dates")
    window.chat.delete_chat(id_of(window, "About softmax"))
    window.settle()
    window.window.toast.undo_latest()
    window.settle()
    assert "About softmax" in titles(window)
    assert window.shown() == ["Regex for dates"]


def test_a_chat_is_renamed_in_its_row_even_when_the_list_changes_meanwhile(window) -> None:
    chats = window.chat.list
    wanted = id_of(window, "About softmax")
    chats.rename(wanted)
    editor = QApplication.focusWidget()
    assert editor is not None
    assert editor.accessibleName() == "Name of the chat"
    store_chats(window, "Another one")
    window.qtbot.keyClicks(editor, "Temperature")
    window.qtbot.keyClick(editor, Qt.Key.Key_Return)
    window.wait(lambda: "Temperature" in titles(window))
    window.wait(lambda: "Another one" in titles(window))
    assert id_of(window, "Temperature") == wanted


def test_a_chat_is_renamed_in_the_header_and_escape_leaves_the_name(window) -> None:
    open_chat(window, "About softmax")
    title = window.chat.header.title
    title.button.click()
    window.qtbot.keyClicks(title.field, "Never")
    window.qtbot.keyClick(title.field, Qt.Key.Key_Escape)
    assert title.button.text() == "About softmax"
    title.button.click()
    title.field.clear()
    window.qtbot.keyClicks(title.field, "Softmax")
    window.qtbot.keyClick(title.field, Qt.Key.Key_Return)
    window.settle()
    assert title.button.text() == "Softmax"
    assert "Softmax" in titles(window)
    title.button.click()
    title.field.clear()
    window.qtbot.keyClick(title.field, Qt.Key.Key_Return)
    window.settle()
    assert title.button.text() == "About softmax", "an empty name gives the choice back to the first words"
    assert "About softmax" in titles(window)


def test_a_pinned_chat_stands_on_top(window) -> None:
    wanted = id_of(window, "About softmax")
    menu = window.chat.list.menu_of(wanted)
    next(each for each in menu.actions() if each.text() == "Pin").trigger()
    window.settle()
    assert headings(window) == ["Pinned", "Today"]
    assert titles(window)[0] == "About softmax"
    assert "Unpin" in [each.text() for each in window.chat.list.menu_of(wanted).actions()]


def test_the_search_finds_words_and_opens_the_place(window) -> None:
    window.chat.list.search.setText("regex")
    window.wait(lambda: [each.kind for each in window.chat.list.model.items] == [ItemKind.HIT])
    [hit] = window.chat.list.model.items
    assert hit.text == "Regex for dates"
    assert hit.snippet[slice(*hit.matches[0])].lower() == "regex"
    window.qtbot.keyClick(window.chat.list.search, Qt.Key.Key_Return)
    window.qtbot.keyClick(window.chat.list.view, Qt.Key.Key_Return)
    window.settle()
    assert window.shown() == ["Regex for dates"]
    window.qtbot.keyClick(window.chat.list.search, Qt.Key.Key_Escape)
    window.settle()
    assert len(titles(window)) == 3


def test_a_search_without_a_hit_says_so(window) -> None:
    window.chat.list.search.setText("zebra")
    window.wait(lambda: window.chat.list.no_hit.isVisible())


def test_every_chat_keeps_its_draft_and_the_empty_one_its_own(window) -> None:
    edit = window.chat.composer.edit
    edit.setPlainText("for a new chat")
    open_chat(window, "About softmax")
    assert window.chat.composer.text == ""
    edit.setPlainText("about softmax again")
    open_chat(window, "Regex for dates")
    assert window.chat.composer.text == ""
    open_chat(window, "About softmax")
    assert window.chat.composer.text == "about softmax again"
    window.window.registry.trigger("chat.new")
    window.settle()
    assert window.chat.composer.text == "for a new chat"


def test_what_was_typed_into_an_empty_chat_is_there_after_a_restart(open_window) -> None:
    first = open_window()
    first.begin()
    first.chat.composer.edit.setPlainText("half a thought")
    first.window.close()
    second = open_window()
    second.begin()
    assert titles(second) == ["Draft: half a thought"]
    open_chat(second, "Draft: half a thought")
    assert second.chat.composer.text == "half a thought"


def test_a_new_chat_begins_with_the_system_prompt_of_the_settings(window) -> None:
    window.workbench.set_setting("system_prompt", "Be brief.")
    window.window.registry.trigger("chat.new")
    window.settle()
    assert window.workbench.dialogue.system_prompt == "Be brief."
    assert window.chat.system_prompt.edit.toPlainText() == "Be brief."


def test_the_system_prompt_is_edited_in_place_and_kept(window) -> None:
    open_chat(window, "About softmax")
    window.window.registry.trigger("chat.system")
    box = window.chat.system_prompt
    assert box.isVisible()
    box.edit.setPlainText("You are a pirate.")
    window.qtbot.keyClick(box.edit, Qt.Key.Key_Escape)
    assert not box.isVisible()
    open_chat(window, "Regex for dates")
    assert box.edit.toPlainText() == ""
    open_chat(window, "About softmax")
    assert box.edit.toPlainText() == "You are a pirate."
    assert window.chat.header.prompt_button.accessibleName() == "System prompt, set"


def test_new_after_open_in_the_same_moment_shows_the_new_chat(window) -> None:
    window.chat.list.open_wanted.emit(id_of(window, "About softmax"), "")
    window.window.registry.trigger("chat.new")
    window.settle()
    assert window.shown() == []
    assert window.workbench.dialogue.conversation_id is None


def test_the_model_menu_lists_what_is_there_and_opens_a_file(window, smollm2: Path) -> None:
    window.wait(lambda: bool(window.workbench.library))
    texts = [each.text() for each in window.chat.header.menu.actions()]
    assert any("SmolLM2-135M-Instruct" in each for each in texts)
    assert "Open file …" in texts


def test_rows_end_where_the_search_and_the_button_end(window) -> None:
    column = window.chat.list
    viewport = column.view.viewport()
    left = viewport.mapTo(column, viewport.rect().topLeft()).x()
    for each in (column.search, column.new_button):
        assert (each.x(), each.width()) == (left, viewport.width())


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 720)])
def test_everything_in_the_middle_begins_and_ends_with_the_text(window, width: int, height: int) -> None:
    open_chat(window, "About softmax")
    window.window.resize(width, height)
    page = window.chat
    page.edit_system_prompt()
    card = window.window.show_trouble(Trouble("The engine was lost", "signal 9"))
    view = page.transcript.view_of(str(page.presenter.thread[0].id))

    def edges(widget, pad: int = 0) -> tuple[int, int]:
        left = widget.mapTo(page, QPoint(0, 0)).x() + pad
        return left, left + widget.width()

    def are_aligned() -> bool:
        left = edges(view)[0]
        column = (left, left + page.transcript._column())
        blocks = {edges(each) for each in (page.composer, page.system_prompt.edit, card)}
        return blocks == {column} and edges(page.header.title.button, TITLE_PAD)[0] == left

    window.wait(lambda: window.window.width() == width and are_aligned())
