"""Top-n-sigma: keep the tokens whose logit is within n standard deviations of the highest.

Source: Tang et al. 2024 (arXiv 2411.07641), llama.cpp pull request 11223; llama.h `llama_sampler_init_top_n_sigma`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, NativeCall, Stage, Values, number

FIELDS = FieldSet(
    (
        Field(
            key="top_n_sigma",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="Top-n-sigma",
            help="Drops tokens whose logit is more than this many standard deviations under the highest. 0 keeps all, "
            "1 is usual.",
            source="llama.h llama_sampler_init_top_n_sigma",
            minimum=0.0,
            maximum=100.0,
            soft_maximum=5.0,
            step=0.01,
            neutral=0.0,
            special=((0.0, "off"),),
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "top_n_sigma") <= 0.0


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_top_n_sigma", (number(values, "top_n_sigma"),))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    n = np.float32(number(values, "top_n_sigma"))
    if n <= 0 or len(candidates) <= 1:
        return candidates
    finite = candidates.logits[candidates.logits > -np.inf]
    # Added up one by one in float32, as llama.cpp does: over 262,144 tokens that differs in the fourth digit.
    mean = np.cumsum(finite, dtype=np.float32)[-1] / np.float32(len(finite))
    squares = np.square((finite - mean).astype(np.float64)).astype(np.float32)
    deviation = np.float32(math.sqrt(np.cumsum(squares, dtype=np.float32)[-1] / np.float32(len(finite))))
    least = finite.max() - n * deviation
    return candidates.with_logits(np.where(candidates.logits < least, np.float32(-np.inf), candidates.logits))


STAGE = Stage(
    key="top_n_sigma",
    label="Top-n-sigma",
    help="A token stays if its logit is at least the highest logit minus n times the standard deviation of all logits "
    "in the list. Dividing the logits by a temperature changes highest, deviation and all others alike, so the "
    "survivors do not depend on the temperature, wherever it stands. 0 is off. What is cut stays in the list with a "
    "logit of minus infinity. In llama.cpp the deviation is that of what the stages before have left; a banned token "
    "does not count.",
    source="Tang et al. 2024, arXiv 2411.07641; llama.h llama_sampler_init_top_n_sigma",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
)
