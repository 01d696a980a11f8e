"""The distribution of the next token as numbers: the raw one, and what every stage of the chain leaves of it.

The stages are applied by llama.cpp itself, one after the other, to a copy of the logits; nothing here samples, so the
state of the run is not disturbed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from engine.sampling.chain import Chain
from engine.wire.messages import StageView, TokenChance
from engine.worker.binding import SamplerChain, Vocabulary
from engine.worker.session import Session

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Candidates:
    """llama.cpp's candidate array over a NumPy buffer, so that its samplers can work on it: [n] of (id, logit, p)."""

    def __init__(self, logits_v: npt.NDArray[np.float32]) -> None:
        self.rows = np.zeros(len(logits_v), dtype=_CANDIDATE)
        self.rows["id"] = np.arange(len(logits_v), dtype=np.int32)
        self.rows["logit"] = logits_v
        pointer = self.rows.ctypes.data_as(llama.llama_token_data_p)
        self.array = llama.llama_token_data_array(pointer, len(logits_v), -1, False)

    def apply(self, sampler: Any) -> None:
        """Let a native sampler (or a chain of them) work on the array in place."""
        llama.llama_sampler_apply(sampler, ctypes.byref(self.array))

    def left(self) -> npt.NDArray[Any]:
        """The candidates that are left, in llama.cpp's present order."""
        return self.rows[: self.array.size]

    @property
    def selected(self) -> int | None:
        """The id of the token that a drawing stage picked."""
        return int(self.rows["id"][self.array.selected]) if self.array.selected >= 0 else None


def logits_of(session: Session) -> npt.NDArray[np.float32]:
    """A copy of the last token's logits, float32 [n_vocab]."""
    pointer = session.logits_pointer()
    return np.ctypeslib.as_array(pointer, shape=(session.vocab.n_vocab,)).copy()


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
) -> tuple[tuple[StageView, ...], TokenChance]:
    """What each active stage leaves, and the token that the last one draws.

    Args:
        logits_v: float32 [n_vocab].
        chain: the chain; stages that change nothing are not in the result.
        seed: of the draw.
        history: the tokens before, for stages with a memory.
        n_top: how many of the likeliest tokens each view lists.
    """
    before = probabilities(logits_v)
    candidates = Candidates(logits_v)
    views: list[StageView] = []
    calls = chain.native_calls(seed)
    keys = [each.key for each in chain.active()]
    for place, call in enumerate(calls):
        native = SamplerChain([call], n_vocab=session.vocab.n_vocab, n_ctx=session.n_ctx)
        native.accept(history)
        candidates.apply(native.pointer)
        native.close()
        if place < len(calls) - 1:
            key = keys[place] if place < len(keys) else call.name
            views.append(_view(key, candidates.left(), before, session.vocab, n_top))
    left = candidates.left()
    p = probabilities(left["logit"])
    picked = candidates.selected
    place = int(np.flatnonzero(left["id"] == picked)[0])
    greedy = calls[-1].name.endswith("greedy")
    chance = TokenChance(
        int(left["id"][place]), session.vocab.piece(int(left["id"][place]), special=True), float(p[place])
    )
    if greedy:
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
