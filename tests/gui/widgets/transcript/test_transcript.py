"""The transcript on screen: what follows, what stays, what can be copied, and how few widgets it takes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QGuiApplication, QImage, QPaintEvent, QPixmap, QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from gui.icons import Icons
from gui.theme import Mode, Theme
from gui.widgets.transcript import MessageState, MessageValue, Role, Transcript
from gui.widgets.transcript.body import TextBody
from gui.widgets.transcript.message_view import MessageView
from gui.widgets.transcript.overlays import EmptyState, FocusRing, JumpButton
from gui.widgets.transcript.pool import N_SPARE
from gui.widgets.transcript.quiet_button import QuietButton
from tests.benchmarks.bench_transcript import (
    answer,
    code_answer,
    conversation,
    open_cost,
    stream_cost,
    wheel,
    wheel_costs,
)


@pytest.fixture
def transcript(theme: Theme, icons: Icons, qtbot: QtBot) -> Transcript:
    widget = Transcript(theme, icons)
    qtbot.addWidget(widget)
    widget.resize(800, 600)
    widget.show()
    QApplication.processEvents()
    return widget


def user(message_id: str, text: str) -> MessageValue:
    return MessageValue(message_id, Role.USER, "You", text)


def model(message_id: str, text: str, **more: object) -> MessageValue:
    return MessageValue(message_id, Role.ASSISTANT, "model", text, **more)  # type: ignore[arg-type]


def writing(message_id: str, text: str = "") -> MessageValue:
    return model(message_id, text, state=MessageState.WRITING)


def view(transcript: Transcript, message_id: str) -> MessageView:
    found = transcript.view_of(message_id)
    assert found is not None
    return found


def button(transcript: Transcript, message_id: str, text: str) -> QuietButton:
    only_its_own = Qt.FindChildOption.FindDirectChildrenOnly
    children = view(transcript, message_id).findChildren(QuietButton, options=only_its_own)
    return next(each for each in children if each.text() == text and not each.isHidden())


def places(transcript: Transcript) -> dict[str, int]:
    """Where each message in sight stands in the viewport."""
    ids = [f"m{n}" for n in range(2_000)] + ["a", "b", "q"]
    found = {each: transcript.view_of(each) for each in ids}
    return {each: widget.y() for each, widget in found.items() if widget is not None}


def is_at_end(transcript: Transcript) -> bool:
    bar = transcript.verticalScrollBar()
    return bar.value() == bar.maximum()


# ---- where the reader is


def test_a_long_conversation_opens_at_its_end_with_a_dozen_widgets(transcript: Transcript) -> None:
    transcript.set_messages(conversation(2_000))
    assert is_at_end(transcript)
    assert transcript.view_of("m1999") is not None
    for position in range(0, 100, 7):
        bar = transcript.verticalScrollBar()
        bar.setValue(bar.maximum() * position // 100)
    n_in_sight = max(len(places(transcript)), 8)
    assert transcript.n_views <= 2 * n_in_sight + N_SPARE


def test_opening_and_scrolling_2000_messages_stays_quick(transcript: Transcript) -> None:
    assert min(open_cost(transcript, 2_000) for _ in range(2)) < 300
    costs = sorted(wheel_costs(transcript, 200))
    assert costs[int(0.99 * len(costs))] < 25


def test_scrolling_up_moves_what_is_in_sight_by_what_was_scrolled(transcript: Transcript) -> None:
    transcript.set_messages(conversation(200))
    step = 3 * transcript.verticalScrollBar().singleStep()
    for _ in range(80):
        before = places(transcript)
        wheel(transcript, 120)
        after = places(transcript)
        both = before.keys() & after.keys()
        assert both
        assert {after[each] - before[each] for each in both} == {step}


def test_a_message_that_comes_as_being_written_has_the_caret_without_being_begun(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "go")])
    transcript.append_message(writing("a"))
    begun = [transcript.view_of("a")]
    transcript.begin_stream("a")
    transcript.append_text("a", "A word.")
    transcript.flush()
    assert begun == [transcript.view_of("a")]
    assert transcript.source_text("a") == "A word."


def test_streaming_is_followed_at_the_end(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "go"), writing("a")])
    transcript.begin_stream("a")
    for _ in range(60):
        transcript.append_text("a", "A line of words.\n\n")
        transcript.flush()
        assert is_at_end(transcript)
    assert transcript.is_following
    assert transcript.findChild(JumpButton).isHidden()


def test_streaming_never_moves_what_the_reader_looks_at(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "go"), writing("a", "Many words.\n\n" * 60)])
    transcript.begin_stream("a")
    wheel(transcript, 120)
    before = places(transcript)
    for _ in range(40):
        transcript.append_text("a", "A line of words.\n\n")
        transcript.flush()
        assert places(transcript) == before
    assert not transcript.is_following


def test_the_button_jumps_to_the_end_and_follows_again(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([*conversation(40), writing("a")])
    transcript.begin_stream("a")
    wheel(transcript, 1200)
    jump = transcript.findChild(JumpButton)
    assert jump.isVisible()
    qtbot.mouseClick(jump, Qt.MouseButton.LeftButton)
    assert is_at_end(transcript)
    assert jump.isHidden()
    transcript.append_text("a", "word\n\n" * 50)
    transcript.flush()
    assert is_at_end(transcript)


def test_scrolling_back_to_the_end_follows_again(transcript: Transcript) -> None:
    transcript.set_messages(conversation(40))
    wheel(transcript, 1200)
    assert not transcript.is_following
    wheel(transcript, -12_000)
    assert transcript.is_following


def test_another_width_keeps_the_first_message_in_sight(transcript: Transcript) -> None:
    transcript.set_messages(conversation(100))
    wheel(transcript, 3_000)
    first = min(places(transcript).items(), key=lambda each: each[1])
    transcript.resize(560, 600)
    assert places(transcript)[first[0]] == first[1]


def test_the_column_is_centred_and_not_wider_than_the_drawing(transcript: Transcript) -> None:
    transcript.resize(1400, 600)
    transcript.set_messages([user("q", "word " * 200)])
    body = view(transcript, "q").body
    assert body.lineWrapColumnOrWidth() <= 760
    left = view(transcript, "q").x()
    assert abs(left + body.lineWrapColumnOrWidth() / 2 - transcript.viewport().width() / 2) <= 1


def test_keys_page_and_go_to_both_ends(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages(conversation(100))
    bar = transcript.verticalScrollBar()
    qtbot.keyClick(transcript, Qt.Key.Key_Home)
    assert bar.value() == 0
    qtbot.keyClick(view(transcript, "m0").body, Qt.Key.Key_PageDown)
    assert bar.value() > 400
    qtbot.keyClick(transcript, Qt.Key.Key_PageUp)
    assert bar.value() == 0
    qtbot.keyClick(transcript, Qt.Key.Key_End)
    assert is_at_end(transcript)


def test_scroll_to_puts_a_message_at_the_top(transcript: Transcript) -> None:
    transcript.set_messages(conversation(300))
    transcript.scroll_to("m100")
    assert 0 <= places(transcript)["m100"] <= 40


# ---- streaming


def test_streaming_costs_the_same_at_the_end_as_at_the_beginning(transcript: Transcript) -> None:
    cost = stream_cost(transcript, answer(3_000), 12)
    assert cost.last_ms < 2 * cost.first_ms + 1


def test_a_growing_block_of_code_costs_the_same_at_its_end(transcript: Transcript) -> None:
    cost = stream_cost(transcript, code_answer(800), 40)
    assert cost.last_ms < 2 * cost.first_ms + 1


def test_tokens_wait_for_the_timer_and_come_together(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([writing("a")])
    transcript.begin_stream("a")
    for word in ("one ", "two ", "three"):
        transcript.append_text("a", word)
    assert view(transcript, "a").body.toPlainText() == ""
    qtbot.waitUntil(lambda: view(transcript, "a").body.toPlainText() == "one two three", timeout=2_000)


def test_a_message_out_of_sight_is_not_drawn_until_it_comes_into_sight(transcript: Transcript) -> None:
    transcript.set_messages([*conversation(60), writing("a")])
    transcript.begin_stream("a")
    transcript.verticalScrollBar().setValue(0)
    range_before = transcript.verticalScrollBar().maximum()
    for _ in range(50):
        transcript.append_text("a", "words and words\n\n")
        transcript.flush()
    assert transcript.view_of("a") is None
    assert transcript.verticalScrollBar().maximum() == range_before
    transcript.jump_to_latest()
    assert view(transcript, "a").body.toPlainText().count("words and words") == 50


def test_finish_shows_the_final_text_the_figures_and_the_actions(transcript: Transcript) -> None:
    transcript.set_messages([writing("a")])
    transcript.begin_stream("a")
    transcript.append_text("a", "see [x]")
    transcript.finish("a", model("a", "see [x]\n\n[x]: http://x.org", stats=("78 tok/s", "2 tokens")))
    body = view(transcript, "a").body
    assert body.toPlainText() == "see x"
    cursor = QTextCursor(body.document())
    cursor.movePosition(QTextCursor.MoveOperation.End)
    assert cursor.charFormat().anchorHref() == "http://x.org"
    assert button(transcript, "a", "Again").isVisible()
    labels = [each.text() for each in view(transcript, "a").children() if hasattr(each, "text")]
    assert "78 tok/s\u20032 tokens" in labels


def test_a_selection_stays_while_text_comes(transcript: Transcript) -> None:
    transcript.set_messages([writing("a", "First paragraph.\n\nSecond")])
    transcript.begin_stream("a")
    body = view(transcript, "a").body
    body.selectAll()
    selected = body.textCursor().selectedText()
    transcript.append_text("a", " grows and **grows**\n\n```py\nx = 1\n")
    transcript.flush()
    assert body.textCursor().selectedText() == selected


def test_nothing_is_selected_until_the_reader_selects(transcript: Transcript) -> None:
    transcript.set_messages([model("b", "Some words"), writing("a", "Beginning")])
    transcript.begin_stream("a")
    transcript.append_text("a", " and more\n\nand more")
    transcript.flush()
    transcript.finish("a", model("a", "Beginning and more\n\nand more"))
    assert not view(transcript, "a").body.textCursor().hasSelection()
    assert not view(transcript, "b").body.textCursor().hasSelection()


def test_figures_that_do_not_fit_are_left_out_whole(transcript: Transcript) -> None:
    stats = tuple(f"figure number {n}" for n in range(12))
    transcript.set_messages([model("a", "x", stats=stats)])
    shown = next(each for each in view(transcript, "a").findChildren(QLabel) if each.toolTip())
    parts = shown.text().split("\u2003")
    assert parts == list(stats[: len(parts)])
    assert 0 < len(parts) < 12
    assert shown.width() >= shown.sizeHint().width()


def test_a_stopped_message_says_so(transcript: Transcript) -> None:
    transcript.set_messages([model("a", "half", state=MessageState.STOPPED), model("b", "", state=MessageState.FAILED)])
    shown = [each.text() for name in "ab" for each in view(transcript, name).children() if hasattr(each, "text")]
    assert "Stopped" in shown
    assert "Failed" in shown


def test_thoughts_are_folded_and_fold_out(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([model("a", "Answer", thinking="First this.\nThen *that*.", thinking_s=1.84)])
    fold = button(transcript, "a", "Thought for 1.8 s")
    assert len(view(transcript, "a").browsers()) == 1
    height = view(transcript, "a").height()
    qtbot.mouseClick(fold, Qt.MouseButton.LeftButton)
    thoughts, _ = view(transcript, "a").browsers()
    assert thoughts.toPlainText() == "First this.\nThen *that*."
    assert view(transcript, "a").height() > height
    qtbot.mouseClick(fold, Qt.MouseButton.LeftButton)
    assert view(transcript, "a").height() == height


def test_thoughts_come_while_they_are_thought(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([writing("a")])
    transcript.begin_stream("a")
    transcript.append_thinking("a", "Let me ")
    transcript.flush()
    qtbot.mouseClick(button(transcript, "a", "Thinking …"), Qt.MouseButton.LeftButton)
    transcript.append_thinking("a", "see")
    transcript.flush()
    assert view(transcript, "a").browsers()[0].toPlainText() == "Let me see"
    transcript.append_text("a", "Yes")
    transcript.finish("a", model("a", "Yes", thinking="Let me see", thinking_s=0.5))
    assert button(transcript, "a", "Thought for 0.5 s").isChecked()
    assert transcript.source_text("a") == "Yes"


def test_a_message_can_be_finished_under_another_id(transcript: Transcript) -> None:
    transcript.set_messages([writing("a")])
    transcript.append_text("a", "words")
    transcript.finish("a", model("b", "words"))
    assert transcript.view_of("a") is None
    assert view(transcript, "b").body.toPlainText() == "words"
    assert transcript.source_text("b") == "words"


# ---- changes of the list


def test_the_same_conversation_given_again_does_not_move(transcript: Transcript) -> None:
    values = conversation(100)
    transcript.set_messages(values)
    wheel(transcript, 2_400)
    before = places(transcript)
    transcript.set_messages([*values, user("q", "one more")])
    assert places(transcript) == before


def test_removed_messages_are_gone_and_the_rest_can_go_on(transcript: Transcript) -> None:
    transcript.set_messages(conversation(20))
    transcript.remove_after("m9")
    transcript.append_message(user("q", "again"))
    assert set(places(transcript)) <= {"q", *(f"m{n}" for n in range(10))}
    assert is_at_end(transcript)
    with pytest.raises(KeyError):
        transcript.source_text("m10")


def test_an_updated_message_shows_its_new_value(transcript: Transcript) -> None:
    value = user("q", "before")
    transcript.set_messages([value])
    transcript.update("q", replace(value, text="after"))
    transcript.update()  # still Qt's own
    assert view(transcript, "q").body.toPlainText() == "after"


def test_two_messages_cannot_have_one_id(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "x")])
    with pytest.raises(ValueError, match="q"):
        transcript.append_message(user("q", "y"))


def test_an_empty_transcript_says_what_will_be_here(transcript: Transcript) -> None:
    transcript.set_messages([])
    assert transcript.findChild(EmptyState).isVisible()
    transcript.append_message(user("q", "x"))
    assert transcript.findChild(EmptyState).isHidden()


# ---- what can be done with a message


def test_buttons_say_which_message_they_mean(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([user("q", "x"), model("a", "y", sibling_index=1, sibling_count=3, stats=("2 tokens",))])
    for text, signal, expected in (
        ("Edit", transcript.edit_requested, ["a"]),
        ("Again", transcript.again_requested, ["a"]),
        ("Copy", transcript.copy_requested, ["a"]),
        ("Tokens", transcript.tokens_requested, ["a"]),
        ("‹", transcript.sibling_requested, ["a", -1]),
        ("›", transcript.sibling_requested, ["a", 1]),
    ):
        with qtbot.waitSignal(signal) as caught:
            qtbot.mouseClick(button(transcript, "a", text), Qt.MouseButton.LeftButton)
        assert caught.args == expected


def test_only_an_answer_that_a_model_wrote_has_tokens_to_show(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "x"), model("a", "y", stats=("2 tokens",)), model("own", "in my words")])
    shown = {each: view(transcript, each).focus_chain() for each in ("q", "a", "own")}
    words = {
        key: [w.text() for w in chain if isinstance(w, QuietButton) and w.isVisible()] for key, chain in shown.items()
    }
    assert words["a"] == ["Copy", "Edit", "Tokens", "Again"]
    assert words["own"] == ["Copy", "Edit", "Again"]
    assert words["q"] == ["Copy", "Edit"]


def test_copying_a_message_copies_its_source_exactly(transcript: Transcript, qtbot: QtBot) -> None:
    source = "# A  \n\n- **b** [c](http://x.org) `d`\u2028\n\n```\ncode\n```\n\n\n"
    transcript.set_messages([model("a", source)])
    qtbot.mouseClick(button(transcript, "a", "Copy"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == source


def test_copying_code_copies_the_code(transcript: Transcript, qtbot: QtBot) -> None:
    code = "def f():\n\n    return '한' # 😀\n"
    transcript.set_messages([model("a", f"x\n\n```python\n{code}```\n\n~~~\nother\n~~~")])
    first, second = view(transcript, "a").body.copy_buttons()
    qtbot.mouseClick(first, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == code.removesuffix("\n")
    qtbot.mouseClick(second, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "other"
    assert first.accessibleName() == "Copy python code"


def test_a_copied_selection_has_markers_and_tabs(transcript: Transcript) -> None:
    transcript.set_messages([model("a", "Say:\n\n1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nend 😀")])
    body = view(transcript, "a").body
    body.selectAll()
    body.copy()
    lines = [line for line in QGuiApplication.clipboard().text().split("\n") if line]
    assert lines == ["Say:", "1. one", "2. two", "a\tb", "1\t2", "end 😀"]


def test_the_menu_of_a_table_copies_it(transcript: Transcript) -> None:
    transcript.set_messages([model("a", "| a | b |\n|---|---|\n| 1 | **2** |")])
    menu = view(transcript, "a").body.menu_at(QPoint(5, 10))
    next(action for action in menu.actions() if action.text() == "Copy table").trigger()
    assert QGuiApplication.clipboard().text() == "a\tb\n1\t2"


def test_links_are_only_told(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([model("a", "[here](http://example.com/a?b=c)")])
    body = view(transcript, "a").body
    with qtbot.waitSignal(transcript.link_clicked) as caught:
        qtbot.mouseClick(body.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(10, 10))
    assert caught.args == ["http://example.com/a?b=c"]
    assert body.source().isEmpty()
    assert body.toPlainText() == "here"


def test_a_picture_in_a_message_loads_nothing(transcript: Transcript, tmp_path: Path) -> None:
    image = QImage(2, 2, QImage.Format.Format_RGB32)
    image.save(str(tmp_path / "x.png"))
    url = QUrl.fromLocalFile(str(tmp_path / "x.png"))
    transcript.set_messages([model("a", f"![x]({url.toString()}) ![y](http://example.com/y.png)")])
    document = view(transcript, "a").body.document()
    kind = QTextDocument.ResourceType.ImageResource.value
    assert not document.resource(kind, url)
    assert "\ufffc" not in document.toPlainText()
    assert "▣ y" in document.toPlainText()


def test_html_is_shown_and_not_obeyed(transcript: Transcript) -> None:
    source = "<b>x</b> <img src='file:///x'> <script>y</script>"
    transcript.set_messages([model("a", source)])
    assert view(transcript, "a").body.toPlainText() == source


def test_text_can_be_selected_over_code_and_all(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.set_messages([model("a", "above\n\n```\ncode\n```\n\nbelow")])
    body = view(transcript, "a").body
    start, end = QPoint(1, 8), QPoint(200, body.height() - 6)
    qtbot.mousePress(body.viewport(), Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(body.viewport(), end)
    qtbot.mouseRelease(body.viewport(), Qt.MouseButton.LeftButton, pos=end)
    cursor = QTextCursor(body.document())
    cursor.select(QTextCursor.SelectionType.Document)
    body.setTextCursor(cursor)
    assert body.textCursor().selectedText() == "above\u2029code\u2029below"


# ---- look and names


def test_a_change_of_the_theme_draws_only_what_is_in_sight(transcript: Transcript, theme: Theme) -> None:
    transcript.set_messages([user("q", "x"), *conversation(100)])
    assert transcript.view_of("q") is None
    body = view(transcript, "m99").body
    before = body.document().begin().begin().fragment().charFormat().foreground().color()
    theme.set_mode(Mode.LIGHT)
    after = body.document().begin().begin().fragment().charFormat().foreground().color()
    assert before.lightness() > 200
    assert after.lightness() < 80
    transcript.verticalScrollBar().setValue(0)
    colour = view(transcript, "q").body.document().begin().begin().fragment().charFormat().foreground().color()
    assert colour.lightness() < 80


def test_a_theme_changed_while_streaming_loses_no_text(transcript: Transcript, theme: Theme) -> None:
    transcript.set_messages([writing("a")])
    transcript.begin_stream("a")
    transcript.append_text("a", "one\n\n```py\nx = 1")
    transcript.flush()
    theme.set_mode(Mode.LIGHT)
    transcript.append_text("a", "\ny = 2")
    transcript.flush()
    assert view(transcript, "a").body.toPlainText() == "one\nx = 1\ny = 2"


def test_every_text_has_a_name_that_says_who_and_what(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "Why?"), model("a", "So.", thinking="hm", thinking_s=1.0)])
    assert view(transcript, "q").body.accessibleName() == "You: Why?"
    assert view(transcript, "a").body.accessibleName() == "model: So."
    for name in "qa":
        for each in view(transcript, name).findChildren(QuietButton):
            assert each.accessibleName() or each.isHidden()


def test_tab_goes_through_the_messages_from_top_to_bottom(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "one"), model("a", "two"), user("b", "three")])
    transcript.activateWindow()
    transcript.setFocus()
    seen = []
    current = transcript
    for _ in range(40):
        current = current.nextInFocusChain()
        if current in [view(transcript, each).body for each in "qab"]:
            seen.append(next(each for each in "qab" if view(transcript, each).body is current))
    assert seen[:3] == ["q", "a", "b"]


def test_focus_by_tab_has_a_ring_and_focus_by_click_has_none(transcript: Transcript, qtbot: QtBot) -> None:
    ring = transcript.findChild(FocusRing)
    with qtbot.waitActive(transcript):
        transcript.activateWindow()
    transcript.clearFocus()
    transcript.setFocus(Qt.FocusReason.TabFocusReason)
    assert ring.isVisible()
    assert ring.size() == transcript.size()
    transcript.clearFocus()
    transcript.setFocus(Qt.FocusReason.MouseFocusReason)
    assert ring.isHidden()


def test_the_parsers_are_imported_with_the_first_message() -> None:
    code = "import sys, gui.widgets.transcript; print(*(n for n in ('markdown_it', 'pygments') if n in sys.modules))"
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# ---- hostile texts

HOSTILE = {
    "a line of 100,000 characters": "x" * 100_000,
    "code in a line of 100,000 characters": "```json\n" + "x" * 100_000 + "\n```",
    "words without a line end": "word " * 20_000,
    "500 quotes deep": ">" * 500 + " deep",
    "500 lists deep": "- " * 500 + "deep",
    "a staircase of quotes": "\n".join(">" * n + " x" for n in range(200)),
    "an unclosed fence": "```python\n" + "x = '''\n" * 200,
    "right to left": "# שלום\n\nעולם **מודגש** `code` אבג\n\n- פריט\n\n| א | ב |\n|---|---|\n| 1 | 2 |",
    "emoji": "👩‍👩‍👧‍👦 🇰🇷 😀" * 200,
    "control characters": "a\0b\x01\x02\x7f\x1b[31m\u2028c\u2029d\ufdd0\ufdd1\ufffc\ufeff\r\ne\rf",
    "half a surrogate": "a\ud800b\udfff",
    "ragged tables": "| a | b |\n|---|---|\n| 1 |\n| 1 | 2 | 3 |\n||\n|",
    "a wide table": "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n|" + "1|" * 300,
    "html": "<script>alert(1)</script><img src=x onerror=y><style>*{}</style>",
    "brackets": "[" * 30_000,
    "stars": "*a " * 5_000,
    "backquotes": "`" * 9_000,
    "combining marks": "e" + "\u0301" * 5_000,
    "only blanks": " \n\t\n\u2028\n",
    "nothing": "",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_survives_whole_and_streamed(transcript: Transcript, text: str) -> None:
    transcript.set_messages([model("b", text), user("q", text), writing("a")])
    transcript.begin_stream("a")
    size = max(7, len(text) // 40)
    for start in range(0, len(text), size):
        transcript.append_text("a", text[start : start + size])
        transcript.flush()
    transcript.finish("a", model("a", text))
    QApplication.processEvents()
    assert transcript.grab().width() == transcript.width()
    streamed = view(transcript, "a").body.toPlainText()
    transcript.verticalScrollBar().setValue(0)
    QApplication.processEvents()
    assert view(transcript, "b").body.toPlainText() == streamed
    assert transcript.source_text("a") == text
    if text.isalnum():
        assert streamed.replace("\n", "") == text


@pytest.mark.parametrize("streamed", [False, True], ids=["at once", "piece by piece"])
def test_code_that_begins_a_message_has_its_head(transcript: Transcript, streamed: bool) -> None:
    text = "```python\nx = 1\n```\n\nDone."
    if streamed:
        transcript.set_messages([writing("a")])
        transcript.begin_stream("a")
        for letter in text:
            transcript.append_text("a", letter)
            transcript.flush()
        transcript.finish("a", model("a", text))
    else:
        transcript.set_messages([model("a", text)])
    body = view(transcript, "a").body
    assert body._rect(body.writer.placed[0]).top() >= 0


def test_the_line_under_an_answer_stands_right_under_a_table_that_ends_it(transcript: Transcript) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    transcript.set_messages([model("a", table), model("b", f"{table}\n\nDone.")])
    first, second = (view(transcript, each).body for each in ("a", "b"))
    image = first.grab().toImage()
    drawn = [y for y in range(image.height()) if image.pixelColor(2, y) != image.pixelColor(400, y)]
    assert drawn, "the last row has its line"
    assert first.height() - 4 <= drawn[-1] < first.height()
    below = second.writer.placed[-1].block
    top = second.document().documentLayout().blockBoundingRect(below).top()
    assert top >= first.height() - 2, "text behind a table keeps its distance"


MIXED = (
    "A paragraph that is long enough to be broken into several lines, with **bold words that come late** and `code`.\n\n"
    "> A quote that goes on\n> over two lines\n\n"
    "1. one\n2. two, which is so long that it needs another line to be told from its beginning to its very end\n\n"
    "```py\ndef f(x):\n    return x\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\nSetext\n======\n\nThe end comes, but it takes its time and a line or two.\n\n"
)


def pixels(pixmap: QPixmap) -> npt.NDArray[np.int16]:
    image = pixmap.toImage().convertToFormat(QImage.Format.Format_RGBX8888)
    return np.frombuffer(image.constBits(), np.uint8).astype(np.int16)


def difference(transcript: Transcript) -> int:
    """The largest between what the window's backing store holds, drawn in parts, and a new drawing, in 255ths."""
    drawn = pixels(transcript.screen().grabWindow(transcript.winId()))
    return int(np.abs(drawn - pixels(transcript.grab())).max())


