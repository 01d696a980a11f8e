"""What the workbench can tell of stored answers: their tokens, the tree of their forks, a replay, two side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.base.bus import Bus
from engine.base.errors import KnownError, Trouble
from engine.runtime.supervisor import Phase, Supervisor
from engine.store import Store
from engine.store.rows import MessageId, RunId, RunRow
from engine.wire.messages import Next, NextTaken, Prompt, TokenInfo, Tokenize, Tokenized
from engine.workbench.branching import AnswerTokens, Forks, read_forks, read_source, tokens_of
from engine.workbench.chain_scope import wire_chain
from engine.workbench.comparison import (
    Difference,
    Words,
    first_difference,
    parameters_that_differ,
    words_that_differ,
)
from engine.workbench.replay import N_TOP, Progress, Replay, Replayed
from engine.workbench.store_lane import StoreLane

N_WORDS_SHOWN = 80  # characters of an answer in a list


@dataclass(frozen=True, slots=True)
class Compared:
    """Two answers side by side.

    Attributes:
        first, second: their runs.
        parameters: what they were written with, where it is not the same.
        words: both texts as one row of parts.
        first_difference: the first token that differs, None when all are the same or tokens were not kept.
        same_prompt: both answer the same prompt; None where tokens were not kept.
        first_next, second_next: the distribution at that place, each through its own answer's chain; None when there
            is no such place, or their model is not the one that is loaded and free.
        first_token, second_token: the tokens that stand there, with the distributions; None where an answer has ended.
    """

    first: RunRow
    second: RunRow
    parameters: tuple[Difference, ...]
    words: tuple[Words, ...]
    first_difference: int | None
    same_prompt: bool | None
    first_next: NextTaken | None = None
    second_next: NextTaken | None = None
    first_token: TokenInfo | None = None
    second_token: TokenInfo | None = None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A stored run, and the first words of what it wrote, on one line; "" where it wrote nothing."""

    run: RunRow
    words: str


