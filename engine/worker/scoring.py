"""How likely was each token of a text: by the model alone, and after the sampler chain, with what else might have stood there.

The text is computed in chunks with logits for every token of a chunk. The chain is llama.cpp's own and is led through
the text (`FollowedChain`), so that at each token of an answer it stands where it stood when that token was drawn. Where
it cannot, since the text may have been written otherwise, the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.base.errors import KnownError
from engine.sampling.chain import HIGHEST_SEED
from engine.wire.messages import Event, Score, Scored, TokenOption, TokensScored, TokenTrace
from engine.worker.capture import Floats, Weights, top_places
from engine.worker.control import Control
from engine.worker.following import FollowedChain
from engine.worker.laboratory import LabContext, Size, n_outputs_that_fit
from engine.worker.session import Aborted, Session
from engine.worker.writing import chain_of, draw_seed, grammar_calls

SENT_AT_ONCE = 32
"""Tokens in one event, so that a strip fills while it is computed."""


def score(
    session: Session, command: Score, prompt: Sequence[int], control: Control, emit: Callable[[Event], None]
) -> None:
    """Do a whole Score command: TokensScored events, then Scored; a stopped one says what it has.

    Raises:
        KnownError: nothing to score, unknown tokens, a text longer than the context, no memory, or a bad chain.
    """
    _refuse_bad(session, command, prompt)
    tokens = (*prompt, *command.answer)
    first = 0 if command.with_prompt else len(prompt)
    n_total = len(tokens) - first
    traces: list[TokenTrace] = []
    logprob = 0.0
    cancelled = False
    # Of the last token nobody asks what comes next.
    n_computed = len(tokens) - 1
    n_outputs = min(n_outputs_that_fit(session.vocab.n_vocab), max(1, n_computed))
    piece = session.vocab.piece

    def send() -> None:
        if traces:
            emit(TokensScored(command.request_id, tuple(traces), n_total))
            traces.clear()

    if first == 0:
        traces.append(TokenTrace(tokens[0], piece(tokens[0], special=True), None, None, None, None, ()))
        first = 1
    tracer = _Tracer(session, command, prompt)
    try:
        if n_computed:
            with LabContext(session, Size.of(n_computed, 1, n_outputs)) as lab:
                n_silent = first - 1
                for start in range(0, n_silent, lab.n_batch):
                    lab.decode(tokens[start : min(n_silent, start + lab.n_batch)], start, n_outputs=0)
                for start in range(n_silent, n_computed, lab.n_outputs):
                    part = tokens[start : min(n_computed, start + lab.n_outputs)]
                    lab.decode(part, start, n_outputs=len(part))
                    for place in range(len(part)):
                        if control.is_cancelled():
                            raise Aborted
                        at = start + place + 1
                        trace, log_p = tracer.trace(lab.logits(place), at)
                        traces.append(trace)
                        if at >= len(prompt):
                            logprob += log_p
                        if len(traces) >= SENT_AT_ONCE:
                            send()
                    send()
    except Aborted:
        cancelled = True
    finally:
        tracer.close()
    send()
    emit(Scored(command.request_id, len(prompt), logprob, cancelled, tracer.warnings))


class _Tracer:
    """Looks at one place after the other; its chain has been led through every token before the place."""

    def __init__(self, session: Session, command: Score, prompt: Sequence[int]) -> None:
        self._session, self._command = session, command
        self._piece, self._n_top = session.vocab.piece, command.n_top
        self._tokens, self._n_prompt = (*prompt, *command.answer), len(prompt)
        self._seed = draw_seed(command.seed)
        self._banned = session.vocab.ends() if command.ignore_eos else []
        self._changes = {each.n_written: chain_of(each.chain) for each in command.changes}
        self._chain, self._grammar_from = chain_of(command.chain), 0
        self._followed: FollowedChain | None = None
        self._troubles: list[str] = []
        if command.seed < 0 and any(each.stage.uses_seed and not each.stage.draws for each in self._chain.active()):
            self._troubles.append("The seed is not known: what rolls dice before the draw (XTC) rolls others here.")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the probabilities after the chain cannot be those that the tokens were drawn with."""
        return (*self._troubles, *(self._followed.troubles if self._followed is not None else ()))

    def trace(self, logits_v: Floats, at: int) -> tuple[TokenTrace, float]:
        """What was known where the token at `at` came, and the natural log of its probability; then it is history.

        The places must come in order.
        """
        token, followed = self._tokens[at], self._chain_at(at)
        weights = Weights(logits_v)
        top = top_places(logits_v, self._n_top).tolist()
        wanted = np.array([token, *top], dtype=np.intp)
        p_chain = followed.p_of(logits_v, wanted) if followed.changes else [weights.p(each) for each in wanted]
        followed.take(token)
        return TokenTrace(
            token,
            self._piece(token, special=True),
            weights.p(token),
            int(np.count_nonzero(logits_v > logits_v[token])),
            weights.entropy_bits(),
            p_chain[0],
            tuple(
                TokenOption(each, self._piece(each, special=True), weights.p(each), chained)
                for each, chained in zip(top, p_chain[1:], strict=True)
            ),
        ), weights.log_p(token)

    def close(self) -> None:
        """Free what is native."""
        if self._followed is not None:
            self._followed.close()

    def _chain_at(self, at: int) -> FollowedChain:
        """The chain for a place; another one where the answer begins, where it was first drawn, where it was changed."""
        n_written = at - self._n_prompt
        changed = self._changes.get(n_written) if n_written > 0 else None
        if changed is not None:
            if grammar_calls(changed) != grammar_calls(self._chain):
                self._grammar_from = n_written  # a grammar that is new begins where it was switched on
            self._chain = changed
        if self._followed is None or changed is not None or n_written in (0, self._command.n_begun):
            self._follow(at, n_written)
        assert self._followed is not None
        return self._followed

    def _follow(self, at: int, n_written: int) -> None:
        if self._followed is not None:
            self._troubles += self._followed.troubles
            self._followed.close()
            self._followed = None
        n_changes = max((each for each in self._changes if 0 < each <= n_written), default=0)
        self._followed = FollowedChain(
            self._chain,
            (self._seed + n_changes) % HIGHEST_SEED if n_changes else self._seed,
            vocab=self._session.vocab,
            n_ctx=self._session.n_ctx,
            history=self._tokens[:at],
            n_written=max(0, n_written),
            read=n_written - self._grammar_from if n_written >= 0 else None,
            banned=self._banned,
            moves=n_written >= self._command.n_begun,
        )


def _refuse_bad(session: Session, command: Score, prompt: Sequence[int]) -> None:
    unknown = [each for each in command.answer if not 0 <= each < session.vocab.n_vocab]
    if unknown:
        raise KnownError(
            "The text has a token that this model does not know",
            value=f"token {unknown[0]}, the model has {session.vocab.n_vocab:,}",
            next_step="load the model that wrote it",
        )
    if not command.answer and not command.with_prompt:
        raise KnownError("There is no token to score", next_step="give an answer, or score the prompt too")
    n_tokens = len(prompt) + len(command.answer)
    if n_tokens > session.n_ctx:
        raise KnownError(
            "The text is longer than the context",
            value=f"{n_tokens:,} tokens, context {session.n_ctx:,}",
            next_step="load the model with a longer context",
        )
