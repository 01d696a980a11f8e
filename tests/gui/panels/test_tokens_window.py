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
    opened.workbench.set_load_options({**opened.workbench.load_options, "n_threads": 1, "n_threads_batch": 1})
    opened.begin(smollm2)
    opened.limit(24)
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


def test_after_an_answer_the_bars_are_the_models_distribution_at_its_end(lab: Laboratory) -> None:
    view = lab.next.view
    facts = lab.workbench.state.facts
    assert facts is not None
    assert view.steps[0].survivors == facts.n_vocab
    counts = [step.survivors for step in view.steps]
    assert counts == sorted(counts, reverse=True)
    left = [row.p_chain for row in view.rows if row.p_chain is not None]
    assert 0 < sum(left) <= 1 + 1e-6
    assert lab.next.header.accessibleDescription().startswith(f"open. {facts.n_vocab:,} → ")
    assert lab.next.bars.isVisible()


def test_dragging_the_temperature_moves_the_bars_and_nothing_is_decoded(lab: Laboratory) -> None:
    chain = lab.workbench.chain.with_value("top_p", 1.0).with_value("min_p", 0.0)  # so that more than one token is left
    lab.workbench.set_chain(chain)
    lab.settle()
    before_steps, before_past = lab.n_steps(), lab.workbench.state.n_past
    first = lab.next.bars.bars
    decoding = lab.opened.chat.inspector.decoding
    slider = next(each.slider for each in decoding.findChildren(NumberField) if each.field.key == "temperature")
    middle = slider.rect().center().y()
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() // 2, middle))
    seen = set()
    for x in range(slider.width() // 2, slider.width() - 4, 8):
        value = lab.workbench.chain.value("temperature")
        QTest.mouseMove(slider, QPoint(x, middle))
        lab.opened.wait(
            lambda value=value, x=x: x == slider.width() // 2 or lab.workbench.chain.value("temperature") != value
        )
        lab.opened.wait(lambda: lab.next.presenter.is_settled)
        seen.add(lab.next.bars.bars)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(slider.width() - 4, middle))
    lab.settle()
    assert len(seen) > 3, "the bars move with the slider"
    assert lab.next.bars.bars != first
    assert lab.n_steps() == before_steps, "the kept logits are used"
    assert lab.workbench.state.n_past == before_past
    assert lab.opened.chat.composer.button.text() == "Send", "a look is no work that the window would announce"


def test_another_temperature_is_drawn_without_asking_the_engine(lab: Laboratory) -> None:
    lab.next.what_if_fold.set_folded(False)
    asked: list[object] = []
    sent = lab.workbench.supervisor.request
    lab.workbench.supervisor.request = lambda *a, **b: asked.append(a) or sent(*a, **b)  # type: ignore[method-assign]
    lab.next.what_if.slider.set_value(1.0)
    lab.next.what_if.refresh()
    flat = lab.next.what_if.bars.bars
    lab.next.what_if.slider.set_value(0.2)
    lab.next.what_if.refresh()
    sharp = lab.next.what_if.bars.bars
    assert sharp[0].p_chain > flat[0].p_chain
    assert flat[0].p_chain == pytest.approx(flat[0].p)
    assert asked == []


def test_while_an_answer_is_written_the_bars_follow_it(lab: Laboratory) -> None:
    seen: list[Place] = []
    show = lab.next.presenter._tell
    lab.next.presenter._tell = lambda view: (seen.append(view.place) if view.rows else None, show(view))
    lab.opened.limit(200)
    lab.opened.send("Count to a hundred.")
    lab.opened.wait(lambda: Place.LIVE in seen, ANSWER_MS)
    lab.workbench.cancel()
    lab.opened.wait_answer()
    lab.wait_shown()


def test_a_question_can_be_sent_while_the_next_token_is_looked_at(lab: Laboratory) -> None:
    lab.next.presenter.look()
    lab.opened.ask("And of Italy?")
    assert len(lab.opened.shown()) == 4
    assert lab.opened.notices == ()
    lab.wait_shown()


