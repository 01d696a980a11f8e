"""The command palette: finds by letters in order, works without the mouse, gives the keyboard back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QWidget

from gui.actions import Action, ActionGroup, ActionRegistry
from gui.icons import Icons
from gui.palette import MOST_SHOWN, CommandPalette, Entry, Source, rank, subsequence_score


def entries(*texts: str) -> list[Entry]:
    return [Entry(text, text, "Chat", lambda: None) for text in texts]


def names(found: tuple[Entry, ...]) -> list[str]:
    return [entry.text for entry in found]


def test_letters_must_stand_in_this_order() -> None:
    assert subsequence_score("ntc", "New chat") is None
    assert subsequence_score("nwc", "New chat") is not None
    assert subsequence_score("NEW", "new chat") is not None


def test_the_start_of_words_and_letters_in_a_row_count_more() -> None:
    assert names(rank(entries("Manage chats", "New chat"), "nc"))[0] == "New chat"
    assert names(rank(entries("Stop a program", "Settings"), "st")) == ["Stop a program", "Settings"]
    assert names(rank(entries("Lower the load", "Load a model"), "load"))[0] == "Load a model"


@given(st.text(max_size=12), st.text(max_size=40))
def test_a_score_exists_exactly_when_the_letters_stand_in_order(query: str, text: str) -> None:
    rest = iter(text.casefold())
    in_order = all(letter in rest for letter in query.casefold())
    assert (subsequence_score(query, text) is not None) == in_order


def test_every_word_of_the_query_must_match_and_the_group_counts_too() -> None:
    some = [Entry("a", "New", "Chat", lambda: None), Entry("b", "New", "Model", lambda: None)]
    assert [entry.id for entry in rank(some, "new model")] == ["b"]
    assert rank(some, "new zebra") == ()


def test_without_a_query_what_was_used_lately_comes_first() -> None:
    assert names(rank(entries("One", "Two", "Three"), "", recent=["Three"])) == ["Three", "One", "Two"]


def test_a_thousand_conversations_are_cut_to_what_can_be_read() -> None:
    many = entries(*(f"Chat {number}" for number in range(1000)))
    assert len(rank(many, "chat")) == MOST_SHOWN


@pytest.fixture
def window(qtbot) -> QWidget:
    window = QWidget()
    window.resize(1100, 760)
    QLineEdit(window)
    qtbot.addWidget(window)
    return window


@pytest.fixture
def palette(window: QWidget, icons: Icons, qtbot) -> CommandPalette:
    registry = ActionRegistry(window, icons)
    sources: list[Source] = []
    palette = CommandPalette(window, registry, icons, sources)
    palette.more = sources  # type: ignore[attr-defined]
    palette.done = []  # type: ignore[attr-defined]
    for action in (
        Action("chat.new", "New chat", ("Ctrl+N",), "plus", ActionGroup.CHAT),
        Action("go.memory", "Go to Memory", ("Ctrl+2",), "memory", ActionGroup.GO),
        Action("chat.never", "Never possible", (), "", ActionGroup.CHAT),
    ):
        enabled = (lambda: False) if action.id == "chat.never" else None
        registry.register(action, lambda action=action: palette.done.append(action.id), enabled)  # type: ignore[attr-defined]
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    return palette


def test_typing_and_enter_run_the_best_match(palette: CommandPalette, qtbot) -> None:
    palette.open()
    field = palette.findChild(QLineEdit)
    qtbot.keyClicks(field, "mem")
    assert names(palette.entries) == ["Go to Memory"]
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert palette.done == ["go.memory"]
    assert palette.isHidden()


def test_the_arrow_keys_walk_around_and_escape_gives_the_keyboard_back(
    palette: CommandPalette, window: QWidget, qtbot
) -> None:
    before = next(each for each in window.findChildren(QLineEdit) if each.parent() is window)
    before.setFocus()
    palette.open()
    field = palette.findChild(QLineEdit)
    assert field.hasFocus()
    qtbot.keyClick(field, Qt.Key.Key_Up)
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert palette.isHidden()
    assert before.hasFocus()
    palette.open()
    qtbot.keyClick(field, Qt.Key.Key_Down)
    qtbot.keyClick(field, Qt.Key.Key_Down)
    qtbot.keyClick(field, Qt.Key.Key_Down)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert palette.done == ["go.memory"]


def test_what_is_not_possible_is_not_listed(palette: CommandPalette) -> None:
    palette.open()
    assert names(palette.entries) == ["New chat", "Go to Memory"]


def test_sources_add_conversations_and_models(palette: CommandPalette, qtbot) -> None:
    opened: list[str] = []
    palette.more.append(lambda: [Entry("c7", "Why softmax", "Yesterday", lambda: opened.append("c7"))])
    palette.open("softmax")
    qtbot.keyClick(palette.findChild(QLineEdit), Qt.Key.Key_Return)
    assert opened == ["c7"]
    palette.open()
    assert names(palette.entries)[0] == "Why softmax"


def test_no_match_is_said_and_enter_does_nothing(palette: CommandPalette, qtbot) -> None:
    palette.open("zzzz")
    qtbot.keyClick(palette.findChild(QLineEdit), Qt.Key.Key_Return)
    assert palette.done == []
    assert palette.isVisible()


def test_it_stands_in_the_middle_and_inside_a_narrow_window(palette: CommandPalette, window: QWidget) -> None:
    palette.open()
    assert abs(palette.geometry().center().x() - window.width() // 2) <= 1
    window.resize(420, 500)
    assert palette.width() <= 420 - 40
    assert palette.geometry().left() >= 0


def test_a_click_elsewhere_closes_it_and_leaves_the_keyboard_there(palette: CommandPalette, window: QWidget) -> None:
    palette.open()
    other = next(each for each in window.findChildren(QLineEdit) if each.parent() is window)
    other.setFocus(Qt.FocusReason.MouseFocusReason)
    assert palette.isHidden()
    assert other.hasFocus()
