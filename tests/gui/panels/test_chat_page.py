"""The Chat page with the real engine: say, stop, edit, answer again, lose the worker, close in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QPushButton, QVBoxLayout, QWidget

from engine.base.errors import RemedyKind
from engine.runtime.supervisor import Phase
from engine.sampling.chain import Chain
from engine.store.rows import MessageState
from gui.panels.chat.header import ChatHeader
from gui.panels.chat.model_strip import ModelStrip
from gui.panels.chat.states import Header, Strip
from gui.widgets.transcript.values import MessageState as Shown

LONG = "Count from one to one hundred in words, one number a line."
Open = Callable[..., "object"]
GREEDY_AT_ZERO = {link.key for link in Chain.default().links if "greedy" in str(link.stage.fields.fields[0].special)}


@pytest.fixture
def chat(open_window, smollm2: Path):
    """The window with the starter model loaded."""
    opened = open_window()
    opened.begin(smollm2)
    return opened


def test_an_answer_is_streamed_into_the_thread_and_ends_with_its_figures(chat) -> None:
    chat.limit(48)
    chat.send("Tell me about the sea.")
    chat.wait_text(5)
    assert chat.workbench.dialogue.is_writing, "text must appear before the answer is whole"
    assert chat.chat.composer.text == ""
    chat.wait_answer()
    answer = chat.value(-1)
    assert answer.text == chat.workbench.dialogue.messages[-1].text
    assert answer.label == "SmolLM2-135M-Instruct"
    figures = " ".join(answer.stats)
    assert "tok/s" in figures
    assert "first token" in figures
    assert "48 tokens" in figures
    assert "seed 7" in figures
    assert "length limit reached" in figures
    assert "Prompt:" in answer.stats_tip


def test_stop_keeps_what_was_written_and_gives_the_button_back(chat) -> None:
    chat.limit(2000)
    chat.send(LONG)
    chat.wait_text(20)
    assert chat.chat.composer.button.text() == "Stop"
    chat.qtbot.mouseClick(chat.chat.composer.button, Qt.MouseButton.LeftButton)
    chat.wait_answer()
    message = chat.workbench.dialogue.messages[-1]
    assert message.state is MessageState.STOPPED
    assert len(message.text) >= 20
    assert chat.value(-1).state is Shown.STOPPED
    assert chat.chat.composer.button.text() == "Send"


def test_escape_stops_too(chat) -> None:
    chat.limit(2000)
    chat.send(LONG)
    chat.wait_text(5)
    chat.qtbot.keyClick(chat.chat.composer.edit, Qt.Key.Key_Escape)
    chat.wait_answer()
    assert chat.workbench.dialogue.messages[-1].state is MessageState.STOPPED


def test_answering_again_shows_the_second_of_two_and_keeps_the_first(chat) -> None:
    chat.limit(24)
    chat.ask("Name a colour.")
    first = chat.shown()[-1]
    chat.workbench.set_run_options({**chat.workbench.run_options, "seed": 8})
    chat.window.registry.trigger("chat.again")
    chat.wait_answer()
    assert (chat.value(-1).sibling_index, chat.value(-1).sibling_count) == (1, 2)
    chat.chat.transcript.sibling_requested.emit(str(chat.workbench.dialogue.messages[-1].id), -1)
    chat.wait(lambda: chat.shown()[-1] == first)
    assert (chat.value(-1).sibling_index, chat.value(-1).sibling_count) == (0, 2)


def test_an_edited_question_is_answered_and_the_draft_comes_back(chat) -> None:
    chat.limit(16)
    chat.ask("Say hello.")
    question = chat.workbench.dialogue.messages[0]
    chat.chat.composer.edit.setPlainText("a draft")
    chat.chat.transcript.edit_requested.emit(str(question.id))
    assert chat.chat.composer.text == "Say hello."
    chat.send("Say goodbye.")
    chat.wait_answer()
    assert chat.shown()[0] == "Say goodbye."
    assert (chat.value(0).sibling_index, chat.value(0).sibling_count) == (1, 2)
    assert len(chat.shown()) == 2
    assert chat.chat.composer.text == "a draft"


def test_leaving_an_edit_changes_nothing(chat) -> None:
    chat.limit(8)
    chat.ask("Say hello.")
    before = chat.workbench.dialogue.messages
    chat.chat.transcript.edit_requested.emit(str(before[0].id))
    chat.qtbot.keyClick(chat.chat.composer.edit, Qt.Key.Key_Escape)
    assert chat.chat.composer.text == ""
    assert chat.workbench.dialogue.messages == before


def test_an_answer_in_the_users_words_stands_beside_the_models(chat) -> None:
    chat.limit(8)
    chat.ask("Say hello.")
    chat.chat.transcript.edit_requested.emit(str(chat.workbench.dialogue.messages[1].id))
    chat.send("My own answer.")
    chat.settle()
    assert chat.shown()[-1] == "My own answer."
    assert not chat.workbench.dialogue.is_writing
    assert chat.value(-1).sibling_count == 2


def test_a_killed_worker_costs_no_text_and_can_be_loaded_again(open_window, smollm2: Path) -> None:
    chat = open_window()
    chat.begin(smollm2, planned=True)
    chat.limit(2000)
    chat.send(LONG)
    chat.wait_text(20)
    written = chat.shown()[-1]
    assert chat.workbench.state.pid is not None
    os.kill(chat.workbench.state.pid, signal.SIGKILL)
    chat.wait(lambda: chat.workbench.state.phase is Phase.LOST)
    chat.wait(lambda: bool(chat.notices))
    chat.settle()
    assert chat.shown()[-1].startswith(written)
    assert chat.value(-1).state is Shown.FAILED
    strip = chat.chat.strip
    assert strip.words.text() == "The engine stopped."
    assert [each.text() for each in strip.findChildren(QPushButton) if each.isVisible()] == ["Load again"]
    assert {row.measured_bytes for row in chat.chat.inspector.memory.view.rows} == {None}
    [card] = chat.notices
    reload = card.trouble.remedies[0]
    assert reload.kind is RemedyKind.RELOAD
    card.remedy_chosen.emit(reload)
    chat.wait(lambda: chat.workbench.state.phase is Phase.READY, 60_000)
    assert chat.notices == (), "the notice of an engine that is back is of no use"
    assert strip.isHidden()
    chat.limit(8)
    chat.ask("Hello again.")
    assert chat.workbench.dialogue.messages[-1].state is MessageState.COMPLETE


def test_closing_while_writing_keeps_the_text_and_ends_the_worker(open_window, chat) -> None:
    from tests.gui.panels.conftest import workers

    chat.limit(2000)
    chat.send(LONG)
    chat.wait_text(20)
    written = chat.shown()[-1]
    chat.window.close()
    assert workers() == []
    again = open_window()
    again.begin()
    [row] = again.chat.presenter.rows
    again.chat.list.open_wanted.emit(str(row.id), "")
    again.wait(lambda: len(again.workbench.dialogue.messages) == 2)
    assert again.shown()[-1].startswith(written)
    assert again.value(-1).state in (Shown.STOPPED, Shown.FAILED)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.PLANNING, Phase.LOADING])
def test_closing_before_the_model_is_there_ends_the_worker(open_window, smollm2: Path, phase: Phase) -> None:
    opened = open_window()
    opened.workbench.start()
    if phase is not Phase.STARTING:
        opened.workbench.open_model(smollm2, anyway=phase is Phase.LOADING)
        opened.wait(lambda: opened.workbench.state.phase is phase)
    opened.window.close()


def test_without_a_model_the_text_stays_and_the_notice_says_what_to_do(open_window) -> None:
    opened = open_window()
    opened.begin()
    opened.send("Is anybody there?")
    assert opened.chat.composer.text == "Is anybody there?"
    assert opened.workbench.dialogue.messages == ()
    [card] = opened.notices
    assert card.trouble.what == "No model is loaded"
    assert card.trouble.remedies[0].kind is RemedyKind.CHOOSE_MODEL
    assert opened.chat.no_model.isVisible()


def test_a_message_written_while_the_model_loads_is_sent_when_it_is_there(open_window, smollm2: Path) -> None:
    opened = open_window()
    opened.workbench.start()
    opened.limit(8)
    opened.workbench.open_model(smollm2)
    opened.chat.composer.edit.setPlainText("Are you there?")
    opened.qtbot.keyClick(opened.chat.composer.edit, Qt.Key.Key_Return)
    assert opened.chat.presenter.is_waiting
    assert opened.chat.composer.text == "Are you there?"
    opened.wait(lambda: len(opened.workbench.dialogue.messages) == 2, 60_000)
    opened.wait_answer()
    assert opened.chat.composer.text == ""
    assert opened.shown()[0] == "Are you there?"


def test_stop_takes_a_waiting_message_back_and_the_load_goes_on(open_window, smollm2: Path) -> None:
    opened = open_window()
    opened.workbench.start()
    opened.workbench.open_model(smollm2)
    opened.chat.composer.edit.setPlainText("Wait")
    opened.qtbot.keyClick(opened.chat.composer.edit, Qt.Key.Key_Return)
    opened.chat.presenter.stop()
    opened.wait(lambda: opened.workbench.state.phase is Phase.READY, 60_000)
    opened.settle()
    assert opened.workbench.dialogue.messages == ()
    assert opened.chat.composer.text == "Wait"


def test_a_prompt_that_is_too_long_is_a_choice_and_the_longer_context_answers_it(open_window, smollm2: Path) -> None:
    opened = open_window()
    opened.workbench.start()
    opened.limit(8)
    opened.workbench.set_load_options({**opened.workbench.load_options, "n_ctx": 256})
    opened.workbench.open_model(smollm2)
    opened.wait(lambda: opened.workbench.state.phase is Phase.READY, 60_000)
    opened.send("word " * 400)
    opened.wait(lambda: bool(opened.notices))
    opened.settle()
    assert len(opened.workbench.dialogue.messages) == 1, "the question stays, there is no answer"
    remedy = next(each for each in opened.notices[0].trouble.remedies if each.kind is RemedyKind.SET_OPTION)
    opened.notices[0].remedy_chosen.emit(remedy)
    opened.wait(lambda: len(opened.workbench.dialogue.messages) == 2, 60_000)
    opened.wait_answer()
    assert opened.workbench.dialogue.messages[-1].text
    assert opened.notices == ()


def test_leaving_out_the_oldest_messages_is_said_under_the_answer(open_window, smollm2: Path) -> None:
    opened = open_window()
    opened.workbench.start()
    opened.limit(8)
    opened.workbench.set_load_options({**opened.workbench.load_options, "n_ctx": 256})
    opened.workbench.open_model(smollm2, anyway=True)
    opened.wait(lambda: opened.workbench.state.phase is Phase.READY, 60_000)
    opened.ask("word " * 150)
    opened.send("more " * 120)
    opened.wait(lambda: bool(opened.notices))
    opened.settle()
    card = opened.notices[0]
    remedy = next(each for each in card.trouble.remedies if each.kind is RemedyKind.DROP_OLDEST)
    card.remedy_chosen.emit(remedy)
    opened.wait_answer()
    assert any("left out" in each for each in opened.value(-1).stats)
    opened.ask("and more")
    assert opened.notices == (), "the choice holds for the conversation"


def test_a_decoding_setting_changed_while_writing_holds_for_the_rest(chat) -> None:
    chat.limit(400)
    chat.send(LONG)
    chat.wait_text(5)
    section = chat.chat.inspector.decoding
    row = next(each for each in section.stage_rows.values() if each.lead is not None and each.key in GREEDY_AT_ZERO)
    row.lead.box.setFocus()
    row.lead.box.setText("0")
    row.lead.box.committed.emit()
    assert chat.workbench.chain.is_greedy
    assert section.presenter.n_changed >= 1
    assert "greedy" in section.end.text()
    chat.chat.presenter.stop()
    chat.wait_answer()
    section.reset.click()
    assert not chat.workbench.chain.changed_fields()


def test_the_inspector_shows_predicted_and_measured_memory(open_window, smollm2: Path) -> None:
    chat = open_window()
    chat.begin(smollm2, planned=True)
    view = chat.chat.inspector.memory.view
    assert view.predicted_bytes is not None
    assert view.measured_bytes is not None
    assert sum(row.measured_bytes or 0 for row in view.rows) == view.measured_bytes
    assert "GiB" in chat.chat.inspector.memory.header.accessibleDescription()


def test_the_inspector_draws_the_processor_and_the_run(chat) -> None:
    chat.limit(16)
    chat.ask("Hello")
    hardware = chat.chat.inspector.hardware
    chat.wait(lambda: len(hardware.plot.series_keys()) >= 3)
    hardware.poll()
    assert "CPU" in hardware.plot.description()
    assert {kind for _, _, kind in hardware.presenter.view().bands} >= {"load", "decode"}


def test_copy_of_the_last_answer_is_its_markdown(chat) -> None:
    chat.limit(8)
    chat.ask("Say hello.")
    QApplication.clipboard().clear()
    chat.window.registry.trigger("chat.copy")
    assert QApplication.clipboard().text() == chat.workbench.dialogue.messages[-1].text


def test_the_footer_names_the_model_the_context_and_the_speeds(chat) -> None:
    chat.limit(16)
    chat.ask("Hello")
    footer = chat.window.footer
    chat.wait(
        lambda: "tok" in footer.part("speed").accessibleName() or "token" in footer.part("speed").accessibleName()
    )
    chat.wait(lambda: "4,096" in footer.part("context").accessibleName())
    assert "SmolLM2-135M-Instruct" in footer.part("model").accessibleName()
    chat.wait(lambda: "unknown" not in footer.part("ram").toolTip())


def test_the_strip_loads_the_lost_model_again(chat) -> None:
    assert chat.workbench.state.pid is not None
    os.kill(chat.workbench.state.pid, signal.SIGKILL)
    chat.wait(lambda: chat.workbench.state.phase is Phase.LOST)
    chat.wait(chat.chat.strip.isVisible)
    chat.chat.strip.reload.click()
    chat.wait(lambda: chat.workbench.state.phase is Phase.READY, 60_000)
    chat.settle()
    assert chat.chat.strip.isHidden()


def test_a_toast_keeps_off_the_composer(open_window) -> None:
    opened = open_window()
    opened.begin()
    opened.chat.context.toast.show_text("Copied")
    toast, page = opened.window.toast, opened.chat

    def is_above() -> bool:
        return toast.geometry().bottom() < page.composer.mapTo(opened.window, QPoint(0, 0)).y()

    opened.wait(is_above)
    page.composer.edit.setPlainText("one\ntwo\nthree\nfour")
    opened.wait(is_above)
    opened.window.go("settings")
    assert toast.geometry().bottom() > opened.window.height() - 80


def test_a_narrow_header_gives_the_room_to_the_name_of_the_chat(theme, icons, qtbot) -> None:
    header = ChatHeader(theme, icons)
    qtbot.addWidget(header)
    header.show_header(Header("Why softmax needs", "/m.gguf", "SmolLM2-135M-Instruct.Q4_1", Phase.READY, 0, True))
    header.resize(900, header.height())
    header.show()
    title = header.title.button
    assert header.prompt_button.text().startswith("System prompt")
    header.resize(460, header.height())
    qtbot.waitUntil(lambda: header.prompt_button.text() == "")
    assert not header.prompt_button.icon().isNull()
    assert header.prompt_button.toolTip() == "System prompt, set"
    qtbot.waitUntil(lambda: title.width() >= title.sizeHint().width())


def test_a_strip_that_is_too_narrow_puts_its_buttons_under_the_words(theme, qtbot) -> None:
    host, strip = QWidget(), ModelStrip()
    QVBoxLayout(host).addWidget(strip)
    qtbot.addWidget(host)
    strip.show_strip(Strip.NO_MODEL)
    host.show()
    for width, is_beside in ((700, True), (380, False)):
        host.resize(width, 120)
        qtbot.waitUntil(lambda beside=is_beside: (strip.words.geometry().bottom() > strip.starter.y()) is beside)
        assert strip.starter.width() >= strip.starter.sizeHint().width()


def test_an_answer_that_was_cut_off_is_gone_on_with_by_an_action(chat) -> None:
    registry = chat.window.registry
    assert not registry.is_enabled("chat.go_on")
    chat.limit(6)
    chat.ask("Name three colours.")
    cut = chat.shown()[-1]
    registry.trigger("chat.go_on")
    chat.wait(lambda: chat.workbench.dialogue.is_writing)
    chat.wait_answer()
    assert chat.shown()[-1].startswith(cut)
    assert len(chat.shown()[-1]) > len(cut)
    assert chat.value(-1).sibling_count == 2
