"""Infill: the choice for filling a gap in code, which ends early rather than late.

Source: llama.cpp pull request 9896 (Gerganov 2024); llama.h `llama_sampler_init_infill`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.fields import Field, FieldKind, FieldSet
from engine.sampling.stage import (
    Candidates,
    Given,
    Lexicon,
    NativeCall,
    Stage,
    Values,
    best_first,
    native_probabilities,
    switch,
)

MOST_COMPARED = 256
LEAST_P = 0.2

FIELDS = FieldSet(
    (
        Field(
            key="infill",
            kind=FieldKind.BOOL,
            default=False,
            label="Infill",
            help="For filling a gap in code: ends the text as soon as that is about as likely as going on.",
            source="llama.h llama_sampler_init_infill",
            neutral=False,
        ),
    )
)


def _is_neutral(values: Values) -> bool:
    return not switch(values, "infill")


def _native(values: Values) -> NativeCall:
    return NativeCall("llama_sampler_init_infill", (Given.VOCAB,), can_empty=True)


def _compared(candidates: Candidates) -> Candidates:
    return candidates.taken(best_first(candidates.logits, MOST_COMPARED))


def _reference(candidates: Candidates, values: Values, history: Sequence[int]) -> Candidates:
    return candidates if _is_neutral(values) else _compared(candidates)


def _reference_with(candidates: Candidates, values: Values, history: Sequence[int], lexicon: Lexicon) -> Candidates:
    import numpy as np

    if _is_neutral(values):
        return candidates
    candidates = _compared(candidates)
    p = native_probabilities(candidates.logits)
    is_end = np.array([lexicon.is_end(int(each)) for each in candidates.ids], dtype=np.bool_)
    p_end, p_text = float(p[is_end].sum()), float(p[~is_end].sum())
    if 3 * p_end * len(p) > p_text:
        return candidates.taken(np.flatnonzero(is_end))
    pieces = [lexicon.piece(int(each)) for each in candidates.ids]
    alive = candidates.logits > -np.inf
    for first in range(len(p)):
        for second in range(len(p)):
            if not alive[first]:
                break
            if first == second or not alive[second] or not pieces[first]:
                continue
            if pieces[second].startswith(pieces[first]):
                winner, loser = (second, first) if p[second] > p[first] else (first, second)
                p[winner] += p[loser]
                p[loser] = 0.0
                alive[loser] = False
    kept = np.flatnonzero((p >= np.float32(LEAST_P)) | is_end)
    n_text = int((~is_end[kept]).sum())
    if n_text == 0:
        end = np.array([lexicon.end], dtype=np.int32)
        return Candidates(end, np.array([1.0], dtype=np.float32), candidates.n_vocab)
    p_kept = p[kept] / p[kept].sum()
    return candidates.taken(kept[(p_kept >= np.float32(1 / (n_text + 1))) | is_end[kept]])


STAGE = Stage(
    key="infill",
    label="Infill",
    help="Meant to follow top-k and top-p. If the tokens that end the text have together more than a third of an "
    "average token's share of the rest, only they stay. Otherwise tokens that are the beginning of another one are "
    "merged with it, and of the others those stay that have at least 0.2, then at least 1 / (number of them + 1) of "
    "the probability; with none left, the text ends. At most the 256 most likely tokens get here: llama.cpp compares "
    "each with each. Without the model's tokens the reference shows only that cut.",
    source="llama.cpp pull request 9896; llama.h llama_sampler_init_infill",
    fields=FIELDS,
    is_neutral=_is_neutral,
    native=_native,
    reference=_reference,
    keeps_top=False,
    prepares=(NativeCall("llama_sampler_init_top_k", (MOST_COMPARED,)),),
    reference_with=_reference_with,
)
