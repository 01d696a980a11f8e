"""Exact replay: a stored run once more, token for token, and why it came out otherwise where it did.

Nothing is loaded here: the run is repeated with the model that is loaded, and everything of that model, engine and
computer that is not as it was is listed. The prompt is computed in the portions of the first time (see
`engine/worker/calls.py`), chosen tokens and changes of the chain are repeated where they were.

Rejected: comparing the texts (one text has many tokenisations, and a difference would be found tokens too late).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from engine.base.bus import Bus, Unsubscribe
from engine.base.errors import KnownError, Trouble
from engine.base.fields import Value
from engine.chat.template import BUILT_IN, source_hash
from engine.runtime.supervisor import EngineState, Supervisor
from engine.store.rows import RunRecipe, RunRow
from engine.wire.messages import (
    FinishReason,
    Generate,
    Next,
    NextTaken,
    PrefillProgress,
    Prompt,
    RunDone,
    RunFailed,
    RunStarted,
    Token,
    TokenInfo,
    Tokenize,
    Tokenized,
)
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench.branching import AnswerTokens, with_stops
from engine.workbench.comparison import (
    UNKNOWN,
    Difference,
    first_difference,
    in_use_that_differs,
    load_options_that_differ,
)
from engine.workbench.dialogue import wire_chain
from engine.workbench.recipe import engine_of, in_use_now, in_use_of, limits_of, load_options_of

N_TOP = 10

Progress = Callable[[int, int], None]
"""Takes how many tokens of prompt and answer are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay came out.

    Attributes:
        run: the run that was repeated.
        same: every token was the same.
        n_tokens: the answer's stored tokens.
        first_difference: the place of the first token that was another one, None when there is none.
        expected, found: the stored token there and the one that came; None where one of the answers had ended.
        differing: what is not as it was: `first` is how it was, `second` how it is now. Whatever stands here may be
            the reason; where nothing does and the tokens differ, the engine does not compute the same twice here.
        next_token: the distribution at the first difference as it is now, through the stored chain.
    """

    run: RunRow
    same: bool
    n_tokens: int
    first_difference: int | None
    expected: TokenInfo | None
    found: TokenInfo | None
    differing: tuple[Difference, ...]
    next_token: NextTaken | None


def identity_differences(recipe: RunRecipe, state: EngineState, load_options: dict[str, Value]) -> list[Difference]:
    """What is not as it was when the run was made: model, engine, template, load options, threads, devices."""
    facts = state.facts
    found: list[Difference] = []
    if facts is not None and facts.fingerprint != recipe.model_fingerprint:
        found.append(Difference("Model file", recipe.model_fingerprint or UNKNOWN, facts.fingerprint))
    if (engine := engine_of(state)) != recipe.engine_build:
        found.append(Difference("Engine", recipe.engine_build or UNKNOWN, engine))
    known = {source_hash(each) for each in BUILT_IN.values()}
    if facts is not None and facts.chat_template:
        own = source_hash(facts.chat_template)
        if recipe.template_hash and recipe.template_hash not in {own, *known}:
            found.append(Difference("Chat template", recipe.template_hash[:12], own[:12]))
    try:
        stored = load_options_of(recipe)
    except KnownError as error:
        found.append(Difference("Load options", UNKNOWN, error.trouble.sentence()))
    else:
        found += load_options_that_differ(stored, load_options)
    return found + in_use_that_differs(in_use_of(recipe), in_use_now(state))


class Replay:
    """One replay under way. Made by `start`; it ends by calling `then` or `failed` once."""

    def __init__(
        self,
        bus: Bus,
        supervisor: Supervisor,
        run: RunRow,
        answer: AnswerTokens,
        then: Callable[[Replayed], None],
        failed: Callable[[Trouble], None],
        progress: Progress | None,
    ) -> None:
        self._bus, self._supervisor, self._run, self._answer = bus, supervisor, run, answer
        self._then, self._failed, self._progress = then, failed, progress
        self._run_id = 0
        self._listening: list[Unsubscribe] = []
        self._differing: list[Difference] = []

    def start(self) -> None:
        """Begin. Raises `KnownError` when no model is ready, or the stored run cannot be understood."""
        recipe, answer = self._run.recipe, self._answer
        in_use = in_use_of(recipe)
        # The stored answer's length is limit enough: what comes after the first difference is of no use.
        options = {**limits_of(recipe), "seed": answer.seed, "max_tokens": len(answer.tokens)}
        command = Generate(
            0,
            Prompt(tokens=answer.prompt_tokens),
            wire_chain(answer.chain),
            with_stops(RUN_OPTIONS.changed(options), in_use.template_stops),
            answer.tokens[: answer.n_begun],
            answer.changes,
            in_use.portions,
        )
        state = self._supervisor.state
        self._differing = identity_differences(recipe, state, dict(self._supervisor.load_options))
        self._run_id = self._supervisor.write(lambda run_id: msgspec.structs.replace(command, run_id=run_id))
        self._listening = [
            self._bus.subscribe(RunStarted, self._started),
            self._bus.subscribe(PrefillProgress, self._read),
            self._bus.subscribe(Token, self._wrote),
            self._bus.subscribe(RunDone, self._done),
            self._bus.subscribe(RunFailed, self._run_failed),
        ]

    def _started(self, event: RunStarted) -> None:
        if event.run_id != self._run_id:
            return
        in_use, stored = in_use_of(self._run.recipe), self._run.result.n_reused
        if stored and not in_use.portions:
            self._differing.append(
                Difference("Prompt tokens that the cache held", f"{stored:,}, it is not known from where", "0")
            )
        elif event.portions != in_use.portions:
            self._differing.append(
                Difference("Prompt tokens computed as before", f"{stored or 0:,}", f"{event.n_reused:,}")
            )

    def _read(self, event: PrefillProgress) -> None:
        if event.run_id == self._run_id and self._progress is not None:
            n_prompt = len(self._answer.prompt_tokens)
            self._progress(min(event.n_done, n_prompt), n_prompt + len(self._answer.tokens))

    def _wrote(self, event: Token) -> None:
        if event.run_id == self._run_id and self._progress is not None:
            n_prompt = len(self._answer.prompt_tokens)
            self._progress(n_prompt + event.n_completion, n_prompt + len(self._answer.tokens))

    def _run_failed(self, event: RunFailed) -> None:
        if event.run_id == self._run_id:
            self._end()
            self._failed(event.trouble)

    def _done(self, event: RunDone) -> None:
        if event.run_id != self._run_id:
            return
        self._end()
        stored, written = self._answer.tokens, event.tokens
        if event.reason is FinishReason.CANCELLED:
            self._failed(Trouble("The replay was stopped", next_step="start it again when you want"))
            return
        place = first_difference(stored, written)
        if place is None:
            self._then(self._replayed(None, None, None, None))
            return
        self._look_at(place, stored[place : place + 1], written[place : place + 1])

    def _look_at(self, place: int, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
        """The two tokens in letters, then the distribution that they were drawn from."""
        before = Prompt(tokens=(*self._answer.prompt_tokens, *self._answer.tokens[:place]))
        try:
            links = wire_chain(self._answer.chain_at(place))
        except KnownError as error:
            self._failed(error.trouble)
            return

        def spelled(event: object) -> None:
            assert isinstance(event, Tokenized)
            told = list(event.tokens)
            one = told.pop(0) if expected else None
            two = told.pop(0) if found else None

            def looked(taken: object) -> None:
                assert isinstance(taken, NextTaken)
                self._then(self._replayed(place, one, two, taken))

            self._request(lambda n: Next(n, before, links, self._answer.seed, N_TOP), looked)

        self._request(lambda n: Tokenize(n, "", False, False, (*expected, *found)), spelled)

    def _request(self, command: Callable[[int], Tokenize | Next], then: Callable[[object], None]) -> None:
        try:
            self._supervisor.request(command, then, self._failed)
        except KnownError as error:
            self._failed(error.trouble)

    def _replayed(
        self, place: int | None, expected: TokenInfo | None, found: TokenInfo | None, taken: NextTaken | None
    ) -> Replayed:
        n_tokens = len(self._answer.tokens)
        return Replayed(self._run, place is None, n_tokens, place, expected, found, tuple(self._differing), taken)

    def _end(self) -> None:
        for forget in self._listening:
            forget()
        self._listening.clear()
