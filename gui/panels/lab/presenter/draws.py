"""One place, drawn a thousand times: the counts against the probabilities after the chain, and how well they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from engine.base.errors import KnownError, Trouble
from engine.base.fields import FieldError, Value
from engine.sampling.goodness_of_fit import GoodnessOfFit, count_deviation, goodness_of_fit
from engine.wire.messages import Drawn, TokenCount
from engine.workbench import Workbench
from gui.panels.lab.presenter.fields import DRAW_FIELDS
from gui.panels.lab.presenter.prompt import LabPrompt, PromptFault

MOST_BARS = 24
"""The likeliest tokens have bars; the table has all."""


@dataclass(frozen=True, slots=True)
class DrawRow:
    """One token.

    Attributes:
        n: how often it was drawn.
        expected: n_draws · p.
        deviation: the standard deviation of `n` if the draws follow `p` (binomial).
        z: how many of those `n` is off; None where the deviation is 0.
    """

    id: int
    piece: bytes
    n: int
    p: float
    expected: float
    deviation: float
    z: float | None


@dataclass(frozen=True, slots=True)
class DrawsPage:
    """What the tab shows. `rows` are likeliest first; empty with `fit` None before the first draw."""

    rows: tuple[DrawRow, ...] = ()
    n_draws: int = 0
    seed: int = 0
    fit: GoodnessOfFit | None = None
    is_running: bool = False

    @property
    def bars(self) -> tuple[DrawRow, ...]:
        """The rows that are drawn as bars."""
        return self.rows[:MOST_BARS]


class DrawsSurface(Protocol):
    """What the presenter has of the tab."""

    def show_page(self, page: DrawsPage) -> None: ...

    def show_faults(self, prompt: PromptFault | None, fields: Mapping[str, str]) -> None:
        """Explain under the prompt and under fields what is wrong; nothing takes the explanations away."""
        ...

    def show_trouble(self, trouble: Trouble) -> None: ...


class DrawsPresenter:
    """The tab Draws."""

    def __init__(self, workbench: Workbench, surface: DrawsSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._page = DrawsPage()
        self._number = 0  # of the run in hand: a late answer to an older one is not shown
        self._is_stopped = False

    @property
    def page(self) -> DrawsPage:
        return self._page

    @property
    def is_running(self) -> bool:
        return self._page.is_running

    def run(self, prompt: LabPrompt, values: Mapping[str, Value]) -> None:
        """Draw anew, or explain what is wrong and leave everything as it is."""
        fault, faults = prompt.fault(), _faults(values)
        self._surface.show_faults(fault, faults)
        if fault is not None or faults or self._page.is_running:
            return
        n_draws, seed = values["n_draws"], values["seed"]
        assert isinstance(n_draws, int)
        assert isinstance(seed, int)
        self._number += 1
        number, self._is_stopped = self._number, False
        try:
            self._workbench.lab.draw(
                prompt.prompt(),
                n_draws,
                lambda result: self._done(number, result),
                lambda trouble: self._failed(number, trouble),
                seed=seed,
            )
        except KnownError as error:
            self._surface.show_trouble(error.trouble)
            return
        self._show(replace(self._page, is_running=True))

    def told_to_stop(self) -> None:
        """Somebody stops the engine: the end of this run is no failure."""
        self._is_stopped = True

    def close(self) -> None:
        """Show nothing any more, whatever still comes."""
        self._number = -1

    # ---- what comes

    def _done(self, number: int, result: Drawn) -> None:
        if number != self._number:
            return
        n_draws = result.n_draws
        rows = tuple(draw_row(each, n_draws) for each in result.counts)
        fit = goodness_of_fit([(each.n, each.p) for each in result.counts], n_draws)
        self._show(DrawsPage(rows, n_draws, result.seed, fit))

    def _failed(self, number: int, trouble: Trouble) -> None:
        if number != self._number:
            return
        self._show(replace(self._page, is_running=False))
        if not self._is_stopped:
            self._surface.show_trouble(trouble)

    def _show(self, page: DrawsPage) -> None:
        self._page = page
        self._surface.show_page(page)


def draw_row(count: TokenCount, n_draws: int) -> DrawRow:
    """A token's count beside what theory expects of it."""
    expected, deviation = n_draws * count.p, count_deviation(n_draws, count.p)
    z = (count.n - expected) / deviation if deviation else None
    return DrawRow(count.id, count.piece, count.n, count.p, expected, deviation, z)


def _faults(values: Mapping[str, Value]) -> dict[str, str]:
    try:
        DRAW_FIELDS.checked(values)
    except FieldError as error:
        return {error.key: error.trouble.sentence()}
    return {}
