"""The distribution of the next token as numbers: the raw one, and what every stage of the chain leaves of it.

The stages are applied by llama.cpp itself, one after the other, to a copy of the logits; nothing here samples for a run,
so the state of a run is not disturbed. A `Place` keeps the logits with everything that does not depend on the chain, so
that a slider that is dragged costs only the chain: the buffers are used again, nothing is sorted whole, and a stage is
looked at through its survivors alone. Rejected: doing the chain in NumPy (the native samplers are what a run uses, and
they are faster).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.sampling.chain import DRAW, Chain
from engine.sampling.stage import NativeCall
from engine.wire.messages import StageView, TokenChance
from engine.worker.binding import Vocabulary
from engine.worker.samplers import Candidates, SamplerChain, unusable
from engine.worker.session import Session

_UNSHIFTED_BELOW = (
    60.0  # e^60 times a million tokens is far below the largest float32, e^88; without the shift it is a sixth faster
)
_BLOCK = 256

Floats = npt.NDArray[np.float32]


class Weights:
    """The softmax of some logits before it is divided by its sum: exp(logit − highest), float32 [n].

    Args: `logits` float32 [n]; minus infinity gets no weight. Raises `KnownError` when they are no distribution.
    """

    def __init__(self, logits: Floats) -> None:
        self.highest = highest_of(logits)
        self._shifted = logits - np.float32(self.highest)
        self.weights = np.exp(self._shifted)
        self.total = float(self.weights.sum(dtype=np.float64))

    def p(self, place: int) -> float:
        """The probability of one of them."""
        return math.exp(float(self._shifted[place])) / self.total

    def log_p(self, place: int) -> float:
        """The natural log of the probability of one of them."""
        return float(self._shifted[place]) - math.log(self.total)

    def entropy_bits(self) -> float:
        """Shannon entropy in bits: ln of the sum less the mean exponent, so that no logarithm per token is needed."""
        with np.errstate(invalid="ignore"):
            terms = self.weights * self._shifted
        if not math.isfinite(self._shifted.min()):
            terms = np.nan_to_num(terms, nan=0.0)  # 0 times minus infinity
        mean = float(terms.sum(dtype=np.float64)) / self.total
        return max(0.0, (math.log(self.total) - mean) / math.log(2))


class Place:
    """One place in a text: the logits of what comes next, kept with all that does not depend on a chain.

    Attributes:
        tokens: what stands before.
        n_answer: how many of them, at the end, belong to the answer: what a grammar has read so far.
        logits_v: float32 [n_vocab].
    """

    def __init__(
        self, vocab: Vocabulary, n_ctx: int, tokens: Sequence[int], logits_v: Floats, *, n_answer: int = 0
    ) -> None:
        self._vocab, self._n_ctx, self.n_answer = vocab, n_ctx, n_answer
        self.tokens, self.logits_v = tuple(tokens), logits_v
        self._raw = Weights(logits_v)
        self.entropy_bits = self._raw.entropy_bits()
        self._candidates = Candidates(logits_v)

    @classmethod
    def at_end(cls, session: Session, tokens: Sequence[int], *, n_answer: int = 0) -> Place:
        """The place after `tokens`, which the session has just computed."""
        return cls(session.vocab, session.n_ctx, tokens, logits_of(session), n_answer=n_answer)

    def raw_top(self, n_top: int) -> tuple[TokenChance, ...]:
        """The likeliest tokens before any stage, likeliest first."""
        return tuple(
            TokenChance(each, self._piece(each), self._raw.p(each), float(self.logits_v[each]))
            for each in top_places(self.logits_v, n_top).tolist()
        )

    def stage_views(self, chain: Chain, seed: int, n_top: int) -> tuple[tuple[StageView, ...], TokenChance]:
        """What each active stage leaves, and the token that the last one draws.

        Args:
            chain: the chain; stages that change nothing are not in the result.
            seed: of the draw.
            n_top: how many of the likeliest tokens each view lists.

        Raises:
            KnownError: a stage leaves no token at all.
        """
        candidates = self._candidates
        candidates.fill(self.logits_v)
        views: list[StageView] = []
        for key, calls in chain.native_stages(seed):
            self._apply(calls)
            if key != DRAW:
                views.append(self._view(key, n_top))
        picked, place = candidates.selected, candidates.selected_place
        assert picked is not None, chain.describe()
        assert place is not None
        p = 1.0 if chain.is_greedy else Weights(candidates.left()["logit"].copy()).p(place)
        return tuple(views), TokenChance(picked, self._piece(picked), p)

    def survivors(self, chain: Chain, seed: int) -> Candidates:
        """What the whole chain leaves before a token is drawn; valid until the next question to this place."""
        self._candidates.fill(self.logits_v)
        self._apply(cutting_calls(chain.native_calls(seed)))
        return self._candidates

    def _apply(self, calls: Sequence[NativeCall]) -> None:
        native = SamplerChain(calls, n_vocab=self._vocab.n_vocab, n_ctx=self._n_ctx, vocab=self._vocab)
        try:
            native.accept(self.tokens)
            if self.n_answer:
                native.accept_answer(self.tokens[-self.n_answer :])
            native.apply(self._candidates)
        finally:
            native.close()

    def _view(self, key: str, n_top: int) -> StageView:
        left = self._candidates.left()
        ids, logits = left["id"], left["logit"].copy()
        if not np.isfinite(logits).all():
            alive = np.flatnonzero(logits > -np.inf)
            ids, logits = ids[alive], logits[alive]
        weights = Weights(logits)
        top = np.arange(min(n_top, len(logits))) if self._candidates.array.sorted else top_places(logits, n_top)
        chances = tuple(
            TokenChance(int(ids[each]), self._piece(int(ids[each])), weights.p(each)) for each in top.tolist()
        )
        kept = 1.0
        if len(logits) < len(self.logits_v):
            kept = min(1.0, float(self._raw.weights[ids].sum(dtype=np.float64)) / self._raw.total)
        return StageView(key, len(logits), weights.entropy_bits(), kept, chances)

    def _piece(self, token: int) -> bytes:
        return self._vocab.piece(token, special=True)


def cutting_calls(calls: Sequence[NativeCall]) -> tuple[NativeCall, ...]:
    """The calls of a chain that change probabilities: all but a last one that only draws.

    Greedy stays: it is no draw, and `Candidates.selected` says what it took. So do stages that cut and draw in one.
    """
    return tuple(calls[:-1]) if calls[-1].name == "llama_sampler_init_dist" else tuple(calls)


def logits_of(session: Session) -> Floats:
    """A copy of the last token's logits, float32 [n_vocab]."""
    return session.logits().copy()