class Records:
    """Stored answers. Every method returns at once; results come on the pumping thread."""

    def __init__(self, bus: Bus, supervisor: Supervisor, in_store: StoreLane) -> None:
        self._bus, self._supervisor, self._in_store = bus, supervisor, in_store

    def find_run(self, text: str, then: Callable[[RunRow], None], failed: Callable[[Trouble], None]) -> None:
        """The run that `text` names: its id, the beginning of only one id, or "last"."""
        self._in_store(lambda store: store.runs.find(text), then=then, title="Looking for the run", failed=failed)

    def recent_answers(self, then: Callable[[tuple[StoredAnswer, ...]], None], limit: int = 100) -> None:
        """The last answers of all conversations with their first words, newest first."""

        def work(store: Store) -> tuple[StoredAnswer, ...]:
            runs = store.runs.list(limit)
            return tuple(StoredAnswer(each, _first_words(store.messages.get(each.message_id).content)) for each in runs)

        self._in_store(work, then=then, title="Reading the answers")

    def forks(self, message_id: MessageId, then: Callable[[Forks], None]) -> None:
        """All answers to the question that this message answers, as a tree."""
        self._in_store(lambda store: read_forks(store, message_id), then=then, title="Reading the answers")

    def answer_tokens(
        self, message_id: MessageId, then: Callable[[AnswerTokens], None], failed: Callable[[Trouble], None]
    ) -> None:
        """The tokens of an answer; `failed` says why there are none."""

        def work(store: Store) -> AnswerTokens:
            return read_source(store, message_id).answer

        def told(answer: AnswerTokens) -> None:
            then(replace(answer, is_loaded=self._is_loaded(answer)))

        self._in_store(work, then=told, title="Reading the tokens", failed=failed)

    def keep_logprob(self, run_id: RunId, logprob: float) -> None:
        """Keep the log-probability of a whole answer, once somebody has had it scored; `forks` tells it."""
        self._in_store(lambda store: store.runs.set_logprob(run_id, logprob), title="Saving the probability")

    def replay(
        self,
        run_id: RunId,
        then: Callable[[Replayed], None],
        failed: Callable[[Trouble], None],
        progress: Progress | None = None,
    ) -> None:
        """Write a stored run again with the model that is loaded; see `engine.workbench.replay`."""

        def work(store: Store) -> tuple[RunRow, AnswerTokens]:
            run = store.runs.get(run_id)
            return run, tokens_of(store, run)

        def begin(found: tuple[RunRow, AnswerTokens]) -> None:
            try:
                Replay(self._bus, self._supervisor, *found, then, failed, progress).start()
            except KnownError as error:
                failed(error.trouble)

        self._in_store(work, then=begin, title="Reading the run", failed=failed)

    def compare(
        self,
        first_id: MessageId,
        second_id: MessageId,
        then: Callable[[Compared], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        """Two answers side by side, with both distributions at the first token that differs where they can be had."""

        def work(store: Store) -> tuple[Compared, tuple[AnswerTokens, AnswerTokens] | None]:
            return _compared(store, first_id, second_id)

        def told(found: tuple[Compared, tuple[AnswerTokens, AnswerTokens] | None]) -> None:
            compared, answers = found
            place = compared.first_difference
            if (
                answers is None
                or place is None
                or self._supervisor.state.phase is not Phase.READY
                or not all(self._is_loaded(each) for each in answers)
            ):
                then(compared)
            else:
                self._look(compared, answers, place, then, failed)

        self._in_store(work, then=told, title="Comparing the answers", failed=failed)

    def _look(
        self,
        compared: Compared,
        answers: tuple[AnswerTokens, AnswerTokens],
        place: int,
        then: Callable[[Compared], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        ids = tuple(each.tokens[place : place + 1] for each in answers)

        def first_came(one: NextTaken) -> None:
            self._next(answers[1], place, lambda two: second_came(one, two), failed)

        def second_came(one: NextTaken, two: NextTaken) -> None:
            def spelled(event: object) -> None:
                assert isinstance(event, Tokenized)
                told = list(event.tokens)
                first, second = (told.pop(0) if each else None for each in ids)
                found = replace(compared, first_next=one, second_next=two, first_token=first, second_token=second)
                then(found)

            try:
                self._supervisor.request(lambda n: Tokenize(n, "", False, False, (*ids[0], *ids[1])), spelled, failed)
            except KnownError as error:
                failed(error.trouble)

        self._next(answers[0], place, first_came, failed)

    def _next(
        self,
        answer: AnswerTokens,
        place: int,
        then: Callable[[NextTaken], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        def came(event: object) -> None:
            assert isinstance(event, NextTaken)
            then(event)

        prompt = Prompt(tokens=(*answer.prompt_tokens, *answer.tokens[:place]))
        try:
            links = wire_chain(answer.chain_at(place))
            self._supervisor.request(lambda n: Next(n, prompt, links, answer.seed, N_TOP), came, failed)
        except KnownError as error:
            failed(error.trouble)

    def _is_loaded(self, answer: AnswerTokens) -> bool:
        facts = self._supervisor.state.facts
        return facts is not None and facts.fingerprint == answer.model_fingerprint


def _first_words(text: str) -> str:
    words = " ".join(text[: 4 * N_WORDS_SHOWN].split())
    return words if len(words) <= N_WORDS_SHOWN else words[: N_WORDS_SHOWN - 1].rstrip() + "…"


def _compared(
    store: Store, first_id: MessageId, second_id: MessageId
) -> tuple[Compared, tuple[AnswerTokens, AnswerTokens] | None]:
    runs: list[RunRow] = []
    for each in (first_id, second_id):
        run = store.runs.of_message(each)
        if run is None:
            raise KnownError("No model wrote this message", next_step="choose two answers of a model")
        runs.append(run)
    first, second = runs
    texts = [store.messages.get(each).content for each in (first_id, second_id)]
    try:
        answers = (tokens_of(store, first), tokens_of(store, second))
    except KnownError:
        answers = None
    compared = Compared(
        first,
        second,
        parameters_that_differ(first, second),
        words_that_differ(*texts),
        first_difference(answers[0].tokens, answers[1].tokens) if answers else None,
        answers[0].prompt_tokens == answers[1].prompt_tokens if answers else None,
    )
    return compared, answers
