"""The tab Compare with real answers: what differs, where they part, and a replay that is the same token for token."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from engine.runtime.supervisor import Phase
from engine.wire.messages import NextTaken, StageView, TokenChance, TokenInfo
from engine.workbench.comparison import Difference
from engine.workbench.events import MessageFinished
from gui.panels.lab import compare_words as words
from gui.panels.lab.inputs import Tab
from gui.panels.lab.presenter.compare import token_rows
from gui.panels.lab.presenter.comparison import Comparison, Doing, Outcome, Parting, TokenRow
from gui.widgets.diff_text import Mark
from tests.gui.panels.lab.conftest import OpenLab
from tests.support.pages import unnamed_controls


def say(lab: OpenLab, text: str, *, seed: int, n_tokens: int = 12) -> None:
    """Ask in the open chat and wait until the answer is stored and listed."""
    ended: list[MessageFinished] = []
    leave = lab.workbench.subscribe(MessageFinished, ended.append)
    lab.workbench.set_run_options({"max_tokens": n_tokens, "seed": seed, "ignore_eos": True})
    before = len(lab.page.pair.page.answers)
    if lab.workbench.dialogue.messages:
        lab.workbench.answer_again(lab.workbench.dialogue.messages[-1].id)
    else:
        lab.workbench.say(text)
    lab.wait(lambda: ended and lab.workbench.state.phase is Phase.READY)
    leave()
    lab.wait(lambda: len(lab.page.pair.page.answers) > before and lab.page.pair.page.answers[0].words)


def test_two_answers_are_laid_beside_each_other_and_one_is_replayed(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.show(Tab.COMPARE)
    assert lab.page.no_answers.isVisible()
    assert not lab.page.inputs.button.isEnabled()
    say(lab, "Invent a name for a ship.", seed=1)
    lab.workbench.set_chain(lab.workbench.chain.with_value("temperature", 1.5))
    say(lab, "", seed=2)
    page = lab.page.pair.page
    assert (page.first, page.second) == (1, 0)  # the newest is held against the one before
    assert lab.page.no_comparison.isVisible()
    lab.page.inputs.button.click()
    lab.wait(lambda: lab.page.pair.page.comparison is not None)
    comparison = lab.page.pair.page.comparison
    assert comparison.outcome is Outcome.DIFFERENT
    assert Difference("Temperature", "0.80", "1.50") in comparison.setup
    assert Difference("Seed", "1", "2") in comparison.setup
    assert comparison.same_prompt is True
    second, first = lab_texts(lab)
    assert "".join(text for mark, text in lab.page.compare.text.pieces() if mark is not Mark.UNDERLINED) == first
    assert "".join(text for mark, text in lab.page.compare.text.pieces() if mark is not Mark.STRUCK) == second
    parting = comparison.parting
    assert parting is not None
    assert parting.first_piece != parting.second_piece
    for rows, piece in ((parting.first, parting.first_piece), (parting.second, parting.second_piece)):
        assert [each.piece for each in rows if each.is_chosen] == [piece]
    assert [each.p for each in parting.first][:10] == [each.p for each in parting.second][:10]
    lab.page.compare.copy_button.click()
    assert "Temperature\t0.80\t1.50" in QGuiApplication.clipboard().text()
    assert unnamed_controls(lab.page) == []
    for size in ((1440, 900), (1024, 720)):
        lab.window.resize(*size)
        lab.expect_nothing_to_find()

    lab.page.answers.replay.click()
    assert lab.page.pair.page.doing is Doing.REPLAYING
    assert lab.page.compare.busy.isVisible()
    lab.wait(lambda: lab.page.pair.page.doing is Doing.NOTHING)
    replayed = lab.page.pair.page.comparison
    assert (replayed.outcome, replayed.setup, replayed.n_tokens) == (Outcome.SAME, (), 12)
    assert lab.page.compare.title.text() == "The same, token for token."

    lab.page.answers.swap.click()
    assert (lab.page.pair.page.first, lab.page.pair.page.second) == (0, 1)
    assert lab.page.pair.page.comparison is None  # it was of the others
    assert lab.page.no_comparison.isVisible()


def lab_texts(lab: OpenLab) -> tuple[str, ...]:
    """The answers' whole texts, newest first, as the store has them."""
    found: list[tuple[str, ...]] = []
    ids = [each.message_id for each in lab.page.pair.page.answers]
    lab.workbench._in_store(
        lambda store: tuple(store.messages.get(each).content for each in ids), then=found.append, title="test"
    )
    lab.wait(lambda: bool(found))
    return found[0]


