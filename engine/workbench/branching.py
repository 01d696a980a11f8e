"""Answers that begin with the tokens of another one: forks, answers that are gone on with, and the tree of them.

A fork keeps the first tokens of an answer, puts another token after them and lets the model go on; both answers stay, as
siblings under one question. It needs the tokens of the run, which are stored since they are stored; text alone would not
do, because one text has many tokenisations and the model would be shown another one than it wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.base.fields import Value
from engine.runtime.supervisor import EngineState
from engine.sampling.chain import Chain
from engine.store import Store
from engine.store.rows import MessageId, MessageRow, MessageState, Role, RunId, RunRow
from engine.wire.messages import ChainChange, FinishReason
from engine.wire.run_options import RUN_OPTIONS
from engine.workbench.answer import Origin
from engine.workbench.recipe import chain_of, changes_of, in_use_of, limits_of


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The tokens of an answer and what chose them.

    Attributes:
        prompt_tokens: what the model saw, at least one token.
        tokens: the answer's own, with the one that ended it, where one did.
        n_begun: how many of them were given to the answer, not drawn.
        chain, seed: what drew them; `changes` are the chains that were sent in the middle.
        ignore_eos: the tokens that end an answer were banned.
        model_label, model_fingerprint: the model that wrote it.
        is_loaded: that model is the one that is loaded now, so that it can be asked about them.
    """

    message_id: MessageId
    run_id: RunId
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    n_begun: int
    chain: Chain
    changes: tuple[ChainChange, ...]
    seed: int
    ignore_eos: bool
    model_label: str
    model_fingerprint: str
    is_loaded: bool = False

    def chain_at(self, position: int) -> Chain:
        """The chain that drew the token at this position (0 is the answer's first)."""
        links = next((each.chain for each in reversed(self.changes) if each.n_written <= position), None)
        if links is None:
            return self.chain
        return Chain.from_wire([{"key": each.key, "enabled": each.enabled, "values": each.values} for each in links])


@dataclass(frozen=True, slots=True)
class ForkedAnswer:
    """One of the answers to a question, as a node of the tree of forks.

    Attributes:
        run_id: None for an answer that no model wrote.
        origin_id: the answer that this one begins with, None for one of its own.
        position: how many tokens of that answer it has kept; None for one of its own.
        token_text: the token that was chosen after them, "" where the answer was only gone on with.
        n_tokens: the answer's tokens, those it has kept too; None where they are not known.
        logprob: natural log of the model's own probability of all its tokens; None until it was scored.
        sibling_index: its place among the answers, counted from 0; what the transcript's arrows count.
        is_shown: it is on the branch that is shown.
    """

    message_id: MessageId
    run_id: RunId | None
    origin_id: MessageId | None
    position: int | None
    token_text: str
    n_tokens: int | None
    logprob: float | None
    text: str
    state: MessageState
    sibling_index: int
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Forks:
    """All answers to one question, oldest first: a parent stands before its forks. `question_id` is None at a root."""

    question_id: MessageId | None
    answers: tuple[ForkedAnswer, ...]


@dataclass(frozen=True, slots=True)
class BranchSource:
    """A stored answer that another one may begin with: its tokens, and the run that wrote it."""

    answer: AnswerTokens
    run: RunRow

    def forked(self, position: int, token_id: int) -> Origin:
        """The answer's first `position` tokens, and then this token.

        Raises:
            KnownError: the answer is shorter.
        """
        if not 0 <= position <= len(self.answer.tokens):
            raise KnownError(
                "The answer has no such place",
                value=f"token {position:,} of {len(self.answer.tokens):,}",
                next_step="choose one of its tokens",
            )
        return self._origin((*self.answer.tokens[:position], token_id), position, is_fork=True)

    def gone_on(self) -> Origin:
        """All tokens of an answer that was stopped or cut off.

        Raises:
            KnownError: the model had ended it itself.
        """
        if self.run.result.finish_reason is FinishReason.STOP:
            raise KnownError(
                "The model has ended this answer itself",
                next_step="ask it to go on, or choose another token in place of one of its own",
            )
        return self._origin(self.answer.tokens, len(self.answer.tokens), is_fork=False)

    def _origin(self, begun: tuple[int, ...], position: int, *, is_fork: bool) -> Origin:
        recipe = self.run.recipe
        return Origin(
            run_id=self.run.id,
            position=position,
            is_fork=is_fork,
            prompt_tokens=self.answer.prompt_tokens,
            begun=begun,
            template_hash=recipe.template_hash,
            template_stops=in_use_of(recipe).template_stops,
            n_dropped_messages=self.run.result.n_dropped_messages or 0,
            model_label=recipe.model_label,
            model_fingerprint=recipe.model_fingerprint,
        )


