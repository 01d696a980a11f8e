"""How likely was each token of a text: by the model alone, and after the sampler chain, with what else might have stood there.

The text is computed in chunks with logits for every token of a chunk. The chain is llama.cpp's own, one for the whole
text, which is told each token in turn; so penalties see what stands before each place. Stages that change with what
they draw themselves (mirostat) have nothing to go by here and stay at their beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.wire.messages import Event, Score, Scored, TokenOption, TokensScored, TokenTrace
from engine.worker.binding import SamplerChain
from engine.worker.capture import Candidates, Floats, Weights, cutting_calls, refuse_emptiness, top_places
from engine.worker.control import Control
from engine.worker.laboratory import LabContext, Size, n_outputs_that_fit
from engine.worker.session import Aborted, Session
from engine.worker.writing import chain_of, draw_seed

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
    chain = chain_of(command.chain)
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
    tracer = _Tracer(session, chain, command.n_top)
    try:
        if n_computed:
            with LabContext(session, Size.of(n_computed, 1, n_outputs)) as lab:
                n_silent = first - 1
                for start in range(0, n_silent, lab.n_batch):
                    lab.decode(tokens[start : min(n_silent, start + lab.n_batch)], start, n_outputs=0)
                tracer.accept(tokens[:first])
                for start in range(n_silent, n_computed, lab.n_outputs):
                    part = tokens[start : min(n_computed, start + lab.n_outputs)]
                    lab.decode(part, start, n_outputs=len(part))
                    for place in range(len(part)):
                        if control.is_cancelled():
                            raise Aborted
                        at = start + place + 1
                        trace, log_p = tracer.trace(lab.logits(place), tokens[at])
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
    emit(Scored(command.request_id, len(prompt), logprob, cancelled))


class _Tracer:
    """Looks at one place after the other; its sampler chain has been told every token before the place."""

    def __init__(self, session: Session, chain: Chain, n_top: int) -> None:
        self._piece, self._n_top, self._chain = session.vocab.piece, n_top, chain
        n_vocab = session.vocab.n_vocab
        calls = cutting_calls(chain.native_calls(draw_seed(-1)))
        self._native = SamplerChain(calls, n_vocab=n_vocab, n_ctx=session.n_ctx)
        self._remembers = any(each.stage.uses_history for each in chain.active())
        self._changes = bool(calls)
        self._candidates = Candidates(n_vocab)
        self._chain_p_v = np.zeros(n_vocab, dtype=np.float64)

    def accept(self, tokens: Sequence[int]) -> None:
        if self._remembers:
            self._native.accept(tokens)

    def trace(self, logits_v: Floats, token: int) -> tuple[TokenTrace, float]:
        """What was known where `token` came, and the natural log of its probability; then it counts as history."""
        weights = Weights(logits_v)
        top = top_places(logits_v, self._n_top).tolist()
        wanted = np.array([token, *top], dtype=np.intp)
        p_chain = self._after_chain(logits_v, wanted) if self._changes else [weights.p(each) for each in wanted]
        self.accept((token,))
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
        self._native.close()

    def _after_chain(self, logits_v: Floats, wanted: npt.NDArray[np.intp]) -> list[float]:
        self._candidates.fill(logits_v)
        self._candidates.apply(self._native.pointer)
        refuse_emptiness(self._candidates, self._chain.describe())
        left = self._candidates.left()
        if self._chain.is_greedy:
            selected = self._candidates.selected
            picked = None if selected is None else int(left["id"][selected])
            return [1.0 if each == picked else 0.0 for each in wanted.tolist()]
        ids, weights = left["id"].copy(), Weights(left["logit"].copy())
        # One table for the whole vocabulary, written and wiped where something is left: no search for each token.
        self._chain_p_v[ids] = weights.weights
        found = self._chain_p_v[wanted] / weights.total
        self._chain_p_v[ids] = 0.0
        return [float(each) for each in found]


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