def test_what_is_drawn_in_parts_looks_as_if_it_were_drawn_at_once(transcript: Transcript) -> None:
    transcript.set_messages([user("q", "One\n\n" * 8), writing("a")])
    transcript.begin_stream("a")
    text = MIXED * 3
    for start in range(0, len(text), 17):
        transcript.append_text("a", text[start : start + 17])
        transcript.flush()
        QApplication.processEvents()
        assert difference(transcript) < 8, f"after {text[: start + 17]!r}"  # a clipped arc is rounded otherwise
    transcript.finish("a", model("a", text, stats=("10 tok/s",)))
    QApplication.processEvents()
    assert difference(transcript) < 8


def test_a_new_line_at_the_end_has_only_the_last_lines_drawn(
    theme: Theme, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = TextBody.paintEvent

    def counted(self: TextBody, event: QPaintEvent) -> None:
        drawn.append(event.rect().height())
        draw(self, event)

    monkeypatch.setattr(TextBody, "paintEvent", counted)
    transcript = Transcript(theme)
    qtbot.addWidget(transcript)
    transcript.resize(800, 600)
    transcript.show()
    transcript.set_messages([user("q", "One\n\n" * 12), writing("a", "word " * 400)])
    transcript.append_text("a", "and ")
    transcript.flush()
    QApplication.processEvents()
    body, before = view(transcript, "a").body, view(transcript, "a").body.height()
    drawn.clear()
    for _ in range(60):
        transcript.append_text("a", "and a few words more ")
        transcript.flush()
        QApplication.processEvents()
    line = body.fontMetrics().lineSpacing() * 1.6
    assert body.height() > before + 5 * line, "it has scrolled by several lines"
    assert drawn
    assert max(drawn) < 4 * line


def test_the_first_messages_find_their_widgets_made(transcript: Transcript, qtbot: QtBot) -> None:
    transcript.prepare()
    qtbot.waitUntil(lambda: transcript.n_views == 2)
    transcript.set_messages([user("q", "Hello"), writing("a")])
    assert transcript.n_views == 2, "those, and no others"
    assert view(transcript, "q").body.toPlainText() == "Hello"