def read_source(store: Store, message_id: MessageId) -> BranchSource:
    """An answer with its tokens. On the store's lane.

    Raises:
        KnownError: it is still being written, no model wrote it, or its tokens are not known.
    """
    message = store.messages.get(message_id)
    run = store.runs.of_message(message_id)
    if message.role is not Role.ASSISTANT or run is None:
        raise KnownError("No model wrote this message", next_step="choose an answer of a model")
    if message.state is MessageState.WRITING:
        raise KnownError("This answer is still being written", next_step="wait for its end, or stop it")
    return BranchSource(tokens_of(store, run), run)


def tokens_of(store: Store, run: RunRow) -> AnswerTokens:
    """The tokens of a run. On the store's lane.

    Raises:
        KnownError: they are not known: the run is older than their being stored, or it was cut off.
    """
    tokens = store.runs.tokens(run.id)
    if not tokens.prompt or tokens.answer is None or run.recipe.seed is None:
        was_cut = bool(tokens.prompt)
        raise KnownError(
            "The tokens of this answer were not kept",
            value=(
                "the engine or the program ended before the answer did"
                if was_cut
                else "it was written by an earlier Llamarium"
            ),
            next_step="answer again; the tokens of the new answer are kept",
        )
    return AnswerTokens(
        message_id=run.message_id,
        run_id=run.id,
        prompt_tokens=tokens.prompt,
        tokens=tokens.answer,
        n_begun=run.recipe.n_begun,
        chain=chain_of(run.recipe),
        changes=changes_of(run.result),
        seed=run.recipe.seed,
        ignore_eos=bool(limits_of(run.recipe)["ignore_eos"]),
        model_label=run.recipe.model_label,
        model_fingerprint=run.recipe.model_fingerprint,
    )


def read_forks(store: Store, message_id: MessageId) -> Forks:
    """The tree of the answers that stand beside this one. On the store's lane."""
    siblings = store.messages.siblings(message_id)
    shown = {each.id for each in store.messages.thread(siblings[0].conversation_id)}
    runs = {each.id: store.runs.of_message(each.id) for each in siblings}
    messages = {run.id: message_id for message_id, run in runs.items() if run is not None}
    answers = tuple(_node(each, runs[each.id], messages, place, shown) for place, each in enumerate(siblings))
    return Forks(siblings[0].parent_id, answers)


def _node(
    message: MessageRow, run: RunRow | None, messages: Mapping[RunId, MessageId], place: int, shown: set[MessageId]
) -> ForkedAnswer:
    origin_id = messages.get(run.recipe.parent_run_id) if run and run.recipe.parent_run_id else None
    is_branch = run is not None and origin_id is not None
    return ForkedAnswer(
        message_id=message.id,
        run_id=run.id if run else None,
        origin_id=origin_id,
        position=run.recipe.fork_position if run and is_branch else None,
        token_text=(run.recipe.fork_text or "") if run and is_branch else "",
        n_tokens=run.result.n_completion if run else None,
        logprob=run.result.logprob if run else None,
        text=message.content,
        state=message.state,
        sibling_index=place,
        is_shown=message.id in shown,
    )


def branch_options(origin: Origin, options: Mapping[str, Value]) -> dict[str, Value]:
    """The options of a branch: the limit is for what is new."""
    wanted = RUN_OPTIONS.checked(options)
    limit = int(str(wanted["max_tokens"]))
    if limit >= 0:
        wanted["max_tokens"] = limit + len(origin.begun)
    return RUN_OPTIONS.changed(wanted)


def with_stops(options: Mapping[str, Value], template_stops: tuple[str, ...]) -> dict[str, Value]:
    """The options as the engine needs them for a prompt of tokens: the template's stop texts among the user's."""
    stop = options.get("stop", ())
    own = stop if isinstance(stop, tuple) else ()
    both = tuple(dict.fromkeys((*own, *template_stops)))
    return {**options, "stop": both} if both else dict(options)


def need_same_model(origin: Origin, state: EngineState) -> None:
    """Raise `KnownError` when the loaded model is not the one whose tokens these are."""
    if state.facts is not None and state.facts.fingerprint != origin.model_fingerprint:
        raise KnownError(
            "This answer was written by another model, whose tokens mean something else",
            value=origin.model_label,
            next_step="load that model, or answer again",
        )
