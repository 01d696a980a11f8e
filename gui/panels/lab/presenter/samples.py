"""Many continuations of one prompt side by side: which columns are asked for, what came, in which order they stand.

The columns stay when the run is stopped, fails or loses its engine: what was written is there to be read. Means and
perplexities are of the model's own distribution, so columns of different samplers can be compared.
"""

from __future__ import annotations

import enum
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from engine.base.errors import KnownError, Trouble
from engine.base.fields import FieldError, Value
from engine.chat.stream import Utf8Stream
from engine.sampling.chain import HIGHEST_SEED
from engine.wire.messages import ColumnKind, ColumnResult, ColumnText, FinishReason, SampleColumn, SampledMany
from engine.workbench import Workbench
from gui.panels.lab.presenter.fields import MOST_COLUMNS, SAMPLE_FIELDS
from gui.panels.lab.presenter.prompt import LabPrompt, PromptFault


class Order(enum.Enum):
    """How the columns are sorted."""

    ASKED = "asked"
    LIKELIEST = "likeliest"
    LONGEST = "longest"


class RunState(enum.Enum):
    """How far a run of columns is."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ColumnFigures:
    """A finished column in numbers.

    Attributes:
        n_tokens, n_words: its length.
        mean_logprob: natural log of the model's own probability, a token; None for no tokens.
        perplexity: exp of minus that.
        distinct_2: the share of different pairs of words, None for none.
        reason: why it ended.
    """

    n_tokens: int
    n_words: int
    mean_logprob: float | None
    perplexity: float | None
    distinct_2: float | None
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Column:
    """One continuation.

    Attributes:
        place: where it was asked for, from 0; the number of the worker's events.
        seed: of a drawn one, None for the others.
        text: what came of it so far.
        figures: once it has ended.
    """

    place: int
    kind: ColumnKind
    width: int
    alpha: float
    seed: int | None
    text: str = ""
    n_tokens: int = 0
    figures: ColumnFigures | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """All columns together; None where too little was written to say."""

    n_prompt: int
    prefill_s: float
    tps: float | None
    mean_tokens: float | None
    distinct_1: float | None
    distinct_2: float | None


@dataclass(frozen=True, slots=True)
class SamplesPage:
    """What the tab shows: the columns in their order, the summary once there is one; `state` None before the first run."""

    columns: tuple[Column, ...] = ()
    summary: Summary | None = None
    state: RunState | None = None
    order: Order = Order.ASKED


class SamplesSurface(Protocol):
    """What the presenter has of the tab."""

    def show_page(self, page: SamplesPage) -> None: ...

    def grow(self, place: int, text: str, n_tokens: int) -> None:
        """Text was added to a column."""
        ...

    def show_faults(self, prompt: PromptFault | None, fields: Mapping[str, str]) -> None:
        """Explain under the prompt and under fields what is wrong; nothing takes the explanations away."""
        ...

    def show_trouble(self, trouble: Trouble) -> None: ...


@dataclass(slots=True)
class _Writing:
    """A run that goes on: its columns as they grow. Bytes of half a character wait in their stream."""

    columns: list[Column]
    streams: list[Utf8Stream] = field(default_factory=list)
    is_stopped: bool = False


class SamplesPresenter:
    """The tab Samples. `random_seed` gives the first seed where random was asked for."""

    def __init__(
        self,
        workbench: Workbench,
        surface: SamplesSurface,
        random_seed: Callable[[], int] = lambda: secrets.randbelow(HIGHEST_SEED + 1),
    ) -> None:
        self._workbench, self._surface, self._random_seed = workbench, surface, random_seed
        self._page = SamplesPage()
        self._writing: _Writing | None = None
        self._closed = False

    @property
    def page(self) -> SamplesPage:
        """What is shown now, with the text that came since."""
        if self._writing is not None:
            return replace(self._page, columns=_ordered(self._writing.columns, self._page.order))
        return self._page

    @property
    def is_running(self) -> bool:
        return self._writing is not None

    def run(self, prompt: LabPrompt, values: Mapping[str, Value]) -> None:
        """Write all columns anew, or explain what is wrong and leave everything as it is."""
        fault, faults = prompt.fault(), self._faults(values)
        self._surface.show_faults(fault, faults)
        if fault is not None or faults or self._writing is not None:
            return
        asked = self._columns(SAMPLE_FIELDS.checked(values))
        limit = values["max_tokens"]
        assert isinstance(limit, int)
        writing = _Writing([_column(place, each) for place, each in enumerate(asked)], [Utf8Stream() for _ in asked])
        try:
            self._workbench.lab.sample_many(
                prompt.prompt(),
                asked,
                limit,
                lambda result: self._done(writing, result),
                lambda trouble: self._failed(writing, trouble),
                lambda event: self._came(writing, event),
            )
        except KnownError as error:
            self._surface.show_trouble(error.trouble)
            return
        self._writing = writing
        self._show(SamplesPage(tuple(writing.columns), None, RunState.RUNNING, self._page.order))

    def set_order(self, order: Order) -> None:
        """Sort the columns otherwise; those that have not ended stay last."""
        page = replace(self._page, order=order)
        columns = self._writing.columns if self._writing is not None else page.columns
        self._show(replace(page, columns=_ordered(columns, order)))

    def told_to_stop(self) -> None:
        """Somebody stops the engine: the end of this run is no failure."""
        if self._writing is not None:
            self._writing.is_stopped = True

    def close(self) -> None:
        """Show nothing any more, whatever still comes."""
        self._closed, self._writing = True, None

    # ---- what comes

    def _came(self, writing: _Writing, event: ColumnText) -> None:
        if writing is not self._writing or not 0 <= event.column < len(writing.columns):
            return
        text = writing.streams[event.column].feed(event.piece)
        column = writing.columns[event.column]
        writing.columns[event.column] = replace(column, text=column.text + text, n_tokens=event.n_tokens)
        self._surface.grow(event.column, text, event.n_tokens)

    def _done(self, writing: _Writing, result: SampledMany) -> None:
        if writing is not self._writing:
            return
        self._writing = None
        columns = [_finished(*pair) for pair in zip(writing.columns, result.columns, strict=True)]
        lengths = [len(each.tokens) for each in result.columns]
        summary = Summary(
            result.n_prompt,
            result.prefill_s,
            result.tps,
            sum(lengths) / len(lengths) if lengths else None,
            result.distinct_1,
            result.distinct_2,
        )
        state = RunState.STOPPED if result.cancelled else RunState.DONE
        order = self._page.order
        self._show(SamplesPage(_ordered(columns, order), summary, state, order))

    def _failed(self, writing: _Writing, trouble: Trouble) -> None:
        if writing is not self._writing:
            return
        self._writing = None
        order = self._page.order
        state = RunState.STOPPED if writing.is_stopped else RunState.FAILED
        # Before the first word there is nothing to keep.
        columns = writing.columns if any(each.text for each in writing.columns) else []
        self._show(SamplesPage(_ordered(columns, order), None, state if columns else None, order))
        if not writing.is_stopped:
            self._surface.show_trouble(trouble)

    # ---- inside

    def _show(self, page: SamplesPage) -> None:
        self._page = page
        if not self._closed:
            self._surface.show_page(page)

    def _faults(self, values: Mapping[str, Value]) -> dict[str, str]:
        try:
            checked = SAMPLE_FIELDS.checked(values)
        except FieldError as error:
            return {error.key: error.trouble.sentence()}
        n_samples, n_more = checked["n_samples"], sum(bool(checked[key]) for key in _MORE)
        assert isinstance(n_samples, int)
        if n_samples + n_more > MOST_COLUMNS:
            full = FieldError(
                "n_samples",
                f"{MOST_COLUMNS} columns fit in one batch",
                f"{n_samples} samples and {n_more} to compare",
                f"use {MOST_COLUMNS - n_more} samples or fewer",
            )
            return {full.key: full.trouble.sentence()}
        return {}

    def _columns(self, values: Mapping[str, Value]) -> list[SampleColumn]:
        base, n_samples = values["seed"], values["n_samples"]
        assert isinstance(base, int)
        assert isinstance(n_samples, int)
        first = self._random_seed() if base < 0 else base
        lab = self._workbench.lab
        found = [lab.column(seed=(first + place) % (HIGHEST_SEED + 1)) for place in range(n_samples)]
        if values["with_greedy"]:
            found.append(SampleColumn(ColumnKind.GREEDY))
        if values["with_best_path"]:
            width = values["beam_width"]
            assert isinstance(width, int)
            found.append(SampleColumn(ColumnKind.BEST_PATH, width=width))
        if values["with_contrast"]:
            k, alpha = values["contrast_k"], values["contrast_alpha"]
            assert isinstance(k, int)
            assert isinstance(alpha, float)
            found.append(SampleColumn(ColumnKind.CONTRAST, width=k, alpha=alpha))
        return found


_MORE = ("with_greedy", "with_best_path", "with_contrast")


def _column(place: int, asked: SampleColumn) -> Column:
    seed = asked.seed if asked.kind is ColumnKind.CHAIN else None
    return Column(place, asked.kind, asked.width, asked.alpha, seed)


def _finished(column: Column, result: ColumnResult) -> Column:
    text, n_tokens = result.text.decode("utf-8", "replace"), len(result.tokens)
    mean = result.logprob / n_tokens if n_tokens else None
    figures = ColumnFigures(
        n_tokens,
        len(text.split()),
        mean,
        _perplexity(mean),
        result.distinct_2,
        result.reason,
    )
    seed = result.seed if column.kind is ColumnKind.CHAIN else None
    return replace(column, text=text, n_tokens=n_tokens, seed=seed, figures=figures)


def _perplexity(mean_logprob: float | None) -> float | None:
    """exp(−mean); a text that the model holds for impossible has an infinite one."""
    if mean_logprob is None:
        return None
    return math.exp(-mean_logprob) if mean_logprob > -700 else math.inf


def _ordered(columns: tuple[Column, ...] | list[Column], order: Order) -> tuple[Column, ...]:
    """The columns in this order; ties and unfinished ones stand as they were asked for."""
    asked = sorted(columns, key=lambda each: each.place)
    if order is Order.LIKELIEST:
        asked.sort(key=lambda each: -_mean(each))
    elif order is Order.LONGEST:
        asked.sort(key=lambda each: (each.figures is None, -each.n_tokens))
    return tuple(asked)


def _mean(column: Column) -> float:
    mean = column.figures.mean_logprob if column.figures is not None else None
    return -math.inf if mean is None else mean
