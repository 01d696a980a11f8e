"""The tab Samples with a real model: columns that stream side by side, what is kept when they are stopped or lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from engine.base.errors import Trouble
from engine.runtime.supervisor import Phase
from engine.wire.messages import ColumnKind, FinishReason, SampleColumn
from gui.panels.lab.presenter.samples import Column, Order, RunState, SamplesPage
from gui.panels.lab.sample_card import SampleCard
from gui.theme import Mode
from tests.gui.panels.lab.conftest import OpenLab
from tests.support.pages import unnamed_controls

QUESTION = "Tell me a long story about a small ship."


def test_four_samples_stream_side_by_side_and_end(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.ask(QUESTION, n_samples=4, max_tokens=24, seed=100)
    page = lab.page
    lab.wait(lambda: all(card.text.text() for card in lab.cards) and len(lab.cards) == 4)
    assert page.many.page.state is RunState.RUNNING  # all of them have text before any of them is done
    assert page.inputs.button.text() == "Stop"
    lab.wait(lambda: not page.many.is_running)
    columns = page.many.page.columns
    assert [each.seed for each in columns] == [100, 101, 102, 103]
    assert [card.text.text() for card in lab.cards] == [each.text for each in columns]
    assert len({each.text for each in columns}) > 1
    for each in columns:
        assert each.figures is not None
        assert each.figures.n_tokens <= 24
        assert each.figures.mean_logprob is not None
        assert each.figures.mean_logprob < 0
        assert each.figures.perplexity is not None
        assert each.figures.perplexity > 1
    assert page.many.page.state is RunState.DONE
    assert page.samples.stats[3].value.text().endswith("tok/s")
    assert page.inputs.button.text() == "Run"
    # The same first seed writes the same texts.
    texts = [each.text for each in columns]
    lab.run_samples(QUESTION, n_samples=4, max_tokens=24, seed=100)
    assert [each.text for each in page.many.page.columns] == texts


def test_greedy_best_path_and_contrast_stand_beside_the_samples(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.run_samples(
        QUESTION, n_samples=1, max_tokens=8, with_greedy=True, with_best_path=True, beam_width=2, with_contrast=True
    )
    columns = lab.page.many.page.columns
    assert [each.kind for each in columns] == list(ColumnKind)
    assert all(each.text for each in columns)
    assert [each.seed is None for each in columns] == [False, True, True, True]
    titles = [card.title.text() for card in lab.cards]
    assert titles == ["Sample 1", "Greedy", "Best path, width 2", "Contrast, k 4, α 0.60"]
    assert [card.seed.isVisible() for card in lab.cards] == [True, False, False, False]
    by_likelihood = [each.figures.mean_logprob for each in columns]
    lab.page.many.set_order(Order.LIKELIEST)
    shown = [card.column.figures.mean_logprob for card in lab.cards]
    assert shown == sorted(by_likelihood, reverse=True)


def test_stop_keeps_what_is_there(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.ask(QUESTION, n_samples=3, max_tokens=800)
    lab.wait(lambda: all(card.text.text() for card in lab.cards) and len(lab.cards) == 3)
    lab.qtbot.keyClick(lab.window, Qt.Key.Key_Escape)
    lab.wait(lambda: not lab.page.many.is_running)
    page = lab.page.many.page
    assert page.state is RunState.STOPPED
    assert all(each.text for each in page.columns)
    assert {each.figures.reason for each in page.columns if each.figures} == {FinishReason.CANCELLED}
    assert [card.text.text() for card in lab.cards] == [each.text for each in page.columns]
    assert lab.notices == []
    assert lab.workbench.state.phase is Phase.READY


def test_the_texts_stay_when_the_engine_is_lost_and_a_notice_says_so(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.ask(QUESTION, n_samples=2, max_tokens=800)
    lab.wait(lambda: all(card.text.text() for card in lab.cards) and len(lab.cards) == 2)
    lab.workbench.supervisor.force_stop()
    lab.wait(lambda: lab.workbench.state.phase is Phase.LOST and not lab.page.many.is_running)
    lab.wait(lambda: len(lab.notices) == 1)
    page = lab.page.many.page
    assert page.state is RunState.FAILED
    assert all(each.text for each in page.columns)
    assert all(card.text.text() for card in lab.cards)
    assert lab.cards[0].values[-1].text() == "cut off"
    assert not lab.page.inputs.button.isEnabled()


def test_a_prompt_that_is_empty_and_too_many_columns_are_explained_and_nothing_is_run(
    lab: OpenLab, smollm2: Path
) -> None:
    lab.load(smollm2)
    lab.ask("   ", n_samples=31, with_greedy=True, with_contrast=True)
    inputs = lab.page.inputs
    assert "write what the model is to answer" in inputs.prompt.error.text()
    assert inputs.prompt.error.isVisible()
    assert "use 30 samples or fewer" in inputs.form.errors()["n_samples"]
    assert lab.workbench.state.phase is Phase.READY
    assert not lab.page.many.is_running
    inputs.prompt.text.setPlainText("Hello")
    assert not inputs.prompt.error.isVisible()


def test_a_number_that_is_none_is_explained_under_its_box_and_nothing_is_run(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    inputs = lab.page.inputs
    box = inputs.samples.row("n_samples").editor.box
    box.setFocus()
    box.selectAll()
    lab.qtbot.keyClicks(box, "33")
    inputs.prompt.text.setPlainText("Hello")
    lab.window.registry.trigger("lab.run")  # Ctrl+Return, with the number still being typed
    assert "use at most 32" in inputs.samples.errors()["n_samples"]
    assert not lab.page.many.is_running


def test_ctrl_return_runs_and_only_while_the_page_is_on_screen(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    action = lab.window.registry.by_id("lab.run")
    assert action.isEnabled()
    inputs = lab.page.inputs
    inputs.prompt.text.setPlainText("Hello")
    inputs.samples.set_values({"n_samples": 1, "max_tokens": 2})
    inputs.prompt.text.setFocus()
    lab.qtbot.keyClick(inputs.prompt.text, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    lab.wait(lambda: lab.page.many.page.state is RunState.DONE)
    assert inputs.prompt.text.toPlainText() == "Hello"
    lab.window.go("settings")
    assert not action.isEnabled()
    lab.window.go("lab")
    assert action.isEnabled()


def test_texts_and_figures_are_copied_as_markdown_and_as_a_table(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.run_samples(QUESTION, n_samples=2, max_tokens=6, seed=7, with_greedy=True)
    clipboard = QGuiApplication.clipboard()
    lab.page.samples.tsv.click()
    rows = [line.split("\t") for line in clipboard.text().splitlines()]
    assert rows[0][:3] == ["Column", "Seed", "Tokens"]
    assert [row[:2] for row in rows[1:]] == [["Sample 1", "7"], ["Sample 2", "8"], ["Greedy", ""]]
    assert {len(row) for row in rows} == {len(rows[0])}
    lab.page.samples.markdown.click()
    text = clipboard.text()
    assert text.count("### ") == 3
    first = lab.page.many.page.columns[0].text.strip("\n").split("\n")[0]
    assert f"> {first}".rstrip() in text
    lab.cards[0].seed.click()
    assert clipboard.text() == "7"
    lab.cards[0].copy.click()
    assert clipboard.text() == lab.page.many.page.columns[0].text


def test_without_a_model_the_page_says_how_to_begin(lab: OpenLab) -> None:
    page = lab.page
    assert page.no_model.isVisible()
    assert not page.inputs.button.isEnabled()
    assert page.inputs.button.toolTip() == "No model is loaded"
    page.run()
    assert not page.many.is_running
    page.no_model.button.click()
    assert lab.window.current_page == "models"


def test_a_model_brings_an_example_that_runs(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    assert lab.page.no_samples.isVisible()
    lab.page.inputs.samples.set_values({"n_samples": 2, "max_tokens": 4})
    lab.page.no_samples.button.click()
    lab.wait(lambda: lab.page.many.page.state is RunState.DONE)
    assert len(lab.cards) == 2


def test_the_page_leaves_no_timer_and_hears_nothing_after_its_end(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.ask(QUESTION, n_samples=2, max_tokens=400)
    lab.wait(lambda: any(card.text.text() for card in lab.cards))
    page = lab.page
    before = [card.column for card in lab.cards]
    page.close_panel()
    assert not page.samples.is_ticking
    lab.workbench.cancel()
    lab.wait(lambda: lab.workbench.state.phase is Phase.READY)
    assert [card.column for card in lab.cards] == before
    assert not page.samples.is_ticking


def test_nothing_is_cut_nameless_or_on_top_of_something_in_any_size_and_colour(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.run_samples(QUESTION, n_samples=3, max_tokens=40, with_greedy=True, with_contrast=True)
    assert unnamed_controls(lab.page) == []
    for mode in (Mode.DARK, Mode.LIGHT, Mode.DARK):
        lab.window.theme.set_mode(mode)
        for size, n_columns in (((1440, 900), 3), ((1024, 720), 2)):
            lab.window.resize(*size)
            lab.expect_nothing_to_find()
            lab.wait(lambda n_columns=n_columns: lab.page.samples.grid.n_columns == n_columns, 5_000)
            lab.wait(lambda: [card.text.height() for card in lab.cards] == [wanted(card) for card in lab.cards], 5_000)


def wanted(card: SampleCard) -> int:
    """The height of all lines of a card's text, which none of these texts exceeds."""
    document = card.text.document()
    lines, block = 0.0, document.firstBlock()
    while block.isValid():
        lines += document.documentLayout().blockBoundingRect(block).height()
        block = block.next()
    return max(round(lines) + 2, 3 * card.text.fontMetrics().lineSpacing())


