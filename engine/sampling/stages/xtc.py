"""XTC (exclude top choices): now and then drop the likeliest tokens, so that a less usual one is taken.

Source: p-e-w 2024 (text-generation-webui pull request 6335); llama.h `llama_sampler_init_xtc`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import (
    Candidates,
    Given,
    NativeCall,
    Stage,
    Values,
    best_first,
    native_probabilities,
    number,
)

HIGHEST_USEFUL = 0.5  # over this at most one token can reach the threshold, and one always stays

FIELDS = FieldSet(
    (
        Field(
            key="xtc_probability",
            kind=FieldKind.FLOAT,
            default=0.0,
            label="XTC probability",
            help="How often the likeliest tokens are dropped: 0 never, 1 at every token.",
            source="llama.h llama_sampler_init_xtc p",
            minimum=0.0,
            maximum=1.0,
            step=0.01,
            neutral=0.0,
            special=((0.0, "off"),),
        ),
        Field(
            key="xtc_threshold",
            kind=FieldKind.FLOAT,
            default=0.1,
            label="XTC threshold",
            help="Of the tokens that are at least this likely only the least likely one stays. Over 0.5 nothing happens.",
            source="llama.h llama_sampler_init_xtc t",
            minimum=0.0,
            maximum=1.0,
            soft_maximum=0.5,
            step=0.01,
            neutral=0.1,
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "xtc_probability") <= 0.0 or number(values, "xtc_threshold") > HIGHEST_USEFUL


def _native(values: Values) -> NativeCall:
    chance, threshold = number(values, "xtc_probability"), number(values, "xtc_threshold")
    return NativeCall("llama_sampler_init_xtc", (chance, threshold, 1, Given.SEED))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    if _is_neutral(values) or len(candidates) < 2:
        return candidates
    ordered = candidates.taken(best_first(candidates.logits, len(candidates)))
    likely = native_probabilities(ordered.logits) >= np.float32(number(values, "xtc_threshold"))
    n_likely = len(likely) if likely.all() else int(likely.argmin())
    return ordered.taken(np.arange(max(n_likely - 1, 0), len(ordered)))


STAGE = Stage(
    key="xtc",
    label="XTC",
    help="At each token a die is rolled, with the run's seed. When it strikes, all tokens that are at least as likely "
    "as the threshold are dropped except the least likely of them; where fewer than two are, nothing happens. When "
    "it does not strike nothing happens either. The probabilities are those of what the stages before have left. What "
    "is shown for a single position is the case in which it strikes. text-generation-webui never drops line breaks "
    "and the end of the text; llama.cpp may.",
    source="p-e-w 2024, text-generation-webui pull request 6335; llama.h llama_sampler_init_xtc",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    uses_seed=True,
    presets=(("creative", {"xtc_probability": 0.5}),),
)
