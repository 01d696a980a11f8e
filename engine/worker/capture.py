"""The distribution of the next token as numbers: the raw one, and what every stage of the chain leaves of it.

The stages are applied by llama.cpp itself, one after the other, to a copy of the logits; nothing here samples for a run,
so the state of a run is not disturbed. A `Place` keeps the logits with everything that does not depend on the chain, so
that a slider that is dragged costs only the chain: the buffers are used again, nothing is sorted whole, and a stage is
looked at through its survivors alone. Rejected: doing the chain in NumPy (the native samplers are what a run uses, and
they are faster).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from engine.base.errors import KnownError
from engine.sampling.chain import Chain
from engine.sampling.stage import NativeCall
from engine.wire.messages import StageView, TokenChance
from engine.worker.binding import SamplerChain, Vocabulary
from engine.worker.session import Session

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_BLOCK = 256

Floats = npt.NDArray[np.float32]


class Candidates:
    """llama.cpp's candidate array over a NumPy buffer, so that its samplers can work on it: [n] of (id, logit, p)."""

    def __init__(self, n_vocab: int) -> None:
        self._ids = np.arange(n_vocab, dtype=np.int32)
        self.rows = np.zeros(n_vocab, dtype=_CANDIDATE)
        pointer = self.rows.ctypes.data_as(llama.llama_token_data_p)
        self.array = llama.llama_token_data_array(pointer, n_vocab, -1, False)
        self._reference = ctypes.byref(self.array)

    def fill(self, logits_v: Floats) -> None:
        """Begin anew with the whole vocabulary: logits float32 [n_vocab], copied."""
        self.rows["id"] = self._ids
        self.rows["logit"] = logits_v
        self.array.size, self.array.selected, self.array.sorted = len(self._ids), -1, False

    def apply(self, sampler: Any) -> None:
        """Let a native sampler (or a chain of them) work on the array in place."""
        llama.llama_sampler_apply(sampler, self._reference)

    def left(self) -> npt.NDArray[Any]:
        """The candidates that are left, in llama.cpp's present order."""
        return self.rows[: self.array.size]

    @property
    def selected(self) -> int | None:
        """The place, among those that are left, of the token that a drawing stage picked."""
        return int(self.array.selected) if self.array.selected >= 0 else None


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
        logits_v: float32 [n_vocab].
    """

    def __init__(self, vocab: Vocabulary, n_ctx: int, tokens: Sequence[int], logits_v: Floats) -> None:
        self._vocab, self._n_ctx = vocab, n_ctx
        self.tokens, self.logits_v = tuple(tokens), logits_v
        self._raw = Weights(logits_v)
        self.entropy_bits = self._raw.entropy_bits()
        self._candidates = Candidates(len(logits_v))

    @classmethod
    def at_end(cls, session: Session, tokens: Sequence[int]) -> Place:
        """The place after `tokens`, which the session has just computed."""
        return cls(session.vocab, session.n_ctx, tokens, logits_of(session))

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
        calls, links = chain.native_calls(seed), chain.active()
        for place, call in enumerate(calls):
            link = links[place] if place < len(links) else None
            key = link.key if link is not None else call.name
            self._apply(call, with_history=link is not None and link.stage.uses_history)
            refuse_emptiness(candidates, key)
            if place < len(calls) - 1:
                views.append(self._view(key, n_top))
        picked = candidates.selected
        assert picked is not None, calls[-1].name
        left = candidates.left()
        token = int(left["id"][picked])
        if chain.is_greedy:
            return tuple(views), TokenChance(token, self._piece(token), 1.0)
        return tuple(views), TokenChance(token, self._piece(token), Weights(left["logit"].copy()).p(picked))

    def survivors(self, chain: Chain, seed: int) -> Candidates:
        """What the whole chain leaves before a token is drawn; valid until the next question to this place."""
        calls = chain.native_calls(seed)
        native = SamplerChain(cutting_calls(calls), n_vocab=self._vocab.n_vocab, n_ctx=self._n_ctx)
        try:
            if any(each.stage.uses_history for each in chain.active()):
                native.accept(self.tokens)
            self._candidates.fill(self.logits_v)
            self._candidates.apply(native.pointer)
        finally:
            native.close()
        refuse_emptiness(self._candidates, chain.describe())
        return self._candidates

    def _apply(self, call: NativeCall, *, with_history: bool) -> None:
        native = SamplerChain([call], n_vocab=self._vocab.n_vocab, n_ctx=self._n_ctx)
        try:
            if with_history:
                native.accept(self.tokens)
            self._candidates.apply(native.pointer)
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


def refuse_emptiness(candidates: Candidates, key: str) -> None:
    """Raise `KnownError` when no token is left that could be drawn."""
    left = candidates.left()["logit"]
    if not left.size or float(left.max()) == -math.inf:
        raise KnownError(
            "The sampler chain leaves no token to draw", value=key, next_step="loosen this stage, or switch it off"
        )


def logits_of(session: Session) -> Floats:
    """A copy of the last token's logits, float32 [n_vocab]. Raises `KnownError` where the engine keeps them."""
    pointer = session.logits_pointer()
    if not pointer:
        raise KnownError(
            "The engine has drawn this token on its device and kept the scores there",
            next_step="switch backend sampling off to look at distributions",
        )
    return np.ctypeslib.as_array(pointer, shape=(session.vocab.n_vocab,)).copy()


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


def highest_of(logits: Floats) -> float:
    """The largest logit. Raises `KnownError` when they are no distribution (NaN, plus infinity, all minus infinity)."""
    highest = float(np.max(logits, initial=-np.inf))  # NaN if any is NaN
    if not math.isfinite(highest):
        raise KnownError(
            "The model's scores for the next token are not usable",
            value=f"highest score {highest}",
            next_step="try another quantization of this model, or another device",
        )
    return highest