def test_the_tokens_of_an_answer_are_its_text_and_their_sum_its_probability(lab: Laboratory) -> None:
    lab.read()
    answer = lab.workbench.dialogue.messages[-1].text
    assert lab.text().startswith(answer)
    view = lab.tokens.view
    assert view.n_read == view.n_total == len(lab.tokens.strip.tokens)
    assert view.sums.n_tokens == view.n_read
    assert view.sums.perplexity >= 1
    assert lab.tokens.legend.isVisible()
    lab.tokens.colouring.segments[1].click()
    assert lab.tokens.strip.colouring is Colouring.RANK


def test_the_prompts_tokens_are_read_too(lab: Laboratory) -> None:
    lab.tokens.part.segments[1].click()
    lab.read()
    assert lab.tokens.view.part is Part.PROMPT
    assert QUESTION in lab.text()
    assert lab.tokens.presenter.traces[0].p is None, "nothing stands before the first"


def test_a_token_of_the_strip_is_looked_at_with_the_same_probabilities(lab: Laboratory) -> None:
    lab.read()
    place = 4
    QTest.mouseClick(
        lab.tokens.strip.viewport(), Qt.MouseButton.LeftButton, pos=lab.tokens.strip.rect_of(place).center()
    )
    assert lab.tokens.alternatives.isVisible()
    lab.wait_shown(Place.TOKEN)
    trace = lab.tokens.presenter.traces[place]
    assert lab.next.view.position == place + 1
    assert lab.next.view.taken == trace.piece
    lab.next.presenter.choose_step(0)
    for option, row in zip(trace.top[:4], lab.next.view.rows[:4], strict=True):
        assert row.p == pytest.approx(option.p, rel=0.05)
    lab.next.to_end.click()
    lab.wait_shown(Place.END)


def test_another_token_makes_a_sibling_that_begins_as_it_should_and_the_tree_leads_back(lab: Laboratory) -> None:
    lab.read()
    old = lab.workbench.dialogue.messages[-1]
    place = 3
    lab.tokens.strip.setFocus()
    for _ in range(place + 1):
        lab.opened.qtbot.keyClick(lab.tokens.strip, Qt.Key.Key_Right)
    trace = lab.tokens.presenter.traces[place]
    kept = b"".join(each.piece for each in lab.tokens.presenter.traces[:place]).decode()
    other = next(
        at for at, each in enumerate(lab.tokens.view.rows) if each.token_id != trace.id and each.piece.isascii()
    )
    chosen = lab.tokens.view.rows[other].piece.decode()
    QTest.mouseClick(
        lab.tokens.alternatives, Qt.MouseButton.LeftButton, pos=lab.tokens.alternatives.rect_of(other).center()
    )
    lab.opened.wait(lambda: lab.workbench.dialogue.messages[-1].id != old.id, ANSWER_MS)
    lab.opened.wait_answer()
    new = lab.workbench.dialogue.messages[-1]
    assert new.text.startswith((kept + chosen).strip())
    assert new.parent_id == old.parent_id
    assert (new.sibling_index, new.sibling_count) == (1, 2)
    lab.wait_read()
    assert lab.text().startswith(kept + chosen), "the new answer is read by itself"
    rows = lab.tokens.view.branches
    assert [(row.depth, row.position, row.is_shown) for row in rows] == [(0, None, False), (1, place + 1, True)]
    assert all(row.logprob is not None for row in rows)
    tree = lab.tokens.tree
    QTest.mouseClick(tree, Qt.MouseButton.LeftButton, pos=tree.rect_of(0).center())
    lab.opened.wait(lambda: lab.workbench.dialogue.messages[-1].id == old.id)
    lab.wait_read()
    assert lab.opened.shown()[-1] == old.text


def test_tokens_that_are_being_read_can_be_left(lab: Laboratory) -> None:
    lab.tokens.presenter.read()
    lab.workbench.dialogue.new()
    lab.opened.settle()
    lab.opened.wait(lambda: lab.workbench.state.phase is Phase.READY, LOAD_MS)
    assert lab.tokens.strip.tokens == ()
    assert lab.tokens.view.doing is tokens.Doing.NO_ANSWER
    assert lab.next.view.doing is next_token.Doing.NO_TEXT
