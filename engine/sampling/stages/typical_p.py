"""Locally typical sampling: keep the tokens that are about as surprising as the distribution is on average.

Source: Meister et al. 2022 (arXiv 2202.00666); llama.h `llama_sampler_init_typical`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import (
    DROP_IMPOSSIBLE,
    Candidates,
    NativeCall,
    Stage,
    Values,
    best_first,
    native_probabilities,
    number,
    possible,
)

FIELDS = FieldSet(
    (
        Field(
            key="typical_p",
            kind=FieldKind.FLOAT,
            default=1.0,
            label="Typical-p",
            help="Keeps the tokens whose surprise is nearest to the average, until their probabilities exceed this. 1 "
            "keeps all.",
            source="llama.h llama_sampler_init_typical",
            minimum=0.0,
            maximum=1.0,
            step=0.01,
            neutral=1.0,
            special=((1.0, "off"),),
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "typical_p") >= 1.0


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_typical", (number(values, "typical_p"), 1))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    p = np.float32(number(values, "typical_p"))
    if p >= 1:
        return candidates
    candidates = possible(candidates)
    candidates = candidates.taken(best_first(candidates.logits, len(candidates)))
    probabilities = native_probabilities(candidates.logits)
    surprise = -np.log(probabilities.astype(np.float64)).astype(np.float32)
    entropy = np.cumsum(probabilities * surprise, dtype=np.float32)[-1]
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    reached = np.cumsum(probabilities[order], dtype=np.float32)
    n_kept = int(np.searchsorted(reached, p, side="right")) + 1
    return candidates.taken(order[:n_kept])


STAGE = Stage(
    key="typical_p",
    label="Typical-p",
    help="Tokens are sorted by how far their surprise, -ln p, is from the entropy of the distribution, nearest first, "
    "and kept up to and with the first that brings the sum of their probabilities over p. So the most likely token is "
    "dropped where it is much less surprising than the average. 1 is off. Transformers keeps as many, but those whose "
    "sum is still under p and one more; the paper's τ is this p. Tokens of no measurable probability are dropped "
    "first: llama.cpp's own sampler would take the logarithm of 0.",
    source="Meister et al. 2022, arXiv 2202.00666; llama.h llama_sampler_init_typical",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    prepares=(DROP_IMPOSSIBLE,),
)