def top_places(values: Floats, n_top: int) -> npt.NDArray[np.intp]:
    """Where the `n_top` largest values stand, largest first.

    They stand in the `n_top` blocks with the largest maxima, so that most of a large vocabulary is only looked through.
    """
    n_top = max(0, min(n_top, len(values)))
    if n_top == 0:
        return np.empty(0, dtype=np.intp)
    places: npt.NDArray[np.intp] | None = None
    n_blocks = len(values) // _BLOCK
    if n_blocks > 2 * n_top:
        maxima = values[: n_blocks * _BLOCK].reshape(n_blocks, _BLOCK).max(axis=1)
        blocks = np.argpartition(maxima, n_blocks - n_top)[-n_top:]
        inside = (blocks[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
        places = np.concatenate((np.sort(inside), np.arange(n_blocks * _BLOCK, len(values))))
        values = values[places]
    part = np.argpartition(values, len(values) - n_top)[-n_top:]
    part = np.sort(part)
    best = part[np.argsort(-values[part], kind="stable")]
    return best if places is None else places[best]


def log_sum(logits: Floats) -> float:
    """The natural log of the sum of exp(logit), float32 [n]. Raises `KnownError` when they are no distribution."""
    highest = highest_of(logits)
    if abs(highest) < _UNSHIFTED_BELOW:
        return math.log(float(np.exp(logits).sum()))
    weights = logits - np.float32(highest)
    np.exp(weights, out=weights)
    return highest + math.log(float(weights.sum()))


def highest_of(logits: Floats) -> float:
    """The largest logit. Raises `KnownError` when they are no distribution (NaN, plus infinity, all minus infinity)."""
    highest = float(np.max(logits, initial=-np.inf))  # NaN if any is NaN
    if not math.isfinite(highest):
        raise unusable()
    return highest
