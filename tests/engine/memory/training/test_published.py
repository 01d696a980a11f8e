"""The prediction against what was measured elsewhere, and the table of formats against the library's block layouts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.gguf.types import TensorType
from engine.memory.fit import Fits
from engine.memory.training.cost import Item, training_cost
from engine.memory.training.formats import NOT_FOR_WEIGHTS, formats_of
from engine.memory.training.published import Checked, all_checked
from engine.memory.training.recipe import recipe_of
from engine.memory.training.shape import shape_of_values
from engine.memory.training.verdict import Room, judge_training

DOCS = Path(__file__).parents[4] / "docs" / "memory.md"
ROWS = all_checked()


def _id(row: Checked) -> str:
    return f"{row.run.model} {row.run.setup}"


@pytest.mark.parametrize("row", ROWS, ids=_id)
def test_a_published_run_is_met_within_a_tenth_of_the_range(row: Checked) -> None:
    assert abs(row.missed_by) < 0.10, f"{row.low / 1e9:.1f} to {row.high / 1e9:.1f} GB"


def test_most_published_runs_lie_in_the_range_and_near_its_middle() -> None:
    inside = [each for each in ROWS if each.missed_by == 0]
    assert len(inside) >= 0.8 * len(ROWS)
    errors = sorted(abs(each.error) for each in ROWS if not each.run.is_bound)
    assert errors[len(errors) // 2] < 0.06  # the median
    assert errors[-1] < 0.20


def test_the_rule_of_thumb_is_farther_off_than_the_decomposition() -> None:
    compared = [(each.rule_error, each.error) for each in ROWS if each.rule_error is not None]
    assert len(compared) >= 6
    by_rule, by_parts = (sorted(abs(pair[at]) for pair in compared) for at in (0, 1))
    assert by_rule[len(by_rule) // 2] > 3 * by_parts[len(by_parts) // 2]


def test_the_page_prints_the_errors_that_the_program_finds() -> None:
    printed = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|", DOCS.read_text("utf-8"), re.MULTILINE
    )
    shown = {(model.strip(), setup.strip()): error.strip() for model, setup, error in printed}
    for row in ROWS:
        percent = round(row.error * 100)
        text = f"{percent:+d} %".replace("-", "−") if percent else "0 %"
        assert shown[row.run.model, row.run.setup] == text


def test_the_table_of_formats_has_every_type_with_its_real_bits() -> None:
    formats = {each.name: each for each in formats_of(1_000_000)}
    types = {each.name for each in TensorType} - set(NOT_FOR_WEIGHTS)
    assert types <= set(formats)
    assert formats["INT4"].bits == 4.0
    assert formats["Q4_0"].bits == 4.5
    assert formats["Q4_K"].bits == 4.5
    assert formats["Q8_0"].size_bytes == 1_062_500
    assert {name for name, each in formats.items() if each.step == "INT4" and not each.is_step} == {
        "Q4_0", "Q4_1", "Q4_K", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4",
    }  # fmt: skip


def test_the_verdict_has_three_words_for_a_range() -> None:
    cost = training_cost(shape_of_values({"n_params": 7_000_000_000}), recipe_of({}))
    low, high = cost.device.low, cost.device.high
    ram = Room("RAM", 10**12)
    for free, fits in ((low - 1, Fits.NO), (low, Fits.TIGHT), (high - 1, Fits.TIGHT), (high, Fits.YES)):
        assert judge_training(cost, Room("card", free), ram).fits is fits
    assert judge_training(cost, Room("card", None), ram).fits is Fits.UNKNOWN


def test_on_one_computer_without_a_card_everything_is_taken_from_ram() -> None:
    recipe = recipe_of({"sharding": "zero3", "offload": "all"})
    cost = training_cost(shape_of_values({"n_params": 1_000_000_000}), recipe)
    both = Room("RAM", cost.total_high - 1)
    assert judge_training(cost, both, both).fits is Fits.TIGHT
    assert judge_training(cost, Room("card", cost.total_high - 1), both).fits is Fits.YES


def test_the_context_is_no_part_of_an_allocators_peak() -> None:
    row = next(each for each in ROWS if each.run.is_allocated)
    context = next(each.low for each in row.cost.device.lines if each.item is Item.CONTEXT)
    assert row.low == row.cost.device.low - context
