"""Temperature: flatten or sharpen the distribution; 0 is greedy. With a range it follows the entropy.

Source: Ackley, Hinton & Sejnowski 1985 (the Boltzmann machine's T); llama.h `llama_sampler_init_temp` and
`llama_sampler_init_temp_ext` (dynamic temperature, kalomaze 2023, llama.cpp pull request 4972).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import (
    Candidates,
    NativeCall,
    Stage,
    Values,
    best_first,
    native_probabilities,
    number,
)

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
        Field(
            key="dynatemp_range",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="Temperature range",
            help="Lets T move up and down by this much: low where the model is sure, high where it is not. 0 keeps T.",
            source="llama.h llama_sampler_init_temp_ext delta",
            minimum=0.0,
            maximum=100.0,
            soft_maximum=2.0,
            step=0.01,
            neutral=0.0,
            special=((0.0, "off"),),
            advanced=True,
        ),
        Field(
            key="dynatemp_exponent",
            kind=FieldKind.FLOAT,
            default=1.0,
            label="Temperature exponent",
            help="How the entropy is mapped to the range: over 1 T stays low for longer, under 1 it rises sooner.",
            source="llama.h llama_sampler_init_temp_ext exponent",
            minimum=0.0,
            maximum=10.0,
            soft_maximum=3.0,
            step=0.01,
            neutral=1.0,
            advanced=True,
        ),
    )
)


def _temperature(values: Values) -> float:
    value = number(values, "temperature")
    return 0.0 if value < GREEDY_BELOW else value


def _range(values: Values) -> float:
    """How far T moves; a T of 0 does not, so that greedy always means greedy."""
    return 0.0 if _is_greedy(values) else number(values, "dynatemp_range")


def _is_neutral(values: Values) -> bool:
    return _temperature(values) == 1.0 and _range(values) == 0.0


def _is_greedy(values: Values) -> bool:
    return _temperature(values) == 0.0


def _native(values: Values) -> NativeCall:
    if _range(values) > 0.0:
        args = (_temperature(values), _range(values), number(values, "dynatemp_exponent"))
        return NativeCall("llama_sampler_init_temp_ext", args)
    return NativeCall("llama_sampler_init_temp", (_temperature(values),))


def _divided(candidates: Candidates, temperature: float) -> Candidates:
    import numpy as np

    if temperature <= 0.0:
        logits = np.full_like(candidates.logits, -np.inf)
        best = int(candidates.logits.argmax())
        logits[best] = candidates.logits[best]
        return candidates.with_logits(logits)
    return candidates.with_logits(candidates.logits / np.float32(temperature))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    middle, reach = _temperature(values), _range(values)
    if reach == 0.0:
        return _divided(candidates, middle)
    if len(candidates) <= 1:
        return candidates
    candidates = candidates.taken(best_first(candidates.logits, len(candidates)))
    p = native_probabilities(candidates.logits)
    p = p[p > 0]
    # Added up one by one in float32, as llama.cpp does: it differs in the fourth digit over a large vocabulary.
    entropy = float(np.cumsum(-p * np.log(p.astype(np.float64)).astype(np.float32), dtype=np.float32)[-1])
    share = max(0.0, entropy) / math.log(len(candidates))
    lowest = max(0.0, middle - reach)
    return _divided(candidates, lowest + (middle + reach - lowest) * share ** number(values, "dynatemp_exponent"))


STAGE = Stage(
    key="temperature",
    label="Temperature",
    help="Every logit is divided by T before the softmax: p becomes proportional to p^(1/T). Nothing is cut. At 0 "
    "all but the most likely token (of equals, the first in the list) get probability 0. With a range, T is chosen "
    "anew for every token: from T - range (at least 0) to T + range, at (entropy / greatest possible entropy of "
    "the list) ^ exponent of the way; a T of 0 stays 0. Programs differ in where this stands: llama.cpp applies it "
    "last, so that the cuts before it see the model's own probabilities; Transformers applies it first, so that a "
    "high temperature also widens what top-p and min-p keep. Move the stage to get the other behaviour.",
    source="Ackley, Hinton & Sejnowski 1985; llama.h llama_sampler_init_temp, llama_sampler_init_temp_ext",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
    is_greedy=_is_greedy,
    presets=(
        ("precise", {"temperature": 0.3}),
        ("balanced", {"temperature": 0.7}),
        ("creative", {"temperature": 1.2}),
        ("greedy", {"temperature": 0.0}),
    ),
)
