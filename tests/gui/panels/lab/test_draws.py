"""The tab Draws with a real model: a thousand draws of one token, laid over theory."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication

from engine.sampling.goodness_of_fit import goodness_of_fit
from engine.wire.messages import TokenCount
from gui.panels.lab import words
from gui.panels.lab.inputs import Tab
from gui.panels.lab.presenter.draws import MOST_BARS, DrawsPage, draw_row
from tests.gui.panels.lab.conftest import OpenLab
from tests.support.pages import unnamed_controls


def test_a_thousand_draws_agree_with_theory_and_are_copied(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.show(Tab.DRAWS)
    lab.ask("Once upon a time there was a", n_draws=1000, seed=5)
    lab.wait(lambda: lab.page.draw.page.fit is not None)
    page = lab.page.draw.page
    assert sum(each.n for each in page.rows) == 1000
    assert sum(each.p for each in page.rows) == pytest.approx(1.0, abs=0.05)
    assert page.fit is not None
    assert page.fit.p_value is not None
    assert page.fit.p_value > 1e-4
    assert page.fit.total_variation < 0.1
    assert page.seed == 5
    assert len(lab.page.draws.bars.bars) == min(MOST_BARS, len(page.rows))
    assert len(lab.page.draws.table.rows()) == len(page.rows)
    assert str(page.fit.degrees) in [each.value.text() for each in lab.page.draws.stats]
    lab.page.draws.copy_button.click()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == ["token", "id", "p", "expected", "deviation", "drawn", "z"]
    assert len(lines) == len(page.rows) + 1
    assert sum(int(line.split("\t")[5]) for line in lines[1:]) == 1000
    assert unnamed_controls(lab.page) == []
    for size in ((1440, 900), (1024, 720)):
        lab.window.resize(*size)
        lab.expect_nothing_to_find()


def test_an_empty_prompt_and_a_number_that_is_none_are_explained(lab: OpenLab, smollm2: Path) -> None:
    lab.load(smollm2)
    lab.show(Tab.DRAWS)
    lab.ask("", n_draws=10)
    assert "write what the model is to answer" in lab.page.inputs.prompt.error.text()
    assert not lab.page.draw.is_running
    assert lab.page.no_draws.isVisible()


def test_counts_far_from_theory_are_called_that(lab: OpenLab) -> None:
    counts = (TokenCount(1, b" the", 700, 0.5), TokenCount(2, b"\n", 300, 0.5))
    fit = goodness_of_fit([(each.n, each.p) for each in counts], 1000)
    page = DrawsPage(tuple(draw_row(each, 1000) for each in counts), 1000, 3, fit)
    lab.show(Tab.DRAWS)
    lab.page.draws.show_page(page)
    assert words.verdict_text(page) == ("The counts do not follow the probabilities.", "bad")
    assert [each.label for each in lab.page.draws.bars.bars] == ["␣the", "⏎"]
    assert lab.page.draws.bars.span() >= 700
    assert "␣the: 700 drawn, 500.0 ± 31.6 expected" in lab.page.draws.bars.accessibleDescription()


def test_one_token_with_all_the_probability_is_said_and_not_tested() -> None:
    counts = (TokenCount(1, b"!", 50, 1.0),)
    fit = goodness_of_fit([(50, 1.0)], 50)
    page = DrawsPage(tuple(draw_row(each, 50) for each in counts), 50, 3, fit)
    assert "nothing to test" in words.verdict_text(page)[0]
    assert words.fit_values(page)[1:4] == (words.DASH, words.DASH, words.DASH)
    assert words.draw_cells(page.rows[0])[-1].text == words.DASH