def test_answers_are_compared_without_a_model_and_the_missing_distributions_are_said(
    lab: OpenLab, smollm2: Path
) -> None:
    lab.load(smollm2)
    lab.show(Tab.COMPARE)
    say(lab, "Invent a name for a ship.", seed=1, n_tokens=6)
    say(lab, "", seed=2, n_tokens=6)
    lab.workbench.unload_model()
    lab.wait(lambda: lab.workbench.state.phase is Phase.EMPTY)
    assert not lab.page.answers.replay.isEnabled()
    assert "load it first" in lab.page.answers.replay.toolTip()
    lab.page.run()
    lab.wait(lambda: lab.page.pair.page.comparison is not None)
    parting = lab.page.pair.page.comparison.parting
    assert parting is not None
    assert (parting.first, parting.second, parting.has_model) == ((), (), False)
    assert "load it and compare again" in lab.page.compare.parting.text()
    assert not lab.page.compare.sides[0][1].isVisible()


def test_a_replay_that_is_stopped_is_no_failure_and_one_that_cannot_begin_says_why(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.show(Tab.COMPARE)
    say(lab, "Tell me a story.", seed=1, n_tokens=120)
    lab.page.pair.choose(first=0)
    lab.page.pair.replay()
    lab.wait(lambda: lab.workbench.state.phase is Phase.WRITING)
    lab.page.compare.busy.cancel.click()
    lab.wait(lambda: not lab.page.pair.is_running)
    lab.page.answers.replay.click()
    lab.wait(lambda: lab.workbench.state.phase is Phase.WRITING)
    lab.qtbot.keyClick(lab.window, Qt.Key.Key_Escape)
    lab.wait(lambda: not lab.page.pair.is_running)
    assert lab.notices == []
    assert lab.page.pair.page.comparison is None
    lab.workbench.say("Another question.")
    lab.page.pair.replay()  # the engine writes something else
    lab.wait(lambda: not lab.page.pair.is_running)
    lab.wait(lambda: bool(lab.notices))
    assert "busy" in lab.notices[0]
    lab.workbench.cancel()
    lab.wait(lambda: lab.workbench.state.phase is Phase.READY)


def chances(*pairs: tuple[int, float]) -> tuple[TokenChance, ...]:
    return tuple(TokenChance(each, str(each).encode(), p) for each, p in pairs)


def test_a_token_that_the_chain_cut_is_told_from_one_that_nobody_listed() -> None:
    raw = chances((1, 0.6), (2, 0.3), (3, 0.05))
    came = TokenInfo(9, b"nine", 0, 4, False)
    cut = NextTaken(1, raw, 1.0, (StageView("top_k", 2, 0.9, 0.9, chances((1, 0.7), (2, 0.3))),), raw[0])
    assert [each.p_chain for each in token_rows(cut, None)] == [0.7, 0.3, 0.0]
    more = NextTaken(1, raw, 1.0, (StageView("top_k", 40, 0.9, 0.9, chances((1, 0.7), (2, 0.3))),), raw[0])
    assert token_rows(more, came)[2:] == (TokenRow(b"3", 0.05, None), TokenRow(b"nine", None, None, True))
    none = NextTaken(1, raw, 1.0, (), raw[0])
    assert [each.p_chain for each in token_rows(none, None)] == [0.6, 0.3, 0.05]


def test_a_replay_that_differs_says_what_may_be_the_reason() -> None:
    parting = Parting(3, b" the", None, (), ())
    setup = (Difference("Threads in use", "2", "1"),)
    other = Comparison(Outcome.DIFFERENT, setup, (), parting, 12, is_replay=True)
    assert words.comparison_title(other) == "The same up to token 3, then different."
    assert words.comparison_caption(other).endswith("What differs below may be the reason.")
    assert words.parting_text(other, parting) == "Token 4: “␣the” in the stored answer, the end in the replay."
    same_setup = Comparison(Outcome.DIFFERENT, (), (), parting, 12, is_replay=True)
    assert "does not compute the same twice" in words.comparison_caption(same_setup)
