"""The distribution of the next token as numbers: the raw one, and what every stage of the chain leaves of it.

The stages are applied by llama.cpp itself, one after the other, to a copy of the logits; nothing here samples, so the
state of the run is not disturbed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.sampling.chain import DRAW, Chain
from engine.wire.messages import StageView, TokenChance
from engine.worker.binding import Vocabulary
from engine.worker.samplers import Candidates, SamplerChain, check_logits
from engine.worker.session import Session


def logits_of(session: Session) -> npt.NDArray[np.float32]:
    """A copy of the last token's logits, float32 [n_vocab]."""
    return session.logits().copy()


def probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The softmax of logits, in double precision; minus infinity becomes 0."""
    shifted = logits.astype(np.float64) - float(np.max(logits))
    weights = np.exp(shifted)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def entropy_bits(p: npt.NDArray[np.float64]) -> float:
    """Shannon entropy of a distribution, in bits."""
    positive = p[p > 0]
    return float(-(positive * np.log2(positive)).sum())


def raw_top(session: Session, logits_v: npt.NDArray[np.float32], n_top: int) -> tuple[tuple[TokenChance, ...], float]:
    """The likeliest tokens before any stage, and the entropy in bits."""
    p = probabilities(logits_v)
    ids = _top(p, n_top)
    vocab = session.vocab
    chances = tuple(
        TokenChance(int(each), vocab.piece(int(each), special=True), float(p[each]), float(logits_v[each]))
        for each in ids
    )
    return chances, entropy_bits(p)


def stage_views(
    session: Session,
    logits_v: npt.NDArray[np.float32],
    chain: Chain,
    seed: int,
    history: Sequence[int],
    n_top: int,
    answer: Sequence[int] = (),
) -> tuple[tuple[StageView, ...], TokenChance]:
    """What each active stage leaves, and the token that the last one draws.

    Args:
        logits_v: float32 [n_vocab].
        chain: the chain; stages that change nothing are not in the result.
        seed: of the draw.
        history: the tokens before, for stages with a memory: the prompt, and what follows it.
        n_top: how many of the likeliest tokens each view lists.
        answer: those at the end of `history` that belong to the answer, for a grammar.

    Raises:
        KnownError: the logits are no numbers, a stage leaves nothing, or the chain does not fit the model.
    """
    check_logits(logits_v)
    before = probabilities(logits_v)
    candidates = Candidates(logits_v)
    views: list[StageView] = []
    vocab = session.vocab
    for key, calls in chain.native_stages(seed):
        native = SamplerChain(calls, n_vocab=vocab.n_vocab, n_ctx=session.n_ctx, vocab=vocab)
        try:
            native.accept(history)
            native.accept_answer(answer)
            native.apply(candidates)
        finally:
            native.close()
        if key != DRAW:
            views.append(_view(key, candidates.left(), before, vocab, n_top))
    left = candidates.left()
    p = probabilities(left["logit"])
    picked = candidates.selected
    place = int(np.flatnonzero(left["id"] == picked)[0])
    chance = TokenChance(
        int(left["id"][place]), session.vocab.piece(int(left["id"][place]), special=True), float(p[place])
    )
    if chain.is_greedy:
        chance = TokenChance(chance.id, chance.piece, 1.0)
    return tuple(views), chance


def _view(
    key: str, left: npt.NDArray[Any], before: npt.NDArray[np.float64], vocab: Vocabulary, n_top: int
) -> StageView:
    alive = left[np.isfinite(left["logit"])]
    p = probabilities(alive["logit"])
    top = tuple(
        TokenChance(int(alive["id"][each]), vocab.piece(int(alive["id"][each]), special=True), float(p[each]))
        for each in _top(p, n_top)
    )
    return StageView(key, len(alive), entropy_bits(p), float(before[alive["id"]].sum()), top)


def _top(p: npt.NDArray[np.float64], n_top: int) -> npt.NDArray[np.intp]:
    n_top = min(n_top, len(p))
    if n_top <= 0:
        return np.empty(0, dtype=np.intp)
    part = np.argpartition(p, len(p) - n_top)[-n_top:]
    return part[np.argsort(-p[part], kind="stable")]
