"""Top-p (nucleus): keep the most likely tokens until their probabilities reach p.

Source: Holtzman et al. 2019 (arXiv 1904.09751); llama.h `llama_sampler_init_top_p`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, NativeCall, Stage, Values, best_first, native_probabilities, number

# A real distribution reaches p within a few hundred tokens; only a flat one needs the whole vocabulary sorted.
N_SORTED_FIRST = 1024

FIELDS = FieldSet(
    (
        Field(
            key="top_p",
            kind=FieldKind.FLOAT,
            default=0.95,
            label="Top-p",
            help="Keeps the most likely tokens that together reach this probability, with the one that crosses it. 1 "
            "keeps all.",
            source="llama.h llama_sampler_init_top_p",
            minimum=0.0,
            maximum=1.0,
            step=0.01,
            neutral=1.0,
            special=((1.0, "off"),),
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return number(values, "top_p") >= 1.0


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_top_p", (number(values, "top_p"), 1))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    import numpy as np

    p = np.float32(number(values, "top_p"))
    if p >= 1:
        return candidates
    probabilities = native_probabilities(candidates.logits)
    order = best_first(candidates.logits, N_SORTED_FIRST)
    reached = np.cumsum(probabilities[order], dtype=np.float32)
    if reached[-1] < p and len(order) < len(candidates):
        order = best_first(candidates.logits, len(candidates))
        reached = np.cumsum(probabilities[order], dtype=np.float32)
    n_kept = int(np.searchsorted(reached, p, side="left")) + 1
    return candidates.taken(order[:n_kept])


STAGE = Stage(
    key="top_p",
    label="Top-p",
    help="The tokens are sorted and their probabilities added up; all up to and with the first that brings the sum "
    "to p or over stay, so at least one always does. 1 is off. Texts that say “cumulative probability at most "
    "p” would leave out the token that crosses p: llama.cpp, Transformers and the paper keep it. The "
    "probabilities are those of what the stages before have left, added up to 1 again.",
    source="Holtzman et al. 2019, arXiv 1904.09751; llama.h llama_sampler_init_top_p",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
    presets=(("precise", {"top_p": 0.9}), ("creative", {"top_p": 1.0}), ("mirostat_v2", {"top_p": 1.0})),
)
