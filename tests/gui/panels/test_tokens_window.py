"""The sections Next token and Tokens in the real window, with the real model: look, drag, read, fork, walk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from engine.runtime.client import FromWorker
from engine.runtime.supervisor import Phase
from engine.wire.messages import Pong
from gui.panels.inspector.presenter import next_token, tokens
from gui.panels.inspector.presenter.next_token import Place
from gui.panels.inspector.presenter.tokens import Part
from gui.widgets.number_field import NumberField
from gui.widgets.token_scale import Colouring
from tests.gui.panels.conftest import ANSWER_MS, LOAD_MS, Opened

QUESTION = "Name the capital of France in one sentence."


class Laboratory:
    """The two sections of an open window, and what a test does with them."""

    def __init__(self, opened: Opened) -> None:
        self.opened, self.workbench = opened, opened.workbench
        self.next: Any = opened.chat.inspector.next_token
        self.tokens: Any = opened.chat.inspector.tokens
        self.tokens.set_folded(False)

    def wait_shown(self, place: Place = Place.END) -> None:
        """Wait until the bars are of this place, and nothing more is on its way."""
        doing = next_token.Doing.SHOWN
        self.opened.wait(lambda: (self.next.view.doing, self.next.view.place) == (doing, place), ANSWER_MS)
        self.settle()

    def settle(self) -> None:
        """Wait until the engine has answered everything."""
        presenter = self.next.presenter
        self.opened.wait(lambda: presenter.is_settled and self.workbench.state.phase is Phase.READY, ANSWER_MS)
        self.opened.settle()

    def read(self) -> None:
        """Press the button and wait for all tokens."""
        self.opened.wait(lambda: self.tokens.view.can_read, ANSWER_MS)
        QTest.mouseClick(self.tokens.read, Qt.MouseButton.LeftButton)
        self.wait_read()

    def wait_read(self) -> None:
        self.opened.wait(lambda: self.tokens.view.doing is tokens.Doing.READ, ANSWER_MS)
        self.opened.settle()

    def text(self) -> str:
        """The strip as text."""
        return b"".join(each.piece for each in self.tokens.strip.tokens).decode(errors="replace")

    def n_steps(self) -> int:
        """How many times the engine has computed something."""
        found: list[int] = []

        def came(message: FromWorker) -> None:
            if isinstance(message.event, Pong):
                found.append(message.event.n_steps)

        leave = self.workbench.subscribe(FromWorker, came)
        self.opened.wait(lambda: len(found) >= 2, 10_000)  # the first may have been on its way already
        leave()
        return found[-1]


@pytest.fixture
def lab(open_window: Callable[..., Opened], smollm2: Path) -> Laboratory:
    """The window with the starter model, which has answered one question."""
    opened = open_window()
    opened.window.resize(1440, 1000)
    opened.begin()
    opened.workbench.set_load_options({**opened.workbench.load_options, "n_threads": 1, "n_threads_batch": 1})
    opened.workbench.open_model(smollm2, anyway=True)
    opened.wait(lambda: opened.workbench.state.phase is Phase.READY, LOAD_MS)
    opened.limit(16)
    lab = Laboratory(opened)
    opened.ask(QUESTION)
    lab.wait_shown()
    return lab


def test_without_a_model_both_sections_say_what_will_be_there(open_window: Callable[..., Opened]) -> None:
    opened = open_window()
    lab = Laboratory(opened)
    opened.begin()
    assert "No model is loaded" in lab.next.nothing.text()
    assert "No model is loaded" in lab.tokens.nothing.text()
    assert not lab.next.bars.isVisible()
    assert not lab.tokens.strip.isVisible()


def test_the_bars_follow_the_temperature_and_nothing_is_decoded_for_it(lab: Laboratory) -> None:
    facts = lab.workbench.state.facts
    assert facts is not None
    counts = [step.survivors for step in lab.next.view.steps]
    assert counts[0] == facts.n_vocab
    assert counts == sorted(counts, reverse=True)
    assert lab.next.header.accessibleDescription().startswith(f"open. {facts.n_vocab:,} → ")

    chain = lab.workbench.chain.with_value("top_p", 1.0).with_value("min_p", 0.0)  # so that more than one token is left
    lab.workbench.set_chain(chain)
    lab.settle()
    before_steps, before_past = lab.n_steps(), lab.workbench.state.n_past
    decoding = lab.opened.chat.inspector.decoding
    slider = next(each.slider for each in decoding.findChildren(NumberField) if each.field.key == "temperature")
    middle = slider.rect().center().y()
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() // 2, middle))
    for x in range(slider.width() // 2 + 8, slider.width() - 4, 9):
        before = lab.next.bars.bars
        QTest.mouseMove(slider, QPoint(x, middle))
        lab.opened.wait(lambda before=before: lab.next.bars.bars != before)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 4, middle))
    lab.settle()
    flat, hot = lab.next.bars.bars, lab.workbench.chain.value("temperature")
    assert hot > 1
    assert flat[0].p_chain < flat[0].p, "what is left is flatter than the model's own"
    assert lab.n_steps() == before_steps, "the kept logits are used"
    assert lab.workbench.state.n_past == before_past
    assert lab.opened.chat.composer.button.text() == "Send", "a look is no work that the window would announce"


def test_another_temperature_is_drawn_without_asking_and_a_question_goes_before_a_look(lab: Laboratory) -> None:
    lab.next.what_if_fold.set_folded(False)
    lab.next.what_if.slider.set_value(1.0)
    lab.next.what_if.refresh()
    flat = lab.next.what_if.bars.bars
    assert flat[0].p_chain == pytest.approx(flat[0].p)
    lab.next.what_if.slider.set_value(0.2)
    lab.next.what_if.refresh()
    assert lab.next.what_if.bars.bars[0].p_chain > flat[0].p_chain
    assert lab.next.presenter.is_settled

    seen: list[Place] = []
    show = lab.next.presenter._tell
    lab.next.presenter._tell = lambda view: (seen.append(view.place) if view.rows else None, show(view))
    lab.opened.limit(80)
    lab.next.presenter.look()
    lab.opened.send("Count to a hundred.")
    lab.opened.wait(lambda: Place.LIVE in seen, ANSWER_MS)
    lab.workbench.cancel()
    lab.opened.wait_answer()
    assert len(lab.opened.shown()) == 4
    assert lab.opened.notices == ()
    lab.wait_shown()


def test_what_would_come_after_the_draft_is_what_comes_when_it_is_said(lab: Laboratory) -> None:
    composer, presenter = lab.opened.chat.composer, lab.next.presenter
    assert not lab.next.to_draft.isVisible()
    QTest.keyClicks(composer.edit, "And of Italy")
    lab.opened.wait(lambda: lab.next.to_draft.isVisible())
    assert lab.next.view.place is Place.END, "typing alone asks nothing"
    QTest.mouseClick(lab.next.to_draft, Qt.MouseButton.LeftButton)
    lab.wait_shown(Place.DRAFT)
    QTest.keyClicks(composer.edit, "?")
    lab.opened.wait(lambda: presenter._spot.prompt.messages[-1].content == "And of Italy?")
    lab.wait_shown(Place.DRAFT)
    assert lab.next.place.text().startswith("After the draft")
    assert not lab.next.to_draft.isVisible()
    assert lab.next.to_end.isVisible()
    first = lab.next.view.rows[0]
    greedy = lab.workbench.chain.with_value("temperature", 0)
    lab.workbench.set_chain(greedy)
    lab.settle()
    lab.opened.limit(1)
    QTest.keyClick(composer.edit, Qt.Key.Key_Return)
    lab.opened.wait(lambda: len(lab.workbench.dialogue.messages) == 4)
    lab.opened.wait_answer()
    assert lab.workbench.dialogue.messages[-1].text == first.piece.decode()
    lab.wait_shown(Place.END)
    assert not lab.next.to_draft.isVisible()


def test_the_tokens_are_read_looked_at_and_forked_and_the_tree_leads_back(lab: Laboratory) -> None:
    lab.tokens.part.segments[1].click()
    lab.read()
    assert lab.tokens.view.part is Part.PROMPT
    assert QUESTION in lab.text()
    assert lab.tokens.presenter.traces[0].p is None, "nothing stands before the first"

    lab.tokens.part.segments[0].click()
    assert lab.tokens.strip.tokens == ()
    lab.read()
    old = lab.workbench.dialogue.messages[-1]
    assert lab.text().startswith(old.text)
    view, strip = lab.tokens.view, lab.tokens.strip
    assert view.n_read == view.n_total == view.sums.n_tokens == len(strip.tokens)
    assert lab.tokens.legend.isVisible()
    lab.tokens.colouring.segments[1].click()
    assert strip.colouring is Colouring.RANK

    place = 3
    strip.setFocus()
    for _ in range(place + 1):
        lab.opened.qtbot.keyClick(strip, Qt.Key.Key_Right)
    lab.wait_shown(Place.TOKEN)
    trace = lab.tokens.presenter.traces[place]
    assert (lab.next.view.position, lab.next.view.taken) == (place + 1, trace.piece)
    lab.next.presenter.choose_step(0)
    for option, row in zip(trace.top[:4], lab.next.view.rows[:4], strict=True):
        assert row.p == pytest.approx(option.p, rel=0.05)
    lab.next.to_end.click()
    lab.wait_shown(Place.END)

    kept = b"".join(each.piece for each in lab.tokens.presenter.traces[:place]).decode()
    rows, bars = lab.tokens.view.rows, lab.tokens.alternatives
    other = next(at for at, each in enumerate(rows) if each.token_id != trace.id and each.piece.strip().isalpha())
    begins = kept + rows[other].piece.decode()
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=bars.rect_of(other).center())
    lab.opened.wait(lambda: lab.workbench.dialogue.messages[-1].id != old.id, ANSWER_MS)
    lab.opened.wait_answer()
    new = lab.workbench.dialogue.messages[-1]
    assert new.text.startswith(begins.strip())
    assert (new.parent_id, new.sibling_index, new.sibling_count) == (old.parent_id, 1, 2)
    lab.wait_read()
    assert lab.text().startswith(begins), "the new answer is read by itself"
    branches = lab.tokens.view.branches
    assert [(row.depth, row.position, row.is_shown) for row in branches] == [(0, None, False), (1, place + 1, True)]
    assert all(row.logprob is not None for row in branches)

    # One click on a token brings its alternatives, and one on an alternative forks; or Enter, and Enter.
    popup = lab.tokens.popup
    assert not popup.isVisible()
    QTest.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=strip.rect_of(1).center())
    lab.opened.wait(lambda: popup.isVisible())
    assert popup.title.text() == lab.tokens.chosen.text()
    assert popup.bars.bars == bars.bars
    lab.opened.qtbot.keyClick(popup.bars, Qt.Key.Key_Escape)
    assert not popup.isVisible()
    assert strip.hasFocus()
    lab.opened.qtbot.keyClick(strip, Qt.Key.Key_Return)
    lab.opened.wait(lambda: popup.isVisible())
    picked = popup.bars.bars[popup.bars.row]
    assert not picked.is_picked
    lab.opened.qtbot.keyClick(popup.bars, Qt.Key.Key_Return)
    lab.opened.wait(lambda: lab.workbench.dialogue.messages[-1].id != new.id, ANSWER_MS)
    lab.opened.wait_answer()
    lab.wait_read()
    third = lab.workbench.dialogue.messages[-1]
    assert (third.parent_id, third.sibling_count) == (old.parent_id, 3)
    assert lab.tokens.presenter.traces[1].id == picked.token_id
    lab.wait_shown(Place.END)

    tree = lab.tokens.tree
    QTest.mouseClick(tree, Qt.MouseButton.LeftButton, pos=tree.rect_of(0).center())
    lab.opened.wait(lambda: lab.workbench.dialogue.messages[-1].id == old.id)
    lab.wait_read()
    assert lab.opened.shown()[-1] == old.text

    lab.tokens.set_folded(True)
    lab.opened.chat.transcript.tokens_requested.emit(str(old.id))
    lab.opened.wait(lambda: strip.isVisible() and lab.tokens.view.doing is tokens.Doing.READ, ANSWER_MS)

    lab.tokens.presenter.read()
    lab.workbench.dialogue.new()
    lab.opened.settle()
    lab.opened.wait(lambda: lab.workbench.state.phase is Phase.READY, LOAD_MS)
    assert strip.tokens == ()
    assert lab.tokens.view.doing is tokens.Doing.NO_ANSWER
    assert lab.next.view.doing is next_token.Doing.NO_TEXT