def test_what_is_scrolled_away_is_shown_when_it_is_seen(lab: OpenLab) -> None:
    asked = [SampleColumn(ColumnKind.CHAIN, (), place) for place in range(32)]
    columns = tuple(Column(place, each.kind, 4, 0.6, each.seed) for place, each in enumerate(asked))
    pane, area = lab.page.samples, lab.page._samples_area
    pane.show_page(SamplesPage(columns, None, RunState.RUNNING))
    lab.page._stack.setCurrentWidget(area)
    lab.wait(lambda: area.verticalScrollBar().maximum() > 0)
    for place in range(32):
        pane.grow(place, "a word", 2)
    first, last = lab.cards[0], lab.cards[31]
    lab.wait(lambda: first.text.text() == "a word")
    assert last.text.text() == ""
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    lab.wait(lambda: last.text.text() == "a word")
    lab.wait(lambda: not pane.is_ticking or any(card.is_waiting for card in lab.cards))
    last.copy.click()
    assert QGuiApplication.clipboard().text() == "a word"
    lab.window.go("settings")
    lab.wait(lambda: not pane.is_ticking)  # nobody sees it, so nothing is looked at
    lab.window.go("lab")
    assert pane.is_ticking
    pane.show_page(SamplesPage(tuple(replace(each, text="a word") for each in columns), None, RunState.DONE))
    assert {card.text.text() for card in lab.cards} == {"a word"}
    assert not pane.is_ticking


def test_a_notice_that_comes_while_the_page_is_on_screen_is_not_cut(lab: OpenLab) -> None:
    card = lab.window.show_trouble(Trouble("The engine is busy", "it writes an answer", "wait, or stop it first"))
    lab.wait(lambda: card.height() == card.heightForWidth(card.width()), 5_000)
    lab.expect_nothing_to_find()
