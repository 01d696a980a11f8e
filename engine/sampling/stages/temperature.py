"""Temperature: flatten or sharpen the distribution; 0 is greedy.

Source: Ackley, Hinton & Sejnowski 1985 (the Boltzmann machine's T); llama.h `llama_sampler_init_temp`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, NativeCall, Stage, Values, number

# Below this a difference of 1e-4 in the logits is already e^-100. Dividing by much smaller numbers overflows float32,
# and llama.cpp would then draw the last token of the list, whatever it is.
GREEDY_BELOW = 1e-6

FIELDS = FieldSet(
    (
        Field(
            key="temperature",
            kind=FieldKind.FLOAT,
            default=0.8,
            label="Temperature",
            help="Divides every logit by T. Under 1 the likely tokens gain, over 1 the unlikely ones; 0 always takes "
            "the most likely token.",
            source="llama.h llama_sampler_init_temp",
            minimum=0.0,
            maximum=100.0,
            soft_maximum=2.0,
            step=0.01,
            neutral=1.0,
            special=((0.0, "greedy"),),
        ),
    )
)


def _temperature(values: Values) -> float:
    value = number(values, "temperature")
    return 0.0 if value < GREEDY_BELOW else value


def _is_neutral(values: Values) -> bool:
    return _temperature(values) == 1.0


def _is_greedy(values: Values) -> bool:
    return _temperature(values) == 0.0


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_temp", (_temperature(values),))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    if _is_greedy(values):
        logits = np.full_like(candidates.logits, -np.inf)
        best = int(candidates.logits.argmax())
        logits[best] = candidates.logits[best]
        return candidates.with_logits(logits)
    return candidates.with_logits(candidates.logits / np.float32(_temperature(values)))


STAGE = Stage(
    key="temperature",
    label="Temperature",
    help="Every logit is divided by T before the softmax: p becomes proportional to p^(1/T). Nothing is cut. At 0 "
    "all but the most likely token (of equals, the first in the list) get probability 0. Programs differ in "
    "where this stands: llama.cpp applies it last, so that the cuts before it see the model's own "
    "probabilities; Transformers applies it first, so that a high temperature also widens what top-p and min-p "
    "keep. Move the stage to get the other behaviour.",
    source="Ackley, Hinton & Sejnowski 1985; llama.h llama_sampler_init_temp",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
    is_greedy=_is_greedy,
)
