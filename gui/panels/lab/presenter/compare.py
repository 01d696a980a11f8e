"""Two stored answers laid beside each other, and an answer written again from its recipe.

What differs is found by the workbench; here is decided which answers are offered and what of the findings is shown.
Comparing needs no model; only the distributions at the first token that differs do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from engine.base.bus import Unsubscribe
from engine.base.errors import KnownError, Trouble
from engine.store.rows import MessageId, RunId
from engine.wire.messages import NextTaken, TokenInfo
from engine.workbench import Workbench
from engine.workbench.comparison import Part
from engine.workbench.events import MessageFinished, ThreadChanged
from engine.workbench.records import Compared, StoredAnswer
from engine.workbench.replay import Replayed
from gui.panels.lab.presenter.comparison import (
    AnswerChoice,
    ComparePage,
    Comparison,
    Doing,
    Outcome,
    Parting,
    TokenRow,
)

SHOWN_STEP = 0.01
"""Progress is shown when so much more of it is done; each token would be too often."""


class CompareSurface(Protocol):
    """What the presenter has of the tab."""

    def show_page(self, page: ComparePage) -> None: ...

    def show_trouble(self, trouble: Trouble) -> None: ...


class ComparePresenter:
    """The tab Compare."""

    def __init__(self, workbench: Workbench, surface: CompareSurface) -> None:
        self._workbench, self._surface = workbench, surface
        self._page = ComparePage()
        self._number = 0  # of what is being done: a late answer to something older is not shown
        self._is_stopped = self._is_chosen = self._closed = False
        self._ends: list[Unsubscribe] = [
            workbench.subscribe(MessageFinished, lambda _event: self.read()),
            workbench.subscribe(ThreadChanged, lambda _event: self.read()),
        ]

    @property
    def page(self) -> ComparePage:
        return self._page

    @property
    def is_running(self) -> bool:
        return self._page.doing is not Doing.NOTHING

    def read(self) -> None:
        """Ask the store for the last answers."""
        self._workbench.records.recent_answers(self._answers_came)

    def choose(self, *, first: int | None = None, second: int | None = None) -> None:
        """Choose one or both by their places; from now on new answers do not take their place."""
        page, self._is_chosen = self._page, True
        wanted = (page.first if first is None else first, page.second if second is None else second)
        self._show(self._chosen(page, *wanted))

    def swap(self) -> None:
        """The first becomes the second."""
        self.choose(first=self._page.second, second=self._page.first)

    def compare(self) -> None:
        """Lay the chosen answers beside each other; nothing where two are not chosen or something goes on."""
        chosen = self._page.chosen
        if chosen is None or self.is_running:
            return
        number = self._begin(Doing.COMPARING)
        first, second = chosen
        self._workbench.compare(
            first.message_id,
            second.message_id,
            lambda found: self._done(number, comparison_of(found)),
            lambda trouble: self._failed(number, trouble),
        )

    def replay(self) -> None:
        """Write the first answer again from its recipe."""
        if self._page.first < 0 or self.is_running:
            return
        number = self._begin(Doing.REPLAYING)
        try:
            self._workbench.replay(
                self._page.answers[self._page.first].run_id,
                lambda found: self._done(number, replay_of(found)),
                lambda trouble: self._failed(number, trouble),
                lambda n_done, n_total: self._came(number, n_done, n_total),
            )
        except KnownError as error:
            self._failed(number, error.trouble)

    def told_to_stop(self) -> None:
        """Somebody stops the engine: the end of what goes on is no failure."""
        self._is_stopped = True

    def close(self) -> None:
        """Hear and show nothing any more."""
        self._closed, self._number = True, -1
        for end in self._ends:
            end()

    # ---- what comes

    def _answers_came(self, answers: tuple[StoredAnswer, ...]) -> None:
        """Keep what a person chose; until then it is the last two."""
        if self._closed:
            return
        page = self._page
        here = {each.id for each in self._workbench.dialogue.messages}
        choices = tuple(_choice(each, here) for each in answers)
        if choices == page.answers:
            return
        places = {each.run_id: place for place, each in enumerate(choices)}
        first, second = (places.get(page.answers[at].run_id, -1) if at >= 0 else -1 for at in (page.first, page.second))
        if not self._is_chosen or (first < 0 and second < 0):
            # The newest stands second: it is what is held against an older one.
            first, second = (1, 0) if len(choices) > 1 else (0 if choices else -1, -1)
        before = page.chosen
        page = replace(page, answers=choices, first=first, second=second)
        is_same = before is not None and page.chosen is not None and _ids(*before) == _ids(*page.chosen)
        self._show(page if is_same or self.is_running else replace(page, comparison=None))

    def _came(self, number: int, n_done: int, n_total: int) -> None:
        if number != self._number or not n_total:
            return
        fraction = min(1.0, n_done / n_total)
        if self._page.fraction is None or abs(fraction - self._page.fraction) >= SHOWN_STEP:
            self._show(replace(self._page, fraction=fraction))

    def _done(self, number: int, comparison: Comparison) -> None:
        if number == self._number:
            self._show(replace(self._page, comparison=comparison, doing=Doing.NOTHING, fraction=None))

    def _failed(self, number: int, trouble: Trouble) -> None:
        if number != self._number:
            return
        self._show(replace(self._page, doing=Doing.NOTHING, fraction=None))
        if not self._is_stopped:
            self._surface.show_trouble(trouble)

    # ---- inside

    def _begin(self, doing: Doing) -> int:
        self._number += 1
        self._is_stopped = False
        self._show(replace(self._page, doing=doing, fraction=None))
        return self._number

    def _chosen(self, page: ComparePage, first: int, second: int) -> ComparePage:
        """Other answers are chosen: what was found of the old ones goes."""
        is_same = (first, second) == (page.first, page.second)
        return replace(page, first=first, second=second, comparison=page.comparison if is_same else None)

    def _show(self, page: ComparePage) -> None:
        self._page = page
        if not self._closed:
            self._surface.show_page(page)


def comparison_of(found: Compared) -> Comparison:
    """Two answers as the tab shows them."""
    is_same = found.first_difference is None and all(each.part is Part.BOTH for each in found.words)
    parting = None
    if found.first_difference is not None:
        parting = Parting(
            found.first_difference,
            found.first_token.piece if found.first_token else None,
            found.second_token.piece if found.second_token else None,
            token_rows(found.first_next, found.first_token),
            token_rows(found.second_next, found.second_token),
            has_model=found.first_next is not None,
        )
    return Comparison(
        Outcome.SAME if is_same else Outcome.DIFFERENT,
        found.parameters,
        found.words,
        parting,
        None,
        found.same_prompt,
    )


def replay_of(found: Replayed) -> Comparison:
    """A replay as the tab shows it."""
    parting = None
    if found.first_difference is not None:
        parting = Parting(
            found.first_difference,
            found.expected.piece if found.expected else None,
            found.found.piece if found.found else None,
            (),
            token_rows(found.next_token, found.found),
        )
    outcome = Outcome.SAME if found.same else Outcome.DIFFERENT
    return Comparison(outcome, found.differing, (), parting, found.n_tokens, is_replay=True)


def token_rows(taken: NextTaken | None, came: TokenInfo | None) -> tuple[TokenRow, ...]:
    """What might have come, likeliest first, and what came, also where it was not among the likeliest."""
    if taken is None:
        return ()
    last = taken.stages[-1] if taken.stages else None
    after = {each.id: each.p for each in last.top} if last else {each.id: each.p for each in taken.raw}
    # What is not among the top of the last stage is cut only where that top is all that was left.
    other = 0.0 if last and last.survivors <= len(last.top) else None
    came_id = came.id if came is not None else None
    rows = [TokenRow(each.piece, each.p, after.get(each.id, other), each.id == came_id) for each in taken.raw]
    if came is not None and not any(each.is_chosen for each in rows):
        rows.append(TokenRow(came.piece, None, after.get(came.id, other), True))
    return tuple(rows)


def _ids(first: AnswerChoice, second: AnswerChoice) -> tuple[RunId, RunId]:
    return first.run_id, second.run_id


def _choice(answer: StoredAnswer, here: set[MessageId]) -> AnswerChoice:
    run = answer.run
    return AnswerChoice(
        run.id,
        run.message_id,
        run.started_utc,
        run.recipe.model_label,
        answer.words,
        run.result.n_completion,
        run.recipe.seed,
        run.message_id in here,
    )
