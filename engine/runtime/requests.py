"""The questions that a worker has been asked and not answered: whose they are, and what becomes of them.

Most of them fill the worker's time, so that nothing else can be begun until they are answered. `Peek` is another kind:
it is asked while an answer is being written, and the loop that writes it answers in passing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.base.errors import Trouble
from engine.wire.messages import (
    Bench,
    Benched,
    BenchProgress,
    ColumnText,
    Draw,
    Drawn,
    Failed,
    Next,
    NextTaken,
    Peek,
    Render,
    Rendered,
    SampledMany,
    SampleMany,
    Score,
    Scored,
    Tokenize,
    Tokenized,
    TokensScored,
)

Question: TypeAlias = Tokenize | Render | Next | Peek | Score | SampleMany | Draw | Bench
Answer: TypeAlias = Tokenized | Rendered | NextTaken | Scored | SampledMany | Drawn | Benched | Failed
Progress: TypeAlias = BenchProgress | TokensScored | ColumnText

LONG = (Next, Score, SampleMany, Draw, Bench)
"""The questions whose answer takes so long that the engine counts as working meanwhile."""


@dataclass(frozen=True, slots=True)
class _Open:
    question: Question
    then: Callable[[Any], None]
    failed: Callable[[Trouble], None]
    progress: Callable[[Any], None] | None


class Requests:
    """All questions that are open, by their id."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}

    def add(
        self,
        question: Question,
        then: Callable[[Any], None],
        failed: Callable[[Trouble], None],
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        """Remember who asked."""
        self._open[question.request_id] = _Open(question, then, failed, progress)

    @property
    def is_working(self) -> bool:
        """Whether one of the long ones is open."""
        return any(isinstance(each.question, LONG) for each in self._open.values())

    def tell_progress(self, event: Progress) -> None:
        """A part of an answer has come."""
        found = self._open.get(event.request_id)
        if found is not None and found.progress is not None:
            found.progress(event)

    def take(self, event: Answer) -> Callable[[], None] | None:
        """The answer has come: the question is closed, and the result tells whoever asked. None for unknown ones."""
        found = self._open.pop(event.request_id, None)
        if found is None:
            return None
        if isinstance(event, Failed):
            trouble = event.trouble
            return lambda: found.failed(trouble)
        return lambda: found.then(event)

    def fail_all(self, trouble: Trouble) -> None:
        """Nobody will answer any more."""
        asked, self._open = self._open, {}
        for each in asked.values():
            each.failed(trouble)
