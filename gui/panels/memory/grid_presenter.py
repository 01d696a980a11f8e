"""Decisions of “Context and cache type”: which contexts and types are tried, and when.

It knows no Qt. The formula answers for every cell, so a model that it does not know has no grid. An answer to another model
or other options is dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.base.errors import Trouble
from engine.workbench import Workbench
from engine.workbench.by_formula import Grid, ModelFormula
from gui.panels.memory.values import Page

TRIED_TYPES = (("f16", "f16"), ("f16", "q8_0"), ("q8_0", "q8_0"), ("q8_0", "q4_0"), ("q4_0", "q4_0"))
MOST_CONTEXTS = 8
FIRST_POWER = 10


class GridPresenter:
    """One grid. `show` takes it with the place of the present setting, or None where there is none."""

    def __init__(self, workbench: Workbench, show: Callable[[Grid | None, tuple[int, int] | None], None]) -> None:
        self._workbench, self._show = workbench, show
        self._asked: object = None
        self.grid: Grid | None = None

    def page_changed(self, page: Page, formula: ModelFormula | None) -> None:
        """Try again where the page is about something else now; while an estimate is still coming, wait for it."""
        options, answer = page.options, page.answer
        if formula is None or options is None or answer is None or formula.path != page.path:
            self._asked, self.grid = None, None
            self._show(None, None)
            return
        if answer.is_rough or page.is_planning:
            return  # a slider is being moved, or what stands there is of the options before
        n_ctx = answer.ledger.n_ctx
        asked = (page.path, n_ctx, tuple(options.items()), page.beside)
        key = (*asked, answer.freed_bytes, self._workbench.memory_margin)
        if key == self._asked:
            return
        self._asked = key
        pair = str(options["type_k"]), str(options["type_v"])
        trained = page.card.n_ctx_train if page.card is not None else None
        pairs = TRIED_TYPES if pair in TRIED_TYPES else (pair, *TRIED_TYPES)
        contexts = contexts_up_to(trained or n_ctx, n_ctx)

        def then(grid: Grid) -> None:
            if key == self._asked:
                self.grid = grid
                self._show(grid, (pairs.index(pair), contexts.index(n_ctx)))

        def failed(_trouble: Trouble) -> None:
            if key == self._asked:
                self._show(None, None)

        self._workbench.formulas.grid(formula, options, pairs, contexts, then, failed)


def contexts_up_to(n_ctx_train: int, n_ctx: int) -> tuple[int, ...]:
    """Powers of two up to the trained context, that one, and the present one; the shortest are left out if too many."""
    powers = [1 << power for power in range(FIRST_POWER, n_ctx_train.bit_length())]
    others = sorted({*powers, n_ctx_train} - {n_ctx})[-(MOST_CONTEXTS - 1) :]
    return tuple(sorted({*others, n_ctx}))
