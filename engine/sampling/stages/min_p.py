"""Min-p: drop the tokens that are much less likely than the most likely one.

Source: Nguyen et al. 2024 (arXiv 2407.01082), llama.cpp pull request 3841; llama.h `llama_sampler_init_min_p`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, NativeCall, Stage, Values, number

FIELDS = FieldSet(
    (
        Field(
            key="min_p",
            kind=FieldKind.FLOAT,
            default=0.05,
            label="Min-p",
            help="Drops tokens less likely than this share of the most likely token's probability. 0 keeps all.",
            source="llama.h llama_sampler_init_min_p",
            minimum=0.0,
            maximum=1.0,
            step=0.01,
            neutral=0.0,
            special=((0.0, "off"),),
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "min_p") <= 0.0


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_min_p", (number(values, "min_p"), 1))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    p = np.float32(number(values, "min_p"))
    if p <= 0:
        return candidates
    # In logits, without a softmax: p_i >= p * p_max is the same as logit_i >= logit_max + ln p.
    least = candidates.logits.max() + np.float32(math.log(p))
    return candidates.taken(np.flatnonzero(candidates.logits >= least))


STAGE = Stage(
    key="min_p",
    label="Min-p",
    help="A token stays if its probability is at least p times that of the most likely token; the most likely one "
    "always stays, and so do tokens exactly at the cut. 0 is off, 1 leaves only the most likely token (and its "
    "equals). llama.cpp compares before the temperature, so p means the model's own probabilities; where the "
    "temperature comes first, a high one keeps more.",
    source="Nguyen et al. 2024, arXiv 2407.01082; llama.h llama_sampler_init_min_p",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
    presets=(("precise", {"min_p": 0.1}), ("mirostat_v2", {"min_p": 0.0})),
)
