"""Many draws of one next token, to lay the counts over the theory.

The chain cuts once; then its draw is repeated on what is left, each time with the next random number of the same seed.
A long list is drawn in NumPy: llama.cpp's draw walks through all of it each time, which takes minutes for a vocabulary
of which nothing was cut.

Source: llama.cpp `llama_sampler_init_dist`; numpy.random.Generator.multinomial.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.base.errors import KnownError
from engine.sampling.stage import NativeCall
from engine.wire.messages import Draw, Drawn, TokenCount
from engine.worker.binding import SamplerChain, Vocabulary
from engine.worker.capture import Place, Weights
from engine.worker.session import Aborted
from engine.worker.writing import chain_of, draw_seed

MOST_DRAWS = 100_000
LONG_LIST = 4096
LOOKED_AT_EVERY = 256


def draw(vocab: Vocabulary, place: Place, command: Draw, is_cancelled: Callable[[], bool]) -> Drawn:
    """Do a Draw command at this place.

    Raises:
        KnownError: too few or too many draws, or a chain that leaves nothing.
        Aborted: somebody stopped it.
    """
    if not 1 <= command.n_draws <= MOST_DRAWS:
        raise KnownError(
            "So many tokens cannot be drawn",
            value=f"{command.n_draws:,}",
            next_step=f"draw 1 to {MOST_DRAWS:,}",
        )
    chain, seed = chain_of(command.chain), draw_seed(command.seed)
    candidates = place.survivors(chain, seed)
    left = candidates.left()
    if chain.is_greedy:
        assert candidates.selected is not None
        left = left[candidates.selected : candidates.selected + 1]
    ids, logits = left["id"].copy(), left["logit"].copy()
    alive = np.flatnonzero(logits > -np.inf)
    ids, logits = ids[alive], logits[alive]
    weights = Weights(logits)
    p = weights.weights.astype(np.float64)
    p /= p.sum()
    counts = np.zeros(len(ids), dtype=np.int64)
    if len(ids) == 1:
        counts[0] = command.n_draws
    elif len(ids) > LONG_LIST:
        counts = np.random.default_rng(seed).multinomial(command.n_draws, p)
    else:
        order = {token: number for number, token in enumerate(ids.tolist())}
        native = SamplerChain((NativeCall("llama_sampler_init_dist", (seed,)),), n_vocab=vocab.n_vocab, n_ctx=1)
        try:
            for number in range(command.n_draws):
                if number % LOOKED_AT_EVERY == 0 and is_cancelled():
                    raise Aborted
                candidates.apply(native.pointer)
                picked = candidates.selected
                assert picked is not None
                counts[order[int(candidates.rows["id"][picked])]] += 1
        finally:
            native.close()
    shown = np.flatnonzero((counts > 0) | (p > 1.0 / command.n_draws))
    shown = shown[np.argsort(-p[shown], kind="stable")]
    return Drawn(
        command.request_id,
        tuple(
            TokenCount(token, vocab.piece(token, special=True), int(counts[each]), float(p[each]))
            for each, token in zip(shown.tolist(), ids[shown].tolist(), strict=True)
        ),
        command.n_draws,
        seed,
    )
