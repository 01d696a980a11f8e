"""The Train side of the Memory page in a real window: a real model's header, a described model, and its words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from engine.memory.fit import Fits
from engine.memory.training.cost import TrainPart, training_cost
from engine.memory.training.published import all_checked
from engine.memory.training.recipe import RECIPE, recipe_of
from engine.memory.training.shape import shape_of_values
from gui.icons import Icons
from gui.panels.memory import training_words as words
from gui.panels.memory.mode_switch import Mode
from gui.panels.memory.training_values import shown_keys
from gui.panels.memory.training_view import TrainingView
from gui.theme import Theme
from tests.support.pages import OpenPage, open_page, unnamed_controls

WAIT_MS = 20_000


@pytest.fixture
def page(theme: Theme, icons: Icons, tmp_path: Path, qtbot) -> Iterator[OpenPage]:
    with open_page("memory", theme, icons, tmp_path, "models", start=False) as opened:
        yield opened


@pytest.fixture
def training(page: OpenPage, smollm2: Path, qtbot) -> TrainingView:
    """The Train side with the starter model."""
    page.view.show_mode(Mode.TRAIN)
    training = page.view.training
    qtbot.waitUntil(lambda: training.is_built, timeout=WAIT_MS)
    training.presenter.choose(smollm2)
    qtbot.waitUntil(lambda: training.presenter.page.cost is not None, timeout=WAIT_MS)
    return training


def test_train_is_one_click_away_and_so_is_the_way_back(page: OpenPage, qtbot) -> None:
    run, train = page.view.inputs.mode.segments
    assert page.view.training is None  # built when it is wanted
    assert page.view.inputs.isVisible()
    qtbot.mouseClick(train, Qt.MouseButton.LeftButton)
    assert page.view.training.isVisible()
    assert not page.view.inputs.isVisible()
    assert page.view.training.inputs.mode.segments[1].isChecked()
    qtbot.mouseClick(page.view.training.inputs.mode.segments[0], Qt.MouseButton.LeftButton)
    assert page.view.inputs.isVisible()
    assert run.isChecked()
    assert not page.view.training.isVisible()


def test_the_side_is_built_one_part_a_turn_and_takes_what_was_chosen_meanwhile(
    page: OpenPage, smollm2: Path, qtbot
) -> None:
    page.view.show_mode(Mode.TRAIN)
    training = page.view.training
    assert not training.is_built
    training.presenter.choose(smollm2)
    left = [training.n_left]
    other = QTimer(training, interval=0)  # whatever else the window has to do
    other.timeout.connect(lambda: left.append(training.n_left))
    other.start()
    qtbot.waitUntil(lambda: training.is_built, timeout=WAIT_MS)
    other.stop()
    assert left[0] >= 6, "parts, not one heap"
    assert all(before - after <= 1 for before, after in itertools.pairwise(left)), "never two in one turn"
    qtbot.waitUntil(lambda: training.presenter.page.cost is not None, timeout=WAIT_MS)
    assert training.presenter.page.path == smollm2
    assert training.answer.table.isVisible()


def test_a_real_model_is_taken_apart_and_the_table_sums_to_the_byte(training: TrainingView) -> None:
    cost = training.presenter.page.cost
    table = training.answer.table
    assert cost.shape.n_params == 134_515_008
    assert table.sums() == [cost.device.low, cost.device.high]
    rows = {row.label: row.amounts for row in table.rows()}
    assert rows["Weights"] == (2 * 134_515_008, 2 * 134_515_008)
    assert rows["Optimizer"] == (8 * 134_515_008, 8 * 134_515_008)
    assert "134,515,008" in training.answer.source.text()
    assert "3.01 GiB" in training.answer.rule.text()  # 24 bytes each
    bars = [bar for _, bar, _ in training.answer._bars if bar.isVisible()]
    assert [bar.used for bar in bars] == [cost.device.low, cost.device.high]


def test_lora_shows_its_fields_and_costs_less_at_once(training: TrainingView) -> None:
    form = training.inputs.form
    assert not form.row("lora_rank").isVisible()
    full = training.presenter.page.cost.device
    form.row("finetuning_type").editor.segments.segments[1].click()
    lora = training.presenter.page.cost.device
    assert form.row("lora_rank").isVisible()
    assert lora.high < full.low + full.span_of(TrainPart.LOGITS)[1]
    assert "Adapters" in {row.label for row in training.answer.table.rows()}
    assert "of 134,515,008 parameters are trained" in training.answer.source.text()


def test_a_described_model_on_many_devices_is_held_against_what_they_have(training: TrainingView) -> None:
    presenter = training.presenter
    presenter.choose(None)
    presenter.change("n_params", 70_000_000_000)
    for key, value in (("n_devices", 8), ("sharding", "zero3"), ("device_memory", 80)):
        presenter.change(key, value)
    assert training.inputs.shape.isVisible()
    assert presenter.page.verdict.fits is Fits.NO
    assert "Does not fit." in training.answer.verdict.text()
    assert "80.00 GiB free in each of 8 devices" in training.answer.verdict.text()
    assert "Taken as usual for this size" in training.answer.source.text()
    presenter.change("finetuning_type", "qlora")
    assert presenter.page.verdict.fits is Fits.YES


def test_what_is_offloaded_has_a_table_and_bars_of_its_own(training: TrainingView) -> None:
    training.presenter.change("offload", "all")
    page = training.presenter.page
    assert page.recipe["sharding"] == "zero3"  # the only way there is
    assert training.answer.ram_table.isVisible()
    assert training.answer.ram_table.sums() == [page.cost.devices[1].low, page.cost.devices[1].high]
    assert sum(bar.isVisible() for _, bar, _ in training.answer._bars) == 4
    training.presenter.change("offload", "none")
    assert not training.answer.ram_table.isVisible()
    assert sum(bar.isVisible() for _, bar, _ in training.answer._bars) == 2


def test_what_does_not_go_together_is_said_in_place_of_an_answer(training: TrainingView) -> None:
    training.presenter.change("n_devices", 6)
    training.presenter.change("tensor_parallel", 4)
    assert "multiple of tensor parallel" in training.answer.verdict.text()
    assert not training.answer.table.isVisible()
    assert training.answer.published.isVisible()
    training.presenter.change("n_devices", 8)
    assert training.answer.table.isVisible()


def test_the_tables_have_every_format_and_every_published_run(training: TrainingView) -> None:
    formats = {row[0].text: row[1].text for row in training.answer.formats.rows()}
    assert (formats["INT4"], formats["Q4_K"], formats["Q6_K"], formats["TQ1_0"]) == ("4", "4.5", "6.562", "1.688")
    runs = training.answer.published.rows()
    assert len(runs) == len(all_checked())
    assert [row[3].text for row in runs] == [words.error_text(each.error) for each in all_checked()]
    copied = training.answer.published.as_tsv()
    assert copied.splitlines()[1].startswith("Qwen-1.8B, full, 256 tokens\t43.5 GB")


def test_a_file_that_is_no_model_says_so(training: TrainingView, tmp_path: Path, qtbot) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, but no more")
    training.presenter.choose(broken)
    qtbot.waitUntil(lambda: training.presenter.page.trouble is not None, timeout=WAIT_MS)
    assert training.presenter.page.cost is None
    assert training.answer.verdict.text() != ""


def test_every_control_has_a_name_and_nothing_is_scrolled_sideways(training: TrainingView, page: OpenPage) -> None:
    assert unnamed_controls(training) == []
    for width in (1440, 1024):
        page.window.resize(width, 900)
        QApplication.processEvents()
        for table in (training.answer.formats, training.answer.published):
            assert table.horizontalScrollBar().maximum() == 0, width


def test_the_rule_of_thumb_is_compared_in_words() -> None:
    shape = shape_of_values({"n_params": 7_000_000_000})
    small = words.rule_text(training_cost(shape, recipe_of({"finetuning_type": "qlora"})))
    near = words.rule_text(training_cost(shape, recipe_of({"recompute_granularity": "none"})))
    much = words.rule_text(training_cost(shape, recipe_of({"recompute_granularity": "none", "micro_batch_size": 64})))
    assert "times the high end" in small
    assert "lies in that range" in near
    assert "of the low end" in much


def test_ranges_are_said_once_where_both_ends_look_alike() -> None:
    assert words.range_text(2**30, 2**30) == "1.00 GiB"
    assert words.range_text(2**30, 2 * 2**30) == "1.00 to 2.00 GiB"
    assert words.range_text(2**20, 2 * 2**30) == "1.0 MiB to 2.00 GiB"


def test_only_fields_that_mean_something_are_shown() -> None:
    plain = {**RECIPE.defaults(), "device_memory": 0}
    assert "lora_rank" not in shown_keys(plain)
    assert "master_weights" in shown_keys(plain)
    assert "master_weights" not in shown_keys({**plain, "precision": "fp32"})
    assert "bnb_4bit_use_double_quant" in shown_keys({**plain, "finetuning_type": "qlora"})
    assert {"tensor_parallel"} <= shown_keys({**plain, "n_devices": 2})
    assert "sequence_parallel" not in shown_keys({**plain, "n_devices": 2})


def test_a_miss_is_said_with_its_size() -> None:
    row = next(each for each in all_checked() if each.missed_by < 0)
    assert "short of it" in words.miss_text(row)
    inside = next(each for each in all_checked() if each.missed_by == 0)
    assert "lies in the predicted range" in words.miss_text(inside)
    below = replace(inside, low=2 * inside.run.measured_bytes, high=3 * inside.run.measured_bytes)
    assert "begins 100 % above it" in words.miss_text(below)
