"""The heat map of context and cache type: what is tried, what a cell says."""

from __future__ import annotations

from engine.memory.fit import Fits
from engine.workbench.by_formula import Grid, GridCell
from gui.panels.memory import words
from gui.panels.memory.grid_presenter import MOST_CONTEXTS, contexts_up_to


def test_contexts_are_powers_of_two_the_trained_and_the_present_one() -> None:
    assert contexts_up_to(8192, 4096) == (1024, 2048, 4096, 8192)
    assert contexts_up_to(5000, 300) == (300, 1024, 2048, 4096, 5000)
    assert contexts_up_to(512, 512) == (512,)
    long = contexts_up_to(1 << 20, 4096)
    assert len(long) == MOST_CONTEXTS
    assert (long[0], long[-1]) == (4096, 1 << 20)


def test_a_cell_says_without_colour_whether_it_fits() -> None:
    cells = (GridCell(1 << 30, Fits.YES), GridCell(2 << 30, Fits.TIGHT), GridCell(3 << 30, Fits.NO), None)
    names, columns, (row,) = words.grid_cells(Grid((("f16", "q8_0"),), (1024, 2048, 4096, 8192), (cells,)))
    assert (names, columns[0]) == (["f16, q8_0"], "1,024")
    assert [each.text.split()[0] for each in row] == ["✓", "!", "×", "–"]
    assert [each.can_choose for each in row] == [True, True, True, False]
    assert "4,096 context, f16, q8_0 cache: 3.00 GiB" in row[2].spoken
