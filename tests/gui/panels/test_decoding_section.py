"""The sampler chain on the real window: dragged, moved by keys, switched, preset, compared, kept with its chat."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAction, QKeySequence, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget

from engine.base.fields import Field, FieldKind
from engine.sampling.chain import Chain
from engine.sampling.presets import PRESETS
from engine.workbench.events import ChainScope
from gui.panels.inspector.decoding import DecodingSection
from gui.panels.inspector.presenter.decoding import Part
from gui.panels.inspector.presenter.stages import StageRow
from gui.panels.inspector.stage_row import StageRowView, stage_tip
from gui.theme import Mode, Theme
from gui.widgets.text_field import TextField
from tests.support.screen_checks import findings_of

DEFAULT = Chain.default()
WORKING = [link.key for link in DEFAULT.links if link.is_active]
IDLE = [link.key for link in DEFAULT.links if not link.is_active]
SLEEPER = next(
    link.key
    for link in DEFAULT.links
    if not link.is_active
    and link.stage.fields.fields[0].kind is FieldKind.FLOAT
    and DEFAULT.with_value(link.stage.fields.fields[0].key, link.stage.fields.fields[0].soft_maximum)
    .link(link.key)
    .is_active
)


@pytest.fixture
def opened(open_window):
    """The window without its engine: nothing here needs a model."""
    return open_window()


def section_of(opened) -> DecodingSection:
    return opened.chat.inspector.decoding


def on_screen(opened, part: Part = Part.MAIN) -> list[str]:
    return list(section_of(opened).lists[part].order())


def move_mouse(widget: QWidget, to: QPoint) -> None:
    """A move with the left button down; QTest's own moves carry no button."""
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    where = QPointF(to)
    event = QMouseEvent(QEvent.Type.MouseMove, where, QPointF(widget.mapToGlobal(to)), button, button, none)
    QApplication.sendEvent(widget, event)


def drag_to(opened, key: str, other: str, *, below: bool) -> QPoint:
    """Take a row by its handle and bring it to another row's upper or lower edge, in small steps; keep it there."""
    section = section_of(opened)
    handle, target = section.stage_rows[key].handle, section.stage_rows[other]
    start = handle.rect().center()
    edge = target.mapTo(opened.window, QPoint(0, target.height() - 2 if below else 2))
    end = handle.mapFrom(opened.window, QPoint(handle.mapTo(opened.window, start).x(), edge.y()))
    QTest.mousePress(handle, Qt.MouseButton.LeftButton, pos=start)
    for step in range(1, 21):
        move_mouse(handle, start + (end - start) * step / 20)
    return end


def choose(menu: QMenu, text: str) -> None:
    """Choose an entry as the menu would offer it now."""
    menu.aboutToShow.emit()
    [action] = [each for each in menu.actions() if each.text() == text]
    assert action.isEnabled()
    action.trigger()


def entries(menu: QMenu) -> list[QAction]:
    menu.aboutToShow.emit()
    return menu.actions()


# ---- the order


def test_a_row_is_dragged_to_another_place_and_a_line_shows_where(opened) -> None:
    first, last = WORKING[0], WORKING[-1]
    drag_list = section_of(opened).lists[Part.MAIN]
    end = drag_to(opened, last, first, below=False)
    assert drag_list.is_dragging
    assert drag_list.drop_place == 0
    assert opened.workbench.chain == DEFAULT, "nothing moves before it is dropped"
    QTest.mouseRelease(section_of(opened).stage_rows[last].handle, Qt.MouseButton.LeftButton, pos=end)
    assert not drag_list.is_dragging
    assert on_screen(opened) == [last, *WORKING[:-1]]
    working = [link.key for link in opened.workbench.chain.active()]
    assert working == on_screen(opened)


def test_a_row_dropped_below_the_last_stands_last(opened) -> None:
    end = drag_to(opened, WORKING[0], WORKING[-1], below=True)
    QTest.mouseRelease(section_of(opened).stage_rows[WORKING[0]].handle, Qt.MouseButton.LeftButton, pos=end)
    assert on_screen(opened) == [*WORKING[1:], WORKING[0]]


def test_a_row_let_go_where_it_was_or_given_up_with_escape_stays(opened) -> None:
    drag_list = section_of(opened).lists[Part.MAIN]
    handle = section_of(opened).stage_rows[WORKING[-1]].handle
    drag_to(opened, WORKING[-1], WORKING[0], below=False)
    QTest.keyClick(handle, Qt.Key.Key_Escape)
    assert not drag_list.is_dragging
    QTest.mouseRelease(handle, Qt.MouseButton.LeftButton)
    QTest.mouseClick(handle, Qt.MouseButton.LeftButton)
    assert opened.workbench.chain == DEFAULT


