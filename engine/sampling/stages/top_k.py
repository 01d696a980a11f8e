"""Top-k: keep the k most likely tokens.

Source: Fan, Lewis & Dauphin 2018 (arXiv 1805.04833); llama.h `llama_sampler_init_top_k`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import Candidates, NativeCall, Stage, Values, best_first, whole

FIELDS = FieldSet(
    (
        Field(
            key="top_k",
            kind=FieldKind.INT,
            default=40,
            label="Top-k",
            help="Keeps only this many of the most likely tokens. 0 keeps all.",
            source="llama.h llama_sampler_init_top_k",
            minimum=0,
            maximum=1_000_000,
            soft_maximum=200,
            step=1,
            unit="tokens",
            neutral=0,
            special=((0, "off"),),
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return whole(values, "top_k") <= 0


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_top_k", (whole(values, "top_k"),))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    if _is_neutral(values):
        return candidates
    return candidates.taken(best_first(candidates.logits, whole(values, "top_k")))


STAGE = Stage(
    key="top_k",
    label="Top-k",
    help="The k most likely tokens stay, sorted, and share the whole probability; a k over the number of tokens only "
    "sorts. 0 is off. Exactly k stay even where tokens tie at the cut, and which of the tied ones stay is not "
    "defined; Transformers keeps all that tie.",
    source="Fan et al. 2018, arXiv 1805.04833; llama.h llama_sampler_init_top_k",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=True,
    presets=(("creative", {"top_k": 0}), ("mirostat_v2", {"top_k": 0})),
)