def test_alt_and_the_arrows_move_the_row_that_has_the_keyboard_and_it_keeps_it(opened) -> None:
    row = section_of(opened).stage_rows[WORKING[0]]
    for control in (row.handle, row.lead.slider, row.lead.box):
        control.setFocus()
        value = row.lead.value()
        QTest.keyClick(control, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
        assert on_screen(opened).index(WORKING[0]) == 1
        assert QApplication.focusWidget() is control
        QTest.keyClick(control, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
        assert on_screen(opened) == WORKING
        QTest.keyClick(control, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
        assert on_screen(opened) == WORKING, "there is nothing above the first"
        assert row.lead.value() == value
    assert "place 1 of" in row.handle.accessibleName()


def test_tab_follows_the_order_on_screen(opened) -> None:
    section = section_of(opened)
    rows = section.stage_rows
    handle = rows[WORKING[0]].handle
    handle.setFocus()
    QTest.keyClick(handle, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    seen: list[str] = []
    rows[WORKING[1]].handle.setFocus()
    for _ in range(30):
        focus = QApplication.focusWidget()
        key = next((key for key, row in rows.items() if focus is not None and row.isAncestorOf(focus)), "")
        if key and key not in seen:
            seen.append(key)
        QTest.keyClick(focus, Qt.Key.Key_Tab)
    assert seen[: len(WORKING)] == on_screen(opened)


# ---- switches and values


def test_switching_top_k_off_takes_it_out_of_the_chain_and_keeps_its_value(opened) -> None:
    section = section_of(opened)
    row = section.stage_rows[WORKING[0]]
    value = row.lead.value()
    QTest.keyClick(row.switch, Qt.Key.Key_Space)
    assert not opened.workbench.chain.link(WORKING[0]).enabled
    assert row.lead.value() == value
    assert row.dot.is_active
    assert row.isVisible(), "what was there does not vanish"
    row.dot.click()
    assert opened.workbench.chain == DEFAULT
    assert not row.dot.is_active


def test_a_value_in_the_row_and_one_in_the_fold_reach_the_chain(opened) -> None:
    section = section_of(opened)
    row = section.stage_rows[WORKING[1]]
    row.lead.box.setText(row.lead.field.format(row.lead.field.minimum))
    row.lead.box.committed.emit()
    assert opened.workbench.chain.value(row.lead.field.key) == row.lead.field.minimum
    section.more.set_folded(False)
    idle = section.stage_rows[SLEEPER]
    idle.set_folded(False)
    field = DEFAULT.link(SLEEPER).stage.fields.fields[0]
    editor = idle.lead if idle.lead is not None and idle.lead.field is field else idle.form.row(field.key).editor
    editor.box.setText(field.format(float(field.soft_maximum)))
    editor.box.committed.emit()
    assert opened.workbench.chain.value(field.key) == field.soft_maximum
    assert on_screen(opened, Part.MORE) == IDLE, "the row stays under the hand"
    section.more.set_folded(True)
    assert SLEEPER in on_screen(opened), "and is sorted out when the fold is closed"
    assert opened.workbench.chain.link(SLEEPER).is_active


def test_what_is_typed_wrong_is_explained_in_the_row_and_not_sent(opened) -> None:
    row = section_of(opened).stage_rows[WORKING[0]]
    row.lead.box.setFocus()
    QTest.keyClicks(row.lead.box, "x")
    assert row.lead.field.label in row.error.text()
    assert row.error.isVisible()
    assert opened.workbench.chain == DEFAULT


def test_folds_are_remembered(opened) -> None:
    section = section_of(opened)
    section.more.set_folded(False)
    foldable = next(key for key in IDLE if section.stage_rows[key].name.isCheckable())
    section.stage_rows[foldable].set_folded(False)
    again = DecodingSection(opened.chat.context)
    assert not again.more.is_folded
    assert again.stage_rows[foldable].name.isChecked()
    again.close_section()
    again.deleteLater()


def test_every_row_explains_its_stage_with_its_source(opened) -> None:
    section = section_of(opened)
    section.more.set_folded(False)
    for link in DEFAULT.links:
        row = section.stage_rows[link.key]
        assert html.escape(link.stage.source) in row.name.toolTip()
        assert row.name.accessibleDescription() == link.stage.help


def test_compare_says_what_is_different_and_reset_takes_it_back_with_an_undo(opened) -> None:
    section = section_of(opened)
    assert not section.compare.isVisible()
    section.stage_rows[WORKING[0]].switch.click()
    section.compare.click()
    label = DEFAULT.link(WORKING[0]).stage.label
    assert section.differences.texts == ((label, "off", "on"),)
    assert section.differences.isVisible()
    changed = opened.workbench.chain
    section.reset.click()
    assert opened.workbench.chain == DEFAULT
    assert not section.differences.isVisible()
    opened.window.toast.undo_latest()
    assert opened.workbench.chain == changed
    assert section.stage_rows[WORKING[0]].dot.is_active


# ---- a text of several lines


@pytest.fixture
def grammar_row(theme: Theme, qtbot) -> StageRowView:
    field = Field("made_up", FieldKind.TEXT, "", "Grammar text", "The rules.", source="here", multiline=True)
    row = StageRow("made_up", "Grammar", "Only what fits.", "here", True, False, False, "", None, (field,), False)
    view = StageRowView(theme, row)
    qtbot.addWidget(view)
    view.resize(260, 400)
    view.set_folded(False)
    view.show_row(row, {"made_up": ""}, 1, 1)
    with qtbot.waitExposed(view):
        view.show()
    return view


def test_a_refused_text_keeps_what_was_typed_and_its_error_leads_to_the_place(grammar_row: StageRowView, qtbot) -> None:
    assert grammar_row.form is not None
    field_row = grammar_row.form.row("made_up")
    editor = field_row.editor
    assert isinstance(editor, TextField)
    assert editor.lines is not None
    told: list[tuple[str, object]] = []
    grammar_row.value_changed.connect(lambda key, value: told.append((key, value)))
    editor.lines.setPlainText("root ::= a\na ::= [0-9\n")
    editor.lines.left.emit()
    assert told == [("made_up", "root ::= a\na ::= [0-9\n")]
    grammar_row.set_error("The grammar cannot be read (line 2, column 7): close the bracket", "made_up")
    grammar_row.show_row(grammar_row._row, {"made_up": ""}, 1, 1)
    assert editor.lines.toPlainText() == "root ::= a\na ::= [0-9\n", (
        "the chain has the old text, the editor the new one"
    )
    assert field_row.error.startswith("The grammar")
    assert field_row._go_to.isVisible()
    assert "line 2, column 7" in field_row._go_to.text()
    field_row._go_to.click()
    cursor = editor.lines.textCursor()
    assert (cursor.blockNumber() + 1, cursor.positionInBlock() + 1) == (2, 7)
    assert editor.lines.hasFocus()
    grammar_row.set_error("", "made_up")
    assert not field_row._go_to.isVisible()
    grammar_row.forget_errors()
    grammar_row.show_row(grammar_row._row, {"made_up": ""}, 1, 1)
    assert editor.lines.toPlainText() == ""


def test_a_stages_tip_is_text_and_never_markup() -> None:
    row = StageRow("x", "A<b>", "p < q & r", "s", True, True, False, "", None, (), False)
    assert "p &lt; q &amp; r" in stage_tip(row)


# ---- presets


def test_a_preset_is_chosen_from_the_menu_and_called_changed_afterwards(opened) -> None:
    section = section_of(opened)
    assert section.presets.button.accessibleName() == f"Preset: {PRESETS[0].label}"
    choose(section.presets.menu, "Greedy")
    assert opened.workbench.chain.is_greedy
    assert section.presets.button.whole_text == "Preset: Greedy"
    assert [each.text() for each in entries(section.presets.menu) if each.isChecked()] == ["Greedy"]
    section.stage_rows[WORKING[-1]].switch.click()
    assert section.presets.button.whole_text == "Greedy · changed"


def test_a_preset_is_saved_exported_deleted_and_imported_again(opened, tmp_path: Path) -> None:
    section = section_of(opened)
    section.stage_rows[WORKING[0]].switch.click()
    chain = opened.workbench.chain
    choose(section.presets.menu, "Save as…")
    line = section.presets.name_line
    assert QApplication.focusWidget() is line.edit
    QTest.keyClicks(line.edit, PRESETS[0].label)
    QTest.keyClick(line.edit, Qt.Key.Key_Return)
    assert "already" in line.error.text()
    line.edit.setText("Mine & yours")
    QTest.keyClick(line.edit, Qt.Key.Key_Return)
    assert not line.isVisible()
    assert section.presets.button.whole_text == "Preset: Mine & yours"

    file = tmp_path / "mine.json"
    choose(section.presets.menu, "Export…")
    [dialog] = section.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(file))
    dialog.close()
    opened.wait(lambda: file.exists() and any("Exported" in each for each in opened.window.toast.texts))
    assert json.loads(file.read_text("utf-8"))["label"] == "Mine & yours"

    choose(section.presets.menu, "Delete")
    assert "Mine && yours" not in [each.text() for each in entries(section.presets.menu)]
    opened.workbench.set_chain(DEFAULT)
    opened.settle()
    choose(section.presets.menu, "Import…")
    dialog = next(each for each in section.findChildren(QFileDialog) if each.isVisible())
    dialog.fileSelected.emit(str(file))
    dialog.close()
    opened.wait(lambda: opened.workbench.chain == chain)
    assert section.presets.button.whole_text == "Preset: Mine & yours"
    assert opened.notices == ()


def test_a_deleted_preset_comes_back_from_the_toast(opened) -> None:
    section = section_of(opened)
    section.stage_rows[WORKING[0]].switch.click()
    section.presets.presenter.save_as("Mine")
    section.presets.delete()
    assert section.presets.button.whole_text != "Preset: Mine"
    opened.window.toast.undo_latest()
    assert section.presets.button.whole_text == "Preset: Mine"


def test_a_file_that_is_no_preset_is_a_notice_and_changes_nothing(opened, tmp_path: Path) -> None:
    section = section_of(opened)
    file = tmp_path / "bad.json"
    file.write_text('{"chain": [', "utf-8")
    section.presets.import_file()
    [dialog] = section.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(file))
    dialog.close()
    opened.wait(lambda: bool(opened.notices))
    assert "not" in opened.notices[0].trouble.what
    assert str(file) in opened.notices[0].trouble.value
    assert opened.workbench.chain == DEFAULT


def test_escape_leaves_the_name_without_saving(opened) -> None:
    section = section_of(opened)
    section.presets.save_as()
    QTest.keyClicks(section.presets.name_line.edit, "half")
    QTest.keyClick(section.presets.name_line.edit, Qt.Key.Key_Escape)
    assert not section.presets.name_line.isVisible()
    assert opened.workbench.presets.presets == ()


def test_the_menu_of_presets_opens_by_shortcut_even_when_the_inspector_is_hidden(opened) -> None:
    opened.chat.toggle_inspector()
    combination = QKeySequence("Ctrl+Shift+D")[0]
    QTest.keyClick(opened.window, combination.key(), combination.keyboardModifiers())
    menu = section_of(opened).presets.menu
    assert menu.isVisible()
    menu.close()


def test_what_another_part_of_the_window_sets_is_shown(opened) -> None:
    opened.workbench.set_chain(DEFAULT.moved(WORKING[-1], 0).with_enabled(WORKING[0], False))
    opened.settle()
    assert on_screen(opened) == [WORKING[-1], *WORKING[:-1]]
    assert not section_of(opened).stage_rows[WORKING[0]].switch.isChecked()


# ---- scopes


def test_a_chats_own_chain_survives_a_restart_and_holds_in_no_other_chat(open_window) -> None:
    first = open_window()
    section = section_of(first)
    choose(section.presets.scope_menu, "Only for this chat")
    section.stage_rows[WORKING[0]].switch.click()
    chain = first.workbench.chain
    assert section.presets.note.isVisible()
    first.workbench.dialogue.set_draft("a chat")
    first.workbench.dialogue.flush()
    chat_id = first.workbench.dialogue.conversation_id
    first.settle()
    first.window.close()

    again = open_window()
    section = section_of(again)
    assert again.workbench.chain == DEFAULT
    assert not section.presets.note.isVisible()
    again.workbench.dialogue.open(chat_id)
    again.wait(lambda: again.workbench.chains.scope is ChainScope.CHAT)
    again.settle()
    assert again.workbench.chain == chain
    assert section.presets.note.text() == "This chat's own chain"
    assert not section.stage_rows[WORKING[0]].switch.isChecked()
    again.workbench.dialogue.new()
    again.settle()
    assert section.stage_rows[WORKING[0]].switch.isChecked()

    again.workbench.dialogue.open(chat_id)
    again.wait(lambda: again.workbench.chains.scope is ChainScope.CHAT)
    section.presets.everywhere.click()
    again.workbench.dialogue.new()
    again.settle()
    assert again.workbench.chain == chain
    again.window.toast.undo_latest()
    again.settle()
    assert again.workbench.chain == DEFAULT


def test_without_a_model_its_own_chain_cannot_be_chosen(opened) -> None:
    states = {each.text(): each.isEnabled() for each in entries(section_of(opened).presets.scope_menu)}
    assert states == {"For all chats": True, "Only for this model": False, "Only for this chat": True}


# ---- the look


@pytest.mark.parametrize("mode", [Mode.DARK, Mode.LIGHT])
@pytest.mark.parametrize("size", [(1440, 900), (1024, 720)])
def test_nothing_is_cut_or_nameless_with_everything_open(opened, mode: Mode, size: tuple[int, int]) -> None:
    section = section_of(opened)
    opened.window.theme.set_mode(mode)
    opened.window.resize(*size)
    section.stage_rows[WORKING[0]].switch.click()
    section.more.set_folded(False)
    for each in section.stage_rows.values():
        each.set_folded(False)
    section.compare.click()
    opened.workbench.chains.use(ChainScope.CHAT)
    section.presets.save_as()
    opened.settle()
    QApplication.processEvents()
    assert [str(each) for each in findings_of(opened.chat.inspector)] == []
    assert section.width() <= opened.chat.inspector.width()
